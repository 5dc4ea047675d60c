"""Lines of modes in energy bins: resolution and spread in q, with their derivatives."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from scipy.special import ndtr

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.refinement.measurement import DIAGONAL, Measurement
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
#: Cells wider than so many times their bin as a whole are taken as that wide.
_LARGEST_STRETCH = 3.0
#: Modes closer than this (meV) are one to symmetry; which of them goes on as which branch is not known there.
_DEGENERATE = 1e-5
#: Narrowest line, meV.
_NARROWEST = 1e-3
_NORMAL = 1 / math.sqrt(2 * math.pi)
#: Intervals of a standard deviation in the table of the normal distribution, and where it begins.
_PER_DEVIATION, _TABLE_START = 64, -(_REACH + 1)


class Modes(NamedTuple):
    """Modes at the nodes of all bins, and where the k cells lie among these, as compiled loops read them.

    Attributes
    ----------
    energies
        Shape (n_bins, nodes, m): meV.
    strengths, strength_slopes
        Shape (n_bins, nodes, m): weight, share of the node included, and its derivative by the mode's energy.
    tilt
        Shape (n_bins, nodes, m): relative change of the weight with the mode's energy, 1/meV. Of the wavevectors
        about a node, those scatter more at which a branch is softer.
    sigma, sigma_slope, place
        Shape (n_bins, nodes, m): resolution at each mode, meV, its derivative by the energy, and where the mode
        lies on the energy range, from -1 to 1.
    first, last
        Shape (n_bins, nodes, m): the first mode of the degenerate set that each mode is in, and the one after it.
    gradient, curvature
        Shape (n_bins, nodes, m, 3): first and second derivative of the branch along each axis of the bin's local
        frame, meV Å and meV Å²; means over degenerate sets.
    slopes, curves
        Shape (n_bins, nodes, 3, nodes): their derivatives by the energies, Å and Å².
    arms
        Shape (n_bins, nodes, 3): nodes - their mean, local frame, 1/Å.
    shift
        Shape (k, 3): mean of each cell - mean of the nodes, local frame, 1/Å.
    stretch
        Shape (k, 3): standard deviations of each cell along the axes over those of its bin.
    spread
        Shape (k, 6): covariance of each cell (`PRODUCTS`), 1/Å².
    scalars
        First edge and width of the energy bins, energy offset, share of the variance along the axes that lies
        between the nodes, added variance.
    """

    energies: FloatArray
    strengths: FloatArray
    strength_slopes: FloatArray
    tilt: FloatArray
    sigma: FloatArray
    sigma_slope: FloatArray
    place: FloatArray
    first: IntArray
    last: IntArray
    gradient: FloatArray
    curvature: FloatArray
    slopes: FloatArray
    curves: FloatArray
    arms: FloatArray
    shift: FloatArray
    stretch: FloatArray
    spread: FloatArray
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
        Grid, resolution, nodes and cells.
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
    widening = math.exp(shape[3])
    centre = np.einsum("k,bki->bi", nodes.shares, nodes.offsets)
    first, last = _degenerate_sets(energies)
    wide = widening * np.sqrt(measurement.covariance[:, DIAGONAL])
    return Modes(
        energies=energies,
        strengths=strengths * nodes.shares[:, None],
        strength_slopes=strength_slopes * nodes.shares[:, None],
        tilt=np.divide(strength_slopes, strengths, out=np.zeros_like(strengths), where=strengths > 0),
        sigma=sigma,
        sigma_slope=(sigma_at(energies + step)[0] - sigma_at(energies - step)[0]) / (2 * step),
        place=place,
        first=first,
        last=last,
        gradient=_shared(np.einsum("bkij,bjs->bksi", nodes.slopes, energies, optimize=True), first, last),
        curvature=_shared(np.einsum("bkij,bjs->bksi", nodes.curves, energies, optimize=True), first, last),
        slopes=nodes.slopes,
        curves=nodes.curves,
        arms=nodes.offsets - centre[:, None],
        shift=measurement.mean - centre[measurement.bin],
        stretch=np.minimum(wide / nodes.sigma[measurement.bin], _LARGEST_STRETCH),
        spread=widening**2 * measurement.covariance,
        scalars=(grid.minimum, grid.width, float(shape[2]), 1 - nodes.carried, broadening**2),
    )


def _degenerate_sets(energies: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the first mode of the degenerate set of each mode, and the one after its last, same shape."""
    m = energies.shape[-1]
    begins = np.diff(energies, axis=-1, prepend=-np.inf) > _DEGENERATE
    first = np.maximum.accumulate(np.where(begins, np.arange(m), 0), axis=-1)
    ends = np.append(begins[..., 1:], np.ones_like(begins[..., :1]), axis=-1)
    last = np.minimum.accumulate(np.where(ends, np.arange(m), m)[..., ::-1], axis=-1)[..., ::-1]
    return first, last + 1


def _shared(values: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    """Replace values of modes, shape (n_bins, nodes, m, 3), by their means over degenerate sets."""
    sums = np.concatenate([np.zeros_like(values[:, :, :1]), np.cumsum(values, axis=2)], axis=2)
    total = np.take_along_axis(sums, last[..., None], axis=2) - np.take_along_axis(sums, first[..., None], axis=2)
    return np.ascontiguousarray(total / (last - first)[..., None])


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
def fill_windows(modes, b, first, last, low, high):  # type: ignore[no-untyped-def]
    """Fill the first and the last energy bin that each mode of a bin may reach in cells ``first`` to ``last``.

    Wide enough for the cell that lies farthest off and is widest: what is outside of them would be 0 in `share_at`,
    at a cost. Shapes (nodes, m).
    """
    minimum, width, offset, between, broadening = modes.scalars
    far, stretched, wide = np.zeros(3), np.zeros(3), np.zeros(6)
    for cell in range(first, last):
        for axis in range(3):
            far[axis] = max(far[axis], abs(modes.shift[cell, axis]))
            stretched[axis] = max(stretched[axis], abs(modes.stretch[cell, axis] - 1.0))
        for pair in range(6):
            wide[pair] = max(wide[pair], abs(modes.spread[cell, pair]))
    _, per_bin, n_modes = modes.energies.shape
    for k in range(per_bin):
        f0, f1, f2 = (
            far[0] + stretched[0] * abs(modes.arms[b, k, 0]),
            far[1] + stretched[1] * abs(modes.arms[b, k, 1]),
            far[2] + stretched[2] * abs(modes.arms[b, k, 2]),
        )
        for s in range(n_modes):
            gradient, curvature = modes.gradient[b, k, s], modes.curvature[b, k, s]
            g0 = abs(gradient[0]) + abs(curvature[0]) * f0
            g1 = abs(gradient[1]) + abs(curvature[1]) * f1
            g2 = abs(gradient[2]) + abs(curvature[2]) * f2
            smear = between * (wide[0] * g0 * g0 + wide[3] * g1 * g1 + wide[5] * g2 * g2)
            smear += 2 * (wide[1] * g0 * g1 + wide[2] * g0 * g2 + wide[4] * g1 * g2)
            reach = max(math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + smear), _NARROWEST)
            bent = abs(curvature[0]) * wide[0] + abs(curvature[1]) * wide[3] + abs(curvature[2]) * wide[5]
            reach = (
                _REACH * reach
                + abs(modes.tilt[b, k, s]) * smear
                + 0.5 * between * bent
                + f0 * g0
                + f1 * g1
                + f2 * g2
            )
            centre = modes.energies[b, k, s] + offset - minimum
            low[k, s] = math.floor((centre - reach) / width) - 1
            high[k, s] = math.floor((centre + reach) / width) + 1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def line_at(modes, b, k, s, cell, energy, there, turned):  # type: ignore[no-untyped-def]
    """Share of a mode in the energy bin of a cell, and what its derivatives are made of.

    Returns the share (without strength), its derivatives by centre and by variance, and whether the spread in q
    counts; ``turned`` gets the spread times the gradient.
    """
    minimum, width, offset, between, broadening = modes.scalars
    spread = modes.spread[cell]
    centre = modes.energies[b, k, s] + offset
    for axis in range(3):
        moved = modes.shift[cell, axis] + (modes.stretch[cell, axis] - 1.0) * modes.arms[b, k, axis]
        gradient, bend = modes.gradient[b, k, s, axis], modes.curvature[b, k, s, axis] * moved
        centre += (gradient + 0.5 * bend) * moved
        centre += 0.5 * modes.curvature[b, k, s, axis] * between * modes.spread[cell, DIAGONAL[axis]]
        there[axis] = gradient + bend
    g0, g1, g2 = there[0], there[1], there[2]
    turned[0] = between * spread[0] * g0 + spread[1] * g1 + spread[2] * g2
    turned[1] = between * spread[3] * g1 + spread[1] * g0 + spread[4] * g2
    turned[2] = between * spread[5] * g2 + spread[2] * g0 + spread[4] * g1
    smear = turned[0] * g0 + turned[1] * g1 + turned[2] * g2
    smeared = smear > 0.0
    if smeared:
        centre += smear * modes.tilt[b, k, s]
    deviation = math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + (smear if smeared else 0.0))
    deviation = max(deviation, _NARROWEST)
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
def share_at(modes, b, k, s, cell, energy):  # type: ignore[no-untyped-def]
    """Share of a mode in the energy bin of a cell; as `line_at`, without derivatives."""
    minimum, width, offset, between, broadening = modes.scalars
    spread = modes.spread[cell]
    m0 = modes.shift[cell, 0] + (modes.stretch[cell, 0] - 1.0) * modes.arms[b, k, 0]
    m1 = modes.shift[cell, 1] + (modes.stretch[cell, 1] - 1.0) * modes.arms[b, k, 1]
    m2 = modes.shift[cell, 2] + (modes.stretch[cell, 2] - 1.0) * modes.arms[b, k, 2]
    g0, c0 = modes.gradient[b, k, s, 0], modes.curvature[b, k, s, 0] * m0
    g1, c1 = modes.gradient[b, k, s, 1], modes.curvature[b, k, s, 1] * m1
    g2, c2 = modes.gradient[b, k, s, 2], modes.curvature[b, k, s, 2] * m2
    centre = modes.energies[b, k, s] + offset
    centre += (g0 + 0.5 * c0) * m0 + (g1 + 0.5 * c1) * m1 + (g2 + 0.5 * c2) * m2
    bent = modes.curvature[b, k, s, 0] * spread[0] + modes.curvature[b, k, s, 1] * spread[3]
    centre += 0.5 * between * (bent + modes.curvature[b, k, s, 2] * spread[5])
    g0, g1, g2 = g0 + c0, g1 + c1, g2 + c2
    smear = between * (spread[0] * g0 * g0 + spread[3] * g1 * g1 + spread[5] * g2 * g2)
    smear += 2 * (spread[1] * g0 * g1 + spread[2] * g0 * g2 + spread[4] * g1 * g2)
    smear = max(smear, 0.0)
    centre += smear * modes.tilt[b, k, s]
    deviation = max(math.sqrt(modes.sigma[b, k, s] ** 2 + broadening + smear), _NARROWEST)
    low = (minimum + energy * width - centre) / deviation
    high = low + width / deviation
    if low > _REACH or high < -_REACH:
        return 0.0
    return _normal_distribution(high) - _normal_distribution(low)


# Inlined, and with no views as arguments: to hand over the modes would cost several times the work.
@numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def add_derivatives(  # type: ignore[no-untyped-def]
    modes, b, k, s, cell, there, turned, share, by_centre, by_variance, smeared, amplitude, rows, n, shape
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
    by_spread = 0.0
    for axis in range(3):
        stretched = modes.stretch[cell, axis] * modes.arms[b, k, axis]
        moved = modes.shift[cell, axis] + stretched - modes.arms[b, k, axis]
        variance = modes.scalars[3] * modes.spread[cell, DIAGONAL[axis]]
        by_gradient, by_curvature = by_centre * moved, 0.5 * by_centre * (moved**2 + variance)
        by_move = by_centre * there[axis]
        if smeared:
            by_slope = (by_variance + by_centre * modes.tilt[b, k, s]) * 2 * turned[axis]
            by_gradient += by_slope
            by_curvature += by_slope * moved
            by_move += by_slope * modes.curvature[b, k, s, axis]
            by_spread += by_slope * there[axis]
        by_spread += by_move * stretched + by_centre * modes.curvature[b, k, s, axis] * variance
        if by_gradient != 0.0 or by_curvature != 0.0:
            by_gradient *= strength
            by_curvature *= strength
            first, last = modes.first[b, k, s], modes.last[b, k, s]
            for j in range(per_bin):
                if modes.curves[b, k, axis, j] != 0.0:
                    by_node = by_gradient * modes.slopes[b, k, axis, j] + by_curvature * modes.curves[b, k, axis, j]
                    for t in range(first, last):
                        rows[n, t * per_bin + j] += by_node / (last - first)
    rows[n, shape] += strength * by_variance * 2 * sigma**2
    rows[n, shape + 1] += strength * by_variance * 2 * sigma**2 * modes.place[b, k, s]
    rows[n, shape + 2] += strength * by_centre
    rows[n, shape + 3] += strength * by_spread
    return own
