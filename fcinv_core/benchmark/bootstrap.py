"""Bootstrap over spectra: how far a score would move if other spectra had been drawn."""

from __future__ import annotations

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray

#: Number of times that spectra are drawn again, and the share of them that an interval holds.
RESAMPLED, LEVEL = 1000, 0.95


def resampled(m: int, seed: int) -> IntArray:
    """Return m numbers below m drawn with replacement, again and again: shape (RESAMPLED, m).

    Scores of the same spectra with the same numbers can be compared with each other.
    """
    return np.random.default_rng([seed, m]).integers(m, size=(RESAMPLED, m))


def weights_of(numbers: IntArray) -> FloatArray:
    """Return how often each of m spectra occurs among numbers (b, m), shape (b, m)."""
    b, m = numbers.shape
    rows = m * np.arange(b)[:, None]
    return np.bincount((rows + numbers).ravel(), minlength=b * m).reshape(b, m).astype(float)


def interval(values: FloatArray) -> FloatArray:
    """Return the ends of the central interval of a score, shape (2, ...), of resampled values (RESAMPLED, ...)."""
    return np.asarray(np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))
