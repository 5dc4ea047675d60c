"""Sequences of runs: errors fall, the greedy choice is the best next run, times interpolate as counting does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcinv_core.crystal import FloatArray
from fcinv_core.planning.sequence import (
    errors_after,
    errors_along,
    errors_spread,
    greedy_sequence,
    runs_by_trend,
    runs_needed,
)
from fcinv_core.planning.wanted import Wanted

N, NUISANCE, RUNS, SETS = 4, 2, 5, 2


def problem(seed: int) -> tuple[FloatArray, FloatArray]:
    """Precision before, and runs that know two directions each."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((SETS, RUNS, 2, N + NUISANCE)) * rng.lognormal(0, 1, (1, RUNS, 1, 1))
    return 0.1 * np.eye(N + NUISANCE), rows.swapaxes(-1, -2) @ rows


def asked(variance: bool) -> Wanted:
    weights = np.repeat(np.diag([1.0, 0.5, 0.0, 0.0])[None], SETS, axis=0)
    return Wanted("test", "", N, weights if variance else None)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), variance=st.booleans())
def test_errors_never_grow_and_each_step_is_the_best(seed: int, variance: bool) -> None:
    start, information = problem(seed)
    wanted = asked(variance)
    chosen, errors = greedy_sequence(start, information, wanted, 4)
    assert (np.diff(errors) <= 1e-12).all()
    np.testing.assert_allclose(errors, errors_along(start, information, wanted, chosen), rtol=1e-9)
    for step in range(4):
        others = [errors_along(start, information, wanted, [*chosen[:step], k])[-1] for k in range(RUNS)]
        assert errors[step + 1] == pytest.approx(min(others))


def test_a_sequence_ends_where_the_precision_is_reached() -> None:
    start, information = problem(1)
    _, errors = greedy_sequence(start, information, asked(True), 6)
    chosen, found = greedy_sequence(start, information, asked(True), 6, precision=float(errors[3]))
    assert len(chosen) == 3
    np.testing.assert_allclose(found, errors[:4])


def test_the_ranking_is_that_of_single_runs() -> None:
    start, information = problem(2)
    known = np.repeat(start[None], SETS, axis=0)
    after = errors_after(known, information, asked(False))
    singles = [errors_along(start, information, asked(False), [k])[-1] for k in range(RUNS)]
    np.testing.assert_allclose(after, singles)


def test_equally_spread_angles_share_the_range() -> None:
    start, information = problem(3)
    angles = np.arange(RUNS) * 10.0
    errors = errors_spread(start, information, asked(False), angles, RUNS, 50.0)
    # As many runs as angles: each of them once.
    assert errors[RUNS] == pytest.approx(errors_along(start, information, asked(False), range(RUNS))[-1])
    assert errors[1] == pytest.approx(errors_along(start, information, asked(False), [2])[-1])


def test_counting_four_times_as_long_halves_the_error() -> None:
    errors = 0.8 / np.sqrt(np.array([0.25, 1.0, 2.0, 3.0, 4.0, 5.0]))
    assert runs_needed(errors, 0.4) == pytest.approx(4.0)
    assert runs_needed(errors, 0.8 / np.sqrt(2.5)) == pytest.approx(2.5)
    assert runs_needed(errors, 2.0) == 0.0
    assert runs_needed(errors, 0.1) is None
    assert runs_by_trend(errors, 0.1) == pytest.approx(64.0)
