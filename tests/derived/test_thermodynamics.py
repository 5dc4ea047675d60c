"""Density of states, heat capacity, Debye temperature: phonopy's sums, and limits of theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import constants

from fcinv_core.derived.thermodynamics import (
    debye_temperature_of_second_moment,
    density_of_states,
    formula_units,
    heat_capacity,
)
from fcinv_core.derived.zone_mesh import irreducible_mesh
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.phonopy_files import to_phonopy
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.structure_factor.debye_waller import BOLTZMANN
from fcinv_core.structure_factor.modes import shifted_mesh
from fcinv_core.units import THZ_TO_MEV
from tests.crystals import CELLS, crystal
from tests.structure_factor.judge import stable


@pytest.mark.parametrize("name", ["Ge", "Nb", "Mg", "quartz", "ZrO2", "triclinic P1"])
def test_inequivalent_points_stand_for_the_whole_mesh(name: str) -> None:
    """Any function of the star of q has the same mean on both; the reduction is real where there is symmetry."""
    made = crystal(name)
    q, weights = irreducible_mesh(made, 0.5)
    half = shifted_mesh(made, 0.5)
    assert weights.sum() == pytest.approx(1)
    assert len(q) <= len(half)

    def invariant(points: np.ndarray) -> np.ndarray:
        operations = np.swapaxes(np.linalg.inv(made.rotations), 1, 2)
        star = np.einsum("gij,nj->gni", operations, points)
        phases = 2 * np.pi * star
        return np.cos(phases).prod(axis=2).mean(axis=0) + np.cos(phases @ [1, 2, 3]).mean(axis=0)

    assert weights @ invariant(q) == pytest.approx(float(invariant(half).mean()), abs=1e-12)


@pytest.mark.parametrize("name", ["Ge", "Nb", "NaCl", "quartz"])
def test_symmetry_makes_the_mesh_smaller(name: str) -> None:
    made = crystal(name)
    assert len(irreducible_mesh(made, 0.3)[0]) < 0.6 * len(shifted_mesh(made, 0.3))


@pytest.mark.parametrize("name", ["Ge", "wurtzite ZnO"])
def test_heat_capacity_is_that_of_phonopy(name: str) -> None:
    """The same mesh for both, so that the formula is what is compared."""
    fcs = stable(name, 2)
    made = fcs.crystal
    q, weights = irreducible_mesh(made, 0.3)
    counts = 2 * np.ceil(np.linalg.norm(made.reciprocal_lattice, axis=1) / 0.6).astype(int)
    phonon = to_phonopy(fcs)
    phonon.run_mesh(counts, shift=[0.5] * 3, is_gamma_center=True, is_mesh_symmetry=False)
    temperature = np.array([20.0, 100.0, 400.0])
    phonon.run_thermal_properties(temperatures=temperature)
    ours = heat_capacity(made, mode_energies(fcs, q)[None], weights, temperature)
    theirs = np.array(phonon.thermal_properties.heat_capacity) / formula_units(made)
    # Its constants are of an older CODATA.
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-5)


def test_density_of_states_counts_all_modes_and_has_the_moments_of_phonopy() -> None:
    fcs = stable("Ge", 2)
    q, weights = irreducible_mesh(fcs.crystal, 0.3)
    energies = mode_energies(fcs, q)
    grid = SpectralGrid(0.0, 1.2 * energies.max(), 400)
    found = density_of_states(energies[None], weights, grid, 0.5)[0]
    assert found.sum() * grid.width == pytest.approx(3 * fcs.crystal.n_sites, rel=1e-3)
    phonon = to_phonopy(fcs)
    phonon.run_mesh([12] * 3, shift=[0.5] * 3, is_gamma_center=True, is_mesh_symmetry=False)
    phonon.run_total_dos(sigma=0.05, freq_pitch=0.01)
    dos = phonon.total_dos
    theirs = np.average(dos.frequency_points, weights=dos.dos) * THZ_TO_MEV
    assert np.average(grid.centres, weights=found) == pytest.approx(theirs, rel=5e-3)


def test_heat_capacity_tends_to_dulong_and_petit() -> None:
    made = crystal("TiO2")
    energies = np.full((1, 4, 3 * made.n_sites), 30.0)
    high = heat_capacity(made, energies, np.full(4, 0.25), np.array([1e5]))
    assert formula_units(made) == 2
    assert high[0, 0] == pytest.approx(3 * 3 * constants.R, rel=1e-4)


def test_modes_of_one_energy_are_an_einstein_solid() -> None:
    made = crystal("Nb")
    energy, kelvin = 20.0, 150.0
    x = energy / (BOLTZMANN * kelvin)
    expected = 3 * constants.R * x**2 * np.exp(x) / np.expm1(x) ** 2
    found = heat_capacity(made, np.full((1, 1, 3), energy), np.ones(1), np.array([kelvin]))
    assert found[0, 0] == pytest.approx(expected, rel=1e-12)


def test_second_moment_of_a_debye_spectrum_gives_its_temperature() -> None:
    n = 2000
    # Energies of a Debye spectrum at equal shares of its modes.
    energies = 30.0 * ((np.arange(n) + 0.5) / n) ** (1 / 3)
    found = debye_temperature_of_second_moment(energies.reshape(1, n, 1), np.full(n, 1 / n))
    assert found[0] == pytest.approx(30.0 / BOLTZMANN, rel=1e-5)


def test_cells_of_several_formulas() -> None:
    assert formula_units(crystal("quartz")) == 3
    assert all(formula_units(crystal(name)) >= 1 for name in CELLS)
