"""What the cells of a fold are: bins in reciprocal space, zone classes, and the tables that find them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.folding.accumulate import MAX_HITS, bins_of_points
from fcinv_core.folding.lookup import BinLookup
from fcinv_core.folding.zones import ZoneClasses
from fcinv_core.qpath import QPath

#: Points per bin by which shared volume is measured.
_OVERLAP_POINTS = 512


@dataclass(frozen=True, eq=False)
class Bins:
    """Where the bins of a folded measurement lie.

    Attributes
    ----------
    crystal
        The structure.
    group
        Shape (g, 3, 3) integers: folding operations on fractions of the primitive reciprocal basis.
    q
        Shape (n_bins, 3): centres, fractions of the primitive reciprocal basis.
    axes
        Shape (n_bins, 3, 3): Cartesian unit vectors (rows) of the local frame: along the path, u, v.
    widths
        Shape (n_bins, 3): full widths along those axes, 1/Å (cells of a grid: those of the sphere of equal volume).
    weight
        Shape (n_bins,): how many q of the whole zone a bin stands for; 1 on a path.
    path
        The path whose points the bins belong to; None for a grid.
    divisions
        Divisions of the primitive reciprocal basis vectors; None for a path.
    """

    crystal: Crystal
    group: IntArray
    q: FloatArray
    axes: FloatArray
    widths: FloatArray
    weight: FloatArray
    path: QPath | None
    divisions: int | None

    def __len__(self) -> int:
        return len(self.q)

    def same_as(self, other: Bins) -> bool:
        """Whether the bins are the same, so that cells can be added."""
        return (
            self.divisions == other.divisions
            and self.q.shape == other.q.shape
            and np.array_equal(self.group, other.group)
            and all(
                np.allclose(a, b, rtol=0, atol=1e-9)
                for a, b in (
                    (self.crystal.lattice, other.crystal.lattice),
                    (self.q, other.q),
                    (self.axes, other.axes),
                    (self.widths, other.widths),
                )
            )
        )


@dataclass(frozen=True, eq=False)
class Binning:
    """Bins with what it takes to find those of an event.

    Attributes
    ----------
    bins
        Where the bins lie.
    classes
        Zone classes and their tables.
    lookup
        Tables for the compiled loops.
    q_max
        Largest |Q| that the tables hold, 1/Å.
    """

    bins: Bins
    classes: ZoneClasses
    lookup: BinLookup
    q_max: float

    def overlaps(self) -> tuple[tuple[int, int, float], ...]:
        """Bins that share events: (bin, other bin, share of the bin's volume), for every ordered pair.

        Star arms near Γ, and the corner of two segments, share volume; such bins are not independent. Measured
        on a fixed set of points in each box, so shares below 1 % may be missed. Cells of a grid share nothing.
        """
        if self.bins.path is None:
            return ()
        n_bins = len(self.bins)
        # A Halton sequence fills a box evenly with few points.
        unit = np.stack([_halton(base, _OVERLAP_POINTS) for base in (2, 3, 5)], axis=1) - 0.5
        to_fraction = np.linalg.inv(self.bins.crystal.reciprocal_lattice)
        local = unit[None] * self.bins.widths[:, None, :] * (1 - 1e-9)
        q = self.bins.q[:, None, :] + (local @ self.bins.axes) @ to_fraction
        counts, found, _ = find_bins_of(self.lookup, q.reshape(-1, 3))
        owner = np.repeat(np.arange(n_bins), _OVERLAP_POINTS)
        valid = np.arange(MAX_HITS) < counts[:, None]
        pairs = owner[np.nonzero(valid)[0]] * n_bins + found[valid]
        values, numbers = np.unique(pairs, return_counts=True)
        return tuple(
            (value // n_bins, value % n_bins, number / _OVERLAP_POINTS)
            for value, number in zip(values.tolist(), numbers.tolist(), strict=True)
            if value // n_bins != value % n_bins
        )


def find_bins_of(lookup: BinLookup, q: FloatArray) -> tuple[IntArray, NDArray[np.int32], NDArray[np.int32]]:
    """Find the bins of momentum transfers, by the function that folds events.

    Parameters
    ----------
    lookup
        Tables of a binning.
    q
        Shape (n, 3): Q in fractions of the primitive reciprocal basis, zone included.

    Returns
    -------
    Number of bins of each (n,); bins and zone classes (n, MAX_HITS), valid up to that number.
    """
    counts = np.zeros(len(q), dtype=np.int64)
    bins = np.full((len(q), MAX_HITS), -1, dtype=np.int32)
    rows = np.full((len(q), MAX_HITS), -1, dtype=np.int32)
    bins_of_points(np.ascontiguousarray(q, dtype=float), lookup, counts, bins, rows)
    return counts, bins, rows


def list_voxels(
    voxels: int, maps: FloatArray, centre: FloatArray, reach: FloatArray
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """List, for each voxel of the unit cell, the images that may reach into it.

    Parameters
    ----------
    voxels
        Number of voxels along each axis.
    maps
        Shape (n_images, 12): affine maps of `BinLookup`.
    centre, reach
        Shape (n_images, 3): middle and half size of each image's box in mapped coordinates.

    Returns
    -------
    ``voxel_start`` (voxels³ + 1,) and ``voxel_images``.
    """
    # A voxel's extent along a mapped axis: half the sum of the map's components over the voxel's edges.
    linear = maps.reshape(-1, 3, 4)[:, :, :3]
    margin = reach + np.abs(linear).sum(axis=2) / (2 * voxels) + 1e-9
    counts = np.zeros(voxels**3 + 1, dtype=np.int64)
    _visit_voxels(voxels, maps, centre, margin, counts, np.empty(0, np.int32), 0)
    start = np.concatenate([[0], np.cumsum(counts[:-1])])
    images = np.empty(start[-1], dtype=np.int32)
    _visit_voxels(voxels, maps, centre, margin, start[:-1].copy(), images, 1)
    return start.astype(np.int32), images


@numba.njit(nogil=True, cache=True)
def _visit_voxels(voxels, maps, centre, margin, place, images, fill):  # type: ignore[no-untyped-def]
    """Count (``fill`` 0) or write down (1) the images of each voxel."""
    for image in range(len(maps)):
        for i in range(voxels):
            for j in range(voxels):
                low, high = 0.0, voxels - 1.0
                for axis in range(3):
                    m = maps[image, 4 * axis : 4 * axis + 4]
                    rest = m[0] * (i + 0.5) / voxels + m[1] * (j + 0.5) / voxels + m[3] - centre[image, axis]
                    slope = m[2] / voxels
                    if abs(slope) < 1e-12:
                        if abs(rest) > margin[image, axis]:
                            high = -1.0
                            break
                    else:
                        one = (-margin[image, axis] - rest) / slope - 0.5
                        other = (margin[image, axis] - rest) / slope - 0.5
                        low, high = max(low, min(one, other)), min(high, max(one, other))
                for k in range(math.ceil(low), math.floor(high) + 1):
                    voxel = (i * voxels + j) * voxels + k
                    if fill == 1:
                        images[place[voxel]] = image
                    place[voxel] += 1


def _halton(base: int, n: int) -> FloatArray:
    values = np.zeros(n)
    index, share = np.arange(1, n + 1), 1.0
    while index.any():
        share /= base
        values += share * (index % base)
        index = index // base
    return values
