"""Spectra I(q, E): mode energies broadened by the resolution and integrated over energy bins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
#: Beyond so many standard deviations a line is cut off; what is left out is 2e-6 of its area.
_LINE_REACH = 4.75


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
    n_bins: int = 100

    def __post_init__(self) -> None:
        if not self.maximum > self.minimum or self.n_bins < 1:
            raise InputError(
                f"energies from {self.minimum} to {self.maximum} meV in {self.n_bins} bins are not a grid",
                "the maximum must be above the minimum and there must be a bin",
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
        Shape (..., s): energies of s modes, meV; negative (imaginary) ones are left out.
    grid
        Energy bins.
    resolution
        Width of the lines, at each mode's energy.
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
    _render(flat, width, grid.minimum, grid.width, sigma, table_energy[1], spectra)
    return spectra.reshape(*energies.shape[:-1], grid.n_bins)


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _render(energies, weights, minimum, width, sigma_table, table_step, spectra):  # type: ignore[no-untyped-def]
    """Fill ``spectra`` (n, bins) from ``energies`` (n, s); ``weights`` is (n, s) or (1, 1) for equal ones."""
    n_bins = spectra.shape[1]
    one_weight = weights.shape[1] == 1 and energies.shape[1] != 1
    for row in numba.prange(len(energies)):
        line = np.zeros(n_bins)
        for mode in range(energies.shape[1]):
            energy = energies[row, mode]
            if energy < 0:
                continue
            place = min(energy / table_step, len(sigma_table) - 1.0)
            sigma = sigma_table[int(place + 0.5)]
            first = max(0, math.floor((energy - _LINE_REACH * sigma - minimum) / width))
            last = min(n_bins - 1, math.floor((energy + _LINE_REACH * sigma - minimum) / width))
            scale = 1.0 / (sigma * math.sqrt(2.0))
            weight = 0.5 / width * (weights[0, 0] if one_weight else weights[row, mode])
            lower = math.erf((minimum + first * width - energy) * scale)
            for k in range(first, last + 1):
                upper = math.erf((minimum + (k + 1) * width - energy) * scale)
                line[k] += weight * (upper - lower)
                lower = upper
        spectra[row] = line
