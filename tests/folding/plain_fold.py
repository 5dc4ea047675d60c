"""The plain, slow twin of the compiled fold: every operation, every zone, every bin, one event at a time."""

from __future__ import annotations

import itertools

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.folding.binning import Bins


def canonical_zone(crystal: Crystal, group: IntArray, zone: IntArray, q: FloatArray) -> tuple[int, ...]:
    """The equivalent of G + q under the operations that fix q (modulo G) whose zone has the largest (h, k, l)."""
    best = None
    for g in group:
        moved = g @ (zone + q)
        if np.abs(g @ q - q - np.rint(g @ q - q)).max() < 1e-6:
            hkl = crystal.conventional @ np.rint(moved - q).astype(int)
            best = max(best, tuple(hkl.tolist())) if best is not None else tuple(hkl.tolist())
    assert best is not None
    return best


def bins_of(bins: Bins, big_q: FloatArray) -> dict[int, tuple[int, ...]]:
    """Bins of one Q (fractions of the primitive basis), each with its class (conventional hkl of its zone)."""
    crystal, group = bins.crystal, bins.group
    found: dict[int, list[tuple[float, IntArray]]] = {}
    for g in group:
        image = g @ big_q
        # A box is far smaller than the zone, so only the zone that rounds the offset to nought can be the one.
        zones = np.rint(image - bins.q).astype(int)
        offset = (image - zones - bins.q) @ crystal.reciprocal_lattice
        local = np.einsum("bij,bj->bi", bins.axes, offset)
        for one in np.flatnonzero((np.abs(local) < bins.widths / 2).all(axis=1)):
            found.setdefault(int(one), []).append((float(offset[one] @ offset[one]), zones[one]))
    result = {}
    for one, images in found.items():
        nearest = min(distance for distance, _ in images)
        classes = {
            canonical_zone(crystal, group, zone, bins.q[one])
            for distance, zone in images
            if distance < nearest + 1e-9
        }
        length = {
            hkl: round(
                float(np.linalg.norm(np.linalg.solve(crystal.conventional, hkl) @ crystal.reciprocal_lattice)), 6
            )
            for hkl in classes
        }
        result[one] = min(classes, key=lambda hkl: (length[hkl], tuple(-i for i in hkl)))
    return result


def cell_of(bins: Bins, big_q: FloatArray) -> dict[int, tuple[int, ...]]:
    """The grid bin of one Q and its class: the nearest of all images of all bins."""
    crystal, group = bins.crystal, bins.group
    shifts = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
    best = (np.inf, -1, (0, 0, 0))
    for g in group:
        image = g @ big_q
        zones = np.floor(image).astype(int) + shifts
        distance = np.linalg.norm((image - zones[:, None, :] - bins.q[None]) @ crystal.reciprocal_lattice, axis=2)
        k, one = np.unravel_index(distance.argmin(), distance.shape)
        if distance[k, one] < best[0] - 1e-9:
            hkl = canonical_zone(crystal, group, zones[k], bins.q[one])
            best = (float(distance[k, one]), int(one), hkl)
    return {best[1]: best[2]}
