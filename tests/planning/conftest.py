"""Aluminium on coarse detectors, and the folder of an inversion of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.events import ub_from_vectors
from fcinv_core.instrument import find_instrument
from fcinv_core.inversion import invert as main_job
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, invert
from fcinv_core.inversion.results import write_result
from fcinv_core.planning.candidates import Geometry
from fcinv_core.planning.knowledge import Knowledge, knowledge_of_prior
from fcinv_core.virtual_experiment.planning import pixels
from tests.inversion import standin


@pytest.fixture(scope="session")
def known() -> Knowledge:
    """What the prior of aluminium knows."""
    return knowledge_of_prior(standin.prior(), 2)


@pytest.fixture(scope="session")
def geometry() -> Geometry:
    """ARCS with large pixels; a fourfold axis of the crystal is vertical."""
    detectors, _ = pixels(find_instrument("ARCS"), 8.0)
    return Geometry(detectors, ub_from_vectors(standin.prior().crystal.cell_parameters, (1, 0, 0), (0, 1, 0)))


@pytest.fixture(scope="session")
def inverted() -> Inversion:
    """An inversion of one run, by the stand-ins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main_job, "data_of_folded", lambda folded, *rest, **named: folded)
        patch.setattr(main_job, "refine_measurement", standin.refined_measurement)
        folded = standin.measurement(standin.strained(1.01))
        settings = InversionSettings(n_draws=40)
        return invert(folded, standin.all_of(folded), standin.StandInModel(), settings)


@pytest.fixture(scope="session")
def result(inverted: Inversion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    return write_result(inverted, tmp_path_factory.mktemp("plan") / "result")
