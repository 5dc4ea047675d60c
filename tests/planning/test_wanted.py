"""The error of what is asked for follows from the covariance of force constants, nuisance parameters unknown."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.planning.knowledge import Knowledge
from fcinv_core.planning.wanted import all_force_constants, dispersion, mode_energy, named_force_constants


def precision(known: Knowledge, n_nuisance: int = 3) -> FloatArray:
    rng = np.random.default_rng(0)
    size = len(known.precision) + n_nuisance
    root = rng.standard_normal((len(known.draws), size, 2 * size))
    return np.asarray(root @ root.swapaxes(1, 2))


def test_all_force_constants_are_judged_by_the_volume_of_their_ellipsoid(known: Knowledge) -> None:
    matrices, n = precision(known), len(known.precision)
    axes = [np.linalg.eigvalsh(np.linalg.inv(one)[:n, :n]) for one in matrices]
    expected = np.exp(0.5 * np.mean(np.log(axes)))
    assert all_force_constants(known.prior).error(matrices) == pytest.approx(expected)


def test_named_force_constants_are_judged_by_their_marginal_sigma(known: Knowledge) -> None:
    matrices = precision(known)
    wanted = named_force_constants(known.prior, ["fc1"], len(matrices))
    variances = np.array([np.linalg.inv(one)[1, 1] for one in matrices])
    assert wanted.error(matrices) == pytest.approx(np.exp(0.5 * np.log(variances).mean()))
    assert wanted.name == "FC1"


def spread_of_energies(known: Knowledge, q: FloatArray, sigma: float) -> FloatArray:
    """Standard deviations of mode energies (k, m) if all force constants are known to sigma, by drawing."""
    draws = known.draws[0] + sigma * np.random.default_rng(1).standard_normal((4000, len(known.precision)))
    return np.asarray(known.prior.dynamics(q).energies(draws, threads=1).std(axis=0))


def test_the_error_of_an_energy_is_the_spread_over_draws(known: Knowledge) -> None:
    sigma = 1e-4
    matrices = np.eye(len(known.precision))[None] / sigma**2
    # A general point, so that no modes are degenerate.
    q = np.array([0.3, 0.1, 0.45])
    spread = spread_of_energies(known, q[None], sigma)[0]
    for branch in (1, 2, 3):
        wanted = mode_energy(known.prior, known.draws[:1], "0.3,0.1,0.45", branch)
        assert wanted.error(matrices) == pytest.approx(spread[branch - 1], rel=0.05)


def test_the_error_of_the_dispersion_is_the_spread_over_the_zone(known: Knowledge) -> None:
    sigma = 1e-4
    matrices = np.eye(len(known.precision))[None] / sigma**2
    q = np.random.default_rng(5).uniform(-0.5, 0.5, (200, 3))
    spread = np.sqrt((spread_of_energies(known, q, sigma) ** 2).mean())
    # Two samples of wavevectors; soft modes near Γ are few and weigh much.
    assert dispersion(known.prior, known.draws[:1]).error(matrices) == pytest.approx(spread, rel=0.2)


def test_an_energy_is_named_by_its_point(known: Knowledge) -> None:
    point = ",".join(str(float(x)) for x in known.prior.crystal.high_symmetry_points["X"])
    by_name, by_place = (mode_energy(known.prior, known.draws, one, 3) for one in ("X", point))
    np.testing.assert_allclose(by_name.weights, by_place.weights)


@pytest.mark.parametrize(
    ("point", "branch", "message"),
    [
        ("Y", 1, "is no wavevector"),
        ("0.5,0.5", 1, "is no wavevector"),
        ("X", 4, "no branch 4"),
        ("X", 0, "no branch 0"),
        ("G", 2, "need not be measured"),
    ],
)
def test_energies_that_do_not_exist_are_refused(known: Knowledge, point: str, branch: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mode_energy(known.prior, known.draws, point, branch)


def test_force_constants_that_do_not_exist_are_refused(known: Knowledge) -> None:
    with pytest.raises(InputError, match="FC999 is not a force constant"):
        named_force_constants(known.prior, ["FC0", "FC999"], 1)
