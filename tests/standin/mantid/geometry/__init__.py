"""Crystals, orientation, instruments, and dimensions of workspaces."""

from mantid.geometry._crystal_structure import CrystalStructure, Group, SpaceGroup, SymmetryOperation
from mantid.geometry._dimension import IMDDimension, MDFrame
from mantid.geometry._goniometer import Goniometer
from mantid.geometry._instrument import ComponentInfo, Detector, DetectorInfo, Instrument, ObjComponent
from mantid.geometry._unit_cell import OrientedLattice, UnitCell

__all__ = [
    "ComponentInfo",
    "CrystalStructure",
    "Detector",
    "DetectorInfo",
    "Goniometer",
    "Group",
    "IMDDimension",
    "Instrument",
    "MDFrame",
    "ObjComponent",
    "OrientedLattice",
    "SpaceGroup",
    "SymmetryOperation",
    "UnitCell",
]
