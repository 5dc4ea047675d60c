"""Whether networks tell when a measurement is none of what they were trained for: spectra that are not, and ROC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fcinv_core.benchmark.entrants import Entrant
from fcinv_core.benchmark.spectra import Measured, Spectra, measure
from fcinv_core.crystal import FloatArray, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.networks.architectures import embeddings
from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.signs import exceeding, levels
from fcinv_core.potentials.shipped import shipped_ensemble, shipped_ensembles
from fcinv_core.qpath import standard_path
from fcinv_core.training_set import T_RANGE, TrainingSet

#: Measurements of each kind at most.
_MEASURED = 200
#: Members of the ensemble of another crystal, and by which factors their energies are varied.
_MEMBERS, _VARIED = 2, (0.85, 1.15)
#: How far the force constant that shapes the dispersion most is taken beyond its range, and where it may begin, in
#: units of the end of that range.
_BEYOND, _BEGIN = (1.1, 1.5), 0.6
#: Height of a spurion in units of the spectrum's 99th percentile, and its standard deviations, pixels.
_HEIGHT, _WIDTH = (2.0, 10.0), (1.0, 4.0)


@dataclass(frozen=True, eq=False)
class Detection:
    """How one network tells one kind of measurement from those it was trained for.

    Attributes
    ----------
    alarms, detected
        Shape (n,): shares of usual and of unusual measurements that exceed the thresholds of one sign or another,
        from the highest thresholds down, which lie at the same quantile of each sign among usual measurements.
    areas
        Area under the curve of each sign, and of "all" together: the probability that an unusual measurement is
        the more unusual one of two.
    flagged
        Share that is above a threshold of the model's card.
    flagged_by
        Sign -> share that is above its threshold.
    """

    alarms: FloatArray
    detected: FloatArray
    areas: Mapping[str, float]
    flagged: float
    flagged_by: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Detections:
    """How one network tells what it was trained for from all else.

    Attributes
    ----------
    false_alarms
        Share of usual measurements that are above a threshold of the model's card.
    kinds
        Kind of unusual measurement -> how it is told.
    """

    false_alarms: float
    kinds: Mapping[str, Detection]


def detect(
    entrants: Sequence[Entrant], spectra: Spectra, draws: int, say: Callable[[str], None]
) -> dict[str, Detections]:
    """Show networks what they were trained for, and what they were not; label -> how they tell."""
    shown = Spectra.of(spectra.training, spectra.numbers[:_MEASURED], spectra.seed)
    other = energies_of_another_crystal(shown)
    found = {}
    for entrant in entrants:
        ranges = None if entrant.on_clean_spectra else MeasurementRanges()
        elastic = entrant.model.scaling.elastic
        usual = _signs(entrant, shown.measured(ranges, elastic), shown, draws)
        largest = entrant.model.largest
        kinds = {
            kind: detection(usual, _signs(entrant, measured, shown, draws), largest)
            for kind, measured in unusual(shown, ranges, elastic, other).items()
        }
        found[entrant.label] = Detections(_flagged(usual, largest), kinds)
        flagged = ", ".join(f"{kind} {one.flagged:.0%}" for kind, one in kinds.items())
        say(f"{entrant.label} flags {found[entrant.label].false_alarms:.1%} of usual spectra; {flagged}")
    return found


def detection(
    usual: Mapping[str, FloatArray], unusual: Mapping[str, FloatArray], largest: Mapping[str, float]
) -> Detection:
    """Return how unusual measurements are told from usual ones.

    Parameters
    ----------
    usual, unusual
        Sign -> shape (n,) and (m,): its values, large when unusual.
    largest
        Sign -> threshold of the model's card.
    """
    within, found = levels(usual, usual), levels(usual, unusual)
    steps = np.unique(within)[:, None]
    areas = {sign: _area(usual[sign], unusual[sign]) for sign in usual}
    return Detection(
        alarms=(within < steps).mean(axis=1),
        detected=(found < steps).mean(axis=1),
        areas={**areas, "all": _area(-within, -found)},
        flagged=_flagged(unusual, largest),
        flagged_by={sign: float(above.mean()) for sign, above in exceeding(unusual, largest).items()},
    )


def _area(usual: FloatArray, unusual: FloatArray) -> float:
    larger = (unusual > usual[:, None]).mean()
    return float(larger + (unusual == usual[:, None]).mean() / 2)


def _flagged(signs: Mapping[str, FloatArray], largest: Mapping[str, float]) -> float:
    return float(np.any(list(exceeding(signs, largest).values()), axis=0).mean())


def _signs(entrant: Entrant, measured: Sequence[Measured], spectra: Spectra, draws: int) -> dict[str, FloatArray]:
    model = entrant.model
    images = entrant.images(measured, spectra.training)
    unknown = np.broadcast_to(model.prior.mean, (len(images), len(model.prior.mean)))
    embedded = embeddings(model.network, images)
    found = entrant.answers(embedded, unknown, draws, spectra.seed).draws
    return model.usual.signs(images.numpy(), found, model.network.features(embedded).numpy())


def unusual(
    spectra: Spectra, ranges: MeasurementRanges | None, elastic: float, other: FloatArray
) -> dict[str, list[Measured]]:
    """Return measurements that no network was trained for, by kind.

    Parameters
    ----------
    spectra
        What the network was trained for.
    ranges
        How they are measured; None for clean spectra.
    elastic
        Energy below which the network sees nothing, meV.
    other
        Shape (m, n_q, s): mode energies of another crystal, meV.
    """
    training = spectra.training
    spectrometer = Spectrometer(training.qpath, training.grid, training.resolution, ranges)

    def measured(energies: FloatArray, kind: int) -> list[Measured]:
        return [measure(spectrometer, one, elastic, [spectra.seed, kind, k]) for k, one in enumerate(energies)]

    source = np.random.default_rng([spectra.seed, 0])
    return {
        "another crystal": measured(other, 1),
        "force constants out of range": measured(energies_out_of_range(training, len(spectra.numbers), source), 2),
        "spurion": [with_spurion(*one, elastic, training, source) for one in measured(spectra.energies, 3)],
        "empty": [emptied(*one, source) for one in measured(spectra.energies, 4)],
    }


def energies_of_another_crystal(spectra: Spectra) -> FloatArray:
    """Return mode energies of a crystal that comes with fcinv and is another one, shape (m, n_q, s), meV.

    Its path is its own, laid over the points of the training set's.
    """
    training, m = spectra.training, len(spectra.numbers)
    for name in shipped_ensembles():
        files = shipped_ensemble(name)
        crystal = read_structure(files[0].parent / "POSCAR")
        if sorted(crystal.symbols) == sorted(training.prior.crystal.symbols):
            continue
        path = standard_path(crystal, training.qpath.n_points)
        members = np.stack(
            [
                mode_energies(read_force_constants(file, crystal), path.q, path.direction)
                for file in files[:_MEMBERS]
            ]
        )
        source = np.random.default_rng([spectra.seed, 1])
        return np.asarray(members[np.arange(m) % len(members)] * source.uniform(*_VARIED, (m, 1, 1)))
    raise RuntimeError("no other crystal comes with fcinv")


def energies_out_of_range(training: TrainingSet, m: int, source: np.random.Generator) -> FloatArray:
    """Return mode energies of test samples that are stiffened until one force constant is out of range.

    All force constants of a sample are multiplied by one number, which keeps it stable: energies by its root. It
    takes the one that shapes the dispersion most 10 to 50 % beyond the end of its sampled range.
    """
    strongest = training.retained[np.argmax(training.sensitivity.rms[training.retained])]
    n = training.prior.n_force_constants
    ends = np.array([training.prior.in_range(np.full(n, t))[strongest] for t in T_RANGE])
    end = ends[np.abs(ends).argmax()]
    share = training.force_constants()[:, strongest] / end
    chosen = np.flatnonzero((share > _BEGIN) & (training.split == training.split.max()))[:m]
    factors = source.uniform(*_BEYOND, len(chosen)) / share[chosen]
    return np.asarray(training.energies(chosen) * np.sqrt(factors)[:, None, None])


def with_spurion(
    counts: FloatArray, exposure: FloatArray, elastic: float, training: TrainingSet, source: np.random.Generator
) -> Measured:
    """Return a measurement with a spot of intensity that no phonon makes, where something was measured."""
    seen = exposure > 0
    seen[:, training.grid.edges[:-1] < elastic] = False
    places = np.argwhere(seen)
    row, column = places[source.integers(len(places))]
    height = source.uniform(*_HEIGHT) * np.quantile(counts[seen] / exposure[seen], 0.99)
    widths = source.uniform(*_WIDTH, 2)
    along, across = (
        np.exp(-(((np.arange(size) - centre) / width) ** 2) / 2)
        for size, centre, width in zip(counts.shape, (row, column), widths, strict=True)
    )
    return counts + source.poisson(height * np.outer(along, across) * exposure), exposure


def emptied(counts: FloatArray, exposure: FloatArray, source: np.random.Generator) -> Measured:
    """Return a measurement with as many counts, none of which depends on wavevector or energy."""
    return source.poisson(exposure * counts.sum() / exposure.sum()).astype(float), exposure
