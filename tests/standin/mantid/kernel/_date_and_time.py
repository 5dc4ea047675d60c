"""Points in time: nanoseconds since 1990, as Mantid counts them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mantid.kernel._boost import ArgumentError

_EPOCH = np.datetime64("1990-01-01T00:00:00", "ns")


class DateAndTime:
    """A point in time from ISO 8601 text, from nanoseconds, or from seconds and nanoseconds."""

    def __init__(self, *arguments: Any) -> None:
        if len(arguments) == 1 and isinstance(arguments[0], DateAndTime):
            self._nanoseconds = arguments[0]._nanoseconds
        elif len(arguments) == 1 and isinstance(arguments[0], str):
            text = re.sub(r"(Z|[+-]\d\d:?\d\d)$", "", arguments[0].strip().replace(" ", "T"))
            try:
                self._nanoseconds = int((np.datetime64(text, "ns") - _EPOCH).astype(np.int64))
            except ValueError:
                raise ValueError(f"Error interpreting string '{arguments[0]}' as a date/time.") from None
        elif len(arguments) == 1 and isinstance(arguments[0], int):
            self._nanoseconds = arguments[0]
        elif len(arguments) == 2:
            self._nanoseconds = int(arguments[0] * 1e9) + int(arguments[1])
        else:
            raise ArgumentError("Python argument types in DateAndTime.__init__ did not match C++ signature")

    def totalNanoseconds(self) -> int:
        """Return nanoseconds since the start of 1990."""
        return self._nanoseconds

    total_nanoseconds = totalNanoseconds

    def setToMinimum(self) -> None:
        """Set to the earliest time."""
        self._nanoseconds = -(2**62)

    def to_datetime64(self) -> np.datetime64:
        """Return numpy's kind of time."""
        return _EPOCH + np.timedelta64(self._nanoseconds, "ns")

    def __str__(self) -> str:
        return str(self.to_datetime64()).removesuffix(".000000000")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DateAndTime) and self._nanoseconds == other._nanoseconds

    def __lt__(self, other: DateAndTime) -> bool:
        return self._nanoseconds < other._nanoseconds

    def __hash__(self) -> int:
        return hash(self._nanoseconds)


def now() -> DateAndTime:
    """Return the present time."""
    return DateAndTime(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"))
