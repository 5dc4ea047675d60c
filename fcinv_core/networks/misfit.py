"""Signs that an answer is none: counts lie elsewhere than on its lines, whatever amplitudes; its draws are wide."""

from __future__ import annotations

import math

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.networks.inputs import FloatArray32, counts_of
from fcinv_core.networks.pooling import pool
from fcinv_core.spectrum import Resolution, SpectralGrid, unit_spectra

#: Draws whose lines are averaged.
DRAWS = 16

#: Standard deviations over which counts are pooled, pixels: along the lines, and across several of them.
_FINE, _BROAD = 1.2, 6.0
#: Shares of a smooth background among the lines that are tried, relative to the height of a line.
_BACKGROUNDS = (0.02, 0.1, 0.3, 1.0, 3.0)
#: Structure (nats) below which a measurement says nothing; it also steadies the ratio of two small numbers.
_LITTLE = 10.0
#: Counts below which a pool is drawn to its broad surroundings.
_FEW = 1.0


def misfit(channels: FloatArray32, lines: FloatArray) -> float:
    """Return -ln of the share of an image's structure that the supposed lines explain: 0 at best.

    Parameters
    ----------
    channels
        Shape (c, n_q, n_bins): see `fcinv_core.networks.inputs.Image`.
    lines
        Shape (n_q, n_bins): see `supposed_lines`.
    """
    return -math.log(max(explained_structure(*counts_of(channels), lines), 1e-12))


def spread(draws: FloatArray32) -> FloatArray:
    """Return how wide draws (..., n, k) of targets are, shape (...,): 1 if as wide as the training set, 0 at best.

    The geometric mean over targets of their standard deviations, in those of the training set. A measurement
    without structure contradicts no lines, so that its misfit is small; but its draws are wide.
    """
    return np.asarray(np.exp(np.log(np.maximum(draws.std(axis=-2), 1e-12)).mean(axis=-1)), dtype=float)


def supposed_lines(
    values: FloatArray, dynamics: BornVonKarman, grid: SpectralGrid, resolution: Resolution
) -> FloatArray:
    """Return the mean spectrum, all modes alike, of the first `DRAWS` of draws (n, n_fc): shape (n_q, n_bins)."""
    spectra = unit_spectra(dynamics.energies(values[:DRAWS], threads=1), grid, resolution)
    return np.asarray(spectra.mean(axis=0), dtype=float)


def explained_structure(counts: FloatArray, exposure: FloatArray, lines: FloatArray) -> float:
    """Return which share of the structure of a measurement its supposed lines explain; 0 if they lie elsewhere.

    Structure is by how much the counts are likelier if a pixel is like its neighbours (itself left out) than if
    intensities vary slowly. The same is asked of lines times slowly varying amplitudes, which says whether counts
    lie on them. A share of 1 is a good answer; noise makes it scatter, and a measurement without structure has
    a share near 1, because it contradicts nothing.

    Parameters
    ----------
    counts, exposure
        Shape (n_q, n_bins); exposure 0 where not covered or masked.
    lines
        Shape (n_q, n_bins): the supposed spectrum with all modes alike, one line alone having height 1.
    """
    covered = exposure > 0
    counts = np.where(covered, counts, 0.0)
    smooth = exposure * _pooled(counts, exposure, _BROAD)
    near_counts, near = (pool(x, _FINE) - x for x in (counts, exposure))
    # Where neighbours hold little exposure, they are as the broad surroundings are.
    level = np.divide(smooth, exposure, out=np.zeros_like(smooth), where=covered)
    neighbours = exposure * level * (near_counts + _FEW) / (near * level + _FEW)
    structure = _gain(counts, neighbours, smooth)
    explained = max(
        _gain(counts, shape * _pooled(counts, shape, _BROAD), smooth)
        for shape in (exposure * (lines + share) for share in _BACKGROUNDS)
    )
    return float((max(explained, 0.0) + _LITTLE) / (max(structure, explained, 0.0) + _LITTLE))


def _gain(counts: FloatArray, expected: FloatArray, reference: FloatArray) -> float:
    """Log likelihood of Poisson counts, expected ones over the reference, nats."""
    lit = (expected > 0) & (reference > 0)
    ratio = np.log(expected[lit] / reference[lit])
    gain = counts[lit] * ratio - expected[lit] + reference[lit]
    # No pixel weighs more than one count: else the brightest decide, and the slightest shift is significant.
    return float((gain / np.maximum(reference[lit], 1.0)).sum())


def _pooled(counts: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    sums = pool(weight, sigma)
    return np.divide(pool(counts, sigma), sums, out=np.zeros_like(sums), where=sums > 0)
