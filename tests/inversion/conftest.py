"""One inversion of the stand-ins, which most tests of the result look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from fcinv_core.folding.folded import Folded
from fcinv_core.inversion import invert as main_job
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, invert
from tests.inversion import standin


@contextlib.contextmanager
def without_refinement() -> Iterator[None]:
    """Replace the refinement by its stand-in."""

    def data(folded: Folded, *_: Any, **__: Any) -> Folded:
        return folded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main_job, "data_of_folded", data)
        patch.setattr(main_job, "refine_measurement", standin.refined_measurement)
        yield


@pytest.fixture
def refinement() -> Iterator[None]:
    with without_refinement():
        yield


@pytest.fixture(scope="session")
def inversion() -> Inversion:
    folded = standin.measurement(standin.strained(1.01))
    settings = InversionSettings(n_draws=60)
    # Only while it is made: tests of other folders run the real one.
    with without_refinement():
        return invert(
            folded, standin.all_of(folded), standin.StandInModel(), settings, provenance={"command": "test"}
        )
