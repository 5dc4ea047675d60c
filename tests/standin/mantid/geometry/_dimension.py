"""Dimensions of multidimensional workspaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mantid.kernel._boost import ArgumentError
from mantid.kernel._units import UnitLabel


@dataclass
class DimensionData:
    """What a dimension is made of; ends are kept in single precision, as Mantid does."""

    id: str
    label: str
    units: str
    frame: str
    minimum: float
    maximum: float
    n_bins: int

    def __post_init__(self) -> None:
        self.minimum = float(np.float32(self.minimum))
        self.maximum = float(np.float32(self.maximum))

    @property
    def width(self) -> float:
        """Width of a bin."""
        return float(np.float32((self.maximum - self.minimum) / self.n_bins))

    def edges(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Return the edges of the bins."""
        return self.minimum + np.arange(self.n_bins + 1) * self.width


class MDFrame:
    """The frame of a dimension."""

    def __init__(self, data: DimensionData) -> None:
        self._dimension = data

    def name(self) -> str:
        """Return its name: QSample, QLab, HKL, DeltaE, General Frame."""
        return self._dimension.frame

    def getUnitLabel(self) -> UnitLabel:
        """Return the symbol of the unit."""
        return UnitLabel(self._dimension.units)


class IMDDimension:
    """A dimension with bins of equal width; nothing of it can be changed."""

    def __init__(self, data: DimensionData) -> None:
        self._dimension = data

    @property
    def name(self) -> str:
        """Its name."""
        return self._dimension.label

    def getDimensionId(self) -> str:
        """Return its identifier."""
        return self._dimension.id

    def getUnits(self) -> str:
        """Return its unit."""
        return self._dimension.units

    def getMinimum(self) -> float:
        """Return the lower edge of the first bin."""
        return self._dimension.minimum

    def getMaximum(self) -> float:
        """Return the upper edge of the last bin."""
        return self._dimension.maximum

    def getNBins(self) -> int:
        """Return the number of bins; for events, of the boxes at the top."""
        return self._dimension.n_bins

    def getNBoundaries(self) -> int:
        """Return the number of edges."""
        return self._dimension.n_bins + 1

    def getBinWidth(self) -> float:
        """Return the width of a bin."""
        return self._dimension.width

    def getX(self, ind: int) -> float:
        """Return the lower edge of a bin."""
        if not isinstance(ind, int):
            raise ArgumentError("Python argument types in IMDDimension.getX did not match C++ signature")
        return self._dimension.minimum + ind * self._dimension.width

    def getMDFrame(self) -> MDFrame:
        """Return the frame."""
        return MDFrame(self._dimension)
