"""A map of elastic intensity and exposure over Q_sample, in which Bragg peaks stand out from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from fcinv_core.checking.geometry import Geometry
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.events.experiment import BoolArray

#: Edge of a voxel, 1/Å: finer than any peak at the least, coarse enough to tell peaks at the most.
_FINEST, _COARSEST = 0.02, 0.12
#: Most voxels of a map: 8 million take 400 MB with all sums.
_MOST_VOXELS = 6_000_000
#: Width of the shells in |Q| over which the background is averaged, 1/Å.
_SHELL = 0.05
#: Standard deviations, and multiples of the background, above which a voxel belongs to a peak.
_PEAK_SIGMA, _PEAK_CONTRAST = 6.0, 3.0
#: Effective counts that a voxel of a peak has at least.
_PEAK_COUNTS = 6.0
#: Counts beyond those of a normal distribution: Poisson's tail is longer, and there are millions of voxels.
_TAIL_COUNTS = 8.0


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """Cubic voxels that cover a box in Q_sample.

    Attributes
    ----------
    origin
        Shape (3,): lower corner, 1/Å.
    width
        Edge of a voxel, 1/Å.
    shape
        Number of voxels along x, y, z.
    """

    origin: FloatArray
    width: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, geometry: Geometry) -> VoxelGrid:
        """Cover all elastic momentum transfers; voxels follow the spacing of the pixels."""
        lower, upper = np.full(3, np.inf), np.full(3, -np.inf)
        spacing = _COARSEST
        for k, q, _ in geometry.elastic_exposure():
            lower, upper = np.minimum(lower, q.min(axis=0)), np.maximum(upper, q.max(axis=0))
            if k == 0:
                spacing = 0.75 * _nearest_spacing(q)
        width = float(np.clip(spacing, _FINEST, _COARSEST))
        while np.prod(np.ceil((upper - lower) / width) + 3) > _MOST_VOXELS:
            width *= 1.1
        shape = np.ceil((upper - lower) / width).astype(int) + 3
        return cls(lower - 1.25 * width, width, (int(shape[0]), int(shape[1]), int(shape[2])))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def index(self, q: FloatArray) -> IntArray:
        """Return the voxel (flat) of each Q (n, 3)."""
        i = np.floor((q - self.origin) / self.width).astype(np.int64)
        i = np.clip(i, 0, np.array(self.shape) - 1)
        return np.asarray((i[:, 0] * self.shape[1] + i[:, 1]) * self.shape[2] + i[:, 2])

    def centres(self, index: IntArray) -> FloatArray:
        """Return the centres (n, 3) of voxels, 1/Å."""
        return np.asarray(self.origin + (np.stack(np.unravel_index(index, self.shape), axis=1) + 0.5) * self.width)


class ElasticMap:
    """Sums over voxels: weight, variance and first moment of elastic events, and exposure."""

    def __init__(self, geometry: Geometry) -> None:
        self.grid = VoxelGrid.around(geometry)
        n = self.grid.size
        self.exposure, self.signal, self.variance = np.zeros(n), np.zeros(n), np.zeros(n)
        self.moment = np.zeros((n, 3), dtype=np.float32)
        for _, q, weight in geometry.elastic_exposure():
            np.add.at(self.exposure, self.grid.index(q), weight)

    def add(self, q: FloatArray, signal: FloatArray, variance: FloatArray) -> None:
        """Add elastic events: Q_sample at zero energy (n, 3), weights (n,) and variances (n,)."""
        index = self.grid.index(q)
        np.add.at(self.signal, index, signal)
        np.add.at(self.variance, index, variance)
        inside = (q - self.grid.centres(index)) * signal[:, None]
        for k in range(3):
            np.add.at(self.moment[:, k], index, inside[:, k].astype(np.float32))

    def background(self) -> ElasticBackground:
        """Find the level of elastic intensity in shells of |Q|, and the voxels that stand out from it."""
        grid = self.grid
        covered = np.flatnonzero(self.exposure > 0)
        length = np.linalg.norm(grid.centres(covered), axis=1)
        shell = (length / max(_SHELL, grid.width)).astype(np.int64)
        n = int(shell.max()) + 1
        signal, exposure, variance = self.signal[covered], self.exposure[covered], self.variance[covered]
        total, squares = float(signal.sum()), float(variance.sum())
        gain = squares / total if total > 0 else 1.0
        kept = np.ones(len(covered), dtype=bool)
        level = np.zeros(n)
        for _ in range(6):
            below = np.bincount(shell[kept], exposure[kept], minlength=n)
            level = np.bincount(shell[kept], signal[kept], minlength=n) / np.maximum(below, 1e-300)
            # The gain of the quiet part: a few events of huge weight in Bragg peaks must not hide peaks.
            quiet = float(signal[kept].sum())
            gain = float(variance[kept].sum()) / quiet if quiet > 0 else gain
            expected = level[shell] * exposure
            kept = signal - expected < 4 * np.sqrt(gain * expected) + 4 * gain
        expected = np.zeros(grid.size)
        expected[covered] = level[shell] * exposure
        add = {"size": 3, "mode": "constant"}
        cube = 27.0
        signals, expectations, variances, exposures = (
            ndimage.uniform_filter(one.reshape(grid.shape), **add) * cube
            for one in (self.signal, expected, self.variance, self.exposure)
        )
        # Filters of running sums leave rounding errors where all is zero.
        floor = 1e-9 * max(total, 1e-300)
        expectations = np.maximum(expectations, 0.0)
        excess = signals - expectations
        counts = np.where(variances > 1e-9 * max(squares, 1e-300), signals**2 / np.maximum(variances, 1e-300), 0.0)
        peak = (
            (excess > _PEAK_SIGMA * np.sqrt(gain * expectations) + _TAIL_COUNTS * gain + floor)
            & (excess > (_PEAK_CONTRAST - 1) * expectations)
            & (counts > _PEAK_COUNTS)
        )
        rate = np.where(peak, excess / np.maximum(exposures, 1e-300), 0.0)
        return ElasticBackground(expected, gain, peak, rate)


@dataclass(frozen=True, eq=False)
class ElasticBackground:
    """Level of elastic intensity without peaks, and where peaks stand out.

    Attributes
    ----------
    expected
        Shape (v,): weight that the level of its shell gives each voxel.
    gain
        Variance over weight of events: 1 for plain counts.
    peak
        Shape of the grid, bool: voxels that stand out together with their neighbours.
    rate
        Shape of the grid: excess over exposure of these, 0 elsewhere.
    """

    expected: FloatArray
    gain: float
    peak: BoolArray
    rate: FloatArray

    @cached_property
    def masked(self) -> BoolArray:
        """Shape (v,): voxels in or beside a peak, which say nothing of powder lines."""
        return np.asarray(ndimage.binary_dilation(self.peak, iterations=3).ravel())


def _nearest_spacing(q: FloatArray) -> float:
    """Median distance (1/Å) of pixels from their nearest neighbour in one run."""
    from scipy.spatial import cKDTree

    if len(q) < 2:
        return _COARSEST
    some = q[:: max(1, len(q) // 2000)]
    distance, _ = cKDTree(q).query(some, k=2)
    return float(np.median(distance[:, 1]))
