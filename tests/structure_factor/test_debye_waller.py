"""Thermal displacements: limits of theory, symmetry, and Euphonic's sums."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from euphonic import ureg

from fcinv_core.errors import InputError
from fcinv_core.structure_factor.debye_waller import (
    BOLTZMANN,
    HBAR2_PER_AMU,
    displacements_of,
    symmetrised,
    thermal_displacements,
)
from fcinv_core.structure_factor.modes import mesh_modes, phonon_modes, site_images
from tests.crystals import CELLS, crystal
from tests.structure_factor.judge import in_euphonic, stable


def test_the_mesh_covers_the_zone_once_without_the_zone_centre() -> None:
    """Half of the mesh with doubled weights gives what all of it gives."""
    fcs = stable("triclinic P1", 2)
    mesh = mesh_modes(fcs, 0.5)
    counts = 2 * np.ceil(np.linalg.norm(fcs.crystal.reciprocal_lattice, axis=1) / 1.0).astype(int)
    assert mesh.weights.sum() == pytest.approx(1)
    assert 2 * len(mesh.weights) == counts.prod()
    whole = np.array(list(itertools.product(*((np.arange(n) + 0.5) / n for n in counts))))
    modes = phonon_modes(fcs, whole)
    everything = replace(mesh, weights=np.full(len(whole), 1 / len(whole)), modes=modes)
    np.testing.assert_allclose(
        displacements_of(mesh, 200.0).tensors, displacements_of(everything, 200.0).tensors, rtol=1e-10
    )
    assert np.abs(whole - np.rint(whole)).max(axis=1).min() > 0.01


@pytest.mark.parametrize("temperature", [0.0, 50.0, 300.0])
@pytest.mark.parametrize("name", ["Ge", "wurtzite ZnO", "triclinic P1"])
def test_displacements_are_those_of_euphonic(name: str, temperature: float) -> None:
    """W_ab = U_ab / 2; the same mesh, all of it, for Euphonic."""
    fcs = stable(name, 2)
    counts = 2 * np.ceil(np.linalg.norm(fcs.crystal.reciprocal_lattice, axis=1) / 1.2).astype(int)
    whole = np.array(list(itertools.product(*((np.arange(n) + 0.5) / n - 0.5 for n in counts))))
    theirs = in_euphonic(fcs).calculate_qpoint_phonon_modes(whole, asr=None, use_c=False)
    exponents = theirs.calculate_debye_waller(temperature * ureg("K"), symmetrise=False)
    ours = thermal_displacements(fcs, temperature, 0.6).tensors / 2
    expected = symmetrised(fcs.crystal, exponents.debye_waller.to("angstrom**2").magnitude)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6 * ours.max())


def test_zero_point_motion_of_one_site_is_the_mean_inverse_energy() -> None:
    fcs = stable("Nb", 3)
    mesh = mesh_modes(fcs, 0.5)
    inverse = mesh.weights @ (1 / mesh.modes.energies).mean(axis=1)
    expected = HBAR2_PER_AMU / (2 * fcs.crystal.masses[0]) * inverse
    np.testing.assert_allclose(displacements_of(mesh, 0.0).isotropic, expected, rtol=1e-10)


def test_hot_displacements_are_classical() -> None:
    """Equipartition: <u²> = kT hbar² / m <1 / E²>, whatever hbar is."""
    fcs = stable("Nb", 3)
    mesh = mesh_modes(fcs, 0.5)
    inverse = mesh.weights @ (1 / mesh.modes.energies**2).mean(axis=1)
    expected = BOLTZMANN * 3e4 * HBAR2_PER_AMU / fcs.crystal.masses[0] * inverse
    np.testing.assert_allclose(displacements_of(mesh, 3e4).isotropic, expected, rtol=1e-4)


def test_displacements_have_the_symmetry_of_the_sites() -> None:
    """A mesh of a hexagonal zone lacks its symmetry; the tensors have it all the same."""
    fcs = stable("wurtzite ZnO", 2)
    found = thermal_displacements(fcs, 100.0, 0.9)
    crystal_, tensors = fcs.crystal, found.tensors
    carried = crystal_.cartesian_rotations[:, None] @ tensors @ crystal_.cartesian_rotations.swapaxes(1, 2)[:, None]
    np.testing.assert_allclose(carried, tensors[site_images(crystal_)], atol=1e-12)
    assert np.linalg.eigvalsh(tensors).min() > 0


def test_site_images_permute_sites_of_one_element() -> None:
    for name in CELLS:
        target = crystal(name)
        images = site_images(target)
        np.testing.assert_array_equal(np.sort(images, axis=1), np.tile(np.arange(target.n_sites), (len(images), 1)))
        symbols = np.array(target.symbols)
        assert (symbols[images] == symbols).all()


def test_exponent_is_half_the_mean_square_along_q() -> None:
    fcs = stable("triclinic P1", 2)
    found = thermal_displacements(fcs, 300.0, 0.8)
    q = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]])
    expected = [[q_ @ u @ q_ / 2 for u in found.tensors] for q_ in q]
    np.testing.assert_allclose(found.exponents(q), expected)


def test_an_unstable_crystal_is_refused() -> None:
    fcs = stable("Nb", 3)
    with pytest.raises(InputError, match="imaginary"):
        thermal_displacements(fcs.with_tensors(-fcs.tensors, "upside down"), 300.0, 0.8)


@pytest.mark.parametrize(("temperature", "spacing"), [(-1.0, 0.8), (float("nan"), 0.8), (300.0, 0.0)])
def test_input_that_makes_no_sense_is_refused(temperature: float, spacing: float) -> None:
    with pytest.raises(InputError):
        thermal_displacements(stable("Nb", 3), temperature, spacing)
