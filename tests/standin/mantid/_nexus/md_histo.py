"""Files of multidimensional histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mantid._nexus.experiment import read_experiments, write_experiments
from mantid._nexus.history import read_history, write_history
from mantid._nexus.text import attribute_text, new_group, read_number, write_number
from mantid.api._md_histo import MDHistoData
from mantid.geometry._dimension import DimensionData

ENTRY = "MDHistoWorkspace"


def read_histogram(path: Path, with_history: bool) -> MDHistoData:
    """Return the histogram of a file."""
    with h5py.File(path, "r") as file:
        entry = file[ENTRY]
        if int(np.ravel(entry.attrs.get("SaveMDVersion", 0))[0]) != 2:
            raise RuntimeError("MDHistoWorkspace files of that version cannot be read here")
        arrays = entry["data"]
        names = attribute_text(arrays["signal"], "axes").split(":")[::-1]
        dimensions = [_read_dimension(name, arrays[name]) for name in names]
        data = MDHistoData(dimensions, *(arrays[name][()].T for name in ("signal", "errors_squared", "num_events")))
        data.mask[...] = arrays["mask"][()].T
        data.coordinate_system = int(read_number(entry, "coordinate_system"))
        data.q_convention = attribute_text(entry, "QConvention", "Inelastic")
        data.display[0] = int(read_number(entry, "visual_normalization", 1))
        data.experiments = read_experiments(entry)
        if with_history:
            data.history._merge(read_history(entry))
    return data


def write_histogram(path: Path, data: MDHistoData) -> None:
    """Write a histogram."""
    with h5py.File(path, "w") as file:
        entry = new_group(file, ENTRY, "NXentry", QConvention=data.q_convention, SaveMDVersion=2)
        write_number(entry, "coordinate_system", data.coordinate_system, np.uint32)
        write_number(entry, "visual_normalization", data.display[0], np.uint32)
        arrays = new_group(entry, "data", "NXdata")
        for dimension in data.dimensions:
            edges = arrays.create_dataset(dimension.id, data=dimension.edges())
            edges.attrs["long_name"] = np.bytes_(dimension.label)
            edges.attrs["units"] = np.bytes_(dimension.units or " ")
            edges.attrs["frame"] = np.bytes_(dimension.frame)
        signal = arrays.create_dataset("signal", data=data.signal.T)
        signal.attrs["signal"] = 1
        signal.attrs["axes"] = np.bytes_(":".join(dimension.id for dimension in data.dimensions[::-1]))
        for name, values in (
            ("errors_squared", data.error_squared),
            ("num_events", data.num_events),
            ("mask", data.mask),
        ):
            arrays[name] = values.T
        write_experiments(entry, data.experiments)
        write_history(entry, data.history)


def _read_dimension(name: str, edges: Any) -> DimensionData:
    return DimensionData(
        name,
        attribute_text(edges, "long_name"),
        attribute_text(edges, "units"),
        attribute_text(edges, "frame", "Unknown frame"),
        float(edges[0]),
        float(edges[-1]),
        len(edges) - 1,
    )
