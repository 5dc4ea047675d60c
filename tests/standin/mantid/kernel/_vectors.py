"""Vectors of three and of more components."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mantid.kernel._boost import ArgumentError, check_type


class _Components:
    """Numbers that can be indexed, added and scaled; it has no readable text of its own."""

    def __init__(self, *components: float) -> None:
        self._values = [check_type(value, float, "double") for value in components]

    def __getitem__(self, index: int) -> float:
        return float(self._values[index])

    def __setitem__(self, index: int, value: float) -> None:
        self._values[index] = check_type(value, float, "double")

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)

    def __add__(self, other: Any) -> Any:
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))

    def __sub__(self, other: Any) -> Any:
        return type(self)(*(a - b for a, b in zip(self, other, strict=True)))

    def __mul__(self, factor: float) -> Any:
        return type(self)(*(a * factor for a in self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Components) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def norm(self) -> float:
        """Return the length."""
        return math.sqrt(self.norm2())

    def norm2(self) -> float:
        """Return the squared length."""
        return float(np.dot(self._values, self._values))

    def scalar_prod(self, other: Any) -> float:
        """Return the scalar product."""
        return float(np.dot(self._values, list(other)))

    def cross_prod(self, other: Any) -> Any:
        """Return the vector product."""
        return type(self)(*(float(value) for value in np.cross(self._values, list(other))))

    def angle(self, other: Any) -> float:
        """Return the angle to another vector in radians."""
        return math.acos(max(-1.0, min(1.0, self.scalar_prod(other) / (self.norm() * other.norm()))))


class V3D(_Components):
    """A vector in space; without arguments, zero."""

    def __init__(self, *components: float) -> None:
        if len(components) not in (0, 3):
            raise ArgumentError("Python argument types in V3D.__init__ did not match C++ signature")
        super().__init__(*(components or (0.0, 0.0, 0.0)))

    def __repr__(self) -> str:
        return "[" + ",".join(f"{value:g}" for value in self) + "]"

    def X(self) -> float:
        """Return the first component."""
        return self[0]

    def Y(self) -> float:
        """Return the second component."""
        return self[1]

    def Z(self) -> float:
        """Return the third component."""
        return self[2]

    getX, getY, getZ = X, Y, Z

    def distance(self, other: V3D) -> float:
        """Return the distance to another point."""
        return float((self - other).norm())


class VMD(_Components):
    """A vector in any number of dimensions."""

    def getNumDims(self) -> int:
        """Return the number of components."""
        return len(self)

    def normalize(self) -> float:
        """Scale to length 1 and return the length before."""
        length = self.norm()
        self._values = [value / length for value in self._values]
        return length
