"""What a refinement answers: force constants, covariance, draws, nuisance parameters, quality of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray

BoolArray = NDArray[np.bool_]
#: Where the weight of a mode in a spectrum comes from.
AmplitudeModel = Literal["unit", "free", "coherent"]


@dataclass(frozen=True)
class Nuisance:
    """A parameter of the measurement that was fitted along with the force constants.

    Attributes
    ----------
    value, sigma
        Estimate and its standard deviation.
    unit
        "" where it is a pure number.
    """

    value: float
    sigma: float
    unit: str


@dataclass(frozen=True, eq=False)
class Fit:
    """One refinement from one start.

    Attributes
    ----------
    start, mode
        Shape (n,): force constants in FC order where it began and ended, eV/Å².
    deviance
        -2 log likelihood at the mode, relative to a model that meets every count.
    objective
        Deviance plus the squared distance from the prior in its standard deviations.
    converged
        Whether the last step was small.
    n_starts
        Number of starts, this one included, that came to it on the way.
    """

    start: FloatArray
    mode: FloatArray
    deviance: float
    objective: float
    converged: bool
    n_starts: int = 1


@dataclass(frozen=True, eq=False)
class Refined:
    """Force constants refined against a measurement; n of them, all in FC order, eV/Å².

    Attributes
    ----------
    model
        Amplitude model that was fitted.
    values
        Shape (n,): mode of the posterior.
    covariance
        Shape (n, n): of the posterior, nuisance parameters and amplitudes integrated out, (eV/Å²)².
    information
        Shape (n, n): Fisher information of the data alone, the nuisance parameters eliminated, (eV/Å²)⁻².
    prior_sigma
        Shape (n,): standard deviations before the measurement.
    draws
        Shape (d, n): draws from the posterior in Gaussian (Laplace) approximation.
    log_weights
        Shape (d,): logarithm of posterior over proposal, highest 0; all 0 where reweighting was not asked for.
    effective_sample_size
        Draws that the weights are worth.
    nuisance
        Fitted parameters of the measurement by name.
    covered
        Shape (n_bins, n_energies): cells that were fitted.
    fitted, residual
        Shape (n_bins, n_energies): intensity of the fit in the measurement's unit, and Pearson residual; NaN
        where not covered. With several zone classes a bin, sums over them.
    deviance
        -2 log likelihood relative to a model that meets every count.
    chi2
        Pearson's, with the variance of counting and, where it follows from the lines, of looks that differ.
    expected_chi2
        Mean and standard deviation of chi2 if the fit were the truth, less one for each fitted parameter.
    per_look
        Variance of looks that chi2 allows for, relative to what the lines say; 0 for counting alone.
    n_data, n_parameters
        Cells that were fitted; parameters that the data decided, amplitudes included (effective number).
    overdispersion
        Factor >= 1 by which the covariance of the data's part was enlarged, because bins of the measurement
        disagree with the fit by more than counting explains.
    fits
        Refinements from all starts, best first.
    notes
        What was assumed or noticed, one sentence each.
    """

    model: AmplitudeModel
    values: FloatArray
    covariance: FloatArray
    information: FloatArray
    prior_sigma: FloatArray
    draws: FloatArray
    log_weights: FloatArray
    effective_sample_size: float
    nuisance: Mapping[str, Nuisance]
    covered: BoolArray
    fitted: FloatArray
    residual: FloatArray
    deviance: float
    chi2: float
    expected_chi2: tuple[float, float]
    per_look: float
    n_data: int
    n_parameters: float
    overdispersion: float
    fits: tuple[Fit, ...]
    notes: tuple[str, ...] = ()

    @property
    def scatter(self) -> str:
        """What chi2 allows for, in words."""
        return "counting and of looks at a cell that differ" if self.per_look else "counting alone"

    @property
    def sigma(self) -> FloatArray:
        """Standard deviation of each force constant, shape (n,), eV/Å²."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def decided_by_data(self) -> FloatArray:
        """Share of the prior variance of each force constant that the data removed, shape (n,), 0 to 1."""
        return np.asarray(1 - np.clip(np.diag(self.covariance) / self.prior_sigma**2, 0, 1))

    def resampled(self, n: int, seed: int = 0) -> FloatArray:
        """Return n equally weighted draws, shape (n, n_fc), picked by their importance weights."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        rng = np.random.default_rng(seed)
        # Systematic resampling adds less noise than independent picks.
        places = (np.arange(n) + rng.uniform()) / n
        chosen = np.searchsorted(np.cumsum(weights / weights.sum()), places)
        return np.asarray(self.draws[np.minimum(chosen, len(self.draws) - 1)])
