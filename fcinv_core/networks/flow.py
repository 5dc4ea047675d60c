"""A posterior network: a conditional normalising flow over the force constants, given an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Batch, Network, Problem, Stage
from fcinv_core.networks.heads import GaussianHead
from fcinv_core.networks.layers import Encoder
from fcinv_core.networks.pretrained import read_weights

#: Parameters of `build`.
DEFAULTS: dict[str, Any] = {
    "widths": [24, 40, 64, 64],
    "embedding": 192,
    "transforms": 3,
    "bins": 8,
    "hidden": [128, 128],
    "rest": 192,
    "rank": 8,
}


class PosteriorFlow(Network):
    """Neural spline flow over the retained force constants; a Gaussian over the others, given those.

    The embedding sees which pixels were covered and how many counts they may hold, so the density narrows and
    widens with the measurement. The retained force constants are drawn from wide ranges with curved borders, where
    the crystal becomes unstable, which takes a flow (Durkan et al., NeurIPS 2019); the others have a Gaussian
    prior. The flow is of coupling kind: density and draws both take one pass.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        widths: Sequence[int],
        embedding: int,
        transforms: int,
        bins: int,
        hidden: Sequence[int],
        rest: int,
        rank: int,
    ) -> None:
        super().__init__()
        self.n_targets = problem.n_targets
        self.retained = list(problem.retained)
        self.others = [k for k in range(problem.n_targets) if k not in problem.retained]
        self.encoder = Encoder(problem.shape, tuple(widths), embedding)
        self.flow = spline_flow(len(self.retained), embedding, transforms, bins, hidden)
        seen = embedding + len(self.retained)
        self.rest = GaussianHead(seen, len(self.others), rest, rank) if self.others else None

    def stages(self) -> tuple[Stage, ...]:
        """All at once: the log density of the truth."""
        modules = (self.encoder, self.flow, *([] if self.rest is None else [self.rest]))
        return (Stage("flow", 1.0, modules, self._loss),)

    def _loss(self, batch: Batch, noise: Tensor) -> Tensor:
        return -batch.mean(self.log_density(batch.images, batch.targets)) / self.n_targets

    def log_density(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the log density, shape (b,), of targets (b, k) given images (b, c, n_q, n_bins)."""
        embedding = self.embedding(images)
        retained = targets[:, self.retained]
        with torch.autocast(targets.device.type, enabled=False):
            density: Tensor = self.flow(embedding).log_prob(retained)
        if self.rest is not None:
            seen = torch.cat([embedding, retained], dim=1)
            density = density + self.rest.log_density(seen, targets[:, self.others])
        return density

    def embedding(self, images: Tensor) -> Tensor:
        """Return what the encoder makes of images, shape (b, embedding)."""
        embedding: Tensor = self.encoder(images)
        return embedding.float()

    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw n answers to each image, shape (b, n, k)."""
        repeated = embedding.repeat_interleave(n, dim=0)
        noise = torch.randn(len(repeated), len(self.retained), generator=generator)
        retained = self.flow(repeated).transform.inv(noise)
        drawn = torch.empty(len(repeated), self.n_targets)
        drawn[:, self.retained] = retained
        if self.rest is not None:
            drawn[:, self.others] = self.rest.draw(torch.cat([repeated, retained], dim=1), generator)
        return drawn.reshape(len(embedding), n, self.n_targets)

    def load_pretrained(self, path: Path) -> None:
        """Begin from the encoder of a variational autoencoder (weights.safetensors of its model).

        Raises
        ------
        InputError
            If the file cannot be read, or does not hold an encoder of the same size.
        """
        prefix, wanted = "encoder.", self.encoder.state_dict()
        given = {name.removeprefix(prefix): x for name, x in read_weights(path).items() if name.startswith(prefix)}
        if {name: x.shape for name, x in given.items()} != {name: x.shape for name, x in wanted.items()}:
            raise InputError(
                f"{path} does not hold an encoder of this size",
                "path, energies and scaling of both must be the same",
                "give the weights of a vae that was trained on the same training set",
            )
        self.encoder.load_state_dict(given)


def spline_flow(n: int, context: int, transforms: int, bins: int, hidden: Sequence[int]) -> nn.Module:
    """Return a neural spline flow of coupling kind over n values, given a vector (b, context)."""
    from zuko.flows import NSF

    flow: nn.Module = NSF(
        n,
        context=context,
        transforms=transforms,
        bins=bins,
        passes=2,
        randperm=True,
        hidden_features=tuple(hidden),
        activation=nn.SiLU,
    )
    return flow


def build(problem: Problem, **parameters: Any) -> PosteriorFlow:
    """Return the network with random weights; see `DEFAULTS` for its parameters."""
    return PosteriorFlow(problem, **parameters)
