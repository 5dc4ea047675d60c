"""Nodes carry the mean and their share of the variance of a bin, and see branches as parabolas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.nodes import Nodes, joined_nodes, lattice_nodes, seven_nodes

Placing = Callable[[FloatArray, FloatArray], Nodes]
KINDS = pytest.mark.parametrize("place", [seven_nodes, lattice_nodes])
MEANS = arrays(float, (2, 3), elements=st.floats(-0.1, 0.1))
VARIANCES = arrays(float, (2, 3), elements=st.floats(1e-6, 0.02))


@KINDS
@given(mean=MEANS, variance=VARIANCES)
def test_nodes_have_the_moments_of_their_bin(place: Placing, mean: FloatArray, variance: FloatArray) -> None:
    nodes = place(mean, variance)
    assert nodes.shares.sum() == pytest.approx(1.0)
    assert (nodes.shares > 0).all()
    np.testing.assert_allclose(np.einsum("k,bki->bi", nodes.shares, nodes.offsets), mean, atol=1e-12)
    away = nodes.offsets - mean[:, None]
    np.testing.assert_allclose(np.einsum("k,bki->bi", nodes.shares, away**2), nodes.carried * variance)
    np.testing.assert_allclose(nodes.sigma**2, variance)


@KINDS
@given(mean=MEANS, variance=VARIANCES, of=arrays(float, (3, 3), elements=st.floats(-5, 5)))
def test_a_parabolic_branch_is_seen_as_it_is(
    place: Placing, mean: FloatArray, variance: FloatArray, of: FloatArray
) -> None:
    nodes = place(mean, variance)
    constant, slope, bend = of[0, 0], of[1], of[2]
    away = nodes.offsets - mean[:, None]
    energies = constant + away @ slope + (away**2) @ bend
    gradient = np.einsum("bkij,bj->bki", nodes.slopes, energies)
    curvature = np.einsum("bkij,bj->bki", nodes.curves, energies)
    scale = 1e-9 * (1 + np.abs(energies).max()) / nodes.sigma[:, None]
    assert (np.abs(gradient - (slope + 2 * away * bend)) < scale).all()
    assert (np.abs(curvature - 2 * bend) < scale / nodes.sigma[:, None]).all()


def test_joined_nodes_keep_those_of_each_bin() -> None:
    mean, variance = np.arange(6.0).reshape(2, 3) / 50, np.full((2, 3), 0.01)
    both = seven_nodes(mean, variance)
    one, other = (seven_nodes(mean[k : k + 1], variance[k : k + 1]) for k in range(2))
    joined = joined_nodes([one, other])
    for name in ("offsets", "sigma", "slopes", "curves"):
        np.testing.assert_allclose(getattr(joined, name), getattr(both, name))
