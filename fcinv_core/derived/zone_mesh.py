"""The irreducible part of a mesh over the Brillouin zone."""

from __future__ import annotations

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.structure_factor.modes import shifted_mesh


def irreducible_mesh(crystal: Crystal, spacing: float) -> tuple[FloatArray, FloatArray]:
    """Return the inequivalent points of the mesh of `shifted_mesh`, and what share of the zone each stands for.

    Operations of the space group that do not carry the mesh onto itself are not used: off Γ, a mesh need not have
    all of the symmetry (Monkhorst and Pack, Phys. Rev. B 13, 5188 (1976)).

    Parameters
    ----------
    crystal
        The crystal.
    spacing
        Largest distance of mesh points along each reciprocal basis vector, 1/Å.

    Returns
    -------
    q, shape (n, 3), fractions of the primitive reciprocal basis; weights, shape (n,), of sum 1.
    """
    half = shifted_mesh(crystal, spacing)
    counts = np.array([len(np.unique(half[:, 0])) * 2, *(len(np.unique(half[:, k])) for k in (1, 2))])
    points = np.concatenate([half, -half])
    # x -> W x on positions is q -> W^-T q on wave vectors.
    operations = np.swapaxes(np.rint(np.linalg.inv(crystal.rotations)), 1, 2)
    number = _numbers(points, counts)
    assert number is not None
    place = np.empty(len(points), dtype=np.int64)
    place[number] = np.arange(len(points))
    # The smallest index of a star stands for it.
    first = np.arange(len(points))
    for operation in np.concatenate([operations, -operations]):
        image = _numbers(points @ operation.T, counts)
        if image is not None:
            first = np.minimum(first, place[image])
    # Operations of a subgroup of the whole: its orbits are closed, so one pass suffices.
    chosen, copies = np.unique(first, return_counts=True)
    return points[chosen], copies / len(points)


def _numbers(points: FloatArray, counts: IntArray) -> IntArray | None:
    """Number points of a mesh half a step off Γ, modulo reciprocal lattice vectors; None if they lie elsewhere."""
    steps = points * counts - 0.5
    whole = np.rint(steps)
    if np.abs(steps - whole).max() > 1e-6:
        return None
    index = np.mod(whole.astype(np.int64), counts)
    return np.asarray((index[:, 0] * counts[1] + index[:, 1]) * counts[2] + index[:, 2])
