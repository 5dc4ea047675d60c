"""Multidimensional histograms."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.api._md_geometry import IMDWorkspace, MDData, MultipleExperimentInfos
from mantid.geometry._dimension import DimensionData
from mantid.kernel._boost import ArgumentError, check_type
from mantid.kernel._vectors import VMD

FloatArray = NDArray[np.float64]


class MDHistoData(MDData):
    """Signal, squared error and number of events of each bin, the first dimension fastest."""

    id = "MDHistoWorkspace"

    def __init__(self, dimensions: list[DimensionData], signal: Any, error_squared: Any, num_events: Any) -> None:
        super().__init__(dimensions)
        shape = tuple(dimension.n_bins for dimension in dimensions)
        self.signal, self.error_squared, self.num_events = (
            np.array(values, dtype=np.float64, order="F").reshape(shape, order="F")
            for values in (signal, error_squared, num_events)
        )
        self.mask = np.zeros(shape, dtype=np.int8, order="F")
        # Views given to Python point into memory that is free once the workspace is gone.
        for array in (self.signal, self.error_squared, self.num_events):
            weakref.finalize(self, array.fill, np.nan)

    @classmethod
    def python_class(cls) -> type:
        from mantid import dataobjects

        return dataobjects.MDHistoWorkspace

    def copied(self) -> MDHistoData:
        twin = MDHistoData(
            [DimensionData(**vars(dimension)) for dimension in self.dimensions],
            self.signal,
            self.error_squared,
            self.num_events,
        )
        twin.mask = self.mask.copy(order="F")
        twin.title, twin.coordinate_system = self.title, self.coordinate_system
        twin.q_convention, twin.display = self.q_convention, list(self.display)
        twin.experiments = [experiment.copied() for experiment in self.experiments]
        twin.history._merge(self.history)
        return twin

    def n_points(self) -> int:
        """Return the number of bins."""
        return int(self.signal.size)

    def n_events(self) -> int:
        """Return 0: the count of events is not kept beside that of each bin."""
        return 0

    def memory(self) -> int:
        return int(3 * self.signal.nbytes + self.mask.nbytes)


def _view(array: FloatArray) -> FloatArray:
    view = array[...]
    view.flags.writeable = False
    return view


class IMDHistoWorkspace(IMDWorkspace, MultipleExperimentInfos):
    """A multidimensional histogram: arrays go out as views and come in as float64."""

    def isMDHistoWorkspace(self) -> bool:
        return True

    def getSignalArray(self) -> FloatArray:
        """Return the signal."""
        return _view(self._data.signal)

    def getErrorSquaredArray(self) -> FloatArray:
        """Return the squared error."""
        return _view(self._data.error_squared)

    def getNumEventsArray(self) -> FloatArray:
        """Return the number of events."""
        return _view(self._data.num_events)

    def setSignalArray(self, signalValues: Any) -> None:
        """Set the signal."""
        self._replace(self._data.signal, signalValues)

    def setErrorSquaredArray(self, errorSquared: Any) -> None:
        """Set the squared error."""
        self._replace(self._data.error_squared, errorSquared)

    def _replace(self, kept: FloatArray, values: Any) -> None:
        if not isinstance(values, np.ndarray):
            raise ArgumentError("Python argument types did not match C++ signature: a numpy array is needed")
        if isinstance(values, np.ma.MaskedArray) or values.dtype != np.float64:
            raise TypeError(
                "No registered converter was able to produce a C++ rvalue of type double from this Python object "
                f"of type numpy.{values.dtype}"
            )
        if values.ndim != kept.ndim:
            raise ValueError(f"The number of dimensions doe not match the current {values.ndim} != {kept.ndim}")
        for axis, (new, old) in enumerate(zip(values.shape, kept.shape, strict=True)):
            if new != old:
                raise ValueError(f"The dimension size for the {axis}th dimension do not match: {new} != {old}")
        kept[...] = values

    def setTo(self, signal: float, error_squared: float, num_events: float) -> None:
        """Set all bins to the same values."""
        self._data.signal[...] = check_type(signal, float, "double")
        self._data.error_squared[...] = check_type(error_squared, float, "double")
        self._data.num_events[...] = check_type(num_events, float, "double")

    def signalAt(self, index: int) -> float:
        """Return the signal of a bin by its linear index."""
        return float(self._data.signal.ravel(order="F")[index])

    def errorSquaredAt(self, index: int) -> float:
        """Return the squared error of a bin by its linear index."""
        return float(self._data.error_squared.ravel(order="F")[index])

    def setSignalAt(self, index: int, value: float) -> None:
        """Set the signal of a bin by its linear index."""
        self._data.signal.reshape(-1, order="F")[index] = check_type(value, float, "double")

    def setErrorSquaredAt(self, index: int, value: float) -> None:
        """Set the squared error of a bin by its linear index."""
        self._data.error_squared.reshape(-1, order="F")[index] = check_type(value, float, "double")

    def getLinearIndex(self, *indices: int) -> int:
        """Return the linear index of a bin, the first dimension fastest."""
        if len(indices) not in (2, 3, 4):
            raise ArgumentError("Python argument types in getLinearIndex did not match C++ signature")
        shape = self._data.signal.shape
        strides = [int(np.prod(shape[:axis])) for axis in range(len(indices))]
        return sum(index * stride for index, stride in zip(indices, strides, strict=True))

    def getCenter(self, linear_index: int) -> VMD:
        """Return the centre of a bin by its linear index."""
        indices = np.unravel_index(linear_index, self._data.signal.shape, order="F")
        pairs = zip(self._data.dimensions, indices, strict=True)
        return VMD(*(dimension.minimum + (int(index) + 0.5) * dimension.width for dimension, index in pairs))

    def getInverseVolume(self) -> float:
        """Return one over the volume of a bin."""
        return 1 / float(np.prod([dimension.width for dimension in self._data.dimensions]))
