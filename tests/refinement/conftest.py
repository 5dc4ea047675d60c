"""A small crystal to refine: fcc aluminium held by springs, and its prior."""

from __future__ import annotations

import pytest

from fcinv_core.prior import Prior, prior_from_members
from tests.ensembles import aluminium_ensemble


@pytest.fixture(scope="session")
def aluminium_prior() -> Prior:
    return prior_from_members(aluminium_ensemble())
