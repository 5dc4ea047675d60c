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
from fcinv_core.networks.layers import Stem
from fcinv_core.networks.pretrained import read_weights

#: Parameters of `build`.
DEFAULTS: dict[str, Any] = {"widths": [64, 128, 256, 512], "hidden": 256, "rank": 8}
#: Blocks on each of the four resolutions.
_BLOCKS = 2
#: Regions of the image along each side whose features are kept apart.
_REGIONS = 4
#: Name of the weights of the first layer.
_FIRST = "backbone.conv1.weight"
#: Pixels along the energy of images that are laid side by side.
_TINY = 5


class Conv3x3(nn.Conv2d):
    """Convolution over 3 x 3 pixels that lays tiny images side by side.

    The gradient of the weights is a sum along rows, of which a processor's matrix unit takes 32 pixels at once; of
    four it would use an eighth.
    """

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__(before, width, 3, stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features at 1 / stride of the resolution of ``x``."""
        if x.shape[3] > _TINY or self.stride != (1, 1):
            return super().forward(x)
        # An empty column between neighbours is the padding of both.
        apart = functional.pad(x, (0, 1)).permute(1, 2, 0, 3)
        row = apart.flatten(2)[None].contiguous(memory_format=torch.channels_last)
        found: Tensor = super().forward(row).reshape(-1, *apart.shape[1:])
        return found[..., :-1].permute(2, 0, 1, 3).contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """Two convolutions with batch normalisation, added to their input."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(before, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        # Begins as the identity (Goyal et al., arXiv:1706.02677).
        nn.init.zeros_(self.bn2.weight)
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
        # Of one channel, torch cannot tell the layout of an image: the first features say it.
        x: Tensor = self.conv1(images).contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.bn1(x))
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
        self.stem = Stem(problem.shape)
        self.backbone = Backbone(self.stem.channels, tuple(widths))
        self.compress = nn.Linear(widths[-1] * _REGIONS**2, widths[-1])
        self.regressor = GaussianHead(widths[-1], problem.n_targets, hidden, rank)

    def stages(self) -> tuple[Stage, ...]:
        """The mean first; then the spread of what it leaves, with all else frozen."""
        head = self.regressor
        return (
            Stage("mean", 0.95, (self.backbone, self.compress, head.hidden, head.mean), self._mean_loss),
            Stage("spread", 0.05, (head.spread,), self._spread_loss, frozen=self.embedding, passes=8),
        )

    def _mean_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        return batch.mean(self.regressor.squared_error(self.embedding(batch.images), batch.targets))

    def _spread_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        return -batch.mean(self.regressor.log_density(batch.images, batch.targets)) / batch.targets.shape[1]

    def embedding(self, images: Tensor) -> Tensor:
        """Return features of the image, shape (b, widths[-1])."""
        regions = functional.adaptive_avg_pool2d(self.backbone(self.stem(images)), _REGIONS).flatten(1)
        features: Tensor = functional.silu(self.compress(regions))
        return features.float()

    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw n answers to each image, shape (b, n, k)."""
        repeated = embedding.repeat_interleave(n, dim=0)
        return self.regressor.draw(repeated, generator).reshape(len(embedding), n, -1)

    def load_pretrained(self, path: Path) -> None:
        """Begin from a ResNet-18 of this kind, or from weights for photographs, such as torchvision's for ImageNet.

        The first layer is summed over the channels that it expects, such as red, green and blue, for the intensity;
        what else is known of pixels begins at zero. Of a network of this kind (weights.safetensors of its model),
        layers after the backbone are taken where they are as large, but for the spread: that was of other
        measurements.

        Raises
        ------
        InputError
            If the file cannot be read, or does not hold a ResNet-18.
        """
        given, wanted = read_weights(path), self.state_dict()
        if "conv1.weight" in given:
            given = {f"backbone.{name}": value for name, value in given.items()}
        first, adapted = given.get(_FIRST), torch.zeros_like(wanted[_FIRST])
        if first is not None and first.ndim == 4 and first[:, :1].shape == adapted[:, :1].shape:
            adapted[:, 0] = first.sum(dim=1)
            given[_FIRST] = adapted
        fitting = {
            name: given[name]
            for name, value in wanted.items()
            if name in given and given[name].shape == value.shape and not name.startswith("regressor.spread.")
        }
        missing = [name for name in wanted if name.startswith("backbone.") and name not in fitting]
        if missing:
            raise InputError(
                f"{path} does not hold the weights of a ResNet-18",
                f"{missing[0].removeprefix('backbone.')} is missing or of another shape, as are {len(missing) - 1} "
                "others",
                "give torchvision's resnet18 weights, or those of a resnet that was trained with the same widths",
            )
        self.load_state_dict(fitting, strict=False)


def build(problem: Problem, **parameters: Any) -> ResNet:
    """Return the network with random weights; see `DEFAULTS` for its parameters."""
    return ResNet(problem, **parameters)
