"""Supercells, force constants from forces, their projection, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from phonopy import Phonopy

from fcinv_core.crystal import Crystal
from fcinv_core.potentials.finite_displacements import (
    displaced_positions,
    energies_at,
    force_constants_of,
    make_phonopy,
    set_force_constants,
    supercell_multiples,
)

FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
GE = Crystal.from_cell(5.658 * FCC, [[0, 0, 0], [0.25, 0.25, 0.25]], ("Ge", "Ge"))
NB = Crystal.from_cell(1.65 * (np.ones((3, 3)) - 2 * np.eye(3)), [[0, 0, 0]], ("Nb",))
SPRING = 1.7  # eV/Å²


def springs(phonon: Phonopy, positions: np.ndarray) -> np.ndarray:
    """Forces (n, 3) of central springs between nearest neighbours at rest in the perfect supercell."""
    perfect, lattice = phonon.supercell.positions, phonon.supercell.cell
    bonds = perfect[None] - perfect[:, None]
    bonds -= np.rint(bonds @ np.linalg.inv(lattice)) @ lattice
    lengths = np.linalg.norm(bonds, axis=2)
    nearest = np.where(lengths > 0, lengths, np.inf).min()
    units = np.where((np.abs(lengths - nearest) < 1e-6)[..., None], bonds / nearest, 0.0)
    moved = positions - perfect
    stretch = np.einsum("ijx,ijx->ij", units, moved[None] - moved[:, None])
    return SPRING * np.einsum("ij,ijx->ix", stretch, units)


@pytest.fixture(scope="module")
def spring_crystal() -> tuple[Phonopy, np.ndarray]:
    """Fcc nickel of central springs: its phonopy object and the forces that give its force constants."""
    phonon = make_phonopy(Crystal.from_cell(3.52 * FCC, [[0, 0, 0]], ("Ni",)), (2, 2, 2))
    positions = displaced_positions(phonon, [0.02])
    return phonon, np.array([springs(phonon, p) for p in positions[1:]])


def test_supercells_of_ge_and_nb_are_those_of_the_reference() -> None:
    assert supercell_multiples(GE.conventional_lattice, 12.0) == (3, 3, 3)
    assert supercell_multiples(NB.conventional_lattice, 12.0) == (4, 4, 4)
    assert len(make_phonopy(GE, (3, 3, 3)).supercell) == 216
    assert len(make_phonopy(NB, (4, 4, 4)).supercell) == 128


def test_oblique_cells_are_measured_between_faces() -> None:
    hexagonal = np.array([[4.2, 0, 0], [-2.1, 2.1 * np.sqrt(3), 0], [0, 0, 12.0]])
    # Three vectors are 12.6 Å long, but the faces are 10.9 Å apart.
    assert supercell_multiples(hexagonal, 12.0) == (4, 4, 1)


@pytest.mark.parametrize("crystal", [GE, NB], ids=["Ge", "Nb"])
def test_primitive_cell_is_the_standard_one(crystal: Crystal) -> None:
    primitive = make_phonopy(crystal, (2, 2, 2)).primitive
    np.testing.assert_allclose(primitive.cell, crystal.lattice, atol=1e-10)
    difference = primitive.scaled_positions - crystal.positions
    np.testing.assert_allclose(difference, np.rint(difference), atol=1e-9)


def test_masses_of_the_crystal_are_kept() -> None:
    heavy = Crystal.from_cell(5.64 * FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], ("Na", "Cl"), [23.0, 37.0])
    primitive = make_phonopy(heavy, (1, 1, 1)).primitive
    assert dict(zip(primitive.symbols, primitive.masses, strict=True)) == {"Na": 23.0, "Cl": 37.0}


def test_each_length_displaces_one_atom_by_that_length() -> None:
    positions = displaced_positions(make_phonopy(GE, (1, 1, 1)), [0.01, 0.03])
    moved = np.linalg.norm(positions[1:] - positions[0], axis=2)
    assert np.array_equal((moved > 1e-9).sum(axis=1), np.ones(len(moved)))
    half = len(moved) // 2
    np.testing.assert_allclose(moved.max(axis=1), [0.01] * half + [0.03] * half)


def test_force_constants_of_springs_are_recovered(spring_crystal: tuple[Phonopy, np.ndarray]) -> None:
    phonon, forces = spring_crystal
    removed = set_force_constants(phonon, 0.02, forces)
    assert removed < 1e-10
    found = force_constants_of(phonon)
    # On site: the sum over 12 neighbours of k d d^T is 4 k for every direction.
    np.testing.assert_allclose(found[0, phonon.primitive.p2s_map[0]], 4 * SPRING * np.eye(3), atol=1e-9)
    # Fcc with central springs at X: m ω² = 8 k (longitudinal) and 4 k (transverse).
    squares = energies_at(phonon, np.array([[0.5, 0.0, 0.5]]))[0] ** 2
    np.testing.assert_allclose(squares / squares[0], [1, 1, 2], rtol=1e-8)


def test_what_breaks_the_symmetry_is_removed_and_reported(spring_crystal: tuple[Phonopy, np.ndarray]) -> None:
    phonon, forces = spring_crystal
    set_force_constants(phonon, 0.02, forces)
    clean = force_constants_of(phonon).copy()
    noise = np.random.default_rng(5).normal(scale=2e-3, size=forces.shape)
    removed = set_force_constants(phonon, 0.02, forces + noise)
    projected = force_constants_of(phonon)
    assert 0.01 < removed < 0.5
    np.testing.assert_allclose(projected.sum(axis=1), 0, atol=1e-9)
    # The projection must take most of the noise (0.002 / 0.02 eV/Å² an element) and leave the springs.
    assert np.abs(projected - clean).max() < 0.1
    assert set_force_constants(phonon, 0.02, forces) < 1e-10
