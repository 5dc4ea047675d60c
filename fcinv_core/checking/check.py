"""All checks of a measurement, in three passes over its events with memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fcinv_core.checking.bragg import (
    Misfit,
    Peaks,
    RunMoments,
    RunTurns,
    find_peaks,
    index_peaks,
    judge_orientation,
    refine,
    shortest_vector,
    turns_of_runs,
)
from fcinv_core.checking.bragg_tails import BraggTails, TailHistogram, judge_tails
from fcinv_core.checking.coverage import Coverage, CoverageSums, judge_coverage
from fcinv_core.checking.elastic_line import ElasticHistograms, ElasticLine, judge_elastic_line
from fcinv_core.checking.elastic_map import ElasticMap
from fcinv_core.checking.equivalence import Agreement, RegionSums, judge_agreement
from fcinv_core.checking.exposure import points_per_pixel, trajectory_energies, trajectory_points
from fcinv_core.checking.geometry import Geometry
from fcinv_core.checking.powder_lines import PowderHistogram, PowderPattern, judge_powder_lines
from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events import EventChunk, EventSource, q_from_detectors
from fcinv_core.folding.orientation import find_setting, laue_operations
from fcinv_core.verdict import Finding, Status, worst

#: Told what is being done and which share of it is done.
Progress = Callable[[str, float], None]
#: Distance (1/Å) of events from where their detector puts them that rounding does not explain.
_MISPLACED = 0.01
#: Least distance between Bragg peaks, 1/Å.
_LEAST_SEPARATION, _LARGEST_SEPARATION = 0.1, 0.3


@dataclass(frozen=True, eq=False)
class Check:
    """Everything that was found.

    Attributes
    ----------
    description
        The events, one line.
    crystal
        The structure.
    findings
        The verdict, one for each check.
    elastic_line, coverage
        Always there.
    peaks, misfit, turns, tails, pattern
        None without an elastic line; misfit also with fewer than three indexed peaks.
    agreement
        None if the structure does not fit the UB matrix.
    run_numbers
        Numbers of the runs.
    """

    description: str
    crystal: Crystal
    findings: tuple[Finding, ...]
    elastic_line: ElasticLine
    coverage: Coverage
    peaks: Peaks | None
    misfit: Misfit | None
    turns: RunTurns | None
    tails: BraggTails | None
    pattern: PowderPattern | None
    agreement: Agreement | None
    run_numbers: tuple[int, ...]

    @property
    def status(self) -> Status:
        """The worst of the findings."""
        return worst(self.findings)

    def finding(self, name: str) -> Finding:
        """Return the finding of that name."""
        return next(one for one in self.findings if one.name == name)


@dataclass(frozen=True, eq=False)
class _Cell:
    """The lattice that peaks are compared with."""

    ub: FloatArray
    basis: IntArray
    fits: bool
    reason: str

    @property
    def misfit(self) -> str:
        return "" if self.fits else "the UB matrix belongs to another crystal than the structure"

    @property
    def primitive(self) -> FloatArray:
        return np.asarray(2 * np.pi * self.ub @ self.basis, dtype=float)


def check_events(
    source: EventSource,
    crystal: Crystal,
    *,
    solid_angle: Mapping[int, float] | None = None,
    progress: Progress | None = None,
) -> Check:
    """Look at a measurement as a scatterer does before believing it.

    Parameters
    ----------
    source
        Events with runs and detectors; read three times.
    crystal
        The structure that should have been measured.
    solid_angle
        Detector id to solid angle (a vanadium run); geometric ones by default.
    progress
        Told what is being done and which share of it is done.

    Raises
    ------
    InputError
        If the events are lean, know no detectors, or the runs have no UB matrix.
    """
    geometry = Geometry.of(source, solid_angle)
    cell = _lattice(source, crystal)
    operations = laue_operations(crystal) if cell.fits else None
    numbers = [run.number for run in geometry.runs]

    histograms = ElasticHistograms(source, geometry)
    displaced = 0.0
    for number, chunk in enumerate(_chunks(source, "elastic line", progress)):
        histograms.add(chunk, geometry.place(chunk))
        if number == 0:
            displaced = _displacement(chunk, source)
    line = histograms.analyse()
    found = line.whole is not None
    low = min(run.energy_limits[0] for run in geometry.runs)
    high = max(min(run.energy_limits[1], 0.97 * run.incident_energy) for run in geometry.runs)
    inelastic = line.inelastic_from if found else max(0.1 * geometry.incident_energy, low)
    largest = _largest_q(geometry, low, high)
    to_fraction = np.asarray(np.linalg.inv(cell.primitive), dtype=float) if cell.fits else None

    elastic = ElasticMap(geometry) if found else None
    covered = CoverageSums(largest, (low, high), inelastic, len(numbers), to_fraction)
    regions = (
        RegionSums(crystal, to_fraction, largest, inelastic, high)
        if to_fraction is not None and high > inelastic
        else None
    )
    for chunk in _chunks(source, "Bragg peaks and equivalent regions", progress):
        placed = geometry.place(chunk)
        covered.n_events += len(chunk)
        covered.n_unknown += len(chunk) - len(placed.kept)
        kept = placed.kept
        events = chunk.q_sample[kept], chunk.energy[kept], chunk.signal[kept], chunk.error_squared[kept]
        covered.add(events[0], events[1], placed.run, events[2], events[3])
        if regions is not None:
            regions.add(*events)
        if elastic is not None:
            use = (events[1] > line.window[0]) & (events[1] < line.window[1])
            q = geometry.elastic_q(placed.run[use], placed.pixel[use])
            elastic.add(q, events[2][use], events[3][use])
    share = _expose(source, geometry, (low, high), covered, regions, progress)
    agreement = regions.compare(laue_operations(crystal), share < 1) if regions is not None else None

    peaks = misfit = turns = tails = pattern = None
    if elastic is not None:
        background = elastic.background()
        separation = float(np.clip(0.3 * shortest_vector(cell.primitive), _LEAST_SEPARATION, _LARGEST_SEPARATION))
        found_peaks, labels = find_peaks(elastic, background, separation)
        peaks = index_peaks(found_peaks, cell.ub, cell.basis)
        good = peaks.indexed
        misfit = refine(peaks.position[good], peaks.residual[good], peaks.error[good])
        moments = RunMoments(max(len(peaks), 1), len(numbers))
        powder = PowderHistogram(elastic, background, geometry)
        tail = TailHistogram(cell.primitive, 0.45 * shortest_vector(cell.primitive), line)
        for chunk in _chunks(source, "powder lines and tails", progress):
            placed = geometry.place(chunk)
            energy, signal = chunk.energy[placed.kept], chunk.signal[placed.kept]
            variance = chunk.error_squared[placed.kept]
            tail.add(chunk.q_sample[placed.kept], energy, signal, variance)
            use = (energy > line.window[0]) & (energy < line.window[1])
            q = geometry.elastic_q(placed.run[use], placed.pixel[use])
            powder.add(q, signal[use], variance[use])
            label = labels[elastic.grid.index(q)]
            mine = label >= 0
            moments.add(
                label[mine],
                placed.run[use][mine],
                q[mine] - peaks.position[label[mine]] if mine.any() else q[mine],
                signal[use][mine],
                variance[use][mine],
            )
        pattern = powder.analyse()
        if len(peaks):
            turns = turns_of_runs(moments, peaks, geometry.goniometer, geometry.incident)
        # Around reflections of a wrong UB matrix there is nothing to see.
        tails = tail.analyse(peaks, line) if misfit is not None and good.mean() > 0.5 else None
    coverage = covered.result(operations)
    findings = (
        _orientation(peaks, misfit, turns, largest, numbers, cell, len(numbers)),
        judge_elastic_line(line, geometry),
        judge_powder_lines(pattern)
        if pattern is not None
        else Finding("powder lines", Status.LOOK, "without an elastic line no rings can be looked for."),
        judge_tails(tails),
        judge_agreement(agreement, cell.misfit or "no energies above the elastic line"),
        judge_coverage(coverage, numbers, np.array([run.proton_charge for run in geometry.runs])),
        _consistency(displaced, source),
    )
    return Check(
        description=source.description,
        crystal=crystal,
        findings=findings,
        elastic_line=line,
        coverage=coverage,
        peaks=peaks,
        misfit=misfit,
        turns=turns,
        tails=tails,
        pattern=pattern,
        agreement=agreement,
        run_numbers=tuple(numbers),
    )


def _lattice(source: EventSource, crystal: Crystal) -> _Cell:
    ub = np.asarray(source.require_runs()[0].ub, dtype=float)
    if ub.shape != (3, 3) or not np.isfinite(ub).all() or abs(np.linalg.det(ub)) < 1e-9:
        raise InputError(
            f"{source.description} has no UB matrix", "the sample is not oriented", "index it (SetUB in Mantid)"
        )
    try:
        return _Cell(ub, find_setting(crystal, ub, name="the events").basis, True, "")
    except InputError as error:
        # The other checks still tell something, so this is a finding and not the end.
        return _Cell(ub, np.eye(3, dtype=np.int64), False, f"{error.what}, for {error.why}")


def _orientation(
    peaks: Peaks | None,
    misfit: Misfit | None,
    turns: RunTurns | None,
    largest: float,
    numbers: list[int],
    cell: _Cell,
    n_runs: int,
) -> Finding:
    if peaks is None:
        finding = Finding(
            "orientation", Status.LOOK, "without an elastic line the UB matrix cannot be compared with Bragg peaks."
        )
    else:
        if turns is None:
            turns = RunTurns(np.full(n_runs, np.nan), np.full(n_runs, np.nan), np.zeros(n_runs, dtype=np.int64))
        finding = judge_orientation(peaks, misfit, turns, largest, numbers, cell.ub)
    if cell.fits:
        return finding
    return Finding(
        "orientation",
        Status.BAD,
        f"{cell.reason}: give the structure and the UB matrix of one crystal. Besides, {finding.sentence}",
        finding.numbers,
    )


def _consistency(displaced: float, source: EventSource) -> Finding:
    name, numbers = "consistency", {"median_displacement_per_angstrom": displaced}
    if np.isnan(displaced):
        return Finding(name, Status.LOOK, "no event names a detector that the file knows.", numbers)
    notes = sorted({note for run in source.runs for note in run.notes})
    said = f"events lie {displaced:.4f} 1/Å (median) from where detector, Ei and goniometer put them"
    if displaced > _MISPLACED:
        return Finding(
            name, Status.BAD, f"{said}: Ei, goniometer or detectors do not belong to these events.", numbers
        )
    if notes:
        return Finding(name, Status.LOOK, f"{said}; assumed: {'; '.join(notes)}.", numbers)
    return Finding(name, Status.OK, f"{said}: they belong together.", numbers)


def _displacement(chunk: EventChunk, source: EventSource) -> float:
    some = chunk.between(0, min(len(chunk), 100_000))
    distance = np.linalg.norm(q_from_detectors(some, source) - some.q_sample, axis=1)
    distance = distance[np.isfinite(distance)]
    return float(np.median(distance)) if len(distance) else float("nan")


def _largest_q(geometry: Geometry, low: float, high: float) -> float:
    from fcinv_core.events import NEUTRON_ENERGY

    angle = float(geometry.two_theta[geometry.weight > 0].max())
    initial = float(geometry.incident.max())
    largest = 0.0
    for energy in (low, 0.0, high):
        final = np.sqrt(max(geometry.incident_energy - energy, 0.0) / NEUTRON_ENERGY)
        largest = max(largest, float(np.sqrt(initial**2 + final**2 - 2 * initial * final * np.cos(angle))))
    return largest


def _expose(
    source: EventSource,
    geometry: Geometry,
    limits: tuple[float, float],
    coverage: CoverageSums,
    regions: RegionSums | None,
    progress: Progress | None,
) -> float:
    energies, widths = trajectory_energies(source, *limits)
    share = points_per_pixel(geometry, len(energies))
    for points in trajectory_points(geometry, energies, widths, share):
        coverage.expose(points.q_sample, points.energy, points.weight)
        if regions is not None:
            regions.expose(points.q_sample, points.energy, points.weight)
        if progress is not None:
            progress("exposure", (points.run + 1) / len(geometry.runs))
    return share


def _chunks(source: EventSource, what: str, progress: Progress | None) -> Iterator[EventChunk]:
    done = 0
    for chunk in source.chunks():
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(what, done / max(source.n_events, 1))
