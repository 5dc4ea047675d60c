"""Coherent one-phonon scattering: Euphonic's values, symmetry, sum rules, Bose factors."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from euphonic import ForceConstants as EuphonicForceConstants
from euphonic import ureg

from fcinv_core.crystal import Crystal, FloatArray, map_cell, read_structure
from fcinv_core.errors import InputError
from fcinv_core.force_constants.euphonic_files import read_euphonic_force_constants
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import from_phonopy, read_force_constants, to_phonopy
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.debye_waller import (
    BOLTZMANN,
    HBAR2_PER_AMU,
    ThermalDisplacements,
    thermal_displacements,
)
from fcinv_core.structure_factor.modes import Modes, phonon_modes
from fcinv_core.structure_factor.one_phonon import OnePhonon, coherent_one_phonon, one_phonon, one_phonon_spectra
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths, natural_scattering_lengths
from tests.structure_factor.judge import (
    euphonic_structure_factors,
    in_euphonic,
    relative_difference,
    stable,
    sums_over_degenerate,
)


def random_q(n: int, seed: int = 0) -> FloatArray:
    """Wavevectors over many zones, none near a zone centre."""
    q = np.random.default_rng(seed).uniform(-4, 4, (3 * n, 3))
    return q[np.abs(q - np.rint(q)).max(axis=1) > 0.1][:n]


def lengths_of(crystal: Crystal) -> ScatteringLengths:
    """Different numbers for each element, one of them negative."""
    values = dict(zip(sorted(set(crystal.symbols)), (8.2, -3.7, 5.8, 6.6), strict=False))
    return ScatteringLengths(np.array([values[s] for s in crystal.symbols]), np.ones(crystal.n_sites))


@pytest.mark.parametrize("temperature", [None, 0.0, 300.0])
@pytest.mark.parametrize(("name", "n_cells"), [("Ge", 3), ("Nb", 3), ("wurtzite ZnO", 2), ("triclinic P1", 2)])
def test_structure_factors_are_those_of_euphonic(name: str, n_cells: int, temperature: float | None) -> None:
    """Random wavevectors in many zones, so phases, signs and Debye-Waller factors all count."""
    fcs, q = stable(name, n_cells), random_q(40)
    lengths = lengths_of(fcs.crystal)
    displacements = thermal = None
    judge = in_euphonic(fcs)
    if temperature is not None:
        displacements = thermal_displacements(fcs, temperature, 0.6)
        counts = 2 * np.ceil(np.linalg.norm(fcs.crystal.reciprocal_lattice, axis=1) / 1.2).astype(int)
        mesh = np.array(list(itertools.product(*((np.arange(n) + 0.5) / n - 0.5 for n in counts))))
        modes = judge.calculate_qpoint_phonon_modes(mesh, asr=None, use_c=False)
        thermal = modes.calculate_debye_waller(temperature * ureg("K"), symmetrise=False)
        # What is compared here is the factor; the symmetry of the displacements has its own test.
        exponents = thermal.debye_waller.to("angstrom**2").magnitude
        displacements = ThermalDisplacements(fcs.crystal, temperature, 2 * exponents)
    energies, theirs = euphonic_structure_factors(judge, q, fcs.crystal, lengths, thermal)
    ours = coherent_one_phonon(fcs, q, lengths, displacements)
    np.testing.assert_allclose(ours.energies, energies, rtol=1e-6)
    assert relative_difference(energies, ours.strengths, theirs).max() < 1e-6


def test_phases_of_the_sites_matter() -> None:
    """Polarisation vectors in the other phase convention give other intensities: the test above can fail."""
    fcs, q = stable("wurtzite ZnO", 2), random_q(20)
    lengths = lengths_of(fcs.crystal)
    modes = phonon_modes(fcs, q)
    phases = np.repeat(np.exp(2j * np.pi * (q @ fcs.crystal.positions.T)), 3, axis=1)
    wrong = Modes(modes.energies, phases[:, :, None] * modes.vectors)
    right = one_phonon(fcs.crystal, q, modes, lengths).strengths
    assert (
        relative_difference(modes.energies, one_phonon(fcs.crystal, q, wrong, lengths).strengths, right).max() > 0.1
    )


@pytest.mark.parametrize(("name", "n_cells"), [("Ge", 3), ("wurtzite ZnO", 2), ("quartz", 2)])
def test_equivalent_wavevectors_scatter_alike(name: str, n_cells: int) -> None:
    """Q and -Q, and Q turned by every operation of the space group, glides and screws included."""
    fcs, q = stable(name, n_cells), random_q(5)
    crystal = fcs.crystal
    lengths, displacements = lengths_of(crystal), thermal_displacements(fcs, 300.0, 0.8)
    first = coherent_one_phonon(fcs, q, lengths, displacements)
    expected = sums_over_degenerate(first.energies, first.strengths)
    # x -> W x in fractions turns the components of a wavevector by the inverse transpose of W.
    images = [q @ np.linalg.inv(rotation) for rotation in crystal.rotations]
    for image in [-q, *images]:
        found = coherent_one_phonon(fcs, image, lengths, displacements)
        np.testing.assert_allclose(found.energies, first.energies, atol=1e-5)
        np.testing.assert_allclose(
            sums_over_degenerate(first.energies, found.strengths), expected, rtol=1e-6, atol=1e-6 * expected.max()
        )


def test_one_site_obeys_the_f_sum_rule() -> None:
    """sum_s E_s S_s(Q) = b² hbar² Q² / 2m exp(-2 W): the recoil energy, in every zone."""
    fcs, q = stable("Nb", 3), random_q(50)
    lengths = natural_scattering_lengths(fcs.crystal)
    displacements = thermal_displacements(fcs, 300.0, 0.6)
    found = coherent_one_phonon(fcs, q, lengths, displacements)
    cartesian = q @ fcs.crystal.reciprocal_lattice
    recoil = HBAR2_PER_AMU * (cartesian**2).sum(axis=1) / (2 * fcs.crystal.masses[0])
    expected = 10 * lengths.coherent[0] ** 2 * recoil * np.exp(-2 * displacements.exponents(cartesian)[:, 0])
    np.testing.assert_allclose((found.energies * found.strengths).sum(axis=1), expected, rtol=1e-10)


def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fcs, q = stable("wurtzite ZnO", 2), random_q(60)
    lengths = lengths_of(fcs.crystal)
    whole = coherent_one_phonon(fcs, q, lengths, threads=1)
    monkeypatch.setattr("fcinv_core.structure_factor.one_phonon._CHUNK_ELEMENTS", 7 * 144)
    parts = coherent_one_phonon(fcs, q, lengths, threads=2)
    np.testing.assert_allclose(parts.energies, whole.energies, rtol=1e-12)
    np.testing.assert_allclose(parts.strengths, whole.strengths, rtol=1e-9, atol=1e-12)


def test_acoustic_modes_at_a_bragg_peak_do_not_diverge() -> None:
    fcs = stable("Ge", 3)
    found = coherent_one_phonon(fcs, np.array([[1.0, 1.0, 1.0]]), natural_scattering_lengths(fcs.crystal))
    np.testing.assert_array_equal(found.strengths[0, :3], 0.0)
    assert np.isfinite(found.strengths).all()


def test_displacements_of_another_crystal_are_refused() -> None:
    fcs, other = stable("Ge", 3), stable("Nb", 3)
    with pytest.raises(InputError, match="another crystal"):
        coherent_one_phonon(fcs, random_q(2), lengths_of(fcs.crystal), thermal_displacements(other, 0.0, 0.8))


LINES = OnePhonon(np.array([[-3.0, 8.0, 20.0]]), np.array([[0.0, 2.0, 5.0]]))


def test_spectra_hold_the_bose_factors() -> None:
    """Energy loss n + 1, gain n; their ratio is detailed balance; an imaginary mode is left out."""
    grid, temperature = SpectralGrid(-40.0, 50.0, 900), 150.0
    spectrum = one_phonon_spectra(LINES, temperature, grid, Resolution((0.8,)))[0]
    for energy, strength in [(8.0, 2.0), (20.0, 5.0)]:
        occupation = 1 / np.expm1(energy / (BOLTZMANN * temperature))
        near = {sign: np.abs(grid.centres - sign * energy) < 4 for sign in (1, -1)}
        loss, gain = (spectrum[near[sign]].sum() * grid.width for sign in (1, -1))
        assert loss == pytest.approx(strength * (occupation + 1), rel=1e-4)
        assert gain == pytest.approx(strength * occupation, rel=1e-4)
        assert gain / loss == pytest.approx(np.exp(-energy / (BOLTZMANN * temperature)), rel=1e-4)


def test_bins_above_zero_hold_what_they_hold_among_others() -> None:
    """Lines of energy gain, on the other side of zero, reach into them."""
    lines = OnePhonon(np.array([[1.5, 8.0]]), np.array([[2.0, 1.0]]))
    wide, above = SpectralGrid(-5.0, 20.0, 50), SpectralGrid(1.0, 20.0, 38)
    found = one_phonon_spectra(lines, 100.0, above, Resolution((3.0,)))[0]
    np.testing.assert_allclose(found, one_phonon_spectra(lines, 100.0, wide, Resolution((3.0,)))[0][12:], rtol=1e-4)


def test_a_cold_crystal_gives_no_energy() -> None:
    grid = SpectralGrid(-30.0, 30.0, 120)
    spectrum = one_phonon_spectra(LINES, 0.0, grid, Resolution((0.8,)))[0]
    assert spectrum[grid.centres < -1].max() == 0
    assert spectrum.sum() * grid.width == pytest.approx(7.0, rel=1e-4)


def test_gain_and_loss_have_the_widths_of_their_energies() -> None:
    """The width of a resolution that narrows with energy transfer is taken on the right side."""
    grid = SpectralGrid(-40.0, 40.0, 4000)
    lines = OnePhonon(np.array([[20.0]]), np.array([[1.0]]))
    spectrum = one_phonon_spectra(lines, 1000.0, grid, Resolution((2.0, -0.02)))[0].astype(float)
    for sign, fwhm in [(1, 1.6), (-1, 2.4)]:
        side = np.sign(grid.centres) == sign
        weight, energy = spectrum[side], grid.centres[side]
        sigma = np.sqrt(weight @ (energy - sign * 20) ** 2 / weight.sum())
        assert 2.35482 * sigma == pytest.approx(fwhm, rel=1e-3)


def symmetric(fcs: ForceConstants) -> ForceConstants:
    """Remove what breaks D = D^†: we average it away, Euphonic reads one triangle of D."""
    phonon = to_phonopy(fcs)
    phonon.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    return from_phonopy(phonon, fcs.crystal, source=fcs.source)


def ge(shared_data: Path) -> ForceConstants:
    """The DFT set of germanium."""
    poscar = shared_data / "ge_dft" / "POSCAR"
    return symmetric(
        read_force_constants(shared_data / "ge_dft" / "FORCE_CONSTANTS", read_structure(poscar), structure=poscar)
    )


def nacl(shared_data: Path) -> ForceConstants:
    """The DFT set of sodium chloride, with its non-analytic term."""
    folder = shared_data / "nacl_dft"
    crystal = read_structure(folder / "POSCAR-unitcell")
    fcs = symmetric(read_force_constants(folder / "FORCE_SETS", crystal, structure=folder / "phonopy_disp.yaml"))
    assert fcs.non_analytic is not None
    return fcs


def test_germanium_scatters_as_in_euphonic(shared_data: Path) -> None:
    fcs, q = ge(shared_data), random_q(300)
    lengths = natural_scattering_lengths(fcs.crystal)
    energies, theirs = euphonic_structure_factors(in_euphonic(fcs), q, fcs.crystal, lengths)
    ours = coherent_one_phonon(fcs, q, lengths)
    assert relative_difference(energies, ours.strengths, theirs).max() < 1e-6


def test_sodium_chloride_scatters_as_in_euphonic(shared_data: Path) -> None:
    """With the non-analytic term, far from and near to zone centres.

    phonopy cuts its sum over reciprocal vectors off where it is good to 2e-5 meV; Euphonic's is converged.
    """
    fcs = nacl(shared_data)
    near = np.array([[1, 1, 1], [2, 0, 2], [3, 1, -1], [0, 2, 2]]) + 0.02 * random_q(4, seed=3)
    q = np.concatenate([random_q(150), near])
    lengths = natural_scattering_lengths(fcs.crystal)
    energies, theirs = euphonic_structure_factors(in_euphonic(fcs), q, fcs.crystal, lengths)
    assert fcs.non_analytic is not None
    ours = coherent_one_phonon(replace(fcs, non_analytic=fcs.non_analytic.converged()), q, lengths)
    np.testing.assert_allclose(ours.energies, energies, atol=1e-5)
    assert relative_difference(energies, ours.strengths, theirs).max() < 1e-6
    cut_off = coherent_one_phonon(fcs, q, lengths)
    np.testing.assert_allclose(cut_off.energies, energies, atol=3e-5)
    assert relative_difference(energies, cut_off.strengths, theirs).max() < 1e-5


def test_a_zone_centre_of_a_polar_crystal_is_approached_from_its_direction(shared_data: Path) -> None:
    """At Q = G with a direction, optical modes scatter as at a wavevector very near G in that direction."""
    fcs = nacl(shared_data)
    centres = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 2.0], [3.0, 1.0, -1.0]])
    directions = random_q(3, seed=5)
    lengths = natural_scattering_lengths(fcs.crystal)
    at = coherent_one_phonon(fcs, centres, lengths, directions=directions)
    close = coherent_one_phonon(fcs, centres + 1e-4 * directions, lengths)
    np.testing.assert_allclose(at.energies[:, 3:], close.energies[:, 3:], atol=1e-3)
    sums = [sums_over_degenerate(at.energies[:, 3:], found.strengths[:, 3:]) for found in (at, close)]
    np.testing.assert_allclose(sums[0], sums[1], rtol=5e-3, atol=5e-3 * sums[0].max())
    assert (at.energies[:, 5] - at.energies[:, 4] > 5).all()


def test_quartz_scatters_as_in_euphonic(shared_data: Path) -> None:
    """CASTEP's force constants and dipoles, in CASTEP's cell for Euphonic and in the standard cell for us."""
    path = shared_data / "quartz_merlin" / "quartz.castep_bin"
    judge = EuphonicForceConstants.from_castep(path)
    fcs = read_euphonic_force_constants(path, acoustic_sum_rule=False)
    assert fcs.non_analytic is not None
    assert fcs.crystal.space_group_number in (152, 154)
    cell = judge.crystal
    vectors, symbols = cell.cell_vectors.to("angstrom").magnitude, list(cell.atom_type)
    basis = map_cell(fcs.crystal, vectors, cell.atom_r, symbols, name="CASTEP's cell").basis
    near = np.array([[1, 1, 1], [2, 0, 2], [3, 1, -1], [0, 2, 2]]) + 0.05 * random_q(4, seed=3)
    q = np.concatenate([random_q(100), near])
    lengths = natural_scattering_lengths(fcs.crystal)
    energies, theirs = euphonic_structure_factors(judge, q @ basis, fcs.crystal, lengths)
    ours = coherent_one_phonon(fcs, q, lengths)
    np.testing.assert_allclose(ours.energies, energies, atol=1e-5)
    assert relative_difference(energies, ours.strengths, theirs).max() < 1e-6
    assert energies.min() > 0.5
