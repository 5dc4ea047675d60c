"""Sample logs, and the goniometer that follows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.geometry._goniometer import Goniometer, rotation
from mantid.kernel._boost import ArgumentError, std_vector_property
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property import Property, property_of
from mantid.kernel._time_series import FloatTimeSeriesProperty

PROTON_CHARGE = "gd_prtn_chrg"


@dataclass
class GoniometerAxis:
    """A rotation about an axis by the value of a log, or by an angle where there is no such log."""

    name: str
    direction: tuple[float, float, float]
    sense: int
    angle: float


class Run:
    """Logs by name."""

    def __init__(self) -> None:
        self._logs: dict[str, Any] = {}
        self._axes: list[GoniometerAxis] = []
        self._goniometer = Goniometer()
        #: Edges of the energy bins that events were made of; Python cannot see them, files keep them.
        self._bins: NDArray[np.float64] | None = None

    def keys(self) -> list[str]:
        """Return the names of all logs."""
        return list(self._logs)

    def hasProperty(self, name: str) -> bool:
        """Return whether there is a log of that name."""
        return name in self._logs

    __contains__ = hasProperty

    def getProperty(self, name: str) -> Any:
        """Return a log; RuntimeError if there is none of that name."""
        if not isinstance(name, str):
            raise ArgumentError("Python argument types in Run.getProperty did not match C++ signature")
        if name not in self._logs:
            raise RuntimeError(f"Unknown property search object {name}")
        return self._logs[name]

    __getitem__ = getProperty

    def get(self, key: str, default: Any = None) -> Any:
        """Return a log, not its value, or something else if there is none of that name."""
        return self._logs.get(key, default)

    def getProperties(self) -> list[Any]:
        """Return all logs."""
        return std_vector_property(self._logs.values())

    def getLogData(self, *name: str) -> Any:
        """Return a log, or all."""
        return self.getProperty(*name) if name else self.getProperties()

    def addProperty(self, name: str, value: Any, *options: Any) -> None:
        """Add a log: ``(name, value, replace)`` or ``(name, value, units, replace)``."""
        if len(options) not in (1, 2) or not isinstance(options[-1], bool):
            raise ArgumentError("Python argument types in Run.addProperty did not match C++ signature")
        log = value if isinstance(value, Property) else property_of(value, name)
        if name in self._logs and not options[-1]:
            raise RuntimeError(f"Property with given name already exists search object {name}")
        if len(options) == 2:
            log.units = options[0]
        self._logs[name] = log

    def __setitem__(self, name: str, value: Any) -> None:
        self.addProperty(name, value, True)

    def getGoniometer(self) -> Goniometer:
        """Return the rotation, of the logs that it follows as they are now."""
        if self._axes:
            matrix = np.eye(3)
            for axis in self._axes:
                matrix = matrix @ rotation(axis.direction, axis.sense * self._angle(axis))
            self._goniometer.setR(matrix)
        return self._goniometer

    def _angle(self, axis: GoniometerAxis) -> float:
        log = self._logs.get(axis.name)
        if log is None:
            return axis.angle
        return log.timeAverageValue() if isinstance(log, FloatTimeSeriesProperty) else float(log.value)

    def getProtonCharge(self) -> float:
        """Return the proton charge in µA h, 0 if it is not known."""
        log = self._logs.get(PROTON_CHARGE)
        return 0.0 if log is None else float(log.value)

    def _time(self, *names: str) -> DateAndTime:
        for name in names:
            if name in self._logs:
                return DateAndTime(str(self._logs[name].value))
        raise RuntimeError(f"No {names[0]} log")

    def startTime(self) -> DateAndTime:
        """Return when the run began."""
        return self._time("start_time", "run_start")

    def endTime(self) -> DateAndTime:
        """Return when the run ended."""
        return self._time("end_time", "run_end")
