"""The crystal of a workspace's sample, where Mantid knows its structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray, map_cell, read_structure
from fcinv_core.errors import InputError
from fcinv_core.folding.orientation import cell_of_file

#: Atoms closer than this in fractions of the cell are the same.
_SAME_SITE = 1e-3


def has_structure(workspace: Any) -> bool:
    """Whether the first sample of a workspace carries a crystal structure."""
    return bool(workspace.getNumExperimentInfo() and workspace.getExperimentInfo(0).sample().hasCrystalStructure())


def crystal_and_cell(structure_file: str, workspace: Any) -> tuple[Crystal, IntArray]:
    """Return the crystal, and the cell that the UB matrix is taken to index where its metric leaves a choice.

    Parameters
    ----------
    structure_file
        POSCAR, CIF or phonopy yaml; empty for the structure of the sample.
    workspace
        Whose sample to ask.

    Returns
    -------
    The crystal, and the basis vectors (rows) of the cell as integers in its standard primitive basis, (3, 3).

    Raises
    ------
    InputError
        If the file or the sample gives no crystal.
    """
    if structure_file:
        crystal = read_structure(structure_file)
        return crystal, cell_of_file(crystal, Path(structure_file))
    if not has_structure(workspace):
        raise InputError(
            "the structure of the crystal is not known",
            "no StructureFile is given and the sample carries no crystal structure",
            "give a POSCAR, a CIF or a phonopy yaml",
        )
    structure = workspace.getExperimentInfo(0).sample().getCrystalStructure()
    lattice, positions, symbols = _cell(structure)
    name = "the crystal structure of the sample"
    crystal = Crystal.from_cell(lattice, positions, symbols, name=name)
    mapping = map_cell(crystal, lattice, positions, symbols, name=name)
    return crystal, np.rint(mapping.basis.T).astype(np.int64)


def _cell(structure: Any) -> tuple[FloatArray, FloatArray, list[str]]:
    """Lattice rows (Å), fractions and symbols of all atoms in the cell of Mantid's CrystalStructure."""
    cell = structure.getUnitCell()
    # B takes (h, k, l) to 1/Å in the crystal's Cartesian frame, so the rows of its inverse are a, b, c.
    lattice = np.linalg.inv(np.array(cell.getB()))
    operations = structure.getSpaceGroup().getSymmetryOperations()
    positions: list[FloatArray] = []
    symbols: list[str] = []
    for scatterer in structure.getScatterers():
        symbol, x, y, z, *occupancy = str(scatterer).split()
        if occupancy and float(occupancy[0]) < 1:
            raise InputError(
                f"a site of {symbol} is only partly occupied",
                f"occupancy {occupancy[0]}",
                "give an ordered structure",
            )
        images: list[FloatArray] = []
        for operation in operations:
            moved = operation.transformCoordinates([float(x), float(y), float(z)])
            image = np.mod([moved.X(), moved.Y(), moved.Z()], 1.0)
            if all(np.abs(image - other - np.rint(image - other)).max() > _SAME_SITE for other in images):
                images.append(image)
        positions += images
        symbols += [symbol] * len(images)
    return np.asarray(lattice), np.array(positions), symbols
