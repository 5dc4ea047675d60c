"""The distance of features is that of Mahalanobis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2

from fcinv_core.networks.features import FeatureDistribution


def gaussian(m: int, seed: int, d: int = 6) -> np.ndarray:
    mixing = np.random.default_rng(99).standard_normal((d, d)) * np.logspace(0, -1, d)
    return (3 + np.random.default_rng(seed).standard_normal((m, d)) @ mixing).astype(np.float32)


def test_the_distance_is_that_of_scipy() -> None:
    distribution = FeatureDistribution.of(gaussian(500, 0))
    shown = gaussian(5, 1)
    inverse = np.linalg.inv(distribution.covariance.astype(float))
    expected = [mahalanobis(one, distribution.mean, inverse) / np.sqrt(6) for one in shown]
    np.testing.assert_allclose(distribution.distance(shown), expected, rtol=1e-5)


def test_distances_of_usual_features_are_those_of_gaussians() -> None:
    distance = FeatureDistribution.of(gaussian(5000, 0)).distance(gaussian(5000, 1))
    for quantile in (0.5, 0.95):
        assert np.quantile(distance, quantile) == pytest.approx(np.sqrt(chi2(6).ppf(quantile) / 6), rel=0.03)


def test_a_departure_counts_more_where_features_hardly_vary() -> None:
    generator = np.random.default_rng(0)
    usual = (generator.standard_normal((2000, 2)) * [1.0, 0.1]).astype(np.float32)
    shown = np.array([[0.5, 0.0], [0.0, 0.5]], dtype=np.float32)
    along, across = FeatureDistribution.of(usual).distance(shown)
    assert across > 8 * along


def test_fewer_measurements_than_features_are_enough_for_a_finite_distance() -> None:
    distribution = FeatureDistribution.of(gaussian(4, 0, d=30))
    assert np.isfinite(distribution.distance(gaussian(3, 1, d=30))).all()
    same = FeatureDistribution.of(np.ones((3, 2), dtype=np.float32))
    assert np.isfinite(same.distance(np.zeros((1, 2), dtype=np.float32))).all()
