"""The posterior about a maximum: covariance, draws with importance weights, and how well the fit does."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.noise import Noise, chi2_of
from fcinv_core.refinement.refined import Fit, Nuisance, Refined
from fcinv_core.refinement.scoring import GaussianPrior, Linearised, Maximum, Model

#: Neighbouring bins whose misfits are taken together: they share pixels and branches.
_CLUSTER = 5
#: Directions in which a cluster of bins knows less than the prior say nothing of misfit.
_INFORMED = 1.0
#: Standard deviations by which chance may exceed the expected misfit.
_CHANCE = 2.0
#: Weights that leave a smaller share of the draws say more about the Gaussian's tails than about the posterior.
_LEAST_EFFECTIVE = 0.05


def posterior_of(
    model: Model,
    prior: GaussianPrior,
    best: Maximum,
    fits: tuple[Fit, ...],
    *,
    n_draws: int,
    reweight: bool,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> Refined:
    """Describe the posterior about its maximum.

    Parameters
    ----------
    model, prior
        What was fitted.
    best
        The maximum.
    fits
        All refinements, for the record.
    n_draws, reweight, seed
        See `RefineSettings`.
    between
        See `refine`.
    """
    rng = np.random.default_rng(seed)
    n, at = model.n_force_constants, best.at
    misfit, by_chance = overdispersion_of(at, prior)
    overdispersion = misfit if misfit > 1 + _CHANCE * by_chance else 1.0
    information = at.information / overdispersion
    precision = information + prior.precision
    covariance = np.linalg.inv(precision)
    covariance = (covariance + covariance.T) / 2
    draws, log_weights = _draws(model, prior, best, covariance, overdispersion, n_draws, reweight, rng, between)
    effective = _effective_sample_size(log_weights)
    rest = information[n:, n:] + prior.precision[n:, n:]
    marginal = information[:n, :n] - information[:n, n:] @ np.linalg.solve(rest, information[n:, :n])

    data = model.measurement
    expected = model.expected(best.parameters)
    n_parameters = float(np.trace(covariance @ information)) + model.n_free_amplitudes
    # Not the scatter that the fit allowed for, which also covers misfit that cells have in common.
    scatter = replace(model.noise, per_look=model.noise.least(expected, n_parameters))
    variance = scatter.variance(expected)
    # Scatter that was only found to be there would make any chi2 what it should be.
    known = model.noise if model.noise.is_of_lines else Noise(data)
    chi2, mean_chi2, sd_chi2 = chi2_of(known, expected)
    covered = data.summed(np.ones(len(data.counts))) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        fitted = np.where(covered, data.summed(expected) / data.summed(data.per_intensity), np.nan)
        residual = data.summed(data.counts - expected) / np.sqrt(data.summed(variance))
    sigma = np.sqrt(np.diag(covariance))[n:]
    notes = list(data.notes)
    if overdispersion > 1.0:
        notes.append(
            f"Bins disagree with the fit by {np.sqrt(overdispersion):.2f} times what counting explains; "
            "errors were enlarged by that."
        )
    if scatter.per_look > 0:
        of_what = "spread of intensities within a cell" if scatter.is_of_lines else "intensity"
        notes.append(
            f"Beyond counting, one look scatters about the fit by {100 * np.sqrt(scatter.per_look):.0f} % of the "
            f"{of_what}; {100 * np.sqrt(model.noise.per_look):.0f} % were allowed for."
        )
    if n_draws and effective < _LEAST_EFFECTIVE * n_draws:
        notes.append(
            f"Importance weights would leave {effective:.1f} of {n_draws} draws, so they are the Gaussian's."
        )
        log_weights = np.zeros(n_draws)
    if not best.converged:
        notes.append("The refinement stopped before it converged.")
    return Refined(
        model=model.name,
        values=best.parameters[:n],
        covariance=covariance[:n, :n],
        information=marginal,
        prior_sigma=prior.sigma[:n],
        draws=draws,
        log_weights=log_weights,
        effective_sample_size=effective,
        nuisance={
            name: Nuisance(float(value), float(error), unit)
            for (name, unit), value, error in zip(model.names, best.parameters[n:], sigma, strict=True)
        },
        covered=covered,
        fitted=fitted,
        residual=np.where(covered, residual, np.nan),
        deviance=2 * at.loss,
        chi2=chi2,
        expected_chi2=(mean_chi2 - n_parameters, sd_chi2),
        per_look=known.per_look,
        n_data=len(data.counts),
        n_parameters=n_parameters,
        overdispersion=overdispersion,
        fits=fits,
        notes=tuple(notes),
    )


def overdispersion_of(at: Linearised, prior: GaussianPrior) -> tuple[float, float]:
    """Return misfits of bins relative to what their information allows, and by how much chance changes that.

    If the model holds, the gradient of a cluster of bins has its information as covariance. Directions are compared
    in which the cluster knows more than the prior; those that the fit used up are counted off.
    """
    scale = prior.sigma
    cluster = np.arange(len(at.scores)) // _CLUSTER
    excess, n_directions = 0.0, 0
    for number in range(cluster[-1] + 1):
        score = scale * at.scores[cluster == number].sum(axis=0)
        information = scale[:, None] * at.informations[cluster == number].sum(axis=0) * scale
        values, vectors = np.linalg.eigh(information)
        informed = values > _INFORMED
        excess += float(((vectors[:, informed].T @ score) ** 2 / values[informed]).sum())
        n_directions += int(informed.sum())
    used = np.trace(np.linalg.solve(at.information + prior.precision, at.information))
    n_free = max(n_directions - float(used), 1.0)
    return excess / n_free, float(np.sqrt(2 / n_free))


def _draws(
    model: Model,
    prior: GaussianPrior,
    best: Maximum,
    covariance: FloatArray,
    overdispersion: float,
    n_draws: int,
    reweight: bool,
    rng: np.random.Generator,
    between: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """Draws of the force constants from the Gaussian about the maximum, and their log weights."""
    standard = rng.standard_normal((n_draws, len(covariance)))
    draws = best.parameters + standard @ np.linalg.cholesky(covariance).T
    n = model.n_force_constants
    if not reweight or not n_draws:
        return draws[:, :n], np.zeros(n_draws)
    target = np.empty(n_draws)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(model.loss, draw) for draw in draws]
        try:
            for k, loss in enumerate(waiting):
                between()
                target[k] = -loss.result() / overdispersion - prior.loss(draws[k])
        finally:
            pool.shutdown(cancel_futures=True)
    log_weights = target + 0.5 * (standard**2).sum(axis=1)
    return draws[:, :n], log_weights - log_weights.max()


def _effective_sample_size(log_weights: FloatArray) -> float:
    """Number of equally weighted draws that weighted ones are worth (Kong, Univ. Chicago Tech. Rep. 348 (1992))."""
    weights = np.exp(log_weights)
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0
