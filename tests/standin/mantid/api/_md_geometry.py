"""What multidimensional workspaces share: dimensions and experiment infos."""

from __future__ import annotations

from typing import Any

from mantid.api._enumerations import MDNormalization, SpecialCoordinateSystem
from mantid.api._experiment_info import ExperimentData, ExperimentInfo, experiment_info
from mantid.api._workspace import Workspace, WorkspaceData
from mantid.geometry._dimension import DimensionData, IMDDimension
from mantid.kernel._boost import ArgumentError
from mantid.kernel._vectors import VMD


class MDData(WorkspaceData):
    """Dimensions, experiments, and in which frame Q is given."""

    def __init__(self, dimensions: list[DimensionData]) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.experiments: list[ExperimentData] = []
        self.coordinate_system = 0
        self.q_convention = "Inelastic"
        self.display = [int(MDNormalization.VolumeNormalization), int(MDNormalization.NumEventsNormalization)]


class MDGeometry:
    """Dimensions by index, name or identifier."""

    _data: Any

    def getNumDims(self) -> int:
        """Return the number of dimensions."""
        return len(self._data.dimensions)

    def getDimension(self, index: int) -> IMDDimension:
        """Return a dimension; RuntimeError if there is none of that index."""
        if not isinstance(index, int):
            raise ArgumentError("Python argument types in MDGeometry.getDimension did not match C++ signature")
        if not 0 <= index < self.getNumDims():
            raise RuntimeError(f"Workspace does not have a dimension at index {index}.")
        return IMDDimension(self._data.dimensions[index])

    def getDimensionWithId(self, id: str) -> IMDDimension:
        """Return a dimension; ValueError if there is none of that identifier."""
        return self.getDimension(self.getDimensionIndexById(id))

    def getDimensionIndexById(self, id: str) -> int:
        """Return the index of a dimension; RuntimeError if there is none of that identifier."""
        return self._index("id", id)

    def getDimensionIndexByName(self, name: str) -> int:
        """Return the index of a dimension; RuntimeError if there is none of that name."""
        return self._index("label", name)

    def _index(self, attribute: str, wanted: str) -> int:
        for index, dimension in enumerate(self._data.dimensions):
            if getattr(dimension, attribute) == wanted:
                return index
        raise RuntimeError(f"Dimension named {wanted} was not found in the IMDWorkspace.")

    def getNonIntegratedDimensions(self) -> list[IMDDimension]:
        """Return the dimensions of more than one bin."""
        return [IMDDimension(dimension) for dimension in self._data.dimensions if dimension.n_bins > 1]

    def getXDimension(self) -> IMDDimension:
        """Return the first dimension."""
        return self.getDimension(0)

    def getYDimension(self) -> IMDDimension:
        """Return the second dimension."""
        return self.getDimension(1)

    def getZDimension(self) -> IMDDimension:
        """Return the third dimension."""
        return self.getDimension(2)

    def getTDimension(self) -> IMDDimension:
        """Return the fourth dimension."""
        return self.getDimension(3)

    def getOrigin(self) -> VMD:
        """Return the origin."""
        return VMD(*(0.0 for _ in self._data.dimensions))

    def hasOriginalWorkspace(self, index: int) -> bool:
        """Return whether it was binned from another workspace that is still known."""
        return False

    def numOriginalWorkspaces(self) -> int:
        """Return how many workspaces it was binned from."""
        return 0


class MultipleExperimentInfos:
    """Experiment infos by index."""

    _data: Any

    def getNumExperimentInfo(self) -> int:
        """Return how many there are."""
        return len(self._data.experiments)

    def getExperimentInfo(self, run_index: int) -> ExperimentInfo:
        """Return one; ValueError if there is none of that index."""
        if not isinstance(run_index, int):
            raise ArgumentError("Python argument types in getExperimentInfo did not match C++ signature")
        if not 0 <= run_index < self.getNumExperimentInfo():
            raise ValueError("MDEventWorkspace::getExperimentInfo(): runIndex is out of range.")
        return experiment_info(self._data.experiments[run_index])

    def addExperimentInfo(self, ExperimentalInfo: ExperimentInfo) -> int:
        """Add a copy of one and return its index."""
        if not isinstance(ExperimentalInfo, ExperimentInfo):
            raise ArgumentError("Python argument types in addExperimentInfo did not match C++ signature")
        self._data.experiments.append(ExperimentalInfo._experiment.copied())
        return len(self._data.experiments) - 1

    def copyExperimentInfos(self, other: Any) -> None:
        """Replace them by copies of those of another workspace."""
        if not isinstance(other, MultipleExperimentInfos):
            raise ArgumentError("Python argument types in copyExperimentInfos did not match C++ signature")
        self._data.experiments = [experiment.copied() for experiment in other._data.experiments]


class IMDWorkspace(Workspace, MDGeometry):
    """A workspace with dimensions; matrix workspaces count as such."""

    def getNPoints(self) -> int:
        """Return the number of bins, or of events."""
        return int(self._data.n_points())

    def getNEvents(self) -> int:
        """Return the number of events."""
        return int(self._data.n_events())

    def getSpecialCoordinateSystem(self) -> Any:
        """Return the frame of Q."""
        return SpecialCoordinateSystem(self._data.coordinate_system)

    def displayNormalization(self) -> Any:
        """Return what the signal is divided by for display."""
        return MDNormalization(self._data.display[0])

    def displayNormalizationHisto(self) -> Any:
        """Return what the signal of histograms made of it is divided by for display."""
        return MDNormalization(self._data.display[1])

    def isMDHistoWorkspace(self) -> bool:
        """Return whether it is a multidimensional histogram."""
        return False
