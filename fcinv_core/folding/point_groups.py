"""Point groups for folding: the Laue class of a structure, or what a SymmetryOperations string names."""

from __future__ import annotations

import re

import numpy as np
import spglib

from fcinv_core.crystal import Crystal, IntArray
from fcinv_core.errors import InputError
from fcinv_core.folding.orientation import laue_operations

#: Largest change of a reciprocal-lattice metric under an operation that still counts as a symmetry.
_METRIC_TOLERANCE = 2e-3
_N_HALL_NUMBERS = 530
#: Point groups whose symbol alone leaves the axes open, completed as Mantid does.
_LONG_SYMBOLS = {"32": "321", "3m": "3m1", "-3m": "-3m1"}


def folding_group(crystal: Crystal, symmetry_operations: str | None = None) -> IntArray:
    """Return the operations by which Q is folded.

    Parameters
    ----------
    crystal
        The structure.
    symmetry_operations
        As MDNorm takes it: "x,y,z;-x,-y,z", or the symbol of a point group or space group ("m-3m", "F d -3 m"),
        in the basis of the conventional cell. By default the Laue class of the structure.

    Returns
    -------
    Shape (g, 3, 3) integers, acting on q (columns) in fractions of the primitive reciprocal basis, the identity
    first.

    Raises
    ------
    InputError
        If the string is not understood, is not a group, or is not a symmetry of the lattice.
    """
    if symmetry_operations is None:
        return laue_operations(crystal)
    rotations = (
        _from_triplets(symmetry_operations) if "," in symmetry_operations else _from_symbol(symmetry_operations)
    )
    # W acts on direct fractions of the conventional cell, so W^-T acts on its (h, k, l).
    on_hkl = np.swapaxes(np.linalg.inv(rotations), 1, 2)
    conventional = crystal.conventional.astype(float)
    exact = np.linalg.inv(conventional) @ on_hkl @ conventional
    operations = np.rint(exact).astype(np.int64)
    metric = crystal.reciprocal_lattice @ crystal.reciprocal_lattice.T
    changed = np.swapaxes(operations, 1, 2) @ metric @ operations
    if (
        np.abs(exact - operations).max() > 1e-6
        or np.abs(changed - metric).max() > _METRIC_TOLERANCE * np.abs(metric).max()
    ):
        raise InputError(
            f"the symmetry operations {symmetry_operations!r} do not map the lattice onto itself",
            f"the crystal is {crystal.describe()}",
            "give operations of its lattice, or none to use the Laue class of the structure",
        )
    unique = {tuple(operation.ravel().tolist()): operation for operation in operations}
    products = {tuple((a @ b).ravel().tolist()) for a in unique.values() for b in unique.values()}
    if products != set(unique):
        raise InputError(
            f"the symmetry operations {symmetry_operations!r} are not a group",
            f"{len(unique)} operations have {len(products)} different products",
            "complete them, with x,y,z among them",
        )
    ordered = sorted(unique.values(), key=lambda one: (not np.array_equal(one, np.eye(3)), one.ravel().tolist()))
    return np.array(ordered, dtype=np.int64)


def _from_triplets(text: str) -> IntArray:
    operations = []
    for triplet in filter(None, (part.strip() for part in text.split(";"))):
        rows: list[list[int]] = []
        for term in triplet.replace(" ", "").lower().split(","):
            # Translations (+1/2) do not act on Q.
            pieces = re.findall(r"([+-]?)(?:(\d+(?:/\d+)?)|([xyzhkl]))", term)
            if not pieces or "".join("".join(piece) for piece in pieces) != term:
                rows = []
                break
            row = [0, 0, 0]
            for sign, _, letter in pieces:
                if letter:
                    row["xyzhkl".index(letter) % 3] += -1 if sign == "-" else 1
            rows.append(row)
        if len(rows) != 3 or abs(round(float(np.linalg.det(rows)))) != 1:
            raise InputError(
                f"{triplet!r} is not a symmetry operation",
                "three terms such as -x,x-y,z were expected",
                'write "x,y,z;-x,-y,z" or the symbol of a point group',
            )
        operations.append(rows)
    return np.array(operations, dtype=np.int64)


def _from_symbol(text: str) -> IntArray:
    symbol = re.sub(r"[\s_]", "", text)
    as_point_group = "P" + _LONG_SYMBOLS.get(symbol, symbol)
    for wanted in (symbol, as_point_group):
        for hall in range(1, _N_HALL_NUMBERS + 1):
            kind = spglib.get_spacegroup_type(hall)
            assert kind is not None
            # International symbols come as "C2/c = B112/n": short and full names, then other settings.
            names = {kind.international_short, kind.international_full, *kind.international.split("=")}
            if wanted in {re.sub(r"[\s_]", "", name) for name in names}:
                operations = spglib.get_symmetry_from_database(hall)
                assert operations is not None
                return np.array(operations["rotations"], dtype=np.int64)
    raise InputError(
        f"{text!r} is neither a point group nor a space group",
        "a symbol of the International Tables was expected",
        'write for example "m-3m", "F d -3 m" or "x,y,z;-x,-y,z"',
    )
