"""Small crystals to refine, and their priors."""

from __future__ import annotations

import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.force_constants.phonopy_files import from_phonopy
from fcinv_core.prior import Prior, prior_from_members
from tests.crystals import CELLS, bonded_phonopy
from tests.ensembles import aluminium_ensemble


@pytest.fixture(scope="session")
def aluminium_prior() -> Prior:
    """Fcc aluminium held by springs: one atom, a centre of inversion."""
    return prior_from_members(aluminium_ensemble())


@pytest.fixture(scope="session")
def zincblende_prior() -> Prior:
    """Zincblende: two kinds of atoms, no centre of inversion, so that matrices are complex in every basis."""
    fcs = from_phonopy(bonded_phonopy(CELLS["ZnS"], [2, 2, 2]), Crystal.from_cell(*CELLS["ZnS"]), source="springs")
    return prior_from_members([fcs], spread=0.1)
