"""Bonds: the atom pairs that carry force constants, and their orbits under the space group."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from phonopy import Phonopy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError

#: Bond lengths closer than this (Å) belong to one shell; symmetry equivalents agree far better.
SHELL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Bonds:
    """Pairs of atoms, each from the cell at the origin to every image that shares its force constant.

    The list is closed under the space group and under exchange of the two atoms; on-site pairs are left out.

    Attributes
    ----------
    crystal
        The crystal.
    operations
        Indices of the space-group operations that are used: all, or those that keep a supercell.
    first, second
        Shape (p,): sites of each image.
    cells
        Shape (p, 3) integers: lattice translation of the second atom, primitive basis.
    bond
        Shape (p,): number of the bond that each image belongs to; bonds count from 0 without gaps.
    """

    crystal: Crystal
    operations: IntArray
    first: IntArray
    second: IntArray
    cells: IntArray
    bond: IntArray

    @property
    def n_bonds(self) -> int:
        """Number of bonds."""
        return int(self.bond.max()) + 1 if len(self.bond) else 0

    @cached_property
    def vectors(self) -> FloatArray:
        """Vectors from first to second atom of each image, shape (p, 3), Å."""
        fractions = self.cells + self.crystal.positions[self.second] - self.crystal.positions[self.first]
        return np.asarray(fractions @ self.crystal.lattice)

    @cached_property
    def multiplicity(self) -> IntArray:
        """Number of images of each bond, shape (n_bonds,)."""
        return np.asarray(np.bincount(self.bond, minlength=self.n_bonds))

    @cached_property
    def images(self) -> IntArray:
        """Action of the group, shape (2 g, p): the image onto which each image is carried.

        Row 2 k is operation ``operations[k]``; row 2 k + 1 is the same followed by exchange of the atoms.
        """
        crystal, rows = self.crystal, []
        table = _PairTable(self)
        for k in self.operations:
            w, t = crystal.rotations[k], crystal.translations[k]
            moved = crystal.positions @ w.T + t
            site, offset = crystal.sites_of(moved)
            first, second = site[self.first], site[self.second]
            cells = self.cells @ w.T + offset[self.second] - offset[self.first]
            rows.append(table.find(first, second, cells))
            rows.append(table.find(second, first, -cells))
        return np.array(rows)

    @cached_property
    def orbits(self) -> IntArray:
        """Orbit of each bond, shape (n_bonds,); orbits are numbered by bond length."""
        source = np.broadcast_to(self.bond, self.images.shape).ravel()
        target = self.bond[self.images].ravel()
        graph = coo_array((np.ones(len(source)), (source, target)), shape=(self.n_bonds, self.n_bonds))
        n_orbits, label = connected_components(graph, directed=False)
        # Number orbits by length, then by the bond that represents them, so that the order is reproducible.
        length = np.full(n_orbits, np.inf)
        np.minimum.at(length, label[self.bond], np.linalg.norm(self.vectors, axis=1))
        representative = self._best_images(label)
        keys = self._order_keys[representative]
        order = np.lexsort((*keys.T[::-1], np.rint(length / SHELL_TOLERANCE - 0.0123)))
        rank = np.empty(n_orbits, dtype=np.int64)
        rank[order] = np.arange(n_orbits)
        return np.asarray(rank[label])

    @cached_property
    def representatives(self) -> IntArray:
        """Image that represents each orbit: the one with the largest bond vector (by x, then y, then z)."""
        return self._best_images(self.orbits)

    @cached_property
    def _order_keys(self) -> IntArray:
        """Integer sort keys, shape (p, 5): vector in the conventional basis (descending), sites."""
        fractions = self.vectors @ np.linalg.inv(self.crystal.conventional_lattice)
        return np.column_stack([-ten_thousandths(fractions), self.first, self.second])

    def _best_images(self, orbits: IntArray) -> IntArray:
        """First image by sort key of each orbit, for orbits numbered as in ``orbits``, shape (n_bonds,)."""
        order = np.lexsort((*self._order_keys.T[::-1], orbits[self.bond]))
        _, start = np.unique(orbits[self.bond][order], return_index=True)
        return order[start]


class _PairTable:
    """Finds the index of a pair (i, j, R) in a list of bonds."""

    def __init__(self, bonds: Bonds) -> None:
        self._n = bonds.crystal.n_sites
        self._span = 2 * int(np.abs(bonds.cells).max(initial=0)) + 3
        codes = self._encode(bonds.first, bonds.second, bonds.cells)
        self._order = np.argsort(codes)
        self._codes = codes[self._order]

    def _encode(self, first: IntArray, second: IntArray, cells: IntArray) -> IntArray:
        code = first * self._n + second
        for axis in range(3):
            code = code * (2 * self._span + 1) + cells[:, axis] + self._span
        return code

    def find(self, first: IntArray, second: IntArray, cells: IntArray) -> IntArray:
        codes = self._encode(first, second, np.clip(cells, -self._span, self._span))
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        assert np.array_equal(self._codes[place], codes), "the bonds are not closed under the space group"
        return self._order[place]


def bonds_within(crystal: Crystal, reach: float) -> Bonds:
    """List all pairs within ``reach`` (Å) in the infinite crystal; each is a bond of its own.

    Raises
    ------
    InputError
        If no pair is that close.
    """
    first, second, cells = pairs_within(crystal, reach)
    if not len(first):
        raise InputError(
            f"no two atoms of {crystal.describe()} are closer than {reach} Å",
            "force constants need pairs",
            "choose a larger reach",
        )
    return bonds_of_pairs(crystal, first, second, cells)


def bonds_in_supercell(crystal: Crystal, supercell: IntArray) -> Bonds:
    """List all pairs in the Wigner-Seitz cell of a supercell; equidistant images form one bond.

    Parameters
    ----------
    supercell
        Shape (3, 3) integers: rows in primitive vectors. Operations of the space group that do not keep this
        lattice are left out, as they are by finite-displacement codes.
    """
    phonon = Phonopy(crystal.to_phonopy(), np.asarray(supercell).T, primitive_matrix=np.eye(3), is_symmetry=False)
    vectors, multiplicity = phonon.primitive.get_smallest_vectors()
    index = np.array([phonon.primitive.p2p_map[s] for s in phonon.primitive.s2p_map])
    n_atoms, n_sites = len(index), crystal.n_sites
    counts, starts = multiplicity[..., 0].ravel(), multiplicity[..., 1].ravel()
    bond = np.repeat(np.arange(n_atoms * n_sites), counts)
    rows = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, counts, strict=True)])
    second, first = index[bond // n_sites], bond % n_sites
    cells = np.rint(vectors[rows] + crystal.positions[first] - crystal.positions[second]).astype(np.int64)
    # The atom itself is the on-site term, not a bond.
    keep = ~((first == second) & np.all(cells == 0, axis=1))
    _, bond = np.unique(bond[keep], return_inverse=True)
    inverse = np.linalg.inv(supercell)
    kept = [
        k
        for k, w in enumerate(crystal.rotations)
        if np.allclose(m := np.asarray(supercell) @ w.T @ inverse, np.rint(m), atol=1e-6)
    ]
    return Bonds(crystal, np.array(kept), first[keep], second[keep], cells[keep], bond)


def bonds_of_pairs(crystal: Crystal, first: IntArray, second: IntArray, cells: IntArray) -> Bonds:
    """List the given pairs and their equivalents in the infinite crystal; each is a bond of its own.

    Parameters
    ----------
    first, second, cells
        Shapes (p,), (p,), (p, 3): pairs in any order, repeated or not; on-site pairs are passed over.
    """
    pairs = np.column_stack([first, second, cells])
    star = []
    for w, t in zip(crystal.rotations, crystal.translations, strict=True):
        site, offset = crystal.sites_of(crystal.positions @ w.T + t)
        moved = pairs[:, 2:] @ w.T + offset[pairs[:, 1]] - offset[pairs[:, 0]]
        star.append(np.column_stack([site[pairs[:, 0]], site[pairs[:, 1]], moved]))
        star.append(np.column_stack([site[pairs[:, 1]], site[pairs[:, 0]], -moved]))
    pairs = np.unique(np.vstack(star), axis=0)
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) | pairs[:, 2:].any(axis=1)]
    return Bonds(
        crystal,
        np.arange(len(crystal.rotations)),
        pairs[:, 0],
        pairs[:, 1],
        pairs[:, 2:],
        np.arange(len(pairs)),
    )


def pairs_within(crystal: Crystal, reach: float) -> tuple[IntArray, IntArray, IntArray]:
    """Return first sites (p,), second sites (p,) and cells (p, 3) of all pairs within ``reach`` (Å)."""
    # Planes of the lattice are 1/|b*| apart: so many cells lie within reach on either side.
    spacing = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    n_cells = np.ceil(reach / spacing).astype(int) + 1
    grid = np.array(list(itertools.product(*(range(-n, n + 1) for n in n_cells))), dtype=np.int64)
    x = crystal.positions
    shape = (crystal.n_sites, crystal.n_sites, len(grid))
    first, second, cell = (index.ravel() for index in np.indices(shape))
    distance = np.linalg.norm((grid[cell] + x[second] - x[first]) @ crystal.lattice, axis=1)
    # All pairs of an orbit or none, also where the reach is a bond length.
    near = (distance < reach + SHELL_TOLERANCE) & (distance > 1e-6)
    return first[near], second[near], grid[cell[near]]


def shells(lengths: FloatArray) -> IntArray:
    """Number the distinct lengths (Å) from 1 on in ascending order; shape as given."""
    order = np.argsort(lengths, kind="stable")
    steps = np.diff(lengths[order], prepend=lengths[order[:1]]) > SHELL_TOLERANCE
    number = np.empty(len(lengths), dtype=np.int64)
    number[order] = np.cumsum(steps) + 1
    return number


def ten_thousandths(fractions: FloatArray) -> IntArray:
    """Round fractions to whole multiples of 1e-4.

    Coordinates in files have few digits: the boundary between two roundings lies where none of them falls, so
    that rounding noise does not decide.
    """
    return np.asarray(np.rint(fractions * 1e4 - 0.0123), dtype=np.int64)
