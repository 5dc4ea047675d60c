"""Histograms in NeXus files of Mantid's MDHistoWorkspace layout, which its LoadMD opens and ours reads back.

The layout is that of SaveMD version 2, string types included: Mantid reads strings as null-terminated ones of the
length in the file, so that a string stored in any other way loses its last character. What Mantid has no place for
(path, crystal, sums of runs) lies in sample logs, which go with a workspace wherever it goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcinv_core import array_logs
from fcinv_core.crystal import Crystal, FloatArray, check_readable
from fcinv_core.errors import InputError
from fcinv_core.files import replace_when_complete

#: Version of the layout of `MDHisto.content`; files of a newer one are refused.
SCHEMA = 1
#: Sample log that holds `MDHisto.content` as JSON: Mantid keeps string logs through loading and saving.
CONTENT_LOG = "fcinv"
#: Mantid's frame of an axis that is no momentum transfer.
GENERAL_FRAME = "General Frame"
#: Mantid's name, identifier and frame of the energy-transfer axis.
DELTA_E = "DeltaE"

LogValue = str | float | tuple[float, ...]

_ENTRY = "MDHistoWorkspace"
#: Arrays with more numbers are packed in parts, and less hard: in a tenth of the time for a few per cent more.
_LARGE = 1 << 16
_SAVE_MD_VERSION = 2
#: Mantid's MDNormalization: the signal is shown as it is, not divided by volume or number of events.
_NO_NORMALIZATION = 0
#: Mantid's SpecialCoordinateSystem: axes are neither Q nor HKL.
_NO_COORDINATE_SYSTEM = 0
_INSTRUMENT = "fcinv_simulation"
#: An experiment whose instrument has no definition is dropped by LoadMD with all its logs.
_INSTRUMENT_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<instrument xmlns="http://www.mantidproject.org/IDF/1.0" name="{_INSTRUMENT}" \
valid-from="1900-01-31 23:59:59" valid-to="2100-01-31 23:59:59" last-modified="2020-01-01 00:00:00">
<defaults><length unit="meter"/><angle unit="degree"/><reference-frame><along-beam axis="z"/>\
<pointing-up axis="y"/><handedness val="right"/></reference-frame></defaults>
<component type="moderator"><location z="-10.0"/></component><type name="moderator" is="Source"/>
<component type="sample-position"><location x="0" y="0" z="0"/></component>\
<type name="sample-position" is="SamplePos"/>
<component type="pixel" idlist="pixels"><location x="1.0" y="0" z="0" name="pixel1"/></component>
<type is="detector" name="pixel"><cylinder id="shape"><centre-of-bottom-base x="0" y="-0.01" z="0"/>\
<axis x="0" y="1" z="0"/><radius val="0.01"/><height val="0.02"/></cylinder><algebra val="shape"/></type>
<idlist idname="pixels"><id start="1" end="1"/></idlist>
</instrument>"""


@dataclass(frozen=True, eq=False)
class Dimension:
    """An axis of a histogram, with bins of equal width: Mantid keeps the two ends and the number of bins.

    Attributes
    ----------
    id
        Identifier, also the name of the dataset in the file.
    name
        Name that Mantid shows.
    units
        Unit that Mantid shows; may be empty.
    frame
        Mantid's frame: "General Frame", "DeltaE", "QSample", "HKL".
    edges
        Shape (n + 1,): edges of the bins, ascending. Mantid rounds them to single precision.
    """

    id: str
    name: str
    units: str
    frame: str
    edges: FloatArray

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1


@dataclass(frozen=True, eq=False)
class MDHisto:
    """A histogram over several axes, with what is known of the experiment.

    Attributes
    ----------
    signal, error_squared, num_events
        Shape (n0, n1, ...) in the order of ``dimensions``: signal, its variance, number of events that went
        into it. NaN marks bins that nothing is known about.
    dimensions
        The axes.
    logs
        Sample logs: strings, numbers, and lists of numbers (of two or more: one alone is a number).
    content
        Plain content for JSON that only this software reads: path, crystal, provenance.
    collections
        Further arrays, by collection and name, any shape, numbers only: sample logs to Mantid.
    """

    signal: FloatArray
    error_squared: FloatArray
    num_events: FloatArray
    dimensions: tuple[Dimension, ...]
    logs: Mapping[str, LogValue] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    collections: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(dimension.n_bins for dimension in self.dimensions)
        for name in ("signal", "error_squared", "num_events"):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}, the dimensions {shape}")


def path_dimension(n_points: int) -> Dimension:
    """Return the axis of a q-path: one bin for each point, centred on its index."""
    return Dimension("path", "path point", "", GENERAL_FRAME, np.arange(n_points + 1, dtype=float) - 0.5)


def energy_dimension(edges: FloatArray) -> Dimension:
    """Return the axis of energy transfer for bin edges in meV, shape (n + 1,)."""
    return Dimension(DELTA_E, DELTA_E, "meV", DELTA_E, np.asarray(edges, dtype=float))


def write_mdhisto(path: Path | str, histo: MDHisto, experiment: Crystal | h5py.Group) -> None:
    """Write a histogram, whole or not at all.

    Parameters
    ----------
    path
        The .nxs file.
    histo
        The histogram.
    experiment
        What the one experiment of the file is made of: a crystal, which gets an instrument without meaning and
        lies with its Cartesian frame along that of the sample; or the group of an experiment in another Mantid
        file (``MDEventWorkspace/experiment0``), which is copied, logs of equal names being replaced.

    Raises
    ------
    InputError
        If Mantid could not load such a histogram, or the folder cannot be written to, or what was written does
        not read back equal.
    """
    path = Path(path)
    _check_loadable(path, histo)
    with replace_when_complete(path) as temporary:
        with h5py.File(temporary, "w") as file:
            _put_attribute(file, "file_name", path.name)
            _put_attribute(file, "file_time", datetime.now(UTC).isoformat(timespec="seconds"))
            _put_attribute(file, "HDF5_Version", h5py.version.hdf5_version)
            entry = _make_group(file, _ENTRY, "NXentry")
            _write_entry(entry, histo)
            if isinstance(experiment, Crystal):
                _write_experiment(_make_group(entry, "experiment0", "NXgroup", version=1), experiment)
            else:
                experiment.file.copy(experiment, entry, name="experiment0")
            _write_logs(entry["experiment0/logs"], histo)
        if not _same(read_mdhisto(temporary), histo):
            raise InputError(
                f"{path} could not be written",
                "what was read back differs from what was written",
                "check the disk and try again",
            )


def read_mdhisto(path: Path | str) -> MDHisto:
    """Read a histogram that this software or Mantid's SaveMD wrote; time series among the logs are left out.

    Raises
    ------
    InputError
        If the file is missing, damaged, no MDHistoWorkspace, or of a newer layout.
    """
    path = Path(path)
    check_readable(path, "a histogram in a .nxs file")
    try:
        with h5py.File(path, "r") as file:
            return _read_entry(_entry(file, path), path)
    except InputError:
        raise
    # h5py raises any of these on files that are cut short, or that lack or mistype a part.
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise InputError(
            f"{path} cannot be read as a histogram",
            (str(error).strip().splitlines() or [type(error).__name__])[0].strip("'\"."),
            "give a .nxs file that fcinv or Mantid's SaveMD wrote, complete",
        ) from error


def _check_loadable(path: Path, histo: MDHisto) -> None:
    """Refuse what LoadMD would misread: it has no checks of its own for these."""
    for dimension in histo.dimensions:
        edges = np.asarray(dimension.edges, dtype=float)
        even = np.linspace(edges[0], edges[-1], len(edges))
        if not (np.isfinite(edges).all() and edges[-1] > edges[0]) or np.abs(edges - even).max() > 1e-6 * (
            edges[-1] - edges[0]
        ):
            raise InputError(
                f"{path} cannot hold the axis {dimension.name!r}",
                "Mantid's histograms have bins of one width, ascending",
                "choose even bins",
            )
        if not dimension.id or set(dimension.id) & set(":/") or len(dimension.name) < 2:
            # Identifiers are joined by colons; the first two letters of a name are compared with those of Q axes.
            raise InputError(
                f"{path} cannot hold an axis {dimension.id!r} named {dimension.name!r}",
                "Mantid needs an identifier without colon or slash and a name of two letters or more",
                "rename it",
            )
    for name in [*histo.logs, *histo.collections, *(k for arrays in histo.collections.values() for k in arrays)]:
        if not name or "/" in name:
            raise InputError(f"{path} cannot hold {name!r}", "a name in a NeXus file has no slash", "rename it")


def _write_entry(entry: h5py.Group, histo: MDHisto) -> None:
    _put_attribute(entry, "QConvention", "Inelastic")
    _put_attribute(entry, "SaveMDVersion", _SAVE_MD_VERSION)
    _put_numbers(entry, "coordinate_system", np.array([_NO_COORDINATE_SYSTEM], dtype=np.uint32))
    _put_numbers(entry, "visual_normalization", np.array([_NO_NORMALIZATION], dtype=np.uint32))
    # Without a history group LoadMD logs a warning.
    _make_group(entry, "process", "NXprocess")
    data = _make_group(entry, "data", "NXdata")
    for dimension in histo.dimensions:
        edges = _put_numbers(data, dimension.id, np.asarray(dimension.edges, dtype=float))
        _put_attribute(edges, "long_name", dimension.name)
        _put_attribute(edges, "units", dimension.units)
        _put_attribute(edges, "frame", dimension.frame)
    arrays = {
        "signal": histo.signal,
        "errors_squared": histo.error_squared,
        "num_events": histo.num_events,
        "mask": np.zeros(np.shape(histo.signal), dtype=np.int8),
    }
    for name, array in arrays.items():
        # The first dimension is the fastest in the file.
        block = np.ascontiguousarray(np.asarray(array, dtype=np.int8 if name == "mask" else float).T)
        _put_numbers(data, name, block, chunks=(1, *block.shape[1:]))
    _put_attribute(data["signal"], "signal", 1)
    _put_attribute(data["signal"], "axes", ":".join(dimension.id for dimension in reversed(histo.dimensions)))


def _write_experiment(group: h5py.Group, crystal: Crystal) -> None:
    """Write the smallest experiment that LoadMD keeps: instrument, sample with its lattice, no logs yet."""
    instrument = _make_group(group, "instrument", "NXinstrument", version=1)
    _put_string(instrument, "name", _INSTRUMENT)
    definition = _make_group(instrument, "instrument_xml", "NXnote")
    _put_string(definition, "data", _INSTRUMENT_XML)
    _put_string(definition, "description", "XML contents of the instrument IDF file.")
    _put_string(definition, "type", "text/xml")
    parameters = _make_group(instrument, "instrument_parameter_map", "NXnote", version=1)
    for name, text in {"author": "", "data": "", "date": "", "description": "none", "type": "text/plain"}.items():
        _put_string(parameters, name, text)

    sample = _make_group(group, "sample", "NXsample", version=1)
    _put_attribute(sample, "name", crystal.formula)
    _put_attribute(sample, "shape_xml", '<type name="userShape">  </type>')
    for name, count in {"num_other_samples": 0, "num_oriented_lattice": 1, "geom_id": 0}.items():
        _put_numbers(sample, name, np.array([count], dtype=np.int32))
    for name in ("geom_thickness", "geom_height", "geom_width"):
        _put_numbers(sample, name, np.zeros(1))
    material = _make_group(sample, "material", "NXdata", version=2)
    _put_attribute(material, "name", "")
    _put_attribute(material, "formulaStyle", "empty")
    for name in ("number_density", "temperature", "pressure"):
        _put_numbers(material, name, np.zeros(1))
    lattice = _make_group(sample, "oriented_lattice", "NXcrystal")
    for name, number in _unit_cell(crystal).items():
        _put_numbers(lattice, f"unit_cell_{name}", np.array([number]))
    # UB without the 2 pi: Q / 2 pi = UB hkl in the crystal's Cartesian frame.
    _put_numbers(lattice, "orientation_matrix", np.linalg.inv(crystal.conventional_lattice))

    logs = _make_group(group, "logs", "NXgroup", version=1)
    goniometer = _make_group(logs, "goniometer", "NXpositioner", version=1)
    _put_numbers(goniometer, "num_axes", np.zeros(1, dtype=np.int32))


def _unit_cell(crystal: Crystal) -> dict[str, float]:
    """Return lengths (Å) and angles (degrees) of the conventional cell."""
    lengths = np.linalg.norm(crystal.conventional_lattice, axis=1)
    directions = crystal.conventional_lattice / lengths[:, None]
    cosines = {"alpha": directions[1] @ directions[2], "beta": directions[0] @ directions[2]}
    cosines["gamma"] = directions[0] @ directions[1]
    angles = {name: float(np.degrees(np.arccos(cosine))) for name, cosine in cosines.items()}
    return {**dict(zip("abc", map(float, lengths), strict=True)), **angles}


def _write_logs(logs: h5py.Group, histo: MDHisto) -> None:
    arrays, table = array_logs.flatten(histo.collections)
    # ASCII only: the file marks strings as such, as Mantid's do.
    known = {"schema": SCHEMA, **({"arrays": table} if table else {})}
    content = json.dumps({**known, **histo.content}, allow_nan=False)
    # An experiment that is copied from an earlier result brings that one's arrays.
    for name in [name for name in logs if name.startswith(array_logs.PREFIX)]:
        del logs[name]
    for name, value in {**histo.logs, CONTENT_LOG: content}.items():
        if name in logs:
            del logs[name]
        log = _make_group(logs, name, "NXlog")
        if isinstance(value, str):
            _put_string(log, "value", value)
        else:
            _put_numbers(log, "value", np.atleast_1d(np.asarray(value, dtype=float)))
    for name, array in arrays.items():
        _put_numbers(_make_group(logs, name, "NXlog"), "value", array, chunks=(min(len(array), _LARGE),))


def _make_group(parent: h5py.Group, name: str, nx_class: str, version: int | None = None) -> h5py.Group:
    group = parent.create_group(name)
    _put_attribute(group, "NX_class", nx_class)
    if version is not None:
        _put_attribute(group, "version", version)
    return group


def _put_numbers(
    group: h5py.Group, name: str, array: NDArray[Any], chunks: tuple[int, ...] | None = None
) -> h5py.Dataset:
    return group.create_dataset(
        name,
        data=array,
        chunks=chunks or array.shape,
        shuffle=True,
        compression="gzip",
        compression_opts=9 if array.size <= _LARGE else 1,
    )


def _put_string(group: h5py.Group, name: str, text: str) -> None:
    """Write a string as Mantid does: one element of a fixed-length, null-terminated type of just its length."""
    raw = text.encode() or b" "
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk((1,))
    layout.set_shuffle()
    layout.set_deflate(9)
    kind = _string_type(len(raw))
    dataset = h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple((1,), (1,)), dcpl=layout)
    # The memory type is the file's: a conversion would cut the last character off.
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([raw], dtype=f"S{len(raw)}"), mtype=kind)


def _put_attribute(owner: h5py.File | h5py.Group | h5py.Dataset, name: str, value: str | int) -> None:
    if isinstance(value, int):
        owner.attrs.create(name, value, dtype=np.int32)
        return
    # HDF5 has no strings of length 0; Mantid writes a blank.
    raw = value.encode() or b" "
    kind = _string_type(len(raw))
    attribute = h5py.h5a.create(owner.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    attribute.write(np.array(raw, dtype=f"S{len(raw)}"), mtype=kind)


def _string_type(length: int) -> Any:
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(length)
    return kind


def _entry(file: h5py.File, path: Path) -> h5py.Group:
    if _ENTRY not in file:
        events = "MDEventWorkspace" in file
        raise InputError(
            f"{path} holds no histogram",
            "it holds events" if events else f"it has no group {_ENTRY}",
            "fold or bin the events first" if events else "give a .nxs file that fcinv or Mantid's SaveMD wrote",
        )
    entry = file[_ENTRY]
    version = int(entry.attrs.get("SaveMDVersion", 1))
    if version != _SAVE_MD_VERSION:
        raise InputError(
            f"{path} has another layout",
            f"its SaveMDVersion is {version}, not {_SAVE_MD_VERSION}",
            "save it again with Mantid's SaveMD version 2"
            if version < _SAVE_MD_VERSION
            else "use a newer version of fcinv",
        )
    return entry


def _read_entry(entry: h5py.Group, path: Path) -> MDHisto:
    data = entry["data"]
    dimensions = tuple(
        Dimension(
            id=name,
            name=_text(data[name].attrs["long_name"]),
            units=_text(data[name].attrs["units"]),
            frame=_text(data[name].attrs.get("frame", GENERAL_FRAME)),
            edges=np.asarray(data[name][()], dtype=float),
        )
        for name in reversed(_text(data["signal"].attrs["axes"]).split(":"))
    )
    logs: dict[str, LogValue] = {}
    collections: dict[str, dict[str, NDArray[Any]]] = {}
    content: dict[str, Any] = {}
    if "experiment0/logs" in entry:
        group = entry["experiment0/logs"]
        logs = _read_logs(group)
        content = _read_content(logs.pop(CONTENT_LOG, None), path)
        collections = array_logs.restore(
            content.pop("arrays", {}), lambda name: np.asarray(group[name]["value"][()], dtype=float).ravel()
        )
    return MDHisto(
        signal=_read_block(data["signal"]),
        error_squared=_read_block(data["errors_squared"]),
        num_events=_read_block(data["num_events"]),
        dimensions=dimensions,
        logs=logs,
        content=content,
        collections=collections,
    )


def _read_block(dataset: h5py.Dataset) -> FloatArray:
    return np.ascontiguousarray(np.asarray(dataset[()], dtype=float).T)


def _read_logs(group: h5py.Group) -> dict[str, LogValue]:
    logs: dict[str, LogValue] = {}
    for name, log in group.items():
        if name.startswith(array_logs.PREFIX):
            continue
        if _text(log.attrs.get("NX_class", "")) != "NXlog" or "value" not in log or "time" in log:
            continue
        value = log["value"][()]
        if value.dtype.kind in "SO":
            logs[name] = _text(value)
        elif value.size == 1:
            logs[name] = float(value.ravel()[0])
        else:
            logs[name] = tuple(float(x) for x in value.ravel())
    return logs


def _read_content(text: LogValue | None, path: Path) -> dict[str, Any]:
    if text is None:
        return {}
    content = json.loads(str(text))
    schema = content.pop("schema")
    if schema > SCHEMA:
        raise InputError(
            f"{path} was written by a newer version of fcinv",
            f"its schema is {schema}, this version reads up to {SCHEMA}",
            "use a newer version",
        )
    return dict(content)


def _text(value: ArrayLike) -> str:
    """Return a string of an HDF5 file, whichever of its types it has; Mantid's blank stands for none."""
    single = np.asarray(value).ravel()[0]
    return (single.decode() if isinstance(single, bytes) else str(single)).strip(" ")


def _same(read: MDHisto, written: MDHisto) -> bool:
    arrays = all(
        np.array_equal(getattr(read, name), getattr(written, name), equal_nan=True)
        for name in ("signal", "error_squared", "num_events")
    )
    return (
        arrays
        and all(
            np.array_equal(array, read.collections[name][key], equal_nan=np.asarray(array).dtype.kind in "fc")
            for name, members in written.collections.items()
            for key, array in members.items()
        )
        and all(read.logs.get(name) == _as_read(value) for name, value in written.logs.items())
        and read.content == json.loads(json.dumps(dict(written.content)))
    )


def _as_read(value: LogValue) -> LogValue:
    """What a log reads back as."""
    if isinstance(value, str):
        return value.strip(" ")
    numbers = tuple(float(x) for x in np.atleast_1d(value))
    return numbers[0] if len(numbers) == 1 else numbers
