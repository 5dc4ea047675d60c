"""How precise a refinement of a simulated spectrum can be: spectra with noise, and the bound of their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.refinement.measurement import Measurement, data_of_spectrum
from fcinv_core.refinement.unit import UnitModel
from fcinv_core.spectrum import Resolution, SpectralGrid, render


@dataclass(frozen=True)
class NoiseLevel:
    """Noise of a simulated measurement.

    Attributes
    ----------
    peak_counts
        Expected counts where the spectrum without background is highest.
    background
        Constant background as a share of that maximum.
    """

    peak_counts: float
    background: float


def noisy_spectrum(
    crystal: Crystal,
    path: QPath,
    energies: FloatArray,
    grid: SpectralGrid,
    resolution: Resolution,
    level: NoiseLevel,
    rng: np.random.Generator,
) -> Measurement:
    """Return a spectrum whose modes weigh 1, with background and Poisson counts.

    Parameters
    ----------
    crystal, path
        The crystal and the path.
    energies
        Shape (n_points, m): mode energies along the path, meV.
    grid, resolution
        Energy bins and resolution.
    level
        Background and counts.
    rng
        Draws the counts.
    """
    spectrum = np.asarray(render(energies, grid, resolution), dtype=float)
    exposure = level.peak_counts / spectrum.max()
    counts = rng.poisson(exposure * (spectrum + level.background * spectrum.max())).astype(float)
    return data_of_spectrum(crystal, path.q, grid, resolution, counts, exposure, directions=path.direction)


def bound(measurement: Measurement, prior: Prior, values: FloatArray, level: NoiseLevel) -> FloatArray:
    """Return the least standard deviation of each force constant, shape (n,), eV/Å².

    The Cramer-Rao bound of `unit` with scale, background and line shape unknown, and the prior as knowledge (van
    Trees, Detection, Estimation, and Modulation Theory, 1968, section 2.4): the root of the diagonal of the inverse
    of Fisher information plus prior precision.

    Parameters
    ----------
    measurement
        A spectrum of `noisy_spectrum`; its counts do not matter.
    prior
        Prior of the crystal.
    values
        Shape (n,): the true force constants in FC order.
    level
        Its background and counts.
    """
    model = UnitModel(measurement, prior)
    gaussian = model.prior_of(prior)
    peak = level.peak_counts / float(measurement.exposure[0])
    parameters = model.parameters_of(values, scale=1 / measurement.grid.width, background=level.background * peak)
    information = model.linearised(parameters).information
    covariance = np.linalg.inv(information + gaussian.precision)
    return np.asarray(np.sqrt(np.diag(covariance))[: len(values)])
