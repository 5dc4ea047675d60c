"""One description of a crystal among the equivalent ones that its standard cell leaves open.

A standard cell fixes the basis vectors, not the atoms in it: the origin can lie on either of two equivalent
points, a polar axis can point up or down, a trigonal structure can be turned by 60 degrees. All these are
related by the proper part of the Euclidean normaliser of the space group (International Tables A, section 3.5),
so the one whose coordinates sort first is the same however the structure file was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Coordinates and metric products closer than this (fractions, relative) are equal.
_EQUAL = 1e-4


def choose_setting(
    lattice: FloatArray,
    positions: FloatArray,
    species: IntArray,
    rotations: IntArray,
    translations: FloatArray,
) -> tuple[FloatArray, IntArray]:
    """Choose origin, orientation and order of the sites in a standard primitive cell.

    Lattice and space-group operations stay what they are.

    Parameters
    ----------
    lattice
        Shape (3, 3): primitive basis vectors in rows, Å.
    positions
        Shape (n, 3): fractions of that basis.
    species
        Shape (n,): number of the species of each site; sites are ordered by it first.
    rotations, translations
        Shapes (g, 3, 3) and (g, 3): the space group, one operation for each rotation.

    Returns
    -------
    Positions (n, 3) in [0, 1) of the sites in their new order, and the old index of each site (n,).
    """
    positions = _symmetric(lattice, positions, rotations, translations)
    axes = _free_axes(rotations)
    descriptions = []
    for turn, shift in _normaliser(lattice, rotations, translations, axes):
        descriptions += _with_origin_fixed(positions @ turn.T + shift, species, axes)
    # Just below 1 is 0.
    coordinates = np.mod(np.array(descriptions) + _EQUAL, 1.0) - _EQUAL
    ranks = _ranks(coordinates)
    orders = [np.lexsort((*rank.T[::-1], species)) for rank in ranks]
    best = min(range(len(ranks)), key=lambda k: ranks[k][orders[k]].ravel().tolist())
    order = orders[best]
    chosen = coordinates[best][order]
    return np.where(np.abs(chosen) < 1e-9, 0.0, np.mod(chosen, 1.0)), order


def _symmetric(
    lattice: FloatArray, positions: FloatArray, rotations: IntArray, translations: FloatArray
) -> FloatArray:
    """Move positions (n, 3) to where the operations hold exactly: a search for symmetry has a tolerance."""
    shift = np.zeros_like(positions)
    for rotation, translation in zip(rotations, translations, strict=True):
        moved = positions @ rotation.T + translation
        difference = moved[:, None, :] - positions
        difference -= np.rint(difference)
        target = np.linalg.norm(difference @ lattice, axis=2).argmin(axis=1)
        shift[target] += difference[np.arange(len(target)), target]
    return np.asarray(positions + shift / len(rotations))


def _normaliser(
    lattice: FloatArray, rotations: IntArray, translations: FloatArray, axes: FloatArray
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Find the proper isometries x -> P x + p that map the lattice and the space group onto themselves."""
    operation = {rotation.tobytes(): k for k, rotation in enumerate(rotations)}
    for turn in _isometries(lattice):
        inverse = np.rint(np.linalg.inv(turn)).astype(np.int64)
        images = [operation.get((turn @ rotation @ inverse).tobytes()) for rotation in rotations]
        if None in images:
            continue
        # The operation (W, w) becomes (P W P^-1, P w + p - P W P^-1 p), which has to be one of the group.
        target = np.array(images, dtype=np.int64)
        wanted = translations[target] - translations @ turn.T
        for shift in _solutions(np.eye(3, dtype=np.int64) - rotations[target], wanted, axes):
            yield turn, shift


def _isometries(lattice: FloatArray) -> Iterator[IntArray]:
    """Find the integer matrices (3, 3) of determinant 1 that turn the lattice onto itself."""
    metric = lattice @ lattice.T
    scale = _EQUAL * float(np.trace(metric))
    vectors = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    squares = np.einsum("ni,ij,nj->n", vectors, metric, vectors)
    first, second, third = (vectors[np.abs(squares - metric[k, k]) < scale] for k in range(3))
    for a, b in itertools.product(first, second):
        if abs(a @ metric @ b - metric[0, 1]) > scale:
            continue
        for c in third:
            turn = np.array([a, b, c], dtype=np.int64).T
            if np.abs(turn.T @ metric @ turn - metric).max() < scale and np.linalg.det(turn) > 0:
                yield np.ascontiguousarray(turn)


def _solutions(matrices: IntArray, wanted: FloatArray, axes: FloatArray) -> list[FloatArray]:
    """Solve matrices (g, 3, 3) @ p = wanted (g, 3), modulo 1 both, for p with no part along the free axes."""
    bound = [k for k in range(3) if k not in _pivots(axes)]
    if not bound:
        return [np.zeros(3)] if np.abs(wanted - np.rint(wanted)).max() < 1e-3 else []
    equations, first = np.unique(matrices.reshape(-1, 3)[:, bound], axis=0, return_index=True)
    right = wanted.ravel()[first]
    choices = list(itertools.combinations(range(len(equations)), len(bound)))
    sizes = np.abs(np.rint(np.linalg.det(equations[choices]))).astype(int)
    # The smallest determinant has the fewest solutions modulo 1 to be tried on the other equations.
    best = min((k for k in range(len(choices)) if sizes[k]), key=lambda k: sizes[k])
    rows = list(choices[best])
    integers = np.array(list(itertools.product(range(sizes[best]), repeat=len(bound))))
    trials = np.zeros((len(integers), 3))
    trials[:, bound] = np.mod((right[rows] + integers) @ np.linalg.inv(equations[rows]).T, 1.0)
    # Origins of space groups lie on multiples of 1/24.
    trials = np.unique(np.rint(trials * 24).astype(np.int64) % 24, axis=0) / 24
    rest = np.einsum("gij,nj->ngi", matrices, trials) - wanted
    return list(trials[np.abs(rest - np.rint(rest)).max(axis=(1, 2)) < 1e-3])


def _free_axes(rotations: IntArray) -> FloatArray:
    """Directions (d, 3) along which the space group leaves the origin free, one coordinate of each being 1."""
    _, singular, rows = np.linalg.svd((np.eye(3) - rotations).reshape(-1, 3))
    null = rows[int((singular > 1e-6).sum()) :]
    for columns in itertools.combinations(range(3), len(null)):
        block = null[:, columns]
        if len(null) and abs(np.linalg.det(block)) > 1e-6:
            axes = np.linalg.solve(block, null)
            # Whole lattice translations then move the origin by lattice translations.
            if np.abs(axes - np.rint(axes)).max() < 1e-6:
                return np.asarray(np.rint(axes))
    return np.zeros((0, 3))


def _pivots(axes: FloatArray) -> list[int]:
    """Coordinate that each free axis (d, 3) sets alone."""
    alone = (axes != 0).sum(axis=0) == 1
    return [int(np.flatnonzero(alone & (axis == 1))[0]) for axis in axes]


def _with_origin_fixed(positions: FloatArray, species: IntArray, axes: FloatArray) -> list[FloatArray]:
    """Put each site of the rarest species in turn to zero along the free axes."""
    if not len(axes):
        return [positions]
    numbers, counts = np.unique(species, return_counts=True)
    anchors = np.flatnonzero(species == numbers[counts.argmin()])
    return [positions - positions[anchor, _pivots(axes)] @ axes for anchor in anchors]


def _ranks(values: FloatArray) -> IntArray:
    """Number the distinct values in ascending order, whatever their rounding noise; shape as given."""
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    ranks = np.empty(len(flat), dtype=np.int64)
    ranks[order] = np.cumsum(np.diff(flat[order], prepend=flat[order[0]]) > _EQUAL)
    return ranks.reshape(values.shape)
