"""Exposure: how long every detector looked at every point of its trajectory through (Q, E)."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray, IntArray, check_readable
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import NEUTRON_ENERGY, Detectors, Run
from fcinv_core.events.source import EventSource
from fcinv_core.folding.accumulate import lay_exposure
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.spectrum import SpectralGrid

#: Largest step in Q between points of a trajectory, as a share of the smallest width of the bins.
STEP_SHARE = 0.5
#: Detectors take their points at so many different places within a step, so that the sum over detectors sees a
#: finer step than any of them.
_N_SETS = 8
#: Edges of energy bins closer than this share of a bin are the same.
_EDGE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Points along the trajectories of one run, the same for all its detectors.

    Attributes
    ----------
    k_final
        Shape (s, p): final wavevector, 1/Å; detectors take the s sets in turn.
    k_spread
        Shape (p,): standard deviation of the wavevector over what a point stands for, 1/Å.
    energy_bin
        Shape (p,): energy bin.
    energy_width
        Shape (p,): width in energy that a point stands for, meV.
    """

    k_final: FloatArray
    k_spread: FloatArray
    energy_bin: IntArray
    energy_width: FloatArray


@dataclass(frozen=True)
class PixelSize:
    """Angular size of the detector pixels: full widths, rad, in the horizontal and in the vertical direction."""

    horizontal: float
    vertical: float


def trajectories(run: Run, grid: SpectralGrid, bin_width: float | None, smallest_width: float) -> Trajectories:
    """Choose the points at which exposure is laid.

    True events: each energy bin is cut so finely that Q moves by less than half of the smallest bin width, at
    places that differ from detector to detector.
    Histogrammed input has its events at the centres of its own bins, so exposure is laid there and nowhere else;
    otherwise data and exposure of a pixel would fall into different cells.

    Parameters
    ----------
    run
        Incident energy, energy limits and, if stored, the edges of its energy bins.
    grid
        Energy bins of the fold.
    bin_width
        Width of the energy bins of histogrammed input, meV; None for true events.
    smallest_width
        Smallest width of the bins in Q, 1/Å.

    Raises
    ------
    InputError
        If the energy bins of the fold are not made of whole bins of histogrammed input.
    """
    low = max(run.energy_limits[0], grid.minimum)
    high = min(run.energy_limits[1], grid.maximum, run.incident_energy)
    if bin_width is not None:
        edges = _input_edges(run, bin_width)
        _check_whole_bins(edges, grid, run)
        centres, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        inside = (centres > grid.minimum) & (centres < grid.maximum) & (centres < run.incident_energy)
        centres, widths = centres[inside], widths[inside]
    else:
        bottoms, widths_of = [], []
        for k in range(grid.n_bins):
            bottom, top = max(low, grid.edges[k]), min(high, grid.edges[k + 1])
            if not top > bottom:
                continue
            travel = _wavevector(run.incident_energy - bottom) - _wavevector(run.incident_energy - top)
            n = max(1, int(np.ceil(travel / (STEP_SHARE * smallest_width))))
            bottoms.append(bottom + np.arange(n) * (top - bottom) / n)
            widths_of.append(np.full(n, (top - bottom) / n))
        if not bottoms:
            return Trajectories(np.empty((1, 0)), np.empty(0), np.empty(0, np.int64), np.empty(0))
        widths = np.concatenate(widths_of)
        centres = np.concatenate(bottoms) + widths / 2
        # Neighbouring detectors take places that are far apart: 0, 5, 2, 7 ... of 8.
        places = (5 * np.arange(_N_SETS) % _N_SETS + 0.5) / _N_SETS - 0.5
    energies = centres + places[:, None] * widths if bin_width is None else centres[None, :]
    bins = np.floor((centres - grid.minimum) * (1 / grid.width)).astype(np.int64)
    fastest = _wavevector(run.incident_energy - (centres - widths / 2))
    slowest = _wavevector(np.maximum(run.incident_energy - (centres + widths / 2), 0.0))
    return Trajectories(
        k_final=_wavevector(run.incident_energy - energies),
        k_spread=(fastest - slowest) / np.sqrt(12),
        energy_bin=np.clip(bins, 0, grid.n_bins - 1),
        energy_width=widths,
    )


def _wavevector(energy: FloatArray | float) -> FloatArray:
    return np.asarray(np.sqrt(np.asarray(energy) / NEUTRON_ENERGY))


def _input_edges(run: Run, bin_width: float) -> FloatArray:
    if run.energy_edges is not None:
        return np.asarray(run.energy_edges, dtype=float)
    n = round((run.energy_limits[1] - run.energy_limits[0]) / bin_width)
    return np.asarray(run.energy_limits[0] + bin_width * np.arange(n + 1), dtype=float)


def _check_whole_bins(edges: FloatArray, grid: SpectralGrid, run: Run) -> None:
    wanted = grid.edges[(grid.edges >= edges[0]) & (grid.edges <= edges[-1])]
    nearest = np.abs(wanted[:, None] - edges[None, :]).min(axis=1) if len(wanted) else np.empty(0)
    width = float(np.diff(edges).min())
    if len(nearest) and nearest.max() > _EDGE_TOLERANCE * width:
        worst = float(wanted[nearest.argmax()])
        raise InputError(
            f"energy bins of {grid.width:g} meV from {grid.minimum:g} meV cut the bins of run {run.number}",
            f"the events are histogrammed in bins of {width:g} meV from {edges[0]:g} meV, and the edge at "
            f"{worst:g} meV lies inside one",
            f"choose a multiple of {width:g} meV that starts at one of its edges",
        )


def expose_run(
    run: Run,
    detectors: Detectors,
    solid_angle: FloatArray,
    to_fraction: FloatArray,
    points: Trajectories,
    grid: SpectralGrid,
    binning: Binning,
    pixel: PixelSize | None = None,
) -> tuple[IntArray, FloatArray]:
    """Lay the exposure of a run into cells.

    Parameters
    ----------
    run
        Goniometer, incident energy, proton charge.
    detectors
        Where they stand; masked ones are left out.
    solid_angle
        Shape (m,): of each detector.
    to_fraction
        Shape (3, 3): Q_sample to fractions of the primitive reciprocal basis.
    points
        From `trajectories`.
    grid, binning
        What the cells are.
    pixel
        Size of a detector, which widens the distribution of Q in the bins; by default that of its shape, or of a
        square of its geometric solid angle. Its exposure is laid at its centre.

    Returns
    -------
    Cells (k,), ascending, and sums (k, 10) of `lay_exposure`.
    """
    use = ~detectors.masked & (solid_angle > 0)
    directions = _directions(detectors.two_theta[use], detectors.azimuth[use])
    weights = solid_angle[use] * run.proton_charge
    from_lab = to_fraction @ np.asarray(run.goniometer).T
    sums = SparseSums(10, 64 * max(points.k_final.shape[1], 1024))
    turned = np.ascontiguousarray(directions @ from_lab.T)
    tangents = np.ascontiguousarray(_tangents(detectors, use, directions, pixel) @ from_lab.T)
    origin = from_lab @ np.array([0.0, 0.0, float(_wavevector(run.incident_energy))])

    def add(start: int, cells: IntArray, values: FloatArray, filled: int) -> tuple[int, int]:
        return lay_exposure(  # type: ignore[no-any-return]
            origin,
            turned,
            tangents,
            weights,
            points.k_final,
            points.k_spread,
            points.energy_bin,
            points.energy_width,
            len(binning.bins),
            grid.n_bins,
            binning.lookup,
            start,
            cells,
            values,
            filled,
        )

    sums.fill(add, len(turned))
    return sums.content()


def expose_runs(
    source: EventSource,
    transforms: FloatArray,
    solid_angles: Mapping[int, FloatArray],
    grid: SpectralGrid,
    binning: Binning,
    pixel: PixelSize | None,
    pool: ThreadPoolExecutor,
    threads: int,
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield what `expose_run` gives for each run of a source in order, computed a few runs ahead of the reader.

    Parameters
    ----------
    source
        Runs and detectors.
    transforms
        Shape (n_runs, 3, 3): Q_sample to fractions of the primitive reciprocal basis.
    solid_angles
        id() of the detectors of a run to their solid angles (m,).
    grid, binning, pixel
        As for `expose_run`.
    pool, threads
        Threads to work in, and their number.
    """
    smallest = float(binning.bins.widths.min())

    def expose(k: int) -> tuple[IntArray, FloatArray]:
        run, detectors = source.runs[k], source.detectors[k]
        points = trajectories(run, grid, source.energy_bin_width, smallest)
        return expose_run(run, detectors, solid_angles[id(detectors)], transforms[k], points, grid, binning, pixel)

    waiting = iter(range(len(source.runs)))
    ahead = collections.deque(pool.submit(expose, k) for k in itertools.islice(waiting, 2 * threads))
    while ahead:
        result = ahead.popleft().result()
        ahead.extend(pool.submit(expose, k) for k in itertools.islice(waiting, 1))
        yield result


def _directions(two_theta: FloatArray, azimuth: FloatArray) -> FloatArray:
    across = np.sin(two_theta)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.cos(two_theta)], axis=1)


def _tangents(
    detectors: Detectors, use: NDArray[np.bool_], directions: FloatArray, pixel: PixelSize | None
) -> FloatArray:
    """Standard deviations of the direction over each detector's face, horizontal and vertical, shape (m, 2, 3)."""
    horizontal = np.stack([directions[:, 2], np.zeros(len(directions)), -directions[:, 0]], axis=1)
    horizontal /= np.maximum(np.linalg.norm(horizontal, axis=1, keepdims=True), 1e-12)
    vertical = np.cross(directions, horizontal)
    if pixel is not None:
        widths = np.broadcast_to([pixel.horizontal, pixel.vertical], (len(directions), 2))
    elif detectors.widths is not None:
        widths = detectors.widths[use]
    elif detectors.solid_angle is not None:
        widths = np.sqrt(np.maximum(detectors.solid_angle[use], 0.0))[:, None] * np.ones(2)
    else:
        widths = np.zeros((len(directions), 2))
    return np.asarray(np.stack([horizontal, vertical], axis=1) * (widths / np.sqrt(12))[:, :, None])


def read_solid_angles(path: Path) -> Mapping[int, float]:
    """Read the solid angle (a vanadium run, summed over time) of each detector from a SaveNexusProcessed file.

    A spectrum of several detectors gives each of them its share; NaN and negative values count as 0, as masked.

    Returns
    -------
    Detector id to solid angle, in the file's own unit.

    Raises
    ------
    InputError
        If the file is not a processed workspace with one value for each spectrum.
    """
    check_readable(path, "a solid angle file (SaveNexusProcessed)")
    try:
        with h5py.File(path, "r") as file:
            entry = next(iter(file.values()))
            values = np.asarray(entry["workspace/values"][()], dtype=float)
            instrument = entry["instrument/detector"]
            count = np.asarray(instrument["detector_count"][()], dtype=np.int64)
            ids = np.asarray(instrument["detector_list"][()], dtype=np.int64)
    except (OSError, KeyError, StopIteration, AttributeError) as error:
        raise InputError(
            f"{path} does not hold solid angles",
            "a workspace written by SaveNexusProcessed, with its detectors, was expected",
            "save the vanadium run with SaveNexusProcessed",
        ) from error
    if values.ndim != 2 or len(values) != len(count) or count.sum() != len(ids):
        raise InputError(
            f"{path} does not hold solid angles",
            f"{values.shape} values do not fit {len(count)} spectra of {len(ids)} detectors",
            "integrate the vanadium run to one value a spectrum",
        )
    return solid_angles_by_detector(values, count, ids)


def solid_angles_by_detector(values: FloatArray, count: IntArray, ids: IntArray) -> Mapping[int, float]:
    """Give each detector its share of its spectrum's solid angle; NaN and negative values count as 0.

    Parameters
    ----------
    values
        Shape (n, k): what each of n spectra holds, summed over k.
    count
        Shape (n,): number of detectors of each spectrum.
    ids
        Shape (sum of count,): their ids, spectrum by spectrum.

    Returns
    -------
    Detector id to solid angle, in the unit of ``values``.
    """
    total = np.nan_to_num(values.sum(axis=1), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    each = np.repeat(total / np.maximum(count, 1), count)
    return dict(zip(ids.tolist(), each.tolist(), strict=True))


def solid_angles_of(detectors: Detectors, stated: Mapping[int, float] | None) -> tuple[FloatArray, str]:
    """Return the solid angle of each detector, shape (m,), and a sentence that says where it is from.

    Raises
    ------
    InputError
        If the stated ones belong to other detectors.
    """
    if stated is not None:
        values = np.array([stated.get(int(number), 0.0) for number in detectors.ids])
        share = float(np.mean(values[~detectors.masked] > 0)) if (~detectors.masked).any() else 0.0
        if share < 0.5:
            raise InputError(
                "the solid angle file belongs to other detectors",
                f"it names {100 * share:.0f} % of those in the event file",
                "give the vanadium run of the same instrument and grouping",
            )
        return values, "solid angles as given"
    if detectors.solid_angle is not None and np.any(detectors.solid_angle > 0):
        return np.asarray(detectors.solid_angle, dtype=float), (
            "no solid angle file was given: geometric solid angles, detector efficiencies taken as equal"
        )
    return np.ones(len(detectors.ids)), (
        "no solid angle file was given and the shapes of the pixels are not known: all detectors count the same"
    )
