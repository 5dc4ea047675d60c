"""Draws that are right are called so, and draws that are too narrow are not."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.benchmark.reliability import BINS, CURVE, Reliability, chance_band, expected_coverage, reliability
from fcinv_core.networks.calibration import LEVELS, Answers


def found(claimed: float, m: int = 1500, n: int = 100) -> Reliability:
    """Truth with errors of 1 about a known centre, correlated among force constants, draws that claim less."""
    generator = np.random.default_rng(1)
    correlated = np.linalg.cholesky(np.array([[1, 0.8, 0], [0.8, 1, 0.3], [0, 0.3, 1]])).T
    centre = 3 * generator.standard_normal((m, 3))
    truth = centre + generator.standard_normal((m, 3)) @ correlated
    draws = centre[:, None] + claimed * generator.standard_normal((m, n, 3)) @ correlated
    return reliability(Answers(draws.astype(np.float32), truth.astype(np.float32)), seed=0)


def test_an_exact_posterior_is_called_calibrated() -> None:
    right = found(1.0)
    assert right.nominal == (True, True, True)
    np.testing.assert_allclose(right.pooled, LEVELS, atol=4 * np.sqrt(0.25 / 1500))
    assert right.p_values.min() > 0.001
    assert right.tarp_p_value > 0.001
    np.testing.assert_allclose(right.tarp, CURVE, atol=4 * np.sqrt(0.25 / 1500))
    np.testing.assert_allclose(right.curve, CURVE, atol=4 * np.sqrt(0.25 / 1500))
    np.testing.assert_array_equal(right.histograms.sum(axis=1), 1500)


def test_an_overconfident_one_is_not() -> None:
    narrow = found(0.6)
    assert narrow.nominal == (False, False, False)
    assert narrow.p_values.max() < 1e-10
    assert narrow.tarp_p_value < 1e-3
    assert (narrow.pooled < LEVELS).all()
    # Truths pile up outside of all draws.
    assert (narrow.histograms[:, [0, -1]] > 1.5 * 1500 / BINS).all()


def test_sampling_errors_know_that_force_constants_of_a_spectrum_err_together() -> None:
    generator = np.random.default_rng(0)
    truth = np.repeat(generator.standard_normal((400, 1)), 8, axis=1).astype(np.float32)
    draws = np.repeat(generator.standard_normal((400, 99, 1)), 8, axis=2).astype(np.float32)
    low, high = reliability(Answers(draws, truth), seed=0).pooled_interval
    # As of 400 truths, not of 3200.
    assert (high - low)[1] == pytest.approx(2 * 1.96 * np.sqrt(0.68 * 0.32 / 400), rel=0.1)


def test_expected_coverage_of_even_ranks_is_the_credibility_whatever_their_number() -> None:
    for n in (9, 10, 100):
        np.testing.assert_allclose(expected_coverage(np.arange(n + 1), n), CURVE, atol=1e-12)


def test_the_band_of_chance_holds_even_histograms() -> None:
    low, high = chance_band(500)
    counts = np.random.default_rng(0).multinomial(500, np.full(BINS, 1 / BINS), size=2000)
    assert np.mean((counts >= low) & (counts <= high)) == pytest.approx(0.99, abs=0.005)
