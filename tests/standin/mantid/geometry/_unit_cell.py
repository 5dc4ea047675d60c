"""Unit cells, and the orientation of their reciprocal lattice in the frame of the sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mantid.kernel._boost import ArgumentError, check_type
from mantid.kernel._vectors import V3D

FloatArray = NDArray[np.float64]


class UnitCell:
    """Lengths in Å and angles in degrees of a cell; reciprocal lengths are without 2π."""

    def __init__(self, *arguments: Any) -> None:
        if len(arguments) == 1 and isinstance(arguments[0], UnitCell):
            self._cell = arguments[0]._cell
        elif len(arguments) in (0, 3, 6):
            lengths = [check_type(value, float, "double") for value in arguments[:3] or (1.0, 1.0, 1.0)]
            angles = [check_type(value, float, "double") for value in arguments[3:] or (90.0, 90.0, 90.0)]
            self._cell = (*lengths, *angles)
        else:
            raise ArgumentError(
                f"Python argument types in {type(self).__name__}.__init__ did not match C++ signature"
            )

    def _metric(self) -> FloatArray:
        a, b, c = self._cell[:3]
        cosines = np.cos(np.radians(self._cell[3:]))
        return np.array(
            [
                [a * a, a * b * cosines[2], a * c * cosines[1]],
                [a * b * cosines[2], b * b, b * c * cosines[0]],
                [a * c * cosines[1], b * c * cosines[0], c * c],
            ]
        )

    def _reciprocal(self) -> tuple[FloatArray, FloatArray]:
        """Return reciprocal lengths and angles (radians)."""
        metric = np.linalg.inv(self._metric())
        lengths = np.sqrt(np.diag(metric))
        cosines = metric / np.outer(lengths, lengths)
        return lengths, np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]])

    def a(self) -> float:
        """Return the length of a."""
        return self._cell[0]

    def b(self) -> float:
        """Return the length of b."""
        return self._cell[1]

    def c(self) -> float:
        """Return the length of c."""
        return self._cell[2]

    def alpha(self) -> float:
        """Return the angle between b and c."""
        return self._cell[3]

    def beta(self) -> float:
        """Return the angle between a and c."""
        return self._cell[4]

    def gamma(self) -> float:
        """Return the angle between a and b."""
        return self._cell[5]

    def volume(self) -> float:
        """Return the volume in Å³."""
        return math.sqrt(float(np.linalg.det(self._metric())))

    def recVolume(self) -> float:
        """Return the volume of the reciprocal cell."""
        return 1 / self.volume()

    def getG(self) -> FloatArray:
        """Return the metric tensor."""
        return self._metric()

    def getGstar(self) -> FloatArray:
        """Return the metric tensor of the reciprocal lattice."""
        metric: FloatArray = np.linalg.inv(self._metric())
        return metric

    def getB(self) -> FloatArray:
        """Return Busing and Levy's B: from hkl to Cartesian coordinates, x along a*, b* in the xy plane."""
        lengths, (_, beta, gamma) = self._reciprocal()
        alpha = math.radians(self._cell[3])
        return np.array(
            [
                [lengths[0], lengths[1] * math.cos(gamma), lengths[2] * math.cos(beta)],
                [0.0, lengths[1] * math.sin(gamma), -lengths[2] * math.sin(beta) * math.cos(alpha)],
                [0.0, 0.0, 1 / self._cell[2]],
            ]
        )

    def getBinv(self) -> FloatArray:
        """Return the inverse of B."""
        inverse: FloatArray = np.linalg.inv(self.getB())
        return inverse

    def d(self, *hkl: Any) -> float:
        """Return the spacing of lattice planes."""
        return 1 / self._length(hkl)

    def dstar(self, h: float, k: float, l: float) -> float:  # noqa: E741
        """Return the length of a reciprocal vector."""
        return self._length((h, k, l))

    def _length(self, hkl: tuple[Any, ...]) -> float:
        indices = list(hkl[0]) if len(hkl) == 1 else list(hkl)
        return float(np.linalg.norm(self.getB() @ indices))


class OrientedLattice(UnitCell):
    """A unit cell and its orientation: UB takes hkl to the frame of the sample, without 2π."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        copied = len(arguments) == 1 and isinstance(arguments[0], OrientedLattice)
        self._u = arguments[0]._u.copy() if copied else np.eye(3)

    def getU(self) -> FloatArray:
        """Return the rotation."""
        u: FloatArray = self._u.copy()
        return u

    def getUB(self) -> FloatArray:
        """Return UB, without 2π."""
        ub: FloatArray = self._u @ self.getB()
        return ub

    def setU(self, newU: Any, force: bool = True) -> None:
        """Set the rotation."""
        self._u = np.array(newU, dtype=float).reshape(3, 3)

    def setUB(self, newUB: Any) -> None:
        """Set cell and rotation from UB; ValueError if it is singular."""
        ub = np.array(newUB, dtype=float).reshape(3, 3)
        if np.linalg.det(ub) <= 0:
            raise ValueError("determinant of UB is not greater than 0")
        metric = np.linalg.inv(ub.T @ ub)
        lengths = np.sqrt(np.diag(metric))
        cosines = metric / np.outer(lengths, lengths)
        angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
        self._cell = tuple(float(value) for value in (*lengths, *angles))
        self._u = ub @ np.linalg.inv(self.getB())

    def setUFromVectors(self, u: Any, v: Any) -> None:
        """Set the rotation that puts u (hkl) along the beam, z, and v into the plane of z and x."""
        along, across = (self.getB() @ np.array(list(vector), dtype=float) for vector in (u, v))
        normal = np.cross(along, across)
        if np.linalg.norm(normal) < 1e-10:
            raise ValueError("u and v are parallel")
        z = along / np.linalg.norm(along)
        y = normal / np.linalg.norm(normal)
        self._u = np.array([np.cross(y, z), y, z])

    def getuVector(self) -> V3D:
        """Return hkl along the beam at zero rotation, of the length of 1/Å."""
        return V3D(*(np.linalg.inv(self.getUB()) @ [0, 0, 1]).tolist())

    def getvVector(self) -> V3D:
        """Return hkl along x at zero rotation."""
        return V3D(*(np.linalg.inv(self.getUB()) @ [1, 0, 0]).tolist())

    def hklFromQ(self, vec: Any) -> V3D:
        """Return hkl of Q in the frame of the sample, in 1/Å with the 2π."""
        return V3D(*np.linalg.solve(2 * math.pi * self.getUB(), list(vec)).tolist())

    def qFromHKL(self, vec: Any) -> V3D:
        """Return Q in the frame of the sample, in 1/Å with the 2π."""
        return V3D(*(2 * math.pi * self.getUB() @ list(vec)).tolist())
