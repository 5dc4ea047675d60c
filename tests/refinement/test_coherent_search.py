"""Few counts: what structure factors find where free amplitudes cannot, and what the counts choose beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.coherent import CoherentModel
from fcinv_core.refinement.measurement import Measurement, data_of_spectrum
from fcinv_core.refinement.noise import likeliest_noise
from fcinv_core.refinement.refine import RefineSettings, refine
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
    found = likeliest_noise(looked, mean.ravel(), 1.0).per_look
    assert found == pytest.approx(scatter, rel=0.1, abs=0.02)
    of_half = likeliest_noise(looked, mean.ravel(), np.full(mean.size, 0.5))
    assert of_half.per_look == pytest.approx(2 * found, rel=0.05, abs=1e-9)
    assert of_half.is_of_lines
    assert likeliest_noise(data, mean.ravel(), 1.0).per_look == 0.0
