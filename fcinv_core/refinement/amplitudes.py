"""Non-negative amplitudes of given line shapes that best explain the counts of one cut."""

from __future__ import annotations

import numba
import numpy as np

_ITERATIONS = 50
#: Squared gradient in units of curvature below which amplitudes are final.
_TOLERANCE = 1e-6
#: Smallest expected counts of a cell.
LEAST = 1e-9


@numba.njit(nogil=True, cache=True, error_model="numpy")
def cell_loss(count, variance, excess, expected):  # type: ignore[no-untyped-def]
    """Negative log likelihood of a cell, 0 where counts are met.

    Gaussian if it has a variance; Poisson; or negative binomial, whose variance is m + excess m².
    """
    if variance > 0.0:
        return 0.5 * (count - expected) ** 2 / variance
    mean = max(expected, LEAST)
    loss = count * np.log(count / mean) if count > 0.0 else 0.0
    if excess * max(mean, count) < 1e-6:
        return loss + mean - count
    return loss - (count + 1.0 / excess) * np.log((1.0 + excess * count) / (1.0 + excess * mean))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def cell_variance(variance, excess, expected):  # type: ignore[no-untyped-def]
    """Variance of the counts of a cell."""
    if variance > 0.0:
        return variance
    mean = max(expected, LEAST)
    return mean + excess * mean**2


@numba.njit(nogil=True, cache=True, error_model="numpy")
def solve_amplitudes(counts, variance, excess, fixed, columns, prior_rate, x):  # type: ignore[no-untyped-def]
    """Minimise the loss over amplitudes x >= 0 with an exponential prior of each, in place; return the loss.

    The problem is convex for Poisson and Gaussian counts; Newton steps on the amplitudes that are not held at 0
    (Bertsekas, SIAM J. Control Optim. 20, 221 (1982)).

    Parameters
    ----------
    counts, variance, excess, fixed
        Shape (n,): cells of the cut, and what is expected in them without any amplitude.
    columns
        Shape (n, p): expected counts for unit amplitudes.
    prior_rate
        Shape (p,): inverse mean of each amplitude.
    x
        Shape (p,): where to begin; holds the answer.
    """
    n, p = columns.shape
    gradient, hessian = np.empty(p), np.empty((p, p))
    reduced, step, places, free = np.empty((p, p)), np.empty(p), np.empty(p, np.int64), np.empty(p, np.bool_)
    trial, expected = np.empty(p), np.empty(n)
    value = _loss(counts, variance, excess, fixed, columns, prior_rate, x, expected)
    for _ in range(_ITERATIONS):
        gradient[:] = prior_rate
        hessian[:] = 0.0
        for i in range(n):
            curve = 1.0 / cell_variance(variance[i], excess[i], expected[i])
            slope = (max(expected[i], LEAST) - counts[i]) * curve
            if variance[i] == 0.0 and excess[i] == 0.0:
                curve = counts[i] / max(expected[i], LEAST) ** 2
            for j in range(p):
                column = columns[i, j]
                if column != 0.0:
                    gradient[j] += slope * column
                    if curve != 0.0:
                        for other in range(j + 1):
                            hessian[j, other] += curve * column * columns[i, other]
        violation, m = 0.0, 0
        for j in range(p):
            # Amplitudes that the cells cannot tell apart are told apart by a weak pull.
            hessian[j, j] += 1e-4 * prior_rate[j] ** 2
            free[j] = x[j] > 0.0 or gradient[j] < 0.0
            if free[j]:
                violation += gradient[j] ** 2 / hessian[j, j]
        if violation < _TOLERANCE:
            break
        length = 1.0
        while True:
            m = 0
            for j in range(p):
                if free[j]:
                    places[m] = j
                    m += 1
            if m == 0:
                return value
            for u in range(m):
                step[u] = -gradient[places[u]]
                for v in range(u + 1):
                    reduced[u, v] = hessian[places[u], places[v]]
            _solve_in_place(reduced, step, m)
            # What stands at 0 and would go below stays; what would cross 0 stops there.
            blocked, length = False, 1.0
            for u in range(m):
                j = places[u]
                if step[u] < 0.0:
                    if x[j] == 0.0:
                        free[j], blocked = False, True
                    else:
                        length = min(length, -x[j] / step[u])
            if not blocked:
                break
        slope = 0.0
        for u in range(m):
            slope += gradient[places[u]] * step[u]
        improved = False
        for _ in range(20):
            trial[:] = x
            for u in range(m):
                j = places[u]
                moved = x[j] + length * step[u]
                trial[j] = moved if moved > 1e-10 * x[j] else 0.0
            trial_value = _loss(counts, variance, excess, fixed, columns, prior_rate, trial, expected)
            if trial_value <= value + 1e-4 * length * slope:
                improved = True
                break
            length *= 0.5
        if not improved:
            value = _loss(counts, variance, excess, fixed, columns, prior_rate, x, expected)
            break
        x[:] = trial
        value = trial_value
    return value


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _solve_in_place(matrix, right, m):  # type: ignore[no-untyped-def]
    """Solve a positive system of m unknowns in place by Cholesky's method, from its lower triangle.

    Unknowns without curvature do not move.
    """
    for j in range(m):
        pivot = matrix[j, j]
        for other in range(j):
            pivot -= matrix[j, other] ** 2
        root = np.sqrt(max(pivot, 1e-9 * matrix[j, j] + 1e-300))
        matrix[j, j] = root
        for i in range(j + 1, m):
            value = matrix[i, j]
            for other in range(j):
                value -= matrix[i, other] * matrix[j, other]
            matrix[i, j] = value / root
    for j in range(m):
        for other in range(j):
            right[j] -= matrix[j, other] * right[other]
        right[j] /= matrix[j, j]
    for j in range(m - 1, -1, -1):
        for other in range(j + 1, m):
            right[j] -= matrix[other, j] * right[other]
        right[j] /= matrix[j, j]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _loss(counts, variance, excess, fixed, columns, prior_rate, x, expected):  # type: ignore[no-untyped-def]
    """Fill the expected counts and return the loss with the prior of the amplitudes."""
    n, p = columns.shape
    value = 0.0
    for j in range(p):
        value += prior_rate[j] * x[j]
    for i in range(n):
        mean = fixed[i]
        for j in range(p):
            mean += columns[i, j] * x[j]
        expected[i] = mean
        value += cell_loss(counts[i], variance[i], excess[i], mean)
    return value
