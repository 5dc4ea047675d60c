"""A posterior network on ResNet-18: a Gaussian over the force constants, and a flow for what is not Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fcinv_core.networks.architectures import Batch, Problem, Stage
from fcinv_core.networks.flow import spline_flow
from fcinv_core.networks.resnet import ResNet

#: Parameters of `build`.
DEFAULTS: dict[str, Any] = {
    "widths": [64, 128, 256, 512],
    "hidden": 256,
    "rank": 8,
    "context": 32,
    "transforms": 2,
    "bins": 8,
    "coupling": [64, 64],
}


class ResNetFlow(ResNet):
    """Gaussian of a ResNet's regressor, with a neural spline flow in place of its draws of the retained ones.

    With the mean m and L Lᵀ = covariance of the regressor, retained force constants first, targets are m + L z. Of
    z, those of the retained force constants have the density of a flow and the others a standard normal one: given
    the retained ones, which lie in wide ranges with curved borders, the others are Gaussian. The flow begins as the
    identity and has only to learn what is not Gaussian, for which a few features are enough.

    Means are learned before densities: see `GaussianHead`.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        widths: list[int],
        hidden: int,
        rank: int,
        context: int,
        transforms: int,
        bins: int,
        coupling: Sequence[int],
    ) -> None:
        super().__init__(problem, widths=widths, hidden=hidden, rank=rank)
        others = [k for k in range(problem.n_targets) if k not in problem.retained]
        self.n_targets, self.n_retained = problem.n_targets, len(problem.retained)
        self.order = [*problem.retained, *others]
        self.context = nn.Linear(widths[-1], context)
        self.flow = spline_flow(self.n_retained, context, transforms, bins, coupling)
        for network in self.flow.modules():
            if isinstance(network, nn.Sequential) and isinstance(network[-1], nn.Linear):
                nn.init.zeros_(network[-1].weight)
                nn.init.zeros_(network[-1].bias)

    def stages(self) -> tuple[Stage, ...]:
        """The mean first, as if all errors of a measurement were of one size; then the density, end to end."""
        gaussian = (self.backbone, self.compress, self.regressor)
        return (
            Stage("mean", 0.5, gaussian, self._mean_loss),
            Stage("density", 0.5, (*gaussian, self.context, self.flow), self._density_loss),
        )

    def _mean_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        features = self.embedding(batch.images)
        return -batch.mean(self.regressor.log_density_alike(features, batch.targets)) / self.n_targets

    def _density_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        return -batch.mean(self.log_density(batch.images, batch.targets)) / self.n_targets

    def log_density(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the log density, shape (b,), of targets (b, k) given images (b, c, n_q, n_bins)."""
        features, retained = self.embedding(images), self.order[: self.n_retained]
        density = self.regressor.log_density(features, targets)
        with torch.autocast(targets.device.type, enabled=False):
            mean, covariance = self.regressor.moments(features, retained)
            off = (targets[:, retained] - mean)[..., None]
            z = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), off, upper=False)[..., 0]
            # The Gaussian's factor of the retained force constants gives way to that of the flow.
            gaussian = -(z**2 + math.log(2 * math.pi)).sum(dim=1) / 2
            density += self.flow(self.context(features)).log_prob(z) - gaussian
        return density

    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw n answers to each image, shape (b, n, k)."""
        z = torch.randn(len(embedding), n, self.n_targets, generator=generator)
        context = self.context(embedding).repeat_interleave(n, dim=0)
        retained = z[..., : self.n_retained].reshape(len(context), -1)
        z[..., : self.n_retained] = self.flow(context).transform.inv(retained).reshape(len(embedding), n, -1)
        mean, covariance = self.regressor.moments(embedding, self.order)
        drawn = torch.empty_like(z)
        drawn[..., self.order] = mean[:, None] + z @ torch.linalg.cholesky(covariance).mT
        return drawn


def build(problem: Problem, **parameters: Any) -> ResNetFlow:
    """Return the network with random weights; see `DEFAULTS` for its parameters."""
    return ResNetFlow(problem, **parameters)
