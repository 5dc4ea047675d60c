"""Dynamical stability: whether a set of force constants has imaginary modes, and where the worst one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.pairs import ForceConstants

#: An energy below minus this (meV) counts as imaginary; rounding noise at Γ is a thousand times smaller.
TOLERANCE = 0.05
#: Spacing (1/Å) of the mesh on which stability is judged.
MESH_SPACING = 0.25
#: Distance (1/Å) from Γ at which long waves are judged, along several directions: the elastic limit.
_LONG_WAVE = 0.06


@dataclass(frozen=True)
class Stability:
    """Verdict on a set of force constants.

    Attributes
    ----------
    stable
        No energy lies below minus the tolerance.
    lowest
        The lowest energy that was found, meV; imaginary ones are negative.
    worst_q
        Where: fractions of the primitive reciprocal basis.
    highest
        The highest energy that was found, meV.
    lowest_commensurate
        The lowest energy at the q-points whose waves fit into the supercell, meV: no interpolation there, so a
        crystal that is unstable elsewhere alone may only need a larger supercell.
    """

    stable: bool
    lowest: float
    worst_q: tuple[float, float, float]
    highest: float
    lowest_commensurate: float


def stability_points(crystal: Crystal) -> FloatArray:
    """Return the q-points at which stability is judged, shape (n, 3), fractions; long waves come first.

    They are the irreducible part of a Γ-centred mesh, the high-symmetry points, and points near Γ along all
    directions in which an elastic instability of the crystal class can show.
    """
    reciprocal = crystal.reciprocal_lattice
    lengths = np.linalg.norm(reciprocal, axis=1)
    mesh = np.maximum(2 * np.ceil(lengths / MESH_SPACING / 2), 2).astype(int)
    species = np.unique(crystal.symbols, return_inverse=True)[1]
    cell = (crystal.lattice.tolist(), crystal.positions.tolist(), species.tolist())
    mapping, grid = spglib.get_ir_reciprocal_mesh(mesh.tolist(), cell, is_shift=[0, 0, 0])
    irreducible = np.asarray(grid)[np.unique(mapping)] / mesh

    corners = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T
    directions = np.vstack([corners, [[1, 2, 0], [2, 1, 0], [1, 0, 2], [0, 1, 2], [1, 2, 3]]])
    directions = directions[np.any(directions != 0, axis=1)] @ reciprocal
    near = _LONG_WAVE * directions / np.linalg.norm(directions, axis=1, keepdims=True) @ np.linalg.inv(reciprocal)
    # Opposite and symmetry-equivalent directions have equal energies: keep one of each.
    near = near[_first_of_each_star(crystal, near)]
    special = np.array(list(crystal.high_symmetry_points.values()))
    points = np.vstack([near, special, irreducible])
    _, first = np.unique(np.rint(points * 1e6).astype(np.int64), axis=0, return_index=True)
    return np.asarray(points[np.sort(first)])


def commensurate_points(supercell: IntArray) -> FloatArray:
    """Return the q-points whose waves fit into a supercell, one for each primitive cell in it.

    Parameters
    ----------
    supercell
        Shape (3, 3) integers: rows in primitive vectors.

    Returns
    -------
    Shape (n, 3), fractions of the primitive reciprocal basis, in [0, 1); Γ comes first.
    """
    n_cells = round(abs(float(np.linalg.det(supercell))))
    # q.A is an integer for each row A of the supercell: q = A^-1 n. All of them are found among 0 <= n < n_cells,
    # and those of the adjugate's columns generate them: sums of its columns over n_cells, modulo 1.
    columns = np.rint(np.linalg.inv(supercell) * n_cells).astype(np.int64).T
    points = {(0, 0, 0)}
    for column in columns:
        multiples = np.arange(n_cells)[:, None] * column
        points = {
            (int(a), int(b), int(c))
            for start in points
            for a, b, c in np.unique((multiples + start) % n_cells, axis=0)
        }
    return np.array(sorted(points)) / n_cells


def judge(fcs: ForceConstants, q: FloatArray | None = None) -> Stability:
    """Judge a set of force constants.

    Parameters
    ----------
    fcs
        The set.
    q
        Shape (n, 3): where, besides the commensurate points; by default at those of `stability_points`.
    """
    points = stability_points(fcs.crystal) if q is None else q
    commensurate = commensurate_points(fcs.supercell)
    energies = mode_energies(fcs, np.vstack([points, commensurate]))
    lowest = energies.min(axis=1)
    worst = int(lowest.argmin())
    q1, q2, q3 = np.vstack([points, commensurate])[worst]
    return Stability(
        stable=bool(lowest[worst] >= -TOLERANCE),
        lowest=float(lowest[worst]),
        worst_q=(float(q1), float(q2), float(q3)),
        highest=float(energies.max()),
        lowest_commensurate=float(lowest[len(points) :].min()),
    )


def _first_of_each_star(crystal: Crystal, q: FloatArray) -> list[int]:
    """Indices of the q-points (n, 3) that are not equivalent, by rotation or inversion, to an earlier one."""
    # x -> W x on positions is q -> W^-T q on wave vectors.
    operations = np.swapaxes(np.linalg.inv(crystal.rotations), 1, 2)
    kept: list[int] = []
    seen: set[tuple[int, ...]] = set()
    for index, point in enumerate(q):
        star = np.rint(np.vstack([operations @ point, -operations @ point]) * 1e6).astype(np.int64)
        if tuple(np.rint(point * 1e6).astype(np.int64)) not in seen:
            kept.append(index)
        seen.update(map(tuple, star))
    return kept
