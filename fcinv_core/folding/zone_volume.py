"""Bins that fill the irreducible part of the zone: Wigner-Seitz cells of a grid of q-points."""

from __future__ import annotations

import itertools

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.binning import Binning, Bins
from fcinv_core.folding.lookup import GridLookup
from fcinv_core.folding.zones import classify_zones

#: Pieces of a grid cell along each axis, by which the corners that may be nearest are found.
_PIECES = 8
LARGEST_GRID = 48


def check_divisions(n: int) -> None:
    """Raise InputError unless n, the divisions of each basis vector, is between 1 and 48."""
    if not 1 <= n <= LARGEST_GRID:
        raise InputError(
            f"a grid of {n} divisions", f"between 1 and {LARGEST_GRID} were expected", "choose about 16"
        )


def zone_volume(crystal: Crystal, n: int, group: IntArray, q_max: float) -> Binning:
    """Fill the irreducible part of the Brillouin zone with the cells of a grid.

    The grid has the points k / n along each primitive reciprocal basis vector, Γ among them, so it has the full
    symmetry of the lattice. An event belongs to the nearest point, and that to its irreducible image: the cells
    tile reciprocal space and every event is in exactly one of them.

    Parameters
    ----------
    crystal
        The structure.
    n
        Divisions of each basis vector.
    group
        Shape (g, 3, 3): folding operations (`folding_group`).
    q_max
        Largest |Q| that can occur, 1/Å.

    Raises
    ------
    InputError
        If n is not between 1 and 48.
    """
    check_divisions(n)
    reciprocal = crystal.reciprocal_lattice
    points = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    place = np.array([n * n, n, 1])

    # Irreducible image of each point: the one that comes first, and an operation that leads to it.
    images = np.mod(points @ np.swapaxes(group, 1, 2), n) @ place
    representative = images.min(axis=0)
    operation = images.argmin(axis=0)
    irreducible, bin_of_point, star = np.unique(representative, return_inverse=True, return_counts=True)
    # Each grid point is taken next to the origin, so that a bin's centre lies in the first zone.
    centres = _shortest(points[irreducible] / n, reciprocal)

    corners = _nearest_corners(reciprocal / n)
    # Grid points in reach of the unit cell, with one image each.
    low, high = int(corners.min()), n - 1 + int(corners.max())
    span = high - low + 1
    around = np.stack(np.meshgrid(*[np.arange(low, high + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    wrapped = np.mod(around, n) @ place
    g = group[operation[wrapped]]
    one_bin = bin_of_point[wrapped]
    moved = np.einsum("kij,kj->ki", g, around) / n
    k = np.rint(centres[one_bin] - moved).astype(np.int64)
    to_local = reciprocal.T
    linear = to_local @ g
    constant = (k - centres[one_bin]) @ reciprocal
    image_map = np.concatenate([linear, constant[:, :, None]], axis=2).reshape(-1, 12)

    n_bins = len(irreducible)
    axes = np.eye(3)
    classes = classify_zones(crystal, group, centres, axes[None], [0] * n_bins, q_max)
    volume = abs(float(np.linalg.det(reciprocal))) / n**3
    lookup = GridLookup(
        divisions=n,
        corners=corners.astype(np.int32),
        corner_distance=_distance_forms(corners @ reciprocal / n, reciprocal / n),
        low=low,
        span=span,
        image_map=image_map,
        image_bin=one_bin.astype(np.int32),
        image_operation=np.concatenate([g.reshape(-1, 9), k], axis=1).astype(np.int32),
        table_of_bin=classes.table_of_bin,
        row=classes.row,
        turn=classes.turn,
        turns=classes.turns,
        extent=classes.extent,
    )
    bins = Bins(
        crystal=crystal,
        group=group,
        q=centres,
        axes=np.broadcast_to(axes, (n_bins, 3, 3)).copy(),
        widths=np.full((n_bins, 3), 2 * (3 * volume / (4 * np.pi)) ** (1 / 3)),
        weight=star.astype(float),
        path=None,
        divisions=n,
    )
    return Binning(bins=bins, classes=classes, lookup=lookup, q_max=q_max)


def _shortest(q: FloatArray, reciprocal: FloatArray) -> FloatArray:
    """Move each q (n, 3) by a reciprocal lattice vector to where it is shortest."""
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    lengths = np.linalg.norm((q[:, None, :] + shifts) @ reciprocal, axis=2)
    # Rounded, so that among equals the first shift wins on every machine.
    return np.asarray(q + shifts[np.round(lengths, 9).argmin(axis=1)])


def _nearest_corners(basis: FloatArray) -> IntArray:
    """Lattice points (k, 3) of ``basis`` (rows) that may be the nearest one to a point of the unit cell."""
    corners = np.array(list(itertools.product(range(-3, 5), repeat=3)))
    middle = (np.array(list(itertools.product(range(_PIECES), repeat=3))) + 0.5) / _PIECES
    # The farthest that a point of a piece is from its middle.
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) / _PIECES
    radius = float(np.linalg.norm(signs @ basis, axis=1).max())
    distance = np.linalg.norm((middle[:, None, :] - corners) @ basis, axis=2)
    near = distance <= distance.min(axis=1, keepdims=True) + 2 * radius + 1e-9
    return np.asarray(corners[near.any(axis=0)])


def _distance_forms(corners: FloatArray, basis: FloatArray) -> FloatArray:
    """`GridLookup.corner_distance` of corners (k, 3), 1/Å: |s - c|² - |s|² = |c|² - 2 c.s is linear in s."""
    return np.column_stack([-2 * corners @ basis.T, (corners**2).sum(axis=1)])
