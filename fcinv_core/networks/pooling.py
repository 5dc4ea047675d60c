"""Sums over the neighbours of a pixel, in which sparse counts say something."""

from __future__ import annotations

import functools

import numpy as np

from fcinv_core.crystal import FloatArray


def pool(values: FloatArray, sigma: float) -> FloatArray:
    """Sum neighbours with Gaussian weights, 1 at the pixel itself.

    Parameters
    ----------
    values
        Shape (n_q, n_bins).
    sigma
        Standard deviation of the weights, pixels.
    """
    along, across = (_weights(n, sigma) for n in values.shape)
    return np.asarray(along @ values @ across)


@functools.cache
def _weights(n: int, sigma: float) -> FloatArray:
    apart = np.arange(n)[:, None] - np.arange(n)
    return np.asarray(np.exp(-((apart / sigma) ** 2) / 2))
