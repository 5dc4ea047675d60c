"""The rotation of the sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.kernel._boost import ArgumentError, std_vector_dbl

FloatArray = NDArray[np.float64]


def rotation(axis: Any, degrees: float) -> FloatArray:
    """Return the matrix of a counter-clockwise rotation about an axis."""
    x, y, z = np.array(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    turned: FloatArray = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return turned


class Goniometer:
    """A rotation matrix R: Q in the laboratory is R times Q in the frame of the sample."""

    def __init__(self, *arguments: Any) -> None:
        if len(arguments) > 1:
            raise ArgumentError("Python argument types in Goniometer.__init__ did not match C++ signature")
        start = arguments[0] if arguments else np.eye(3)
        self._r = np.array(start._r if isinstance(start, Goniometer) else start, dtype=float)

    def getR(self) -> FloatArray:
        """Return the matrix."""
        matrix: FloatArray = self._r.copy()
        return matrix

    def setR(self, rot: Any) -> None:
        """Set the matrix; ValueError if it is no rotation."""
        matrix = np.array(rot, dtype=float)
        if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6):
            raise ValueError("rot is supposed to be a rotation matrix")
        self._r = matrix

    def getEulerAngles(self, convention: str = "YZX") -> list[float]:
        """Return three angles in degrees for the axes of the convention, of which "YZY" is known here."""
        if convention != "YZY":
            raise ValueError("only YZY is known here")
        r = self._r
        middle = math.acos(max(-1.0, min(1.0, r[1, 1])))
        if abs(math.sin(middle)) < 1e-9:
            return std_vector_dbl([math.degrees(math.atan2(r[0, 2], r[0, 0])), math.degrees(middle), 0.0])
        first = math.atan2(r[2, 1], -r[0, 1])
        last = math.atan2(r[1, 2], r[1, 0])
        return std_vector_dbl(math.degrees(angle) for angle in (first, middle, last))
