"""Files of multidimensional events."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mantid._nexus.experiment import read_experiments, write_experiments
from mantid._nexus.history import read_history, write_history
from mantid._nexus.text import attribute_text, new_group, read_number, write_number
from mantid.api._md_events import COLUMNS, MDEventData
from mantid.geometry._dimension import DimensionData

ENTRY = "MDEventWorkspace"
_BOXES = (
    "box_children",
    "box_event_index",
    "box_signal_errorsquared",
    "box_type",
    "depth",
    "extents",
    "inverse_volume",
)


def read_events(path: Path, with_history: bool, metadata_only: bool) -> MDEventData:
    """Return the events of a file."""
    with h5py.File(path, "r") as file:
        entry = file[ENTRY]
        n = int(read_number(entry, "dimensions"))
        dimensions = [_read_dimension(attribute_text(entry, f"dimension{axis}")) for axis in range(n)]
        table = entry["event_data/event_data"]
        layout = next(name for name, columns in COLUMNS.items() if len(columns) + n == table.shape[1])
        data = MDEventData(
            dimensions, layout, np.asarray(table[:0] if metadata_only else table[()], dtype=np.float32)
        )
        data.title = attribute_text(entry, "title").strip()
        data.coordinate_system = int(read_number(entry, "coordinate_system"))
        data.q_convention = attribute_text(entry, "QConvention", "Inelastic")
        data.display = [
            int(read_number(entry, "visual_normalization", 1)),
            int(read_number(entry, "visual_normalization_histo", 2)),
        ]
        boxes = entry["box_structure"]
        data.boxes = {name: boxes[name][()] for name in _BOXES if name in boxes}
        data.box_controller = attribute_text(boxes, "box_controller_xml")
        split = re.search(r"<SplitInto>([\d,]+)</SplitInto>", data.box_controller)
        if split:
            data.split_into = [int(part) for part in split[1].split(",")]
        data.experiments = read_experiments(entry)
        if with_history:
            data.history._merge(read_history(entry))
    return data


def write_events(path: Path, data: MDEventData) -> None:
    """Write events."""
    n = len(data.dimensions)
    with h5py.File(path, "w") as file:
        entry = new_group(
            file,
            ENTRY,
            "NXentry",
            QConvention=data.q_convention,
            definition=data.id,
            event_type=data.event_type,
            title=data.title or " ",
        )
        for axis, dimension in enumerate(data.dimensions):
            entry.attrs[f"dimension{axis}"] = np.bytes_(_dimension_xml(dimension))
        write_number(entry, "dimensions", n, np.int32)
        write_number(entry, "coordinate_system", data.coordinate_system, np.uint32)
        write_number(entry, "visual_normalization", data.display[0], np.uint32)
        write_number(entry, "visual_normalization_histo", data.display[1], np.uint32)
        events = new_group(entry, "event_data", "NXdata", version="1.0")
        columns = data.table.shape[1]
        table = events.create_dataset(
            "event_data", data=data.table, maxshape=(None, columns), chunks=(10000, columns)
        )
        table.attrs["description"] = np.bytes_(", ".join(COLUMNS[data.layout]) + ", center (each dim.)")
        events["free_space_blocks"] = np.zeros((1, 2), np.uint64)
        _write_boxes(entry, data)
        write_experiments(entry, data.experiments)
        write_history(entry, data.history)


def _write_boxes(entry: Any, data: MDEventData) -> None:
    boxes = new_group(entry, "box_structure", "NXdata", version="1.0")
    boxes.attrs["box_controller_xml"] = np.bytes_(data.box_controller or _box_controller(data))
    for name, values in (data.boxes or _one_box(data)).items():
        boxes[name] = values


def _one_box(data: MDEventData) -> dict[str, Any]:
    """Return the structure of a single box that holds all events."""
    extents = [end for dimension in data.dimensions for end in (dimension.minimum, dimension.maximum)]
    lengths = np.diff(np.reshape(extents, (-1, 2)))
    return {
        "box_children": np.zeros((1, 2), np.int32),
        "box_event_index": np.array([[0, len(data.table)]], np.uint64),
        "box_signal_errorsquared": data.table[:, :2].sum(axis=0, dtype=np.float64)[None],
        "box_type": np.ones(1, np.int32),
        "depth": np.zeros(1, np.int32),
        "extents": np.array([extents]),
        "inverse_volume": 1 / np.prod(lengths, keepdims=True).ravel(),
    }


def _box_controller(data: MDEventData) -> str:
    split = ",".join(str(part) for part in data.split_into)
    return (
        f"<BoxController><NumDims>{len(data.dimensions)}</NumDims><MaxId>1</MaxId>"
        f"<SplitThreshold>{data.split_threshold}</SplitThreshold><MaxDepth>5</MaxDepth><SplitInto>{split}</SplitInto>"
        "<SplitTopInto/><NumMDBoxes>1</NumMDBoxes><NumMDGridBoxes>0</NumMDGridBoxes></BoxController>"
    )


def _read_dimension(xml: str) -> DimensionData:
    def part(name: str, default: str = "") -> str:
        found = re.search(rf"<{name}>(.*?)</{name}>", xml)
        return found[1] if found else default

    identifier = re.search(r'ID="([^"]*)"', xml)
    return DimensionData(
        identifier[1] if identifier else "",
        part("Name"),
        part("Units"),
        part("Frame", "Unknown frame"),
        float(part("LowerBounds")),
        float(part("UpperBounds")),
        int(part("NumberOfBins", "1")),
    )


def _dimension_xml(dimension: DimensionData) -> str:
    return (
        f'<Dimension ID="{dimension.id}"><Name>{dimension.label}</Name><Units>{dimension.units}</Units>'
        f"<Frame>{dimension.frame}</Frame><UpperBounds>{dimension.maximum:.4f}</UpperBounds>"
        f"<LowerBounds>{dimension.minimum:.4f}</LowerBounds><NumberOfBins>{dimension.n_bins}</NumberOfBins></Dimension>"
    )
