"""Packed dynamics give the energies of the plain ones, and derivatives that hold at degenerate points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.prior import Prior
from fcinv_core.refinement.branches import Branches, pack, unpack

#: Γ-X of a face-centred crystal, on which the transverse branches are degenerate, L, and general points.
POINTS = np.array([[0.2, 0, 0.2], [0.5, 0, 0.5], [0.5, 0.5, 0.5], [0.11, 0.23, -0.31], [0.4, 0.1, 0.2]])


@pytest.mark.parametrize("real", [True, False])
def test_energies_are_those_of_the_dynamics(aluminium_prior: Prior, real: bool) -> None:
    dynamics = aluminium_prior.dynamics(POINTS)
    branches = Branches.of(dynamics if real else replace(dynamics, real_basis=None))
    assert branches.is_real is real
    values = aluminium_prior.mean * 1.1
    np.testing.assert_allclose(branches.energies(values), dynamics.energies(values), atol=1e-9)


def test_derivatives_of_sums_over_degenerate_modes_are_those_of_differences(aluminium_prior: Prior) -> None:
    branches = Branches.of(aluminium_prior.dynamics(POINTS))
    values = aluminium_prior.mean.copy()
    energies, derivatives = branches.energies_and_derivatives(values)
    transverse = energies[0, 1] - energies[0, 0]
    assert transverse < 1e-9, "the first point must be degenerate for this test to mean anything"
    np.testing.assert_allclose(derivatives[0, 0], derivatives[0, 1])
    step = 1e-6
    for k in range(len(values)):
        shift = np.zeros(len(values))
        shift[k] = step
        difference = (branches.energies(values + shift) - branches.energies(values - shift)) / (2 * step)
        np.testing.assert_allclose(derivatives[:, :, k].sum(axis=1), difference.sum(axis=1), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(derivatives[3:, :, k], difference[3:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_real", [True, False])
def test_the_scalar_product_of_packed_matrices_is_the_trace_of_their_product(is_real: bool) -> None:
    rng = np.random.default_rng(1)
    pair = rng.normal(size=(2, 4, 4)) + (0 if is_real else 1j) * rng.normal(size=(2, 4, 4))
    one, other = pair + pair.conj().swapaxes(1, 2)
    assert pack(one, is_real) @ pack(other, is_real) == pytest.approx(np.trace(one @ other).real)
    np.testing.assert_allclose(np.linalg.eigvalsh(unpack(pack(one, is_real), 4, is_real)), np.linalg.eigvalsh(one))
