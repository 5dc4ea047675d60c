"""Folding a measurement: events and exposure of every run into cells of zone class, bin and energy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np

import fcinv_core
from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import NEUTRON_ENERGY, Run
from fcinv_core.events.source import EventSource
from fcinv_core.folding.background import fold_background
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.bose import BoseCorrection, bose_factor
from fcinv_core.folding.event_sums import CellSums, Progress, checked_chunks, sum_events
from fcinv_core.folding.folded import Background, Folded
from fcinv_core.folding.normalisation import PixelSize, expose_runs, solid_angles_of
from fcinv_core.folding.orientation import CellSetting, find_setting
from fcinv_core.folding.path_bins import path_bins
from fcinv_core.folding.point_groups import folding_group
from fcinv_core.folding.points import coverage_notes, fold_points
from fcinv_core.folding.run_sets import add_cells, folded_run, joined_run
from fcinv_core.folding.zone_volume import zone_volume
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid


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
        Angular size of the detectors, for the distribution of Q in the bins; by default as their shapes are.
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
    if not settings.runs_apart:
        joined_run(runs)  # says so before the work if they cannot be joined
    setting = find_setting(crystal, runs[0].ub, file_cell=file_cell, name=source.description)
    binning = make_binning(source, crystal, target, settings)
    if progress is not None:
        progress("events", 0, source.n_events)
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

    sets = _sets(runs, settings)
    chunks = checked_chunks(source, progress)

    with ThreadPoolExecutor(threads) as pool:
        exposures: Iterable[CellSums]
        if source.coverage is None:
            data = sum_events(chunks, transforms, sets, binning, settings.grid, pool, threads)
            angles = {id(one): solid_angles_of(one, solid_angles) for one in source.detectors}
            notes += list(dict.fromkeys(sentence for _, sentence in angles.values()))
            exposures = expose_runs(
                source,
                transforms,
                {key: one[0] for key, one in angles.items()},
                settings.grid,
                binning,
                settings.pixel,
                pool,
                threads,
            )
            exposures = _reported(exposures, len(runs), progress)
        else:
            data, exposures = fold_points(chunks, transforms, sets, binning, settings.grid)
            notes += coverage_notes(source, binning, settings.grid)
        first = [runs[k] for k in np.unique(sets, return_index=True)[1]]
        data = [_bose_corrected(run, sums, settings) for run, sums in zip(first, data, strict=True)]
        if settings.runs_apart:
            folded_runs = [folded_run(*one) for one in zip(runs, data, exposures, strict=True)]
        else:
            folded_runs = [folded_run(joined_run(runs), add_cells(data, 3), add_cells(exposures, 10))]
    parts: tuple[Background, ...] = ()
    if background is not None:
        parts = (_background(background, runs, transforms, binning, settings, solid_angles),)
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


def _reported(exposures: Iterable[CellSums], n_runs: int, progress: Progress | None) -> Iterator[CellSums]:
    for k, exposure in enumerate(exposures):
        yield exposure
        if progress is not None:
            progress("exposure", k + 1, n_runs)


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


def _bose_corrected(run: Run, data: CellSums, settings: FoldSettings) -> CellSums:
    if settings.bose == "None" or run.temperature is None:
        return data
    cells, sums = data
    factor = bose_factor(settings.grid.centres, run.temperature, settings.bose)[cells % settings.grid.n_bins]
    return cells, sums * np.stack([factor, factor**2, np.ones_like(factor)], axis=1)


def _notes(source: EventSource, setting: CellSetting) -> list[str]:
    notes = [note for run in source.runs for note in run.notes]
    if setting.strain > 1e-3:
        notes.append(
            f"the cell of the UB matrix is strained by {100 * setting.strain:.2f} % against the structure's"
        )
    if setting.ambiguous:
        notes.append("the metric of the UB matrix fits several settings; the structure's standard cell was taken")
    return notes


def _sets(runs: tuple[Run, ...], settings: FoldSettings) -> IntArray:
    """Set that each run is summed into (n_runs,): its own, or one for all that have the same Bose correction."""
    if settings.runs_apart:
        return np.arange(len(runs))
    if settings.bose == "None":
        return np.zeros(len(runs), dtype=np.int64)
    return np.unique([run.temperature for run in runs], return_inverse=True)[1].ravel()


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
