"""Folding a measurement: events and exposure of every run into cells of zone class, bin and energy."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

import fcinv_core
from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import NEUTRON_ENERGY, Run
from fcinv_core.events.source import EventChunk, EventSource
from fcinv_core.folding.accumulate import add_hits, classify_events
from fcinv_core.folding.background import fold_background
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.bose import BoseCorrection, bose_factor
from fcinv_core.folding.folded import Background, Folded, FoldedRun
from fcinv_core.folding.normalisation import PixelSize, expose_run, solid_angles_of, trajectories
from fcinv_core.folding.orientation import CellSetting, find_setting
from fcinv_core.folding.path_bins import path_bins
from fcinv_core.folding.point_groups import folding_group
from fcinv_core.folding.points import coverage_notes, fold_points
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.folding.zone_volume import zone_volume
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

#: Events that one thread classifies at a time.
_BLOCK = 1 << 17
#: Runs that are held before they are joined, where they are not kept apart.
_JOINED_AT_ONCE = 8
#: progress(what, done, total)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FoldSettings:
    """How to fold.

    Attributes
    ----------
    grid
        Energy bins.
    widths
        Full widths of the bins across the path, 1/Å.
    symmetry_operations
        As MDNorm takes it; the Laue class of the structure by default.
    kikf_applied
        Whether the signals hold the factor ki/kf, as DgsReduction leaves them.
    bose_applied
        Bose correction that the signals hold already.
    bose
        Bose correction to apply while folding: every weight and its error are multiplied by `bose_factor` at the
        middle of its energy bin.
    temperature
        For the Bose correction, K; that of each run by default.
    runs_apart
        Keep the sums of each run. Otherwise all runs are one set under the first number, in less memory.
    pixel
        Angular size of the detectors, for the distribution of Q in the bins; squares of their geometric solid angle
        by default.
    background_frame
        "lab": the background stands still in the laboratory (sample environment) and is turned with every run;
        "sample": it was measured in the sample's own orientations.
    background_scale
        Factor by which the background is subtracted.
    threads
        Number of threads; as many as there are processors by default.
    """

    grid: SpectralGrid
    widths: tuple[float, float] = (0.1, 0.1)
    symmetry_operations: str | None = None
    kikf_applied: bool = True
    bose_applied: BoseCorrection = "None"
    bose: BoseCorrection = "None"
    temperature: float | None = None
    runs_apart: bool = True
    pixel: PixelSize | None = None
    background_frame: str = "lab"
    background_scale: float = 1.0
    threads: int | None = None


def fold(
    source: EventSource,
    crystal: Crystal,
    target: QPath | int,
    settings: FoldSettings,
    *,
    solid_angles: Mapping[int, float] | None = None,
    background: EventSource | None = None,
    file_cell: IntArray | None = None,
    progress: Progress | None = None,
) -> Folded:
    """Fold events into one Brillouin zone, in one pass.

    Parameters
    ----------
    source
        Events with their runs and detectors, or points with their own exposure (`EventSource.coverage`).
    crystal
        The structure.
    target
        A path, or the divisions of a grid over the irreducible zone.
    settings
        How to fold.
    solid_angles
        Detector id to solid angle (`read_solid_angles`); geometric ones by default.
    background
        Events of a background measurement.
    file_cell
        Cell of the structure file (`cell_of_file`), which the UB matrix is taken to index where its metric leaves a
        choice.
    progress
        Called now and then with what is done, and how much of it.

    Raises
    ------
    InputError
        If there is no UB, it belongs to another crystal, energy bins do not fit histogrammed events, detectors are
        not known, points are normalised twice, or the measurement covers none of the bins.
    """
    runs = source.require_runs()
    if source.coverage is None:
        _check_detectors(source)
    else:
        _check_normalised_once(source, settings, solid_angles, background)
    if background is not None:
        _check_detectors(background)
    _check_numbers(source)
    runs = _with_temperatures(runs, settings)
    setting = find_setting(crystal, runs[0].ub, file_cell=file_cell, name=source.description)
    binning = make_binning(source, crystal, target, settings)
    notes = _notes(source, setting)
    transforms = np.array(
        [
            # Runs that were refined one by one differ a little.
            (
                setting
                if np.allclose(run.ub, runs[0].ub, atol=1e-9)
                else find_setting(crystal, run.ub, file_cell=file_cell, name=f"run {run.number}")
            ).from_sample(run.ub)
            for run in runs
        ]
    )
    threads = settings.threads or len(os.sched_getaffinity(0))

    with ThreadPoolExecutor(threads) as pool:
        exposures: Iterable[tuple[IntArray, FloatArray]]
        if source.coverage is None:
            data = _fold_events(source, transforms, binning, settings.grid, pool, threads, progress)
            angles = {id(one): solid_angles_of(one, solid_angles) for one in source.detectors}
            notes += list(dict.fromkeys(sentence for _, sentence in angles.values()))
            exposures = _expose(
                source, transforms, binning, settings, {key: one[0] for key, one in angles.items()}, pool, threads
            )
        else:
            cells, sums, laid = fold_points(_chunks(source, progress), transforms, binning, settings.grid)
            covered = laid[:, 0] > 0
            data = _split_runs(cells, sums, len(runs), binning, settings.grid)
            exposures = _split_runs(cells[covered], laid[covered], len(runs), binning, settings.grid)
            notes += coverage_notes(source, binning, settings.grid)
        folded_runs: list[FoldedRun] = []
        for k, (run, content, exposure) in enumerate(zip(runs, data, exposures, strict=True)):
            folded_runs.append(_folded_run(run, *_bose_corrected(run, *content, settings), *exposure))
            if not settings.runs_apart and len(folded_runs) == _JOINED_AT_ONCE:
                folded_runs = [_join_runs(folded_runs)]
            if progress is not None:
                progress("exposure", k + 1, len(runs))
    parts: tuple[Background, ...] = ()
    if background is not None:
        parts = (_background(background, runs, transforms, binning, settings, solid_angles),)
    if not settings.runs_apart:
        folded_runs = [_join_runs(folded_runs)]
    folded = _compress(
        Folded(
            bins=binning.bins,
            grid=settings.grid,
            zones=binning.classes.zones,
            hkl=binning.classes.hkl,
            runs=tuple(sorted(folded_runs, key=lambda run: run.number)),
            backgrounds=parts,
            overlaps=binning.overlaps(),
            kikf_applied=settings.kikf_applied,
            bose_applied=settings.bose if settings.bose != "None" else settings.bose_applied,
            coverage=None if source.coverage is None else source.coverage.origin,
            notes=tuple(dict.fromkeys(notes)),
            provenance={
                "version": fcinv_core.__version__,
                "source": source.description,
                "events": source.n_events,
                "crystal": crystal.describe(),
                "cell setting": setting.basis.tolist(),
                "settings": asdict(settings),
                "runs": [run.number for run in runs],
            },
        )
    )
    _check_coverage(folded, source)
    return folded


def make_binning(source: EventSource, crystal: Crystal, target: QPath | int, settings: FoldSettings) -> Binning:
    """Make the bins for a measurement: tables reach as far in Q as its runs do."""
    group = folding_group(crystal, settings.symmetry_operations)
    q_max = max(_largest_q(run, settings.grid) for run in source.require_runs())
    if source.coverage is not None:
        # The centre of a voxel lies beyond by half a diagonal at most.
        q_max += float(np.linalg.norm(source.coverage.edges, axis=1).sum()) / 2
    if isinstance(target, QPath):
        return path_bins(crystal, target, settings.widths, group, q_max)
    return zone_volume(crystal, target, group, q_max)


def _largest_q(run: Run, grid: SpectralGrid) -> float:
    lowest = min(max(grid.minimum, run.energy_limits[0]), run.incident_energy)
    return float(
        np.sqrt(run.incident_energy / NEUTRON_ENERGY) + np.sqrt((run.incident_energy - lowest) / NEUTRON_ENERGY)
    )


def _check_detectors(source: EventSource) -> None:
    if source.lean or not all(len(detectors.ids) for detectors in source.detectors):
        raise InputError(
            f"{source.description} does not say which detectors counted",
            "coverage and normalisation follow from detectors and goniometer",
            "save MDEvents (not MDLeanEvents) with their experiment info",
        )


def _check_normalised_once(
    source: EventSource,
    settings: FoldSettings,
    solid_angles: Mapping[int, float] | None,
    background: EventSource | None,
) -> None:
    for given, what in (
        (solid_angles, "solid angles"),
        (settings.pixel, "a pixel size"),
        (background, "a background"),
    ):
        if given is not None:
            raise InputError(
                f"{what} cannot be applied to {source.description}",
                "its voxels are normalised already and do not know their detectors",
                "leave it out, or fold the events",
            )


def _check_numbers(source: EventSource) -> None:
    numbers = [run.number for run in source.runs]
    if len(set(numbers)) < len(numbers):
        twice = next(n for n in numbers if numbers.count(n) > 1)
        raise InputError(f"run {twice} is there twice", "its events would count twice", "name each run once")


def _with_temperatures(runs: tuple[Run, ...], settings: FoldSettings) -> tuple[Run, ...]:
    if settings.temperature is not None:
        runs = tuple(replace(run, temperature=settings.temperature) for run in runs)
    if "None" not in (settings.bose, settings.bose_applied):
        raise InputError(
            f"the Bose correction {settings.bose} of signals that hold {settings.bose_applied}",
            "it would be applied twice",
            "leave one of them out",
        )
    if not settings.bose == settings.bose_applied == "None":
        unknown = [run.number for run in runs if run.temperature is None]
        if unknown:
            raise InputError(
                f"run {unknown[0]} has no temperature", "the Bose correction needs it", "give it in the settings"
            )
    return runs


def _bose_corrected(
    run: Run, cells: IntArray, data: FloatArray, settings: FoldSettings
) -> tuple[IntArray, FloatArray]:
    if settings.bose == "None" or run.temperature is None:
        return cells, data
    factor = bose_factor(settings.grid.centres, run.temperature, settings.bose)[cells % settings.grid.n_bins]
    return cells, data * np.stack([factor, factor**2, np.ones_like(factor)], axis=1)


def _notes(source: EventSource, setting: CellSetting) -> list[str]:
    notes = [note for run in source.runs for note in run.notes]
    if setting.strain > 1e-3:
        notes.append(
            f"the cell of the UB matrix is strained by {100 * setting.strain:.2f} % against the structure's"
        )
    if setting.ambiguous:
        notes.append("the metric of the UB matrix fits several settings; the structure's standard cell was taken")
    return notes


def _fold_events(
    source: EventSource,
    transforms: FloatArray,
    binning: Binning,
    grid: SpectralGrid,
    pool: ThreadPoolExecutor,
    threads: int,
    progress: Progress | None,
) -> list[tuple[IntArray, FloatArray]]:
    """Cells and sums (k, 3) of signal, variance and counts of each run."""
    n_rows, n_bins = len(binning.classes.zones), len(binning.bins)
    sums = [SparseSums(3) for _ in range(threads)]
    for chunk in _chunks(source, progress):
        q = np.ascontiguousarray(chunk.q_sample, dtype=float)
        energy, signal, variance = (
            np.ascontiguousarray(column, dtype=float)
            for column in (chunk.energy, chunk.signal, chunk.error_squared)
        )
        run = np.ascontiguousarray(chunk.run, dtype=np.int64)
        size = len(chunk)

        def classify(
            start: int,
            q: FloatArray = q,
            energy: FloatArray = energy,
            run: IntArray = run,
            size: int = size,
        ) -> list[tuple[IntArray, NDArray[np.int32], int]]:
            parts, stop = [], min(start + _BLOCK, size)
            keys, events = np.empty(2 * _BLOCK, np.int64), np.empty(2 * _BLOCK, np.int32)
            while start < stop:
                start, hits = classify_events(
                    q,
                    energy,
                    run,
                    transforms,
                    (grid.minimum, 1 / grid.width, grid.n_bins),
                    n_rows,
                    n_bins,
                    binning.lookup,
                    start,
                    stop,
                    keys,
                    events,
                )
                parts.append((keys[:hits].copy(), events[:hits].copy(), hits))
            return parts

        found = [part for parts in pool.map(classify, range(0, size, _BLOCK)) for part in parts]

        def add(
            part: int,
            found: list[tuple[IntArray, NDArray[np.int32], int]] = found,
            signal: FloatArray = signal,
            variance: FloatArray = variance,
        ) -> None:
            for keys, events, hits in found:
                hit = _Hits(keys, events, hits, signal, variance, part, threads)
                sums[part].fill(hit.add, hits)

        list(pool.map(add, range(threads)))
    contents = [one.content() for one in sums]
    cells = np.concatenate([content[0] for content in contents])
    values = np.concatenate([content[1] for content in contents])
    order = np.argsort(cells)
    return _split_runs(cells[order], values[order], len(transforms), binning, grid)


def _chunks(source: EventSource, progress: Progress | None) -> Iterator[EventChunk]:
    """Yield the chunks of a source, checked; progress is that of whoever takes the next one."""
    done = 0
    for chunk in source.chunks():
        _check_runs(chunk, source)
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress("events", done, source.n_events)


def _split_runs(
    cells: IntArray, values: FloatArray, n_runs: int, binning: Binning, grid: SpectralGrid
) -> list[tuple[IntArray, FloatArray]]:
    """Cells and sums of each run, of cells (k,) that are numbered through all runs, ascending."""
    size = len(binning.classes.zones) * len(binning.bins) * grid.n_bins
    edges = np.searchsorted(cells, size * np.arange(n_runs + 1))
    return [(cells[a:b] - k * size, values[a:b]) for k, (a, b) in enumerate(itertools.pairwise(edges))]


@dataclass(frozen=True, eq=False)
class _Hits:
    """Hits of a block of events, and the part of the cells that a thread adds them to."""

    keys: IntArray
    events: NDArray[np.int32]
    n: int
    signal: FloatArray
    variance: FloatArray
    part: int
    parts: int

    def add(self, start: int, cells: IntArray, values: FloatArray, filled: int) -> tuple[int, int]:
        """Add the hits from ``start`` on, as `SparseSums.fill` asks."""
        return add_hits(  # type: ignore[no-any-return]
            self.keys,
            self.events,
            self.n,
            self.signal,
            self.variance,
            self.part,
            self.parts,
            start,
            cells,
            values,
            filled,
        )


def _check_runs(chunk: EventChunk, source: EventSource) -> None:
    outside = (chunk.run < 0) | (chunk.run >= len(source.runs))
    if outside.any():
        raise InputError(
            f"{source.description} holds events of runs that it does not describe",
            f"run index {int(chunk.run[outside][0])}, {len(source.runs)} runs",
            "save it again with the experiment info of every run",
        )


def _expose(
    source: EventSource,
    transforms: FloatArray,
    binning: Binning,
    settings: FoldSettings,
    solid_angles: Mapping[int, FloatArray],
    pool: ThreadPoolExecutor,
    threads: int,
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield cells and sums (k, 10) of exposure of each run in order, a few runs ahead of the reader."""
    smallest = float(binning.bins.widths.min())

    def expose(k: int) -> tuple[IntArray, FloatArray]:
        run, detectors = source.runs[k], source.detectors[k]
        points = trajectories(run, settings.grid, source.energy_bin_width, smallest)
        return expose_run(
            run,
            detectors,
            solid_angles[id(detectors)],
            transforms[k],
            points,
            settings.grid,
            binning,
            settings.pixel,
        )

    waiting = iter(range(len(source.runs)))
    ahead = collections.deque(pool.submit(expose, k) for k in itertools.islice(waiting, 2 * threads))
    while ahead:
        result = ahead.popleft().result()
        ahead.extend(pool.submit(expose, k) for k in itertools.islice(waiting, 1))
        yield result


def _folded_run(
    run: Run, data_cells: IntArray, data: FloatArray, exposure_cells: IntArray, exposure: FloatArray
) -> FoldedRun:
    total = exposure[:, :1]
    return FoldedRun(
        number=run.number,
        incident_energy=run.incident_energy,
        proton_charge=run.proton_charge,
        goniometer=np.asarray(run.goniometer, dtype=float),
        temperature=run.temperature,
        data_cells=data_cells,
        signal=data[:, 0].copy(),
        variance=data[:, 1].copy(),
        counts=data[:, 2].copy(),
        exposure_cells=exposure_cells,
        exposure=exposure[:, 0].copy(),
        # Single precision: 1e-7 of a bin is far below what any model resolves, and there are many cells.
        offset=(exposure[:, 1:4] / total).astype(np.float32),
        square=(exposure[:, 4:] / total).astype(np.float32),
    )


def _join_runs(runs: list[FoldedRun]) -> FoldedRun:
    data_cells, data = _add_cells(
        [(run.data_cells, np.stack([run.signal, run.variance, run.counts], axis=1)) for run in runs]
    )
    cells, exposure = _add_cells(
        [
            (
                run.exposure_cells,
                run.exposure[:, None]
                * np.concatenate([np.ones((len(run.offset), 1)), run.offset, run.square], axis=1),
            )
            for run in runs
        ]
    )
    first = runs[0]
    energies = np.array([run.incident_energy for run in runs])
    if np.ptp(energies) > 0.01 * energies.mean():
        raise InputError(
            "runs of several incident energies cannot be one set",
            f"{energies.min():g} to {energies.max():g} meV",
            "keep the runs apart",
        )
    total = exposure[:, :1]
    return FoldedRun(
        number=first.number,
        incident_energy=float(energies.mean()),
        proton_charge=sum(run.proton_charge for run in runs),
        goniometer=first.goniometer,
        temperature=first.temperature,
        data_cells=data_cells,
        signal=data[:, 0],
        variance=data[:, 1],
        counts=data[:, 2],
        exposure_cells=cells,
        exposure=exposure[:, 0],
        offset=(exposure[:, 1:4] / total).astype(np.float32),
        square=(exposure[:, 4:] / total).astype(np.float32),
    )


def _add_cells(parts: list[tuple[IntArray, FloatArray]]) -> tuple[IntArray, FloatArray]:
    cells = np.unique(np.concatenate([part[0] for part in parts]))
    sums = np.zeros((len(cells), parts[0][1].shape[1]))
    for part, values in parts:
        sums[np.searchsorted(cells, part)] += values
    return cells, sums


def _background(
    background: EventSource,
    runs: tuple[Run, ...],
    transforms: FloatArray,
    binning: Binning,
    settings: FoldSettings,
    stated: Mapping[int, float] | None,
) -> Background:
    part = fold_background(
        background,
        runs,
        transforms,
        binning,
        settings.grid,
        {id(one): solid_angles_of(one, stated)[0] for one in background.detectors},
        settings.background_frame,
        settings.background_scale,
    )
    if settings.bose == "None":
        return part
    temperatures = {run.temperature for run in runs}
    if len(temperatures) > 1:
        raise InputError(
            "the Bose correction of a background needs one temperature",
            f"the runs have {len(temperatures)}",
            "give the temperature in the settings",
        )
    [temperature] = temperatures
    assert temperature is not None
    factor = bose_factor(settings.grid.centres, temperature, settings.bose)[part.cells % settings.grid.n_bins]
    return replace(part, signal=part.signal * factor, variance=part.variance * factor**2)


def _compress(folded: Folded) -> Folded:
    """Leave out zone classes that nothing covers and no event reaches."""
    size = folded.shape[1] * folded.shape[2]
    used = np.unique(
        np.concatenate(
            [np.unique(part // size) for run in folded.runs for part in (run.data_cells, run.exposure_cells)]
            + [np.unique(part.cells // size) for part in folded.backgrounds]
        )
    )
    return folded.only_zones(used)


def _check_coverage(folded: Folded, source: EventSource) -> None:
    if not any(len(run.exposure_cells) for run in folded.runs):
        low = min(run.energy_limits[0] for run in source.runs)
        high = max(run.energy_limits[1] for run in source.runs)
        raise InputError(
            f"{source.description} covers none of the bins",
            f"its energies run from {low:g} to {high:g} meV, the bins from {folded.grid.minimum:g} to "
            f"{folded.grid.maximum:g} meV",
            "check the energies, the path and the UB matrix",
        )
