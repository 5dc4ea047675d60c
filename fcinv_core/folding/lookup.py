"""Tables by which the compiled loops find the bins of a momentum transfer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray, IntArray


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
        under its little co-group that change it; the first of them leaves it as it is.
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
    corners
        Shape (n_corners, 3) integers: the corners around a grid cell that may be nearest to a point in it.
    corner_distance
        Shape (n_corners, 4): coefficients (a, b, c, d) with which a s0 + b s1 + c s2 + d is the squared distance
        (1/Å²) of a point s, in fractions of the grid cell, to the corner, less that to the origin.
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
    corners: NDArray[np.int32]
    corner_distance: FloatArray
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
