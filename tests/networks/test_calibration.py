"""Corrections and tables of calibration, on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from fcinv_core.networks.calibration import (
    Answers,
    conformal_factor,
    corrected,
    coverage_table,
    distance_ranks,
    inside,
    random_references,
    rank_histogram,
    ranks,
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


def test_weights_count_samples_as_often_as_they_say() -> None:
    given = answers(1.0, seed=3, m=30)
    weights = np.random.default_rng(0).integers(0, 4, (5, 30)).astype(float)
    for row, r2, error in zip(weights, *scores(given, weights), strict=True):
        places = np.repeat(np.arange(30), row.astype(int))
        expected = scores(Answers(given.draws[places], given.truth[places]))
        np.testing.assert_allclose([r2, error], expected, rtol=1e-5)


@pytest.mark.parametrize("n", [20, 99])
def test_intervals_of_few_right_draws_hold_their_share(n: int) -> None:
    generator = np.random.default_rng(n)
    right = Answers(
        *(generator.standard_normal(shape).astype(np.float32) for shape in ((20_000, n, 1), (20_000, 1)))
    )
    for level in (0.5, 0.68, 0.9):
        assert inside(right, level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 20_000))


@pytest.mark.parametrize("claimed", [1.0, 0.5])
def test_ranks_are_those_of_gaussians(claimed: float) -> None:
    given = answers(claimed, seed=5, m=4000)
    found = ranks(given)[:, 0]
    # The truth lies below the quantile u of the draws with probability Φ(claimed Φ⁻¹(u)).
    for u in (0.1, 0.3, 0.5, 0.8):
        assert np.mean(found < 200 * u) == pytest.approx(norm.cdf(claimed * norm.ppf(u)), abs=0.03)
    p_value = rank_histogram(found, 200, 10)[1]
    assert p_value > 1e-3 if claimed == 1 else p_value < 1e-12


@pytest.mark.parametrize("claimed", [1.0, 0.5])
def test_ranks_of_distances_are_those_of_gaussians(claimed: float) -> None:
    one = answers(claimed, seed=6, m=4000)
    single = one.of([1])
    # From far to the left, distance is the coordinate itself.
    np.testing.assert_array_equal(distance_ranks(single, np.full((4000, 1), -1e3)), ranks(single)[:, 0])
    # From the centre, half the truths of a Gaussian in three dimensions lie beyond the median of χ².
    centre = one.draws.mean(axis=1).astype(float)
    outside = np.mean(distance_ranks(one, centre) >= 100)
    assert outside == pytest.approx(0.5 if claimed == 1 else 0.9, abs=0.04)


def test_references_lie_in_the_box_of_the_truths_and_do_not_know_them() -> None:
    truth = np.random.default_rng(0).normal([0, 5], [1, 0.1], (5000, 2)).astype(np.float32)
    points = random_references(truth, np.random.default_rng(1))
    assert (points >= truth.min(axis=0)).all()
    assert (points <= truth.max(axis=0)).all()
    assert np.abs(np.corrcoef(points.T, truth.T)[:2, 2:]).max() < 0.06


def test_even_ranks_are_called_even_whatever_the_number_of_bins() -> None:
    for n, bins in ((99, 10), (100, 10), (37, 8)):
        counts, p_value = rank_histogram(np.tile(np.arange(n + 1), 50), n, bins)
        assert counts.sum() == 50 * (n + 1)
        assert p_value == pytest.approx(1)
    assert rank_histogram(np.zeros(100, dtype=int), 99, 10)[1] < 1e-100


def test_the_gaussian_head_has_the_density_of_scipy_and_draws_from_it() -> None:
    torch.manual_seed(0)
    head = GaussianHead(5, 4, 16, rank=2)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    features, values = torch.randn(1, 5), torch.randn(1, 4)
    with torch.no_grad():
        mean, sigma, factor = (x[0].double().numpy() for x in head(features))
        density = float(head.log_density(features, values))
        alike = float(head.log_density_alike(features, values))
        some = [x[0].numpy() for x in head.moments(features, [3, 1])]
        draws = head.draw(features.expand(40_000, 5), torch.Generator().manual_seed(1)).numpy()
    covariance = np.diag(sigma**2) + factor @ factor.T
    assert density == pytest.approx(multivariate_normal(mean, covariance).logpdf(values[0].numpy()), abs=1e-4)
    one_variance = multivariate_normal(mean, (sigma**2).mean() * np.eye(4))
    assert alike == pytest.approx(one_variance.logpdf(values[0].numpy()), abs=1e-4)
    np.testing.assert_allclose(some[0], mean[[3, 1]], rtol=1e-5)
    np.testing.assert_allclose(some[1], covariance[np.ix_([3, 1], [3, 1])], rtol=1e-4)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())
