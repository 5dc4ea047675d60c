"""Bootstrap intervals are as wide as theory says and hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.benchmark.bootstrap import LEVEL, RESAMPLED, interval, resampled, weights_of
from fcinv_core.networks.calibration import Answers, scores


def test_weights_are_how_often_each_number_occurs() -> None:
    numbers = resampled(7, seed=1)
    assert numbers.shape == (RESAMPLED, 7)
    weights = weights_of(numbers)
    np.testing.assert_array_equal(weights.sum(axis=1), 7)
    for row, found in zip(numbers[:20], weights[:20], strict=True):
        np.testing.assert_array_equal(found, [(row == k).sum() for k in range(7)])


def test_the_same_spectra_are_drawn_again_for_every_network() -> None:
    np.testing.assert_array_equal(resampled(30, seed=5), resampled(30, seed=5))
    assert (resampled(30, seed=5) != resampled(30, seed=6)).any()


def test_intervals_of_a_mean_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    weights = weights_of(resampled(80, seed=0)) / 80
    held = []
    for _ in range(400):
        low, high = interval(weights @ generator.standard_normal(80))
        held.append(low <= 0 <= high)
    # Four standard errors; the bootstrap of 80 is narrow by 1 %.
    assert np.mean(held) == pytest.approx(LEVEL, abs=4 * np.sqrt(LEVEL * (1 - LEVEL) / 400))


def test_intervals_of_r2_are_as_wide_as_r2_scatters() -> None:
    generator = np.random.default_rng(1)

    def answers(m: int) -> Answers:
        truth = generator.standard_normal((m, 1)).astype(np.float32)
        return Answers((truth + 0.5 * generator.standard_normal((m, 1)))[:, None].astype(np.float32), truth)

    scatter = np.std([scores(answers(200))[0][0] for _ in range(400)])
    widths = []
    for _ in range(10):
        low, high = interval(scores(answers(200), weights_of(resampled(200, seed=2)))[0])
        widths.append((high - low)[0] / (2 * 1.96))
    assert np.mean(widths) == pytest.approx(scatter, rel=0.15)
