"""Refinement by structure factors: from coarse to fine, with a prior as narrow as the counts ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.refinement.coherent import CoherentModel
from fcinv_core.refinement.evidence import Width, likeliest_width, narrowed
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.nodes import single_nodes
from fcinv_core.refinement.noise import Noise, likeliest_noise
from fcinv_core.refinement.posterior import posterior_of
from fcinv_core.refinement.refined import Fit, Refined
from fcinv_core.refinement.scoring import GaussianPrior, Maximum, maximise
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.refinement.starts import FAR_SCALES, Start, first_apart, ranked_starts
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths


class _Round(NamedTuple):
    """A round of the search: width that is added to lines as a share of the highest mode, and what else it has."""

    width: float
    per_look: float
    survivors: int


#: Rounds at the bins' centres, and steps in each.
_ROUNDS, _STEPS = (_Round(0.0734, 60.0, 3), _Round(0.0367, 20.0, 2), _Round(0.0184, 6.0, 2)), 8
#: The last round with widened lines, in which the spread of wave vectors in a bin counts.
_LAST_WIDTH, _LAST_PER_LOOK = 0.00734, 2.0
#: Dispersions that are followed are this share of the highest mode (rms) apart at least.
_APART = 0.03
#: Starts that are followed.
_FOLLOWED = 4
#: Share of the prior's floor with which the search begins.
_FIRST_SHARE = 0.5
#: Factor by which Laplace's approximation is too narrow, from virtual experiments: it takes noise and
#: prior that the counts chose as known, and the scatter inside of detector pixels as independent.
_WIDENING = 1.4
#: From so many counts on they tell seven nodes a bin from the truth.
_MANY_COUNTS = 3e4
#: Steps that would gain less end a fit with all nodes, as modes that change places at a node do so much.
_TOLERANCE = 0.3
#: Times that noise and prior are chosen again at most.
_CHOICES = 3


def refine_coherent(
    measurement: Measurement,
    prior: Prior,
    starts: FloatArray,
    settings: RefineSettings,
    between: Callable[[], None],
) -> Refined:
    """Refine force constants by structure factors; parameters are those of `fcinv_core.refinement.refine.refine`.

    An orientation that was measured for a minute has one or two counts for each mode along the path: too few to
    find intensities as well as energies, enough to find energies where intensities are known. All starts, scaled
    as a whole too, are compared with broad lines at the centres of the bins; the best go on with narrower lines.

    Few counts leave what the prior leaves: how wide it is and how heavy its tails are is what makes the counts most
    probable (`likeliest_width`; MacKay, Neural Comput. 4, 415 (1992)). Many counts show that branches bend within
    bins: the last steps then take more wavevectors of each.
    """
    lengths = settings.lengths or natural_scattering_lengths(measurement.crystal)
    n = prior.n_force_constants
    coarse = CoherentModel(replace(measurement, nodes=single_nodes(len(measurement.q))), prior, lengths)
    highest = float(coarse.energies(prior.mean).max())
    found = _search(coarse, prior, starts, highest, settings, between)
    model = CoherentModel(measurement, prior, lengths)
    best, width = _sharpened(model, prior, _narrow(model, prior, found[0].parameters, highest, between), between)
    noise = model.noise
    fits = [(found[0].values, best)]
    for start in found[1:]:
        begin = _narrow(model, prior, start.parameters, highest, between)
        fits.append((start.values, _fitted(model, width.gaussian, begin, noise, between)))
    fits.sort(key=lambda fit: fit[1].objective)
    if fits[0][1] is not best:
        best, width = _sharpened(model, prior, fits[0][1].parameters, between)
    if measurement.counts.sum() > _MANY_COUNTS:
        model = CoherentModel(measurement.finer(), prior, lengths)
        best, width = _sharpened(model, prior, best.parameters, between)
    _follow_displacements(model, best.parameters[:n])
    refined = posterior_of(
        model,
        width.gaussian,
        best,
        tuple(
            Fit(start, end.parameters[:n], 2 * end.at.loss, 2 * end.objective, end.converged) for start, end in fits
        ),
        n_draws=settings.n_draws,
        reweight=settings.reweight,
        seed=settings.seed,
        between=between,
    )
    widened = f"Standard deviations were enlarged by {_WIDENING:g}, as virtual experiments want it."
    return replace(
        refined,
        covariance=_WIDENING**2 * refined.covariance,
        draws=refined.values + _WIDENING * (refined.draws - refined.values),
        notes=(*refined.notes, widened, *width.notes),
    )


def _search(
    model: CoherentModel,
    prior: Prior,
    starts: FloatArray,
    highest: float,
    settings: RefineSettings,
    between: Callable[[], None],
) -> list[Start]:
    """Compare all starts and follow the best with narrower and narrower lines; best first."""
    gaussian, n = narrowed(prior, model.prior_of(prior), _FIRST_SHARE), prior.n_force_constants
    rounds, scales = (_ROUNDS, FAR_SCALES) if settings.far else (_ROUNDS[-1:], np.ones(1))
    model.noise = Noise(model.measurement, rounds[0].per_look)
    ranked = ranked_starts(model, starts, gaussian.mean[n:], scales, rounds[0].width * highest, between)
    running = first_apart(model, ranked, _APART * highest, settings.max_starts or _FOLLOWED)
    for one in rounds:
        model.noise = Noise(model.measurement, one.per_look)
        ends = []
        for start in running:
            _follow_displacements(model, start.parameters[:n])
            end = maximise(
                model,
                gaussian,
                start.parameters,
                broadening=one.width * highest,
                tolerance=0.5,
                max_steps=_STEPS,
                between=between,
            )
            ends.append((end.objective, start._replace(parameters=end.parameters)))
        ends.sort(key=lambda pair: pair[0])
        running = first_apart(model, [start for _, start in ends], _APART * highest, one.survivors)
    return running


def _narrow(
    model: CoherentModel, prior: Prior, parameters: FloatArray, highest: float, between: Callable[[], None]
) -> FloatArray:
    """Follow a start with all of the bins' nodes to lines a little wider than measured; return parameters."""
    gaussian = narrowed(prior, model.prior_of(prior), _FIRST_SHARE)
    noise = Noise(model.measurement, _LAST_PER_LOOK)
    return _fitted(model, gaussian, parameters, noise, between, _LAST_WIDTH * highest).parameters


def _sharpened(
    model: CoherentModel, prior: Prior, parameters: FloatArray, between: Callable[[], None]
) -> tuple[Maximum, Width]:
    """Follow a start to lines as wide as measured, with the noise and the prior that the counts choose there.

    The model is left with that noise.
    """
    gaussian = model.prior_of(prior)
    new = Width(narrowed(prior, gaussian, _FIRST_SHARE), _FIRST_SHARE, False)
    for _ in range(_CHOICES):
        width = new
        noise = likeliest_noise(model.measurement, *model.expected_and_contrast(parameters))
        end = _fitted(model, width.gaussian, parameters, noise, between)
        parameters = end.parameters
        new = likeliest_width(prior, gaussian, end)
        if new.kind == width.kind:
            break
    return end, width


def _fitted(
    model: CoherentModel,
    gaussian: GaussianPrior,
    parameters: FloatArray,
    noise: Noise,
    between: Callable[[], None],
    broadening: float = 0.0,
) -> Maximum:
    _follow_displacements(model, parameters[: model.n_force_constants])
    model.noise = noise
    return maximise(
        model, gaussian, parameters, broadening=broadening, tolerance=_TOLERANCE, max_steps=12, between=between
    )


def _follow_displacements(model: CoherentModel, values: FloatArray) -> None:
    """Take the thermal displacements of force constants (n,), unless these hold no crystal together."""
    with contextlib.suppress(InputError):
        model.set_reference(values)
