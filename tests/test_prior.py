"""The prior says what the ensemble says, and no more."""

import numpy as np
import pytest

from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.prior import REACH, floor_sigma, prior_from_members
from fcinv_core.stability import judge
from tests.ensembles import aluminium_ensemble


def test_unstable_members_are_listed_and_left_out() -> None:
    prior = prior_from_members(aluminium_ensemble(unstable=True))
    assert [member.stability.stable for member in prior.members] == [True] * 4 + [False]
    without = prior_from_members(aluminium_ensemble())
    assert np.allclose(prior.mean, without.mean)


def test_reference_is_the_mean_of_the_stable_members_and_stable() -> None:
    sets = aluminium_ensemble()
    prior = prior_from_members(sets)
    q = np.random.default_rng(1).uniform(-1, 1, (20, 3))
    mean = np.mean([fcs.dynamical_matrices(q) for fcs in sets], axis=0)
    assert np.allclose(prior.reference.dynamical_matrices(q), mean, atol=1e-12)
    assert judge(prior.reference).stable


def test_force_constants_are_numbered_by_falling_magnitude() -> None:
    prior = prior_from_members(aluminium_ensemble())
    assert np.all(np.diff(np.abs(prior.mean)) <= 1e-12)
    assert prior.labels[0] == prior.parametrisation.labels[prior.order[0]]


def test_range_runs_from_least_to_largest_magnitude_seen() -> None:
    prior = prior_from_members(aluminium_ensemble())
    values = np.array([member.values for member in prior.members])
    magnitude = np.abs(values)
    assert np.allclose(np.abs(prior.lower), magnitude.min(axis=0))
    assert np.allclose(np.abs(prior.upper), magnitude.max(axis=0))
    assert np.allclose(prior.in_range(np.ones(prior.n_force_constants)), prior.upper)


def test_every_member_is_one_choice_of_values() -> None:
    sets = aluminium_ensemble()
    prior = prior_from_members(sets)
    q = np.random.default_rng(2).uniform(-1, 1, (20, 3))
    for fcs, member in zip(sets, prior.members, strict=True):
        again = prior.force_constants(member.values, "again")
        assert np.allclose(mode_energies(again, q), mode_energies(fcs, q), atol=1e-6)


def test_prior_reaches_as_far_as_it_says_with_zero_mean_beyond_the_members() -> None:
    prior = prior_from_members(aluminium_ensemble())
    distance = np.array([prior.parametrisation.elements[k].distance for k in prior.order])
    assert REACH - 0.6 < distance.max() < REACH + 1e-6
    beyond = distance > 4.2
    assert np.allclose(prior.mean[beyond], 0.0, atol=1e-12)
    assert np.allclose(prior.sigma[beyond], floor_sigma(distance[beyond]))


def test_floor_is_flat_then_falls_to_what_is_stated() -> None:
    assert np.allclose(floor_sigma(np.array([2.0, 6.5, 9.5])), [0.1, 0.1, 0.03])
    assert floor_sigma(np.array([12.0]))[0] < 0.03


def test_one_set_alone_needs_a_spread() -> None:
    sets = aluminium_ensemble()[:1]
    with pytest.raises(InputError, match="--spread"):
        prior_from_members(sets)
    prior = prior_from_members(sets, spread=0.3)
    assert np.allclose(np.abs(prior.upper), 1.3 * np.abs(prior.mean))
    assert np.allclose(np.abs(prior.lower), 0.7 * np.abs(prior.mean))


def test_no_stable_member_is_said_with_the_worst_mode() -> None:
    with pytest.raises(InputError, match="imaginary"):
        prior_from_members(aluminium_ensemble(unstable=True)[-1:])


def test_a_set_that_breaks_the_symmetry_is_refused() -> None:
    fcs = aluminium_ensemble()[0]
    noise = np.random.default_rng(0).normal(size=fcs.tensors.shape)
    with pytest.raises(InputError, match="breaks the symmetry"):
        prior_from_members([fcs.with_tensors(noise, "noise")], spread=0.1)
