"""Corrections and tables of calibration, on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from fcinv_core.networks.calibration import (
    Answers,
    conformal_factor,
    corrected,
    coverage_table,
    scores,
)
from fcinv_core.networks.heads import GaussianHead


def answers(spread: float, seed: int, m: int = 2000) -> Answers:
    """Truth with an error of 1 about the centre, draws that claim ``spread``."""
    generator = np.random.default_rng(seed)
    centre = generator.standard_normal((m, 3)) * 5
    truth = centre + generator.standard_normal((m, 3))
    draws = centre[:, None] + spread * generator.standard_normal((m, 200, 3))
    return Answers(draws.astype(np.float32), truth.astype(np.float32))


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_the_correction_makes_intervals_hold_their_share_on_new_data(spread: float) -> None:
    factor = conformal_factor(answers(spread, seed=1))
    np.testing.assert_allclose(factor, 1 / spread, rtol=0.08)
    table = coverage_table(answers(spread, seed=2), factor)
    for level, found in table.items():
        # Four standard errors of a share of 2000, twice: of the correction and of the test.
        tolerance = 4 * np.sqrt(2 * float(level) * (1 - float(level)) / 2000)
        np.testing.assert_allclose(found, float(level), atol=tolerance + 0.01)


def test_the_correction_keeps_means_and_correlations() -> None:
    draws = np.random.default_rng(0).multivariate_normal([1, 2], [[1, 0.9], [0.9, 1]], (4, 500)).astype(np.float32)
    moved = corrected(draws, np.array([2.0, 0.5]))
    np.testing.assert_allclose(moved.mean(axis=1), draws.mean(axis=1), atol=1e-5)
    for one, other in zip(draws, moved, strict=True):
        assert np.corrcoef(other.T)[0, 1] == pytest.approx(np.corrcoef(one.T)[0, 1], abs=1e-5)


def test_scores_of_a_perfect_and_of_an_ignorant_network() -> None:
    truth = np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32)
    perfect = Answers(np.repeat(truth[:, None], 3, axis=1), truth)
    ignorant = Answers(np.zeros((500, 3, 2), np.float32), truth - truth.mean(axis=0))
    np.testing.assert_allclose(scores(perfect)[0], 1, atol=1e-6)
    np.testing.assert_allclose(scores(perfect)[1], 0, atol=1e-6)
    np.testing.assert_allclose(scores(ignorant)[0], 0, atol=1e-6)
    np.testing.assert_allclose(scores(ignorant)[1], np.abs(ignorant.truth).mean(axis=0), rtol=1e-5)


def test_the_gaussian_head_has_the_density_of_scipy_and_draws_from_it() -> None:
    torch.manual_seed(0)
    head = GaussianHead(5, 4, 16, rank=2)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    features, values = torch.randn(1, 5), torch.randn(1, 4)
    with torch.no_grad():
        mean, sigma, factor = (x[0].double().numpy() for x in head(features))
        density = float(head.log_density(features, values))
        draws = head.draw(features.expand(40_000, 5), torch.Generator().manual_seed(1)).numpy()
    covariance = np.diag(sigma**2) + factor @ factor.T
    assert density == pytest.approx(multivariate_normal(mean, covariance).logpdf(values[0].numpy()), abs=1e-4)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())
