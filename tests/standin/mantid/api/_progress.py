"""Progress of an algorithm, and those who watch it."""

from __future__ import annotations

from typing import Any

from mantid.api._algorithm import Algorithm
from mantid.kernel._boost import ArgumentError, check_type


class Progress:
    """Reports how far an algorithm is; a report after a cancel raises KeyboardInterrupt."""

    def __init__(self, alg: Algorithm, start: float, end: float, nreports: int) -> None:
        if not isinstance(alg, Algorithm):
            raise ArgumentError("Python argument types in Progress.__init__ did not match C++ signature")
        self._algorithm = alg
        self._set_range(check_type(start, float, "double"), check_type(end, float, "double"))
        self._steps = max(check_type(nreports, int, "int"), 1)
        self._step = 0

    def _set_range(self, start: float, end: float) -> None:
        if not 0 <= start < 1:
            raise ValueError("Progress: start must be between 0 and 1")
        if not start < end <= 1.000001:
            raise ValueError("Progress: end must be above start and not above 1")
        self._start, self._end = start, end

    def report(self, *arguments: Any) -> None:
        """Report the next step, or step i: ``()``, ``(message)`` or ``(i, message)``."""
        if arguments and isinstance(arguments[0], int):
            self._step, arguments = arguments[0], arguments[1:]
        else:
            self._step += 1
        if len(arguments) > 1 or not all(isinstance(argument, str) for argument in arguments):
            raise ArgumentError("Python argument types in ProgressBase.report did not match C++ signature")
        self._tell(*arguments)

    def reportIncrement(self, i: int, msg: str = "") -> None:
        """Report several steps at once."""
        self._step += check_type(i, int, "int")
        self._tell(msg)

    def _tell(self, message: str = "") -> None:
        done = min(self._step / self._steps, 1.0)
        self._algorithm._report(self._start + (self._end - self._start) * done, message)

    def setNumSteps(self, nsteps: int) -> None:
        """Set the number of steps."""
        self._steps = max(nsteps, 1)

    def resetNumSteps(self, nsteps: int, start: float, end: float) -> None:
        """Begin again with another range."""
        self._set_range(start, end)
        self._steps, self._step = max(nsteps, 1), 0

    def setNotifyStep(self, notifyStep: float) -> None:
        """Set the least percentage between two messages; every report still sees a cancel."""

    def getEstimatedTime(self) -> float:
        """Return the time that is left in seconds, which is not known here."""
        return 0.0


class AlgorithmObserver:
    """Is told what an algorithm does by calls of progressHandle, finishHandle and errorHandle."""

    def __init__(self) -> None:
        self._wanted: dict[int, set[str]] = {}

    def _observe(self, alg: Algorithm, event: str) -> None:
        self._wanted.setdefault(id(alg), set()).add(event)
        if self not in alg._observers:
            alg._observers.append(self)

    def observeProgress(self, alg: Algorithm) -> None:
        """Ask for reports of progress."""
        self._observe(alg, "progress")

    def observeFinish(self, alg: Algorithm) -> None:
        """Ask to be told of a good end."""
        self._observe(alg, "finish")

    def observeError(self, alg: Algorithm) -> None:
        """Ask to be told of a bad end."""
        self._observe(alg, "error")

    def stopObserving(self, alg: Algorithm) -> None:
        """Ask no longer."""
        self._wanted.pop(id(alg), None)
        if self in alg._observers:
            alg._observers.remove(self)
