"""A sign of a spurion: one spot off the supposed lines stands out from all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.networks.pooling import pool

#: Standard deviations over which counts are pooled, pixels: a spot, and the ring about it whose intensity it is
#: compared with.
_SPOT, _RING = 1.5, (5.0, 12.0)
#: Smooth background among the lines, relative to the height of a line.
_BACKGROUND = 0.1
#: Counts that draw the ratio of two small numbers to 1.
_FEW = 1.0
#: Spots with less exposure than this share of the median one are not looked at.
_EXPOSED = 0.2
#: Spots nearer than this (pixels) are one.
_APART = 10.0
#: Ring exposure, in units of the supposed lines, below which the whole measurement says how bright they are.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Spot:
    """The spot that is brightest, relative to its surroundings.

    Attributes
    ----------
    contrast
        Logarithm of by how much it stands out from the next one; 0 if nothing was measured.
    row, column
        Path point and energy bin of its centre.
    """

    contrast: float
    row: int
    column: int


def brightest_spot(counts: FloatArray, exposure: FloatArray, lines: FloatArray) -> Spot:
    """Find the spot that is brightest for where it lies, and compare it with the next.

    What is expected of a spot is supposed lines times the amplitude that the ring about it has. Lines that are a
    little misplaced, or brighter than their surroundings, leave many spots that are too bright; a spurion is one.

    Parameters
    ----------
    counts, exposure
        Shape (n_q, n_bins); exposure 0 where not covered or masked.
    lines
        Shape (n_q, n_bins): the supposed spectrum with all modes alike, one line alone having height 1.
    """
    covered = exposure > 0
    if not covered.any():
        return Spot(0.0, 0, 0)
    counts = np.where(covered, counts, 0.0)
    shape = exposure * (lines + _BACKGROUND)
    inner, outer = _RING
    in_ring, of_ring = (np.maximum(pool(x, outer) - pool(x, inner), 0.0) for x in (counts, shape))
    amplitude = np.full(counts.shape, counts.sum() / shape.sum())
    np.divide(in_ring, of_ring, out=amplitude, where=of_ring > _NOTHING * shape.sum())
    brightness = np.log((pool(counts, _SPOT) + _FEW) / (pool(shape, _SPOT) * amplitude + _FEW))
    exposed = pool(exposure, _SPOT)
    seen = exposed > _EXPOSED * np.median(exposed[covered])
    brightness[~seen] = -np.inf
    row, column = np.unravel_index(int(brightness.argmax()), brightness.shape)
    rows, columns = np.ogrid[: counts.shape[0], : counts.shape[1]]
    others = seen & ((rows - row) ** 2 + (columns - column) ** 2 > _APART**2)
    # A spot that is as bright as expected is the least that there is to compare with.
    following = float(brightness[others].max(initial=0.0))
    return Spot(max(float(brightness[row, column]) - following, 0.0), int(row), int(column))
