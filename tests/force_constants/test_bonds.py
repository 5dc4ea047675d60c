"""Bonds, their shells and their orbits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import Bonds, bonds_in_supercell, bonds_within, pairs_within, shells
from tests.crystals import CELLS, crystal, make_phonopy

NAMES = sorted(CELLS)


def names_of(bonds: Bonds) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in np.column_stack([bonds.first, bonds.second, bonds.cells])]


@pytest.mark.parametrize("name", NAMES)
def test_pairs_within_reach_are_those_of_a_neighbour_search(name: str) -> None:
    one, reach = crystal(name), 5.1
    first, second, cells = pairs_within(one, reach)
    found = sorted(zip(first.tolist(), second.tolist(), map(tuple, cells.tolist()), strict=True))
    n = 6  # cells on either side, more than any of these crystals needs
    corners = np.indices((2 * n + 1,) * 3).reshape(3, -1).T - n
    atoms = (one.positions[:, None] + corners).reshape(-1, 3) @ one.lattice
    tree = cKDTree(atoms)
    expected = []
    for i, centre in enumerate(one.positions @ one.lattice):
        for k in tree.query_ball_point(centre, reach):
            j, c = divmod(k, len(corners))
            if (i, *corners[c]) != (j, 0, 0, 0):
                expected.append((i, j, tuple(corners[c].tolist())))
    assert found == sorted(expected)


def test_a_reach_that_is_a_bond_length_takes_the_whole_shell() -> None:
    """All six second neighbours of niobium are 3.3 Å away, up to rounding."""
    bonds = bonds_within(crystal("Nb"), 3.3)
    assert bonds.n_bonds == 8 + 6
    assert bonds.images.shape == (2 * 48, 14)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_what_the_space_group_and_exchange_make_of_bonds(name: str) -> None:
    one = crystal(name)
    bonds = bonds_within(one, 4.3)
    np.testing.assert_array_equal(
        np.sort(bonds.images, axis=1), np.tile(np.arange(len(bonds.first)), (2 * len(bonds.operations), 1))
    )
    turned = np.einsum("gxy,py->gpx", one.cartesian_rotations[bonds.operations], bonds.vectors)
    np.testing.assert_allclose(bonds.vectors[bonds.images[0::2]], turned, atol=1e-6)
    np.testing.assert_allclose(bonds.vectors[bonds.images[1::2]], -turned, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_orbits_are_closed_and_have_one_length_each(name: str) -> None:
    bonds = bonds_within(crystal(name), 4.3)
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    for images in bonds.images:
        np.testing.assert_array_equal(bonds.orbits[bonds.bond[images]], bonds.orbits[bonds.bond])
    firsts = lengths[bonds.representatives]
    np.testing.assert_allclose(lengths, firsts[bonds.orbits[bonds.bond]], atol=1e-6)
    assert (np.diff(firsts) > -1e-3).all()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("Ge", [(2.450, 4), (4.001, 12), (4.691, 12), (5.658, 6)]),
        ("Nb", [(2.858, 8), (3.300, 6), (4.667, 12), (5.472, 24), (5.716, 8)]),
        ("NaCl", [(2.845, 6), (4.023, 12), (4.928, 8), (5.690, 6)]),
    ],
)
def test_shells_have_the_known_numbers_of_neighbours(name: str, counts: list[tuple[float, int]]) -> None:
    bonds = bonds_within(crystal(name), counts[-1][0] + 0.05)
    lengths = np.linalg.norm(bonds.vectors, axis=1)
    shell = shells(lengths)
    for number, (length, neighbours) in enumerate(counts, start=1):
        assert lengths[shell == number] == pytest.approx(length, abs=1e-3)
        assert (shell == number).sum() == neighbours * crystal(name).n_sites
    assert shell.max() == len(counts)


def test_germanium_has_two_orbits_of_one_length() -> None:
    """At 7.35 Å in the diamond lattice, (5 1 1)/4 and (3 3 3)/4, as at 7.35 Å = sqrt(27)/4 a."""
    bonds = bonds_within(crystal("Ge"), 7.4)
    firsts = np.linalg.norm(bonds.vectors[bonds.representatives], axis=1)
    assert (np.abs(firsts - np.sqrt(27) / 4 * 5.658) < 1e-3).sum() == 2


@pytest.mark.parametrize("matrix", [np.eye(3, dtype=int) * 2, np.array([[2, 1, 0], [0, 2, -1], [0, 0, 2]])])
@pytest.mark.parametrize("name", ["Ge", "NaCl", "Mg", "Bi", "triclinic P-1"])
def test_bonds_of_a_supercell_share_images_as_phonopy_does(name: str, matrix: np.ndarray) -> None:
    one = crystal(name)
    bonds = bonds_in_supercell(one, matrix)
    primitive = make_phonopy((one.lattice, one.positions, list(one.symbols)), matrix.T, np.eye(3)).primitive
    _, multiplicity = primitive.get_smallest_vectors()
    expected = sorted(multiplicity[..., 0].ravel().tolist())
    # phonopy counts the atom itself as a pair with one image.
    assert sorted(bonds.multiplicity.tolist() + [1] * one.n_sites) == expected
    assert len(set(names_of(bonds))) == len(bonds.first)
    # Images of one bond differ by vectors of the supercell.
    for number in range(bonds.n_bonds):
        own = bonds.cells[bonds.bond == number]
        apart = (own - own[0]) @ np.linalg.inv(matrix)
        np.testing.assert_allclose(apart, np.rint(apart), atol=1e-9)


def test_a_supercell_of_lower_symmetry_leaves_out_operations() -> None:
    one = crystal("Ge")
    assert len(bonds_in_supercell(one, np.eye(3, dtype=int) * 2).operations) == 48
    # Two by one by one cells of the cubic axes keep the tetragonal operations.
    assert len(bonds_in_supercell(one, np.diag([2, 1, 1]) @ one.conventional).operations) == 16


def test_a_reach_without_neighbours_is_refused() -> None:
    with pytest.raises(InputError, match="no two atoms of Nb"):
        bonds_within(crystal("Nb"), 2.0)


def test_shells_are_numbered_from_one_in_ascending_order() -> None:
    lengths = np.array([3.0, 2.0, 3.0005, 2.0000001, 9.0])
    np.testing.assert_array_equal(shells(lengths), [2, 1, 2, 1, 3])


def test_coordinates_at_a_rounding_boundary_give_one_representative() -> None:
    """Coordinates of five digits ending in 5 are halfway between two roundings to four digits."""
    frame, fractions, symbols = CELLS["quartz"]
    labels = set()
    for noise in (-1e-12, 0, 1e-12):
        moved = fractions.copy()
        moved[:3] = np.where(np.abs(moved[:3] % 1 - 0.4697) < 1e-6, 0.46975 + noise, moved[:3])
        bonds = bonds_within(Crystal.from_cell(frame, fractions + noise, symbols), 3.2)
        labels.add(tuple(names_of(bonds)[k] for k in bonds.representatives))
    assert len(labels) == 1
