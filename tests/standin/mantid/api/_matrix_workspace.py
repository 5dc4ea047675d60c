"""Matrix workspaces: spectra, each with x, y and e."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.api._axis import MantidAxis, NumericAxis, SpectraAxis
from mantid.api._experiment_info import ExperimentData, ExperimentInfo
from mantid.api._md_geometry import IMDWorkspace
from mantid.api._run import Run
from mantid.api._workspace import WorkspaceData
from mantid.geometry._dimension import DimensionData
from mantid.geometry._instrument import Detector
from mantid.kernel._boost import ArgumentError
from mantid.kernel._vectors import V3D

FloatArray = NDArray[np.float64]


class MatrixData(WorkspaceData):
    """Spectra: x (n, m) or (n, m + 1), y and e (n, m), and the detectors of each spectrum."""

    id = "Workspace2D"

    def __init__(
        self, x: FloatArray, y: FloatArray, e: FloatArray, experiment: ExperimentData | None = None
    ) -> None:
        super().__init__()
        self.x, self.y, self.e = (np.array(values, dtype=np.float64) for values in (x, y, e))
        self.experiment = ExperimentData() if experiment is None else experiment
        n = len(self.y)
        self.spectrum_numbers = list(range(1, n + 1))
        self.detectors: list[list[int]] = [[] for _ in range(n)]
        self.axes: list[MantidAxis] = [
            NumericAxis(list(self.x[0]) if n else []),
            SpectraAxis(self.spectrum_numbers),
        ]
        self.y_unit = ""
        self.y_label = ""
        self.distribution = False
        self.coordinate_system = 0

    @classmethod
    def python_class(cls) -> type:
        from mantid import dataobjects

        return dataobjects.Workspace2D

    @property
    def dimensions(self) -> list[DimensionData]:
        """The horizontal and the vertical axis."""
        x = self.x[0]
        unit = self.axes[0].getUnit()
        horizontal = DimensionData(
            "xDimension", unit.caption(), unit.label(), "General Frame", x[0], x[-1], len(self.y[0])
        )
        n = len(self.y)
        vertical = DimensionData("yDimension", "Spectrum", "", "General Frame", 0, n, n)
        return [horizontal, vertical]

    def n_points(self) -> int:
        """Return the number of bins."""
        return int(self.y.size)

    def n_events(self) -> int:
        """Return the number of bins."""
        return self.n_points()

    def memory(self) -> int:
        return int(self.x.nbytes + self.y.nbytes + self.e.nbytes)


class ISpectrum:
    """Number and detectors of a spectrum."""

    def __init__(self, data: MatrixData, index: int) -> None:
        self._matrix, self._index = data, index

    def getSpectrumNo(self) -> int:
        """Return its number."""
        return self._matrix.spectrum_numbers[self._index]

    def setSpectrumNo(self, num: int) -> None:
        """Set its number."""
        self._matrix.spectrum_numbers[self._index] = num

    def getDetectorIDs(self) -> set[int]:
        """Return the numbers of its detectors."""
        return set(self._matrix.detectors[self._index])

    def hasDetectorID(self, det_id: int) -> bool:
        """Return whether a detector counts into it."""
        return det_id in self._matrix.detectors[self._index]

    def setDetectorID(self, det_id: int) -> None:
        """Set its only detector."""
        self._matrix.detectors[self._index] = [det_id]

    def addDetectorID(self, det_id: int) -> None:
        """Add a detector."""
        self._matrix.detectors[self._index].append(det_id)

    def clearDetectorIDs(self) -> None:
        """Forget its detectors."""
        self._matrix.detectors[self._index] = []


class SpectrumInfo:
    """Geometry of spectra by index."""

    def __init__(self, data: MatrixData) -> None:
        self._matrix = data

    def size(self) -> int:
        """Return the number of spectra."""
        return len(self._matrix.y)

    def hasDetectors(self, index: int) -> bool:
        """Return whether a spectrum has detectors."""
        return bool(self._matrix.detectors[index])

    def position(self, index: int) -> V3D:
        """Return the mean place of its detectors in metres."""
        return V3D(*np.mean([self._detector(number) for number in self._matrix.detectors[index]], axis=0).tolist())

    def l1(self) -> float:
        """Return the distance from source to sample in metres."""
        return abs(self._matrix.experiment.instrument.source)

    def l2(self, index: int) -> float:
        """Return the distance from the sample in metres."""
        return self.position(index).norm()

    def twoTheta(self, index: int) -> float:
        """Return the scattering angle in radians."""
        return self.position(index).angle(V3D(0.0, 0.0, 1.0))

    def isMasked(self, index: int) -> bool:
        """Return whether all its detectors are masked."""
        masked = self._matrix.experiment.instrument.masked()
        detectors = self._matrix.detectors[index]
        return bool(detectors) and all(number in masked for number in detectors)

    def isMonitor(self, index: int) -> bool:
        """Return whether it is that of a monitor."""
        return False

    def _detector(self, number: int) -> FloatArray:
        instrument = self._matrix.experiment.instrument
        position: FloatArray = instrument.positions[np.flatnonzero(instrument.detector_ids == number)[0]]
        return position


class MatrixWorkspace(IMDWorkspace, ExperimentInfo):
    """Spectra with a common or an own x axis; it is an experiment info too."""

    @property
    def _experiment(self) -> ExperimentData:  # type: ignore[override]
        experiment: ExperimentData = self._data.experiment
        return experiment

    def getRun(self) -> Run:
        """Return the logs."""
        return self.run()

    def spectrumInfo(self) -> SpectrumInfo:
        """Return the geometry of spectra."""
        return SpectrumInfo(self._data)

    def getNumberHistograms(self) -> int:
        """Return the number of spectra."""
        return len(self._data.y)

    def blocksize(self) -> int:
        """Return the number of bins of a spectrum."""
        return int(self._data.y.shape[1])

    def isHistogramData(self) -> bool:
        """Return whether x are edges of bins."""
        return bool(self._data.x.shape[1] == self._data.y.shape[1] + 1)

    def isCommonBins(self) -> bool:
        """Return whether all spectra have the same x."""
        return bool(np.all(self._data.x == self._data.x[0]))

    def isDistribution(self) -> bool:
        """Return whether y is divided by the width of bins."""
        return bool(self._data.distribution)

    def setDistribution(self, newVal: bool) -> None:
        """Say whether y is divided by the width of bins."""
        self._data.distribution = newVal

    def _row(self, array: FloatArray, index: int, writeable: bool) -> FloatArray:
        if not isinstance(index, int):
            raise ArgumentError("Python argument types did not match C++ signature: an index is needed")
        if not 0 <= index < len(array):
            raise IndexError("workspace index out of range")
        view = array[index]
        view.flags.writeable = writeable
        return view

    def readX(self, workspaceIndex: int) -> FloatArray:
        """Return x of a spectrum, read-only."""
        return self._row(self._data.x, workspaceIndex, False)

    def readY(self, workspaceIndex: int) -> FloatArray:
        """Return y of a spectrum, read-only."""
        return self._row(self._data.y, workspaceIndex, False)

    def readE(self, workspaceIndex: int) -> FloatArray:
        """Return e of a spectrum, read-only."""
        return self._row(self._data.e, workspaceIndex, False)

    def dataX(self, workspaceIndex: int) -> FloatArray:
        """Return x of a spectrum, to be written to."""
        return self._row(self._data.x, workspaceIndex, True)

    def dataY(self, workspaceIndex: int) -> FloatArray:
        """Return y of a spectrum, to be written to."""
        return self._row(self._data.y, workspaceIndex, True)

    def dataE(self, workspaceIndex: int) -> FloatArray:
        """Return e of a spectrum, to be written to."""
        return self._row(self._data.e, workspaceIndex, True)

    def setX(self, workspaceIndex: int, x: Any) -> None:
        """Set x of a spectrum."""
        self._set(self._data.x, workspaceIndex, x)

    def setY(self, workspaceIndex: int, y: Any) -> None:
        """Set y of a spectrum."""
        self._set(self._data.y, workspaceIndex, y)

    def setE(self, workspaceIndex: int, e: Any) -> None:
        """Set e of a spectrum."""
        self._set(self._data.e, workspaceIndex, e)

    def _set(self, kept: FloatArray, index: int, values: Any) -> None:
        if np.shape(values) != kept[index].shape:
            raise ValueError(f"Length mismatch: {np.shape(values)} for {kept[index].shape}")
        kept[index] = values

    def extractX(self) -> FloatArray:
        """Return a copy of all x."""
        values: FloatArray = self._data.x.copy()
        return values

    def extractY(self) -> FloatArray:
        """Return a copy of all y."""
        values: FloatArray = self._data.y.copy()
        return values

    def extractE(self) -> FloatArray:
        """Return a copy of all e."""
        values: FloatArray = self._data.e.copy()
        return values

    def axes(self) -> int:
        """Return the number of axes."""
        return len(self._data.axes)

    def getAxis(self, axis_index: int) -> MantidAxis:
        """Return an axis; IndexError if there is none of that index."""
        if not 0 <= axis_index < len(self._data.axes):
            raise IndexError(f"Axis index {axis_index} out of range")
        axis: MantidAxis = self._data.axes[axis_index]
        return axis

    def replaceAxis(self, axisIndex: int, newAxis: MantidAxis) -> None:
        """Replace an axis."""
        self._data.axes[axisIndex] = newAxis

    def getSpectrum(self, workspaceIndex: int) -> ISpectrum:
        """Return number and detectors of a spectrum."""
        return ISpectrum(self._data, workspaceIndex)

    def getIndexFromSpectrumNumber(self, spec_no: int) -> int:
        """Return the index of a spectrum."""
        if spec_no not in self._data.spectrum_numbers:
            raise RuntimeError("Could not find spectrum number in any spectrum.")
        return int(self._data.spectrum_numbers.index(spec_no))

    def getDetector(self, workspaceIndex: int) -> Detector:
        """Return the first detector of a spectrum; RuntimeError if it has none."""
        detectors = self._data.detectors[workspaceIndex]
        if not detectors:
            raise RuntimeError(f"Workspace index {workspaceIndex}: spectrum has no detectors")
        return self.getInstrument().getDetector(detectors[0])

    def YUnit(self) -> str:
        """Return the unit of y."""
        return str(self._data.y_unit)

    def setYUnit(self, newUnit: str) -> None:
        """Set the unit of y."""
        self._data.y_unit = newUnit

    def YUnitLabel(self) -> str:
        """Return what is written at the y axis."""
        return str(self._data.y_label or self._data.y_unit)

    def setYUnitLabel(self, newLabel: str) -> None:
        """Set what is written at the y axis."""
        self._data.y_label = newLabel
