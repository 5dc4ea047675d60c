"""The variational autoencoder with a regressor on its frozen latents (Sable et al., Digital Discovery 5, 1545)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcinv_core.networks.architectures import Batch, Network, Problem, Stage
from fcinv_core.networks.heads import GaussianHead
from fcinv_core.networks.layers import Decoder, Encoder

#: Parameters of `build`.
DEFAULTS: dict[str, Any] = {
    "latents": 20,
    "widths": [24, 40, 64, 64],
    "hidden": 192,
    "regressor": 256,
    "rank": 8,
    "pixels_per_line": 9.0,
}
#: Bounds of the logarithm of a latent variance.
_LOG_VARIANCE = (-12.0, 2.0)


class VariationalAutoencoder(Network):
    """Encoder to Gaussian latents, decoder to the clean spectrum, regressor from latents to force constants.

    The decoder is asked for the clean, fully covered spectrum with all modes alike whatever was measured of it, so
    the latents hold what the dispersion is and not how it was measured. With a Gaussian decoder of one variance σ²
    the evidence lower bound of n pixels is -n/2 ln σ² - Σ (x - x')² / 2σ² - KL, and σ² is best at the mean square
    error: n/2 ln MSE + KL is left to minimise, and no weight has to be found by trial (Rybkin, Daniilidis and
    Levine, ICML 2021). But residuals of neighbouring pixels are those of one line that is misplaced, not n
    independent ones: n is divided by the pixels that a line covers, which scales the KL term up by as much.

    The regressor sees a draw of the latents and their variances, by which it knows how much a measurement says.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        latents: int,
        widths: Sequence[int],
        hidden: int,
        regressor: int,
        rank: int,
        pixels_per_line: float,
    ) -> None:
        super().__init__()
        shape, sizes = problem.shape, tuple(widths)
        self.latents = latents
        self.independent_pixels = shape.n_q * shape.n_bins / pixels_per_line
        self.encoder = Encoder(shape, sizes, hidden)
        self.to_latents = nn.Linear(hidden, 2 * latents)
        self.decoder = Decoder(latents, sizes, shape, hidden)
        self.regressor = GaussianHead(2 * latents, problem.n_targets, regressor, rank)

    def stages(self) -> tuple[Stage, ...]:
        """Autoencoder first; then the regressor, its mean and its spread, with the encoder frozen."""
        autoencoder, head = (self.encoder, self.to_latents, self.decoder), self.regressor
        mean, n, frozen = (head.hidden, head.mean), self.latents, self.embedding
        return (
            Stage("autoencoder", 0.75, autoencoder, self._elbo_loss, n),
            Stage("regressor", 0.19, mean, self._mean_loss, n, frozen, passes=32),
            Stage("spread", 0.06, (head.spread,), self._spread_loss, n, frozen, passes=8),
        )

    def embedding(self, images: Tensor) -> Tensor:
        """Return mean and logarithm of the variance of the latents, one after the other: shape (b, 2 latents)."""
        return torch.cat(self.encode(images), dim=1)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of the latents, shape (b, latents) each."""
        mean, log_variance = torch.chunk(self.to_latents(self.encoder(images)).float(), 2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def _elbo_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        mean, log_variance = self.encode(batch.images)
        z = mean + torch.exp(log_variance / 2) * noise
        error = batch.mean(functional.mse_loss(self.decoder(z), batch.clean, reduction="none"))
        divergence = batch.mean(0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1))
        return torch.log(error + 1e-8) / 2 + divergence / self.independent_pixels

    def _mean_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        return batch.mean(self.regressor.squared_error(self._drawn(batch.images, noise), batch.targets))

    def _spread_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        density = self.regressor.log_density(self._drawn(batch.images, noise), batch.targets)
        return -batch.mean(density) / batch.targets.shape[1]

    @staticmethod
    def _drawn(embedding: Tensor, noise: Tensor) -> Tensor:
        """Return what the regressor sees: a draw of the latents, and how sharp they are."""
        mean, log_variance = torch.chunk(embedding, 2, dim=1)
        return torch.cat([mean + torch.exp(log_variance / 2) * noise, log_variance / 4 + 1], dim=1)

    def draw(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw latents, and for each of them force constants: shape (b, n, k)."""
        noise = torch.randn(n * len(embedding), self.latents, generator=generator)
        drawn = self._drawn(embedding.repeat_interleave(n, dim=0), noise)
        return self.regressor.draw(drawn, generator).reshape(len(embedding), n, -1)

    def features(self, embedding: Tensor) -> Tensor:
        """Return the mean of the latents, shape (b, latents)."""
        return embedding[:, : self.latents]

    def latent(self, embedding: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (b, n, latents)."""
        mean, log_variance = torch.chunk(embedding[:, None], 2, dim=2)
        noise = torch.randn(len(embedding), n, self.latents, generator=generator)
        return mean + torch.exp(log_variance / 2) * noise

    def reconstructed(self, embedding: Tensor) -> Tensor:
        """Return what the decoder makes of the mean of the latents, shape (b, n_q, n_bins)."""
        spectra: Tensor = self.decoder(self.features(embedding))
        return spectra


def build(problem: Problem, **parameters: Any) -> VariationalAutoencoder:
    """Return the network with random weights; see `DEFAULTS` for its parameters."""
    return VariationalAutoencoder(problem, **parameters)
