"""Reading SaveMD's MDEvent files: MDEvent and MDLeanEvent, in Q_sample, Q_lab or HKL, old and new columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcinv_core.errors import InputError
from fcinv_core.events.axes import Axes, Axis, decoded, find_axes
from fcinv_core.events.experiment import NO_DETECTORS, FloatArray, IntArray, Run, stated_run
from fcinv_core.events.experiment_info import read_experiments
from fcinv_core.events.source import EventChunk, EventSource, histogram_bin_width
from fcinv_core.hdf5 import open_hdf5

#: Leading columns by their number; newer versions of Mantid added the goniometer.
LEADING_COLUMNS = {
    2: ("signal", "errorSquared"),
    4: ("signal", "errorSquared", "expInfoIndex", "detectorId"),
    5: ("signal", "errorSquared", "expInfoIndex", "goniometerIndex", "detectorId"),
}
#: Blocks and events in each that are looked at to tell bins from true events.
SAMPLE_BLOCKS, SAMPLE_ROWS = 20, 2000
#: Rows converted at once, so that a matrix for each event stays small.
BLOCK_SIZE = 65_536


def open_mdevent(
    path: Path,
    *,
    ub: ArrayLike | None = None,
    incident_energy: float | None = None,
    goniometer: ArrayLike | None = None,
) -> EventSource:
    """Open an MDEvent file; events stay on disk.

    Parameters
    ----------
    path
        File written by Mantid's SaveMD, or by :func:`write_mdevent`.
    ub, incident_energy
        Take the place of what the file has: shape (3, 3), 1/Å without the 2 pi; meV.
    goniometer
        Shape (3, 3), Q_lab = R Q_sample: for files without experiment info.

    Raises
    ------
    InputError
        If it is damaged, not four-dimensional, in an unknown frame or without events, or if UB or Ei are
        neither in the file nor given.
    """
    name = str(path)
    with open_hdf5(path) as file:
        entry = file["MDEventWorkspace"]
        axes = _axes(entry, name)
        dataset = _dataset(entry, name)
        segments = _segments(entry, dataset.shape[0], name)
        n_events = int((segments[:, 1] - segments[:, 0]).sum())
        if n_events == 0:
            raise InputError(f"{name} holds no events", "its boxes are empty", "check the reduction that wrote it")
        columns = _columns(dataset, len(axes.q) + 1, name)
        extents = _energy_extents(entry, axes.energy)
        experiments = read_experiments(entry, extents, ub=ub, incident_energy=incident_energy, name=name)
        runs = tuple(run for one in experiments for run in one.runs)
        detectors = tuple(one.detectors for one in experiments for _ in one.runs)
        lean = "expInfoIndex" not in columns
        given_r = None if goniometer is None else np.asarray(goniometer, dtype=float)
        given_ub = None if ub is None else np.asarray(ub, dtype=float)
        if not runs and given_ub is not None and incident_energy is not None:
            runs = (stated_run(given_ub, incident_energy, extents, goniometer=given_r),)
            detectors = (NO_DETECTORS,)
        # (h, k, l) of the file were made with the file's own UB, whatever the caller gives.
        hkl = axes.frame == "HKL"
        matrices = np.array(
            [
                axes.to_q_sample(
                    run.goniometer,
                    run.ub if one.stored_ub is None else one.stored_ub,
                    one.projection if hkl else np.eye(3),
                    name,
                )
                for one in experiments
                for run in one.runs
            ]
            or [axes.to_q_sample(given_r, given_ub, None if hkl else np.eye(3), name)]
        )
        if lean and not (matrices == matrices[0]).all():
            raise InputError(
                f"{name} holds lean events of {len(runs)} runs in {axes.frame}",
                "they do not tell their run, hence not the rotation of the sample",
                "save it in Q_sample, or with full events",
            )
        layout = _Layout(
            path=path,
            columns=columns,
            axes=axes,
            segments=segments,
            first_run=np.cumsum([0, *(len(one.runs) for one in experiments)]),
            matrices=matrices,
            run=0 if len(runs) == 1 else -1,
        )
        width = _bin_width(dataset, segments, layout, runs)

    return EventSource(
        description=f"{path.name}, {n_events} events in {axes.frame}, {len(runs)} run{'s' * (len(runs) != 1)}",
        runs=runs,
        detectors=detectors,
        n_events=n_events,
        lean=lean,
        energy_bin_width=width,
        reader=layout.read,
    )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where events stand in a file and what their columns mean.

    ``segments`` (s, 2) are row ranges, ``first_run`` (e + 1,) the first run of each experiment, ``matrices``
    (r, 3, 3) turn the file's Q into Q_sample for each run, ``run`` is the index for events that tell none.
    """

    path: Path
    columns: dict[str, int]
    axes: Axes
    segments: IntArray
    first_run: IntArray
    matrices: FloatArray
    run: int

    @property
    def n_leading(self) -> int:
        """Number of columns before the coordinates."""
        return len(self.columns)

    def read(self, size: int) -> Iterator[EventChunk]:
        """Iterate over the file in chunks of at most ``size`` events."""
        with open_hdf5(self.path) as file:
            dataset = file["MDEventWorkspace/event_data/event_data"]
            for start, stop in self.segments.tolist():
                for first in range(start, stop, size):
                    try:
                        rows = dataset[first : min(first + size, stop)]
                    except OSError as error:
                        raise InputError(
                            f"{self.path} is damaged", f"events from {first} on cannot be read", "copy it again"
                        ) from error
                    yield self.chunk(rows)

    def chunk(self, rows: NDArray[np.float32]) -> EventChunk:
        """Turn rows of the file into events."""
        n = len(rows)
        if "expInfoIndex" in self.columns:
            run = self.run_index(rows)
            detector = rows[:, self.columns["detectorId"]].astype(np.int64)
        else:
            run, detector = np.full(n, self.run), np.full(n, -1)
        return EventChunk(
            q_sample=self.q_sample(rows, run),
            energy=rows[:, self.n_leading + self.axes.energy].astype(np.float64),
            signal=rows[:, self.columns["signal"]].astype(np.float64),
            error_squared=rows[:, self.columns["errorSquared"]].astype(np.float64),
            run=run,
            detector=detector,
        )

    def run_index(self, rows: NDArray[np.float32]) -> IntArray:
        """Index of each row's run, (n,): that of its experiment and goniometer setting."""
        experiment = rows[:, self.columns["expInfoIndex"]].astype(np.int64)
        n_experiments = len(self.first_run) - 1
        if n_experiments == 0:
            return np.full(len(rows), self.run)
        if experiment.min(initial=0) < 0 or experiment.max(initial=0) >= n_experiments:
            raise InputError(
                f"{self.path} holds events of experiment {experiment.max()}",
                f"it has {n_experiments} experiment infos",
                "save it again in Mantid",
            )
        run = self.first_run[experiment]
        if "goniometerIndex" in self.columns:
            setting = rows[:, self.columns["goniometerIndex"]].astype(np.int64)
            # With a single goniometer, versions differ in what they store as its index.
            last = self.first_run[experiment + 1] - run - 1
            run = run + np.clip(setting, 0, last)
        return run

    def q_sample(self, rows: NDArray[np.float32], run: IntArray) -> FloatArray:
        """Q of each row in the sample's frame, (n, 3), 1/Å."""
        q = rows[:, self.n_leading + self.axes.q].astype(np.float64)
        first = self.matrices[0]
        if (self.matrices == first).all():
            return q if (first == np.eye(3)).all() else q @ first.T
        for start in range(0, len(q), BLOCK_SIZE):
            part = slice(start, start + BLOCK_SIZE)
            q[part] = np.einsum("nij,nj->ni", self.matrices[run[part]], q[part])
        return q


def _axes(entry: Any, name: str) -> Axes:
    n_dimensions = int(np.ravel(entry["dimensions"][()])[0]) if "dimensions" in entry else 0
    texts = [entry.attrs.get(f"dimension{k}") for k in range(n_dimensions)]
    if not texts or any(text is None for text in texts):
        raise InputError(f"{name} is damaged", "its dimensions are not described", "save it again in Mantid")
    system = entry.get("coordinate_system")
    return find_axes(
        [Axis.from_xml(decoded(text)) for text in texts],
        None if system is None else int(np.ravel(system[()])[0]),
        decoded(entry.attrs.get("QConvention", "Inelastic")),
        name,
    )


def _dataset(entry: Any, name: str) -> Any:
    dataset = entry.get("event_data/event_data")
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 2:
        raise InputError(f"{name} holds no events", "its table of events is missing", "save it again in Mantid")
    return dataset


def _columns(dataset: Any, n_dimensions: int, name: str) -> dict[str, int]:
    n_leading = dataset.shape[1] - n_dimensions
    text = decoded(dataset.attrs.get("description", ""))
    # The description says which they are; the count decides where it is missing, as in Mantid.
    names = [part.strip() for part in text.split("center")[0].split(",") if part.strip()]
    names = ["expInfoIndex" if one == "runIndex" else one for one in names]
    known = LEADING_COLUMNS.get(n_leading)
    if known is None or (len(names) == n_leading and set(names) != set(known)):
        raise InputError(
            f"{name} has an unknown layout of events",
            f"{dataset.shape[1]} columns: {text or 'not described'}",
            "save it with a version of Mantid between 3 and 6",
        )
    return {one: k for k, one in enumerate(names if len(names) == n_leading else known)}


def _segments(entry: Any, n_rows: int, name: str) -> IntArray:
    """Row ranges (start, stop) that hold events, shape (s, 2): those of the leaf boxes, merged."""
    boxes = entry.get("box_structure")
    if boxes is None or "box_event_index" not in boxes:
        return np.array([[0, n_rows]])
    ranges = boxes["box_event_index"][()].astype(np.int64)[boxes["box_type"][()] == 1]
    ranges = ranges[ranges[:, 1] > 0]
    ranges = ranges[np.argsort(ranges[:, 0])]
    starts, stops = ranges[:, 0], ranges.sum(axis=1)
    if len(stops) and stops.max() > n_rows:
        raise InputError(
            f"{name} is truncated",
            f"its boxes point to {stops.max()} events and {n_rows} are there",
            "copy or save it again",
        )
    new = np.r_[True, starts[1:] > stops[:-1]] if len(starts) else np.empty(0, dtype=bool)
    last = np.r_[new[1:], True] if len(starts) else new
    return np.stack([starts[new], stops[last]], axis=1)


def _energy_extents(entry: Any, column: int) -> tuple[float, float]:
    """Lowest and highest energy of the outermost box (the dimensions' XML has four decimals only)."""
    extents = entry.get("box_structure/extents")
    if extents is None or not len(extents):
        return -np.inf, np.inf
    low, high = extents[0, 2 * column : 2 * column + 2]
    return float(low), float(high)


def _bin_width(dataset: Any, segments: IntArray, layout: _Layout, runs: tuple[Run, ...]) -> float | None:
    first, last = int(segments[0, 0]), int(segments[-1, 1])
    # Blocks that overlap would show true events twice, and so as if they lay in bins.
    step = max(SAMPLE_ROWS, (last - first) // SAMPLE_BLOCKS)
    starts = np.arange(first, last, step)
    blocks = []
    for start in starts.tolist():
        place = np.searchsorted(segments[:, 0], start, side="right") - 1
        stop = min(start + SAMPLE_ROWS, int(segments[place, 1]))
        if stop > start:
            blocks.append(layout.chunk(dataset[start:stop]))
    energy = np.concatenate([block.energy for block in blocks])
    run = np.concatenate([block.run for block in blocks])
    widths = []
    for index in np.unique(run).tolist():
        edges = runs[index].energy_edges if 0 <= index < len(runs) else None
        widths.append(histogram_bin_width(energy[run == index], edges))
    known = [width for width in widths if width is not None]
    return max(known) if len(known) == len(widths) else None
