"""Axes of matrix workspaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.kernel._units import Unit, UnitFactoryImpl

_UNITS = UnitFactoryImpl()


class MantidAxis:
    """Values along a direction, and their unit."""

    def __init__(self, values: list[Any], unit: str = "Empty") -> None:
        self._values = values
        self._unit = _UNITS.create(unit)
        self._title = ""

    def length(self) -> int:
        """Return how many values there are."""
        return len(self._values)

    def getUnit(self) -> Unit:
        """Return the unit."""
        return self._unit

    def setUnit(self, unit_name: str) -> Unit:
        """Set the unit and return it."""
        self._unit = _UNITS.create(unit_name)
        return self._unit

    def title(self) -> str:
        """Return the title."""
        return self._title

    def getValue(self, index: int, vertical_index: int = 0) -> float:
        """Return a value."""
        return float(self._values[index])

    def setValue(self, index: int, value: float) -> None:
        """Set a value."""
        self._values[index] = value

    def getMin(self) -> float:
        """Return the least value."""
        return float(self._values[0])

    def getMax(self) -> float:
        """Return the greatest value."""
        return float(self._values[-1])

    def extractValues(self) -> Any:
        """Return all values."""
        values: NDArray[np.float64] = np.array(self._values, dtype=np.float64)
        return values

    def label(self, index: int) -> str:
        """Return a value as text."""
        return f"{self._values[index]:g}"

    def isNumeric(self) -> bool:
        """Return whether values are numbers."""
        return False

    def isSpectra(self) -> bool:
        """Return whether values are numbers of spectra."""
        return False

    def isText(self) -> bool:
        """Return whether values are text."""
        return False


class NumericAxis(MantidAxis):
    """Numbers."""

    @staticmethod
    def create(length: int) -> NumericAxis:
        """Return an axis of zeros."""
        return NumericAxis([0.0] * length)

    def isNumeric(self) -> bool:
        return True


class BinEdgeAxis(NumericAxis):
    """Edges of bins."""

    @staticmethod
    def create(length: int) -> BinEdgeAxis:
        """Return an axis of zeros."""
        return BinEdgeAxis([0.0] * length)


class SpectraAxis(MantidAxis):
    """Numbers of spectra."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__(values, "SpectraNumber")

    def isSpectra(self) -> bool:
        return True

    def label(self, index: int) -> str:
        return f"sp-{self._values[index]}"


class TextAxis(MantidAxis):
    """Labels."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__(values, "Text")

    @staticmethod
    def create(length: int) -> TextAxis:
        """Return an axis of empty labels."""
        return TextAxis([""] * length)

    def isText(self) -> bool:
        return True

    def label(self, index: int) -> str:
        return str(self._values[index])

    def setLabel(self, index: int, label: str) -> None:
        """Set a label."""
        self._values[index] = label

    def extractValues(self) -> list[str]:
        return [str(value) for value in self._values]
