"""Tables: columns of one type each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mantid.api._workspace import Workspace, WorkspaceData
from mantid.kernel._boost import ArgumentError, check_type
from mantid.kernel._vectors import V3D

#: Type of a column -> Python type of its cells, what a new cell holds, name of the C++ type.
_TYPES: dict[str, tuple[type, Any, str]] = {
    "int": (int, 0, "i"),
    "long64": (int, 0, "l"),
    "size_t": (int, 0, "m"),
    "float": (float, 0.0, "f"),
    "double": (float, 0.0, "d"),
    "bool": (bool, False, "N6Mantid3API7BooleanE"),
    "str": (str, "", "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
    "V3D": (V3D, None, "N6Mantid6Kernel3V3DE"),
}


class TableData(WorkspaceData):
    """Names, types and cells of columns."""

    id = "TableWorkspace"

    def __init__(self) -> None:
        super().__init__()
        self.types: dict[str, str] = {}
        self.columns: dict[str, list[Any]] = {}
        self.plot_types: dict[str, int] = {}
        self.rows = 0

    @classmethod
    def python_class(cls) -> type:
        from mantid import dataobjects

        return dataobjects.TableWorkspace

    def memory(self) -> int:
        return 8 * self.rows * len(self.columns)


def _cell(kind: str, value: Any) -> Any:
    """Return a value for a cell; AttributeError or TypeError if it is of the wrong type."""
    cls = _TYPES[kind][0]
    if cls is V3D:
        if not isinstance(value, V3D):
            raise TypeError("a V3D is needed")
        return value
    if cls is int and isinstance(value, float):
        raise AttributeError("'float' object has no attribute '__index__'")
    converted = check_type(value, cls, kind)
    return float(np.float32(converted)) if kind == "float" else converted


class ITableWorkspace(Workspace):
    """A table; cells take plain Python values only."""

    def addColumn(self, type: str, name: str, plottype: int = 0) -> bool:
        """Add a column and return whether that worked."""
        for text in (type, name):
            if not isinstance(text, str):
                raise ArgumentError("Python argument types in addColumn did not match C++ signature")
        if type not in _TYPES:
            raise RuntimeError(f"Column type '{type}' is not registered in the factory")
        if name in self._data.columns:
            return False
        self._data.types[name] = type
        self._data.plot_types[name] = plottype
        self._data.columns[name] = [_TYPES[type][1]] * self._data.rows
        return True

    def removeColumn(self, name: str) -> None:
        """Remove a column."""
        del self._data.columns[name], self._data.types[name], self._data.plot_types[name]

    def addRow(self, row_items: Any) -> None:
        """Add a row of as many values as there are columns; a value of a wrong type leaves it half filled."""
        names = list(self._data.columns)
        items = [row_items[name] for name in names] if isinstance(row_items, dict) else list(row_items)
        if len(items) != len(names):
            raise ValueError("Number of values given does not match the number of columns.")
        self.setRowCount(self._data.rows + 1)
        for name, value in zip(names, items, strict=True):
            self._data.columns[name][-1] = _cell(self._data.types[name], value)

    def setRowCount(self, count: int) -> None:
        """Set the number of rows; new cells are zero or empty."""
        self._data.rows = count
        for name, cells in self._data.columns.items():
            filler = _TYPES[self._data.types[name]][1]
            self._data.columns[name] = (cells + [filler] * count)[:count]

    def rowCount(self) -> int:
        """Return the number of rows."""
        return int(self._data.rows)

    __len__ = rowCount

    def columnCount(self) -> int:
        """Return the number of columns."""
        return len(self._data.columns)

    def getColumnNames(self) -> list[str]:
        """Return the names of columns."""
        return list(self._data.columns)

    keys = getColumnNames

    def columnTypes(self) -> list[str]:
        """Return the types of columns, as the C++ compiler names them."""
        return [_TYPES[kind][2] for kind in self._data.types.values()]

    def getPlotType(self, column: Any) -> int:
        """Return whether a column is X, Y, an error or none of them."""
        return int(self._data.plot_types[self._name(column)])

    def setPlotType(self, column: Any, ptype: int) -> None:
        """Say whether a column is X, Y, an error or none of them."""
        self._data.plot_types[self._name(column)] = ptype

    def _name(self, column: Any) -> str:
        if isinstance(column, int):
            names = list(self._data.columns)
            if not 0 <= column < len(names):
                raise ValueError("column index out of range")
            return str(names[column])
        if column not in self._data.columns:
            raise RuntimeError(f"column {column} does not exist.")
        return str(column)

    def column(self, column: Any) -> list[Any]:
        """Return the cells of a column."""
        return list(self._data.columns[self._name(column)])

    def row(self, row: int) -> dict[str, Any]:
        """Return the cells of a row by the names of their columns."""
        if not 0 <= row < self._data.rows:
            raise IndexError("row index out of range")
        return {name: cells[row] for name, cells in self._data.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.row(index) for index in range(self._data.rows))

    def toDict(self) -> dict[str, list[Any]]:
        """Return all cells by the names of their columns."""
        return {name: list(cells) for name, cells in self._data.columns.items()}

    def _place(self, row_or_column: Any, other: int) -> tuple[str, int]:
        """Return column and row of ``(name, row)`` or ``(row, column number)``."""
        name, row = (row_or_column, other) if isinstance(row_or_column, str) else (other, row_or_column)
        if not 0 <= row < self._data.rows:
            raise IndexError("row index out of range")
        return self._name(name), row

    def cell(self, value: Any, row_or_column: int) -> Any:
        """Return a cell by ``(name, row)`` or ``(row, column number)``."""
        name, row = self._place(value, row_or_column)
        return self._data.columns[name][row]

    def setCell(self, row_or_column: Any, column_or_row: int, value: Any) -> None:
        """Set a cell by ``(name, row)`` or ``(row, column number)``."""
        name, row = self._place(row_or_column, column_or_row)
        self._data.columns[name][row] = _cell(self._data.types[name], value)
