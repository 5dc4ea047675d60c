"""Sequences of runs: the greedy one, and the usual ones that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.planning.wanted import Wanted


def greedy_sequence(
    start: FloatArray,
    information: FloatArray,
    wanted: Wanted,
    n_runs: int,
    precision: float | None = None,
    between: Callable[[], None] = lambda: None,
) -> tuple[IntArray, FloatArray]:
    """Choose runs one after the other, each the one that lowers the expected error most.

    What a run adds falls as more is known, so that the greedy choice is close to the best set of runs (Krause,
    Singh and Guestrin, J. Mach. Learn. Res. 9, 235 (2008)). A run may be chosen again: counting longer there.

    Parameters
    ----------
    start
        Shape (p, p): precision before the first run.
    information
        Shape (d, c, p, p): of each of c runs, for each of d sets of force constants.
    wanted
        What is asked for.
    n_runs
        Runs at most.
    precision
        Error at which to end.
    between
        Called between steps.

    Returns
    -------
    Chosen runs (k,), and errors (k + 1,) before the first and after each.
    """
    known = np.repeat(start[None], len(information), axis=0)
    chosen: list[int] = []
    errors = [wanted.error(known)]
    while len(chosen) < n_runs and (precision is None or errors[-1] > precision):
        after = errors_after(known, information, wanted, between)
        chosen.append(int(after.argmin()))
        errors.append(float(after[chosen[-1]]))
        known += information[:, chosen[-1]]
    return np.array(chosen, dtype=np.int64), np.array(errors)


def errors_after(
    known: FloatArray, information: FloatArray, wanted: Wanted, between: Callable[[], None] = lambda: None
) -> FloatArray:
    """Return the expected error after each run alone, shape (c,), given precisions (d, p, p)."""
    errors = np.empty(information.shape[1])
    # Run by run, since matrices of all of them need gigabytes.
    for k in range(len(errors)):
        between()
        errors[k] = wanted.error(known + information[:, k])
    return errors


def errors_along(start: FloatArray, information: FloatArray, wanted: Wanted, sequence: Sequence[int]) -> FloatArray:
    """Return the errors before the first run of a sequence of k and after each, shape (k + 1,)."""
    known = np.repeat(start[None], len(information), axis=0)
    errors = [wanted.error(known)]
    for run in sequence:
        known += information[:, run]
        errors.append(wanted.error(known))
    return np.array(errors)


def errors_spread(
    start: FloatArray, information: FloatArray, wanted: Wanted, angles: FloatArray, n_runs: int, period: float
) -> FloatArray:
    """Return the errors of 0, 1 ... n_runs runs at equally spread angles, shape (n_runs + 1,).

    Parameters
    ----------
    start, information, wanted
        See `greedy_sequence`.
    angles
        Shape (c,): of the runs, ascending, evenly spaced.
    n_runs
        Largest number.
    period
        Range over which they are spread, degrees; the ends count as one place.
    """
    known = np.repeat(start[None], len(information), axis=0)
    errors = [wanted.error(known)]
    for n in range(1, n_runs + 1):
        places = angles[0] + period * (np.arange(n) + 0.5) / n
        nearest = np.abs(angles[None] - places[:, None]).argmin(axis=1)
        added = sum(information[:, k] for k in nearest)
        errors.append(wanted.error(known + added))
    return np.array(errors)


def runs_needed(errors: FloatArray, precision: float) -> float | None:
    """Return the number of runs after which an error is reached, interpolated; None if it is not.

    Parameters
    ----------
    errors
        Shape (k + 1,): before the first run and after each.
    precision
        The error to reach.
    """
    below = np.flatnonzero(errors <= precision)
    if not len(below):
        return None
    k = int(below[0])
    if k == 0:
        return 0.0
    # Variances fall as one over time where the measurement decides: precisions are straight lines between runs.
    before, after = errors[k - 1] ** -2.0, errors[k] ** -2.0
    return float(k - 1 + (precision**-2.0 - before) / (after - before))


def runs_by_trend(errors: FloatArray, precision: float) -> float | None:
    """Return the number of runs after which an error would be reached if the last run's gain went on.

    Parameters
    ----------
    errors
        Shape (k + 1,): before the first run and after each; the last is above ``precision``.
    precision
        The error to reach.

    Returns
    -------
    None if there was no run, or the last one gained nothing.
    """
    if len(errors) < 2 or not errors[-1] < errors[-2]:
        return None
    gain = errors[-1] ** -2.0 - errors[-2] ** -2.0
    return float(len(errors) - 1 + (precision**-2.0 - errors[-1] ** -2.0) / gain)
