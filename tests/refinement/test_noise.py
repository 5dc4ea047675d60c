"""What is expected of chi2 is what simulated counts have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom

from fcinv_core.prior import Prior
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.measurement import data_of_spectrum
from fcinv_core.refinement.noise import Noise, chi2_of
from fcinv_core.spectrum import Resolution, SpectralGrid


@pytest.mark.parametrize("per_look", [0.0, 0.4])
def test_chi2_of_true_counts_is_as_expected(aluminium_prior: Prior, per_look: float) -> None:
    rng = np.random.default_rng(2)
    grid, path = SpectralGrid(0.0, 45.0, 30), standard_path(aluminium_prior.crystal, 20)
    mean = rng.uniform(0.1, 20.0, (path.n_points, grid.n_bins))
    data = data_of_spectrum(aluminium_prior.crystal, path.q, grid, Resolution((1.5,)), mean, 1.0)
    noise = Noise(replace(data, looks=np.full(mean.size, 2.0)), per_look, rng.uniform(0.1, 3.0, mean.size))
    pulls = []
    for _ in range(200):
        counts = rng.poisson(mean.ravel())
        if per_look:
            counts = nbinom.rvs(1 / noise.excess, 1 / (1 + noise.excess * mean.ravel()), random_state=rng)
        drawn = replace(noise, measurement=replace(noise.measurement, counts=counts.astype(float)))
        found, expected, deviation = chi2_of(drawn, mean.ravel())
        pulls.append((found - expected) / deviation)
    assert np.mean(pulls) == pytest.approx(0, abs=4 / np.sqrt(len(pulls)))
    assert np.std(pulls) == pytest.approx(1, abs=0.2)


def test_chi2_of_gaussian_counts_takes_their_own_variance(aluminium_prior: Prior) -> None:
    rng = np.random.default_rng(3)
    grid, path = SpectralGrid(0.0, 45.0, 30), standard_path(aluminium_prior.crystal, 20)
    mean = np.full((path.n_points, grid.n_bins), 7.0)
    variance = rng.uniform(0.5, 4.0, mean.shape)
    counts = rng.normal(mean, np.sqrt(variance))
    data = data_of_spectrum(
        aluminium_prior.crystal, path.q, grid, Resolution((1.5,)), counts, 1.0, variance=variance
    )
    found, expected, deviation = chi2_of(Noise(data), mean.ravel())
    assert expected == mean.size
    assert deviation == pytest.approx(np.sqrt(2 * mean.size))
    assert abs(found - expected) < 4 * deviation
