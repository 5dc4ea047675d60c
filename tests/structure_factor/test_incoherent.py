"""The phonon expansion: moments, detailed balance, convolution, and what coherent scattering averages to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.debye_waller import BOLTZMANN, HBAR2_PER_AMU, thermal_displacements
from fcinv_core.structure_factor.incoherent import IncoherentScattering, incoherent_scattering
from fcinv_core.structure_factor.modes import mesh_modes
from fcinv_core.structure_factor.one_phonon import coherent_one_phonon, one_phonon_spectra
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths, natural_scattering_lengths
from tests.structure_factor.judge import stable

NARROW = Resolution((0.5,))


def expansion(name: str, n_cells: int, temperature: float, longest: float = 8.0) -> IncoherentScattering:
    fcs = stable(name, n_cells)
    incoherent_only = ScatteringLengths(np.zeros(fcs.crystal.n_sites), np.linspace(1, 2, fcs.crystal.n_sites))
    return incoherent_scattering(mesh_modes(fcs, 0.5), temperature, incoherent_only, longest)


@pytest.mark.parametrize("temperature", [0.0, 300.0, 900.0])
@pytest.mark.parametrize(("name", "n_cells"), [("Nb", 3), ("wurtzite ZnO", 2)])
def test_all_orders_together_scatter_the_whole_cross_section(name: str, n_cells: int, temperature: float) -> None:
    """Zeroth moment: elastic + one phonon + multiphonon = sigma / 4 pi per atom, at each |Q|."""
    scattering = expansion(name, n_cells, temperature)
    q = np.array([0.5, 2.0, 5.0, 8.0])
    edge = scattering.energies[-1] + 5
    grid = SpectralGrid(-edge, edge, 4000)
    inelastic = scattering.one_phonon(q, grid, NARROW) + scattering.multiphonon(q, grid, NARROW)
    total = scattering.elastic(q) + inelastic.sum(axis=1) * grid.width
    np.testing.assert_allclose(total, 1000 * scattering.lengths.total_cross_section.mean() / (4 * np.pi), rtol=3e-6)


@pytest.mark.parametrize("temperature", [0.0, 300.0, 900.0])
def test_mean_energy_is_the_recoil_energy(temperature: float) -> None:
    """First moment of each site: hbar² Q² / 2m at all temperatures (Placzek)."""
    scattering = expansion("wurtzite ZnO", 2, temperature)
    exponents = 6.0**2 * scattering.displacements
    means = scattering.orders @ scattering.energies
    orders = np.arange(1, means.shape[1] + 1)
    shares = np.array([np.exp(-x) * x**orders / [math.factorial(n) for n in orders] for x in exponents])
    recoil = HBAR2_PER_AMU * 6.0**2 / (2 * scattering.crystal.masses)
    np.testing.assert_allclose((shares * means).sum(axis=1), recoil, rtol=1e-4)


def test_every_order_obeys_detailed_balance() -> None:
    temperature = 300.0
    scattering = expansion("Nb", 3, temperature)
    middle = len(scattering.energies) // 2
    for order in scattering.orders[0]:
        loss, gain = order[middle + 40 : middle + 150], order[middle - 149 : middle - 39][::-1]
        energy = scattering.energies[middle + 40 : middle + 150]
        seen = loss > 1e-2 * loss.max()
        balance = np.exp(-energy[seen] / (BOLTZMANN * temperature))
        np.testing.assert_allclose(gain[seen], balance * loss[seen], rtol=3e-2)


def test_two_phonons_are_all_pairs_of_one_phonon() -> None:
    """The fast convolution against the plain double sum."""
    scattering = expansion("Nb", 3, 300.0)
    one, two = scattering.orders[0, 0], scattering.orders[0, 1]
    filled = np.flatnonzero(one)
    plain = np.zeros_like(two)
    middle = len(one) // 2
    for i in filled:
        plain[i + filled - middle] += one[i] * one[filled]
    np.testing.assert_allclose(two, plain, atol=1e-12)


def test_coherent_scattering_of_one_site_averages_to_the_incoherent_one() -> None:
    """Over long Q of all directions, where every q is met, the incoherent approximation is exact."""
    fcs = stable("Nb", 3)
    lengths = natural_scattering_lengths(fcs.crystal)
    as_incoherent = ScatteringLengths(np.zeros(1), lengths.coherent_cross_section)
    grid, broad = SpectralGrid(-60.0, 60.0, 60), Resolution((4.0,))
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((30_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    q = rng.uniform(8, 12, len(directions))
    vectors = q[:, None] * directions @ np.linalg.inv(fcs.crystal.reciprocal_lattice)
    lines = coherent_one_phonon(fcs, vectors, lengths, thermal_displacements(fcs, 300.0, 0.3))
    average = one_phonon_spectra(lines, 300.0, grid, broad).mean(axis=0)
    expansion = incoherent_scattering(mesh_modes(fcs, 0.1), 300.0, as_incoherent, 12.0)
    expected = expansion.one_phonon(q, grid, broad).mean(axis=0)
    # A mesh has no modes right above zero energy, where the elastic line covers everything.
    away = np.abs(grid.centres) > 8
    np.testing.assert_allclose(average[away], expected[away], atol=0.03 * expected.max())
    assert average.sum() == pytest.approx(expected.sum(), rel=0.01)


def test_multiphonon_scattering_uses_the_total_cross_section() -> None:
    """A purely coherent scatterer has no incoherent line, but multiphonons all the same."""
    fcs = stable("Nb", 3)
    coherent = ScatteringLengths(np.array([7.0]), np.zeros(1))
    scattering = incoherent_scattering(mesh_modes(fcs, 0.6), 300.0, coherent, 6.0)
    grid, q = SpectralGrid(-200.0, 200.0, 800), np.array([6.0])
    assert scattering.elastic(q)[0] == 0
    assert scattering.one_phonon(q, grid, NARROW).max() == 0
    x = 36.0 * scattering.displacements[0]
    expected = 10 * 49.0 * (1 - np.exp(-x) * (1 + x))  # 4 pi b² / 4 pi, mb
    assert scattering.multiphonon(q, grid, NARROW).sum() * grid.width == pytest.approx(expected, rel=2e-4)


def test_a_longer_q_than_expanded_for_is_refused() -> None:
    scattering = expansion("Nb", 3, 300.0, longest=4.0)
    with pytest.raises(InputError, match="too long"):
        scattering.multiphonon(np.array([4.5]), SpectralGrid(0, 50, 10), NARROW)


@pytest.mark.parametrize(("longest", "step"), [(0.0, 0.25), (5.0, 0.0), (float("nan"), 0.25)])
def test_an_expansion_that_makes_no_sense_is_refused(longest: float, step: float) -> None:
    fcs = stable("Nb", 3)
    with pytest.raises(InputError):
        incoherent_scattering(mesh_modes(fcs, 0.8), 300.0, natural_scattering_lengths(fcs.crystal), longest, step)
