"""Algorithms that make, copy, rename, group and delete workspaces."""

from __future__ import annotations

import numpy as np

from mantid._algorithms.arguments import held, put, value
from mantid.api._ads import WorkspaceGroupData, mtd
from mantid.api._algorithm import Algorithm
from mantid.api._axis import BinEdgeAxis, NumericAxis, TextAxis
from mantid.api._matrix_workspace import MatrixData
from mantid.api._native_algorithm import native
from mantid.api._table import TableData
from mantid.kernel._units import UnitFactoryImpl


@native("CreateWorkspace")
def create_workspace(algorithm: Algorithm) -> None:
    """Make spectra from arrays."""
    x, y, e = (np.asarray(value(algorithm, key)) for key in ("DataX", "DataY", "DataE"))
    n = value(algorithm, "NSpec")
    if len(y) % n:
        raise ValueError("Length of DataY must be divisible by NSpec")
    y = y.reshape(n, -1)
    if len(e) not in (0, y.size):
        raise ValueError("DataE (if provided) must be the same size as DataY")
    e = e.reshape(n, -1) if len(e) else np.zeros_like(y)
    width = y.shape[1]
    if len(x) in (width, width + 1):
        x = np.tile(x, (n, 1))
    elif len(x) in (n * width, n * (width + 1)):
        x = x.reshape(n, -1)
    else:
        raise ValueError("DataX must have the length of one spectrum, or of all, or one more for each")
    parent = held(algorithm, "ParentWorkspace")
    data = MatrixData(x, y, e, None if parent is None else parent.experiment.copied())
    unit = value(algorithm, "UnitX")
    if unit in UnitFactoryImpl().getKeys():
        data.axes[0].setUnit(unit)
    else:
        data.axes[0].setUnit("Label").setLabel(unit, unit)
    kind, labels = value(algorithm, "VerticalAxisUnit"), list(value(algorithm, "VerticalAxisValues"))
    if kind != "SpectraNumber":
        if len(labels) not in (n, n + 1) or (kind == "Text" and len(labels) != n):
            raise ValueError("Number of y-axis labels must match number of histograms.")
        if kind == "Text":
            data.axes[1] = TextAxis(labels)
        else:
            axis = BinEdgeAxis if len(labels) == n + 1 else NumericAxis
            data.axes[1] = axis([float(part) for part in labels], kind)
    elif labels:
        raise ValueError("Number of y-axis labels must match number of histograms.")
    data.distribution = value(algorithm, "Distribution")
    data.y_label = value(algorithm, "YUnitLabel")
    data.title = value(algorithm, "WorkspaceTitle")
    put(algorithm, "OutputWorkspace", data)


@native("CreateSingleValuedWorkspace")
def create_single_valued_workspace(algorithm: Algorithm) -> None:
    """Make a workspace of one number."""
    y, e = value(algorithm, "DataValue"), value(algorithm, "ErrorValue")
    put(algorithm, "OutputWorkspace", MatrixData(np.zeros((1, 1)), np.array([[y]]), np.array([[e]])))


@native("CreateEmptyTableWorkspace")
def create_empty_table_workspace(algorithm: Algorithm) -> None:
    """Make a table without columns."""
    put(algorithm, "OutputWorkspace", TableData())


@native("CloneWorkspace")
def clone_workspace(algorithm: Algorithm) -> None:
    """Copy a workspace."""
    put(algorithm, "OutputWorkspace", held(algorithm, "InputWorkspace").copied())


@native("RenameWorkspace")
def rename_workspace(algorithm: Algorithm) -> None:
    """Move a workspace to another name."""
    data = held(algorithm, "InputWorkspace")
    if data.name == algorithm.getPropertyValue("OutputWorkspace"):
        raise RuntimeError("The input and output names must be different")
    put(algorithm, "OutputWorkspace", data)


@native("DeleteWorkspace")
def delete_workspace(algorithm: Algorithm) -> None:
    """Delete a workspace; a group with all its members."""
    data = held(algorithm, "Workspace")
    for name in getattr(data, "members", []):
        mtd.remove(name)
    mtd.remove(data.name)
    put(algorithm, "Workspace", None)


@native("DeleteWorkspaces")
def delete_workspaces(algorithm: Algorithm) -> None:
    """Delete several workspaces."""
    for name in value(algorithm, "WorkspaceList"):
        mtd.remove(name)


@native("GroupWorkspaces")
def group_workspaces(algorithm: Algorithm) -> None:
    """Put workspaces into a group."""
    names = list(value(algorithm, "InputWorkspaces"))
    missing = [name for name in names if name not in mtd._held]
    if missing or not names:
        raise RuntimeError(f"Workspaces not found: {', '.join(missing)}" if missing else "No workspaces to group")
    put(algorithm, "OutputWorkspace", WorkspaceGroupData(names))


@native("UnGroupWorkspace")
def ungroup_workspace(algorithm: Algorithm) -> None:
    """Take a group apart."""
    mtd.remove(value(algorithm, "InputWorkspace"))


@native("Comment")
def comment(algorithm: Algorithm) -> None:
    """Leave a note in the history, which is the entry itself."""


@native("RemoveWorkspaceHistory")
def remove_workspace_history(algorithm: Algorithm) -> None:
    """Forget how a workspace was made."""
    held(algorithm, "Workspace").history._entries.clear()
