"""Independent force constants: how many, what they are called, and what they keep."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_in_supercell, bonds_within
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import from_phonopy, read_force_constants, to_phonopy
from fcinv_core.units import THZ_TO_MEV
from tests.crystals import (
    CELLS,
    crystal,
    make_phonopy,
    many_points,
    phonopy_frequencies,
    random_phonopy,
    symfc_basis,
    written_differently,
)

NAMES = sorted(CELLS)
LARGE = [name for name in NAMES if len(CELLS[name][1]) > 6]
TWO = 2 * np.eye(3, dtype=int)
OBLIQUE = np.array([[2, 1, 0], [0, 2, -1], [0, 0, 2]])


def parametrisation_within(name: str, reach: float) -> Parametrisation:
    return Parametrisation.from_bonds(bonds_within(crystal(name), reach))


def in_supercell(one: Crystal, matrix: np.ndarray) -> Parametrisation:
    return _in_supercell(one, tuple(matrix.ravel().tolist()))


@functools.cache
def _in_supercell(one: Crystal, matrix: tuple[int, ...]) -> Parametrisation:
    return Parametrisation.from_bonds(bonds_in_supercell(one, np.reshape(matrix, (3, 3))))


def empty(one: Crystal, matrix: np.ndarray) -> ForceConstants:
    """A set without force constants, from which others take crystal and supercell."""
    none = np.zeros(0, dtype=np.int64)
    return ForceConstants(
        one, none, none, np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3, 3)), matrix, None, "none"
    )


def random_set(name: str, matrix: np.ndarray, seed: int = 0) -> tuple[Parametrisation, ForceConstants]:
    one = crystal(name)
    parametrisation = in_supercell(one, matrix)
    values = np.random.default_rng(seed).standard_normal(parametrisation.n_parameters)
    return parametrisation, parametrisation.force_constants(values, empty(one, matrix), "random")


@pytest.mark.parametrize(("name", "reach", "counts"), [("Ge", 5.7, [2, 4, 4, 2]), ("Nb", 5.8, [2, 2, 3, 4, 2])])
def test_independent_elements_by_shell(name: str, reach: float, counts: list[int]) -> None:
    shell = [element.shell for element in parametrisation_within(name, reach).elements]
    assert [shell.count(k + 1) for k in range(max(shell))] == counts


@pytest.mark.parametrize(("reach", "n"), [(7.4, 27), (9.5, 47)])
def test_germanium_within_reach(reach: float, n: int) -> None:
    assert parametrisation_within("Ge", reach).n_parameters == n


@pytest.mark.parametrize(
    ("name", "matrix", "n"),
    [("Ge", 4 * np.eye(3, dtype=int), 44), ("Nb", 4 * np.eye(3, dtype=int), 17), ("quartz", TWO, 518)],
)
def test_totals_known_from_symfc(name: str, matrix: np.ndarray, n: int) -> None:
    assert in_supercell(crystal(name), matrix).n_parameters == n


@pytest.mark.parametrize("matrix", [TWO, OBLIQUE, np.diag([3, 2, 1])], ids=["2x2x2", "oblique", "3x2x1"])
@pytest.mark.parametrize("name", [n for n in NAMES if len(CELLS[n][1]) <= 6])
def test_totals_are_those_of_symfc(name: str, matrix: np.ndarray) -> None:
    one = crystal(name)
    phonon = make_phonopy((one.lattice, one.positions, list(one.symbols)), matrix.T, "P")
    assert in_supercell(one, matrix).n_parameters == symfc_basis(phonon)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quartz", "Al2O3", "ZrO2"])
def test_totals_of_large_cells_are_those_of_symfc(name: str) -> None:
    one = crystal(name)
    phonon = make_phonopy((one.lattice, one.positions, list(one.symbols)), TWO, "P")
    assert in_supercell(one, TWO).n_parameters == symfc_basis(phonon)[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(2))
def test_labels_are_unique_and_do_not_depend_on_how_the_file_was_written(name: str, seed: int) -> None:
    reach = 5.2 if crystal(name).n_sites <= 4 else 3.2 if crystal(name).n_sites <= 6 else 2.8
    labels = parametrisation_within(name, reach).labels
    assert len(set(labels)) == len(labels)
    for scale in (1.0, 1.02):
        other = Crystal.from_cell(*written_differently(CELLS[name], seed + 40, scale))
        assert Parametrisation.from_bonds(bonds_within(other, scale * reach)).labels == labels


def test_labels_read_as_bonds() -> None:
    labels = parametrisation_within("Ge", 4.1).labels
    assert labels[:2] == ("Ge1-Ge2 (0.25 0.25 0.25) xx", "Ge1-Ge2 (0.25 0.25 0.25) xy")
    assert all(label.startswith("Ge1-Ge1 (0.5 0.5 0)") for label in labels[2:])
    assert parametrisation_within("NaCl", 3.0).labels == ("Cl-Na (0.5 0 0) xx", "Cl-Na (0.5 0 0) yy")


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_is_the_element_that_its_label_names(name: str) -> None:
    """One set of random values, read back from the tensor of each orbit's representative."""
    parametrisation, fcs = random_set(name, TWO)
    values = parametrisation.project(fcs).values
    bonds = parametrisation.bonds
    for element, value in zip(parametrisation.elements, values, strict=True):
        image = bonds.representatives[element.orbit]
        row, column = ("xyz".index(axis) for axis in element.component)
        shared = bonds.multiplicity[bonds.bond[image]]
        assert shared * fcs.tensors[image, row, column] == pytest.approx(value, abs=1e-9)
        assert element.distance == pytest.approx(np.linalg.norm(bonds.vectors[image]), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_keeps_all_symmetries(name: str) -> None:
    """Exchange, space group, acoustic sum rule and symmetric on-site tensors hold for random values."""
    parametrisation, fcs = random_set(name, TWO)
    one, bonds = fcs.crystal, parametrisation.bonds
    n = len(bonds.first)
    tensors = fcs.tensors[:n]
    exchanged = np.swapaxes(tensors, 1, 2)
    for k, operation in enumerate(bonds.operations):
        r = one.cartesian_rotations[operation]
        np.testing.assert_allclose(tensors[bonds.images[2 * k]], r @ tensors @ r.T, atol=1e-9)
        np.testing.assert_allclose(tensors[bonds.images[2 * k + 1]], r @ exchanged @ r.T, atol=1e-9)
    total = np.zeros((one.n_sites, 3, 3))
    np.add.at(total, fcs.first, fcs.tensors)
    np.testing.assert_allclose(total, 0, atol=1e-9)
    on_site = fcs.tensors[n:]
    np.testing.assert_allclose(on_site, np.swapaxes(on_site, 1, 2), atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_translations_cost_nothing_and_matrices_are_hermitian(name: str) -> None:
    _, fcs = random_set(name, TWO)
    matrices = fcs.dynamical_matrices(many_points(fcs.crystal, 20))
    np.testing.assert_array_equal(matrices, matrices.conj().swapaxes(1, 2))
    # A rigid shift by u is e_j = sqrt(m_j) u.
    shift = np.kron(np.sqrt(fcs.crystal.masses)[:, None], np.eye(3))
    np.testing.assert_allclose(fcs.dynamical_matrices(np.zeros((1, 3)))[0] @ shift, 0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_matrices_repeat_with_the_reciprocal_lattice(name: str) -> None:
    _, fcs = random_set(name, TWO)
    q = many_points(fcs.crystal, 20)
    for g in ([1, 0, 0], [0, -2, 1], [3, 1, -1]):
        np.testing.assert_allclose(fcs.dynamical_matrices(q + g), fcs.dynamical_matrices(q), atol=1e-10)


@pytest.mark.parametrize(
    ("name", "matrix"), [(name, TWO) for name in NAMES] + [(name, OBLIQUE) for name in NAMES if name not in LARGE]
)
def test_energies_have_the_symmetry_of_the_point_group_and_of_time(name: str, matrix: np.ndarray) -> None:
    parametrisation, fcs = random_set(name, matrix)
    q = np.random.default_rng(3).uniform(-1, 1, (10, 3))
    energies = mode_energies(fcs, q)
    np.testing.assert_allclose(mode_energies(fcs, -q), energies, atol=1e-6)
    for operation in parametrisation.bonds.operations:
        # Positions go x -> W x, so wave vectors go q -> W^-T q.
        w = fcs.crystal.rotations[operation]
        np.testing.assert_allclose(mode_energies(fcs, q @ np.linalg.inv(w)), energies, atol=1e-6)


@pytest.mark.parametrize("matrix", [TWO, OBLIQUE], ids=["2x2x2", "oblique"])
@pytest.mark.parametrize("name", [n for n in NAMES if len(CELLS[n][1]) <= 6])
def test_projection_of_a_symmetric_set_is_exact(name: str, matrix: np.ndarray) -> None:
    """The set is symfc's: it spans all that symmetry allows."""
    one = crystal(name)
    fcs = from_phonopy(random_phonopy(CELLS[name], matrix), one, source="symfc")
    parametrisation = in_supercell(one, fcs.supercell)
    projection = parametrisation.project(fcs)
    assert projection.asymmetry < 1e-9
    assert projection.tail == 0
    again = parametrisation.force_constants(projection.values, fcs, "again")
    q = many_points(one, 50)
    np.testing.assert_allclose(again.dynamical_matrices(q), fcs.dynamical_matrices(q), atol=1e-9)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(["Ge", "Nb", "Mg", "ZnS", "Bi", "TiO2", "triclinic P1"]), st.integers(0, 1000))
def test_projection_is_idempotent_and_linear(name: str, seed: int) -> None:
    parametrisation, fcs = random_set(name, TWO, seed)
    noise = np.random.default_rng(seed).standard_normal(fcs.tensors.shape)
    raw = fcs.with_tensors(fcs.tensors + 0.1 * noise, "raw")
    first = parametrisation.project(raw)
    assert 0 < first.asymmetry < 1
    second = parametrisation.project(parametrisation.force_constants(first.values, fcs, "projected"))
    np.testing.assert_allclose(second.values, first.values, atol=1e-9)
    assert second.asymmetry < 1e-9
    exact = parametrisation.project(fcs).values
    alone = parametrisation.project(fcs.with_tensors(0.1 * noise, "noise")).values
    np.testing.assert_allclose(first.values, exact + alone, atol=1e-9)


@pytest.mark.parametrize("name", ["Ge", "NaCl", "Mg", "TiO2"])
def test_projection_of_a_raw_set_is_that_of_symfc(name: str) -> None:
    """Noise that breaks exchange, sum rule and point group, but keeps the translations: that is what a set has."""
    one = crystal(name)
    phonon = make_phonopy((one.lattice, one.positions, list(one.symbols)), TWO, "P")
    compact = in_supercell(one, TWO).project(from_phonopy(random_phonopy(CELLS[name], TWO), one, source="s")).values
    exact = to_phonopy(in_supercell(one, TWO).force_constants(compact, empty(one, TWO), "exact")).force_constants
    phonon.force_constants = exact + 0.01 * np.random.default_rng(4).standard_normal(exact.shape)
    raw = from_phonopy(phonon, one, source="raw")
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    projected = from_phonopy(phonon, one, source="symfc")
    projection = in_supercell(one, TWO).project(raw)
    assert projection.asymmetry > 1e-3
    again = in_supercell(one, TWO).project(projected)
    assert again.asymmetry < 1e-9
    np.testing.assert_allclose(projection.values, again.values, atol=1e-9)


def test_a_tail_beyond_reach_is_reported() -> None:
    _, fcs = random_set("Nb", 4 * np.eye(3, dtype=int))
    projection = parametrisation_within("Nb", 4.0).project(fcs)
    far = np.linalg.norm(fcs.bond_vectors, axis=1) > 4.0
    expected = np.linalg.norm(fcs.tensors[far]) / np.linalg.norm(fcs.tensors)
    assert projection.tail == pytest.approx(expected)
    assert projection.tail > 0.1


def test_a_set_of_another_crystal_object_is_refused() -> None:
    _, fcs = random_set("Nb", TWO)
    other = Parametrisation.from_bonds(bonds_within(Crystal.from_cell(*CELLS["Nb"]), 4))
    with pytest.raises(InputError, match="expressed in another crystal"):
        other.project(fcs)


@pytest.mark.parametrize("matrix", [TWO, OBLIQUE], ids=["2x2x2", "oblique"])
@pytest.mark.parametrize("name", [n for n in NAMES if len(CELLS[n][1]) <= 6])
def test_perturbed_sets_have_phonopys_frequencies(name: str, matrix: np.ndarray) -> None:
    """Retained force constants move, phonopy gets the same tensors."""
    one = crystal(name)
    fcs = from_phonopy(random_phonopy(CELLS[name], matrix), one, source="symfc")
    parametrisation = in_supercell(one, fcs.supercell)
    values = parametrisation.project(fcs).values
    values = values * np.random.default_rng(5).uniform(0.6, 1.4, len(values))
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    q = many_points(one)
    ours = mode_energies(perturbed, q) / THZ_TO_MEV
    np.testing.assert_allclose(ours, phonopy_frequencies(to_phonopy(perturbed), one, q), atol=1e-6)


def test_sets_that_reach_beyond_their_supercell_go_to_a_larger_one() -> None:
    """Within 6 Å niobium has pairs that a cell of 2 x 2 x 2 would fold back."""
    one = crystal("Nb")
    parametrisation = parametrisation_within("Nb", 6.0)
    values = 0.1 * np.random.default_rng(6).standard_normal(parametrisation.n_parameters)
    fcs = parametrisation.force_constants(values, empty(one, TWO), "long-ranged")
    phonon = to_phonopy(fcs)
    assert len(phonon.supercell) > 8
    q = many_points(one, 100)
    ours = mode_energies(fcs, q) / THZ_TO_MEV
    np.testing.assert_allclose(ours, phonopy_frequencies(phonon, one, q), atol=1e-6)


@pytest.mark.parametrize("name", ["Ge", "NaCl", "quartz", "triclinic P-1"])
def test_coefficients_are_the_derivatives_of_the_matrices(name: str) -> None:
    parametrisation, fcs = random_set(name, TWO)
    values = parametrisation.project(fcs).values
    q = many_points(fcs.crystal, 5)
    coefficients = parametrisation.dynamical_matrices(q)
    np.testing.assert_allclose(np.tensordot(values, coefficients, 1), fcs.dynamical_matrices(q), atol=1e-9)
    select = np.array([5, 0, 2])
    chosen = parametrisation.dynamical_matrices(q, select)
    np.testing.assert_allclose(chosen, coefficients[select], atol=1e-12)


def test_the_first_shell_of_reference_germanium_is_as_known(shared_data: Path) -> None:
    one = read_structure(shared_data / "ge_dft" / "POSCAR")
    path = shared_data / "ge_dft" / "FORCE_CONSTANTS"
    fcs = read_force_constants(path, one, structure=shared_data / "ge_dft" / "POSCAR")
    parametrisation = in_supercell(one, fcs.supercell)
    projection = parametrisation.project(fcs)
    found = dict(zip(parametrisation.labels, projection.values, strict=True))
    assert parametrisation.n_parameters == 44
    assert found["Ge1-Ge2 (0.25 0.25 0.25) xx"] == pytest.approx(-2.945, abs=1e-3)
    assert found["Ge1-Ge2 (0.25 0.25 0.25) xy"] == pytest.approx(-2.139, abs=1e-3)
    # The set is as the code wrote it, not symmetrised.
    assert 1e-4 < projection.asymmetry < 3e-3
