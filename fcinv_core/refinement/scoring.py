"""Fisher scoring: the maximum of a posterior by Gauss-Newton steps with Levenberg-Marquardt damping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import eigh

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.refined import AmplitudeModel

#: First bound of a step, root mean square over the modes, as a share of the FWHM of the elastic line: lines that
#: overlap can be followed.
_FIRST_RADIUS = 0.3
#: Shorter and shorter steps that are tried.
_ATTEMPTS = 8


@dataclass(frozen=True, eq=False)
class Linearised:
    """A model about one point of its p parameters.

    Attributes
    ----------
    loss
        Negative log likelihood, 0 for a model that meets every count.
    gradient
        Shape (p,): of the loss.
    information
        Shape (p, p): expected Fisher information, amplitudes eliminated.
    scores, informations
        Shapes (n_bins, p) and (n_bins, p, p): gradient and information of every bin.
    metric
        Shape (p, p): step @ metric @ step is the mean square change of mode energies, meV².
    """

    loss: float
    gradient: FloatArray
    information: FloatArray
    scores: FloatArray
    informations: FloatArray
    metric: FloatArray


class Model(Protocol):
    """What can be fitted: force constants in FC order, then parameters of the measurement."""

    measurement: Measurement
    noise: Noise
    n_force_constants: int

    @property
    def name(self) -> AmplitudeModel:
        """Name of the amplitude model."""

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Names and units of the parameters of the measurement."""

    @property
    def n_free_amplitudes(self) -> int:
        """Number of amplitudes that were fitted where `linearised` or `expected` were asked for last."""

    def prior_of(self, prior: Prior) -> GaussianPrior:
        """Return the Gaussian prior of all parameters."""

    def energies(self, values: FloatArray) -> FloatArray:
        """Return mode energies at the nodes of all bins, shape (n_bins nodes, m), meV, of force constants (n,)."""

    def loss(self, parameters: FloatArray, broadening: float = 0.0) -> float:
        """Return the negative log likelihood; ``broadening`` (meV) widens all lines. Threads may share it."""

    def linearised(self, parameters: FloatArray, broadening: float = 0.0) -> Linearised:
        """Return loss, gradient and information."""

    def expected(self, parameters: FloatArray) -> FloatArray:
        """Return expected counts of all cells, shape (k,)."""


@dataclass(frozen=True, eq=False)
class GaussianPrior:
    """Independent Gaussians of all parameters.

    Attributes
    ----------
    mean, sigma
        Shape (p,).
    """

    mean: FloatArray
    sigma: FloatArray

    def loss(self, parameters: FloatArray) -> float:
        """Return half of the squared distance from the mean in standard deviations."""
        return float(0.5 * (((parameters - self.mean) / self.sigma) ** 2).sum())

    def gradient(self, parameters: FloatArray) -> FloatArray:
        """Return the gradient of the loss, shape (p,)."""
        return np.asarray((parameters - self.mean) / self.sigma**2)

    @property
    def precision(self) -> FloatArray:
        """Inverse covariance, shape (p, p)."""
        return np.diag(1 / self.sigma**2)


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where a fit ended.

    Attributes
    ----------
    parameters
        Shape (p,).
    at
        The model there.
    objective
        Loss of data and prior.
    converged
        Whether the next step would gain less than the tolerance.
    n_steps
        Linearisations that it took.
    """

    parameters: FloatArray
    at: Linearised
    objective: float
    converged: bool
    n_steps: int


def maximise(
    model: Model,
    prior: GaussianPrior,
    start: FloatArray,
    *,
    broadening: float = 0.0,
    tolerance: float = 1e-2,
    max_steps: int = 40,
    between: Callable[[], None] = lambda: None,
) -> Maximum:
    """Follow scoring steps to a maximum of the posterior, none longer than lines can be followed.

    Steps are bounded in the change of mode energies, in which the likelihood bends, and not in force constants, of
    which many hardly matter.

    Parameters
    ----------
    model, prior
        Likelihood and prior.
    start
        Shape (p,).
    broadening
        Standard deviation (meV) added to all lines: a coarse fit, whose maximum is wide.
    tolerance
        Ends when a step is expected to lower the objective by less.
    max_steps
        Linearisations at most.
    between
        Called between evaluations of the model; what it raises ends the fit.
    """
    parameters, radius = (
        np.array(start, dtype=float),
        _FIRST_RADIUS * model.measurement.resolution.elastic_fwhm + broadening / 2,
    )
    at = model.linearised(parameters, broadening)
    objective = at.loss + prior.loss(parameters)
    for n_steps in range(1, max_steps):
        gradient = at.gradient + prior.gradient(parameters)
        hessian = at.information + prior.precision
        # Hessian and metric are made diagonal together, so that the length is known for every damping.
        values, vectors = eigh(at.metric, hessian)
        for _ in range(_ATTEMPTS):
            between()
            step, length = _bounded_step(values, vectors, gradient, radius)
            predicted = -float(gradient @ step + 0.5 * step @ hessian @ step)
            if predicted < tolerance:
                return Maximum(parameters, at, objective, True, n_steps)
            trial = parameters + step
            gain = (objective - model.loss(trial, broadening) - prior.loss(trial)) / predicted
            if gain < 0.25:
                radius = 0.3 * min(radius, length)
            elif gain > 0.7 and length > 0.9 * radius:
                radius *= 2
            if gain > 1e-3:
                break
        else:
            return Maximum(parameters, at, objective, False, n_steps)
        parameters = trial
        at = model.linearised(parameters, broadening)
        objective = at.loss + prior.loss(parameters)
    return Maximum(parameters, at, objective, False, max_steps)


def _bounded_step(
    values: FloatArray, vectors: FloatArray, gradient: FloatArray, radius: float
) -> tuple[FloatArray, float]:
    """Return the step to the minimum of the quadratic within a root-mean-square change of energies, and its length.

    Parameters
    ----------
    values, vectors
        Shapes (p,) and (p, p): of the metric relative to the Hessian, ascending.
    gradient
        Shape (p,).
    radius
        meV.
    """
    along = vectors.T @ gradient

    def length(damping: float) -> float:
        return float(np.sqrt((np.maximum(values, 0) * (along / (1 + damping * values)) ** 2).sum()))

    damping = 0.0
    if length(0.0) > radius:
        low, high = 0.0, 1.0 / float(values[-1])
        while length(high) > radius:
            low, high = high, 10 * high
        for _ in range(30):
            damping = (low + high) / 2
            low, high = (damping, high) if length(damping) > radius else (low, damping)
    return np.asarray(-vectors @ (along / (1 + damping * np.maximum(values, 0)))), length(damping)
