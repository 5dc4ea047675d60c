"""The compiled loops: one function finds the bins of a momentum transfer, for events and for exposure alike.

No threading layer is used: the loops release the interpreter lock and run in ordinary threads, which is safe
inside Mantid whatever layer numba has there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray, IntArray

#: An event near Γ lies in several star arms; beyond so many bins it would mean tubes as thick as the zone.
MAX_HITS = 64
#: Squared distances (1/Å²) closer than this are equal: images related by a symmetry of the bin's centre.
_EQUAL_DISTANCE = 1e-10
EMPTY = -1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class PathLookup(NamedTuple):
    """Tables by which the bins of a path are found.

    The unit cell [0, 1)^3 of the primitive reciprocal basis is cut into voxels^3 pieces. Each lists the images
    (segments of the path, moved by an operation and a lattice vector) that reach into it.

    Attributes
    ----------
    voxels
        Number of pieces along each axis.
    voxel_start, voxel_images
        Images of voxel v: voxel_images[voxel_start[v]:voxel_start[v + 1]].
    image_map
        Shape (n_images, 12): rows of the affine map from fractions q to the position along the segment, u and v,
        1/Å.
    image_segment
        Shape (n_images,): segment of each image.
    image_operation
        Shape (n_images, 12) integers: g (3, 3) and K (3,) with q' = g q + K near the segment itself.
    first_bin, n_points
        Shape (n_segments,): the bins of a segment are first_bin ... first_bin + n_points - 1.
    step, inverse_step
        Shape (n_segments,): distance of the bins along a segment, 1/Å, and one over it.
    half_widths
        Shape (2,): half the transverse widths, 1/Å.
    frame_start, frames
        frames[frame_start[s]:frame_start[s + 1]] are (cos, sin) of the turns of the cross-section of segment s
        under its little co-group that change it.
    table_of_bin, row, turn, turns, extent
        See `fcinv_core.folding.zones.ZoneClasses`.
    """

    voxels: int
    voxel_start: NDArray[np.int32]
    voxel_images: NDArray[np.int32]
    image_map: FloatArray
    image_segment: NDArray[np.int32]
    image_operation: NDArray[np.int32]
    first_bin: NDArray[np.int32]
    n_points: NDArray[np.int32]
    step: FloatArray
    inverse_step: FloatArray
    half_widths: FloatArray
    frame_start: NDArray[np.int32]
    frames: FloatArray
    table_of_bin: NDArray[np.int32]
    row: NDArray[np.int32]
    turn: NDArray[np.int32]
    turns: FloatArray
    extent: IntArray


class GridLookup(NamedTuple):
    """Tables by which the nearest point of a grid over the zone is found.

    Attributes
    ----------
    divisions
        Divisions of the primitive reciprocal basis vectors.
    pieces
        Pieces of a grid cell along each axis; each lists the corners that may be the nearest grid point.
    piece_start, piece_corners
        Corners of piece p: piece_corners[piece_start[p]:piece_start[p + 1]].
    corners
        Shape (n_corners, 3) integers: corners of a grid cell.
    basis
        Shape (3, 3): Cartesian basis vectors (rows) of the grid, 1/Å.
    low, span
        The images are the grid points low ... low + span - 1 along each axis, the last fastest.
    image_map
        Shape (n_images, 12): rows of the affine map from fractions q to the Cartesian offset (1/Å) from the bin's
        centre.
    image_bin
        Shape (n_images,): bin of each grid point.
    image_operation
        Shape (n_images, 12) integers: g (3, 3) and K (3,) with q' = g q + K near the bin's centre.
    table_of_bin, row, turn, turns, extent
        See `fcinv_core.folding.zones.ZoneClasses`.
    """

    divisions: int
    pieces: int
    piece_start: NDArray[np.int32]
    piece_corners: NDArray[np.int32]
    corners: NDArray[np.int32]
    basis: FloatArray
    low: int
    span: int
    image_map: FloatArray
    image_bin: NDArray[np.int32]
    image_operation: NDArray[np.int32]
    table_of_bin: NDArray[np.int32]
    row: NDArray[np.int32]
    turn: NDArray[np.int32]
    turns: FloatArray
    extent: IntArray


BinLookup = PathLookup | GridLookup


def _find_grid_cell(q0, q1, q2, lookup, bins, rows, turn, offset, distance, images):  # type: ignore[no-untyped-def]
    """`find_bins` of a grid: the cell of the nearest grid point."""
    f0, f1, f2 = math.floor(q0), math.floor(q1), math.floor(q2)
    r0, r1, r2 = q0 - f0, q1 - f1, q2 - f2
    i0, i1, i2 = int(f0), int(f1), int(f2)
    n, pieces = lookup.divisions, lookup.pieces
    s0, s1, s2 = r0 * n, r1 * n, r2 * n
    c0, c1, c2 = min(int(s0), n - 1), min(int(s1), n - 1), min(int(s2), n - 1)
    s0, s1, s2 = s0 - c0, s1 - c1, s2 - c2
    v0, v1, v2 = (
        min(int(s0 * pieces), pieces - 1),
        min(int(s1 * pieces), pieces - 1),
        min(int(s2 * pieces), pieces - 1),
    )
    piece = (v0 * pieces + v1) * pieces + v2
    basis = lookup.basis
    best, nearest = 0, math.inf
    for entry in range(lookup.piece_start[piece], lookup.piece_start[piece + 1]):
        k = lookup.piece_corners[entry]
        d0, d1, d2 = s0 - lookup.corners[k, 0], s1 - lookup.corners[k, 1], s2 - lookup.corners[k, 2]
        x = d0 * basis[0, 0] + d1 * basis[1, 0] + d2 * basis[2, 0]
        y = d0 * basis[0, 1] + d1 * basis[1, 1] + d2 * basis[2, 1]
        z = d0 * basis[0, 2] + d1 * basis[1, 2] + d2 * basis[2, 2]
        square = x * x + y * y + z * z
        if square < nearest:
            best, nearest = k, square
    low, span = lookup.low, lookup.span
    p0 = c0 + lookup.corners[best, 0] - low
    p1 = c1 + lookup.corners[best, 1] - low
    p2 = c2 + lookup.corners[best, 2] - low
    image = (p0 * span + p1) * span + p2
    one_bin = lookup.image_bin[image]
    g = lookup.image_operation[image]
    e0, e1, e2 = lookup.extent[0], lookup.extent[1], lookup.extent[2]
    z0 = g[0] * i0 + g[1] * i1 + g[2] * i2 - g[9] + e0
    z1 = g[3] * i0 + g[4] * i1 + g[5] * i2 - g[10] + e1
    z2 = g[6] * i0 + g[7] * i1 + g[8] * i2 - g[11] + e2
    if z0 < 0 or z0 > 2 * e0 or z1 < 0 or z1 > 2 * e1 or z2 < 0 or z2 > 2 * e2:
        return 0
    zone = (z0 * (2 * e1 + 1) + z1) * (2 * e2 + 1) + z2
    table = lookup.table_of_bin[one_bin]
    row = lookup.row[table, zone]
    if row < 0:
        return 0
    m = lookup.image_map[image]
    bins[0], rows[0], turn[0], images[0] = one_bin, row, lookup.turn[table, zone], image
    for k in range(3):
        offset[0, k] = m[4 * k] * r0 + m[4 * k + 1] * r1 + m[4 * k + 2] * r2 + m[4 * k + 3]
    return 1


def _find_path_bins(q0, q1, q2, lookup, bins, rows, turn, offset, distance, images):  # type: ignore[no-untyped-def]
    """`find_bins` of a path: all boxes that hold Q."""
    f0, f1, f2 = math.floor(q0), math.floor(q1), math.floor(q2)
    r0, r1, r2 = q0 - f0, q1 - f1, q2 - f2
    i0, i1, i2 = int(f0), int(f1), int(f2)
    n = lookup.voxels
    # A tiny negative q gives a remainder of exactly 1.
    v0, v1, v2 = min(int(r0 * n), n - 1), min(int(r1 * n), n - 1), min(int(r2 * n), n - 1)
    voxel = (v0 * n + v1) * n + v2
    found = 0
    first, last = lookup.voxel_start[voxel], lookup.voxel_start[voxel + 1]
    if first == last:
        return found
    for entry in range(first, last):
        image = lookup.voxel_images[entry]
        m = lookup.image_map[image]
        segment = lookup.image_segment[image]
        along = m[0] * r0 + m[1] * r1 + m[2] * r2 + m[3]
        place = math.floor(along * lookup.inverse_step[segment] + 0.5)
        if place < 0 or place >= lookup.n_points[segment]:
            continue
        u = m[4] * r0 + m[5] * r1 + m[6] * r2 + m[7]
        v = m[8] * r0 + m[9] * r1 + m[10] * r2 + m[11]
        inside = False
        for k in range(lookup.frame_start[segment], lookup.frame_start[segment + 1]):
            c, s = lookup.frames[k, 0], lookup.frames[k, 1]
            if abs(c * u + s * v) < lookup.half_widths[0] and abs(c * v - s * u) < lookup.half_widths[1]:
                inside = True
                break
        if not inside:
            continue
        g = lookup.image_operation[image]
        e0, e1, e2 = lookup.extent[0], lookup.extent[1], lookup.extent[2]
        z0 = g[0] * i0 + g[1] * i1 + g[2] * i2 - g[9] + e0
        z1 = g[3] * i0 + g[4] * i1 + g[5] * i2 - g[10] + e1
        z2 = g[6] * i0 + g[7] * i1 + g[8] * i2 - g[11] + e2
        if z0 < 0 or z0 > 2 * e0 or z1 < 0 or z1 > 2 * e1 or z2 < 0 or z2 > 2 * e2:
            continue
        zone = (z0 * (2 * e1 + 1) + z1) * (2 * e2 + 1) + z2
        one_bin = lookup.first_bin[segment] + place
        table = lookup.table_of_bin[one_bin]
        row = lookup.row[table, zone]
        if row < 0:
            continue
        w = along - place * lookup.step[segment]
        square = w * w + u * u + v * v
        slot = found
        for k in range(found):
            if bins[k] == one_bin:
                slot = k
                break
        if slot < found:
            if square > distance[slot] + _EQUAL_DISTANCE:
                continue
            if square > distance[slot] - _EQUAL_DISTANCE and row >= rows[slot]:
                continue
        elif found == len(bins):
            continue
        bins[slot], rows[slot], turn[slot], distance[slot] = one_bin, row, lookup.turn[table, zone], square
        offset[slot, 0], offset[slot, 1], offset[slot, 2] = w, u, v
        images[slot] = image
        found = max(found, slot + 1)
    return found


def find_bins(q0, q1, q2, lookup, bins, rows, turn, offset, distance, images):  # type: ignore[no-untyped-def]
    """Find the bins of one momentum transfer, each at most once; return how many. For compiled code only.

    Events, exposure and background all come through here. Where several images of Q lie in one bin, the one nearest
    to the bin's centre counts; among equals, which a symmetry of the centre relates, the one of the lowest class.
    The choice is the same for every image of Q.

    Parameters
    ----------
    q0, q1, q2
        Q in fractions of the primitive reciprocal basis.
    lookup
        A `PathLookup` or `GridLookup`.
    bins, rows, turn, offset, distance, images
        Filled: shapes (m,), (m,), (m,), (m, 3), (m,), (m,): bin, zone class, turn to the canonical zone, position
        in the local frame of the bin (1/Å), its square, and the image that held it.
    """
    raise TypeError("find_bins is compiled into the loops that call it and cannot be called from Python")


# Chosen by type when a loop is compiled: a branch here would cost ten times the search itself, because compiled
# code then counts a reference to every table for every event.
@overload(find_bins, jit_options={"error_model": "numpy", "nogil": True, "forceinline": True})
def _choose_search(q0, q1, q2, lookup, bins, rows, turn, offset, distance, images):  # type: ignore[no-untyped-def]
    return _find_grid_cell if lookup.instance_class is GridLookup else _find_path_bins


@numba.njit(nogil=True, cache=True, error_model="numpy")
def classify_events(  # type: ignore[no-untyped-def]
    q_sample, energy, run, transforms, energies, n_rows, n_bins, lookup, start, stop, keys, events
):
    """Find the cells of events ``start`` to ``stop``; return (next event, number of hits).

    Parameters
    ----------
    q_sample, energy, run
        Shapes (n, 3) in 1/Å, (n,) in meV, (n,).
    transforms
        Shape (n_runs, 3, 3): from Q_sample to fractions of the primitive reciprocal basis.
    energies
        (lower edge, 1 / width, number) of the energy bins.
    n_rows, n_bins, lookup
        Size of the cell index, and the tables.
    start, stop
        Events to look at; it stops early where the buffers could overflow.
    keys, events
        Filled: shape (m,): cell ((run n_rows + row) n_bins + bin) n_energies + energy bin, and number of the event.
    """
    bins, rows = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    turn, images = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    offset, distance = np.empty((MAX_HITS, 3)), np.empty(MAX_HITS)
    minimum, inverse_width, n_energies = energies
    limit = len(keys) - MAX_HITS
    hits = 0
    for k in range(start, stop):
        place = (energy[k] - minimum) * inverse_width
        if not (place >= 0 and place < n_energies):
            continue
        if hits > limit:
            return k, hits
        m = transforms[run[k]]
        x, y, z = q_sample[k, 0], q_sample[k, 1], q_sample[k, 2]
        found = find_bins(  # type: ignore[no-untyped-call]
            m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
            m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
            m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
            lookup,
            bins,
            rows,
            turn,
            offset,
            distance,
            images,
        )
        for i in range(found):
            keys[hits] = ((np.int64(run[k]) * n_rows + rows[i]) * n_bins + bins[i]) * n_energies + int(place)
            events[hits] = k
            hits += 1
    return stop, hits


@numba.njit(nogil=True, cache=True)
def slot_of(table, key):  # type: ignore[no-untyped-def]
    """Place of ``key`` in an open-addressing table whose length is a power of 2: its own, or the free one."""
    mask = len(table) - 1
    hashed = np.uint64(key) * _GOLDEN
    place = np.int64(hashed >> np.uint64(20)) & mask
    while table[place] != EMPTY and table[place] != key:
        place = (place + 1) & mask
    return place


@numba.njit(nogil=True, cache=True)
def add_hits(  # type: ignore[no-untyped-def]
    keys, events, n_hits, signal, error_squared, part, n_parts, start, table, sums, filled
):
    """Add hits to a sparse sum; return (next hit, filled slots): it stops where the table is half full.

    Only hits whose cell belongs to ``part`` of ``n_parts`` are added, so that threads share no memory and every
    cell is summed in the order of the events, whatever the number of threads.

    Parameters
    ----------
    keys, events, n_hits
        From `classify_events`.
    signal, error_squared
        Shape (n,): weights of the events and their variances.
    part, n_parts, start
        What to add, and the hit to begin with.
    table, sums, filled
        Keys (m,), sums (m, 3) of signal, variance and effective counts, and number of slots in use.
    """
    limit = len(table) // 2
    for k in range(start, n_hits):
        if n_parts > 1 and (np.uint64(keys[k]) * _GOLDEN >> np.uint64(12)) % np.uint64(n_parts) != np.uint64(part):
            continue
        if filled >= limit:
            return k, filled
        place = slot_of(table, keys[k])
        if table[place] == EMPTY:
            table[place] = keys[k]
            filled += 1
        s, e = signal[events[k]], error_squared[events[k]]
        sums[place, 0] += s
        sums[place, 1] += e
        if e > 0:
            sums[place, 2] += s * s / e
    return n_hits, filled


@numba.njit(nogil=True, cache=True, error_model="numpy")
def add_points(  # type: ignore[no-untyped-def]
    q_sample,
    energy,
    run,
    signal,
    error_squared,
    exposure,
    transforms,
    energies,
    n_rows,
    n_bins,
    lookup,
    start,
    table,
    sums,
    filled,
):
    """Add points that are data and exposure at once; return (next point, filled slots).

    Parameters
    ----------
    q_sample, energy, run, transforms, energies, n_rows, n_bins, lookup
        As for `classify_events`.
    signal, error_squared, exposure
        Shape (n,): weights of the points, their variances, and their exposure.
    start
        Point to begin with; it stops early where the table is half full.
    table, sums, filled
        Keys (m,) as of `classify_events`; sums (m, 13): signal, variance and effective counts as of `add_hits`, and
        the ten of `lay_exposure`; number of slots in use.
    """
    bins, rows = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    turn, images = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    offset, distance = np.empty((MAX_HITS, 3)), np.empty(MAX_HITS)
    local = np.empty(3)
    minimum, inverse_width, n_energies = energies
    limit = len(table) // 2
    for k in range(start, len(energy)):
        place = (energy[k] - minimum) * inverse_width
        if not (place >= 0 and place < n_energies):
            continue
        if filled + MAX_HITS > limit:
            return k, filled
        m = transforms[run[k]]
        x, y, z = q_sample[k, 0], q_sample[k, 1], q_sample[k, 2]
        found = find_bins(  # type: ignore[no-untyped-call]
            m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
            m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
            m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
            lookup,
            bins,
            rows,
            turn,
            offset,
            distance,
            images,
        )
        s, e, weight = signal[k], error_squared[k], exposure[k]
        for i in range(found):
            key = ((np.int64(run[k]) * n_rows + rows[i]) * n_bins + bins[i]) * n_energies + int(place)
            at = slot_of(table, key)
            if table[at] == EMPTY:
                table[at] = key
                filled += 1
            sums[at, 0] += s
            sums[at, 1] += e
            if e > 0:
                sums[at, 2] += s * s / e
            for a in range(3):
                local[a] = 0.0
                for b in range(3):
                    local[a] += lookup.turns[turn[i], a, b] * offset[i, b]
            sums[at, 3] += weight
            column = 7
            for a in range(3):
                sums[at, 4 + a] += weight * local[a]
                for b in range(a, 3):
                    sums[at, column] += weight * local[a] * local[b]
                    column += 1
    return len(energy), filled


@numba.njit(nogil=True, cache=True)
def move_sums(table, sums, new_table, new_sums):  # type: ignore[no-untyped-def]
    """Copy a sparse sum into a larger, empty one."""
    for k in range(len(table)):
        if table[k] != EMPTY:
            place = slot_of(new_table, table[k])
            new_table[place] = table[k]
            new_sums[place] = sums[k]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def lay_exposure(  # type: ignore[no-untyped-def]
    origin,
    directions,
    tangents,
    weights,
    k_final,
    k_spread,
    energy_bin,
    energy_weight,
    n_bins,
    n_energies,
    lookup,
    start,
    table,
    sums,
    filled,
):
    """Lay the exposure of one run along the trajectories of its detectors; return (next detector, filled slots).

    Q = origin - k_final direction is a straight line through reciprocal space.

    Parameters
    ----------
    origin
        Shape (3,): incident wavevector in fractions of the primitive reciprocal basis.
    directions
        Shape (m, 3): unit vectors to the detectors, in 1/Å turned to the same basis.
    tangents
        Shape (m, 2, 3): standard deviations of the direction over the face of a detector, same basis.
    weights
        Shape (m,): solid angle times proton charge.
    k_final
        Shape (s, p): points along a trajectory: final wavevector, 1/Å. Detectors take the s sets in turn.
    k_spread, energy_bin, energy_weight
        Shape (p,): standard deviation of the final wavevector that a point stands for (1/Å), its energy bin, its
        width in energy (meV).
    n_bins, n_energies, lookup
        Size of the cell index, and the tables.
    start
        Detector to begin with; it stops early where the table is half full.
    table, sums, filled
        Keys (m,) of cells (row n_bins + bin) n_energies + energy bin; sums (m, 10) of exposure, exposure times
        offset (3) and times products of offsets (00, 01, 02, 11, 12, 22); number of slots in use.
    """
    bins, rows = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    turn, images = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    offset, distance = np.empty((MAX_HITS, 3)), np.empty(MAX_HITS)
    n_sets, n_points = k_final.shape
    limit = len(table) // 2
    last_key, last_place = np.int64(EMPTY), np.int64(0)
    local, spread = np.empty((3, 3)), np.empty((3, 3))
    for k in range(start, len(directions)):
        if filled + 8 * n_points >= limit:
            return k, filled
        d0, d1, d2 = directions[k, 0], directions[k, 1], directions[k, 2]
        one_set = k % n_sets
        for p in range(n_points):
            final = k_final[one_set, p]
            found = find_bins(  # type: ignore[no-untyped-call]
                origin[0] - final * d0,
                origin[1] - final * d1,
                origin[2] - final * d2,
                lookup,
                bins,
                rows,
                turn,
                offset,
                distance,
                images,
            )
            for i in range(found):
                key = (np.int64(rows[i]) * n_bins + bins[i]) * n_energies + energy_bin[p]
                # Neighbouring points mostly fall into the same cell.
                if key != last_key:
                    last_place = slot_of(table, key)
                    last_key = key
                    if table[last_place] == EMPTY:
                        table[last_place] = key
                        filled += 1
                weight = weights[k] * energy_weight[p]
                for a in range(3):
                    local[a, 0] = 0.0
                    for b in range(3):
                        local[a, 0] += lookup.turns[turn[i], a, b] * offset[i, b]
                # What the point stands for has a width of its own: the detector's face and the step in energy.
                for c in range(3):
                    for a in range(3):
                        spread[c, a] = 0.0
                    for b in range(3):
                        moved = 0.0
                        for j in range(3):
                            if c < 2:
                                moved += lookup.image_map[images[i], 4 * b + j] * final * tangents[k, c, j]
                            else:
                                moved += lookup.image_map[images[i], 4 * b + j] * k_spread[p] * directions[k, j]
                        for a in range(3):
                            spread[c, a] += lookup.turns[turn[i], a, b] * moved
                place = 4
                sums[last_place, 0] += weight
                for a in range(3):
                    sums[last_place, 1 + a] += weight * local[a, 0]
                    for b in range(a, 3):
                        product = local[a, 0] * local[b, 0]
                        for c in range(3):
                            product += spread[c, a] * spread[c, b]
                        sums[last_place, place] += weight * product
                        place += 1
    return len(directions), filled


@numba.njit(nogil=True, cache=True)
def bins_of_points(q, lookup, counts, bins, rows):  # type: ignore[no-untyped-def]
    """Fill the bins (n, m) and rows (n, m) of points q (n, 3), fractions, and how many each has (n,)."""
    turn, images = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    offset, distance = np.empty((MAX_HITS, 3)), np.empty(MAX_HITS)
    for k in range(len(q)):
        counts[k] = find_bins(  # type: ignore[no-untyped-call]
            q[k, 0], q[k, 1], q[k, 2], lookup, bins[k], rows[k], turn, offset, distance, images
        )
