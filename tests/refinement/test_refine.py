"""Refinement finds the force constants that counts were drawn from, with errors that hold their share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.limit import NoiseLevel, bound, noisy_spectrum
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.spectrum import default_resolution, grid_up_to

LEVEL = NoiseLevel(100, 0.1)


def spectrum_of(prior: Prior, values: np.ndarray, rng: np.random.Generator) -> Measurement:
    path = standard_path(prior.crystal, 41)
    energies = prior.dynamics(path.q).energies(values, threads=1)
    grid = grid_up_to(float(energies.max()), 50)
    return noisy_spectrum(prior.crystal, path, energies, grid, default_resolution(grid), LEVEL, rng)


def test_errors_reach_the_bound_and_intervals_hold_their_share(aluminium_prior: Prior) -> None:
    # Narrow enough that every set drawn from it is stable: then it is the prior that the answer assumes.
    prior = replace(aluminium_prior, sigma=0.2 * aluminium_prior.sigma)
    rng = np.random.default_rng(7)
    of_bound, independent, chi2 = [], [], []
    for _ in range(12):
        values = prior.mean + prior.sigma * rng.standard_normal(prior.n_force_constants)
        data = spectrum_of(prior, values, rng)
        # From the truth: whether far starts find the maximum is another question.
        found = refine(data, prior, values, RefineSettings(model="unit", far=False, n_draws=0))
        of_bound.append(found.sigma / bound(data, prior, values, LEVEL))
        # Errors of force constants hang together; in these directions they do not.
        independent.append(np.linalg.solve(np.linalg.cholesky(found.covariance), found.values - values))
        chi2.append((found.chi2 - found.expected_chi2[0]) / found.expected_chi2[1])
    np.testing.assert_allclose(np.mean(of_bound, axis=0), 1, atol=0.05)
    # Five hundred numbers of a normal distribution, if the errors are right.
    assert np.mean(np.square(independent)) == pytest.approx(1, abs=0.25)
    assert (np.abs(independent) < 1).mean() == pytest.approx(0.68, abs=0.08)
    assert (np.abs(independent) < 1.96).mean() == pytest.approx(0.95, abs=0.04)
    assert np.abs(chi2).max() < 4
    assert abs(np.mean(chi2)) < 1


def test_a_far_start_finds_the_same_maximum_as_a_near_one(aluminium_prior: Prior) -> None:
    rng = np.random.default_rng(3)
    values = 1.3 * aluminium_prior.mean
    data = spectrum_of(aluminium_prior, values, rng)
    settings = RefineSettings(model="unit", n_draws=20)
    far = refine(data, aluminium_prior, aluminium_prior.mean, settings)
    near = refine(data, aluminium_prior, values, settings)
    np.testing.assert_allclose(far.values, near.values, atol=0.1 * near.sigma.max())
    assert far.draws.shape == (20, aluminium_prior.n_force_constants)
    assert 1 <= far.effective_sample_size <= 20
    assert (far.decided_by_data >= 0).all()
    assert far.decided_by_data.max() > 0.9
    path = standard_path(aluminium_prior.crystal, 41)
    dynamics = aluminium_prior.dynamics(path.q)
    assert np.abs(dynamics.energies(far.values) - dynamics.energies(values)).max() < 1


def test_free_amplitudes_let_go_of_the_few_force_constants_that_lie_far_off(aluminium_prior: Prior) -> None:
    prior = replace(aluminium_prior, sigma=0.1 * aluminium_prior.sigma)
    far = np.arange(prior.n_force_constants) < 2
    values = prior.mean + np.where(far, 6.0, 0.0) * prior.sigma
    data = spectrum_of(prior, values, np.random.default_rng(5))
    found = refine(data, prior, values, RefineSettings(model="free", far=False, n_draws=0))
    assert any("heavy tails" in note for note in found.notes)
    assert (found.prior_sigma[far] > 2 * prior.sigma[far]).all()
    assert (found.prior_sigma[~far] < prior.sigma[~far]).all()
    pulls = (found.values - values) / found.sigma
    assert np.sqrt(np.mean(pulls**2)) < 1.5
    assert np.abs(pulls).max() < 4


def test_starts_of_another_crystal_are_refused(aluminium_prior: Prior) -> None:
    data = spectrum_of(aluminium_prior, aluminium_prior.mean, np.random.default_rng(0))
    with pytest.raises(InputError, match="FC order"):
        refine(data, aluminium_prior, np.ones((1, 3)))
