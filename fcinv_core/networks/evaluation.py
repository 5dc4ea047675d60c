"""How good a trained network is: correction and thresholds from the validation part, scores from the test part."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.networks.architectures import Network, embeddings
from fcinv_core.networks.augmentation import MeasurementRanges
from fcinv_core.networks.batches import TEST, VALIDATION, Samples, Standardisation
from fcinv_core.networks.calibration import Answers, answer, conformal_factor, corrected, coverage_table, scores
from fcinv_core.networks.features import FeatureDistribution
from fcinv_core.networks.signs import Usual, thresholds
from fcinv_core.prior import Prior

#: Draws for each image, and samples measured together.
_DRAWS, _TOGETHER = 200, 100
#: Measurements of the validation part, each sample several times if it is small, and most of the test part.
_VALIDATED, _TESTED = 2000, 1500
#: Epoch number of the first measurements of each sample: no training comes so far.
_FIRST_EPOCH = 2**31 + 1
#: Measurements of the validation part, at most half of them, whose signs make the thresholds; the others say what
#: features are usual, which those that say so would not exceed as often.
_JUDGED = 1000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the card says of a network's quality.

    Attributes
    ----------
    factor
        Shape (k,): split-conformal correction of each target's spread.
    features
        What features of measurements of the kind trained on are like.
    largest
        Sign that a measurement is unusual -> threshold; 5 % of measurements of the kind trained on exceed one.
    tests
        "clean" and "measured": number of samples, R² and mean absolute error (eV/Å²) of each target, coverage of
        intervals, and the rms error of the mode energies that follow from the mean of the draws.
    """

    factor: FloatArray
    features: FeatureDistribution
    largest: dict[str, float]
    tests: dict[str, Any]


def evaluate(
    network: Network,
    samples: Samples,
    standardisation: Standardisation,
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Judge a network on the measurements it was trained for, and on clean and augmented ones of the test part.

    Parameters
    ----------
    network, samples, standardisation
        What was trained.
    between
        Called between batches; what it raises ends it.
    """
    training, ranges = samples.training, samples.spectrometer.ranges
    if ranges is not None:
        # A network that looks better on ideal spectra says nothing of experiments.
        samples = samples.measured_by(replace(samples.spectrometer, ranges=replace(ranges, ideal=0.0)))
    dynamics = training.prior.dynamics(training.qpath.q, training.qpath.direction)
    held = samples.part(VALIDATION)[:_VALIDATED]
    images, truth = zip(
        *(
            _measured(samples, held, _FIRST_EPOCH + k, between)
            for k in range(min(4, math.ceil(_VALIDATED / len(held))))
        ),
        strict=True,
    )
    shown = torch.cat(images)
    embedded = embeddings(network, shown, between)
    validation = answer(network, embedded, torch.cat(truth), _DRAWS, samples.seed, between)
    factor = conformal_factor(validation)
    features, judged = network.features(embedded).numpy(), min(_JUDGED, len(shown) // 2)
    distribution = FeatureDistribution.of(features[judged:])
    usual = Usual(
        standardisation,
        training.retained,
        training.prior,
        dynamics,
        training.grid,
        training.resolution,
        distribution,
    )
    draws = corrected(validation.draws[:judged], factor)
    largest = thresholds(usual.signs(shown.numpy()[:judged], draws, features[:judged], between))
    tests: dict[str, Any] = {}
    tested = samples.part(TEST)[:_TESTED]
    for name, ranges in (("clean", None), ("measured", MeasurementRanges())):
        spectrometer = replace(samples.spectrometer, ranges=ranges)
        shown, known = _measured(samples.measured_by(spectrometer), tested, _FIRST_EPOCH, between)
        found = answer(network, embeddings(network, shown, between), known, _DRAWS, samples.seed, between)
        rms = dispersion_errors(found, standardisation, training.prior, dynamics, samples.energies[tested])
        tests[name] = _scores(found, factor, standardisation, rms)
    return Evaluation(factor, distribution, largest, tests)


def dispersion_errors(
    found: Answers, standardisation: Standardisation, prior: Prior, dynamics: BornVonKarman, energies: FloatArray
) -> FloatArray:
    """Return the rms error of the mode energies that follow from the mean of the draws, shape (m,), meV.

    Parameters
    ----------
    found
        Draws for m samples.
    standardisation, prior
        Of the network; what it was not taught is at the mean of the prior.
    dynamics
        Along the path.
    energies
        Shape (m, n_q, s): the true mode energies, meV.
    """
    found_energies = dynamics.energies(standardisation.complete(found.draws.mean(axis=1), prior.mean))
    return np.asarray(np.sqrt(((found_energies - energies) ** 2).mean(axis=(1, 2))))


def _scores(
    found: Answers, factor: FloatArray, standardisation: Standardisation, rms: FloatArray
) -> dict[str, Any]:
    r2, error = scores(found)
    return {
        "samples": len(found.truth),
        "r2": r2.round(4).tolist(),
        "mae": (error * standardisation.deviation).round(5).tolist(),
        "coverage": coverage_table(found, factor),
        "dispersion_mev": {"median": float(np.median(rms)), "90 %": float(np.quantile(rms, 0.9))},
    }


def _measured(
    samples: Samples, part: IntArray, epoch: int, between: Callable[[], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    batches = []
    for batch in samples.epoch(part, epoch, _TOGETHER, shuffle=False):
        between()
        batches.append(batch)
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.targets for batch in batches])
