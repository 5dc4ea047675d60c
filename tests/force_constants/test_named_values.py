"""A table of names and values is as good as the file it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_of_pairs
from fcinv_core.force_constants.named_values import force_constants_from_names
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.qpath import standard_path

_WHERE = {"ge_dft": "FORCE_CONSTANTS", "nb_castep": "FORCE_CONSTANTS.gz"}


def named(folder: Path, file: str) -> tuple[Crystal, ForceConstants, dict[str, float]]:
    """A crystal, its force constants, and their independent values by name."""
    crystal = read_structure(folder / "POSCAR")
    fcs = read_force_constants(folder / file, crystal, structure=folder / "POSCAR")
    parametrisation = Parametrisation.from_bonds(bonds_of_pairs(crystal, fcs.first, fcs.second, fcs.cells))
    values = parametrisation.project(fcs).values
    return crystal, fcs, dict(zip(parametrisation.labels, values.tolist(), strict=True))


@pytest.mark.parametrize("name", sorted(_WHERE))
def test_energies_are_those_of_the_file(name: str, shared_data: Path) -> None:
    crystal, fcs, values = named(shared_data / name, _WHERE[name])
    rebuilt = force_constants_from_names(crystal, values, source="table")
    q = standard_path(crystal, 60).q
    # What the projection removes: breaches of symmetry and of the sum rule in the file's digits.
    np.testing.assert_allclose(mode_energies(rebuilt, q), mode_energies(fcs, q), atol=0.02)


def test_other_names_are_refused_in_a_sentence(shared_data: Path) -> None:
    crystal, _, values = named(shared_data / "ge_dft", "FORCE_CONSTANTS")
    niobium = read_structure(shared_data / "nb_castep" / "POSCAR")
    with pytest.raises(InputError, match="is no force constant of"):
        force_constants_from_names(niobium, values, source="table")
    first = next(iter(values))
    few = {label: value for label, value in values.items() if label != first}
    with pytest.raises(InputError, match="has no value for"):
        force_constants_from_names(crystal, few, source="table")
    with pytest.raises(InputError, match="'FC0' is no bond"):
        force_constants_from_names(crystal, {"FC0": 1.0}, source="table")
    with pytest.raises(InputError, match="it is empty"):
        force_constants_from_names(crystal, {}, source="table")
    with pytest.raises(InputError, match="three fractions"):
        force_constants_from_names(crystal, {"Ge1-Ge2 (0.25 0.25) xx": 1.0}, source="table")
