"""The sample: its lattice, structure and material."""

from __future__ import annotations

from typing import Any

from mantid.geometry._crystal_structure import CrystalStructure
from mantid.geometry._unit_cell import OrientedLattice
from mantid.kernel._boost import ArgumentError


class Sample:
    """What is in the beam."""

    def __init__(self) -> None:
        self._name = ""
        self._lattice: OrientedLattice | None = None
        self._structure: CrystalStructure | None = None

    def getName(self) -> str:
        """Return the name."""
        return self._name

    def hasOrientedLattice(self) -> bool:
        """Return whether the UB matrix is known."""
        return self._lattice is not None

    def getOrientedLattice(self) -> Any:
        """Return the lattice; RuntimeError if it is not known."""
        if self._lattice is None:
            raise RuntimeError("Sample::getOrientedLattice - No OrientedLattice has been defined.")
        return self._lattice

    def hasCrystalStructure(self) -> bool:
        """Return whether the structure is known."""
        return self._structure is not None

    def getCrystalStructure(self) -> CrystalStructure:
        """Return the structure; RuntimeError if it is not known."""
        if self._structure is None:
            raise RuntimeError("Sample::getCrystalStructure - No CrystalStructure has been defined.")
        return self._structure

    def setCrystalStructure(self, newCrystalStructure: CrystalStructure) -> None:
        """Set the structure; files do not keep it."""
        if not isinstance(newCrystalStructure, CrystalStructure):
            raise ArgumentError("Python argument types in Sample.setCrystalStructure did not match C++ signature")
        self._structure = newCrystalStructure

    def clearCrystalStructure(self) -> None:
        """Forget the structure."""
        self._structure = None
