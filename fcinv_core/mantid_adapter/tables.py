"""Results as TableWorkspaces and Workspace2Ds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.mantid_adapter.children import run_unrecorded
from fcinv_core.qpath import QPath

#: Columns of a table of force constants that others read.
LABEL, VALUE = "Label", "Value"

Cell = str | bool | int | float


def fill_table(table: Any, columns: Mapping[str, Sequence[Cell]]) -> Any:
    """Fill an empty TableWorkspace and return it.

    Parameters
    ----------
    table
        ITableWorkspace without columns.
    columns
        Name to the values of a column, all of one type and as many as in the others.
    """
    for name, values in columns.items():
        table.addColumn(_kind(values), name)
    for row in zip(*columns.values(), strict=True):
        # Mantid takes plain Python values only, numpy's own leave half a row behind.
        table.addRow([_plain(cell) for cell in row])
    return table


def values_by_label(table: Any, name: str) -> dict[str, float]:
    """Return label to value (eV/Å²) of a table of force constants.

    Parameters
    ----------
    table
        ITableWorkspace with the columns `LABEL` and `VALUE`.
    name
        How error messages call it.

    Raises
    ------
    InputError
        If it has other columns, or a label stands there twice.
    """
    known = [str(column) for column in table.getColumnNames()]
    if LABEL not in known or VALUE not in known:
        raise InputError(
            f"{name} is no table of force constants",
            f"it has the columns {', '.join(known) or 'none'}",
            f"give one with the columns {LABEL} and {VALUE}, as InvertForceConstants makes it",
        )
    labels = [str(label) for label in table.column(LABEL)]
    if len(set(labels)) < len(labels):
        raise InputError(f"{name} names a force constant twice", "labels are unique", "remove one of the rows")
    return dict(zip(labels, (float(value) for value in table.column(VALUE)), strict=True))


def dispersion_workspace(
    algorithm: Any, path: QPath, energies: FloatArray, errors: FloatArray | None = None
) -> Any:
    """Return the dispersion as a Workspace2D: a spectrum for each branch, over the distance along the path.

    Where the path breaks, two points have one distance.

    Parameters
    ----------
    algorithm
        The running algorithm.
    path
        The q-points.
    energies
        Shape (n, s): energies of the branches, meV.
    errors
        Shape (n, s): standard deviations, meV; none by default.
    """
    return _spectra(
        algorithm,
        path.distance,
        {f"branch {k + 1}": branch for k, branch in enumerate(energies.T)},
        None if errors is None else errors.T,
        UnitX="MomentumTransfer",
        YUnitLabel="Energy (meV)",
        WorkspaceTitle="Dispersion along " + " ".join(label for _, label in path.tick_labels).replace("Γ", "G"),
    )


def error_workspace(algorithm: Any, minutes: FloatArray, errors: Mapping[str, FloatArray], unit: str) -> Any:
    """Return expected errors over the counting time as a Workspace2D: a spectrum for each way to measure.

    Parameters
    ----------
    algorithm
        The running algorithm.
    minutes
        Shape (n,): counting times.
    errors
        Name of the way to the expected errors, shape (n,).
    unit
        Of the errors.
    """
    workspace = _spectra(
        algorithm,
        minutes,
        errors,
        YUnitLabel=f"Expected error ({unit})".replace("Å", "Angstrom").replace("²", "^2"),
        WorkspaceTitle="Expected error of a plan",
    )
    workspace.getAxis(0).setUnit("Label").setLabel("Counting time", "minutes")
    return workspace


def _spectra(
    algorithm: Any,
    x: FloatArray,
    spectra: Mapping[str, FloatArray],
    errors: FloatArray | None = None,
    **labels: str,
) -> Any:
    """Return a Workspace2D of points over one axis."""
    y = np.concatenate(list(spectra.values()))
    child = run_unrecorded(
        algorithm,
        "CreateWorkspace",
        DataX=np.tile(x, len(spectra)),
        DataY=y,
        DataE=np.zeros(y.size) if errors is None else np.ascontiguousarray(errors).ravel(),
        NSpec=len(spectra),
        VerticalAxisUnit="Text",
        VerticalAxisValues=list(spectra),
        **labels,
    )
    return child.getProperty("OutputWorkspace").value


def _kind(values: Sequence[Cell]) -> str:
    first = values[0] if len(values) else 0.0
    if isinstance(first, (bool, np.bool_)):
        return "bool"
    if isinstance(first, str):
        return "str"
    return "int" if isinstance(first, (int, np.integer)) else "double"


def _plain(cell: Cell) -> Cell:
    return cell.item() if isinstance(cell, np.generic) else cell
