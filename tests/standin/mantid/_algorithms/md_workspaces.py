"""Algorithms that make multidimensional workspaces from nothing or from each other."""

from __future__ import annotations

import numpy as np

from mantid._algorithms.arguments import held, put, value
from mantid.api._ads import mtd
from mantid.api._algorithm import Algorithm
from mantid.api._md_events import COLUMNS, MDEventData
from mantid.api._md_histo import MDHistoData
from mantid.api._native_algorithm import native
from mantid.geometry._dimension import DimensionData

_GENERAL_FRAME = "General Frame"
_COORDINATE_SYSTEMS = {"QLab": 1, "QSample": 2, "HKL": 3}


def _dimensions(algorithm: Algorithm, n: int, n_bins: list[int]) -> list[DimensionData]:
    names, units, frames = (list(value(algorithm, key)) for key in ("Names", "Units", "Frames"))
    extents = np.asarray(value(algorithm, "Extents"))
    if len(extents) != 2 * n or len(names) != n or len(units) != n or len(frames) not in (0, n):
        raise ValueError("You must specify as many names, units and extents as there are dimensions.")
    frames = frames or [_GENERAL_FRAME] * n
    return [
        DimensionData(name, name, unit, frame, float(low), float(high), bins)
        for name, unit, frame, (low, high), bins in zip(
            names, units, frames, extents.reshape(n, 2), n_bins, strict=True
        )
    ]


@native("CreateMDHistoWorkspace")
def create_md_histo_workspace(algorithm: Algorithm) -> None:
    """Make a histogram from arrays; it has no experiment."""
    n = value(algorithm, "Dimensionality")
    n_bins = [int(bins) for bins in value(algorithm, "NumberOfBins")]
    if len(n_bins) != n:
        raise ValueError("You must specify as many numbers of bins as there are dimensions.")
    dimensions = _dimensions(algorithm, n, n_bins)
    signal, error = value(algorithm, "SignalInput"), value(algorithm, "ErrorInput")
    counts = value(algorithm, "NumberOfEvents")
    counts = counts if len(counts) else np.ones_like(signal)
    size = int(np.prod(n_bins))
    for name, values in (("Signal", signal), ("Error", error), ("NumberOfEvents", counts)):
        if len(values) != size:
            raise ValueError(f"Expected size of {name} data, from number of bins, is: {size}. Found {len(values)}.")
    put(algorithm, "OutputWorkspace", MDHistoData(dimensions, signal, error**2, counts))


@native("CreateMDWorkspace")
def create_md_workspace(algorithm: Algorithm) -> None:
    """Make a workspace without events and without experiment."""
    n = value(algorithm, "Dimensions")
    split = [int(part) for part in value(algorithm, "SplitInto")]
    split = split * n if len(split) == 1 else split
    layout = "lean" if value(algorithm, "EventType") == "MDLeanEvent" else "old"
    dimensions = _dimensions(algorithm, n, split)
    data = MDEventData(dimensions, layout, np.empty((0, len(COLUMNS[layout]) + n), np.float32))
    data.split_into = split
    data.split_threshold = int(value(algorithm, "SplitThreshold"))
    data.coordinate_system = _COORDINATE_SYSTEMS.get(dimensions[0].frame, 0)
    put(algorithm, "OutputWorkspace", data)


@native("CloneMDWorkspace")
def clone_md_workspace(algorithm: Algorithm) -> None:
    """Copy a workspace."""
    put(algorithm, "OutputWorkspace", held(algorithm, "InputWorkspace").copied())


@native("MergeMD")
def merge_md(algorithm: Algorithm) -> None:
    """Put events together; experiments follow each other, and histories of the inputs are lost."""
    names = list(value(algorithm, "InputWorkspaces"))
    missing = [name for name in names if name not in mtd._held]
    if missing:
        raise KeyError(f"Workspace {missing[0]} not found")
    parts = [mtd._held[name] for name in names]
    first = parts[0]
    if not all(isinstance(part, MDEventData) and part.layout == first.layout for part in parts):
        raise ValueError("Workspaces do not match: all must hold the same kind of events")
    tables, experiments = [], []
    for part in parts:
        table = part.table.copy()
        if part.layout != "lean":
            table[:, 2] += len(experiments)
        tables.append(table)
        experiments += [experiment.copied() for experiment in part.experiments]
    dimensions = [
        DimensionData(
            **{
                **vars(dimensions[0]),
                "minimum": min(dimension.minimum for dimension in dimensions),
                "maximum": max(dimension.maximum for dimension in dimensions),
            }
        )
        for dimensions in zip(*(part.dimensions for part in parts), strict=True)
    ]
    merged = MDEventData(dimensions, first.layout, np.concatenate(tables))
    merged.experiments = experiments
    merged.coordinate_system, merged.q_convention = first.coordinate_system, first.q_convention
    put(algorithm, "OutputWorkspace", merged)
