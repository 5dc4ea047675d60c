"""Elastic constants: phonopy's slopes at long waves, energies of strained springs, crystal classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import constants

from fcinv_core.crystal import Crystal, FloatArray, read_structure
from fcinv_core.derived.elasticity import (
    EV_PER_A3_TO_GPA,
    debye_temperature,
    elastic_basis,
    elastic_constants,
    long_waves,
    sound_velocities,
)
from fcinv_core.force_constants.bonds import pairs_within
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import read_force_constants, to_phonopy
from tests.crystals import crystal
from tests.structure_factor.judge import stable

CUBIC = ("C11", "C12", "C44")
NAMES = {
    "Ge": CUBIC,
    "Nb": CUBIC,
    "Mg": ("C11", "C12", "C13", "C33", "C44"),
    "quartz": ("C11", "C12", "C13", "C14", "C33", "C44"),
    "TiO2": ("C11", "C12", "C13", "C33", "C44", "C66"),
    "orthorhombic": ("C11", "C12", "C13", "C22", "C23", "C33", "C44", "C55", "C66"),
    "ZrO2": ("C11", "C12", "C13", "C15", "C22", "C23", "C25", "C33", "C35", "C44", "C46", "C55", "C66"),
}


def of(fcs: ForceConstants) -> tuple[tuple[str, ...], FloatArray, float]:
    basis = elastic_basis(fcs.crystal)
    found, misfit = elastic_constants(fcs.crystal, basis, fcs.dynamical_matrices(long_waves(fcs.crystal))[None])
    return basis.names, found[0], float(misfit[0])


def springs(made: Crystal, reach: float) -> tuple[ForceConstants, list[tuple[int, int, FloatArray, float]]]:
    """Central springs at their rest lengths between all sites within reach; each as (i, j, bond, stiffness)."""
    first, second, cells = pairs_within(made, reach)
    vectors = (cells + made.positions[second] - made.positions[first]) @ made.lattice
    lengths = np.linalg.norm(vectors, axis=1)
    bonded = lengths > 1e-6
    first, second, cells, vectors, lengths = (x[bonded] for x in (first, second, cells, vectors, lengths))
    stiffness = 8.0 * np.exp(-lengths)
    unit = vectors / lengths[:, None]
    tensors = -stiffness[:, None, None] * unit[:, :, None] * unit[:, None, :]
    on_site = np.zeros((made.n_sites, 3, 3))
    np.add.at(on_site, first, -tensors)
    sites = np.arange(made.n_sites)
    fcs = ForceConstants(
        crystal=made,
        first=np.concatenate([first, sites]),
        second=np.concatenate([second, sites]),
        cells=np.concatenate([cells, np.zeros((made.n_sites, 3), dtype=np.int64)]),
        tensors=np.concatenate([tensors, on_site]),
        supercell=np.eye(3, dtype=np.int64),
        non_analytic=None,
        source="springs",
    )
    return fcs, list(zip(first.tolist(), second.tolist(), vectors, stiffness.tolist(), strict=True))


def strained_energy(made: Crystal, bonds: list[tuple[int, int, FloatArray, float]]) -> FloatArray:
    """Second derivatives of the energy density by Voigt strains (6, 6), GPa, sites relaxed, for springs at rest."""
    n = 6 + 3 * made.n_sites
    hessian = np.zeros((n, n))
    for i, j, bond, stiffness in bonds:
        unit = bond / np.linalg.norm(bond)
        x, y, z = bond
        row = np.zeros(n)
        # Elongation by a strain, whose shears are e_yz + e_zy and so on, and by displacements of the two sites.
        row[:6] = [unit[0] * x, unit[1] * y, unit[2] * z, unit[1] * z, unit[0] * z, unit[0] * y]
        row[6 + 3 * j : 9 + 3 * j] += unit
        row[6 + 3 * i : 9 + 3 * i] -= unit
        hessian += 0.5 * stiffness * np.outer(row, row)
    relaxed = hessian[:6, :6] - hessian[:6, 6:] @ np.linalg.pinv(hessian[6:, 6:], rcond=1e-10) @ hessian[6:, :6]
    return np.asarray(relaxed / abs(np.linalg.det(made.lattice)) * EV_PER_A3_TO_GPA)


@pytest.mark.parametrize("name", NAMES)
def test_independent_constants_are_those_of_the_crystal_class(name: str) -> None:
    assert elastic_basis(crystal(name)).names == NAMES[name]


@pytest.mark.parametrize("name", ["Ge", "Mg", "quartz", "TiO2", "ZrO2", "triclinic P1"])
def test_constants_are_those_of_the_strained_crystal(name: str) -> None:
    """Springs at rest fulfil the Born-Huang conditions; sites within the cell relax."""
    made = crystal(name)
    fcs, bonds = springs(made, 6.0)
    expected = strained_energy(made, bonds)
    names, found, misfit = of(fcs)
    picked = [expected[int(label[1]) - 1, int(label[2]) - 1] for label in names]
    np.testing.assert_allclose(found, picked, rtol=1e-4, atol=1e-4 * np.abs(picked).max())
    assert misfit < 1e-4


def test_central_forces_between_centres_of_symmetry_obey_cauchy() -> None:
    names, found, _ = of(springs(crystal("Nb"), 6.0)[0])
    c = dict(zip(names, found, strict=True))
    assert c["C12"] == pytest.approx(c["C44"], rel=1e-4)


def test_germanium_has_the_slopes_of_phonopy(shared_data: Path) -> None:
    """ρ v² along [100] and [110] from phonopy's frequencies at a long wave, within 1e-3."""
    folder = shared_data / "ge_dft"
    made = read_structure(folder / "POSCAR")
    fcs = read_force_constants(folder / "FORCE_CONSTANTS", made, structure=folder / "POSCAR")
    phonon = to_phonopy(fcs)
    density = made.masses.sum() * constants.atomic_mass / abs(np.linalg.det(made.lattice)) * 1e30

    def modulus(direction: list[float]) -> FloatArray:
        unit = np.array(direction) / np.linalg.norm(direction)
        frequencies = phonon.run_qpoints([1e-3 * unit @ np.linalg.inv(made.reciprocal_lattice)]).frequencies[0]
        velocity = 2 * np.pi * np.sort(frequencies)[:3] * 1e12 / 1e-3 * 1e-10
        return np.asarray(density * velocity**2 / 1e9)

    names, found, _ = of(fcs)
    assert names == CUBIC
    c11, c12, c44 = found
    np.testing.assert_allclose(modulus([1, 0, 0]), [c44, c44, c11], rtol=1e-3)
    np.testing.assert_allclose(modulus([1, 1, 0]), [(c11 - c12) / 2, c44, (c11 + c12) / 2 + c44], rtol=1e-3)
    # Measured at 300 K (McSkimin and Andreatch, J. Appl. Phys. 34, 651 (1963)): 128.5, 48.3, 66.8 GPa.
    np.testing.assert_allclose(found, [128.5, 48.3, 66.8], rtol=0.25)


def test_slopes_without_symmetry_are_those_of_phonopy() -> None:
    """Random force constants are under stress: slopes are right where the elastic tensor cannot say all."""
    fcs = stable("wurtzite ZnO", 2)
    made = fcs.crystal
    basis = elastic_basis(made)
    found, misfit = elastic_constants(made, basis, fcs.dynamical_matrices(long_waves(made))[None])
    axis = np.array([[0.0, 0.0, 1.0]])
    q = 1e-3 * axis @ np.linalg.inv(made.reciprocal_lattice)
    frequencies = to_phonopy(fcs).run_qpoints(q).frequencies[0]
    theirs = 2 * np.pi * np.sort(frequencies)[:3] * 1e12 / 1e-3 * 1e-10
    ours = sound_velocities(made, basis, found, axis)[0, 0]
    np.testing.assert_allclose(ours, theirs, rtol=max(1e-3, float(misfit[0])))


def test_isotropic_solid_has_the_textbook_debye_temperature() -> None:
    """With C44 = (C11 - C12)/2 all directions are alike: k θ = hbar v (6 π² n)^(1/3)."""
    made = crystal("Nb")
    basis = elastic_basis(made)
    found = np.array([[240.0, 120.0, 60.0]])
    density = made.masses.sum() * constants.atomic_mass / abs(np.linalg.det(made.lattice)) * 1e30
    fast, slow = np.sqrt(240e9 / density), np.sqrt(60e9 / density)
    mean = (3 / (fast**-3 + 2 * slow**-3)) ** (1 / 3)
    atoms = made.n_sites / abs(np.linalg.det(made.lattice)) * 1e30
    expected = constants.hbar * mean * (6 * np.pi**2 * atoms) ** (1 / 3) / constants.k
    np.testing.assert_allclose(debye_temperature(made, basis, found), expected, rtol=1e-6)
    velocities = sound_velocities(made, basis, found, np.eye(3))
    np.testing.assert_allclose(velocities[0], [[slow, slow, fast]] * 3, rtol=1e-6)


def test_a_crystal_that_shears_by_itself_has_no_velocity_there() -> None:
    made = crystal("Nb")
    basis = elastic_basis(made)
    velocities = sound_velocities(made, basis, np.array([[100.0, 120.0, 60.0]]), np.array([[1, 1, 0]]) / np.sqrt(2))
    assert np.isnan(velocities[0, 0, 0])
    assert np.isfinite(velocities[0, 0, 1:]).all()
