"""Measurements that no network was trained for are what they are called, and ROC curves are those of theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fcinv_core.benchmark.detection import detection, emptied, energies_out_of_range, with_spurion
from fcinv_core.training_set import T_RANGE, TrainingSet


def test_the_area_is_that_of_two_gaussians() -> None:
    generator = np.random.default_rng(0)
    usual, unusual = generator.standard_normal(3000), generator.standard_normal(3000) + 1.0
    one = detection({"misfit": usual}, {"misfit": unusual}, {"misfit": 2.0})
    assert one.areas["misfit"] == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.02)
    assert one.areas["all"] == pytest.approx(one.areas["misfit"], abs=0.01)
    assert one.flagged == pytest.approx(norm.sf(1.0), abs=0.03)
    np.testing.assert_allclose(one.detected, norm.sf(norm.isf(np.clip(one.alarms, 1e-9, 1)) - 1), atol=0.05)


def test_either_sign_is_enough() -> None:
    generator = np.random.default_rng(1)
    usual = {sign: generator.random(400) for sign in ("misfit", "spread")}
    unusual = {"misfit": np.zeros(50), "spread": np.full(50, 2.0)}
    one = detection(usual, unusual, {"misfit": 0.99, "spread": np.inf})
    assert one.areas["misfit"] == 0
    assert one.areas["spread"] == one.areas["all"] == 1
    assert one.flagged == 0
    assert detection(usual, unusual, {"misfit": 0.99, "spread": 1.0}).flagged == 1


def test_nothing_unusual_is_told_at_the_rate_of_false_alarms() -> None:
    generator = np.random.default_rng(2)
    usual, same = ({sign: generator.random(2000) for sign in ("misfit", "spread")} for _ in range(2))
    one = detection(usual, same, {"misfit": 1.0, "spread": 1.0})
    assert one.areas["all"] == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(one.detected, one.alarms, atol=0.05)


def test_stiffened_samples_are_out_of_range(training: TrainingSet) -> None:
    strongest = training.retained[np.argmax(training.sensitivity.rms[training.retained])]
    n = training.prior.n_force_constants
    end = max((training.prior.in_range(np.full(n, t))[strongest] for t in T_RANGE), key=abs)
    energies = energies_out_of_range(training, 5, np.random.default_rng(0))
    values, before = training.force_constants(), training.energies()
    assert 0 < len(energies) <= 5
    for found in energies:
        ratio = (found / np.where(before > 1, before, np.nan)) ** 2
        spread = np.nanstd(ratio, axis=(1, 2))
        sample = int(spread.argmin())
        assert spread[sample] < 1e-9
        assert training.split[sample] == 2
        assert 1.1 <= np.nanmean(ratio[sample]) * values[sample, strongest] / end <= 1.5


def test_a_spurion_adds_counts_in_one_place_that_is_covered(training: TrainingSet) -> None:
    shape = (training.qpath.n_points, training.grid.n_bins)
    exposure = np.full(shape, 50.0)
    exposure[:10] = 0.0
    counts = np.where(exposure > 0, 20.0, 0.0)
    found, _ = with_spurion(counts, exposure, 3.0, training, np.random.default_rng(0))
    added = found - counts
    assert (added >= 0).all()
    assert (added[exposure == 0] == 0).all()
    assert added.max() > 1.5 * 20
    assert 1 < (added > added.max() / 4).sum() < 150


def test_an_empty_measurement_keeps_counts_and_coverage_but_no_structure() -> None:
    generator = np.random.default_rng(0)
    exposure = generator.gamma(2.0, 1.0, (60, 50)) * (generator.random((60, 50)) > 0.3)
    structured = exposure * (1 + 5 * (np.arange(50) == 20))
    found, same = emptied(structured, exposure, generator)
    assert same is exposure
    assert found.sum() == pytest.approx(structured.sum(), rel=0.05)
    assert (found[exposure == 0] == 0).all()
    line = found[:, 20].sum() / exposure[:, 20].sum()
    assert line == pytest.approx(found.sum() / exposure.sum(), rel=0.2)
