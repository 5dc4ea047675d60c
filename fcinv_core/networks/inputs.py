"""From a measurement on its own path points and energies to the image that a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

BoolArray = NDArray[np.bool_]
FloatArray32 = NDArray[np.float32]

#: "coverage": intensity scaled by its 99th percentile, and how well each pixel was covered; "minmax": the plain
#: min-max scaling of Sable et al., one channel.
Scaling = Literal["coverage", "minmax"]
#: Share of the exposure that lies in pixels of an intensity below the scale.
_SCALE_QUANTILE = 0.99
#: Expected counts at the scaled intensity 1 beyond which a pixel is free of noise; it bounds the second channel.
NOISE_FREE = 1e5
#: Distance between the pieces of a path on the axis that joins them, larger than any piece.
_APART = 1e3
#: High-symmetry points of two paths closer than this, in fractions of the reciprocal basis, are the same.
_SAME_POINT = 1e-3


@dataclass(frozen=True)
class InputScaling:
    """How counts and exposure become an image.

    Attributes
    ----------
    scaling
        See `Scaling`.
    elastic
        Energy bins that reach below this energy are masked, meV: the elastic line outshines the phonons.
    """

    scaling: Scaling
    elastic: float

    @property
    def n_channels(self) -> int:
        """Number of channels of an image."""
        return 2 if self.scaling == "coverage" else 1


@dataclass(frozen=True, eq=False)
class Image:
    """What a network sees of a measurement.

    Attributes
    ----------
    channels
        Shape (c, n_q, n_bins): scaled intensity, 0 where not covered; with the scaling "coverage" also
        log(1 + counts expected at the scaled intensity 1).
    covered
        Shape (n_q, n_bins).
    scale
        Intensity that was scaled to 1.
    """

    channels: FloatArray32
    covered: BoolArray
    scale: float


def resample(
    counts: FloatArray, exposure: FloatArray, path: QPath, grid: SpectralGrid, to_path: QPath, to_grid: SpectralGrid
) -> tuple[FloatArray, FloatArray]:
    """Bring counts and exposure to other points of the same path and other energy bins.

    Every bin gives what it holds to the new bins in proportion to the overlap, along the path (from half-way to
    one neighbour to half-way to the other, in fractions of each segment) as along the energy, so that sums are
    kept and the intensity, counts / exposure, is averaged.

    Parameters
    ----------
    counts, exposure
        Shape (n_points, n_energies); pixels that are not finite, or without exposure, are not covered.
    path, grid
        Where they were measured.
    to_path, to_grid
        Where they are wanted.

    Returns
    -------
    Counts and exposure, shape (n_to_points, n_to_energies).

    Raises
    ------
    InputError
        If the shapes do not fit, counts or exposure are negative, or the two paths have other segments.
    """
    counts, exposure = checked(counts, exposure, (path.n_points, grid.n_bins))
    if segment_names(path) != segment_names(to_path) or not _same_ends(path, to_path):
        raise InputError(
            f"the measurement lies along {segment_names(path)}",
            f"the network was trained on {segment_names(to_path)}",
            f'fold the events again with --path "{segment_names(to_path)}"',
        )
    along = _overlap(_path_cells(path), _path_cells(to_path))
    edges, to_edges = grid.edges, to_grid.edges
    across = _overlap((edges[:-1], edges[1:]), (to_edges[:-1], to_edges[1:]))
    return along @ counts @ across.T, along @ exposure @ across.T


def checked(counts: FloatArray, exposure: FloatArray, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return counts and exposure with zeros where there was no coverage, whatever stood there.

    Raises
    ------
    InputError
        If shapes do not fit, covered counts or exposures are negative, or nothing is covered.
    """
    counts, exposure = np.asarray(counts, dtype=float), np.asarray(exposure, dtype=float)
    if counts.shape != shape or exposure.shape != shape:
        raise InputError(
            f"counts of shape {counts.shape} with exposure of shape {exposure.shape}",
            f"{shape[0]} path points by {shape[1]} energies were expected",
            "give both on the path and energies that are named",
        )
    covered = np.isfinite(counts) & np.isfinite(exposure) & (exposure != 0)
    if not covered.any():
        raise InputError(
            "the measurement covers nothing", "no pixel has a finite count and an exposure", "check what was folded"
        )
    counts, exposure = np.where(covered, counts, 0.0), np.where(covered, exposure, 0.0)
    for name, values in (("counts", counts), ("exposure", exposure)):
        if values.min() < 0:
            raise InputError(
                f"the measurement holds negative {name}",
                f"down to {values.min():.3g}, where 0 or more was expected",
                "give effective counts and their exposure before any background is subtracted",
            )
    return counts, exposure


def image_of(counts: FloatArray, exposure: FloatArray, grid: SpectralGrid, scaling: InputScaling) -> Image:
    """Scale a measurement on the network's own path and grid.

    Parameters
    ----------
    counts, exposure
        Shape (n_q, n_bins): counts are Poisson with mean intensity times exposure; exposure 0 is no coverage.
    grid
        Energy bins.
    scaling
        How.

    Raises
    ------
    InputError
        If nothing outside of the elastic line is covered.
    """
    covered = (exposure > 0) & (grid.edges[:-1] >= scaling.elastic - 1e-9 * grid.width)
    if not covered.any():
        raise InputError(
            "the measurement covers none of the network's energies",
            f"those from {max(scaling.elastic, grid.minimum):g} to {grid.maximum:g} meV were expected",
            "check the energy range of the fold",
        )
    inside, weight = counts[covered] / exposure[covered], exposure[covered]
    intensity = np.zeros(counts.shape, dtype=np.float32)
    if scaling.scaling == "minmax":
        lowest, highest = float(inside.min()), float(inside.max())
        scale = highest - lowest or 1.0
        intensity[covered] = (inside - lowest) / scale
        return Image(intensity[None], covered, scale)
    scale = weighted_quantile(inside, weight, _SCALE_QUANTILE) or float(inside.max()) or 1.0
    intensity[covered] = inside / scale
    expected = np.zeros_like(intensity)
    expected[covered] = np.log1p(np.minimum(weight * scale, NOISE_FREE))
    return Image(np.stack([intensity, expected]), covered, scale)


def counts_of(channels: FloatArray32) -> tuple[FloatArray, FloatArray]:
    """Return counts and exposure that an image (c, n_q, n_bins) stands for, up to one unit of the exposure.

    An image with the plain scaling does not say: all of it counts as covered, and as free of noise.
    """
    intensity = np.asarray(channels[0], dtype=float)
    exposure = np.full_like(intensity, NOISE_FREE) if len(channels) == 1 else np.expm1(channels[1].astype(float))
    return intensity * exposure, exposure


def weighted_quantile(values: FloatArray, weights: FloatArray, quantile: float) -> float:
    """Return the smallest value that at least the share ``quantile`` of the weight does not exceed."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    place = np.searchsorted(cumulative, quantile * cumulative[-1])
    return float(values[order[min(place, len(order) - 1)]])


def segment_names(path: QPath) -> str:
    """Return the segments as `fcinv fold --path` takes them, such as "Γ-X-U|K-Γ-L"."""
    labels = [label for _, label in path.tick_labels]
    return "-".join(labels)


def _same_ends(one: QPath, other: QPath) -> bool:
    ends = [path.q[[index for index, _ in path.ticks]] for path in (one, other)]
    return bool(np.abs(ends[0] - ends[1]).max() < _SAME_POINT)


def _path_cells(path: QPath) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the cell of each point, in segments: the same on every sampling of a path."""
    ticks = np.array([index for index, _ in path.ticks])
    # A tick that follows a break shares its number with the end before the break.
    piece_of_tick = np.searchsorted([piece.stop for piece in path.pieces], ticks, side="right")
    number = np.arange(len(ticks)) + _APART * piece_of_tick
    lower, upper = np.empty(path.n_points), np.empty(path.n_points)
    for piece in path.pieces:
        inside = (ticks >= piece.start) & (ticks < piece.stop)
        place = np.interp(np.arange(piece.start, piece.stop), ticks[inside], number[inside])
        middle = (place[1:] + place[:-1]) / 2
        lower[piece] = np.concatenate([place[:1], middle])
        upper[piece] = np.concatenate([middle, place[-1:]])
    return lower, upper


def _overlap(cells: tuple[FloatArray, FloatArray], to_cells: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Share of each cell that falls into each new cell, shape (n_to, n)."""
    (lower, upper), (to_lower, to_upper) = cells, to_cells
    shared = np.minimum(upper, to_upper[:, None]) - np.maximum(lower, to_lower[:, None])
    return np.asarray(np.clip(shared, 0.0, None) / (upper - lower))
