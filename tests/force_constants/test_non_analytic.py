"""The non-analytic term of polar crystals, with phonopy as the reference."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import phonopy
import pytest
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.cells import PrimitiveMatrixAutoDefaultWarning
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from fcinv_core.crystal import map_cell, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_in_supercell, bonds_of_pairs, pairs_within
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import (
    from_phonopy,
    read_force_constants,
    to_phonopy,
    write_phonopy_params,
)
from fcinv_core.units import THZ_TO_MEV
from tests.crystals import CELLS, bonded_phonopy, crystal, many_points, phonopy_frequencies

TWO = 2 * np.eye(3, dtype=int)
DIRECTIONS = [[1, 0, 0], [0.5, 0, 0.5], [1, 2, 3], [0, 0, -2]]


def polar(name: str, method: str = "gonze") -> Phonopy:
    """Random force constants with Born charges that are neutral; phonopy makes them symmetric."""
    phonon = bonded_phonopy(CELLS[name], TWO)
    n = len(phonon.primitive)
    rng = np.random.default_rng(8)
    charge = np.where(np.array(phonon.primitive.symbols) == phonon.primitive.symbols[0], 1.2, -1.2)
    charge = np.where(charge < 0, -1.2 * (charge > 0).sum() / max((charge < 0).sum(), 1), charge)
    born = charge[:, None, None] * (np.eye(3) + 0.2 * rng.standard_normal((n, 3, 3)))
    dielectric = 3 * np.eye(3) + 0.3 * np.diag(rng.random(3))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Symmetry of .* is largely broken")
        born, dielectric = symmetrize_borns_and_epsilon(born, dielectric, phonon.primitive)
    phonon.nac_params = {"born": born, "dielectric": dielectric, "factor": 14.4, "method": method}
    return phonon


def ours(fcs: ForceConstants, q: NDArray[np.float64], direction: list[float] | None = None) -> NDArray[np.float64]:
    directions = None if direction is None else np.tile(np.array(direction, dtype=float), (len(q), 1))
    return mode_energies(fcs, q, directions) / THZ_TO_MEV


@pytest.mark.parametrize(
    ("name", "method"),
    [("NaCl", "gonze"), ("NaCl", "wang"), ("wurtzite ZnO", "gonze"), ("TiO2", "gonze"), ("triclinic P-1", "gonze")],
)
def test_frequencies_are_phonopys(name: str, method: str) -> None:
    one, phonon = crystal(name), polar(name, method)
    fcs = from_phonopy(phonon, one, source="polar")
    assert fcs.non_analytic is not None
    q = many_points(one, 30)
    np.testing.assert_allclose(ours(fcs, q), phonopy_frequencies(phonon, one, q), rtol=0, atol=1e-6)
    gamma = np.zeros((1, 3))
    for direction in DIRECTIONS:
        expected = phonopy_frequencies(phonon, one, gamma, direction)
        np.testing.assert_allclose(ours(fcs, gamma, direction), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours(fcs, gamma), phonopy_frequencies(phonon, one, gamma), rtol=0, atol=1e-6)


def test_a_cut_off_and_a_smearing_that_are_stated_are_phonopys() -> None:
    """phonopy takes both from the first line of a BORN file."""
    one, phonon = crystal("NaCl"), polar("NaCl")
    usual = ours(from_phonopy(phonon, one, source="polar"), q := many_points(one, 10))
    assert phonon.nac_params is not None
    phonon.nac_params = {**phonon.nac_params, "G_cutoff": 0.5, "Lambda": 0.2}
    stated = ours(from_phonopy(phonon, one, source="polar"), q)
    np.testing.assert_allclose(stated, phonopy_frequencies(phonon, one, q), rtol=0, atol=1e-6)
    assert np.abs(stated - usual).max() > 1e-4


@pytest.mark.parametrize("name", ["NaCl", "wurtzite ZnO", "triclinic P-1"])
def test_a_converged_sum_no_longer_depends_on_where_it_is_cut_off(name: str) -> None:
    """Nor on the reciprocal lattice vector in q, which phonopy's sphere about zero does not treat alike."""
    fcs = from_phonopy(polar(name), crystal(name), source="polar")
    usual = fcs.non_analytic
    assert usual is not None
    term = usual.converged()
    assert term.cutoff is not None
    q = np.random.default_rng(3).uniform(-0.5, 0.5, (10, 3))
    values = term.dynamical_matrices(q)
    farther = replace(term, cutoff=1.3 * term.cutoff).dynamical_matrices(q)
    scale = np.abs(values).max()
    np.testing.assert_allclose(farther, values, atol=1e-11 * scale)
    shifted = q - np.sign(q) * [1, 0, 1]
    np.testing.assert_allclose(term.dynamical_matrices(shifted), values, atol=1e-11 * scale)
    change = np.abs(usual.dynamical_matrices(shifted) - usual.dynamical_matrices(q)).max()
    assert change > 1e-8 * scale


def test_longitudinal_and_transverse_modes_split_at_gamma_along_a_direction_only() -> None:
    fcs = from_phonopy(polar("NaCl"), crystal("NaCl"), source="polar")
    gamma = np.zeros((1, 3))
    assert np.ptp(ours(fcs, gamma)[0, 3:]) < 1e-5
    split = ours(fcs, gamma, [1, 1, 0])[0, 3:]
    assert split[1] - split[0] < 1e-5
    assert split[2] - split[1] > 0.5
    # It is the limit of small q along that direction.
    near = ours(fcs, np.array([[1e-4, 1e-4, 0]]))[0, 3:]
    np.testing.assert_allclose(near, split, atol=1e-3)


@pytest.mark.parametrize("name", ["NaCl", "wurtzite ZnO", "triclinic P-1"])
def test_frequencies_repeat_in_zones_far_from_the_origin(name: str) -> None:
    """phonopy's own sum over reciprocal lattice vectors is cut off and fails there by several THz."""
    fcs = from_phonopy(polar(name), crystal(name), source="polar")
    q = np.random.default_rng(1).uniform(-0.5, 0.5, (8, 3))
    for g in ([3, 0, 0], [-2, 4, 5]):
        np.testing.assert_allclose(ours(fcs, q + g), ours(fcs, q), atol=1e-6)
        matrices = fcs.dynamical_matrices(q + g), fcs.dynamical_matrices(q)
        np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-9)
    lattice_points = np.array([[1.0, 1, 1], [0, 0, 2]])
    expected = np.repeat(ours(fcs, np.zeros((1, 3)), [1, 0, 0]), 2, axis=0)
    np.testing.assert_allclose(ours(fcs, lattice_points, [1, 0, 0]), expected, atol=1e-6)


def test_matrices_stay_hermitian_and_keep_time_reversal() -> None:
    fcs = from_phonopy(polar("wurtzite ZnO"), crystal("wurtzite ZnO"), source="polar")
    q = np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))
    matrices = fcs.dynamical_matrices(q)
    np.testing.assert_allclose(matrices, matrices.conj().swapaxes(1, 2), atol=1e-12)
    np.testing.assert_allclose(ours(fcs, -q), ours(fcs, q), atol=1e-6)


@pytest.mark.parametrize("name", ["NaCl", "wurtzite ZnO"])
def test_perturbed_polar_sets_are_read_by_phonopy_and_by_us(name: str, tmp_path: Path) -> None:
    one = crystal(name)
    fcs = from_phonopy(polar(name), one, source="polar")
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    values = parametrisation.project(fcs).values
    values[:3] *= 1.2
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    write_phonopy_params(perturbed, tmp_path / "phonopy_params.yaml")
    q = many_points(one, 20)
    expected = ours(perturbed, q)
    loaded = phonopy.load(tmp_path / "phonopy_params.yaml", log_level=0)
    np.testing.assert_allclose(phonopy_frequencies(loaded, one, q), expected, atol=1e-6)
    again = read_force_constants(tmp_path / "phonopy_params.yaml", one)
    np.testing.assert_allclose(ours(again, q), expected, atol=1e-6)
    gamma, direction = np.zeros((1, 3)), [1, 2, 0]
    np.testing.assert_allclose(
        phonopy_frequencies(loaded, one, gamma, direction), ours(perturbed, gamma, direction), atol=1e-6
    )


@pytest.mark.parametrize("name", ["NaCl", "wurtzite ZnO"])
def test_polar_sets_that_reach_beyond_their_supercell_are_written_in_a_larger_one(
    name: str, tmp_path: Path
) -> None:
    """phonopy has another dipole-dipole part in the larger cell; the whole is the same everywhere in the zone.

    In THz; its file keeps no cut-off of the reciprocal sum, so that it reads back with its default.
    """
    one = crystal(name)
    fcs = from_phonopy(polar(name), one, source="polar")
    assert fcs.non_analytic is not None
    fcs = replace(fcs, non_analytic=fcs.non_analytic.converged())
    held = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    wide = Parametrisation.from_bonds(
        bonds_of_pairs(
            one,
            *(
                np.concatenate([a, b])
                for a, b in zip(pairs_within(one, 7.0), (fcs.first, fcs.second, fcs.cells), strict=True)
            ),
        )
    )
    assert wide.n_parameters > held.n_parameters
    values = wide.project(fcs).values + 0.02 * np.random.default_rng(2).standard_normal(wide.n_parameters)
    long_ranged = wide.force_constants(values, fcs, "long-ranged")
    write_phonopy_params(long_ranged, tmp_path / "phonopy_params.yaml")
    loaded = phonopy.load(tmp_path / "phonopy_params.yaml", log_level=0)
    assert len(loaded.supercell) > len(to_phonopy(fcs).supercell)
    q = many_points(one, 20)
    np.testing.assert_allclose(phonopy_frequencies(loaded, one, q), ours(long_ranged, q), atol=5e-4)
    gamma, direction = np.zeros((1, 3)), [1, 2, 0]
    np.testing.assert_allclose(
        phonopy_frequencies(loaded, one, gamma, direction), ours(long_ranged, gamma, direction), atol=5e-4
    )


def test_reference_sodium_chloride(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shared_data / "nacl_dft"
    one = read_structure(folder / "POSCAR-unitcell")
    fcs = read_force_constants(
        folder / "FORCE_SETS", one, structure=folder / "POSCAR-unitcell", born=folder / "BORN"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PrimitiveMatrixAutoDefaultWarning)
        phonon = phonopy.load(
            unitcell_filename=folder / "POSCAR-unitcell",
            supercell_matrix=TWO,
            primitive_matrix="auto",
            force_sets_filename=folder / "FORCE_SETS",
            born_filename=folder / "BORN",
            log_level=0,
        )
    q = many_points(one)
    np.testing.assert_allclose(ours(fcs, q), phonopy_frequencies(phonon, one, q), rtol=0, atol=1e-6)
    gamma = np.zeros((1, 3))
    for direction in DIRECTIONS:
        expected = phonopy_frequencies(phonon, one, gamma, direction)
        np.testing.assert_allclose(ours(fcs, gamma, direction), expected, rtol=0, atol=1e-6)
    assert ours(fcs, gamma, [1, 0, 0])[0, 3:] == pytest.approx([4.616, 4.616, 7.396], abs=1e-3)

    # A BORN beside the forces is found; the yaml of the displacements serves as the structure too.
    beside = read_force_constants(folder / "FORCE_SETS", one, structure=folder / "phonopy_disp.yaml")
    np.testing.assert_allclose(ours(beside, q[:20]), ours(fcs, q[:20]), atol=1e-6)

    # Retained constants perturbed, phonopy gets the same.
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    values = parametrisation.project(fcs).values * np.linspace(0.9, 1.2, parametrisation.n_parameters)
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    some = q[:100]
    np.testing.assert_allclose(
        ours(perturbed, some), phonopy_frequencies(to_phonopy(perturbed), one, some), rtol=0, atol=1e-6
    )


def test_charges_are_given_to_the_right_sites() -> None:
    """In wurtzite two zincs and two oxygens: their tensors, turned into our frame, keep their species' sign."""
    one, phonon = crystal("wurtzite ZnO"), polar("wurtzite ZnO")
    term = from_phonopy(phonon, one, source="polar").non_analytic
    assert term is not None
    cell = phonon.primitive
    mapping = map_cell(one, cell.cell, cell.scaled_positions, cell.symbols, name="cell")
    born = np.asarray(phonon.nac_params["born"])
    for atom, site in enumerate(mapping.sites):
        turned = mapping.rotation @ born[atom] @ mapping.rotation.T
        np.testing.assert_allclose(term.born[site], turned, atol=1e-6)


@pytest.mark.parametrize("content", ["", "14.4\n1 2 3\n", "hello\n"])
def test_a_damaged_born_file_is_refused(content: str, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "nacl_dft"
    (tmp_path / "BORN").write_text(content)
    with pytest.raises(InputError, match=r"is empty|cannot be read"):
        read_force_constants(
            folder / "FORCE_SETS",
            read_structure(folder / "POSCAR-unitcell"),
            structure=folder / "POSCAR-unitcell",
            born=tmp_path / "BORN",
        )
