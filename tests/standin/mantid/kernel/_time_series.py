"""Logs that change with time."""

from __future__ import annotations

from typing import Any

import numpy as np

from mantid.kernel._boost import check_type
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property import Property


class FloatTimeSeriesProperty(Property):
    """Numbers at points in time."""

    _type = "TimeValue"

    def __init__(
        self, name: str, times: list[DateAndTime] | None = None, values: list[float] | None = None
    ) -> None:
        super().__init__(name, (), None, 0)
        self._times = list(times or [])
        self._value = list(values or [])

    @property
    def value(self) -> Any:
        """The numbers, as an array."""
        return np.array(self._value, dtype=np.float64)

    @property
    def times(self) -> list[DateAndTime]:
        """The points in time."""
        return list(self._times)

    def addValue(self, time: Any, value: float) -> None:
        """Add a number."""
        self._times.append(DateAndTime(time))
        self._value.append(check_type(value, float, "double"))

    def clear(self) -> None:
        """Remove all numbers."""
        self._times, self._value = [], []

    def size(self) -> int:
        """Return how many numbers there are."""
        return len(self._value)

    def firstValue(self) -> float:
        """Return the first number."""
        return float(self._value[0])

    def lastValue(self) -> float:
        """Return the last number."""
        return float(self._value[-1])

    def nthValue(self, index: int) -> float:
        """Return a number."""
        return float(self._value[index])

    def firstTime(self) -> DateAndTime:
        """Return the first point in time."""
        return self._times[0]

    def lastTime(self) -> DateAndTime:
        """Return the last point in time."""
        return self._times[-1]

    def nthTime(self, index: int) -> DateAndTime:
        """Return a point in time."""
        return self._times[index]

    def timeAverageValue(self) -> float:
        """Return the mean, weighted by how long each number lasted."""
        seconds = np.array([time.totalNanoseconds() for time in self._times], dtype=float)
        lasted = np.diff(seconds)
        if lasted.sum() == 0:
            return float(np.mean(self._value))
        return float(np.average(self._value[:-1], weights=lasted))

    def dtype(self) -> str:
        """Return numpy's letter for the type."""
        return "f"

    def _format(self, value: Any) -> str:
        return "".join(f"{time}  {number:g}\n" for time, number in zip(self._times, self._value, strict=True))
