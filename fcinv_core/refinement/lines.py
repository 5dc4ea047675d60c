"""Lines of modes in energy bins: resolution and spread in q, with their derivatives."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from scipy.special import ndtr

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.spectrum import Resolution
from fcinv_core.structure_factor.debye_waller import bose_occupation

#: Parameters of the line shape and their units: logarithm of the factor of the width, its slope from the middle to
#: the end of the energy range, shift in energy, logarithm of the factor of the spread in q.
SHAPE = (
    ("log_resolution_width", ""),
    ("log_resolution_slope", ""),
    ("energy_offset", "meV"),
    ("log_q_spread", ""),
)
#: Standard deviations of their prior about 0, the offset's in units of the FWHM of the elastic line, which
#: calibrates energies to a small part of its width; a shift of all energies is nearly what a change of force
#: constants does. Computed widths of a spectrometer are right within some 20 %.
_SHAPE_SIGMA = (0.2, 0.2, 0.05, 0.2)
#: Beyond so many standard deviations a line is cut off.
_REACH = 5.0
#: Modes scatter no more below this energy, in FWHM of the elastic line.
_SOFTEST = 2.0
#: Narrowest line, meV.
_NARROWEST = 1e-3
_NORMAL = 1 / math.sqrt(2 * math.pi)
#: Intervals of a standard deviation in the table of the normal distribution, and where it begins.
_PER_DEVIATION, _TABLE_START = 64, -(_REACH + 1)


class Modes(NamedTuple):
    """Modes at the nodes of all bins, as compiled loops read them.

    Attributes
    ----------
    energies
        Shape (n_bins, nodes, m): meV.
    strengths, strength_slopes
        Shape (n_bins, nodes, m): weight, share of the node included, and its derivative by the mode's energy.
    sigma, sigma_slope, place
        Shape (n_bins, nodes, m): resolution at each mode, meV, its derivative by the energy, and where the mode
        lies on the energy range, from -1 to 1.
    gradient
        Shape (n_bins, nodes, m, 3): slope of the branch in the bin's local frame, meV Å.
    slopes
        Shape (n_bins, nodes, 3, nodes): the gradient's derivatives by the energies, Å.
    centre
        Shape (n_bins, 3): mean of the nodes, local frame, 1/Å.
    carried
        Shape (n_bins, 3): variance that the nodes carry, 1/Å².
    scalars
        First edge and width of the energy bins, energy offset, factor of the spread's variance, added variance.
    """

    energies: FloatArray
    strengths: FloatArray
    strength_slopes: FloatArray
    sigma: FloatArray
    sigma_slope: FloatArray
    place: FloatArray
    gradient: FloatArray
    slopes: FloatArray
    centre: FloatArray
    carried: FloatArray
    scalars: tuple[float, float, float, float, float]


def shape_sigma(resolution: Resolution) -> FloatArray:
    """Return the standard deviations of the prior of `SHAPE` about 0, shape (4,)."""
    return np.array(_SHAPE_SIGMA) * [1.0, 1.0, resolution.elastic_fwhm, 1.0]


def one_phonon_weights(
    energies: FloatArray, temperature: float, resolution: Resolution
) -> tuple[FloatArray, FloatArray]:
    """Return (n + 1) / E of modes at energies (meV) of any shape, and its derivative by the energy.

    Modes softer than two FWHM of the elastic line, at whose foot they are, weigh as one of that energy: between
    nodes the weight of a softer acoustic mode would change more than an average over nodes can follow.
    """
    softest = _SOFTEST * resolution.elastic_fwhm
    soft = energies < softest
    clipped = np.where(soft, softest, energies)
    step = 1e-4
    low, weight, high = (
        (1 + bose_occupation(energy, temperature)) / energy for energy in (clipped - step, clipped, clipped + step)
    )
    return np.asarray(weight), np.where(soft, 0.0, (high - low) / (2 * step))


def place_modes(
    measurement: Measurement,
    energies: FloatArray,
    strengths: FloatArray,
    strength_slopes: FloatArray,
    shape: FloatArray,
    broadening: float,
) -> Modes:
    """Gather what lines need.

    Parameters
    ----------
    measurement
        Grid, resolution and nodes.
    energies, strengths, strength_slopes
        Shape (n_bins, nodes, m): mode energies (meV), weights, and their derivatives by the energies.
    shape
        Shape (4,): values of `SHAPE`.
    broadening
        Standard deviation (meV) that is added to all lines.
    """
    nodes, grid = measurement.nodes, measurement.grid

    def sigma_at(energy: FloatArray) -> tuple[FloatArray, FloatArray]:
        inside = np.clip(energy, max(grid.minimum, 0.0), grid.maximum)
        place = 2 * inside / grid.maximum - 1
        return measurement.resolution.sigma(inside) * np.exp(shape[0] + shape[1] * place), place

    step = 1e-3
    sigma, place = sigma_at(energies)
    return Modes(
        energies=energies,
        strengths=strengths * nodes.shares[:, None],
        strength_slopes=strength_slopes * nodes.shares[:, None],
        sigma=sigma,
        sigma_slope=(sigma_at(energies + step)[0] - sigma_at(energies - step)[0]) / (2 * step),
        place=place,
        gradient=np.ascontiguousarray(np.einsum("bkij,bjs->bksi", nodes.slopes, energies, optimize=True)),
        slopes=nodes.slopes,
        centre=np.einsum("k,bki->bi", nodes.shares, nodes.offsets),
        carried=nodes.variance,
        scalars=(grid.minimum, grid.width, float(shape[2]), math.exp(2 * shape[3]), broadening**2),
    )


def _normal_table() -> FloatArray:
    """Coefficients of the cubic in each interval that has the values and slopes of the distribution at its ends."""
    edges = _TABLE_START + np.arange(int(-2 * _TABLE_START * _PER_DEVIATION) + 1) / _PER_DEVIATION
    value, slope = ndtr(edges), _NORMAL * np.exp(-0.5 * edges**2) / _PER_DEVIATION
    rise = np.diff(value)
    quadratic = 3 * rise - 2 * slope[:-1] - slope[1:]
    return np.stack([value[:-1], slope[:-1], quadratic, slope[:-1] + slope[1:] - 2 * rise], axis=1)


_NORMAL_TABLE = _normal_table()


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _normal_distribution(x):  # type: ignore[no-untyped-def]
    """Cumulative standard normal distribution, right to 3e-10: several times as fast as the error function."""
    place = (x - _TABLE_START) * _PER_DEVIATION
    if place <= 0.0:
        return 0.0
    interval = int(place)
    if interval >= len(_NORMAL_TABLE):
        return 1.0
    rest, cubic = place - interval, _NORMAL_TABLE[interval]
    return cubic[0] + rest * (cubic[1] + rest * (cubic[2] + rest * cubic[3]))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def fill_windows(modes, b, mean, spread, first, last, low, high):  # type: ignore[no-untyped-def]
    """Fill the first and the last energy bin that each mode of a bin may reach in cells ``first`` to ``last``.

    Wide enough for the cell that lies farthest off and is widest: what is outside of them would be 0 in `share_at`,
    at a cost. Shapes (nodes, m).
    """
    minimum, width, offset, widening, broadening = modes.scalars
    far, wide = np.zeros(3), np.zeros(6)
    for cell in range(first, last):
        for axis in range(3):
            far[axis] = max(far[axis], abs(mean[cell, axis] - modes.centre[b, axis]))
        for pair in range(6):
            wide[pair] = max(wide[pair], abs(spread[cell, pair]))
    _, per_bin, n_modes = modes.energies.shape
    for k in range(per_bin):
        for s in range(n_modes):
            gradient = modes.gradient[b, k, s]
            g0, g1, g2 = abs(gradient[0]), abs(gradient[1]), abs(gradient[2])
            smear = wide[0] * g0 * g0 + wide[3] * g1 * g1 + wide[5] * g2 * g2
            smear += 2 * (wide[1] * g0 * g1 + wide[2] * g0 * g2 + wide[4] * g1 * g2)
            reach = max(math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + widening * smear), _NARROWEST)
            reach = _REACH * reach + far[0] * g0 + far[1] * g1 + far[2] * g2
            centre = modes.energies[b, k, s] + offset - minimum
            low[k, s] = math.floor((centre - reach) / width) - 1
            high[k, s] = math.floor((centre + reach) / width) + 1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def line_at(modes, b, k, s, energy, mean, spread, turned):  # type: ignore[no-untyped-def]
    """Share of a mode in an energy bin, and what its derivatives are made of.

    Returns the share (without strength), its derivatives by centre and by variance, and whether the spread in q
    counts; ``turned`` gets the spread times the gradient.
    """
    minimum, width, offset, widening, broadening = modes.scalars
    gradient, carried = modes.gradient[b, k, s], modes.carried[b]
    g0, g1, g2 = gradient[0], gradient[1], gradient[2]
    turned[0] = (widening * spread[0] - carried[0]) * g0 + widening * (spread[1] * g1 + spread[2] * g2)
    turned[1] = (widening * spread[3] - carried[1]) * g1 + widening * (spread[1] * g0 + spread[4] * g2)
    turned[2] = (widening * spread[5] - carried[2]) * g2 + widening * (spread[2] * g0 + spread[4] * g1)
    smear = turned[0] * g0 + turned[1] * g1 + turned[2] * g2
    smeared = smear > 0.0
    deviation = math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + (smear if smeared else 0.0))
    deviation = max(deviation, _NARROWEST)
    centre = modes.energies[b, k, s] + offset
    for axis in range(3):
        centre += gradient[axis] * (mean[axis] - modes.centre[b, axis])
    low = (minimum + energy * width - centre) / deviation
    high = low + width / deviation
    if low > _REACH or high < -_REACH:
        return 0.0, 0.0, 0.0, smeared
    share = _normal_distribution(high) - _normal_distribution(low)
    density_low = _NORMAL * math.exp(-0.5 * low * low)
    density_high = _NORMAL * math.exp(-0.5 * high * high)
    by_centre = (density_low - density_high) / deviation
    by_variance = (density_low * low - density_high * high) / (2 * deviation**2)
    return share, by_centre, by_variance, smeared


@numba.njit(nogil=True, cache=True, error_model="numpy")
def share_at(modes, b, k, s, energy, mean, spread):  # type: ignore[no-untyped-def]
    """Share of a mode in an energy bin; as `line_at`, without derivatives."""
    minimum, width, offset, widening, broadening = modes.scalars
    gradient, carried = modes.gradient[b, k, s], modes.carried[b]
    g0, g1, g2 = gradient[0], gradient[1], gradient[2]
    smear = (widening * spread[0] - carried[0]) * g0 * g0
    smear += (widening * spread[3] - carried[1]) * g1 * g1
    smear += (widening * spread[5] - carried[2]) * g2 * g2
    smear += 2 * widening * (spread[1] * g0 * g1 + spread[2] * g0 * g2 + spread[4] * g1 * g2)
    deviation = max(math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + max(smear, 0.0)), _NARROWEST)
    centre = modes.energies[b, k, s] + offset
    for axis in range(3):
        centre += gradient[axis] * (mean[axis] - modes.centre[b, axis])
    low = (minimum + energy * width - centre) / deviation
    high = low + width / deviation
    if low > _REACH or high < -_REACH:
        return 0.0
    return _normal_distribution(high) - _normal_distribution(low)


# Inlined, and with no views as arguments: to hand over the modes would cost several times the work.
@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def add_derivatives(  # type: ignore[no-untyped-def]
    modes, b, k, s, mean, cell, turned, share, by_centre, by_variance, smeared, amplitude, rows, n, shape
):
    """Add the derivatives of a line in a cell, times an amplitude, to row n.

    By the energy of mode s at node j they are added at s nodes + j, by `SHAPE` from ``shape`` on. Returns the
    derivative by the mode's own energy, gradient held, for unit amplitude.
    """
    per_bin = modes.energies.shape[1]
    strength, sigma = modes.strengths[b, k, s], modes.sigma[b, k, s]
    own = strength * (by_centre + by_variance * 2 * sigma * modes.sigma_slope[b, k, s])
    own += modes.strength_slopes[b, k, s] * share
    rows[n, s * per_bin + k] += own * amplitude
    strength *= amplitude
    total = 0.0
    for axis in range(3):
        gradient = modes.gradient[b, k, s, axis]
        pull = by_centre * (mean[cell, axis] - modes.centre[b, axis])
        if smeared:
            pull += by_variance * 2 * turned[axis]
            total += (turned[axis] + modes.carried[b, axis] * gradient) * gradient
        if pull != 0.0:
            pull *= strength
            for j in range(per_bin):
                rows[n, s * per_bin + j] += pull * modes.slopes[b, k, axis, j]
    rows[n, shape] += strength * by_variance * 2 * sigma**2
    rows[n, shape + 1] += strength * by_variance * 2 * sigma**2 * modes.place[b, k, s]
    rows[n, shape + 2] += strength * by_centre
    rows[n, shape + 3] += strength * by_variance * 2 * total
    return own
