"""Options of the command line that several commands share, turned into objects of the core."""

from __future__ import annotations

import argparse

import numpy as np

from fcinv_core.crystal import IntArray
from fcinv_core.errors import InputError
from fcinv_core.spectrum import Resolution


def energy_range(arguments: argparse.Namespace) -> tuple[float, float] | None:
    """Return the ends of --energy-range, meV; None if it is not given."""
    return None if arguments.energy_range is None else tuple(arguments.energy_range)


def resolution(arguments: argparse.Namespace) -> Resolution | None:
    """Return the resolution of --fwhm; None if it is not given."""
    return None if arguments.fwhm is None else Resolution(tuple(arguments.fwhm))


def supercell(arguments: argparse.Namespace) -> IntArray | None:
    """Return phonopy's DIM of --supercell, shape (3, 3); None if it is not given."""
    if arguments.supercell is None:
        return None
    given = np.array(arguments.supercell, dtype=np.int64)
    matrix = given.reshape(3, 3) if len(given) == 9 else np.diag(given)
    if len(matrix) != 3 or round(abs(float(np.linalg.det(matrix)))) < 1:
        raise InputError(
            f"--supercell {' '.join(map(str, given))} is not a supercell",
            "3 or 9 integers that span a volume were expected",
            "give it as phonopy's DIM, such as --supercell 4 4 4",
        )
    return matrix
