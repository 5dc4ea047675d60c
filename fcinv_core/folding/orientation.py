"""From the UB matrix of a measurement to fractions of the crystal's primitive reciprocal basis."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcinv_core.crystal import STRAIN_TOLERANCE, Crystal, FloatArray, IntArray, map_cell, read_cell
from fcinv_core.errors import InputError

#: Largest component of a UB cell's basis vectors in the primitive basis: all standard cells stay below.
_LARGEST_INDEX = 4
#: Distortions (strain without its volume part) closer than this are the same: UB refinements agree no better.
_SAME_DISTORTION = 2e-3


@dataclass(frozen=True, eq=False)
class CellSetting:
    """How the cell that a UB matrix indexes lies in the crystal's lattice.

    Attributes
    ----------
    basis
        Shape (3, 3) integers: basis vectors of the UB's cell (rows) = basis @ primitive basis vectors, so that
        (h, k, l) of the UB = basis @ q with q in fractions of the primitive reciprocal basis.
    strain
        Largest principal strain between that cell and the structure's, dimensionless.
    ambiguous
        True if another setting, not related by the Laue class, fits the metric as well (obverse and reverse
        rhombohedral cells, say): the standard cell was then preferred.
    """

    basis: IntArray
    strain: float
    ambiguous: bool

    def from_sample(self, ub: ArrayLike) -> FloatArray:
        """Return the matrix (3, 3) that takes Q_sample (1/Å with the 2 pi) to fractions of the primitive basis.

        Parameters
        ----------
        ub
            Shape (3, 3), 1/Å without the 2 pi.
        """
        return np.asarray(np.linalg.inv(2 * np.pi * np.asarray(ub) @ self.basis))


def find_setting(
    crystal: Crystal, ub: ArrayLike, *, file_cell: IntArray | None = None, name: str = "the measurement"
) -> CellSetting:
    """Find the cell of the crystal that a UB matrix indexes, by its metric.

    The UB may belong to the conventional cell, to a primitive one, or to one with other axes, strained by a few
    per cent. Settings that differ by an operation of the Laue class are the same. Where the metric leaves
    several, the cell of the structure file is taken, then the standard conventional cell, then the primitive one.

    Parameters
    ----------
    crystal
        The structure.
    ub
        Shape (3, 3), 1/Å without the 2 pi, as in Mantid.
    file_cell
        Shape (3, 3) integers: basis vectors (rows) of the cell in the structure file, in the standard primitive
        basis (`cell_of_file`). It tells settings apart that the metric does not (quartz turned by 60 degrees).
    name
        How error messages call the measurement.

    Raises
    ------
    InputError
        If the UB is singular or no cell of the crystal fits it.
    """
    matrix = np.asarray(ub, dtype=float)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(
            f"{name} has no UB matrix", "the sample is not oriented", "index it (SetUB in Mantid) or give --ub"
        )
    cell = np.linalg.inv(matrix)  # rows a, b, c in the sample's frame, Å
    bases, stretches = _matching_bases(crystal, cell)
    if not len(bases):
        raise InputError(
            f"the UB matrix of {name} belongs to another crystal than {crystal.describe()}",
            f"its cell, {_describe(cell)}, fits no cell of that lattice within {100 * STRAIN_TOLERANCE:.1f} %",
            "give the structure and the data of one crystal",
        )
    # Thermal expansion and the choice of functional change mostly the volume: the shape tells the setting.
    shape = stretches / np.prod(stretches, axis=1, keepdims=True) ** (1 / 3)
    distortion = np.abs(shape - 1).max(axis=1)
    fitting = bases[distortion < distortion.min() + _SAME_DISTORTION]
    laue = laue_operations(crystal)
    preferred = [crystal.conventional, np.eye(3, dtype=np.int64)]
    if file_cell is not None:
        preferred.insert(0, file_cell)
    chosen = next((one for one in preferred if any(_equivalent(one, other, laue) for other in fitting)), None)
    told = file_cell is not None and chosen is file_cell
    if chosen is None:
        chosen = max(fitting, key=lambda one: (-int(np.abs(one).sum()), *one.ravel().tolist()))
    # hkl of an improper setting differ by the inversion, which every Laue class has.
    if np.linalg.det(chosen) * np.linalg.det(matrix) < 0:
        chosen = -chosen
    exact = next(k for k, one in enumerate(bases) if _equivalent(chosen, one, laue))
    return CellSetting(
        basis=np.array(chosen, dtype=np.int64),
        strain=float(np.abs(stretches[exact] - 1).max()),
        ambiguous=not told and not all(_equivalent(chosen, other, laue) for other in fitting),
    )


def cell_of_file(crystal: Crystal, path: Path) -> IntArray:
    """Return the basis vectors (rows) of the cell in a structure file as integers in the standard primitive basis.

    Raises
    ------
    InputError
        If the file cannot be read or holds another crystal.
    """
    lattice, positions, symbols, _ = read_cell(path)
    mapping = map_cell(crystal, lattice, positions, symbols, name=str(path))
    return np.rint(mapping.basis.T).astype(np.int64)


def laue_operations(crystal: Crystal) -> IntArray:
    """Return the Laue class acting on fractions q (columns) of the primitive reciprocal basis, shape (g, 3, 3).

    W^-T of every rotation part W of the space group, and the inversion: S(-Q, E) = S(Q, E) for a harmonic
    crystal of real scattering lengths, whether or not the crystal has a centre.
    """
    transposed = np.swapaxes(np.rint(np.linalg.inv(crystal.rotations)).astype(np.int64), 1, 2)
    return _unique(np.concatenate([transposed, -transposed]))


def _unique(operations: IntArray) -> IntArray:
    rows = np.unique(operations.reshape(-1, 9), axis=0).reshape(-1, 3, 3)
    identity = np.flatnonzero((rows == np.eye(3, dtype=np.int64)).all(axis=(1, 2)))
    # The identity comes first, so that it wins wherever several operations do.
    return np.concatenate([rows[identity], np.delete(rows, identity, axis=0)])


def _equivalent(first: IntArray, second: IntArray, laue: IntArray) -> bool:
    """Whether hkl of two settings differ by an operation: first @ q = second @ g q for all q."""
    return bool((first[None] == second[None] @ laue).all(axis=(1, 2)).any())


def _matching_bases(crystal: Crystal, cell: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return integer bases of the lattice that fit ``cell``, and the principal stretches of each (k, 3)."""
    span = range(-_LARGEST_INDEX, _LARGEST_INDEX + 1)
    vectors = np.array(list(itertools.product(span, repeat=3)), dtype=np.int64)
    lengths = np.linalg.norm(vectors @ crystal.lattice, axis=1)
    choices = [vectors[np.abs(lengths / np.linalg.norm(axis) - 1) < STRAIN_TOLERANCE + 1e-9] for axis in cell]
    # Inversion maps every basis to another one, so half of the first axes suffice.
    choices[0] = np.array([v for v in choices[0] if tuple(v) > (0, 0, 0)], dtype=np.int64).reshape(-1, 3)
    if not all(len(choice) for choice in choices):
        return np.empty((0, 3, 3), np.int64), np.empty((0, 3))
    metric = cell @ cell.T

    def fits(left: IntArray, right: IntArray, i: int, j: int) -> NDArray[np.bool_]:
        products = (left @ crystal.lattice) @ (right @ crystal.lattice).T
        near: NDArray[np.bool_] = np.abs(products - metric[i, j]) < 2.2 * STRAIN_TOLERANCE * np.sqrt(
            metric[i, i] * metric[j, j]
        )
        return near

    ab, ac, bc = (fits(choices[i], choices[j], i, j) for i, j in ((0, 1), (0, 2), (1, 2)))
    a, b, c = np.nonzero(ab[:, :, None] & ac[:, None, :] & bc[None, :, :])
    bases = np.stack([choices[0][a], choices[1][b], choices[2][c]], axis=1)
    bases = bases[np.abs(np.linalg.det(bases)) > 0.5]
    deformation = np.linalg.inv(cell) @ (bases @ crystal.lattice)
    stretches = np.sqrt(np.linalg.eigvalsh(np.swapaxes(deformation, 1, 2) @ deformation))
    good = np.abs(stretches - 1).max(axis=1) < STRAIN_TOLERANCE
    bases, stretches = bases[good], stretches[good]
    order = np.argsort(np.abs(stretches - 1).max(axis=1), kind="stable")
    return bases[order], stretches[order]


def _describe(cell: FloatArray) -> str:
    lengths = np.linalg.norm(cell, axis=1)
    cosines = (cell / lengths[:, None]) @ (cell / lengths[:, None]).T
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    return f"{' '.join(f'{x:.3f}' for x in lengths)} Å {' '.join(f'{x:.1f}' for x in angles)}°"
