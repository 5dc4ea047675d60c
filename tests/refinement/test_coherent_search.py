"""Few counts: what structure factors find where free amplitudes cannot, and what the counts choose beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior, floor_sigma
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.coherent import CoherentModel
from fcinv_core.refinement.coherent_search import likeliest_noise, log_evidence, narrowed
from fcinv_core.refinement.measurement import Measurement, data_of_spectrum
from fcinv_core.refinement.refine import RefineSettings, refine
from fcinv_core.refinement.scoring import GaussianPrior, Linearised, Maximum
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

GRID, RESOLUTION = SpectralGrid(0.0, 45.0, 60), Resolution((1.5,))


def few_counts(prior: Prior, truth: FloatArray, counts: float, seed: int) -> Measurement:
    """Poisson counts of coherent scattering in the zone (1, 1, 1), so many in all."""
    path = standard_path(prior.crystal, 40)
    shape = (path.n_points, GRID.n_bins)
    data = data_of_spectrum(prior.crystal, path.q, GRID, RESOLUTION, np.ones(shape), 1.0)
    data = replace(
        data, zones=np.ones_like(data.zones), temperature=10.0, q_squared=np.full(data.q_squared.shape, 9.0)
    )
    model = CoherentModel(data, prior, natural_scattering_lengths(prior.crystal))
    model.set_reference(truth)
    expected = model.expected(np.append(truth, np.zeros(len(model.names))))
    drawn = np.random.default_rng(seed).poisson(expected * counts / expected.sum())
    return replace(data, counts=drawn.astype(float))


def test_two_counts_for_each_mode_find_a_crystal_half_as_stiff_again(aluminium_prior: Prior) -> None:
    prior, truth = aluminium_prior, 1.5 * aluminium_prior.mean
    data = few_counts(prior, truth, counts=240, seed=3)
    found = refine(data, prior, prior.mean, RefineSettings(model="coherent", n_draws=0))
    energies = prior.dynamics(data.q).energies(np.array([truth, found.values, prior.mean]), threads=1)
    before, after = (np.sqrt(np.mean((energies[k] - energies[0]) ** 2)) for k in (2, 1))
    assert before > 4.0
    assert after < 0.6
    assert (np.abs(found.values - truth) < 3 * found.sigma).all()


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


@pytest.mark.parametrize("scatter", [0.0, 0.4])
def test_the_likeliest_noise_is_that_of_the_counts(aluminium_prior: Prior, scatter: float) -> None:
    rng = np.random.default_rng(1)
    path = standard_path(aluminium_prior.crystal, 40)
    shape = (path.n_points, GRID.n_bins)
    mean = rng.uniform(0.5, 8.0, shape)
    drawn = poisson.rvs(mean, random_state=rng)
    if scatter:
        drawn = nbinom.rvs(1 / scatter, 1 / (1 + scatter * mean), random_state=rng)
    data = data_of_spectrum(aluminium_prior.crystal, path.q, GRID, RESOLUTION, drawn.astype(float), 1.0)
    looked = replace(data, looks=np.ones(mean.size))
    assert likeliest_noise(looked, mean.ravel()) == scatter
    assert likeliest_noise(data, mean.ravel()) == 0.0
