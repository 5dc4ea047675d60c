"""Which latent dimensions an encoder uses, and how much of the force constants lies in them in plain sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.latent.encoding import Latents
from fcinv_core.networks.inputs import BoolArray

#: Variance over spectra of the mean of a latent dimension above which it is active (Burda, Grosse and
#: Salakhutdinov, ICLR 2016, appendix C); the latents' own scale is 1, that of their prior.
ACTIVE = 0.01


@dataclass(frozen=True, eq=False)
class Activity:
    """How much each of d latent dimensions is used.

    Attributes
    ----------
    variance
        Shape (d,): of the mean, over spectra.
    log_variance
        Shape (d,): mean over spectra of the logarithm of the encoder's variance; 0 where it ignores the spectrum.
    divergence
        Shape (d,): mean Kullback-Leibler divergence from the prior, nats: what the dimension carries at most.
    """

    variance: FloatArray
    log_variance: FloatArray
    divergence: FloatArray

    @classmethod
    def of(cls, latents: Latents) -> Activity:
        """Judge the dimensions by encoded spectra."""
        mean, log_variance = latents.mean, latents.log_variance
        divergence = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
        return cls(mean.var(axis=0), log_variance.mean(axis=0), divergence.mean(axis=0))

    @property
    def active(self) -> BoolArray:
        """Shape (d,): whether the variance is above `ACTIVE`."""
        return np.asarray(self.variance > ACTIVE)


def linear_r2(latents: Latents, values: FloatArray) -> FloatArray:
    """Return R², shape (k,), of the best linear functions of latent means for values (m, k).

    They are fitted to one half of the spectra and judged on the other.
    """
    half = len(values) // 2
    design = np.column_stack([np.ones(len(values)), latents.mean])
    weights = np.linalg.lstsq(design[:half], values[:half])[0]
    off, spread = values[half:] - design[half:] @ weights, values[half:] - values[half:].mean(axis=0)
    return np.asarray(1 - (off**2).sum(axis=0) / (spread**2).sum(axis=0))
