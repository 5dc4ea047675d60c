"""Dynamical stability: whether a set of force constants has imaginary modes, and where the worst one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib

from fcinv_core.crystal import Crystal, FloatArray
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
        Whether no energy lies below minus the tolerance.
    lowest_energy
        Lowest energy found, meV, negative where imaginary.
    worst_q
        Where, fractions of the primitive reciprocal basis.
    """

    stable: bool
    lowest_energy: float
    worst_q: tuple[float, float, float]


def stability_points(crystal: Crystal) -> FloatArray:
    """Return the q-points at which stability is judged, shape (n, 3), fractions; long waves come first.

    They are the irreducible part of a Γ-centred mesh, the high-symmetry points, and points near Γ along all
    directions in which an elastic instability of the crystal class can show.
    """
    reciprocal = crystal.reciprocal_lattice
    lengths = np.linalg.norm(reciprocal, axis=1)
    mesh = np.maximum(2 * np.ceil(lengths / MESH_SPACING / 2), 2).astype(int)
    cell = (crystal.lattice, crystal.positions, np.unique(crystal.symbols, return_inverse=True)[1])
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


def judge(fcs: ForceConstants, q: FloatArray | None = None) -> Stability:
    """Judge a set of force constants at q-points, shape (n, 3), by default those of `stability_points`."""
    points = stability_points(fcs.crystal) if q is None else q
    lowest = mode_energies(fcs, points).min(axis=1)
    worst = int(lowest.argmin())
    q1, q2, q3 = points[worst]
    return Stability(
        stable=bool(lowest[worst] >= -TOLERANCE),
        lowest_energy=float(lowest[worst]),
        worst_q=(float(q1), float(q2), float(q3)),
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
