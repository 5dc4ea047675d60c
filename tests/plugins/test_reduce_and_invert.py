"""The script for people names algorithms and properties that there are."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.algorithm_calls import algorithm_calls
from tests.mantid_choice import ROOT

CALLS = algorithm_calls(ROOT / "scripts" / "reduce_and_invert.py")


@pytest.mark.parametrize(("name", "given"), CALLS, ids=[name for name, _ in CALLS])
def test_the_script_names_properties_that_there_are(simpleapi: ModuleType, name: str, given: set[str]) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.createUnmanaged(name)
    algorithm.initialize()
    assert given <= set(algorithm.orderedProperties())
    mandatory = {name for name in algorithm.orderedProperties() if algorithm.getProperty(name).isValid}
    assert mandatory <= given
