"""Priors that the counts choose, against marginal likelihoods by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, t

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior, floor_sigma
from fcinv_core.refinement.evidence import DEGREES, heavy_tailed, likeliest_width, log_evidence, narrowed
from fcinv_core.refinement.scoring import GaussianPrior, Linearised, Maximum


def observed(values: FloatArray, sigma: FloatArray) -> Maximum:
    """Parameters that were measured directly, each with its error; linearised elsewhere."""
    at = values + 0.7 * sigma
    information = np.diag(1 / sigma**2)
    point = Linearised(
        float(0.5 * (((at - values) / sigma) ** 2).sum()),
        (at - values) / sigma**2,
        information,
        information,
        information[None],
        information,
    )
    return Maximum(at, point, 0.0, True, 1)


def test_a_narrowed_prior_keeps_what_the_ensemble_spreads(aluminium_prior: Prior) -> None:
    prior = aluminium_prior
    wide = GaussianPrior(np.append(prior.mean, 0.0), np.append(prior.sigma, 7.0))
    narrow = narrowed(prior, wide, 0.25)
    distance = np.array([prior.parametrisation.elements[k].distance for k in prior.order])
    spread = 2 * np.array([m.values for m in prior.members if m.stability.stable]).std(axis=0, ddof=1)
    above = prior.sigma > floor_sigma(distance) * 1.001
    np.testing.assert_array_equal(narrow.sigma[:-1][above], prior.sigma[above])
    assert (narrow.sigma[:-1] >= np.minimum(spread, prior.sigma) * (1 - 1e-12)).all()
    assert (narrow.sigma[:-1] < prior.sigma).any()
    assert narrow.sigma[-1] == 7.0
    np.testing.assert_array_equal(narrowed(prior, wide, 1.0).sigma, wide.sigma)


def test_the_evidence_is_that_of_a_gaussian_marginal() -> None:
    """y = x + noise of variance 0.5: y is Gaussian about the prior mean with the sum of the variances."""
    y, variance, mean, at = 2.0, 0.5, 0.3, 1.1
    one = np.ones((1, 1))
    point = Linearised(
        0.5 * (at - y) ** 2 / variance, np.array([(at - y) / variance]), one / variance, one, one, one
    )
    values = []
    for sigma in (0.4, 1.0, 3.0):
        prior = GaussianPrior(np.array([mean]), np.array([sigma]))
        found = Maximum(np.array([at]), point, 0.0, True, 1)
        exact = -0.5 * (y - mean) ** 2 / (variance + sigma**2) - 0.5 * np.log(variance + sigma**2)
        values.append(log_evidence(prior, found) - exact)
    np.testing.assert_allclose(values, values[0], atol=1e-12)


@pytest.mark.parametrize("y", [0.0, 2.0, 6.0])
def test_heavy_tails_have_nearly_the_evidence_of_the_integral(y: float) -> None:
    scale, error = 0.8, 0.5
    prior, found = GaussianPrior(np.zeros(1), np.array([scale])), observed(np.array([y]), np.array([error]))
    gaussian = norm.logpdf(y, 0.0, np.hypot(scale, error))
    exact, _ = quad(lambda x: t.pdf(x / scale, DEGREES) / scale * norm.pdf(y, x, error), -20, 20, points=[0.0, y])
    wide, evidence = heavy_tailed(prior, found, 1)
    excess = evidence - log_evidence(prior, found) - (np.log(exact) - gaussian)
    assert -0.25 < excess < 1e-6
    # The precision's expectation, with the posterior of the Gaussian that stands for t.
    variance = 1 / (1 / error**2 + 1 / wide.sigma[0] ** 2)
    square = ((variance * y / error**2) ** 2 + variance) / scale**2
    assert wide.sigma[0] ** 2 == pytest.approx(scale**2 * (DEGREES + square) / (DEGREES + 1), rel=1e-2)


def test_parameters_of_the_measurement_keep_their_prior() -> None:
    prior, found = GaussianPrior(np.zeros(3), np.ones(3)), observed(np.array([6.0, 0.1, 6.0]), np.full(3, 0.1))
    wide, _ = heavy_tailed(prior, found, 2)
    assert wide.sigma[0] > 2.0
    assert wide.sigma[1] < 1.0
    assert wide.sigma[2] == 1.0


@pytest.mark.parametrize("outliers", [0, 2])
def test_tails_are_heavy_where_few_force_constants_are_far_off(aluminium_prior: Prior, outliers: int) -> None:
    prior = aluminium_prior
    gaussian = GaussianPrior(prior.mean, prior.sigma)
    off = norm.ppf((np.arange(len(prior.mean)) + 0.5) / len(prior.mean))
    off = np.random.default_rng(0).permutation(off)
    off[:outliers] = 8.0
    chosen = likeliest_width(prior, gaussian, observed(prior.mean + off * prior.sigma, 0.01 * prior.sigma))
    assert chosen.heavy == (outliers > 0)
    if not outliers:
        np.testing.assert_array_equal(chosen.gaussian.sigma, narrowed(prior, gaussian, chosen.share).sigma)
        assert chosen.share == 1.0
    else:
        assert (chosen.gaussian.sigma[:outliers] > 2 * prior.sigma[:outliers]).all()
