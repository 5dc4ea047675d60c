"""The main job: from a folded measurement and a trained model to force constants, checked and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.derived.bands import Band, band
from fcinv_core.derived.quantities import ROOM_TEMPERATURE, derive
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.instrument import find_instrument, resolution
from fcinv_core.inversion.inversion import FEW_DRAWS, Inversion, Method, NetworkPart
from fcinv_core.inversion.judgement import judge_inversion
from fcinv_core.inversion.matching import check_measurement, check_zone, strain_between
from fcinv_core.inversion.refining import AmplitudeChoice, fit_along_path, refine_measurement
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.refinement.measurement import Measurement, data_of_folded
from fcinv_core.refinement.refined import Refined
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.spectrum import Resolution

#: Draws of the prior that its dispersion is judged by.
_PRIOR_DRAWS = 200
#: Energy resolution of a direct-geometry spectrometer that nothing is known of: FWHM over incident energy at the
#: elastic line, and its fall up to the incident energy.
_WIDTH, _FALL = 0.03, 0.75

if TYPE_CHECKING:
    from fcinv_core.networks.model import Model

#: Told what is being done.
Say = Callable[[str], None]


@dataclass(frozen=True)
class InversionSettings:
    """What a user can choose about an inversion; see `fcinv invert --help`.

    Attributes
    ----------
    method
        "network", "refine" or "fit".
    amplitudes
        Where the refinement takes the weights of modes from: "unit", "free", "coherent", or "auto": what the counts
        carry (`fcinv_core.inversion.refining.amplitudes_for`).
    n_draws
        Draws from the posterior.
    seed
        Of all that is drawn.
    temperature
        K; default: that of the runs.
    elastic_cut
        Energy bins within this energy of zero are left out, meV; default: three FWHM of the elastic line.
    window
        Energies that take part, meV; default: all.
    resolution
        Expected energy resolution; by default 3 % of the incident energy at the elastic line, a quarter of that at
        full energy loss. Its width and slope are refined.
    """

    method: Method = "refine"
    amplitudes: AmplitudeChoice = "auto"
    n_draws: int = 300
    seed: int = 0
    temperature: float | None = None
    elastic_cut: float | None = None
    window: tuple[float, float] | None = None
    resolution: Resolution | None = None


def invert(
    folded: Folded,
    keep: BoolArray,
    model: Model,
    settings: InversionSettings | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    starts: FloatArray | None = None,
    zone: tuple[Folded, BoolArray] | None = None,
    say: Say = lambda sentence: None,
    between: Callable[[], None] = lambda: None,
) -> Inversion:
    """Find the force constants that a measurement says a crystal has.

    Parameters
    ----------
    folded
        The measurement, along a path.
    keep
        Shape (k,): cells of ``folded.cells`` that take part (`read_folded`, `Folded.select`).
    model
        A trained model of the crystal, with its prior.
    settings
        Default: `InversionSettings()`.
    provenance
        What the caller knows of where everything comes from, plain content for JSON.
    starts
        Shape (k, n): force constants in FC order that the refinement starts from too. They are no prior: where
        it has one maximum, they change nothing.
    zone
        The same measurement over the irreducible zone, and the cells of it that take part: what is refined, in
        place of the path, which sees a small part of the counts.
    say
        Told what is being done.
    between
        Called between steps of the work, a fraction of a second apart; what it raises ends the inversion.

    Raises
    ------
    InputError
        If the measurement is of another crystal or along another path than the model's, or holds nothing that can
        be inverted.
    """
    chosen = InversionSettings() if settings is None else settings
    if chosen.n_draws < 2:
        raise InputError(f"{chosen.n_draws} draws", "an uncertainty needs at least two", "ask for some hundreds")
    prior = model.prior
    strain = strain_between(folded.bins.crystal, prior.crystal)
    keep = _in_window(folded, keep, chosen)
    check_measurement(folded, keep)
    if zone is not None:
        if chosen.method == "network":
            raise InputError(
                "a network answers from the path", "it does not use the zone", "leave the zone out, or refine"
            )
        check_zone(zone[0], folded)
        zone = zone[0], _in_window(*zone, chosen)
    path = folded.bins.path
    assert path is not None  # checked
    dynamics = prior.dynamics(path.q, path.direction)

    network = None
    if chosen.method != "fit":
        say("the network looks at the measurement")
        found = folded.intensity(keep)
        answer = model.answer(
            found.counts, found.exposure_in_counts, chosen.n_draws, chosen.seed, path=path, grid=folded.grid
        )
        energies = dynamics.energies(np.vstack([answer.draws.mean(axis=0), answer.draws]))
        network = NetworkPart(answer, model.qpath, model.grid, band(energies[0], energies[1:]))
    refined = path_fit = None
    if chosen.method != "network":
        say(f"refining {prior.n_force_constants} force constants")
        answered = None if network is None else network.answer
        along_path = refinable(folded, keep, chosen)
        data = along_path if zone is None else refinable(*zone, chosen)
        asked = RefineSettings(n_draws=chosen.n_draws, seed=chosen.seed)
        refined = refine_measurement(data, prior, answered, chosen.amplitudes, asked, between, starts)
        if zone is not None:
            path_fit = fit_along_path(along_path, prior, refined, between)

    values, covariance, draws = _answer(network, refined, chosen)
    say("deriving what follows from them")
    temperature = _temperature(folded, chosen)
    kelvin = ROOM_TEMPERATURE if temperature is None else temperature
    inversion = Inversion(
        folded=folded,
        keep=keep,
        prior=prior,
        strain=strain,
        method=chosen.method,
        values=values,
        sigma=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        draws=draws,
        network=network,
        refined=refined,
        derived=derive(prior, folded.bins.crystal, path, values, draws, kelvin, between=between),
        prior_energies=_prior_band(prior, path, chosen.seed),
        path_fit=path_fit,
        zone=zone,
    )
    return replace(
        inversion,
        findings=judge_inversion(inversion),
        provenance={**(provenance or {}), "settings": asdict(chosen)},
        assumptions=_assumptions(inversion, chosen, temperature),
    )


def expected_resolution(folded: Folded, instrument: str = "") -> Resolution:
    """Return the energy resolution of a spectrometer at the incident energy of a measurement.

    Parameters
    ----------
    folded
        The measurement.
    instrument
        Name of the spectrometer; without one, that of a typical one of direct geometry.

    Raises
    ------
    InputError
        If there is no spectrometer of that name.
    """
    incident = max(run.incident_energy for run in folded.runs)
    if instrument:
        return resolution(find_instrument(instrument), incident)
    return Resolution((_WIDTH * incident, -_WIDTH * _FALL))


def refinable(folded: Folded, keep: BoolArray, settings: InversionSettings) -> Measurement:
    """Return what a refinement fits of a folded measurement; ``keep`` holds the window already."""
    return data_of_folded(
        folded,
        keep,
        expected_resolution(folded) if settings.resolution is None else settings.resolution,
        elastic_cut=settings.elastic_cut,
        temperature=settings.temperature,
    )


def _in_window(folded: Folded, keep: BoolArray, settings: InversionSettings) -> BoolArray:
    """Leave out cells beyond the energies that take part."""
    if settings.window is None:
        return keep
    return np.asarray(keep & folded.grid_bins(0.0, settings.window)[folded.cells.energy])


def _answer(
    network: NetworkPart | None, refined: Refined | None, settings: InversionSettings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values (n,), covariance (n, n) and equally likely draws (d, n) of the best answer there is."""
    if refined is not None:
        few = refined.effective_sample_size < FEW_DRAWS * len(refined.draws)
        draws = refined.draws if few else refined.resampled(settings.n_draws, settings.seed)
        return refined.values, refined.covariance, draws
    assert network is not None  # one of the two has been asked
    return network.values, np.cov(network.answer.draws, rowvar=False), network.answer.draws


def _prior_draws(prior: Prior, seed: int) -> FloatArray:
    noise = np.random.default_rng(seed).standard_normal((_PRIOR_DRAWS, prior.n_force_constants))
    return np.asarray(prior.mean + prior.sigma * noise)


def _prior_band(prior: Prior, path: QPath, seed: int) -> Band:
    energies = prior.dynamics(path.q, path.direction).energies(np.vstack([prior.mean, _prior_draws(prior, seed)]))
    return band(energies[0], energies[1:])


def _temperature(folded: Folded, settings: InversionSettings) -> float | None:
    """Temperature of the sample, K: as chosen, or the mean of the runs; None if it is not known."""
    if settings.temperature is not None:
        return settings.temperature
    known = [run.temperature for run in folded.runs if run.temperature is not None]
    return float(np.mean(known)) if known else None


def _assumptions(inversion: Inversion, settings: InversionSettings, temperature: float | None) -> tuple[str, ...]:
    """Say what was assumed, one sentence each."""
    prior, folded = inversion.prior, inversion.folded
    members = [member for member in prior.members if member.stability.stable]
    reach = max(element.distance for element in prior.parametrisation.elements)
    amplitudes = {
        "unit": "Every mode weighs the same in the intensity.",
        "free": "The intensity of every mode at every point is free; only energies say something "
        "about force constants.",
        "coherent": "Intensities are those of coherent one-phonon scattering.",
    }
    sentences = [
        f"Phonons are harmonic, with force constants between atoms up to {reach:.1f} Å apart.",
        f"Before the measurement the force constants are Gaussian around the mean of {len(members)} force fields, "
        "with twice their spread, and no less than 0.1 eV/Å² (falling beyond 6.5 Å to 0.03 eV/Å² at 9.5 Å).",
    ]
    if inversion.refined is not None:
        sentences.append(amplitudes[inversion.refined.model])
        if inversion.path_fit is not None:
            sentences.append(
                "Force constants were refined over the irreducible zone; along the path, only intensities were."
            )
        if settings.resolution is None:
            sentences.append("The energy resolution was not given: a typical one is the start of its refinement.")
    if inversion.strain > 1e-4:
        sentences.append(
            f"The force constants of the model refer to a lattice that differs by {100 * inversion.strain:.2f} %: "
            "the same crystal, at the lattice parameters of the measurement."
        )
    if temperature is None:
        sentences.append(
            f"The temperature of the sample is not known; displacements are given for {ROOM_TEMPERATURE:g} K."
        )
    sentences.append("Signals hold ki/kf." if folded.kikf_applied else "Signals do not hold ki/kf.")
    if folded.bose_applied != "None":
        sentences.append(f"Signals are corrected by the Bose factor ({folded.bose_applied}).")
    sentences += [f"Background that was subtracted: {part.description}." for part in folded.backgrounds]
    refined = () if inversion.refined is None else inversion.refined.notes
    return (*sentences, *folded.notes, *refined)
