"""Random coverage of a path: what detectors, orientations and incident energy of an experiment leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.networks.amplitudes import random_functions
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

#: Highest energy transfer in units of the incident energy, as spectrometers are run.
_ENERGY_LIMIT = 0.95


@dataclass(frozen=True)
class CoverageRanges:
    """How often and how much of a path is missing.

    Attributes
    ----------
    full
        Share of samples that are covered everywhere.
    sparse
        Share that are covered in bands only, as in few orientations.
    bands
        Range of the number of bands; 300 cover almost everything, 20 a tenth.
    cut
        Probability that energies end below the end of the grid, and the lowest share of it where they may end.
    gaps
        Probability of missing blocks, and of a lattice of holes, each.
    """

    full: float = 0.2
    sparse: float = 0.4
    bands: tuple[int, int] = (20, 300)
    cut: tuple[float, float] = (0.6, 0.6)
    gaps: float = 0.35


def random_coverage(
    generator: np.random.Generator, path: QPath, grid: SpectralGrid, ranges: CoverageRanges
) -> tuple[FloatArray, float]:
    """Draw the exposure of an experiment.

    Parameters
    ----------
    generator
        Source of randomness.
    path, grid
        Where the pixels lie.
    ranges
        How much is missing.

    Returns
    -------
    The exposure in arbitrary units, shape (n_q, n_bins), 0 where nothing was measured, and the incident energy,
    meV.
    """
    shape = (path.n_points, grid.n_bins)
    choice = generator.random()
    exposure = np.ones(shape)
    if choice < ranges.full:
        return exposure, grid.maximum / _ENERGY_LIMIT
    along, across = random_functions(generator, path, 1)[0], _smooth(generator, grid.n_bins)
    if choice < ranges.full + ranges.sparse:
        exposure = _bands(generator, shape, ranges.bands)
    strength = generator.uniform(0.0, 0.6)
    exposure *= np.exp(strength * (along[:, None] + across))
    if generator.random() < ranges.gaps:
        _remove_blocks(generator, exposure)
    if generator.random() < ranges.gaps:
        _remove_holes(generator, exposure)
    highest = grid.maximum
    if generator.random() < ranges.cut[0]:
        highest = grid.minimum + generator.uniform(ranges.cut[1], 1.0) * (grid.maximum - grid.minimum)
        exposure[:, grid.centres > highest] = 0.0
    if not exposure.any():
        exposure += 1.0
    return exposure, highest / _ENERGY_LIMIT


def _smooth(generator: np.random.Generator, n: int) -> FloatArray:
    """Return a smooth random function of n bins."""
    period = np.arange(1, 5)
    place = np.linspace(0, np.pi, n)
    waves = np.cos(period[:, None] * place + generator.uniform(0, 2 * np.pi, (4, 1)))
    return np.asarray(generator.standard_normal(4) / period @ waves)


def _bands(generator: np.random.Generator, shape: tuple[int, int], bands: tuple[int, int]) -> FloatArray:
    """Each band is where the kinematic surface of some detectors passes the tube of one image of the path.

    In one orientation E follows from q for each image of the path: a curve, as wide as the tube is steep on it.
    """
    n_q, n_bins = shape
    n = int(np.exp(generator.uniform(*np.log(bands))))
    # The tube is met at a slant: short stretches of the path, long ones of the energy, or the other way round.
    length = n_q * np.exp(generator.uniform(np.log(0.02), np.log(0.35), n))
    centre = generator.uniform(0, n_q, n)
    energy = generator.uniform(-0.1, 1.1, n) * n_bins
    slope = generator.standard_normal(n) * n_bins / n_q * 2.0
    curvature = generator.standard_normal(n) * n_bins / n_q**2 * 4.0
    half_width = n_bins * np.exp(generator.uniform(np.log(0.01), np.log(0.08), n))
    weight = np.exp(0.5 * generator.standard_normal(n))
    exposure = np.zeros(shape)
    _lay(exposure, centre, length / 2, energy, slope, curvature, half_width, weight)
    return exposure


@numba.njit(nogil=True, cache=True)
def _lay(exposure, centre, reach, energy, slope, curvature, half_width, weight):  # type: ignore[no-untyped-def]
    """Add bands |E - (energy + slope x + curvature x²)| < half_width for |x| < reach, x = q - centre, in pixels."""
    n_q, n_bins = exposure.shape
    for k in range(len(centre)):
        for row in range(max(0, int(centre[k] - reach[k])), min(n_q - 1, int(centre[k] + reach[k])) + 1):
            x = row - centre[k]
            middle = energy[k] + slope[k] * x + curvature[k] * x * x
            for column in range(
                max(0, int(middle - half_width[k])), min(n_bins - 1, int(middle + half_width[k])) + 1
            ):
                exposure[row, column] += weight[k]


def _remove_blocks(generator: np.random.Generator, exposure: FloatArray) -> None:
    """Remove stretches of the path, at all energies or in a window of them."""
    n_q, n_bins = exposure.shape
    for _ in range(generator.integers(1, 5)):
        start, stop = np.sort(generator.integers(0, n_q + 1, 2))
        stop = min(stop, start + n_q // 3)
        low, high = np.sort(generator.integers(0, n_bins + 1, 2)) if generator.random() < 0.7 else (0, n_bins)
        exposure[start:stop, low:high] = 0.0


def _remove_holes(generator: np.random.Generator, exposure: FloatArray) -> None:
    """Remove what falls between coarse detectors: rows of holes at some energies, evenly spaced along the path."""
    n_q, n_bins = exposure.shape
    for _ in range(generator.integers(1, 6)):
        low = generator.integers(0, n_bins)
        high = low + generator.integers(2, 20)
        period, phase, open_share = generator.uniform(3, 12), generator.random(), generator.uniform(0.2, 0.8)
        closed = (np.arange(n_q) / period + phase) % 1.0 > open_share
        exposure[np.ix_(np.flatnonzero(closed), np.arange(low, min(high, n_bins)))] = 0.0
