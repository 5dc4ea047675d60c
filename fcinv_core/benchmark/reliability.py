"""Whether the spread of a network's draws is the size of its errors, on clean, noisy and partly covered spectra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from fcinv_core.benchmark.bootstrap import interval, resampled
from fcinv_core.benchmark.entrants import Entrant
from fcinv_core.benchmark.grid import MIDDLE
from fcinv_core.benchmark.spectra import Measured, Spectra
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.networks.augmentation import MeasurementRanges
from fcinv_core.networks.calibration import (
    LEVELS,
    Answers,
    distance_ranks,
    inside,
    random_references,
    rank_histogram,
    ranks,
)
from fcinv_core.networks.coverage import CoverageRanges

#: Bins of the histograms of ranks.
BINS = 10
#: Nominal coverages of the curves.
CURVE = np.linspace(0.05, 0.95, 19)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How well the draws of a network describe its errors on one kind of measurement.

    Attributes
    ----------
    coverage
        Shape (levels, k): share of truths in the central intervals of `LEVELS`, of each retained force constant.
    pooled, pooled_interval
        Shape (levels,) and (2, levels): over all of them, with the bootstrap interval over spectra.
    curve
        Shape (19,): pooled coverage at the nominal ones of `CURVE`.
    histograms, p_values
        Shape (k, BINS) and (k,): ranks of the truth among the draws, and the probability of ranks as uneven as
        these if the draws are right.
    tarp, tarp_p_value
        Shape (19,): expected coverage of regions of credibility `CURVE` in all retained force constants together,
        and the probability of ranks as uneven if the draws are right.
    """

    coverage: FloatArray
    pooled: FloatArray
    pooled_interval: FloatArray
    curve: FloatArray
    histograms: IntArray
    p_values: FloatArray
    tarp: FloatArray
    tarp_p_value: float

    @property
    def nominal(self) -> tuple[bool, ...]:
        """Whether the pooled coverage is the nominal one within its sampling error, for each of `LEVELS`."""
        low, high = self.pooled_interval
        return tuple(bool(a <= level <= b) for a, level, b in zip(low, LEVELS, high, strict=True))


def reliability(answers: Answers, seed: int) -> Reliability:
    """Judge draws of the retained force constants."""
    m, n, _ = answers.draws.shape
    held = np.stack([inside(answers, level) for level in LEVELS])
    # Force constants of one spectrum err together: spectra are drawn again, not force constants.
    of_spectrum = held.mean(axis=2).T
    histograms, p_values = zip(
        *(rank_histogram(column, n, BINS) for column in ranks(answers).T),
        strict=True,
    )
    references = random_references(answers.truth, np.random.default_rng(seed))
    together = distance_ranks(answers, references)
    return Reliability(
        coverage=held.mean(axis=1),
        pooled=of_spectrum.mean(axis=0),
        pooled_interval=interval(of_spectrum[resampled(m, seed)].mean(axis=1)),
        curve=np.array([inside(answers, level).mean() for level in CURVE]),
        histograms=np.stack(histograms),
        p_values=np.array(p_values),
        tarp=expected_coverage(together, n),
        tarp_p_value=rank_histogram(together, n, BINS)[1],
    )


def expected_coverage(found: IntArray, n: int) -> FloatArray:
    """Return the share of ranks (0 to n, by distance) inside regions of the credibilities of `CURVE`.

    A rank takes up the stretch of credibility from rank / (n + 1) to (rank + 1) / (n + 1), and counts in part where
    one ends inside of it.
    """
    return np.asarray(np.clip((n + 1) * CURVE[:, None] - found, 0, 1).mean(axis=1))


def kinds(spectra: Spectra, elastic: float) -> Mapping[str, list[Measured]]:
    """Return the measurements of each kind that networks are judged on.

    Parameters
    ----------
    spectra
        What is measured.
    elastic
        Energy below which networks see nothing, meV.
    """
    ranges = MeasurementRanges()
    in_few_orientations = replace(ranges, coverage=CoverageRanges(full=0.0, sparse=1.0))
    return {
        "clean": spectra.clean(),
        "noisy": spectra.noisy(MIDDLE),
        "partly covered": spectra.measured(in_few_orientations, elastic),
        "as in training": spectra.measured(ranges, elastic),
    }


def judge(
    entrants: Sequence[Entrant], spectra: Spectra, draws: int, say: Callable[[str], None]
) -> tuple[dict[str, dict[str, Reliability]], dict[str, Answers]]:
    """Judge networks on each kind of measurement.

    Returns
    -------
    Label -> kind -> what was found, and label -> answers to the clean spectra.
    """
    elastic = max(entrant.model.scaling.elastic for entrant in entrants)
    found: dict[str, dict[str, Reliability]] = {entrant.label: {} for entrant in entrants}
    clean: dict[str, Answers] = {}
    for kind, measured in kinds(spectra, elastic).items():
        for entrant in entrants:
            embedded = entrant.embedded(measured, spectra.training)
            answers = entrant.answers(embedded, spectra.values, draws, spectra.seed)
            if kind == "clean":
                clean[entrant.label] = answers
            found[entrant.label][kind] = reliability(answers.of(entrant.places), spectra.seed)
        shares = ", ".join(f"{label} {by_kind[kind].pooled[1]:.1%}" for label, by_kind in found.items())
        say(f"{kind}: 68 % intervals hold {shares}")
    return found, clean


def chance_band(m: int) -> tuple[float, float]:
    """Return the counts between which 99 % of the bins of an even histogram of m ranks lie."""
    mean, deviation = m / BINS, np.sqrt(m / BINS * (1 - 1 / BINS))
    half = float(norm.ppf(0.995)) * deviation
    return float(mean - half), float(mean + half)
