"""Small ensembles for tests: force constants of springs between neighbours, a few of them, all different."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from fcinv_core.crystal import Crystal
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import from_phonopy


def spring_phonopy(
    cell: PhonopyAtoms, springs: Sequence[tuple[float, float, float]], multiples: int = 2
) -> Phonopy:
    """Return phonopy's object for a face-centred crystal of springs.

    Parameters
    ----------
    cell
        Any cell of the crystal.
    springs
        (reach in Å, longitudinal, transverse) in eV/Å²: each pair is held by the first spring that reaches it.
    multiples
        The supercell is that many cells along each axis.
    """
    phonon = Phonopy(cell, np.eye(3, dtype=int) * multiples, primitive_matrix="F")
    atoms = phonon.supercell
    fractions = atoms.scaled_positions
    constants = np.zeros((len(atoms), len(atoms), 3, 3))
    images = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            bonds = (fractions[j] - fractions[i] + images) @ atoms.cell
            for bond in bonds:
                length = np.linalg.norm(bond)
                for reach, longitudinal, transverse in springs:
                    if 1e-6 < length < reach:
                        along = np.outer(bond, bond) / length**2
                        constants[i, j] -= longitudinal * along + transverse * (np.eye(3) - along)
                        break
        constants[i, i] -= constants[i].sum(axis=0)
    phonon.force_constants = constants
    return phonon


def aluminium() -> PhonopyAtoms:
    """Return the conventional cell of fcc aluminium."""
    positions = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return PhonopyAtoms(symbols=["Al"] * 4, cell=np.eye(3) * 4.05, scaled_positions=positions)


def aluminium_ensemble(unstable: bool = False) -> list[ForceConstants]:
    """Return four sets of aluminium; ``unstable`` adds one with imaginary modes."""
    stiffness = [(1.0, 0.05, 0.10), (1.2, 0.02, 0.14), (1.5, 0.06, 0.05), (0.9, 0.04, 0.08)]
    sets = [[(3.0, a, b), (4.2, c, 0.0)] for a, b, c in stiffness]
    if unstable:
        sets.append([(3.0, -1.0, 0.0)])
    cell = aluminium()
    crystal = Crystal.from_cell(cell.cell, cell.scaled_positions, list(cell.symbols))
    return [
        from_phonopy(spring_phonopy(cell, springs), crystal, source=f"springs {number}")
        for number, springs in enumerate(sets)
    ]
