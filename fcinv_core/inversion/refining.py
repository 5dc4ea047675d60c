"""The refinement of a measurement as an inversion wants it: where it starts, and where amplitudes come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.refined import AmplitudeModel, Refined
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

if TYPE_CHECKING:
    from fcinv_core.networks.model import NetworkDraws

#: Where the weights of modes come from: named, or what the counts carry.
AmplitudeChoice = Literal["auto", "unit", "free", "coherent"]
#: Counts for each mode of each bin from which on its amplitude can be found along with its energy.
COUNTS_PER_MODE = 30.0
#: Draws of a network that are looked at beside its mean; most are left after that.
_DRAWS = 6
#: Standard deviation that holds a force constant where it is, eV/Å².
_HELD = 1e-6


def counts_per_mode(measurement: Measurement) -> float:
    """Return the counts that were fitted over the number of modes in the bins that they lie in."""
    n_bins = len(np.unique(measurement.cut_bin))
    return float(measurement.counts.sum()) / (n_bins * 3 * measurement.crystal.n_sites)


def amplitudes_for(measurement: Measurement) -> tuple[AmplitudeModel, str]:
    """Choose the amplitude model that a measurement carries; return it and why, as a sentence.

    Structure factors over the irreducible zone, in whose bins lie many zone classes, and wherever there are fewer
    than `COUNTS_PER_MODE`; free amplitudes, which assume less, else.
    """
    share, over_zone = counts_per_mode(measurement), measurement.directions is None
    counted = f"there are {share:.1f} counts for each mode of each point"
    if share >= COUNTS_PER_MODE and not over_zone:
        return "free", f"Amplitudes of modes were left free: {counted}, enough to find them."
    reason = (
        "each bin of the zone holds many zone classes"
        if over_zone
        else f"{counted}, too few to find amplitudes too"
    )
    try:
        natural_scattering_lengths(measurement.crystal)
    except InputError:
        return "free", f"Amplitudes of modes were left free: {reason}, but a scattering length is not known."
    return "coherent", f"Amplitudes of modes are structure factors: {reason}."


def refine_measurement(
    measurement: Measurement,
    prior: Prior,
    network: NetworkDraws | None,
    amplitudes: AmplitudeChoice,
    settings: RefineSettings,
    between: Callable[[], None] = lambda: None,
    also: FloatArray | None = None,
) -> Refined:
    """Refine from what a network says, or from the ensemble without one.

    Parameters
    ----------
    measurement, prior
        What is fitted.
    network
        What the network draws for it; None without one.
    amplitudes
        The amplitude model, or "auto".
    settings
        Its amplitude model is not used.
    between
        See `refine`.
    also
        Shape (k, n): sets of force constants to start from too, before all others.

    Raises
    ------
    InputError
        If structure factors are asked for and an element has no scattering length.
    """
    model, why = amplitudes_for(measurement) if amplitudes == "auto" else (amplitudes, None)
    starts = starts_from(prior, network)
    if also is not None:
        starts = np.vstack([also, starts])
    refined = refine(measurement, prior, starts, replace(settings, model=model), between=between)
    return refined if why is None else replace(refined, notes=(why, *refined.notes))


def fit_along_path(
    measurement: Measurement, prior: Prior, found: Refined, between: Callable[[], None] = lambda: None
) -> Refined:
    """Fit a measurement with the force constants of another fit: what is left are its nuisance parameters."""
    held = prior.about(found.values, np.full(len(found.values), _HELD), "answer of the refinement")
    settings = RefineSettings(model=found.model, far=False, n_draws=0)
    return refine(measurement, held, found.values, settings, between=between)


def starts_from(prior: Prior, network: NetworkDraws | None) -> FloatArray:
    """What the network says and the prior's mean; without a network that and its stable members: shape (k, n).

    In the draws of a network the force constants that it was not taught stay at their mean: the spread of their
    prior would only lead away from what it knows.
    """
    if network is None:
        return np.array([prior.mean, *(member.values for member in prior.members if member.stability.stable)])
    mean = network.draws.mean(axis=0)
    drawn = np.repeat(mean[None], _DRAWS, axis=0)
    retained = network.retained
    drawn[:, retained] = network.draws[:_DRAWS, retained]
    return np.vstack([mean, prior.mean, drawn])
