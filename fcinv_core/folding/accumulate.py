"""The compiled loops: one function finds the bins of a momentum transfer, for events and for exposure alike.

numba keeps compiled loops until their own file changes, so all that compile the search in are here.

No threading layer is used: the loops release the interpreter lock and run in ordinary threads, which is safe
inside Mantid whatever layer numba has there.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.extending import overload

from fcinv_core.folding.lookup import GridLookup
from fcinv_core.folding.sparse_sums import EMPTY, part_of, slot_of

#: An event near Γ lies in several star arms; beyond so many bins it would mean tubes as thick as the zone.
MAX_HITS = 64
#: Squared distances (1/Å²) closer than this are equal: images related by a symmetry of the bin's centre.
_EQUAL_DISTANCE = 1e-10


# Elements are read one by one, never rows: a view of a row costs a reference count for every event.
def _find_grid_cell(q0, q1, q2, lookup, bins, rows, distance, turn, images, offset):  # type: ignore[no-untyped-def]
    """`find_bins` of a grid: the cell of the nearest grid point."""
    f0, f1, f2 = math.floor(q0), math.floor(q1), math.floor(q2)
    r0, r1, r2 = q0 - f0, q1 - f1, q2 - f2
    i0, i1, i2 = int(f0), int(f1), int(f2)
    n = lookup.divisions
    s0, s1, s2 = r0 * n, r1 * n, r2 * n
    c0, c1, c2 = min(int(s0), n - 1), min(int(s1), n - 1), min(int(s2), n - 1)
    s0, s1, s2 = s0 - c0, s1 - c1, s2 - c2
    form, best, nearest = lookup.corner_distance, 0, math.inf
    # All corners, and no branch: a wrong guess of the processor costs more than eight of them.
    for k in range(len(form)):
        square = form[k, 0] * s0 + form[k, 1] * s1 + form[k, 2] * s2 + form[k, 3]
        closer = square < nearest
        best = k if closer else best
        nearest = square if closer else nearest
    low, span = lookup.low, lookup.span
    p0 = c0 + lookup.corners[best, 0] - low
    p1 = c1 + lookup.corners[best, 1] - low
    p2 = c2 + lookup.corners[best, 2] - low
    image = (p0 * span + p1) * span + p2
    g = lookup.image_operation
    e0, e1, e2 = lookup.extent[0], lookup.extent[1], lookup.extent[2]
    z0 = g[image, 0] * i0 + g[image, 1] * i1 + g[image, 2] * i2 - g[image, 9] + e0
    z1 = g[image, 3] * i0 + g[image, 4] * i1 + g[image, 5] * i2 - g[image, 10] + e1
    z2 = g[image, 6] * i0 + g[image, 7] * i1 + g[image, 8] * i2 - g[image, 11] + e2
    if z0 < 0 or z0 > 2 * e0 or z1 < 0 or z1 > 2 * e1 or z2 < 0 or z2 > 2 * e2:
        return 0
    zone = (z0 * (2 * e1 + 1) + z1) * (2 * e2 + 1) + z2
    one_bin = lookup.image_bin[image]
    table = lookup.table_of_bin[one_bin]
    row = lookup.row[table, zone]
    if row < 0:
        return 0
    bins[0], rows[0] = one_bin, row
    if offset is not None:
        m = lookup.image_map
        turn[0], images[0] = lookup.turn[table, zone], image
        for k in range(3):
            offset[0, k] = (
                m[image, 4 * k] * r0 + m[image, 4 * k + 1] * r1 + m[image, 4 * k + 2] * r2 + m[image, 4 * k + 3]
            )
    return 1


def _find_path_bins(q0, q1, q2, lookup, bins, rows, distance, turn, images, offset):  # type: ignore[no-untyped-def]
    """`find_bins` of a path: all boxes that hold Q."""
    f0, f1, f2 = math.floor(q0), math.floor(q1), math.floor(q2)
    r0, r1, r2 = q0 - f0, q1 - f1, q2 - f2
    i0, i1, i2 = int(f0), int(f1), int(f2)
    n = lookup.voxels
    # A tiny negative q gives a remainder of exactly 1.
    v0, v1, v2 = min(int(r0 * n), n - 1), min(int(r1 * n), n - 1), min(int(r2 * n), n - 1)
    voxel = (v0 * n + v1) * n + v2
    found = 0
    m, g = lookup.image_map, lookup.image_operation
    for entry in range(lookup.voxel_start[voxel], lookup.voxel_start[voxel + 1]):
        image = lookup.voxel_images[entry]
        segment = lookup.image_segment[image]
        along = m[image, 0] * r0 + m[image, 1] * r1 + m[image, 2] * r2 + m[image, 3]
        u = m[image, 4] * r0 + m[image, 5] * r1 + m[image, 6] * r2 + m[image, 7]
        v = m[image, 8] * r0 + m[image, 9] * r1 + m[image, 10] * r2 + m[image, 11]
        place = math.floor(along * lookup.inverse_step[segment] + 0.5)
        inside = (abs(u) < lookup.half_widths[0]) & (abs(v) < lookup.half_widths[1])
        for k in range(lookup.frame_start[segment] + 1, lookup.frame_start[segment + 1]):
            c, s = lookup.frames[k, 0], lookup.frames[k, 1]
            inside |= (abs(c * u + s * v) < lookup.half_widths[0]) & (abs(c * v - s * u) < lookup.half_widths[1])
        if not (inside & (place >= 0) & (place < lookup.n_points[segment])):
            continue
        e0, e1, e2 = lookup.extent[0], lookup.extent[1], lookup.extent[2]
        z0 = g[image, 0] * i0 + g[image, 1] * i1 + g[image, 2] * i2 - g[image, 9] + e0
        z1 = g[image, 3] * i0 + g[image, 4] * i1 + g[image, 5] * i2 - g[image, 10] + e1
        z2 = g[image, 6] * i0 + g[image, 7] * i1 + g[image, 8] * i2 - g[image, 11] + e2
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
        bins[slot], rows[slot], distance[slot] = one_bin, row, square
        if offset is not None:
            turn[slot], images[slot] = lookup.turn[table, zone], image
            offset[slot, 0], offset[slot, 1], offset[slot, 2] = w, u, v
        found = max(found, slot + 1)
    return found


def find_bins(q0, q1, q2, lookup, bins, rows, distance, turn, images, offset):  # type: ignore[no-untyped-def]
    """Find the bins of one momentum transfer, each at most once; return how many. For compiled code only.

    Where several images of Q lie in one bin, the one nearest to the bin's centre counts; among equals, which a
    symmetry of the centre relates, the one of the lowest class. The choice is the same for every image of Q.

    Parameters
    ----------
    q0, q1, q2
        Q in fractions of the primitive reciprocal basis.
    lookup
        A `PathLookup` or `GridLookup`.
    bins, rows, distance
        Filled: shape (m,): bin, zone class, squared distance from the bin's centre (1/Å²; not of a grid).
    turn, images, offset
        None where only cells are wanted. Filled: shapes (m,), (m,), (m, 3): turn to the canonical zone, the image
        that held Q, and the position in the local frame of the bin (1/Å).
    """
    raise TypeError("find_bins is compiled into the loops that call it and cannot be called from Python")


# Chosen by type when a loop is compiled: a branch here, or arguments unpacked from a tuple, cost several times the
# search itself, because compiled code then counts a reference to every table for every event.
@overload(find_bins, jit_options={"error_model": "numpy", "nogil": True, "forceinline": True})
def _choose_search(q0, q1, q2, lookup, bins, rows, distance, turn, images, offset):  # type: ignore[no-untyped-def]
    return _find_grid_cell if lookup.instance_class is GridLookup else _find_path_bins


@numba.njit(nogil=True, forceinline=True, error_model="numpy")
def find_bins_under(  # type: ignore[no-untyped-def]
    transforms, number, q, k, lookup, bins, rows, distance, turn, images, offset
):
    """`find_bins` of the k-th row of ``q`` (n, 3), taken to fractions by one of the matrices ``transforms``."""
    x, y, z = q[k, 0], q[k, 1], q[k, 2]
    return find_bins(  # type: ignore[no-untyped-call]
        transforms[number, 0, 0] * x + transforms[number, 0, 1] * y + transforms[number, 0, 2] * z,
        transforms[number, 1, 0] * x + transforms[number, 1, 1] * y + transforms[number, 1, 2] * z,
        transforms[number, 2, 0] * x + transforms[number, 2, 1] * y + transforms[number, 2, 2] * z,
        lookup,
        bins,
        rows,
        distance,
        turn,
        images,
        offset,
    )


@numba.njit(nogil=True, forceinline=True, error_model="numpy")
def energy_bin(energy, energies):  # type: ignore[no-untyped-def]
    """Energy bin of one event, of bins (lower edge, 1 / width, number); -1 outside and for NaN."""
    minimum, inverse_width, n_energies = energies
    place = (energy - minimum) * inverse_width
    return int(place) if (place >= 0) & (place < n_energies) else -1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def classify_events(  # type: ignore[no-untyped-def]
    q_sample, energy, run, transforms, sets, energies, n_rows, n_bins, lookup, start, stop, keys, events
):
    """Find the cells of events ``start`` to ``stop``; return (next event, number of hits).

    Parameters
    ----------
    q_sample, energy, run
        Shapes (n, 3) in 1/Å, (n,) in meV, (n,).
    transforms
        Shape (n_runs, 3, 3): from Q_sample to fractions of the primitive reciprocal basis.
    sets
        Shape (n_runs,): the set of runs that each run is summed into.
    energies
        (lower edge, 1 / width, number) of the energy bins.
    n_rows, n_bins, lookup
        Size of the cell index, and the tables.
    start, stop
        Events to look at; it stops early where the buffers could overflow.
    keys, events
        Filled: shape (m,): cell ((set n_rows + row) n_bins + bin) n_energies + energy bin, and number of the event.
    """
    bins, rows, distance = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS)
    limit = len(keys) - MAX_HITS
    hits = 0
    for k in range(start, stop):
        place = energy_bin(energy[k], energies)
        if place < 0:
            continue
        if hits > limit:
            return k, hits
        found = find_bins_under(transforms, run[k], q_sample, k, lookup, bins, rows, distance, None, None, None)
        for i in range(found):
            keys[hits] = ((np.int64(sets[run[k]]) * n_rows + rows[i]) * n_bins + bins[i]) * energies[2] + place
            events[hits] = k
            hits += 1
    return stop, hits


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
        if n_parts > 1 and part_of(keys[k], n_parts) != part:
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
    sets,
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
    q_sample, energy, run, transforms, sets, energies, n_rows, n_bins, lookup
        As for `classify_events`.
    signal, error_squared, exposure
        Shape (n,): weights of the points, their variances, and their exposure.
    start
        Point to begin with; it stops early where the table is half full.
    table, sums, filled
        Keys (m,) as of `classify_events`; sums (m, 13): the three of `add_hits` and the ten of `lay_exposure`.
    """
    bins, rows = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    turn, images = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32)
    offset, distance, local = np.empty((MAX_HITS, 3)), np.empty(MAX_HITS), np.empty(3)
    limit = len(table) // 2
    for k in range(start, len(energy)):
        place = energy_bin(energy[k], energies)
        if place < 0:
            continue
        if filled + MAX_HITS > limit:
            return k, filled
        found = find_bins_under(transforms, run[k], q_sample, k, lookup, bins, rows, distance, turn, images, offset)
        s, e, weight = signal[k], error_squared[k], exposure[k]
        for i in range(found):
            key = ((np.int64(sets[run[k]]) * n_rows + rows[i]) * n_bins + bins[i]) * energies[2] + place
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


@numba.njit(nogil=True, cache=True, error_model="numpy")
def add_turned_events(  # type: ignore[no-untyped-def]
    q, energy, signal, error_squared, matrices, weights, energies, n_bins, lookup, start, table, sums, filled
):
    """Add every event under all matrices, as a background that stands still; return (next event, filled slots).

    Parameters
    ----------
    q, energy, signal, error_squared, energies, n_bins, lookup, start
        As for `add_points`.
    matrices, weights
        Shapes (k, 3, 3) and (k,): from ``q`` to fractions of the primitive reciprocal basis, and the share of each.
    table, sums, filled
        As for `lay_exposure`, with sums (m, 2) of signal and variance: what comes into a cell several times counts
        with its whole weight there.
    """
    bins, rows, distance = np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS, np.int32), np.empty(MAX_HITS)
    keys, shares = np.empty(len(matrices) * MAX_HITS, np.int64), np.empty(len(matrices) * MAX_HITS)
    limit = len(table) // 2
    for k in range(start, len(energy)):
        place = energy_bin(energy[k], energies)
        if place < 0:
            continue
        n = 0
        for r in range(len(matrices)):
            found = find_bins_under(matrices, r, q, k, lookup, bins, rows, distance, None, None, None)
            for i in range(found):
                key = (np.int64(rows[i]) * n_bins + bins[i]) * energies[2] + place
                slot = n
                for j in range(n):
                    if keys[j] == key:
                        slot = j
                        break
                if slot == n:
                    keys[n], shares[n] = key, 0.0
                    n += 1
                shares[slot] += weights[r]
        if filled + n >= limit:
            return k, filled
        for j in range(n):
            at = slot_of(table, keys[j])
            if table[at] == EMPTY:
                table[at] = keys[j]
                filled += 1
            sums[at, 0] += shares[j] * signal[k]
            sums[at, 1] += shares[j] * shares[j] * error_squared[k]
    return len(energy), filled


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
                distance,
                turn,
                images,
                offset,
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
    distance = np.empty(MAX_HITS)
    for k in range(len(q)):
        counts[k] = find_bins(  # type: ignore[no-untyped-call]
            q[k, 0], q[k, 1], q[k, 2], lookup, bins[k], rows[k], distance, None, None, None
        )
