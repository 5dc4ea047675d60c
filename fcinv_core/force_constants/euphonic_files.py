"""Force constants out of files that Euphonic reads: CASTEP's .castep_bin and .check, and Euphonic's own json."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from phonopy import Phonopy
from phonopy.physical_units import get_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from fcinv_core.crystal import Crystal, FloatArray, IntArray, check_readable, map_cell
from fcinv_core.errors import InputError
from fcinv_core.force_constants.non_analytic import NonAnalyticTerm
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import from_phonopy
from fcinv_core.units import ROOT_TO_MEV

_WANTED = "a .castep_bin, .check or Euphonic .json file of force constants"


def read_euphonic_force_constants(
    path: Path | str, crystal: Crystal | None = None, *, acoustic_sum_rule: bool = True
) -> ForceConstants:
    """Read force constants through Euphonic (R. Fair et al., J. Appl. Cryst. 55, 1689 (2022)).

    What Euphonic holds of a polar crystal is short-ranged, the dipole-dipole part taken out by a full Ewald sum;
    phonopy and we hold all of it. So the dynamical matrices at the wavevectors commensurate with the supercell are
    turned into force constants, and the dipole-dipole term, with the Born charges as they stand in the file, is the
    converged one: it is the same everywhere.

    Parameters
    ----------
    path
        The file.
    crystal
        The crystal, if it is known already; else it is made from the cell in the file.
    acoustic_sum_rule
        Whether to impose the sum rule, which perturbation codes breach by some meV at Γ, as CASTEP does: one
        constant matrix makes the acoustic modes at Γ vanish. It is added at the commensurate wavevectors; between
        them it is interpolated here, and the same there, which differs by 1e-4 meV in quartz.

    Raises
    ------
    InputError
        If Euphonic is not installed, cannot read the file, or the file holds another crystal.
    """
    try:
        from euphonic import ForceConstants as EuphonicForceConstants
    except ImportError as error:
        raise InputError(
            f"{path} cannot be read", "Euphonic, which reads such files, is not installed", "pip install euphonic"
        ) from error
    path = Path(path)
    check_readable(path, _WANTED)
    read = EuphonicForceConstants.from_json_file if path.suffix == ".json" else EuphonicForceConstants.from_castep
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = read(str(path))
    except Exception as error:  # Euphonic's readers raise what they meet
        raise InputError(
            f"{path} is not a file of force constants", " ".join(str(error).split()).rstrip("."), f"give {_WANTED}"
        ) from error
    phonon = _phonopy_of(found, "reciprocal" if acoustic_sum_rule else None)
    cell = phonon.unitcell
    known = crystal or Crystal.from_cell(
        cell.cell, cell.scaled_positions, list(cell.symbols), cell.masses, name=str(path)
    )
    fcs = from_phonopy(phonon, known, source=str(path))
    return fcs if found.born is None else replace(fcs, non_analytic=_dipoles(found, fcs))


def _dipoles(found: Any, fcs: ForceConstants) -> NonAnalyticTerm:
    """Euphonic's dipole-dipole term."""
    crystal, units = found.crystal, get_physical_units()
    mapping = map_cell(
        fcs.crystal,
        crystal.cell_vectors.to("angstrom").magnitude,
        crystal.atom_r,
        [str(symbol) for symbol in crystal.atom_type],
        crystal.atom_mass.to("unified_atomic_mass_unit").magnitude,
        name=fcs.source,
    )
    return NonAnalyticTerm.of_cell(
        fcs.crystal,
        mapping,
        fcs.supercell,
        # Euphonic's charges have the atom's displacement first, phonopy's the field.
        np.swapaxes(found.born.to("elementary_charge").magnitude, 1, 2),
        found.dielectric.to("elementary_charge**2/(bohr*hartree)").magnitude,
        units.Hartree * units.Bohr,
    ).converged()


def _phonopy_of(found: Any, acoustic_sum_rule: str | None) -> Phonopy:
    """Put Euphonic's force constants, dipoles included, into a phonopy object of the same cell."""
    basis = found.crystal.cell_vectors.to("angstrom").magnitude
    cell = PhonopyAtoms(
        cell=basis,
        scaled_positions=found.crystal.atom_r,
        symbols=[str(symbol) for symbol in found.crystal.atom_type],
        masses=found.crystal.atom_mass.to("unified_atomic_mass_unit").magnitude,
    )
    supercell = np.asarray(found.sc_matrix, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Point group symmetries of supercell", category=UserWarning)
        phonon = Phonopy(cell, supercell.T, primitive_matrix=np.eye(3))
    atoms = phonon.supercell
    site_of = np.array([phonon.primitive.p2p_map[s] for s in phonon.primitive.s2p_map])
    cell_of = np.rint(atoms.scaled_positions @ supercell - cell.scaled_positions[site_of]).astype(np.int64)

    q = _commensurate(supercell)
    matrices = _dynamical_matrices(found, q, acoustic_sum_rule)
    roots = np.sqrt(np.repeat(cell.masses, 3))
    # D_ij(q) = sum_R Φ(0i, Rj) exp(2 pi i q.R) / sqrt(m_i m_j), turned round.
    phases = np.exp(-2j * np.pi * cell_of @ q.T) / len(q)
    n_sites = len(cell)
    blocks = (matrices * np.outer(roots, roots)).reshape(len(q), n_sites, 3, n_sites, 3)
    constants = np.empty((n_sites, len(atoms), 3, 3))
    for atom, site in enumerate(site_of):
        constants[:, atom] = np.einsum("q,qiab->iab", phases[atom], blocks[:, :, :, site]).real
    phonon.force_constants = constants
    return phonon


def _commensurate(supercell: IntArray) -> FloatArray:
    """Wavevectors at which waves fit into a supercell (rows in primitive vectors), shape (n, 3), in [0, 1)."""
    inverse = np.linalg.inv(supercell)
    number = round(abs(float(np.linalg.det(supercell))))
    span = range(number) if np.count_nonzero(supercell - np.diag(np.diagonal(supercell))) else None
    axes = [span or range(abs(int(n))) for n in np.diagonal(supercell)]
    points = np.mod(np.array(list(itertools.product(*axes))) @ inverse.T + 1e-9, 1.0) - 1e-9
    found = np.unique(np.rint(points * 1e8) / 1e8, axis=0)
    assert len(found) == number
    return np.asarray(found)


def _dynamical_matrices(found: Any, q: FloatArray, acoustic_sum_rule: str | None) -> Any:
    """Euphonic's dynamical matrices, shape (n, m, m), eV/Å²/amu, without splitting at Γ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modes = found.calculate_qpoint_phonon_modes(q, asr=acoustic_sum_rule, splitting=False, use_c=False)
    energies = modes.frequencies.to("meV").magnitude
    vectors = modes.eigenvectors.reshape(len(q), energies.shape[1], -1)
    eigenvalues = np.sign(energies) * (energies / ROOT_TO_MEV) ** 2
    return np.einsum("qs,qsa,qsb->qab", eigenvalues, vectors, vectors.conj(), optimize=True)
