"""Germanium and a path through its zone, which most tests of the fold use."""

from __future__ import annotations

import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.qpath import QPath, standard_path
from tests.crystals import crystal


@pytest.fixture(scope="session")
def germanium() -> Crystal:
    return crystal("Ge")


@pytest.fixture(scope="session")
def path(germanium: Crystal) -> QPath:
    return standard_path(germanium, 30)
