"""What an architecture is, and the architectures by name."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, distributed, nn

from fcinv_core.errors import InputError
from fcinv_core.networks.layers import ImageShape

#: Name -> module that holds `build(problem, **parameters)` and the `DEFAULTS` of its parameters.
ARCHITECTURES = {
    "vae": "fcinv_core.networks.vae",
    "flow": "fcinv_core.networks.flow",
    "resnet": "fcinv_core.networks.resnet",
    "resnet_flow": "fcinv_core.networks.resnet_flow",
}
#: Images that are looked at in one go.
_TOGETHER = 20


@dataclass(frozen=True)
class Problem:
    """What a network is to learn, apart from the data.

    Attributes
    ----------
    shape
        Size of its images.
    retained
        Places, among the targets, of the force constants that were drawn over their ranges.
    n_targets
        Number of force constants that vary in the training set.
    """

    shape: ImageShape
    retained: tuple[int, ...]
    n_targets: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples that are learned from together.

    Attributes
    ----------
    images
        Shape (b, c, n_q, n_bins): measurements (`fcinv_core.networks.inputs`).
    clean
        Shape (b, n_q, n_bins): the same spectra, all modes alike, fully covered, without noise.
    targets
        Shape (b, k): force constants that vary, in standard deviations from their mean in the training set.
    whole
        Samples of the batch in all processes that train together; b of them are in this one.
    """

    images: Tensor
    clean: Tensor
    targets: Tensor
    whole: int

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of values (b, ...) of this batch over the samples of all processes.

        The average over processes of its gradients, which DistributedDataParallel takes, is its gradient.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            return values.mean()
        share = values.sum() / (self.whole * math.prod(values.shape[1:]))
        mean = share.detach().clone()
        distributed.all_reduce(mean)
        return mean + distributed.get_world_size() * (share - share.detach())

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return replace(
            self, images=self.images.to(device), clean=self.clean.to(device), targets=self.targets.to(device)
        )


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of the training that has a loss of its own.

    Attributes
    ----------
    name
        Shown in the log.
    share
        Epochs, as a share of those asked for.
    modules
        What is trained; all else is frozen.
    loss
        Batch and noise to the mean loss of its samples.
    noise
        Normally distributed numbers that the loss is given for each sample: noise has the shape (b, noise).
    frozen
        What the frozen part of the network makes of images; if there is one, the loss is given that in their place,
        computed once for each measurement, and no clean spectra.
    passes
        Passes over the measurements of an epoch; more than one pay where the frozen part is most of the work.
    """

    name: str
    share: float
    modules: tuple[nn.Module, ...]
    loss: Callable[[Batch, Tensor], Tensor]
    noise: int = 0
    frozen: Callable[[Tensor], Tensor] | None = None
    passes: int = 1


class Network(nn.Module):
    """An architecture with its weights."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages of the training, in order."""

    @abstractmethod
    def embedding(self, images: Tensor) -> Tensor:
        """Return what the network knows of images (b, c, n_q, n_bins) before it answers: shape (b, e).

        It is most of the work, and all else follows from it.
        """

    @abstractmethod
    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw n answers to images with an embedding (b, e): shape (b, n, k), in units of `Batch.targets`."""

    def features(self, embedding: Tensor) -> Tensor:
        """Return what of an embedding (b, e) tells images of the kind trained for from others: shape (b, d)."""
        return embedding

    def load_pretrained(self, path: Path) -> None:
        """Begin from weights that were trained on something else.

        Raises
        ------
        InputError
            If the architecture has no use for them, or the file does not hold them.
        """
        raise InputError(
            f"{path} cannot be used", "this architecture begins from random weights", "leave --pretrained out"
        )

    def latent(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor | None:
        """Draw n latent vectors of each image, shape (b, n, d), if there are any."""
        return None

    def reconstructed(self, embedding: Tensor) -> Tensor | None:
        """Return the clean spectra that the images are taken for, shape (b, n_q, n_bins), if they are made."""
        return None


@torch.no_grad()
def embeddings(network: Network, images: Tensor, between: Callable[[], None] = lambda: None) -> Tensor:
    """Return embeddings (m, e) of images (m, c, n_q, n_bins); ``between`` is called between batches."""
    found = []
    for part in torch.split(images, _TOGETHER):
        between()
        found.append(network.embedding(part))
    return torch.cat(found)


def build(architecture: str, problem: Problem, parameters: dict[str, Any]) -> Network:
    """Return a network with random weights, of torch's global generator.

    Raises
    ------
    InputError
        If there is no architecture of that name.
    """
    network: Network = _module(architecture).build(problem, **parameters)
    return network


def default_parameters(architecture: str) -> dict[str, Any]:
    """Return the parameters of an architecture as `build` takes them.

    Raises
    ------
    InputError
        If there is no architecture of that name.
    """
    return dict(_module(architecture).DEFAULTS)


def _module(architecture: str) -> ModuleType:
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"there is no architecture {architecture!r}",
            f"those that are there are {', '.join(ARCHITECTURES)}",
            "choose one of them",
        )
    return import_module(ARCHITECTURES[architecture])
