"""Spectra I(q, E): mode energies broadened by the resolution and integrated over energy bins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
#: Number of energy bins unless asked otherwise.
DEFAULT_BINS = 100
#: FWHM of the default resolution in units of the highest energy of the grid: what a direct-geometry spectrometer
#: has at its elastic line.
DEFAULT_RELATIVE_FWHM = 0.03
#: Default ranges of energy end at a multiple of this, meV.
_RANGE_STEP = 5.0
#: Beyond so many standard deviations a line is cut off; what is left out is 2e-6 of its area.
_LINE_REACH = 4.75
#: Energies above minus this (meV) are 0: acoustic modes at Γ come out with either sign.
_ZERO = 1e-3


@dataclass(frozen=True)
class SpectralGrid:
    """Uniform energy bins.

    Attributes
    ----------
    minimum, maximum
        Outer edges, meV.
    n_bins
        Number of bins.
    """

    minimum: float
    maximum: float
    n_bins: int = DEFAULT_BINS

    def __post_init__(self) -> None:
        if not (
            np.isfinite([self.minimum, self.maximum]).all() and self.maximum > self.minimum and self.n_bins >= 1
        ):
            raise InputError(
                f"energies from {self.minimum} to {self.maximum} meV in {self.n_bins} bins are not a grid",
                "two finite ends, the higher one last, and at least one bin are needed",
                "check the energy range",
            )

    @property
    def width(self) -> float:
        """Width of a bin, meV."""
        return (self.maximum - self.minimum) / self.n_bins

    @property
    def edges(self) -> FloatArray:
        """Edges of the bins, shape (n_bins + 1,), meV."""
        return np.linspace(self.minimum, self.maximum, self.n_bins + 1)

    @property
    def centres(self) -> FloatArray:
        """Centres of the bins, shape (n_bins,), meV."""
        return (self.edges[:-1] + self.edges[1:]) / 2


@dataclass(frozen=True)
class Resolution:
    """Gaussian energy resolution whose width is a polynomial of the energy transfer.

    Attributes
    ----------
    fwhm_coefficients
        FWHM(E) = c0 + c1 E + c2 E² ..., meV with E in meV.
    """

    fwhm_coefficients: tuple[float, ...]

    def fwhm(self, energy: FloatArray) -> FloatArray:
        """Full width at half maximum at energy transfers, meV, any shape."""
        return np.asarray(np.polynomial.polynomial.polyval(np.asarray(energy, dtype=float), self.fwhm_coefficients))

    @property
    def elastic_fwhm(self) -> float:
        """FWHM of the elastic line, meV."""
        return self.fwhm_coefficients[0]

    def sigma(self, energy: FloatArray) -> FloatArray:
        """Standard deviation at energy transfers, meV, any shape.

        Raises
        ------
        InputError
            If the polynomial is not positive somewhere.
        """
        sigma = self.fwhm(energy) / FWHM_PER_SIGMA
        if sigma.size and not sigma.min() > 0:
            raise InputError(
                f"the resolution {self.fwhm_coefficients} is not positive at all energies",
                f"its FWHM falls to {sigma.min() * FWHM_PER_SIGMA:.3g} meV",
                "give a polynomial that is positive over the energy range",
            )
        return np.asarray(sigma)


def grid_up_to(highest: float, n_bins: int = DEFAULT_BINS) -> SpectralGrid:
    """Return energy bins from 0 that hold modes up to ``highest`` (meV) with their lines.

    They end 3 % above it, rounded up to 5 meV.
    """
    with_line = highest * (1 + DEFAULT_RELATIVE_FWHM)
    return SpectralGrid(0.0, _RANGE_STEP * max(1.0, math.ceil(with_line / _RANGE_STEP)), n_bins)


def default_resolution(grid: SpectralGrid) -> Resolution:
    """Return a constant FWHM of 3 % of the highest energy of a grid."""
    return Resolution((DEFAULT_RELATIVE_FWHM * abs(grid.maximum),))


def render(
    energies: FloatArray,
    grid: SpectralGrid,
    resolution: Resolution,
    weights: FloatArray | None = None,
) -> NDArray[np.float32]:
    """Broaden modes into spectra.

    Each mode is a Gaussian of its weight, integrated over each energy bin and divided by the bin width, so that
    a sum over bins times the width gives back the weight of what lies within the grid.

    Parameters
    ----------
    energies
        Shape (..., s): energies of s modes, meV; negative (imaginary) ones are left out, but for rounding noise.
    grid
        Energy bins.
    resolution
        Width of the lines, at each mode's energy; above the grid, that at its end.
    weights
        Shape (..., s): weight of each mode; 1 by default.

    Returns
    -------
    Shape (..., n_bins), single precision, weight per meV.
    """
    energies = np.asarray(energies, dtype=float)
    flat = energies.reshape(-1, energies.shape[-1])
    width = np.ones((1, 1)) if weights is None else np.asarray(weights, dtype=float).reshape(flat.shape)
    # The width is tabulated: a polynomial for each mode would cost as much as the line.
    table_energy = np.linspace(0.0, max(grid.maximum, 1e-6), 1025)
    sigma = resolution.sigma(table_energy)
    spectra = np.empty((len(flat), grid.n_bins), dtype=np.float32)
    _render(flat, width, grid.minimum, grid.width, sigma, table_energy[1], _CUMULATIVE, spectra)
    return spectra.reshape(*energies.shape[:-1], grid.n_bins)


def unit_spectra(energies: FloatArray, grid: SpectralGrid, resolution: Resolution) -> NDArray[np.float32]:
    """Return spectra with all modes alike, scaled so that one line alone has height 1 (at energy 0, in fine bins).

    Parameters
    ----------
    energies
        Shape (..., s): see `render`.

    Returns
    -------
    Shape (..., n_bins).
    """
    height = math.sqrt(2 * math.pi) * float(resolution.sigma(np.zeros(1))[0])
    return np.asarray(height * render(energies, grid, resolution), dtype=np.float32)


#: Steps of the tabulated cumulative normal distribution in one standard deviation: linear interpolation is then
#: off by 5e-7 at most, half the rounding of single precision.
_STEPS = 256
_CUMULATIVE = ndtr(np.arange(-_LINE_REACH, _LINE_REACH + 1.5 / _STEPS, 1 / _STEPS))


@numba.njit(parallel=True, nogil=True, cache=True)
def _render(  # type: ignore[no-untyped-def]
    energies, weights, minimum, width, sigma_table, table_step, cumulative, spectra
):
    """Fill ``spectra`` (n, bins) from ``energies`` (n, s); ``weights`` is (n, s) or (1, 1) for equal ones."""
    n_bins = spectra.shape[1]
    one_weight = weights.size == 1
    reach = _LINE_REACH
    for row in numba.prange(len(energies)):
        line = np.zeros(n_bins)
        for mode in range(energies.shape[1]):
            # Also leaves out what is not a number.
            if not energies[row, mode] > -_ZERO:
                continue
            energy = max(energies[row, mode], 0.0)
            place = min(energy / table_step, len(sigma_table) - 1.001)
            index = int(place)
            sigma = sigma_table[index] + (place - index) * (sigma_table[index + 1] - sigma_table[index])
            first = max(0, math.floor((energy - reach * sigma - minimum) / width))
            last = min(n_bins - 1, math.floor((energy + reach * sigma - minimum) / width))
            weight = (weights[0, 0] if one_weight else weights[row, mode]) / width
            # Place of a bin edge in the table, in steps; it advances by the same amount from edge to edge.
            step = width / sigma * _STEPS
            place = ((minimum + first * width - energy) / sigma + reach) * _STEPS
            lower = _interpolated(cumulative, place)
            for k in range(first, last + 1):
                place += step
                upper = _interpolated(cumulative, place)
                line[k] += weight * (upper - lower)
                lower = upper
        spectra[row] = line


@numba.njit(nogil=True, cache=True)
def _interpolated(table, place):  # type: ignore[no-untyped-def]
    """Value of a table between its entries; 0 before the first, 1 after the last."""
    if place <= 0.0:
        return 0.0
    index = int(place)
    if index >= len(table) - 1:
        return 1.0
    return table[index] + (place - index) * (table[index + 1] - table[index])
