"""Force constants from a table of names and values, as an inversion gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_of_pairs, bonds_within
from fcinv_core.force_constants.non_analytic import NonAnalyticTerm
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation

#: A label is a bond, whose vector stands in brackets, and a component.
_LABEL = re.compile(r"(?P<bond>\S+ \((?P<vector>[^()]+)\)) (?P<component>[xyz]{2})")


def force_constants_from_names(
    crystal: Crystal,
    values: Mapping[str, float],
    *,
    source: str,
    non_analytic: NonAnalyticTerm | None = None,
) -> ForceConstants:
    """Return the full set for values of all its independent force constants.

    Parameters
    ----------
    crystal
        The crystal.
    values
        Label (`Element.label`) to value, eV/Å². Orbits of bonds without a label carry none.
    source
        Where they come from, for people.
    non_analytic
        Dipole-dipole term of a polar crystal.

    Raises
    ------
    InputError
        If a label is not one of the crystal's, or one of an orbit's is missing.
    """
    wanted = dict(values)
    found = {label: _LABEL.fullmatch(label) for label in wanted}
    strange = next((label for label, match in found.items() if match is None), None)
    if strange is not None or not wanted:
        raise InputError(
            f"{source} does not name force constants",
            "it is empty" if strange is None else f"{strange!r} is no bond and component",
            'give labels such as "Ge1-Ge2 (0.25 0.25 0.25) xx", as `fcinv generate` lists them',
        )
    vectors = [_vector(match["vector"]) for match in found.values() if match is not None]
    reach = float(np.linalg.norm(np.array(vectors) @ crystal.conventional_lattice, axis=1).max())
    near = bonds_within(crystal, reach)
    every = Parametrisation.from_bonds(near)
    bonds = {match["bond"] for match in found.values() if match is not None}
    orbits = {one.orbit for one in every.elements if one.label.rpartition(" ")[0] in bonds}
    kept = np.isin(near.orbits[near.bond], sorted(orbits))
    parametrisation = every
    if not kept.all() and kept.any():
        parametrisation = Parametrisation.from_bonds(
            bonds_of_pairs(crystal, near.first[kept], near.second[kept], near.cells[kept])
        )
    known = set(parametrisation.labels)
    for odd, what in ((set(wanted) - known, "is no force constant of"), (known - set(wanted), "has no value for")):
        if odd:
            raise InputError(
                f"{source} does not belong to {crystal.describe()}",
                f"{min(odd)!r} {what} it",
                "give all force constants of one crystal",
            )
    size = 2 * int(np.abs(parametrisation.cells).max()) + 1
    empty = ForceConstants(
        crystal=crystal,
        first=parametrisation.first,
        second=parametrisation.second,
        cells=parametrisation.cells,
        tensors=np.zeros((len(parametrisation.first), 3, 3)),
        supercell=size * np.eye(3, dtype=np.int64),
        non_analytic=non_analytic,
        source=source,
    )
    ordered = np.array([wanted[label] for label in parametrisation.labels])
    return parametrisation.force_constants(ordered, empty, source)


def _vector(text: str) -> FloatArray:
    parts = text.split()
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise InputError(
            f"({text}) is no bond vector",
            "three fractions of the conventional axes were expected",
            "check the label",
        )
    return np.array(numbers)
