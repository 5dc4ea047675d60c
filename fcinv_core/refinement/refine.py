"""Refinement of force constants: several starts, coarse to fine, and the posterior of the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from fcinv_core.crystal import FloatArray
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.refinement.coherent_search import refine_coherent
from fcinv_core.refinement.evidence import Width, likeliest_width
from fcinv_core.refinement.free import FreeModel
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.nodes import single_nodes
from fcinv_core.refinement.noise import Noise
from fcinv_core.refinement.posterior import overdispersion_of, posterior_of
from fcinv_core.refinement.refined import Fit, Refined
from fcinv_core.refinement.scoring import GaussianPrior, Maximum, Model, maximise
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.refinement.starts import FAR_SCALES, Start, farthest_apart, first_apart, ranked_starts
from fcinv_core.refinement.unit import UnitModel

#: Rounds from coarse to fine: width that is added to lines as a share of the highest mode of the prior's mean,
#: steps, starts that go on. The first is about what a scale between those that are tried leaves.
_ROUNDS = ((0.0734, 5, 6), (0.0367, 6, 4), (0.0184, 6, 3), (0.00734, 8, 3))
#: Starts that are followed; with free amplitudes their dispersions are that share of the highest mode apart.
_FOLLOWED_STARTS, _APART = 8, 0.02
#: Extra variance of a look relative to its squared intensity: from much, with which strong and weak cells count
#: alike and maxima are few, to none.
_PER_LOOK = (60.0, 20.0, 6.0, 2.0, 0.6, 0.2, 0.0)
#: Misfit of bins, relative to what their information allows, up to which the extra variance is lowered:
#: neighbouring bins have misfit in common, which this understates.
_AGREEMENT = 0.7
#: Times that the best end is widened and narrowed again at most.
_SHAKES = 4
#: The same for whole spectra of counts, which can be blurred like the lines: width in units of the FWHM of the
#: elastic line, relative error that is allowed for, steps, starts that go on. Only far starts begin with the first.
_BLURRED_ROUNDS = ((2.7, 0.3, 12, 12), (1.35, 0.3, 8, 6), (0.67, 0.3, 12, 3), (0.33, 0.1, 12, 2))
#: Times that the prior's width is chosen again at most.
_CHOICES = 3
#: Ends whose mode energies differ by less than this share of the lines' width (root mean square) are one, and so
#: many starts that all come to one leave the rest out.
_SAME_END, _ENOUGH = 0.1, 4


def refine(
    measurement: Measurement,
    prior: Prior,
    starts: FloatArray,
    settings: RefineSettings | None = None,
    *,
    between: Callable[[], None] = lambda: None,
) -> Refined:
    """Refine force constants against a measurement.

    Parameters
    ----------
    measurement
        What was measured (`data_of_folded`, `data_of_spectrum`).
    prior
        Gaussian prior and dynamics of the crystal.
    starts
        Shape (k, n): force constants in FC order, eV/Å²: draws of a network, or of the prior. They are thinned out.
    settings
        Default: `RefineSettings()`.
    between
        Called between evaluations of the model, a fraction of a second apart; what it raises ends the refinement.

    Raises
    ------
    InputError
        If the starts do not fit the prior, or an element has no scattering length.
    """
    settings = settings or RefineSettings()
    starts = np.atleast_2d(np.asarray(starts, dtype=float))
    if starts.shape[1] != prior.n_force_constants or not np.isfinite(starts).all():
        raise InputError(
            f"starts of {starts.shape[1]} force constants cannot be refined",
            f"{prior.n_force_constants} finite numbers each were expected",
            "give sets in the FC order of the prior",
        )
    # Matrices are small: threads of BLAS would only get in each other's way.
    with threadpool_limits(1, user_api="blas"):
        return _refined(measurement, prior, starts, settings, between)


def _refined(
    measurement: Measurement,
    prior: Prior,
    starts: FloatArray,
    settings: RefineSettings,
    between: Callable[[], None],
) -> Refined:
    if settings.model == "coherent":
        return refine_coherent(measurement, prior, starts, settings, between)
    built = UnitModel if settings.model == "unit" else FreeModel
    fitted = measurement if settings.model == "unit" else measurement.merged()
    model: Model = built(fitted, prior)
    gaussian = model.prior_of(prior)
    if isinstance(model, UnitModel) and model.is_complete:
        fits = _from_blurred_to_sharp(model, gaussian, starts, settings, between)
    else:
        highest = float(mode_energies(prior.reference, fitted.q, fitted.directions).max())
        coarse = built(replace(fitted, nodes=single_nodes(len(fitted.q))), prior) if settings.far else model
        fits = _from_coarse_to_fine(coarse, model, gaussian, starts, highest, settings, between)
    best, width = _with_least_excess(model, gaussian, fits[0][1], between), Width(gaussian, 1.0, heavy=False)
    if settings.model == "free":
        best, width = _with_likeliest_width(model, prior, width, best, between)
    refined = posterior_of(
        model,
        width.gaussian,
        best,
        tuple(
            Fit(
                one.values,
                end.parameters[: len(one.values)],
                2 * end.at.loss,
                2 * end.objective,
                end.converged,
                one.n_starts,
            )
            for one, end in fits
        ),
        n_draws=settings.n_draws,
        reweight=settings.reweight,
        seed=settings.seed,
        between=between,
    )
    return replace(refined, notes=(*refined.notes, *width.notes))


def _from_coarse_to_fine(
    coarse: Model,
    model: Model,
    prior: GaussianPrior,
    starts: FloatArray,
    highest: float,
    settings: RefineSettings,
    between: Callable[[], None],
) -> list[tuple[Start, Maximum]]:
    """Follow the best starts through rounds of narrower and narrower lines; best first.

    ``coarse`` is the model at the centres of bins, for all rounds but the last: wide lines hide their extent.
    ``highest`` is the energy (meV) that the widths of the rounds are shares of.
    """
    n, last = starts.shape[1], len(_ROUNDS) - 1
    rounds = [
        (model if number == last else coarse, share * highest, steps, survivors)
        for number, (share, steps, survivors) in enumerate(_ROUNDS if settings.far else ())
    ]
    scales = FAR_SCALES if settings.far else np.ones(1)
    for one in (coarse, model):
        one.noise = Noise(one.measurement, _PER_LOOK[0])
    ranked = ranked_starts(coarse, starts, prior.mean[n:], scales, rounds[0][1] if rounds else 0.0, between)
    running = first_apart(coarse, ranked, _APART * highest, settings.max_starts or _FOLLOWED_STARTS)
    running = _followed(rounds, prior, running, between)
    return _finished(model, prior, running, rounds[-1][1] if rounds else None, between)


def _from_blurred_to_sharp(
    model: UnitModel,
    prior: GaussianPrior,
    starts: FloatArray,
    settings: RefineSettings,
    between: Callable[[], None],
) -> list[tuple[Start, Maximum]]:
    """Follow starts through sharper and sharper spectra, the best of them to the end; best first.

    Lines of a blurred spectrum can pass through each other. Which of two branches lies higher is decided where they
    begin, so that the starts should differ in it, and shows in the misfit long before lines are sharp.
    """
    n, fwhm = starts.shape[1], model.measurement.resolution.elastic_fwhm
    rounds = [
        (model.blurred(share * fwhm, error), share * fwhm, steps, survivors)
        for share, error, steps, survivors in _BLURRED_ROUNDS[0 if settings.far else 1 :]
    ]
    most = settings.max_starts or _FOLLOWED_STARTS
    chosen = farthest_apart(starts, prior.sigma[:n], most)
    if settings.far:
        blurred, width = rounds[0][:2]
        running = ranked_starts(blurred, chosen, prior.mean[n:], FAR_SCALES, width, between)[:most]
    else:
        running = [Start(values, np.append(values, prior.mean[n:])) for values in chosen]
    running = _followed(rounds, prior, running, between)
    return _finished(model, prior, running, rounds[-1][1] if settings.far else None, between)


def _followed(
    rounds: Sequence[tuple[Model, float, int, int]],
    prior: GaussianPrior,
    running: list[Start],
    between: Callable[[], None],
) -> list[Start]:
    """Follow starts through rounds of a model, the width of its lines, steps, and those that go on."""
    for model, width, steps, survivors in rounds:
        same = _SAME_END * max(width, model.measurement.resolution.elastic_fwhm)
        ends: list[tuple[Start, Maximum]] = []
        for number, one in enumerate(running):
            if number >= _ENOUGH and len(ends) == 1:
                break
            end = maximise(
                model, prior, one.parameters, broadening=width, tolerance=0.3, max_steps=steps, between=between
            )
            ends = _with_end(ends, one._replace(parameters=end.parameters), end, same)
        ends.sort(key=lambda pair: pair[1].objective)
        running = [one for one, _ in ends[:survivors]]
    return running


def _with_end(
    ends: list[tuple[Start, Maximum]], one: Start, end: Maximum, same: float
) -> list[tuple[Start, Maximum]]:
    """Add where a start ended; ends whose mode energies differ by less than ``same`` (rms, meV) become the best."""
    others = []
    for other, found in ends:
        step = found.parameters - end.parameters
        if step @ end.at.metric @ step > same**2:
            others.append((other, found))
            continue
        n_starts = one.n_starts + other.n_starts
        if found.objective < end.objective:
            one, end = other, found
        one = one._replace(n_starts=n_starts)
    return [*others, (one, end)]


def _finished(
    model: Model,
    prior: GaussianPrior,
    running: list[Start],
    shake: float | None,
    between: Callable[[], None],
) -> list[tuple[Start, Maximum]]:
    """Follow starts to the end, best first; the best is shaken with lines that much wider."""
    final = [(one, maximise(model, prior, one.parameters, tolerance=0.1, between=between)) for one in running]
    final.sort(key=lambda end: end[1].objective)
    if shake is not None:
        final[0] = (final[0][0], _shaken(model, prior, final[0][1], shake, between))
    return final


def _shaken(
    model: Model, prior: GaussianPrior, found: Maximum, width: float, between: Callable[[], None]
) -> Maximum:
    """Leave small maxima: widen lines a little and narrow them again, as long as that finds a higher one."""
    for _ in range(_SHAKES):
        wide = maximise(
            model, prior, found.parameters, broadening=width, tolerance=0.3, max_steps=10, between=between
        )
        end = maximise(model, prior, wide.parameters, tolerance=0.1, between=between)
        if end.objective > found.objective - 1.0:
            return min(found, end, key=lambda one: one.objective)
        found = end
    return found


def _with_least_excess(model: Model, prior: GaussianPrior, found: Maximum, between: Callable[[], None]) -> Maximum:
    """Lower the extra variance as far as counts and the agreement of bins allow, and follow the maximum."""
    if not np.isfinite(model.measurement.looks).any():
        model.noise = Noise(model.measurement)
        return maximise(model, prior, found.parameters, tolerance=1e-3, between=between)
    for per_look in _PER_LOOK[1:]:
        used = model.noise
        model.noise = Noise(model.measurement, per_look)
        trial = maximise(model, prior, found.parameters, between=between)
        least = model.noise.least(model.expected(trial.parameters), model.n_free_amplitudes + len(prior.mean))
        if overdispersion_of(trial.at, prior)[0] > _AGREEMENT or least > per_look:
            model.noise = used
            break
        found = trial
    return found


def _with_likeliest_width(
    model: Model, prior: Prior, width: Width, found: Maximum, between: Callable[[], None]
) -> tuple[Maximum, Width]:
    """Follow the maximum to the prior under which the counts are most probable, from one of a width."""
    gaussian = width.gaussian
    for _ in range(_CHOICES):
        new = likeliest_width(prior, gaussian, found)
        if new.kind == width.kind:
            break
        width, found = new, maximise(model, new.gaussian, found.parameters, tolerance=0.1, between=between)
    return found, width
