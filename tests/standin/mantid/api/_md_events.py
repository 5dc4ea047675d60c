"""Events in several dimensions: Python sees how many there are, not which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.api._enumerations import MDNormalization
from mantid.api._md_geometry import IMDWorkspace, MDData, MultipleExperimentInfos
from mantid.geometry._dimension import DimensionData

#: Leading columns of the table of events, before the coordinates.
COLUMNS = {
    "lean": ("signal", "errorSquared"),
    "old": ("signal", "errorSquared", "runIndex", "detectorId"),
    "new": ("signal", "errorSquared", "expInfoIndex", "goniometerIndex", "detectorId"),
}


class MDEventData(MDData):
    """Events as a table in single precision, in one of the layouts of files."""

    def __init__(self, dimensions: list[DimensionData], layout: str, table: NDArray[np.float32]) -> None:
        super().__init__(dimensions)
        self.layout = layout
        self.table = table
        self.split_into = [2] * len(dimensions)
        self.split_threshold = 1000
        self.file = ""
        #: What keeps that file open for as long as events stay in it.
        self.held_open: Any = None
        #: Boxes as arrays by the names of their datasets, where they were read from a file.
        self.boxes: dict[str, Any] = {}
        self.box_controller = ""

    @property
    def id(self) -> str:  # type: ignore[override]
        """Name of the kind of data."""
        return f"MDEventWorkspace<{self.event_type},{len(self.dimensions)}>"

    @property
    def event_type(self) -> str:
        """MDEvent, or MDLeanEvent for events without run and detector."""
        return "MDLeanEvent" if self.layout == "lean" else "MDEvent"

    def python_class(self) -> type:  # type: ignore[override]
        from mantid import dataobjects

        lean = "Lean" if self.layout == "lean" else ""
        cls: type = getattr(dataobjects, f"MD{lean}EventWorkspace{len(self.dimensions)}D")
        return cls

    def n_points(self) -> int:
        """Return the number of events."""
        return len(self.table)

    n_events = n_points

    def memory(self) -> int:
        return int(self.table.nbytes)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return a leading column."""
        return self.table[:, COLUMNS[self.layout].index(name)]


class BoxController:
    """How the boxes that hold events are split, and whether events stay in a file."""

    def __init__(self, data: MDEventData) -> None:
        self._events = data

    def getNDims(self) -> int:
        """Return the number of dimensions."""
        return len(self._events.dimensions)

    def getSplitInto(self, dim: int) -> int:
        """Return into how many parts a box is split along a dimension."""
        return self._events.split_into[dim]

    def getSplitThreshold(self) -> int:
        """Return with how many events a box is split."""
        return self._events.split_threshold

    def isFileBacked(self) -> bool:
        """Return whether events stay in a file."""
        return bool(self._events.file)

    def getFilename(self) -> str:
        """Return the file in which events stay, empty if there is none."""
        return self._events.file

    def getTotalNumMDBoxes(self) -> int:
        """Return how many boxes hold events."""
        kinds = self._events.boxes.get("box_type")
        return 1 if kinds is None else int(np.sum(kinds == 1))


class IMDEventWorkspace(IMDWorkspace, MultipleExperimentInfos):
    """Events in several dimensions."""

    def getBoxController(self) -> BoxController:
        """Return how its boxes are split."""
        return BoxController(self._data)

    def setDisplayNormalization(self, normalization: Any) -> None:
        """Set what the signal is divided by for display."""
        self._data.display[0] = int(MDNormalization(normalization))

    def setDisplayNormalizationHisto(self, normalization: Any) -> None:
        """Set what the signal of histograms made of it is divided by for display."""
        self._data.display[1] = int(MDNormalization(normalization))
