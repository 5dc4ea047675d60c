"""Algorithms, workspaces and the services that hold them."""

from mantid import _algorithms  # noqa: F401  (registers what Mantid's own algorithms do)
from mantid.api._ads import AnalysisDataServiceImpl, WorkspaceGroup, mtd
from mantid.api._algorithm import Algorithm
from mantid.api._axis import BinEdgeAxis, MantidAxis, NumericAxis, SpectraAxis, TextAxis
from mantid.api._enumerations import (
    FileAction,
    LockMode,
    MDNormalization,
    PropertyMode,
    SpecialCoordinateSystem,
)
from mantid.api._experiment_info import ExperimentInfo
from mantid.api._factory import (
    AlgorithmFactory,
    AlgorithmFactoryImpl,
    AlgorithmManager,
    AlgorithmManagerImpl,
    WorkspaceFactory,
    WorkspaceFactoryImpl,
)
from mantid.api._file_property import FileProperty, MultipleFileProperty
from mantid.api._history import AlgorithmHistory, WorkspaceHistory
from mantid.api._matrix_workspace import ISpectrum, MatrixWorkspace, SpectrumInfo
from mantid.api._md_events import BoxController, IMDEventWorkspace
from mantid.api._md_geometry import IMDWorkspace, MDGeometry, MultipleExperimentInfos
from mantid.api._md_histo import IMDHistoWorkspace
from mantid.api._progress import AlgorithmObserver, Progress
from mantid.api._python_algorithm import DataProcessorAlgorithm, PythonAlgorithm
from mantid.api._run import Run
from mantid.api._sample import Sample
from mantid.api._table import ITableWorkspace
from mantid.api._workspace import Workspace
from mantid.api._workspace_property import (
    IMDEventWorkspaceProperty,
    IMDHistoWorkspaceProperty,
    IMDWorkspaceProperty,
    ITableWorkspaceProperty,
    IWorkspaceProperty,
    MatrixWorkspaceProperty,
    WorkspaceGroupProperty,
    WorkspaceProperty,
)

__all__ = [
    "Algorithm",
    "AlgorithmFactory",
    "AlgorithmFactoryImpl",
    "AlgorithmHistory",
    "AlgorithmManager",
    "AlgorithmManagerImpl",
    "AlgorithmObserver",
    "AnalysisDataService",
    "AnalysisDataServiceImpl",
    "BinEdgeAxis",
    "BoxController",
    "DataProcessorAlgorithm",
    "ExperimentInfo",
    "FileAction",
    "FileProperty",
    "IMDEventWorkspace",
    "IMDEventWorkspaceProperty",
    "IMDHistoWorkspace",
    "IMDHistoWorkspaceProperty",
    "IMDWorkspace",
    "IMDWorkspaceProperty",
    "ISpectrum",
    "ITableWorkspace",
    "ITableWorkspaceProperty",
    "IWorkspaceProperty",
    "LockMode",
    "MDGeometry",
    "MDNormalization",
    "MantidAxis",
    "MatrixWorkspace",
    "MatrixWorkspaceProperty",
    "MultipleExperimentInfos",
    "MultipleFileProperty",
    "NumericAxis",
    "Progress",
    "PropertyMode",
    "PythonAlgorithm",
    "Run",
    "Sample",
    "SpecialCoordinateSystem",
    "SpectraAxis",
    "SpectrumInfo",
    "TextAxis",
    "Workspace",
    "WorkspaceFactory",
    "WorkspaceFactoryImpl",
    "WorkspaceGroup",
    "WorkspaceGroupProperty",
    "WorkspaceHistory",
    "WorkspaceProperty",
    "isSameWorkspaceObject",
    "mtd",
]

AnalysisDataService = mtd


def isSameWorkspaceObject(first: Workspace, second: Workspace) -> bool:
    """Return whether two handles are on the same workspace."""
    return first._data is second._data
