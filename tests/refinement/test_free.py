"""Amplitudes that are eliminated leave the gradient of what remains."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.prior import Prior
from fcinv_core.refinement.free import FreeModel
from fcinv_core.refinement.noise import Noise
from tests.refinement.gradients import check_gradient
from tests.refinement.test_coherent import in_zones
from tests.refinement.test_coherent_search import few_counts
from tests.refinement.test_lines import measurement


@pytest.mark.parametrize("crystal", ["aluminium_prior", "zincblende_prior"])
@pytest.mark.parametrize("per_look", [0.0, 2.0])
def test_the_gradient_is_that_of_differences(crystal: str, per_look: float, request: pytest.FixtureRequest) -> None:
    prior: Prior = request.getfixturevalue(crystal)
    rng = np.random.default_rng(2)
    data = in_zones(measurement(prior, sharp=False), rng).merged()
    model = FreeModel(data, prior)
    model.noise = Noise(data, per_look)
    parameters = np.append(prior.mean * 1.05, rng.normal(0, 0.1, len(model.names)))
    check_gradient(model, parameters, share=0.02)
    assert 0 < model.n_free_amplitudes < data.cut_bin.size * model.branches.n_modes


def test_moving_all_lines_out_of_sight_changes_nothing_more(aluminium_prior: Prior) -> None:
    """Without lines only backgrounds are left, and force constants have no say."""
    data = in_zones(measurement(aluminium_prior, sharp=False), np.random.default_rng(5)).merged()
    model = FreeModel(data, aluminium_prior)
    at = model.linearised(np.append(100 * aluminium_prior.mean, np.zeros(len(model.names))))
    n = aluminium_prior.n_force_constants
    assert not at.gradient[:n].any()
    assert not at.information[:n, :n].any()
    assert np.diag(at.information)[n + 4 :].min() > 0


def test_softer_modes_are_not_likelier_for_needing_less_amplitude(aluminium_prior: Prior) -> None:
    """Lines that move down and an energy offset that moves up leave the counts as they are."""
    data = few_counts(aluminium_prior, aluminium_prior.mean, counts=1e5, seed=4)
    model = FreeModel(data, aluminium_prior)
    model.noise = Noise(data, 60.0)
    at = model.linearised(np.append(aluminium_prior.mean, np.zeros(len(model.names))))
    n = aluminium_prior.n_force_constants
    precision = model.prior_of(aluminium_prior).precision
    precision[n + 2, n + 2] /= 400
    covariance = np.linalg.inv(at.information + precision)
    assert abs(covariance[n + 2] @ at.gradient) < 2.2 * np.sqrt(covariance[n + 2, n + 2])
