"""Amplitudes meet the conditions of a constrained minimum, whatever the lines and counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fcinv_core.refinement.amplitudes import cell_loss, solve_amplitudes


def total_loss(counts, columns, fixed, rate, excess, x):  # type: ignore[no-untyped-def]
    expected = fixed + columns @ x
    return rate @ x + sum(cell_loss(n, 0.0, e, m) for n, e, m in zip(counts, excess, expected, strict=True))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), level=st.sampled_from([0.3, 5.0, 200.0]), excess=st.sampled_from([0.0, 0.5]))
def test_amplitudes_are_the_minimum_over_all_that_are_not_negative(seed: int, level: float, excess: float) -> None:
    rng = np.random.default_rng(seed)
    n, p = 25, 4
    centres = rng.uniform(0, n, p)
    columns = np.exp(-0.5 * ((np.arange(n)[:, None] - centres) / 1.5) ** 2)
    true = rng.exponential(level, p) * (rng.uniform(size=p) > 0.3)
    fixed = np.full(n, 0.05 * level + 0.01)
    counts = rng.poisson(fixed + columns @ true).astype(float)
    rate, extra = np.full(p, 1 / level), np.full(n, excess)
    found = np.full(p, level)
    loss = solve_amplitudes(counts, np.zeros(n), extra, fixed, columns, rate, found)
    assert (found >= 0).all()
    reference = minimize(
        lambda x: total_loss(counts, columns, fixed, rate, extra, x),
        np.full(p, level),
        bounds=[(0, None)] * p,
        method="L-BFGS-B",
    )
    np.testing.assert_allclose(loss, total_loss(counts, columns, fixed, rate, extra, found), rtol=1e-9)
    if excess == 0:
        assert loss <= reference.fun + 1e-4 * (1 + abs(reference.fun))


def test_a_negative_binomial_with_little_excess_is_a_poisson() -> None:
    for count, mean in ((0.0, 0.4), (3.0, 2.2), (170.0, 150.0)):
        np.testing.assert_allclose(
            cell_loss(count, 0.0, 1e-7, mean), cell_loss(count, 0.0, 0.0, mean), rtol=1e-4, atol=1e-6
        )
