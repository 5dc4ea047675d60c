"""Bins along a path: boxes centred on its points, and all their images in the unit cell."""

from __future__ import annotations

import itertools

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.binning import Binning, Bins, list_voxels
from fcinv_core.folding.lookup import PathLookup
from fcinv_core.folding.zones import FRACTION_TOLERANCE, classify_zones
from fcinv_core.qpath import QPath

#: Pieces of the unit cell along each axis: smaller than a tube of 0.1 1/Å for lattices of a few Å.
VOXELS = 48


def path_bins(
    crystal: Crystal,
    path: QPath,
    widths: tuple[float, float],
    group: IntArray,
    q_max: float,
    *,
    voxels: int = VOXELS,
) -> Binning:
    """Put a box around every point of a path.

    Along the path a box reaches half-way to the neighbouring points, and as far beyond the end of a segment, so
    that the point is its centre. Across, it is ``widths`` wide along two Cartesian directions u and v of the
    segment (`transverse_axes`), together with its images under the little co-group of the segment.

    Parameters
    ----------
    crystal
        The structure.
    path
        Points along straight segments.
    widths
        Full widths along u and v, 1/Å.
    group
        Shape (g, 3, 3): folding operations (`folding_group`).
    q_max
        Largest |Q| that can occur, 1/Å.
    voxels
        Divisions of the unit cell in the look-up table; it changes the speed, not the result.

    Raises
    ------
    InputError
        If the widths are not positive or wider than the zone.
    """
    reciprocal = crystal.reciprocal_lattice
    shortest = float(np.linalg.norm(reciprocal, axis=1).min())
    if not all(0 < width < shortest for width in widths):
        raise InputError(
            f"bins {widths[0]:g} and {widths[1]:g} 1/Å wide",
            f"widths between 0 and the shortest reciprocal lattice vector, {shortest:.3f} 1/Å, were expected",
            "choose about 0.1 1/Å",
        )
    cartesian = path.q @ reciprocal
    numbers = np.unique(path.segment)
    members = [np.flatnonzero(path.segment == number) for number in numbers]
    steps = _steps(path, cartesian, members)
    frames, turns = [], []
    for points in members:
        axes = transverse_axes(crystal, path.q[points[0]], path.direction[points[0]], group)
        frames.append(axes)
        turns.append(
            _cross_section_turns(crystal, path.q[points[0]], path.direction[points[0]], axes, group, widths)
        )
    half = np.array(widths) / 2
    # The cross-section with its turned images lies within the circle about the box.
    radius = [float(np.hypot(*half)) if len(turn) > 1 else None for turn in turns]

    maps, segments, operations, centre, reach = [], [], [], [], []
    for s, points in enumerate(members):
        n = len(points)
        across = half if radius[s] is None else np.full(2, radius[s])
        seen: set[tuple[int, ...]] = set()
        to_local = frames[s] @ reciprocal.T  # fractions -> local frame, 1/Å
        box_centre = np.array([(n - 1) / 2 * steps[s], 0.0, 0.0])
        box_reach = np.array([n / 2 * steps[s], across[0], across[1]])
        corners = np.array(list(itertools.product((-1, 1), repeat=3))) * box_reach + box_centre
        tube = path.q[points[0]] + corners @ np.linalg.inv(to_local).T
        for g in group:
            inverse = np.rint(np.linalg.inv(g)).astype(np.int64)
            # q' = g q + K lies in the tube for q in g^-1 (tube - K): which K bring that into the unit cell?
            for shift in _shifts_into_cell(tube @ inverse.T):
                k = -(g @ shift)
                origin = inverse @ (path.q[points[0]] - k)
                step = inverse @ (path.q[points[-1]] - path.q[points[0]] if n > 1 else path.direction[points[0]])
                # Images that coincide differ by an operation that fixes the segment: one of them stands for all.
                key = tuple(np.rint(np.concatenate([origin, step]) / FRACTION_TOLERANCE).astype(int).tolist())
                if key in seen:
                    continue
                seen.add(key)
                linear = to_local @ g
                constant = to_local @ (k - path.q[points[0]])
                affine = np.concatenate([linear, constant[:, None]], axis=1)
                maps.append(affine.ravel())
                segments.append(s)
                operations.append(np.concatenate([g.ravel(), k]))
                centre.append(box_centre)
                reach.append(box_reach)
    image_map = np.array(maps)
    voxel_start, voxel_images = list_voxels(voxels, image_map, np.array(centre), np.array(reach))
    segment_of_point = np.searchsorted(numbers, path.segment)
    classes = classify_zones(crystal, group, path.q, np.array(frames), segment_of_point.tolist(), q_max)
    lookup = PathLookup(
        voxels=voxels,
        voxel_start=voxel_start,
        voxel_images=voxel_images,
        image_map=image_map,
        image_segment=np.array(segments, dtype=np.int32),
        image_operation=np.array(operations, dtype=np.int32),
        first_bin=np.array([points[0] for points in members], dtype=np.int32),
        n_points=np.array([len(points) for points in members], dtype=np.int32),
        step=np.array(steps),
        inverse_step=1 / np.array(steps),
        half_widths=half,
        frame_start=np.concatenate([[0], np.cumsum([len(turn) for turn in turns])]).astype(np.int32),
        frames=np.concatenate(turns),
        table_of_bin=classes.table_of_bin,
        row=classes.row,
        turn=classes.turn,
        turns=classes.turns,
        extent=classes.extent,
    )
    full = np.array([[steps[s], *widths] for s in segment_of_point])
    bins = Bins(
        crystal=crystal,
        group=group,
        q=path.q,
        axes=np.array(frames)[segment_of_point],
        widths=full,
        weight=np.ones(path.n_points),
        path=path,
        divisions=None,
    )
    return Binning(bins=bins, classes=classes, lookup=lookup, q_max=q_max)


def transverse_axes(crystal: Crystal, q: FloatArray, direction: FloatArray, group: IntArray) -> FloatArray:
    """Return the Cartesian frame of a segment: unit vectors (rows) along it, u and v, shape (3, 3).

    u is the normal of a mirror plane that holds the segment, if its little co-group has one (of several, the one
    whose normal is nearest to z, then y, then x); else the Cartesian direction of the conventional c axis, or of a
    where c is along the segment, made perpendicular. v = along × u. All in 1/Å, so right for any lattice.
    """
    along = direction @ crystal.reciprocal_lattice
    along = along / np.linalg.norm(along)
    columns = crystal.reciprocal_lattice.T
    normals = []
    for g in _fixing(crystal, q, direction, group):
        matrix = columns @ g @ np.linalg.inv(columns)
        if np.linalg.det(matrix) < 0 and abs(np.trace(matrix) - 1) < 1e-6:
            # A mirror is 1 - 2 n n^T.
            square = (np.eye(3) - matrix) / 2
            normal = square[:, np.argmax(np.diag(square))]
            normals.append(normal / np.linalg.norm(normal))
    if normals:
        best = max(normals, key=lambda n: tuple(np.round(np.abs(n[::-1]), 6)))
        sign = np.sign(best[np.flatnonzero(np.abs(best) > 1e-6)[-1]])
        u = sign * best
    else:
        cell = crystal.conventional_lattice
        c, a = cell[2] / np.linalg.norm(cell[2]), cell[0] / np.linalg.norm(cell[0])
        u = c if abs(c @ along) < 0.999 else a
    u = u - (u @ along) * along
    u = u / np.linalg.norm(u)
    return np.array([along, u, np.cross(along, u)])


def _fixing(crystal: Crystal, q: FloatArray, direction: FloatArray, group: IntArray) -> IntArray:
    """Operations that leave every point of a segment where it is, up to a reciprocal lattice vector."""
    length = float(np.abs(direction).max())
    moved = group @ q - q
    same_point = np.abs(moved - np.rint(moved)).max(axis=1) < FRACTION_TOLERANCE
    same_direction = np.abs(group @ direction - direction).max(axis=1) < FRACTION_TOLERANCE * max(length, 1.0)
    return np.asarray(group[same_point & same_direction])


def _cross_section_turns(
    crystal: Crystal,
    q: FloatArray,
    direction: FloatArray,
    axes: FloatArray,
    group: IntArray,
    widths: tuple[float, float],
) -> FloatArray:
    """(cos, sin) of the turns of the rectangle across a segment that its little co-group adds to it."""
    columns = crystal.reciprocal_lattice.T
    angles = [0.0]
    # A rectangle comes back after half a turn, a square after a quarter.
    period = np.pi / 2 if np.isclose(widths[0], widths[1]) else np.pi
    for g in _fixing(crystal, q, direction, group):
        matrix = axes[1:] @ (columns @ g @ np.linalg.inv(columns)) @ axes[1:].T
        # A reflection turns the axis u as well; the rectangle is its own mirror image.
        angle = float(np.arctan2(matrix[1, 0], matrix[0, 0])) % period
        if all(min(abs(angle - a), period - abs(angle - a)) > 1e-6 for a in angles):
            angles.append(angle)
    return np.array([[np.cos(a), np.sin(a)] for a in angles])


def _steps(path: QPath, cartesian: FloatArray, members: list[IntArray]) -> list[float]:
    """Distance of the points of each segment, 1/Å; a corner belongs to the segment that follows."""
    steps = []
    for s, points in enumerate(members):
        if len(points) > 1:
            steps.append(float(np.linalg.norm(cartesian[points[-1]] - cartesian[points[0]])) / (len(points) - 1))
        else:
            other = members[s + 1][0] if s + 1 < len(members) else members[s - 1][-1]
            steps.append(float(np.linalg.norm(cartesian[other] - cartesian[points[0]])))
    return steps


def _shifts_into_cell(corners: FloatArray) -> list[IntArray]:
    """Integer translations that bring a parallelepiped, given by corners (8, 3), over the unit cell [0, 1]^3."""
    low = np.ceil(-corners.max(axis=0) - 1e-9).astype(int)
    high = np.floor(1 - corners.min(axis=0) + 1e-9).astype(int)
    return [
        np.array(shift) for shift in itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
    ]
