"""Energies, modes and derivatives of dynamical matrices that are linear in the force constants."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal
from fcinv_core.dynamics import BornVonKarman, mode_energies, to_energies
from fcinv_core.force_constants.bonds import bonds_in_supercell
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import from_phonopy
from fcinv_core.qpath import standard_path
from fcinv_core.units import ROOT_TO_MEV, ROOT_TO_THZ, THZ_TO_MEV
from tests.crystals import CELLS, bonded_phonopy, crystal, phonopy_frequencies

TWO = 2 * np.eye(3, dtype=int)
GENERIC = np.array([[0.137, 0.291, 0.413], [-0.31, 0.07, 0.22], [0.45, -0.12, 0.19]])
#: Steps of finite differences, eV/Å²: truncation and rounding are both below 1e-6 of the derivative then.
STEP = 1e-4


@functools.cache
def stable(name: str) -> tuple[Crystal, Parametrisation, ForceConstants, NDArray[np.float64]]:
    """A crystal, what may vary in it, and a stable reference with its parameters."""
    one = crystal(name)
    phonon = bonded_phonopy(CELLS[name], TWO)
    reference = from_phonopy(phonon, one, source="stable")
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, reference.supercell))
    return one, parametrisation, reference, parametrisation.project(reference).values


def model(name: str, q: NDArray[np.float64], select: NDArray[np.int64] | None = None) -> BornVonKarman:
    _, parametrisation, reference, values = stable(name)
    return BornVonKarman.at(q, reference, parametrisation, values, select)


def finite_differences(bvk: BornVonKarman, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Central differences (n_q, m, k) of the sorted energies."""
    k = len(values)
    up = bvk.energies(values + STEP * np.eye(k))
    down = bvk.energies(values - STEP * np.eye(k))
    return np.moveaxis((up - down) / (2 * STEP), 0, -1)


@pytest.mark.parametrize("name", ["Ge", "NaCl", "Mg", "Bi", "TiO2", "triclinic P1"])
def test_energies_are_those_of_full_sums_and_of_phonopy(name: str) -> None:
    """The plain twin: each set of force constants as a list of pairs, summed on its own."""
    one, parametrisation, reference, values = stable(name)
    q = standard_path(one, 60).q
    select = np.argsort(-np.abs(values))[:8]
    bvk = model(name, q, select)
    rng = np.random.default_rng(2)
    sets = values[select] * rng.uniform(0.8, 1.2, (5, len(select)))
    ours = bvk.energies(sets)
    assert ours.shape == (5, 60, 3 * one.n_sites)
    for row, chosen in zip(ours, sets, strict=True):
        full = values.copy()
        full[select] = chosen
        expected = mode_energies(parametrisation.force_constants(full, reference, "twin"), q)
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-6 * THZ_TO_MEV)
    at_reference = bvk.energies(values[select]) / THZ_TO_MEV
    phonopys = phonopy_frequencies(bonded_phonopy(CELLS[name], TWO), one, q)
    np.testing.assert_allclose(at_reference, phonopys, rtol=0, atol=1e-6)


def test_what_does_not_vary_stays_at_the_reference() -> None:
    """The reference may hold more than the parametrisation spans, such as a longer reach."""
    _, parametrisation, reference, values = stable("Ge")
    longer = reference.with_tensors(1.1 * reference.tensors, "stiffer")
    bvk = BornVonKarman.at(GENERIC, longer, parametrisation, values)
    np.testing.assert_allclose(bvk.energies(values), mode_energies(longer, GENERIC), atol=1e-9)
    np.testing.assert_allclose(bvk.energies(values), mode_energies(reference, GENERIC) * np.sqrt(1.1), atol=1e-9)


def test_a_batch_is_what_single_sets_are() -> None:
    one, _, _, values = stable("Mg")
    bvk = model("Mg", standard_path(one, 50).q)
    sets = values * np.random.default_rng(3).uniform(0.9, 1.1, (7, len(values)))
    batch = bvk.energies(sets)
    for row, single in zip(batch, sets, strict=True):
        np.testing.assert_allclose(bvk.energies(single), row, atol=1e-9)
    np.testing.assert_allclose(bvk.matrices(sets)[4], bvk.matrices(sets[4]), atol=1e-14)


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _, _, values = stable("Ge")
    bvk = model("Ge", standard_path(one, 30).q)
    # Many small chunks, so that threads do share the work.
    monkeypatch.setattr("fcinv_core.dynamics._CHUNK_BYTES", 3 * bvk.reference.nbytes)
    sets = values * np.random.default_rng(3).uniform(0.9, 1.1, (50, len(values)))
    one_thread = bvk.energies(sets, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(bvk.energies(sets, threads=threads), one_thread)


@pytest.mark.parametrize("name", ["Ge", "ZnS"])
def test_a_torch_device_gives_the_energies_of_the_processor(name: str) -> None:
    bvk = model(name, GENERIC)
    sets = stable(name)[3] * np.random.default_rng(4).uniform(0.9, 1.1, (7, len(bvk.reference_values)))
    np.testing.assert_allclose(bvk.energies(sets, device="cpu"), bvk.energies(sets), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in CELLS if crystal(name).n_sites <= 6])
def test_a_centre_of_inversion_makes_the_matrices_real_in_a_unitary_basis(name: str) -> None:
    bvk = model(name, GENERIC)
    basis, centrosymmetric = bvk.real_basis, (crystal(name).rotations == -np.eye(3)).all(axis=(1, 2)).any()
    assert (basis is not None) == centrosymmetric
    values = stable(name)[3] * np.random.default_rng(5).uniform(0.9, 1.1, len(bvk.reference_values))
    matrices = bvk.matrices(values)
    np.testing.assert_allclose(bvk.energies(values), to_energies(np.linalg.eigvalsh(matrices)), atol=1e-9)
    if basis is not None:
        adjoint = basis.conj().swapaxes(1, 2)
        np.testing.assert_allclose(adjoint @ basis, np.broadcast_to(np.eye(bvk.n_modes), basis.shape), atol=1e-14)
        turned = adjoint @ matrices @ basis
        assert np.abs(turned.imag).max() < 1e-12 * np.abs(turned).max()
        assert bvk._coefficients[1]


def test_a_set_that_breaks_the_inversion_is_still_solved() -> None:
    """Raw finite-difference sets are not quite symmetric: the complex matrices are used then."""
    _, parametrisation, reference, values = stable("Ge")
    noise = np.random.default_rng(6).normal(scale=0.01, size=reference.tensors.shape)
    raw = reference.with_tensors(reference.tensors + noise, "raw")
    bvk = BornVonKarman.at(GENERIC, raw, parametrisation, values)
    assert not bvk._coefficients[1]
    np.testing.assert_allclose(bvk.energies(values), mode_energies(raw, GENERIC), atol=1e-9)


def test_no_sets_and_no_varying_constants_are_allowed() -> None:
    _, parametrisation, reference, values = stable("Ge")
    bvk = model("Ge", GENERIC)
    assert bvk.energies(np.zeros((0, len(values)))).shape == (0, 3, 6)
    fixed = BornVonKarman.at(GENERIC, reference, parametrisation, values, np.zeros(0, dtype=np.int64))
    np.testing.assert_allclose(fixed.energies(np.zeros(0)), bvk.energies(values), atol=1e-9)


def test_modes_diagonalise_the_matrices() -> None:
    _, _, _, values = stable("TiO2")
    bvk = model("TiO2", GENERIC)
    energies, vectors = bvk.modes(values)
    matrices = bvk.matrices(values)
    np.testing.assert_allclose(vectors.conj().swapaxes(1, 2) @ vectors, np.tile(np.eye(18), (3, 1, 1)), atol=1e-12)
    squares = (energies / ROOT_TO_MEV) ** 2
    np.testing.assert_allclose(matrices @ vectors, vectors * squares[:, None, :], atol=1e-12)
    np.testing.assert_allclose(energies, bvk.energies(values), atol=1e-9)


@pytest.mark.parametrize("name", ["Ge", "Nb", "NaCl", "Mg", "Bi", "triclinic P-1", "triclinic P1"])
def test_derivatives_of_single_modes_at_generic_points(name: str) -> None:
    _, _, _, values = stable(name)
    bvk = model(name, GENERIC)
    energies, derivatives = bvk.energy_derivatives(values)
    np.testing.assert_allclose(energies, bvk.energies(values), atol=1e-9)
    # Single modes are smooth where the neighbours are farther than a step moves them.
    apart = np.diff(energies, axis=1, prepend=-9, append=999)
    alone = np.minimum(apart[:, :-1], apart[:, 1:]) > 0.05
    assert alone.mean() > 0.7
    differences = finite_differences(bvk, values)
    scale = np.abs(differences).max()
    np.testing.assert_allclose(derivatives[alone], differences[alone], atol=2e-5 * scale)


@pytest.mark.parametrize("name", ["Ge", "Nb", "NaCl", "Mg", "quartz", "Bi", "TiO2", "triclinic P1"])
def test_derivatives_of_the_sum_over_all_modes_along_the_path(name: str) -> None:
    """Everywhere but at Γ, where acoustic modes are not differentiable; degenerate points included."""
    one, _, _, values = stable(name)
    path = standard_path(one, 40)
    away = np.linalg.norm(path.q @ one.reciprocal_lattice, axis=1) > 0.05
    select = np.argsort(-np.abs(values))[:8]
    bvk = model(name, path.q[away], select)
    _, derivatives = bvk.energy_derivatives(values[select])
    differences = finite_differences(bvk, values[select])
    expected = differences.sum(axis=1)
    np.testing.assert_allclose(derivatives.sum(axis=1), expected, atol=2e-5 * np.abs(expected).max())


def test_derivatives_of_sums_over_degenerate_sets() -> None:
    """Germanium: the optical triple at Γ, pairs at X and L and along Δ and Λ, as symmetry makes them."""
    one, _, _, values = stable("Ge")
    x, l_point = (np.array(one.high_symmetry_points[label]) for label in "XL")
    q = np.array([np.zeros(3), x, l_point, 0.4 * x, 0.7 * l_point])
    bvk = model("Ge", q)
    energies, derivatives = bvk.energy_derivatives(values)
    differences = finite_differences(bvk, values)
    checked = []
    for k in range(len(q)):
        # Neighbours closer than 1e-6 meV are one set.
        borders = np.flatnonzero(np.diff(energies[k], prepend=-9, append=999) > 1e-6)
        for start, stop in itertools.pairwise(borders):
            if energies[k, start] < 1e-3:
                continue
            own = derivatives[k, start:stop].sum(axis=0)
            np.testing.assert_allclose(own, differences[k, start:stop].sum(axis=0), atol=2e-5 * np.abs(own).max())
            checked.append((k, stop - start))
    assert (0, 3) in checked
    assert [checked.count((1, 2)), checked.count((2, 2))] == [3, 2]
    assert [checked.count((3, 2)), checked.count((4, 2))] == [2, 2]


def test_acoustic_modes_at_gamma_have_derivative_zero() -> None:
    _, _, _, values = stable("Ge")
    energies, derivatives = model("Ge", np.zeros((1, 3))).energy_derivatives(values)
    assert np.abs(energies[0, :3]).max() < 1e-4
    np.testing.assert_array_equal(derivatives[0, :3], 0)
    assert np.isfinite(derivatives).all()


def test_derivatives_of_imaginary_modes_keep_their_sign() -> None:
    """A set turned upside down: all energies negative, and growing less so as the constants grow back."""
    _, parametrisation, reference, values = stable("Mg")
    upside_down = reference.with_tensors(-reference.tensors, "upside down")
    bvk = BornVonKarman.at(GENERIC[:1], upside_down, parametrisation, -values)
    energies, derivatives = bvk.energy_derivatives(-values)
    assert energies.max() < 0
    differences = finite_differences(bvk, -values)
    expected = differences.sum(axis=1)
    np.testing.assert_allclose(derivatives.sum(axis=1), expected, atol=2e-5 * np.abs(expected).max())


def test_some_points_of_a_model_are_the_model_at_these_points() -> None:
    _, _, _, values = stable("Ge")
    bvk = model("Ge", GENERIC)
    some = bvk.at_points(np.array([2, 0]))
    np.testing.assert_allclose(some.energies(values), bvk.energies(values)[[2, 0]], atol=1e-12)
    np.testing.assert_array_equal(some.q, GENERIC[[2, 0]])


def test_heavier_atoms_lower_energies_by_the_root_of_the_mass() -> None:
    one, _, reference, _ = stable("Ge")
    heavy = replace(reference, crystal=replace(one, masses=one.masses * 1.21))
    np.testing.assert_allclose(mode_energies(heavy, GENERIC) * 1.1, mode_energies(reference, GENERIC), atol=1e-9)


def test_imaginary_energies_are_negative() -> None:
    np.testing.assert_allclose(to_energies(np.array([-4.0, 0.0, 9.0])), np.array([-2, 0, 3]) * ROOT_TO_MEV)


def test_units_are_phonopys_and_codatas() -> None:
    assert pytest.approx(15.633302, abs=1e-5) == ROOT_TO_THZ
    assert pytest.approx(4.135667696) == THZ_TO_MEV
    # A spring of 1 eV/Å² and 1 amu: hbar sqrt(k/m).
    hbar, electron_volt, dalton = 1.054571817e-34, 1.602176634e-19, 1.66053906660e-27
    frequency = np.sqrt(electron_volt / 1e-20 / dalton)
    assert pytest.approx(hbar * frequency / electron_volt * 1e3, rel=1e-6) == ROOT_TO_MEV
