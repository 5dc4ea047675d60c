"""ResNet-18 (He, Zhang, Ren and Sun, CVPR 2016) that maps an image to force constants directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Batch, Network, Problem, Stage
from fcinv_core.networks.heads import GaussianHead
from fcinv_core.networks.pretrained import read_weights

#: Parameters of `build`.
DEFAULTS: dict[str, Any] = {"widths": [64, 128, 256, 512], "hidden": 256, "rank": 8}
#: Blocks on each of the four resolutions.
_BLOCKS = 2
#: Regions of the image along each side whose features are kept apart.
_REGIONS = 4


class Block(nn.Module):
    """Two convolutions with batch normalisation, added to their input."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            if stride != 1 or before != width
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features at 1 / stride of the resolution of ``x``."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Backbone(nn.Module):
    """Convolutions of ResNet-18 before its average over the image; names of parameters are torchvision's."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layers = len(widths)
        before = widths[0]
        for k, width in enumerate(widths):
            blocks = []
            for number in range(_BLOCKS):
                blocks.append(Block(before, width, 2 if k and not number else 1))
                before = width
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> Tensor:
        """Return features, shape (b, widths[-1], n_q / 32, n_bins / 32), of images (b, c, n_q, n_bins)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        for k in range(self.layers):
            x = self.get_submodule(f"layer{k + 1}")(x)
        return x


class ResNet(Network):
    """The backbone and a regressor; its spread is that of the regressor, a Gaussian of low rank plus diagonal.

    A photograph shows the same wherever that stands in it, so ResNet-18 averages features over the image. In a
    spectrum the place of a line is what matters: features of its regions are kept apart.
    """

    def __init__(self, problem: Problem, *, widths: list[int], hidden: int, rank: int) -> None:
        super().__init__()
        self.backbone = Backbone(problem.shape.channels, tuple(widths))
        self.compress = nn.Linear(widths[-1] * _REGIONS**2, widths[-1])
        self.regressor = GaussianHead(widths[-1], problem.n_targets, hidden, rank)

    def stages(self) -> tuple[Stage, ...]:
        """All at once: the log density of the truth."""
        return (Stage("resnet", 1.0, (self.backbone, self.compress, self.regressor), self._loss),)

    def _loss(self, batch: Batch, noise: Tensor) -> Tensor:
        density = self.regressor.log_density(self.embedding(batch.images), batch.targets)
        return -batch.mean(density) / batch.targets.shape[1]

    def embedding(self, images: Tensor) -> Tensor:
        """Return features of the image, shape (b, widths[-1])."""
        regions = functional.adaptive_avg_pool2d(self.backbone(images), _REGIONS).flatten(1)
        features: Tensor = functional.silu(self.compress(regions))
        return features.float()

    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw n answers to each image, shape (b, n, k)."""
        repeated = embedding.repeat_interleave(n, dim=0)
        return self.regressor.draw(repeated, generator).reshape(len(embedding), n, -1)

    def load_pretrained(self, path: Path) -> None:
        """Begin from weights for photographs, such as torchvision's resnet18 for ImageNet.

        The first layer, which expects red, green and blue, is summed over them for the intensity; a second channel
        begins at zero.

        Raises
        ------
        InputError
            If the file cannot be read, or does not hold a ResNet-18.
        """
        given = read_weights(path)
        wanted = self.backbone.state_dict()
        if (first := given.get("conv1.weight")) is not None and first.ndim == 4:
            adapted = torch.zeros_like(wanted["conv1.weight"])
            if first.shape[0] == len(adapted) and first.shape[2:] == adapted.shape[2:]:
                adapted[:, 0] = first.sum(dim=1)
                given["conv1.weight"] = adapted
        missing = [name for name in wanted if name not in given or given[name].shape != wanted[name].shape]
        if missing:
            raise InputError(
                f"{path} does not hold the weights of a ResNet-18",
                f"{missing[0]} is missing or of another shape, as are {len(missing) - 1} others",
                "give torchvision's resnet18 weights",
            )
        self.backbone.load_state_dict({name: given[name] for name in wanted})


def build(problem: Problem, **parameters: Any) -> ResNet:
    """Return the network with random weights; see `DEFAULTS` for its parameters."""
    return ResNet(problem, **parameters)
