"""Zone classes: which Brillouin zones are equivalent for a q-point, and a table that tells it at once.

A momentum transfer Q = G + q near a q-point of the folded zone belongs to the zone G. Zones that an operation of
the little co-group of q maps onto each other have equal intensities and form a class, labelled by one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal, FloatArray, IntArray

#: Fractions of the reciprocal basis closer than this are the same.
FRACTION_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LittleGroup:
    """Operations that map a q-point onto itself up to a reciprocal lattice vector.

    Attributes
    ----------
    operations
        Shape (k, 3, 3) integers, the identity first; q (columns) in fractions of the primitive reciprocal basis.
    translations
        Shape (k, 3) integers: h q = q + t, so that h maps the zone G to h G + t.
    """

    operations: IntArray
    translations: IntArray


def little_group(group: IntArray, q: FloatArray) -> LittleGroup:
    """Return the little co-group of a q-point (3,) in a point group (g, 3, 3)."""
    moved = group @ q - q
    translations = np.rint(moved).astype(np.int64)
    fixed = np.abs(moved - translations).max(axis=1) < FRACTION_TOLERANCE
    return LittleGroup(group[fixed], translations[fixed])


@dataclass(frozen=True, eq=False)
class ZoneClasses:
    """Classes of zones for each kind of bin.

    Attributes
    ----------
    zones
        Shape (n_rows, 3) integers: canonical zone G of each class, primitive reciprocal basis, sorted by length.
    hkl
        Shape (n_rows, 3) integers: the same in the conventional basis.
    extent
        Shape (3,) integers: the tables hold zones with |G_i| <= extent_i.
    row
        Shape (n_tables, n_zones): class of a zone; -1 beyond the largest Q.
    turn
        Shape (n_tables, n_zones): index into ``turns`` of the operation that takes a zone to the canonical one.
    turns
        Shape (n_turns, 3, 3): those operations in the local frame of their bins.
    table_of_bin
        Shape (n_bins,): table that a bin uses.
    """

    zones: IntArray
    hkl: IntArray
    extent: IntArray
    row: NDArray[np.int32]
    turn: NDArray[np.int32]
    turns: FloatArray
    table_of_bin: NDArray[np.int32]


def classify_zones(
    crystal: Crystal, group: IntArray, q: FloatArray, axes: FloatArray, frames: Sequence[int], q_max: float
) -> ZoneClasses:
    """Tabulate the zone classes of every bin.

    Parameters
    ----------
    crystal
        The structure.
    group
        Shape (g, 3, 3): folding operations.
    q
        Shape (n_bins, 3): centres of the bins, fractions of the primitive reciprocal basis.
    axes
        Shape (n_frames, 3, 3): Cartesian unit vectors (rows) of local frames.
    frames
        n_bins indices into ``axes``: bins of one path segment share a frame.
    q_max
        Largest |Q| that can occur, 1/Å.
    """
    reciprocal = crystal.reciprocal_lattice
    reach = q_max + float(np.linalg.norm(q @ reciprocal, axis=1).max())
    # |G_i| = |G . a_i| / 2 pi; one more for the offset inside the bin.
    extent = np.ceil(reach * np.linalg.norm(crystal.lattice, axis=1) / (2 * np.pi)).astype(np.int64) + 1
    zones = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in extent), indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(reciprocal.T)

    kinds: dict[bytes, int] = {}
    table_of_bin = np.empty(len(q), dtype=np.int32)
    canonical, chosen, turns = [], [], [np.eye(3)]
    for k, (point, frame) in enumerate(zip(q, frames, strict=True)):
        little = little_group(group, point)
        key = little.operations.tobytes() + little.translations.tobytes()
        # Without symmetry nothing is turned, and all frames share one table.
        key += bytes([0]) if len(little.operations) == 1 else int(frame).to_bytes(4, "little")
        if key not in kinds:
            kinds[key] = len(kinds)
            best, operation = _canonical_zones(crystal, little, zones)
            canonical.append(best)
            local = axes[frame] @ (reciprocal.T @ little.operations @ inverse) @ axes[frame].T
            chosen.append(np.where(operation > 0, operation + len(turns) - 1, 0))
            turns.extend(local[1:])
        table_of_bin[k] = kinds[key]

    # A bin's Q is within q_max of the origin, whatever bin of the table it is: be generous by one zone.
    near = np.linalg.norm(zones @ reciprocal, axis=1) <= reach + np.linalg.norm(reciprocal, axis=1).max()
    everything = np.concatenate([best[near] for best in canonical])
    # Zones as single numbers: sorting rows of three is ten times slower.
    base = 2 * int(np.abs(everything).max()) + 1
    codes = (everything[:, 0] * base + everything[:, 1]) * base + everything[:, 2]
    _, first, inverse_rows = np.unique(codes, return_index=True, return_inverse=True)
    labels = everything[first]
    hkl = labels @ crystal.conventional.T
    order = zone_order(labels @ reciprocal, hkl)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    row = np.full((len(canonical), len(zones)), -1, dtype=np.int32)
    row[:, near] = rank[inverse_rows.reshape(len(canonical), -1)]
    return ZoneClasses(
        zones=labels[order],
        hkl=hkl[order],
        extent=extent,
        row=row,
        turn=np.array(chosen, dtype=np.int32),
        turns=np.array(turns),
        table_of_bin=table_of_bin,
    )


def _canonical_zones(crystal: Crystal, little: LittleGroup, zones: IntArray) -> tuple[IntArray, IntArray]:
    """Return the canonical zone of each zone, the one with the largest (h, k, l), and the operation to it."""
    orbit = zones @ np.swapaxes(little.operations, 1, 2) + little.translations[:, None, :]
    hkl = orbit @ crystal.conventional.T
    base = 2 * int(np.abs(hkl).max()) + 1
    code = (hkl[..., 0] * base + hkl[..., 1]) * base + hkl[..., 2]
    # argmax takes the first of equals, and the identity is first: what is canonical already is not turned.
    operation = code.argmax(axis=0)
    return orbit[operation, np.arange(len(zones))], operation


def zone_order(cartesian: FloatArray, hkl: IntArray) -> IntArray:
    """Return the order of zones: by length (1/Å), then the largest h, k, l first."""
    length = np.round(np.linalg.norm(cartesian, axis=1), 6)
    return np.lexsort((-hkl[:, 2], -hkl[:, 1], -hkl[:, 0], length))
