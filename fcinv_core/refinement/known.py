"""Counts of modes whose strengths are known up to a scale: their expectation, and the information in them."""

from __future__ import annotations

import numba
import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.force_constants.pairs import ComplexArray
from fcinv_core.refinement.amplitudes import LEAST, cell_loss
from fcinv_core.refinement.lines import Modes, add_derivatives, fill_windows, line_at, shape_sigma, share_at
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.scoring import Linearised

#: Modes closer than this (meV) mix as degenerate ones: the divided difference is the derivative.
_CLOSE = 0.1
#: Area of the square of a Gaussian of unit area and standard deviation.
_SQUARED = 0.5 / np.sqrt(np.pi)


def expected_counts(
    measurement: Measurement, modes: Modes, strength: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the expected counts of all cells, shape (k,), backgrounds apart.

    Parameters
    ----------
    measurement, modes
        Cells, and modes at the nodes.
    strength
        Shape (k,): exposure times scale.
    weights
        Shape (n_cuts, nodes, m): what multiplies each mode in each cut.
    """
    data, expected = measurement, np.empty(len(measurement.counts))
    _expect(modes, data.cut_bin, data.cut_start, data.energy, strength, weights, expected)
    return expected


def bin_losses(noise: Noise, expected: FloatArray) -> FloatArray:
    """Return the negative log likelihood of every bin, shape (n_bins,), for expected counts (k,)."""
    data = noise.measurement
    losses = np.zeros(len(data.q))
    _losses(data.cut_bin, data.cut_start, data.counts, data.variance, noise.excess, expected, losses)
    return losses


def contrast_of_looks(
    measurement: Measurement, modes: Modes, strength: FloatArray, weights: FloatArray, expected: FloatArray
) -> FloatArray:
    """Return the relative variance of the counts that single looks at a cell expect, shape (k,).

    A look is at one of the wavevectors over which a cell averages: it sees a line as narrow as the instrument
    allows, somewhere under the wider line of the average. On top of a line looks agree; beside it most see nothing
    and a few see all. The square of a Gaussian is a Gaussian of half the variance, so the mean square over looks is
    known as the mean is. Modes are taken to lie independently of each other.

    Parameters
    ----------
    measurement, modes, strength, weights
        See `expected_counts`.
    expected
        Shape (k,): expected counts of everything.
    """
    data, scattered = measurement, np.empty(len(measurement.counts))
    # Energy bins widen the lines that are squared, and the square once more when it is summed over them.
    of_bin = data.grid.width**2 / 12
    seen = np.sqrt(modes.sigma**2 + of_bin)
    narrow = modes._replace(sigma=np.sqrt(np.maximum(seen**2 / 2 - of_bin, 0.01 * seen**2)))
    _scatter(
        modes, narrow, seen, data.nodes.shares, data.cut_bin, data.cut_start, data.energy, strength, weights,
        scattered,
    )  # fmt: skip
    return np.asarray(scattered / np.maximum(expected, LEAST) ** 2)


def linearised_counts(
    noise: Noise,
    modes: Modes,
    strength: FloatArray,
    weights: FloatArray,
    damped: FloatArray,
    factors: ComplexArray,
    parts: int,
    slopes: FloatArray,
    backgrounds: FloatArray,
    expected: FloatArray,
    n_scales: int,
) -> Linearised:
    """Return loss, gradient and information.

    Parameters are n force constants, the four of `lines.SHAPE`, ``n_scales`` logarithms (1: scale; 2: and the
    factor of the Debye-Waller exponents), and a logarithm for each background.

    Parameters
    ----------
    noise
        The measurement and its scatter.
    modes, strength, weights
        See `expected_counts`.
    damped
        Shape (n_cuts, nodes, m): derivative of ``weights`` by the factor of the Debye-Waller exponents.
    factors
        Shape (n_cuts, nodes, m): structure factors, whose squares are the weights; not used if ``parts`` is 0.
    parts
        0 if modes that mix do not change their weights; else 1 if matrix elements between modes are real, 2 if not.
    slopes
        Shape (n_bins, nodes m + nodes n_pairs parts, n): derivatives by the force constants of mode energies, mode
        by mode, and of the matrix elements that mix the pairs s < s' of each node.
    backgrounds
        Shape (k, n_backgrounds): expected counts of each.
    expected
        Shape (k,): expected counts of everything.
    n_scales
        Number of scales.
    """
    data, root = noise.measurement, 1 / np.sqrt(noise.variance(expected))
    residual = (np.maximum(expected, LEAST) - data.counts) * root
    n_bins, n = len(slopes), slopes.shape[2]
    n_lines = modes.energies[0].size
    p = n + 4 + n_scales + backgrounds.shape[1]
    scores, informations = np.zeros((n_bins, p)), np.zeros((n_bins, p, p))
    _inform(
        modes, np.searchsorted(data.cut_bin, np.arange(n_bins + 1)), data.cut_start, data.energy, strength,
        weights, damped, factors, parts, slopes, backgrounds, root, residual, data.weight, n_scales, scores,
        informations,
    )  # fmt: skip
    of_energies = slopes[:, :n_lines].reshape(-1, n)
    # A standard deviation of the line shape's parameters, or a factor e of the others, counts as a meV.
    metric = np.diag(np.concatenate([np.zeros(n), 1 / shape_sigma(data.resolution) ** 2, np.ones(p - n - 4)]))
    metric[:n, :n] = of_energies.T @ of_energies / len(of_energies)
    return Linearised(
        loss=float(data.weight @ bin_losses(noise, expected)),
        gradient=scores.sum(axis=0),
        information=informations.sum(axis=0),
        scores=scores,
        informations=informations,
        metric=metric,
    )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _expect(  # type: ignore[no-untyped-def]
    modes, cut_bin, cut_start, energy, strength, weights, expected
):
    """Fill ``expected``; see `expected_counts`."""
    _, per_bin, n_modes = modes.energies.shape
    low, high = np.empty((per_bin, n_modes), np.int64), np.empty((per_bin, n_modes), np.int64)
    last = 0
    for c in range(len(cut_bin)):
        b = cut_bin[c]
        if c == last:
            while last < len(cut_bin) and cut_bin[last] == b:
                last += 1
            fill_windows(modes, b, cut_start[c], cut_start[last], low, high)
        for cell in range(cut_start[c], cut_start[c + 1]):
            total = 0.0
            for k in range(per_bin):
                for s in range(n_modes):
                    factor = modes.strengths[b, k, s] * weights[c, k, s]
                    if factor != 0.0 and low[k, s] <= energy[cell] <= high[k, s]:
                        total += factor * share_at(modes, b, k, s, cell, energy[cell])
            expected[cell] = strength[cell] * total


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _scatter(  # type: ignore[no-untyped-def]
    modes, narrow, seen, shares, cut_bin, cut_start, energy, strength, weights, scattered
):
    """Fill the variance of the counts that single looks at a cell expect; see `contrast_of_looks`."""
    _, per_bin, n_modes = modes.energies.shape
    low, high = np.empty((per_bin, n_modes), np.int64), np.empty((per_bin, n_modes), np.int64)
    average, square = np.empty(n_modes), np.empty(n_modes)
    width = modes.scalars[1]
    for c in range(len(cut_bin)):
        b = cut_bin[c]
        fill_windows(modes, b, cut_start[c], cut_start[c + 1], low, high)
        for cell in range(cut_start[c], cut_start[c + 1]):
            average[:], square[:] = 0.0, 0.0
            for k in range(per_bin):
                for s in range(n_modes):
                    factor = modes.strengths[b, k, s] * weights[c, k, s]
                    if factor != 0.0 and low[k, s] <= energy[cell] <= high[k, s]:
                        height = factor**2 / shares[k] * _SQUARED * width / seen[b, k, s]
                        average[s] += factor * share_at(modes, b, k, s, cell, energy[cell])
                        square[s] += height * share_at(narrow, b, k, s, cell, energy[cell])
            variance = 0.0
            for s in range(n_modes):
                variance += max(square[s] - average[s] ** 2, 0.0)
            scattered[cell] = variance * strength[cell] ** 2


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _losses(cut_bin, cut_start, counts, variance, excess, expected, losses):  # type: ignore[no-untyped-def]
    """Add the loss of every cell to its bin."""
    for c in range(len(cut_bin)):
        for cell in range(cut_start[c], cut_start[c + 1]):
            losses[cut_bin[c]] += cell_loss(counts[cell], variance[cell], excess[cell], expected[cell])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _inform(  # type: ignore[no-untyped-def]
    modes, first_cut, cut_start, energy, strength, weights, damped, factors, parts, slopes,
    backgrounds, root, residual, bin_weight, n_scales, scores, informations,
):  # fmt: skip
    """Fill gradient and information of every bin; see `linearised_counts`."""
    n_bins, n_slopes, n = slopes.shape
    n_back, p = backgrounds.shape[1], scores.shape[1]
    n_rows, of_backgrounds = n_slopes + 6 + n_back, n + 4 + n_scales
    most = 0
    for b in range(n_bins):
        most = max(most, cut_start[first_cut[b + 1]] - cut_start[first_cut[b]])
    rows, misses, chain = np.zeros((most, n_rows)), np.empty(most), np.zeros((n_rows, p))
    cells = np.empty(most, np.int64)
    for j in range(4 + n_scales):
        chain[n_slopes + j, n + j] = 1.0
    for j in range(n_back):
        chain[n_slopes + 6 + j, of_backgrounds + j] = 1.0
    for b in range(n_bins):
        n_cells = cut_start[first_cut[b + 1]] - cut_start[first_cut[b]]
        n_lit = _fill_rows(
            modes, b, first_cut[b], first_cut[b + 1], cut_start, energy, strength, weights, damped,
            factors, parts, rows, cells,
        )  # fmt: skip
        for i in range(n_lit):
            cell = cells[i]
            misses[i] = residual[cell]
            for j in range(n_back):
                rows[i, n_slopes + 6 + j] = backgrounds[cell, j]
            for j in range(n_rows):
                rows[i, j] *= root[cell]
        lit, chain[:n_slopes, :n] = rows[:n_lit], slopes[b]
        score, information = scores[b], informations[b]
        score[:] = np.dot(np.dot(misses[:n_lit], lit), chain)
        # The cheaper order of the products.
        if n_rows < p:
            information[:] = np.dot(chain.T, np.dot(np.dot(lit.T, lit), chain))
        else:
            jacobian = np.dot(lit, chain)
            information[:] = np.dot(jacobian.T, jacobian)
        lit[:] = 0.0
        for i in range(n_lit, n_cells):
            cell = cells[i]
            for j in range(n_back):
                one = backgrounds[cell, j] * root[cell]
                score[of_backgrounds + j] += one * residual[cell]
                for k in range(n_back):
                    information[of_backgrounds + j, of_backgrounds + k] += one * backgrounds[cell, k] * root[cell]
        score *= bin_weight[b]
        information *= bin_weight[b]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _fill_rows(  # type: ignore[no-untyped-def]
    modes, b, first_cut, last_cut, cut_start, energy, strength, weights, damped, factors, parts,
    rows, cells,
):  # fmt: skip
    """Fill the derivatives of the expected counts of one bin's cells; see `linearised_counts`.

    Columns: energies of modes at nodes, mode by mode; mixing of pairs, node by node; `SHAPE`; scale; Debye-Waller.
    ``cells`` gets the cell of each row, and after these the cells that no line reaches, which have none; returns
    the number of rows. ``rows`` come and stay 0 beyond.
    """
    _, per_bin, n_modes = modes.energies.shape
    n_pairs = n_modes * (n_modes - 1) // 2
    first_pair = n_modes * per_bin
    shape = first_pair + per_bin * n_pairs * parts
    there, turned, height, own = np.zeros(3), np.zeros(3), np.zeros(n_modes), np.zeros(n_modes)
    low, high = np.empty((per_bin, n_modes), np.int64), np.empty((per_bin, n_modes), np.int64)
    start = cut_start[first_cut]
    n_lit, n_dark = 0, cut_start[last_cut] - start
    fill_windows(modes, b, start, cut_start[last_cut], low, high)
    inverse, is_close = np.empty((per_bin, n_pairs)), np.empty((per_bin, n_pairs), np.bool_)
    for k in range(per_bin):
        pair = 0
        for s in range(n_modes):
            for t in range(s + 1, n_modes):
                one, other = modes.energies[b, k, s], modes.energies[b, k, t]
                is_close[k, pair] = other - one < _CLOSE
                # Imaginary energies are negative numbers, and so are their squares.
                squares = other * abs(other) - one * abs(one)
                inverse[k, pair] = 1.0 / max(one + other, 0.1) if is_close[k, pair] else 2.0 / squares
                pair += 1
    for c in range(first_cut, last_cut):
        for cell in range(cut_start[c], cut_start[c + 1]):
            row, is_lit = rows[n_lit], False
            total, slope = 0.0, 0.0
            for k in range(per_bin):
                any_line = False
                for s in range(n_modes):
                    height[s], own[s] = 0.0, 0.0
                    if not low[k, s] <= energy[cell] <= high[k, s]:
                        continue
                    share, by_centre, by_variance, smeared = line_at(
                        modes, b, k, s, cell, energy[cell], there, turned
                    )
                    if share == 0.0 and by_centre == 0.0:
                        continue
                    any_line = True
                    height[s] = modes.strengths[b, k, s] * share
                    own[s] = add_derivatives(
                        modes, b, k, s, cell, there, turned, share, by_centre, by_variance, smeared,
                        strength[cell] * weights[c, k, s], rows, n_lit, shape,
                    )  # fmt: skip
                    total += weights[c, k, s] * height[s]
                    slope += damped[c, k, s] * height[s]
                is_lit = is_lit or any_line
                if not any_line or parts == 0:
                    continue
                place, factor, pair = first_pair + k * n_pairs * parts, factors[c, k], 0
                for s in range(n_modes):
                    for t in range(s + 1, n_modes):
                        if height[s] != 0.0 or height[t] != 0.0:
                            if is_close[k, pair]:
                                divided = (own[s] + own[t]) * inverse[k, pair]
                            else:
                                divided = (height[t] - height[s]) * inverse[k, pair]
                            amount = strength[cell] * divided
                            one, other = factor[s], factor[t]
                            row[place] = amount * (one.real * other.real + one.imag * other.imag)
                            if parts == 2:
                                row[place + 1] = amount * (one.imag * other.real - one.real * other.imag)
                        place += parts
                        pair += 1
            if is_lit:
                row[shape + 4] = strength[cell] * total
                row[shape + 5] = strength[cell] * slope
                cells[n_lit] = cell
                n_lit += 1
            else:
                n_dark -= 1
                cells[n_dark] = cell
    return n_lit
