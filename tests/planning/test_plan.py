"""A plan continues a measurement: it takes counts and temperature from it, and gains less than a fresh start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.instrument import find_instrument, resolution
from fcinv_core.planning.candidates import Geometry, energy_grid
from fcinv_core.planning.information import RunInformation
from fcinv_core.planning.knowledge import Knowledge, knowledge_of_result
from fcinv_core.planning.plan import PlanSettings, make_plan, together
from fcinv_core.planning.wanted import dispersion
from fcinv_core.spectrum import Resolution

SETTINGS = PlanSettings(psi=(0.0, 40.0, 20.0), n_runs=2, points=16)
RESOLUTIONS = [(60.0, resolution(find_instrument("ARCS"), 60.0))]


def test_a_plan_continues_a_measurement(result: Path, geometry: Geometry) -> None:
    known = knowledge_of_result(result, 2)
    wanted = dispersion(known.prior, known.draws)
    plan = make_plan(known, geometry, RESOLUTIONS, wanted, SETTINGS)
    assert known.counts is not None
    assert plan.counts.mean() == pytest.approx(known.counts)
    fresh = wanted.error(np.repeat(np.diag(known.prior.sigma**-2.0)[None], 2, axis=0))
    assert plan.errors[0] == pytest.approx(wanted.error(np.repeat(known.precision[None], 2, axis=0)))
    assert plan.errors[0] < 0.3 * fresh
    assert (np.diff(plan.errors) < 0).all()
    assert plan.errors[1] == plan.ranking.min() <= min(plan.spread[1], plan.sweep[1])
    assert any("20 K" in sentence for sentence in plan.assumptions)


def test_nothing_is_planned_for_a_precision_that_is_reached(result: Path, geometry: Geometry) -> None:
    known = knowledge_of_result(result, 1)
    settings = PlanSettings(psi=(0.0, 0.0, 1.0), precision=10.0, points=16)
    plan = make_plan(known, geometry, RESOLUTIONS, dispersion(known.prior, known.draws), settings)
    assert len(plan.sequence) == 0
    assert plan.minutes_needed == 0.0
    assert "reached already" in plan.headline


def test_incident_energies_share_force_constants_only() -> None:
    rng = np.random.default_rng(0)
    n, m = 3, 2
    parts = []
    for _ in range(2):
        rows = rng.standard_normal((1, 2, 8, n + m))
        parts.append(RunInformation(rows.swapaxes(-1, -2) @ rows, np.ones((1, 2)), np.array([0.5, 0.1])))
    start, information = together(np.eye(n), parts)
    np.testing.assert_allclose(np.diag(start), [1, 1, 1, 4, 100, 4, 100])
    first, second = information[0, 0], information[0, 2]
    np.testing.assert_array_equal(first[: n + m, : n + m], parts[0].matrices[0, 0])
    assert not first[n + m :].any()
    assert not second[n : n + m].any()
    np.testing.assert_array_equal(second[n + m :, :n], parts[1].matrices[0, 0][n:, :n])


def test_counts_and_temperature_must_be_known(known: Knowledge, geometry: Geometry) -> None:
    wanted = dispersion(known.prior, known.draws)
    with pytest.raises(InputError, match="counts of a run are not known"):
        make_plan(known, geometry, RESOLUTIONS, wanted, SETTINGS)


def test_a_resolution_wider_than_the_modes_is_refused() -> None:
    with pytest.raises(InputError, match="resolves nothing"):
        energy_grid(500.0, Resolution((20.0,)), 40.0)
