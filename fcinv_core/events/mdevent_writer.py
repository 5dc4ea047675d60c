"""Writing MDEvent files in the layout of Mantid's SaveMD, streaming, with memory that stays flat."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import Detectors, FloatArray, IntArray, Run
from fcinv_core.events.source import EventChunk
from fcinv_core.files import replace_when_complete

N_COLUMNS = 8
DESCRIPTION = "signal, errorSquared, runIndex, detectorId, center (each dim.)"
#: Rows in a stored chunk of the table of events, as SaveMD has it.
ROWS = 10_000
#: Events per leaf box to aim at, and the finest grid of boxes along each dimension.
EVENTS_PER_BOX, MOST_SPLITS = 1000, 10
#: Events that are sorted into boxes at once.
SORTED_AT_ONCE = 500_000
#: Single precision holds whole numbers up to here: ids and runs beyond would change.
LARGEST_ID = 2**24
MARGIN = 1e-3  # 1/Å and meV, so that no event lies on the upper face of the outermost box
DIMENSIONS = (
    ("Q1", "Q_sample_x", "Angstrom^-1", "QSample"),
    ("Q2", "Q_sample_y", "Angstrom^-1", "QSample"),
    ("Q3", "Q_sample_z", "Angstrom^-1", "QSample"),
    ("DeltaE", "DeltaE", "DeltaE", "DeltaE"),
)


def write_mdevent(
    path: Path,
    chunks: Iterable[EventChunk],
    runs: Sequence[Run],
    detectors: Sequence[Detectors] | Detectors,
    *,
    instrument_name: str,
    instrument_xml: str,
    title: str = "",
    provenance: Mapping[str, str] | None = None,
    compression: int = 4,
) -> int:
    """Write events in Q_sample to a file that Mantid's LoadMD, and :func:`open_events`, read.

    Events are kept in scratch files in the same folder while they are sorted into boxes (64 bytes each), so
    memory does not grow with their number.

    Parameters
    ----------
    path
        Where to write; replaced only when complete.
    chunks
        The events; runs and detectors must be known for each. Stored in single precision.
    runs, detectors
        What the events refer to; one set of detectors, or one for each run.
    instrument_name, instrument_xml
        Name, and text of the instrument definition, which Mantid needs to load the experiment info.
    title
        Title of the workspace.
    provenance
        Texts that are stored as logs of the first run.
    compression
        Level of gzip for the table of events, 1 to 9; 0 leaves it plain, as SaveMD does: larger and read faster.

    Returns
    -------
    int
        Number of events written.

    Raises
    ------
    InputError
        If there are no events or runs, an event refers to no run, or an id is too large for the format.
    """
    each = [detectors] * len(runs) if isinstance(detectors, Detectors) else list(detectors)
    if not runs or len(each) != len(runs):
        raise InputError(
            f"{path} cannot be written",
            f"there are {len(each)} sets of detectors for {len(runs)} runs",
            "give at least one run, and one set of detectors or one for each run",
        )
    with replace_when_complete(path) as temporary:
        with (
            tempfile.TemporaryFile(dir=temporary.parent) as arrived,
            tempfile.TemporaryFile(dir=temporary.parent) as ordered,
            h5py.File(temporary, "w") as file,
        ):
            lower, upper, n_events = _spool(chunks, arrived, len(runs), path)
            # The outermost box tells readers which energies were kept, also where no event fell.
            kept = [limit for run in runs for limit in run.energy_limits if np.isfinite(limit)]
            lower[3], upper[3] = min([lower[3], *kept]), max([upper[3], *kept])
            boxes = _Boxes.around(lower, upper, n_events)
            table = _sort(arrived, ordered, boxes, n_events)
            file.attrs["HDF5_Version"] = np.bytes_(h5py.version.hdf5_version)
            file.attrs["file_name"] = np.bytes_(Path(path).name)
            entry = _group(file, "MDEventWorkspace", "NXentry")
            _header(entry, boxes, title)
            _event_table(entry, ordered, n_events, compression)
            _box_structure(entry, boxes, table)
            first_with: dict[int, str] = {}
            for number, (run, one) in enumerate(zip(runs, each, strict=True)):
                experiment = _group(entry, f"experiment{number}", "NXgroup", version=1)
                if id(one) in first_with:  # a hard link: readers see the same layout, and nothing is doubled
                    experiment["instrument"] = entry[first_with[id(one)]]
                else:
                    _instrument(experiment, one, instrument_name, instrument_xml)
                    first_with[id(one)] = f"experiment{number}/instrument"
                _logs(experiment, run, len(one.ids), (provenance or {}) if number == 0 else {})
                _sample(experiment, run)
            _group(entry, "process", "NXprocess")
        with h5py.File(temporary, "r") as file:
            written = file["MDEventWorkspace/event_data/event_data"].shape[0]
        if written != n_events:
            raise InputError(
                f"{path} cannot be written", f"{written} of {n_events} events arrived on disk", "check the disk"
            )
    return n_events


@dataclass(frozen=True, eq=False)
class _Boxes:
    """A regular grid of leaf boxes: lower and upper corner (4,), number of boxes along each dimension."""

    lower: FloatArray
    upper: FloatArray
    splits: int

    @classmethod
    def around(cls, lower: FloatArray, upper: FloatArray, n_events: int) -> _Boxes:
        """Choose a grid with about ``EVENTS_PER_BOX`` events in each box."""
        splits = int(np.clip(np.rint((n_events / EVENTS_PER_BOX) ** 0.25), 1, MOST_SPLITS))
        # Dimensions are described with four decimals: let the boxes have exactly those bounds.
        return cls(np.floor((lower - MARGIN) * 1e4) / 1e4, np.ceil((upper + MARGIN) * 1e4) / 1e4, splits)

    @property
    def n_leaves(self) -> int:
        return int(self.splits**4)

    def index(self, coordinates: NDArray[np.float32]) -> IntArray:
        """Leaf box of each event, (n,): the first dimension runs fastest, as in Mantid."""
        place = (coordinates.astype(np.float64) - self.lower) / (self.upper - self.lower) * self.splits
        return np.clip(place.astype(np.int64), 0, self.splits - 1) @ (self.splits ** np.arange(4))

    def extents(self) -> FloatArray:
        """Lower and upper bound of each leaf in each dimension, (n_leaves, 8)."""
        steps = np.arange(self.n_leaves)[:, None] // (self.splits ** np.arange(4)) % self.splits
        width = (self.upper - self.lower) / self.splits
        bounds = np.stack([self.lower + steps * width, self.lower + (steps + 1) * width], axis=2)
        return bounds.reshape(-1, 8)


def _spool(chunks: Iterable[EventChunk], arrived: IO[bytes], n_runs: int, path: Path) -> tuple[Any, Any, int]:
    """Append events as rows to a scratch file; return their bounds (4,), (4,) and number."""
    lower, upper, n_events = np.full(4, np.inf), np.full(4, -np.inf), 0
    for chunk in chunks:
        if not len(chunk):
            continue
        if chunk.run.min() < 0 or chunk.run.max() >= n_runs:
            raise InputError(
                f"{path} cannot be written",
                f"events refer to runs {chunk.run.min()} to {chunk.run.max()} of {n_runs}",
                "give every event its run",
            )
        if chunk.detector.max() >= LARGEST_ID or chunk.run.max() >= 2**16 - 2:
            raise InputError(
                f"{path} cannot be written",
                f"detector id {chunk.detector.max()} or run {chunk.run.max()} does not fit the format",
                f"use detector ids below {LARGEST_ID} and fewer than {2**16 - 2} runs",
            )
        rows = np.empty((len(chunk), N_COLUMNS), dtype=np.float32)
        rows[:, 0], rows[:, 1] = chunk.signal, chunk.error_squared
        rows[:, 2], rows[:, 3] = chunk.run, chunk.detector
        rows[:, 4:7], rows[:, 7] = chunk.q_sample, chunk.energy
        lower = np.minimum(lower, rows[:, 4:].min(axis=0))
        upper = np.maximum(upper, rows[:, 4:].max(axis=0))
        arrived.write(rows.tobytes())
        n_events += len(rows)
    if n_events == 0 or not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise InputError(
            f"{path} cannot be written", f"{n_events} events with finite Q and energy", "check their source"
        )
    return lower, upper, n_events


def _blocks(scratch: IO[bytes], n_events: int, size: int) -> Iterable[NDArray[np.float32]]:
    scratch.seek(0)
    for start in range(0, n_events, size):
        n = min(size, n_events - start)
        yield np.frombuffer(scratch.read(n * N_COLUMNS * 4), dtype=np.float32).reshape(n, N_COLUMNS)


def _sort(arrived: IO[bytes], ordered: IO[bytes], boxes: _Boxes, n_events: int) -> FloatArray:
    """Copy events box by box; return number, signal and squared error of each leaf, (n_leaves, 3)."""
    table = np.zeros((boxes.n_leaves, 3))
    for rows in _blocks(arrived, n_events, SORTED_AT_ONCE):
        leaf = boxes.index(rows[:, 4:])
        table[:, 0] += np.bincount(leaf, minlength=boxes.n_leaves)
        table[:, 1] += np.bincount(leaf, rows[:, 0], minlength=boxes.n_leaves)
        table[:, 2] += np.bincount(leaf, rows[:, 1], minlength=boxes.n_leaves)
    place = np.r_[0, np.cumsum(table[:-1, 0])].astype(np.int64)
    for rows in _blocks(arrived, n_events, SORTED_AT_ONCE):
        leaf = boxes.index(rows[:, 4:])
        order = np.argsort(leaf, kind="stable")
        rows, counts = rows[order], np.bincount(leaf, minlength=boxes.n_leaves)
        start = 0
        for box in np.flatnonzero(counts).tolist():
            ordered.seek(int(place[box]) * N_COLUMNS * 4)
            ordered.write(rows[start : start + counts[box]].tobytes())
            start += counts[box]
        place += counts
    return table


def _header(entry: Any, boxes: _Boxes, title: str) -> None:
    entry.attrs["definition"] = np.bytes_("MDEventWorkspace<MDEvent,4>")
    entry.attrs["event_type"] = np.bytes_("MDEvent")
    entry.attrs["QConvention"] = np.bytes_("Inelastic")
    entry.attrs["title"] = np.bytes_((title or " ").encode())
    for k, (one, name, units, frame) in enumerate(DIMENSIONS):
        entry.attrs[f"dimension{k}"] = np.bytes_(
            f'<Dimension ID="{one}"><Name>{name}</Name><Units>{units}</Units><Frame>{frame}</Frame>'
            f"<UpperBounds>{boxes.upper[k]:.4f}</UpperBounds><LowerBounds>{boxes.lower[k]:.4f}</LowerBounds>"
            f"<NumberOfBins>{boxes.splits}</NumberOfBins></Dimension>"
        )
    _data(entry, "dimensions", np.array([4], dtype=np.int32))
    _data(entry, "coordinate_system", np.array([2], dtype=np.uint32))
    _data(entry, "visual_normalization", np.array([1], dtype=np.uint32))
    _data(entry, "visual_normalization_histo", np.array([2], dtype=np.uint32))


def _event_table(entry: Any, ordered: IO[bytes], n_events: int, compression: int) -> None:
    events = _group(entry, "event_data", "NXdata", version="1.0")
    dataset = events.create_dataset(
        "event_data",
        shape=(n_events, N_COLUMNS),
        maxshape=(None, N_COLUMNS),
        dtype=np.float32,
        chunks=(ROWS, N_COLUMNS),
        compression="gzip" if compression else None,
        compression_opts=compression or None,
        shuffle=compression > 0,
    )
    dataset.attrs["description"] = np.bytes_(DESCRIPTION)
    start = 0
    for rows in _blocks(ordered, n_events, 10 * ROWS):
        dataset[start : start + len(rows)] = rows
        start += len(rows)
    _growing(events, "free_space_blocks", np.zeros((1, 2), dtype=np.uint64), ROWS)


def _box_structure(entry: Any, boxes: _Boxes, table: FloatArray) -> None:
    """The tree of boxes as MDBoxFlatTree has it: the outermost box, and the leaves below it if it is split."""
    group = _group(entry, "box_structure", "NXdata", version="1.0")
    whole = np.stack([boxes.lower, boxes.upper], axis=1).reshape(1, 8)
    starts = np.r_[0, np.cumsum(table[:-1, 0])]
    index = np.stack([starts, table[:, 0]], axis=1)
    extents, weights, children = whole, table[:, 1:], np.zeros((1, 2))
    kind, depth = np.array([1]), np.array([0])
    if boxes.splits > 1:
        n = boxes.n_leaves
        extents = np.concatenate([whole, boxes.extents()])
        weights = np.concatenate([weights.sum(axis=0, keepdims=True), weights])
        children = np.concatenate([[[1, n]], np.zeros((n, 2))])
        index = np.concatenate([[[0, 0]], index])
        kind, depth = np.r_[2, np.ones(n)], np.r_[0, np.ones(n)]
    split = boxes.splits > 1
    group.attrs["box_controller_xml"] = np.bytes_(
        f"<BoxController><NumDims>4</NumDims><MaxId>{len(kind)}</MaxId>"
        f"<SplitThreshold>{EVENTS_PER_BOX}</SplitThreshold><MaxDepth>1</MaxDepth>"
        f"<SplitInto>{','.join([str(max(boxes.splits, 2))] * 4)}</SplitInto><SplitTopInto/>"
        f"<NumMDBoxes>{f'0,{boxes.n_leaves}' if split else '1,0'}</NumMDBoxes>"
        f"<NumMDGridBoxes>{'1,0' if split else '0,0'}</NumMDGridBoxes></BoxController>"
    )
    volumes = np.prod(extents[:, 1::2] - extents[:, ::2], axis=1)
    _growing(group, "box_children", children.astype(np.int32), 16384)
    _growing(group, "box_event_index", index.astype(np.uint64), 16384)
    _growing(group, "box_signal_errorsquared", weights, 16384)
    _growing(group, "box_type", kind.astype(np.int32), 4096)
    _growing(group, "depth", depth.astype(np.int32), 4096)
    _growing(group, "extents", extents, 16384)
    _growing(group, "inverse_volume", 1 / volumes, 4096)


def _instrument(experiment: Any, detectors: Detectors, name: str, definition: str) -> None:
    group = _group(experiment, "instrument", "NXinstrument", version=1)
    _strings(group, name=name)
    parameters = [f"{name};string;deltaE-mode;direct"]
    parameters += [f"detID:{i};bool;masked;1" for i in detectors.ids[detectors.masked].tolist()]
    _strings(
        _group(group, "instrument_parameter_map", "NXnote", version=1),
        author=" ",
        data="|".join(parameters) + "|",
        date=" ",
        description="A string representation of the parameter map. The format is either: "
        "|detID:id-value;param-type;param-name;param-value| for a detector or  "
        "|comp-name;param-type;param-name;param-value| for other components.",
        type="text/plain",
    )
    _strings(
        _group(group, "instrument_xml", "NXnote"),
        data=definition,
        description="XML contents of the instrument IDF file.",
        type="text/xml",
    )
    physical = _group(group, "physical_detectors", "NXdetector")
    _data(physical, "number_of_detectors", np.array([len(detectors.ids)], dtype=np.uint64))
    _data(physical, "detector_number", detectors.ids.astype(np.int32))
    _data(physical, "azimuthal_angle", np.degrees(detectors.azimuth), units="degree")
    _data(physical, "polar_angle", np.degrees(detectors.two_theta), units="degree")
    _data(physical, "distance", detectors.distance.astype(np.float64), units="metre")
    monitors = _group(group, "physical_monitors", "NXmonitor")
    _data(monitors, "number_of_monitors", np.array([0], dtype=np.uint64))


def _logs(experiment: Any, run: Run, n_detectors: int, texts: Mapping[str, str]) -> None:
    logs = _group(experiment, "logs", "NXgroup", version=1)
    # R is stored as one axis: SetGoniometer's own way, and exact for any rotation.
    vector = Rotation.from_matrix(run.goniometer).as_rotvec(degrees=True)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else np.array([0.0, 1.0, 0.0])
    if axis[1] < 0:
        axis, angle = -axis, -angle
    goniometer = _group(logs, "goniometer", "NXpositioner", version=1)
    motor = _group(goniometer, "axis0", "NXmotor")
    _data(motor, "angle", np.array([angle]), sense="CCW", unit="deg")
    _strings(motor, name="psi")
    _data(motor, "rotationaxis", axis)
    _data(goniometer, "num_axes", np.array([1], dtype=np.int32))
    psi = _group(logs, "psi", "NXlog")
    _data(psi, "time", np.array([0.0]), start="1990-01-01T00:00:00")
    _data(psi, "value", np.array([angle]), units=" ")
    numbers: dict[str, ArrayLike] = {
        "Ei": [run.incident_energy],
        "gd_prtn_chrg": [run.proton_charge],
        "W_MATRIX": np.eye(3).ravel(),
        "RUBW_MATRIX": np.eye(3).ravel(),
    }
    if run.temperature is not None:
        numbers["SampleTemp"] = [run.temperature]
    strings = {"run_number": str(run.number), "run_title": run.title or " ", **texts}
    for key, value in run.logs.items():
        if key.lower() in {one.lower() for one in (*numbers, *strings, "psi")}:
            continue
        if isinstance(value, str):
            strings[key] = value
        else:
            numbers[key] = [value]
    # As CropWorkspaceForMDNorm leaves them: one for each spectrum, which MDNorm relies on.
    for key, limit in zip(("MDNorm_low", "MDNorm_high"), run.energy_limits, strict=True):
        if np.isfinite(limit):
            _group(logs, key, "NXlog").create_dataset(
                "value", data=np.full(n_detectors, limit), compression="gzip" if n_detectors else None
            )
    for key, number in numbers.items():
        _data(_group(logs, key, "NXlog"), "value", np.asarray(number, dtype=np.float64))
    for key, text in strings.items():
        _strings(_group(logs, key, "NXlog"), value=text)
    if run.energy_edges is not None:
        _data(_group(logs, "processed_histogram_bins", "NXdata"), "value", run.energy_edges.astype(np.float64))


def _sample(experiment: Any, run: Run) -> None:
    group = _group(experiment, "sample", "NXsample", version=1)
    group.attrs["name"] = np.bytes_(" ")
    group.attrs["shape_xml"] = np.bytes_('<type name="userShape">  </type>')
    _data(group, "geom_id", np.array([0], dtype=np.int32))
    for key in ("geom_height", "geom_thickness", "geom_width"):
        _data(group, key, np.zeros(1))
    material = _group(group, "material", "NXdata", version=2)
    material.attrs["formulaStyle"] = np.bytes_("empty")
    material.attrs["name"] = np.bytes_(" ")
    for key in ("number_density", "pressure", "temperature"):
        _data(material, key, np.zeros(1))
    _data(group, "num_oriented_lattice", np.array([1], dtype=np.int32))
    _data(group, "num_other_samples", np.array([0], dtype=np.int32))
    lattice = _group(group, "oriented_lattice", "NXcrystal")
    _data(lattice, "orientation_matrix", np.asarray(run.ub, dtype=np.float64))
    direct = np.linalg.inv(run.ub)  # rows a, b, c, up to a rotation
    lengths = np.linalg.norm(direct, axis=1)
    cosines = direct @ direct.T / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    for key, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), (*lengths, *angles), strict=True):
        _data(lattice, f"unit_cell_{key}", np.array([value]))


def _group(parent: Any, name: str, kind: str, version: int | str | None = None) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = np.bytes_(kind)
    if version is not None:
        group.attrs["version"] = np.int32(version) if isinstance(version, int) else np.bytes_(version)
    return group


def _data(group: Any, name: str, values: NDArray[Any], **attributes: str) -> None:
    dataset = group.create_dataset(name, data=values)
    for key, text in attributes.items():
        dataset.attrs[key] = np.bytes_(text)


def _growing(group: Any, name: str, values: NDArray[Any], rows: int) -> None:
    group.create_dataset(
        name, data=values, maxshape=(None, *values.shape[1:]), chunks=(rows, *values.shape[1:]), compression="gzip"
    )


def _strings(group: Any, **texts: str) -> None:
    """Store texts of fixed length, one each, as NeXus does."""
    for name, text in texts.items():
        encoded = (text or " ").encode()
        group.create_dataset(name, data=np.array([encoded], dtype=f"S{len(encoded)}"))
