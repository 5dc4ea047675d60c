"""The signs of a measurement that is none of the kind trained for, and their thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.networks.batches import Standardisation
from fcinv_core.networks.features import FeatureDistribution
from fcinv_core.networks.inputs import FloatArray32, counts_of
from fcinv_core.networks.misfit import DRAWS, misfit, spread, supposed_lines
from fcinv_core.networks.spot import Spot, brightest_spot
from fcinv_core.prior import Prior
from fcinv_core.spectrum import Resolution, SpectralGrid

#: Share of measurements of the kind trained for that are called unusual.
FALSE_ALARMS = 0.05
#: Names of the signs, as cards and benchmarks have them.
SIGNS = ("misfit", "spread", "feature_distance", "spot")


@dataclass(frozen=True, eq=False)
class Usual:
    """What a network's answers to measurements of the kind trained for are compared with.

    Attributes
    ----------
    standardisation, retained, prior, dynamics, grid, resolution
        Of the network; force constants that it was not taught are at the mean of the prior.
    features
        Of usual measurements; None if not known.
    """

    standardisation: Standardisation
    retained: IntArray
    prior: Prior
    dynamics: BornVonKarman
    grid: SpectralGrid
    resolution: Resolution
    features: FeatureDistribution | None

    def signs(
        self,
        images: FloatArray32,
        draws: FloatArray32,
        features: FloatArray32,
        between: Callable[[], None] = lambda: None,
    ) -> dict[str, FloatArray]:
        """Return sign -> its values for m measurements, shape (m,), large when they are unusual.

        Parameters
        ----------
        images
            Shape (m, c, n_q, n_bins).
        draws
            Shape (m, n, k): corrected draws of the targets.
        features
            Shape (m, d): the network's.
        between
            Called between images.

        Returns
        -------
        misfit, spread
            See `fcinv_core.networks.misfit`; the spread is that of the retained force constants.
        feature_distance
            See `fcinv_core.networks.features`; 0 if usual features are not known.
        spot
            Contrast of the spot that stands out most; see `fcinv_core.networks.spot`.
        """
        misfits, spots = [], []
        for channels, of_one in zip(images, draws, strict=True):
            between()
            lines = self._lines(of_one)
            misfits.append(misfit(channels, lines))
            spots.append(brightest_spot(*counts_of(channels), lines).contrast)
        return {
            "misfit": np.array(misfits),
            "spread": spread(draws[:, :, np.isin(self.standardisation.targets, self.retained)]),
            "feature_distance": (
                np.zeros(len(features)) if self.features is None else self.features.distance(features)
            ),
            "spot": np.array(spots),
        }

    def spot(self, channels: FloatArray32, draws: FloatArray32) -> Spot:
        """Return the spot that stands out most of an image (c, n_q, n_bins), given corrected draws (n, k)."""
        return brightest_spot(*counts_of(channels), self._lines(draws))

    def _lines(self, draws: FloatArray32) -> FloatArray:
        supposed = self.standardisation.complete(draws[:DRAWS], self.prior.mean)
        return supposed_lines(supposed, self.dynamics, self.grid, self.resolution)


def levels(usual: Mapping[str, FloatArray], signs: Mapping[str, FloatArray]) -> FloatArray:
    """Return how usual measurements are in the sign that is least so: shape (m,), 0 beyond all that is usual.

    Of each sign, the share of usual measurements that have as large a value.

    Parameters
    ----------
    usual
        Sign -> shape (n,): values of usual measurements.
    signs
        Sign -> shape (m,): values of those in question.
    """
    tails = [(values >= signs[sign][:, None]).mean(axis=1) for sign, values in usual.items()]
    return np.asarray(np.min(tails, axis=0))


def thresholds(usual: Mapping[str, FloatArray]) -> dict[str, float]:
    """Return sign -> threshold, such that 5 % of usual measurements exceed that of one sign or another.

    Each is at the same quantile of its sign.

    Parameters
    ----------
    usual
        Sign -> shape (n,): values of usual measurements.
    """
    level = float(np.quantile(levels(usual, usual), FALSE_ALARMS, method="lower"))
    return {sign: float(np.quantile(values, 1 - level, method="higher")) for sign, values in usual.items()}


def exceeding(signs: Mapping[str, FloatArray], largest: Mapping[str, float]) -> dict[str, FloatArray]:
    """Return sign -> 1 where it exceeds its threshold, else 0."""
    return {sign: np.asarray(values > largest[sign], dtype=float) for sign, values in signs.items()}
