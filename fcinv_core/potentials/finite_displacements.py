"""Force constants by finite displacements in a supercell: the cells, and the projection.

Phonopy (Togo et al., J. Phys.: Condens. Matter 35, 353001 (2023)) makes the displacements and turns forces
into force constants; symfc (Seko and Togo, Phys. Rev. B 110, 214302 (2024)) projects them on what the space
group, the exchange of a pair and the acoustic sum rule allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.units import THZ_TO_MEV


def supercell_multiples(lattice: FloatArray, min_length: float) -> tuple[int, int, int]:
    """Return how often to repeat a cell so that opposite faces of the supercell are ``min_length`` apart.

    Parameters
    ----------
    lattice
        Shape (3, 3): basis vectors in rows, Å.
    min_length
        Å. Faces, not vectors: in an oblique cell the shortest way to a periodic image is the height.
    """
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    a, b, c = (int(n) for n in np.ceil(min_length / heights - 1e-9))
    return a, b, c


def make_phonopy(crystal: Crystal, multiples: tuple[int, int, int]) -> Phonopy:
    """Return phonopy's object for a crystal: conventional cell repeated, standard primitive cell inside."""
    lattice, positions, symbols = crystal.conventional_cell()
    # conventional_cell keeps the atoms of one site together, so masses repeat site by site.
    masses = np.repeat(crystal.masses, len(symbols) // crystal.n_sites)
    unit_cell = PhonopyAtoms(symbols=list(symbols), cell=lattice, scaled_positions=positions, masses=masses)
    return Phonopy(
        unit_cell,
        supercell_matrix=np.diag(multiples),
        primitive_matrix=np.linalg.inv(crystal.conventional).T,
        log_level=0,
    )


def displaced_positions(phonon: Phonopy, displacements: Sequence[float]) -> FloatArray:
    """Return the positions of the atoms in the perfect and all displaced supercells.

    Parameters
    ----------
    phonon
        Its displacements are replaced; every length gives the same number k of them, in the same order.
    displacements
        m lengths, Å.

    Returns
    -------
    positions
        Shape (1 + m k, n, 3), Cartesian, Å; the perfect supercell comes first.
    """
    cells = [phonon.supercell.positions]
    for length in displacements:
        phonon.generate_displacements(distance=length)
        cells.extend(cell.positions for cell in phonon.supercells_with_displacements or ())
    return np.array(cells)


def set_force_constants(phonon: Phonopy, displacement: float, forces: FloatArray) -> float:
    """Give ``phonon`` the force constants that follow from forces, projected on the symmetric space.

    Parameters
    ----------
    phonon
        Ends with dataset, forces and compact force constants (eV/Å²).
    displacement
        Å.
    forces
        Shape (k, n, 3), eV/Å, on all atoms of each displaced supercell, those of the perfect one subtracted.

    Returns
    -------
    removed
        Norm of what the projection took away over the norm of all force constants, dimensionless: how far the
        forces break the symmetry, by rounding, by a model that is not equivariant, or by anharmonicity.
    """
    phonon.generate_displacements(distance=displacement)
    phonon.forces = forces
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    raw = force_constants_of(phonon).copy()
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    return float(np.linalg.norm(force_constants_of(phonon) - raw) / np.linalg.norm(raw))


def force_constants_of(phonon: Phonopy) -> FloatArray:
    """Return the compact force constants that ``phonon`` holds, shape (n_primitive, n, 3, 3), eV/Å²."""
    force_constants = phonon.force_constants
    assert force_constants is not None, "set_force_constants comes first"
    return np.asarray(force_constants)


def energies_at(phonon: Phonopy, qpoints: FloatArray) -> FloatArray:
    """Return the energies (m, s), meV, at q-points (m, 3) in fractions of the primitive reciprocal basis."""
    phonon.run_qpoints(qpoints)
    found: Any = phonon.qpoints
    return np.asarray(found.frequencies * THZ_TO_MEV)
