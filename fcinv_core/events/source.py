"""Neutron events in chunks, whatever they come from, with the runs and detectors they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import Detectors, FloatArray, IntArray, Run, momentum_transfer

#: Events in a chunk unless told otherwise: 80 MB, enough to make the loop over chunks cheap.
CHUNK_SIZE = 1_000_000


@dataclass(frozen=True, eq=False)
class EventChunk:
    """Some events (or weighted bins that stand for events) in the sample's frame.

    Attributes
    ----------
    q_sample
        Shape (n, 3): momentum transfer ki - kf in the frame of the sample, 1/Å with the 2 pi.
    energy
        Shape (n,): energy transfer Ei - Ef, meV.
    signal, error_squared
        Shape (n,): weight of each event, and its variance.
    run
        Shape (n,) integers: index into the runs of the source; -1 where the file does not tell.
    detector
        Shape (n,) integers: detector ids; -1 where the file does not tell.
    exposure
        Shape (n,): exposure of each point, in units of signal over intensity, where the source has a
        `PointCoverage`; None for events, whose exposure follows from detectors.
    """

    q_sample: FloatArray
    energy: FloatArray
    signal: FloatArray
    error_squared: FloatArray
    run: IntArray
    detector: IntArray
    exposure: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.energy)

    def between(self, start: int, stop: int) -> EventChunk:
        """Return events ``start`` to ``stop`` - 1; nothing is copied."""
        part = slice(start, stop)
        return EventChunk(
            self.q_sample[part],
            self.energy[part],
            self.signal[part],
            self.error_squared[part],
            self.run[part],
            self.detector[part],
            None if self.exposure is None else self.exposure[part],
        )


#: What is assumed of signals that are intensities already.
NORMALISED = "coverage is that of the voxels, each with weight 1: the file is taken as normalised"


@dataclass(frozen=True, eq=False)
class PointCoverage:
    """Coverage of a source that was measured at its own points and nowhere else: voxels of a histogram.

    Attributes
    ----------
    origin
        Where the exposure of the points is from, one sentence without full stop.
    edges
        Shape (3, 3): edges (rows) of the largest voxel in the frame of the sample, 1/Å; 0 for points.
    """

    origin: str
    edges: FloatArray


@dataclass(frozen=True, eq=False)
class EventSource:
    """Events that can be streamed as often as wanted, in memory that does not grow with their number.

    Attributes
    ----------
    description
        One line for people: files, kind, frame.
    runs
        One entry per goniometer setting; empty where the input has no experiment information.
    detectors
        Detectors of each run, as long as ``runs``; equal ones are the same object.
    n_events
        Number of events, or of bins, masked ones included.
    lean
        True if events carry no run and no detector.
    energy_bin_width
        Width of the energy bins, meV, if all events lie at centres of bins (histogrammed input; the widest
        one where bins differ); None for true events.
    reader
        Called with a number of events, returns the iterator of chunks of at most so many.
    coverage
        For points that carry their own exposure; None where it follows from detectors and goniometer.
    """

    description: str
    runs: tuple[Run, ...]
    detectors: tuple[Detectors, ...]
    n_events: int
    lean: bool
    energy_bin_width: float | None
    reader: Callable[[int], Iterator[EventChunk]]
    coverage: PointCoverage | None = None

    def chunks(self, size: int = CHUNK_SIZE) -> Iterator[EventChunk]:
        """Iterate over all events in chunks of at most ``size``."""
        if size < 1:
            raise ValueError(f"chunk size {size}: a positive number was expected")
        return self.reader(size)

    def require_runs(self) -> tuple[Run, ...]:
        """Return the runs.

        Raises
        ------
        InputError
            If there are none: the input is lean and the caller gave no UB and incident energy.
        """
        if not self.runs:
            raise InputError(
                f"{self.description}: lean event file without experiment info",
                "orientation and incident energy of the sample are not in it",
                "give --ub and --ei",
            )
        return self.runs


def q_from_detectors(chunk: EventChunk, source: EventSource) -> FloatArray:
    """Return Q_sample as it follows from each event's detector, energy and run, (n, 3), 1/Å.

    Compared with the chunk's own Q it tells whether Ei, goniometer, detector positions and energies of a
    file belong together. NaN where the run or the detector of an event is not known.
    """
    q = np.full((len(chunk), 3), np.nan)
    order = np.argsort(chunk.run, kind="stable")
    bounds = np.searchsorted(chunk.run[order], np.arange(len(source.runs) + 1))
    for run, detectors, start, stop in zip(source.runs, source.detectors, bounds[:-1], bounds[1:], strict=True):
        mine = order[start:stop]
        row = detectors.rows(chunk.detector[mine])
        mine, row = mine[row >= 0], row[row >= 0]
        angles = detectors.two_theta[row], detectors.azimuth[row]
        q[mine] = momentum_transfer(run.incident_energy, *angles, chunk.energy[mine]) @ run.goniometer
    return q


def join_sources(sources: Sequence[EventSource]) -> EventSource:
    """Make one source of several: runs one after the other, equal detectors shared.

    Raises
    ------
    InputError
        If events with and without runs are mixed, or inputs of different normalisation.
    """
    if len(sources) == 1:
        return sources[0]
    without = [source.description for source in sources if not source.runs]
    if without and len(without) < len(sources):
        raise InputError(
            f"{without[0]} has no experiment info and other inputs have",
            "their events cannot be told apart",
            "give --ub and --ei, or fold them one by one",
        )
    offsets = np.cumsum([0, *(len(source.runs) for source in sources)])

    def read(size: int) -> Iterator[EventChunk]:
        for source, offset in zip(sources, offsets[:-1], strict=True):
            for chunk in source.reader(size):
                yield replace(chunk, run=np.where(chunk.run < 0, chunk.run, chunk.run + offset))

    widths = [source.energy_bin_width for source in sources]
    known = [width for width in widths if width is not None]
    if known and len(known) < len(widths):
        raise InputError(
            f"{sources[widths.index(None)].description} holds true events and other inputs are histogrammed",
            "their normalisation differs",
            "fold them one by one and merge the results",
        )
    coverages = [source.coverage for source in sources]
    origins = [None if one is None else one.origin for one in coverages]
    if len(set(origins)) > 1:
        raise InputError(
            f"{sources[0].description} and other inputs are normalised differently",
            "; ".join(one or "coverage follows from the detectors" for one in dict.fromkeys(origins)),
            "fold them one by one",
        )
    return EventSource(
        description="; ".join(source.description for source in sources)
        if len(sources) <= 3
        else f"{sources[0].description} and {len(sources) - 1} more",
        runs=tuple(run for source in sources for run in source.runs),
        detectors=shared([detectors for source in sources for detectors in source.detectors]),
        n_events=sum(source.n_events for source in sources),
        lean=any(source.lean for source in sources),
        energy_bin_width=max(known) if known else None,
        reader=read,
        coverage=max(
            (one for one in coverages if one is not None), key=lambda one: np.abs(one.edges).max(), default=None
        ),
    )


def shared(detectors: Sequence[Detectors]) -> tuple[Detectors, ...]:
    """Return the same detectors with every one that equals an earlier one replaced by it."""
    distinct: dict[bytes, Detectors] = {}
    same: dict[int, Detectors] = {}
    for one in detectors:
        if id(one) not in same:
            parts = [one.ids, one.two_theta, one.azimuth, one.distance, one.masked]
            parts += [part for part in (one.solid_angle, one.widths) if part is not None]
            same[id(one)] = distinct.setdefault(b"".join(part.tobytes() for part in parts), one)
    return tuple(same[id(one)] for one in detectors)


def histogram_bin_width(energy: FloatArray, edges: FloatArray | None) -> float | None:
    """Return the (widest) energy bin width if all energies lie at bin centres, else None.

    Parameters
    ----------
    energy
        Shape (n,): energy transfers of a sample of events, meV, in single or double precision.
    edges
        Shape (k + 1,): boundaries of the bins, meV, or None: then equal spacing is looked for.
    """
    rounding = 4 * np.finfo(np.float32).eps * np.abs(energy).max(initial=1.0)
    if edges is not None and len(edges) > 1:
        centres = (edges[1:] + edges[:-1]) / 2
        place = np.clip(np.searchsorted(edges, energy, side="right") - 1, 0, len(centres) - 1)
        widths = np.diff(edges)
        off = np.abs(energy - centres[place]) > np.maximum(1e-4 * widths[place], rounding)
        return None if off.any() or not len(energy) else float(widths.max())
    levels = np.unique(energy)
    # A true event has its own energy: levels that repeat many times are bins.
    if len(levels) < 2 or 10 * len(levels) > len(energy):
        return None
    levels = levels[np.r_[True, np.diff(levels) > rounding]]
    steps = np.diff(levels)
    if not len(steps):
        return None
    multiples = steps / steps.min()
    if np.abs(multiples - np.rint(multiples)).max() > 0.01 + 2 * rounding / steps.min() * multiples.max():
        return None
    return float((levels[-1] - levels[0]) / np.rint(multiples).sum())
