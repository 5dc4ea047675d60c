"""Scores of networks over the grid of background and noise, next to the Cramér-Rao bound, and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fcinv_core.benchmark.bootstrap import interval, resampled, weights_of
from fcinv_core.benchmark.entrants import Entrant
from fcinv_core.benchmark.grid import CELLS, PEAK_COUNTS
from fcinv_core.benchmark.spectra import Spectra, drawn_prior
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.networks.calibration import Answers, scores
from fcinv_core.networks.evaluation import dispersion_errors
from fcinv_core.refinement.limit import bound

#: Spectra whose bound is averaged.
_BOUNDED = 6
#: Architectures that are posterior networks.
_FLOWS = ("flow", "resnet_flow")


@dataclass(frozen=True, eq=False)
class Scores:
    """What a network scores on one kind of measurement; intervals are of `bootstrap.LEVEL` over spectra.

    Attributes
    ----------
    r2, r2_interval
        Shape (k,) and (2, k): of each retained force constant.
    mae, mae_interval
        Mean absolute error, shape (k,) and (2, k), eV/Å².
    dispersion, dispersion_interval
        Median over spectra of the rms error of mode energies, and its interval, shape (2,), meV.
    resampled_r2
        Shape (RESAMPLED, k): R² when spectra are drawn again, the same ones for every network.
    """

    r2: FloatArray
    r2_interval: FloatArray
    mae: FloatArray
    mae_interval: FloatArray
    dispersion: float
    dispersion_interval: FloatArray
    resampled_r2: FloatArray


@dataclass(frozen=True, eq=False)
class Bound:
    """What the counts of a cell allow.

    Attributes
    ----------
    sigma
        Shape (k,): Cramér-Rao bound of the standard deviation, median over spectra, eV/Å².
    r2, mae
        Shape (k,): what errors of that size, of the mean square over spectra, would score.
    """

    sigma: FloatArray
    r2: FloatArray
    mae: FloatArray


@dataclass(frozen=True, eq=False)
class Comparison:
    """How a flow stands, in one cell, to the better of the networks that are none.

    Attributes
    ----------
    flow, other
        Their labels.
    difference, interval
        Of R² averaged over force constants, flow less other; shape (2,): its bootstrap interval over spectra.
    worse
        FC numbers whose own interval lies wholly below zero.
    """

    flow: str
    other: str
    difference: float
    interval: FloatArray
    worse: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether the flow is at least as good, as far as the spectra can tell."""
        return bool(self.interval[1] >= 0)


def score(entrant: Entrant, answers: Answers, spectra: Spectra) -> Scores:
    """Score answers to test spectra, with intervals."""
    model, numbers = entrant.model, resampled(len(answers.truth), spectra.seed)
    retained = answers.of(entrant.places)
    unit = model.standardisation.deviation[entrant.places]
    r2, mae = scores(retained)
    resampled_r2, resampled_mae = scores(retained, weights_of(numbers))
    rms = dispersion_errors(answers, model.standardisation, model.prior, spectra.dynamics, spectra.energies)
    return Scores(
        r2,
        interval(resampled_r2),
        mae * unit,
        interval(resampled_mae) * unit,
        float(np.median(rms)),
        interval(np.median(rms[numbers], axis=1)),
        resampled_r2,
    )


def score_grid(
    entrants: Sequence[Entrant], spectra: Spectra, draws: int, say: Callable[[str], None]
) -> dict[str, tuple[Scores, ...]]:
    """Score networks in all cells of the grid, on the same counts: their labels -> scores of the cells."""
    found: dict[str, list[Scores]] = {entrant.label: [] for entrant in entrants}
    for cell, level in enumerate(CELLS):
        measured = spectra.noisy(cell)
        for entrant in entrants:
            embedded = entrant.embedded(measured, spectra.training)
            answers = entrant.answers(embedded, spectra.values, draws, spectra.seed)
            found[entrant.label].append(score(entrant, answers, spectra))
        r2 = ", ".join(f"{label} {scored[-1].r2.mean():.3f}" for label, scored in found.items())
        say(
            f"cell {cell + 1} of {len(CELLS)}, background {level.background:g}, "
            f"{level.peak_counts:g} counts: mean R² {r2}"
        )
    return {label: tuple(scored) for label, scored in found.items()}


def bounds(spectra: Spectra, say: Callable[[str], None]) -> tuple[Bound, ...]:
    """Return the bound of each cell, for one who knows mean and variance of the training set beforehand."""
    training = spectra.training
    prior = drawn_prior(training)
    variance = spectra.values[:, training.retained].var(axis=0)
    found = []
    for cell, level in enumerate(CELLS):
        places = range(min(_BOUNDED, len(spectra.numbers)))
        sigma = np.array(
            [bound(spectra.in_cell(cell, place), prior, spectra.values[place], level) for place in places]
        )[:, training.retained]
        # The mean absolute value of a Gaussian is √(2/π) standard deviations.
        mae = math.sqrt(2 / math.pi) * sigma.mean(axis=0)
        found.append(Bound(np.median(sigma, axis=0), 1 - (sigma**2).mean(axis=0) / variance, mae))
        if cell % len(PEAK_COUNTS) == len(PEAK_COUNTS) - 1:
            row = ", ".join(f"{one.r2.mean():.3f}" for one in found[-len(PEAK_COUNTS) :])
            say(f"bound, background {level.background:g}: mean R² {row}")
    return tuple(found)


def compare(
    entrants: Sequence[Entrant], scored: dict[str, tuple[Scores, ...]], retained: IntArray
) -> dict[str, tuple[Comparison, ...]]:
    """Compare every flow with the better of the others, cell by cell; empty if there are not both."""
    flows = [entrant.label for entrant in entrants if entrant.model.architecture in _FLOWS]
    others = [entrant.label for entrant in entrants if entrant.model.architecture not in _FLOWS]
    if not others:
        return {}
    return {
        flow: tuple(
            _compared(flow, scored[flow][cell], {label: scored[label][cell] for label in others}, retained)
            for cell in range(len(CELLS))
        )
        for flow in flows
    }


def _compared(flow: str, mine: Scores, others: dict[str, Scores], retained: IntArray) -> Comparison:
    better = max(others, key=lambda label: float(others[label].r2.mean()))
    theirs = others[better]
    differences = mine.resampled_r2 - theirs.resampled_r2
    worse = interval(differences)[1] < 0
    return Comparison(
        flow,
        better,
        float((mine.r2 - theirs.r2).mean()),
        interval(differences.mean(axis=1)),
        tuple(int(number) for number in retained[worse]),
    )
