"""A Gaussian over the force constants whose mean and covariance follow from a vector of features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal

#: Bounds of the logarithm of a standard deviation, in units of the spread of the training set: below a few per cent
#: a single outlier would outweigh all else.
_LOG_SIGMA = (-3.5, 1.0)


class GaussianHead(nn.Module):
    """Feed-forward regressor: mean and a covariance of low rank plus diagonal.

    Force constants that a spectrum leaves undecided are so in combinations; V says which.

    It is learned in two steps: `hidden` and `mean` by mean squares (or, where measurements differ in how much they
    say, by a density of one variance for all values), then `spread` by the log density of the truth. If the density
    decided from the beginning, each force constant would count by the inverse of the variance that is left of it:
    what is known well counts ever more, and what shapes the spectrum least is never learned (Seitzer et al., ICLR
    2022, arXiv:2203.09168).

    Parameters
    ----------
    n_in
        Length of the feature vectors.
    n_targets
        Number of values.
    n_hidden
        Width of the two hidden layers.
    rank
        Columns of V in covariance = diag(σ²) + V Vᵀ.
    """

    def __init__(self, n_in: int, n_targets: int, n_hidden: int, rank: int) -> None:
        super().__init__()
        self.n_targets, self.rank = n_targets, rank
        self.hidden = nn.Sequential(nn.Linear(n_in, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU())
        self.mean = nn.Linear(n_hidden, n_targets)
        self.spread = nn.Linear(n_hidden, n_targets * (1 + rank))
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.spread.weight)
        nn.init.normal_(self.spread.bias, std=0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean (b, k), σ (b, k) and V (b, k, rank) for features (b, n_in)."""
        hidden = self.hidden(features)
        log_sigma, factor = self.spread(hidden).split([self.n_targets, self.n_targets * self.rank], dim=1)
        # A smooth clamp keeps its gradient at both ends.
        low, high = _LOG_SIGMA
        sigma = torch.exp(low + (high - low) * torch.sigmoid((log_sigma - low) / (high - low) * 4 - 2))
        return self.mean(hidden), sigma, factor.reshape(-1, self.n_targets, self.rank)

    def squared_error(self, features: Tensor, values: Tensor) -> Tensor:
        """Return the squared error of the mean, shape (b, k), against values (b, k)."""
        # The last digits are what is learned at the end.
        with torch.autocast(values.device.type, enabled=False):
            error: Tensor = self.mean(self.hidden(features)) - values
        return error**2

    def log_density_alike(self, features: Tensor, values: Tensor) -> Tensor:
        """Return the log density, shape (b,), of values (b, k) if all k had the mean of their variances.

        Values count alike, as in squares, but a measurement counts the more the better its values are known.
        """
        with torch.autocast(values.device.type, enabled=False):
            mean, sigma, _ = self(features)
            variance = (sigma**2).mean(dim=1, keepdim=True)
            terms: Tensor = (values - mean) ** 2 / variance + torch.log(2 * math.pi * variance)
            return -terms.sum(dim=1) / 2

    def moments(self, features: Tensor, order: list[int]) -> tuple[Tensor, Tensor]:
        """Return mean (b, m) and covariance (b, m, m) of m of the values, in the order of their numbers."""
        mean, sigma, factor = (x[:, order] for x in self(features))
        return mean, factor @ factor.mT + torch.diag_embed(sigma**2)

    def log_density(self, features: Tensor, values: Tensor) -> Tensor:
        """Return the log density, shape (b,), of values (b, k)."""
        # Sums of squares and a determinant do not bear half precision.
        with torch.autocast(values.device.type, enabled=False):
            mean, sigma, factor = self(features)
            density = LowRankMultivariateNormal(mean, factor, sigma**2, validate_args=False)
            return density.log_prob(values)  # type: ignore[no-untyped-call, no-any-return]

    def draw(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one value, shape (b, k), for each feature vector."""
        mean, sigma, factor = self(features)
        own = torch.randn(mean.shape, generator=generator)
        shared = torch.randn(len(mean), self.rank, 1, generator=generator)
        drawn: Tensor = mean + sigma * own + (factor @ shared).squeeze(2)
        return drawn
