"""Parts of a progress bar for long work; a user who cancels ends the work at its next step."""

from __future__ import annotations

from typing import Any


class Steps:
    """Work whose number of steps shows only at its end: each fills a share of what is left.

    Parameters
    ----------
    progress
        Mantid's Progress.
    first, last
        Ends of the part of the bar.
    typical
        Steps after which it is half full.
    """

    def __init__(self, progress: Any, first: int, last: int, typical: int) -> None:
        self._progress, self._first, self._last, self._typical = progress, first, last, typical
        self._done, self._doing = 0, ""

    def begin(self, doing: str) -> None:
        """Show what is being done from now on."""
        self._doing = doing
        self._report()

    def step(self) -> None:
        """Count one step."""
        self._done += 1
        self._report()

    def _report(self) -> None:
        filled = (self._last - self._first) * self._done // (self._done + self._typical)
        self._progress.report(self._first + filled, self._doing)


class Epochs:
    """A training of a number of epochs, and what lies between them.

    Parameters
    ----------
    progress
        Mantid's Progress.
    first, last
        Ends of the part of the bar.
    count
        Epochs at most.
    """

    def __init__(self, progress: Any, first: int, last: int, count: int) -> None:
        self._progress, self._first, self._last, self._count = progress, first, last, count
        self._begun, self._at, self._doing = 0, first, "Training"

    def begin(self, doing: str) -> None:
        """Show what is being done from now on."""
        self._doing = doing
        self.step()

    def step(self) -> None:
        """Show that the work goes on."""
        self._progress.report(self._at, self._doing)

    def show(self, done: int, total: int) -> None:
        """Show how many of the steps of an epoch are done."""
        self._begun += done == 1
        filled = (self._last - self._first) * ((self._begun - 1) * total + done) // (self._count * total)
        self._at = min(self._first + filled, self._last)
        self.step()
