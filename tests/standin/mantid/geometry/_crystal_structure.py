"""Crystal structures as text: cell, space group, atoms."""

from __future__ import annotations

from typing import Any

import numpy as np

from mantid.geometry._unit_cell import UnitCell
from mantid.kernel._boost import std_vector_str
from mantid.kernel._vectors import V3D


class SymmetryOperation:
    """A rotation and a translation, in fractions of the cell."""

    def __init__(self, matrix: Any, translation: Any) -> None:
        self._matrix, self._translation = np.array(matrix), np.array(translation)

    def transformCoordinates(self, coordinates: Any) -> V3D:
        """Return where a point goes."""
        return V3D(*(self._matrix @ list(coordinates) + self._translation).tolist())

    def transformHKL(self, hkl: Any) -> V3D:
        """Return where a reflection goes."""
        return V3D(*(np.linalg.inv(self._matrix).T @ list(hkl)).tolist())


class Group:
    """A set of symmetry operations."""

    def __init__(self, operations: list[SymmetryOperation]) -> None:
        self._operations = operations

    def getOrder(self) -> int:
        """Return how many operations there are."""
        return len(self._operations)

    def getSymmetryOperations(self) -> list[SymmetryOperation]:
        """Return the operations."""
        return list(self._operations)


class SpaceGroup(Group):
    """The symmetry of a crystal."""


def _space_group(symbol: str) -> SpaceGroup:
    """Return a space group in its first setting: origin choice 1, hexagonal axes."""
    # Imported here so that what plugins import at start-up can be told from what the stand-in does.
    from ase.spacegroup import Spacegroup
    from ase.spacegroup.spacegroup import SpacegroupNotFoundError

    try:
        operations = Spacegroup(symbol, setting=1).get_symop()
    except SpacegroupNotFoundError:
        raise ValueError(f"Space group with symbol '{symbol}' is not registered.") from None
    return SpaceGroup([SymmetryOperation(*pair) for pair in operations])


class CrystalStructure:
    """A crystal from text: cell "a b c [alpha beta gamma]", symbol, atoms "Si 0 0 0 1.0 0.05; ..."."""

    def __init__(self, unitCell: str, spaceGroup: str, scatterers: str) -> None:
        numbers = [float(part) for part in unitCell.split()]
        if len(numbers) not in (1, 3, 6):
            raise ValueError(f"Failed to parse unit cell input string: {unitCell}")
        self._cell = UnitCell(*(numbers * 3 if len(numbers) == 1 else numbers))
        self._group = _space_group(spaceGroup)
        self._scatterers = [
            " ".join(_shortest(part) for part in atom.split()) for atom in scatterers.split(";") if atom.strip()
        ]

    def getUnitCell(self) -> UnitCell:
        """Return the cell."""
        return self._cell

    def getSpaceGroup(self) -> SpaceGroup:
        """Return the space group."""
        return self._group

    def getScatterers(self) -> list[str]:
        """Return the atoms as text: element, position, occupancy, isotropic displacement."""
        return std_vector_str(self._scatterers)


def _shortest(word: str) -> str:
    """Return a number as C++ streams write it, and any other word as it is."""
    try:
        return f"{float(word):g}"
    except ValueError:
        return word
