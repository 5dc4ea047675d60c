"""Files of processed data: spectra and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mantid._nexus.experiment import (
    read_instrument,
    read_logs,
    read_sample,
    write_instrument,
    write_logs,
    write_sample,
)
from mantid._nexus.history import read_history, write_history
from mantid._nexus.text import attribute_text, new_group, read_text, write_text
from mantid.api._axis import BinEdgeAxis, MantidAxis, NumericAxis, TextAxis
from mantid.api._experiment_info import ExperimentData
from mantid.api._matrix_workspace import MatrixData
from mantid.api._table import TableData
from mantid.kernel._units import UnitFactoryImpl

ENTRY = "mantid_workspace_1"
_TABLE_KINDS = {"i": "int", "f": "double", "S": "str", "O": "str", "b": "bool", "u": "bool"}


def read_processed(path: Path, with_history: bool) -> MatrixData | TableData:
    """Return the spectra or the table of a file."""
    with h5py.File(path, "r") as file:
        entry = file[ENTRY]
        if "table_workspace" in entry:
            return _read_table(entry["table_workspace"])
        data = _read_spectra(entry)
        data.title = read_text(entry, "title")
        if with_history:
            data.history._merge(read_history(entry))
        return data


def write_processed(path: Path, data: MatrixData | TableData, title: str) -> None:
    """Write spectra, or a table, whose history is dropped."""
    with h5py.File(path, "w") as file:
        entry = new_group(file, ENTRY, "NXentry")
        write_text(entry, "title", title or data.title)
        write_text(entry, "workspace_name", data.name)
        if isinstance(data, TableData):
            _write_table(entry, data)
            return
        _write_spectra(entry, data)
        write_logs(entry, data.experiment.run)
        write_sample(entry, data.experiment.sample)
        write_history(entry, data.history)


def _read_spectra(entry: Any) -> MatrixData:
    group = entry["workspace"]
    y, e, x = group["values"][()], group["errors"][()], group["axis1"][()]
    experiment = ExperimentData(read_logs(entry), read_sample(entry), read_instrument(entry))
    data = MatrixData(x if x.ndim == 2 else np.tile(x, (len(y), 1)), y, e, experiment)
    data.y_unit = attribute_text(group["values"], "units")
    data.y_label = attribute_text(group["values"], "unit_label")
    data.distribution = attribute_text(group["axis1"], "distribution") == "1"
    unit = attribute_text(group["axis1"], "units")
    data.axes[0].setUnit(unit if unit in UnitFactoryImpl().getKeys() else "Empty")
    vertical = group["axis2"]
    if vertical.dtype.kind in "SO":
        labels = np.ravel(vertical[()])[0].decode().split("\n")
        data.axes[1] = TextAxis(labels[: len(y)])
    elif attribute_text(vertical, "units") != "spectraNumber":
        values = [float(value) for value in vertical[()]]
        data.axes[1] = (BinEdgeAxis if len(values) == len(y) + 1 else NumericAxis)(values)
    if "instrument/detector" in entry:
        detector = entry["instrument/detector"]
        data.spectrum_numbers[:] = [int(number) for number in detector["spectra"][()]]
        numbers = detector["detector_list"][()]
        spans = zip(detector["detector_index"][()], detector["detector_count"][()], strict=True)
        data.detectors = [[int(number) for number in numbers[start : start + count]] for start, count in spans]
    return data


def _write_spectra(entry: Any, data: MatrixData) -> None:
    group = new_group(entry, "workspace", "NXdata")
    values = group.create_dataset("values", data=data.y)
    values.attrs["signal"] = 1
    values.attrs["axes"] = np.bytes_("axis2,axis1")
    values.attrs["units"] = np.bytes_(data.y_unit or " ")
    values.attrs["unit_label"] = np.bytes_(data.y_label or " ")
    group["errors"] = data.e
    common = bool(np.all(data.x == data.x[0]))
    horizontal = group.create_dataset("axis1", data=data.x[0] if common else data.x)
    horizontal.attrs["units"] = np.bytes_(data.axes[0].getUnit().unitID())
    horizontal.attrs["distribution"] = np.bytes_("1" if data.distribution else "0")
    _write_vertical(group, data.axes[1])
    write_instrument(entry, data.experiment.instrument)
    counts = [len(numbers) for numbers in data.detectors]
    detector = new_group(entry["instrument"], "detector", "NXdetector", version=1)
    for name, values in (
        ("spectra", data.spectrum_numbers),
        ("detector_count", counts),
        ("detector_index", [sum(counts[:index]) for index in range(len(counts))]),
        ("detector_list", [number for numbers in data.detectors for number in numbers]),
    ):
        detector[name] = np.array(values, dtype=np.int32)


def _write_vertical(group: Any, axis: MantidAxis) -> None:
    if axis.isText():
        write_text(group, "axis2", "\n".join(axis.label(index) for index in range(axis.length())) + "\n")
        return
    vertical = group.create_dataset("axis2", data=axis.extractValues())
    vertical.attrs["units"] = np.bytes_("spectraNumber" if axis.isSpectra() else axis.getUnit().unitID())


def _write_table(entry: Any, data: TableData) -> None:
    group = new_group(entry, "table_workspace", "NXdata")
    kinds = {"int": np.int32, "double": np.float64, "bool": np.uint8, "str": None}
    for index, (name, cells) in enumerate(data.columns.items(), 1):
        kind = data.types[name]
        if kind not in kinds:
            raise RuntimeError(f"Columns of type {kind} cannot be saved here")
        if kind == "str":
            column = group.create_dataset(
                f"column_{index}", data=np.array([cell.encode() for cell in cells], dtype="S")
            )
        else:
            column = group.create_dataset(f"column_{index}", data=np.array(cells, dtype=kinds[kind]))
        column.attrs["name"] = np.bytes_(name)


def _read_table(group: Any) -> TableData:
    data = TableData()
    index = 1
    while f"column_{index}" in group:
        column = group[f"column_{index}"]
        kind = _TABLE_KINDS[column.dtype.kind]
        cells = column[()].tolist()
        convert = {"str": lambda cell: cell.decode(), "bool": bool, "int": int, "double": float}[kind]
        name = attribute_text(column, "name")
        data.types[name], data.plot_types[name] = kind, 0
        data.columns[name] = [convert(cell) for cell in cells]
        data.rows = len(cells)
        index += 1
    return data
