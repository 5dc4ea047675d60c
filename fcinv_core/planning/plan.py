"""The plan: which runs say most about what is asked for, in which order, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.planning.candidates import Candidate, Geometry, energy_grid, planned_measurements
from fcinv_core.planning.information import RunInformation, information_of_runs
from fcinv_core.planning.knowledge import Knowledge
from fcinv_core.planning.sequence import (
    errors_after,
    errors_along,
    errors_spread,
    greedy_sequence,
    runs_by_trend,
    runs_needed,
)
from fcinv_core.planning.wanted import Wanted
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import Resolution
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

#: Told what is being done.
Say = Callable[[str], None]


@dataclass(frozen=True)
class PlanSettings:
    """What is planned.

    Attributes
    ----------
    psi
        First, last and step of the angles about the vertical, degrees.
    n_runs
        Runs at most.
    precision
        Error at which to end, in the unit of what is asked for.
    counts
        Counts of a run in the bins of the path above the elastic line, background included, mean over the angles;
        by default that of the earlier runs.
    background
        Counts of a constant background as a fraction of those of phonons.
    relative_counts
        Counts of a run at each incident energy, relative to ``counts``; 1 by default.
    minutes
        Counting time of a run.
    temperature
        K; default: that of the earlier measurement.
    points
        Points along the standard path.
    widths
        Full widths of its bins, 1/Å.
    """

    psi: tuple[float, float, float]
    n_runs: int = 20
    precision: float | None = None
    counts: float | None = None
    background: float = 0.15
    relative_counts: tuple[float, ...] | None = None
    minutes: float = 1.0
    temperature: float | None = None
    points: int = 51
    widths: tuple[float, float] = (0.1, 0.1)


@dataclass(frozen=True, eq=False)
class Plan:
    """Which runs to make.

    Attributes
    ----------
    wanted
        What is asked for.
    candidates
        The c runs that were compared.
    ranking
        Shape (c,): expected error after each run alone.
    sequence
        Shape (k,): candidates to measure, in order.
    errors
        Shape (k + 1,): expected error before the first run and after each.
    spread, sweep
        Shape (k + 1,): the same for equally spread angles, and for neighbouring ones from the first on, at the
        incident energy of the first run of the sequence.
    counts
        Shape (c,): expected counts of each candidate, mean over the sets of force constants.
    settings
        What was planned.
    assumptions
        One sentence each.
    """

    wanted: Wanted
    candidates: tuple[Candidate, ...]
    ranking: FloatArray
    sequence: IntArray
    errors: FloatArray
    spread: FloatArray
    sweep: FloatArray
    counts: FloatArray
    settings: PlanSettings
    assumptions: tuple[str, ...]

    @property
    def minutes_needed(self) -> float | None:
        """Counting time in which the sequence reaches the precision; None if none was asked for or it does not."""
        if self.settings.precision is None:
            return None
        runs = runs_needed(self.errors, self.settings.precision)
        return None if runs is None else runs * self.settings.minutes

    @property
    def headline(self) -> str:
        """What the plan says, in one sentence."""
        end = (
            f"{len(self.sequence)} runs take {self.wanted.name} from {self.errors[0]:.3g} to {self.errors[-1]:.3g}"
        )
        end = f"{end} {self.wanted.unit}."
        precision = self.settings.precision
        if precision is None:
            return end
        minutes = self.minutes_needed
        if minutes is None:
            runs = runs_by_trend(self.errors, precision)
            trend = (
                ""
                if runs is None
                else f"; at the rate of the last one, after {runs * self.settings.minutes:.3g} minutes"
            )
            return f"{end} {precision:g} {self.wanted.unit} are not reached{trend}."
        if minutes == 0:
            return f"{self.wanted.name}: {precision:g} {self.wanted.unit} are reached already."
        return f"{end} {precision:g} {self.wanted.unit} are reached after {minutes:.3g} minutes."


def make_plan(
    knowledge: Knowledge,
    geometry: Geometry,
    resolutions: Sequence[tuple[float, Resolution]],
    wanted: Wanted,
    settings: PlanSettings,
    *,
    say: Say = lambda sentence: None,
    between: Callable[[], None] = lambda: None,
) -> Plan:
    """Compare runs by the information that they are expected to give, and put the best in order.

    Parameters
    ----------
    knowledge
        What is known before.
    geometry
        Crystal and detectors.
    resolutions
        Incident energies (meV) with the energy resolution of each.
    wanted
        What is asked for.
    settings
        What is planned.
    say
        Told what is being done.
    between
        Called between steps of some tenths of a second, so that a user need not wait for the end who cancels.

    Raises
    ------
    InputError
        If settings make no sense, counts or temperature are not known, or a run would see nothing.
    """
    _check(settings, len(resolutions))
    counts = knowledge.counts if settings.counts is None else settings.counts
    if counts is None:
        raise InputError(
            "the counts of a run are not known",
            "nothing was measured that tells them",
            "give those that are expected",
        )
    temperature = knowledge.temperature if settings.temperature is None else settings.temperature
    if temperature is None:
        raise InputError("the temperature is not known", "nothing was measured", "give it")
    angles = _angles(settings.psi)
    parts = []
    with threadpool_limits(1, user_api="blas"):
        for incident, resolution in resolutions:
            say(f"expecting {len(angles)} runs at {incident:g} meV")
            asked = (knowledge, geometry, incident, resolution, angles, settings, temperature)
            parts.append(information_at(*asked, between))
        parts = _calibrated(parts, counts, settings.relative_counts or (1.0,) * len(parts))
        start, information = together(knowledge.precision, parts)
        say("choosing the order")
        known = np.repeat(start[None], information.shape[0], axis=0)
        ranking = errors_after(known, information, wanted, between)
        sequence, errors = greedy_sequence(start, information, wanted, settings.n_runs, settings.precision, between)
        # Baselines keep to the energy that the plan prefers.
        first = int(sequence[0] if len(sequence) else ranking.argmin()) // len(angles) * len(angles)
        same = information[:, first : first + len(angles)]
        period = settings.psi[2] * len(angles)
        spread = errors_spread(start, same, wanted, angles, len(sequence), period)
        sweep = errors_along(start, same, wanted, [k % len(angles) for k in range(len(sequence))])
    return Plan(
        wanted=wanted,
        candidates=tuple(Candidate(incident, float(psi)) for incident, _ in resolutions for psi in angles),
        ranking=ranking,
        sequence=sequence,
        errors=errors,
        spread=spread,
        sweep=sweep,
        counts=np.concatenate([part.counts.mean(axis=0) for part in parts]),
        settings=settings,
        assumptions=_assumptions(knowledge, settings, counts, temperature),
    )


def information_at(
    knowledge: Knowledge,
    geometry: Geometry,
    incident_energy: float,
    resolution: Resolution,
    angles: FloatArray,
    settings: PlanSettings,
    temperature: float,
    between: Callable[[], None] = lambda: None,
) -> RunInformation:
    """Return what runs at one incident energy and angles (c,) say, with the counts of `information_of_runs`."""
    path = standard_path(knowledge.crystal, settings.points)
    highest = float(knowledge.prior.dynamics(path.q, path.direction).energies(knowledge.draws).max())
    measurements = planned_measurements(
        knowledge.crystal,
        path,
        settings.widths,
        geometry,
        [Candidate(incident_energy, float(psi)) for psi in angles],
        energy_grid(incident_energy, resolution, highest),
        resolution,
        temperature,
        between,
    )
    lengths = natural_scattering_lengths(knowledge.crystal)
    return information_of_runs(
        measurements, knowledge.prior, lengths, knowledge.draws, settings.background, between
    )


def together(precision: FloatArray, parts: Sequence[RunInformation]) -> tuple[FloatArray, FloatArray]:
    """Put runs of several incident energies on common parameters: force constants, then those of each energy.

    Parameters
    ----------
    precision
        Shape (n, n): of the force constants, before.
    parts
        Runs of each incident energy.

    Returns
    -------
    Precision before (p, p), and information of all runs (d, c, p, p).
    """
    n = len(precision)
    sizes = [len(part.nuisance_sigma) for part in parts]
    start = np.zeros((n + sum(sizes), n + sum(sizes)))
    start[:n, :n] = precision
    information = []
    for k, part in enumerate(parts):
        own = np.arange(n + sum(sizes[:k]), n + sum(sizes[: k + 1]))
        start[own, own] = part.nuisance_sigma**-2.0
        places = np.concatenate([np.arange(n), own])
        whole = np.zeros((*part.matrices.shape[:2], *start.shape))
        whole[:, :, places[:, None], places] = part.matrices
        information.append(whole)
    return start, np.concatenate(information, axis=1)


def _calibrated(parts: Sequence[RunInformation], counts: float, relative: Sequence[float]) -> list[RunInformation]:
    """Give the runs of each incident energy the counts that are expected on average over the angles."""
    return [
        part.scaled(share * counts / part.counts.mean(axis=1)) for part, share in zip(parts, relative, strict=True)
    ]


def _angles(psi: tuple[float, float, float]) -> FloatArray:
    first, last, step = psi
    return np.asarray(first + step * np.arange(int((last - first) / step + 1e-6) + 1))


def _check(settings: PlanSettings, n_energies: int) -> None:
    first, last, step = settings.psi
    if not (step > 0 and last >= first):
        raise InputError(
            f"no angle lies between {first:g} and {last:g} in steps of {step:g}",
            "the last one is below the first, or the step not positive",
            "check them",
        )
    positive = {
        "the number of runs": settings.n_runs,
        "the precision": settings.precision,
        "the counts of a run": settings.counts,
        "the counting time of a run": settings.minutes,
    }
    for what, value in positive.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputError(f"{what} is {value:g}", "it must be positive", "check it")
    if not settings.background >= 0:
        raise InputError(f"a background of {settings.background:g}", "it must not be negative", "check it")
    relative = settings.relative_counts
    if relative is not None and (len(relative) != n_energies or not min(relative) > 0):
        raise InputError(
            f"relative counts {relative} for {n_energies} incident energies",
            "a positive number for each was expected",
            "give one for each",
        )


def _assumptions(
    knowledge: Knowledge, settings: PlanSettings, counts: float, temperature: float
) -> tuple[str, ...]:
    own = "as in the earlier runs" if settings.counts is None else "as given"
    return (
        f"Known before: {knowledge.origin}; expectations are averaged over {len(knowledge.draws)} sets of force "
        "constants.",
        f"A run has {counts:.4g} counts in the bins of the path above the elastic line ({own}), "
        f"{100 * settings.background:.3g} % of its phonons as flat background, at {temperature:g} K.",
        "One-phonon structure factors are known; resolution, energy offset, scale, Debye-Waller factor and "
        "backgrounds are not, at each incident energy anew.",
        "Errors are those of counting. Misfit of the model and spurious scattering come on top.",
    )
