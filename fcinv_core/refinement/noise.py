"""The scatter of counts about what is expected: counting, and looks that differ more than a model can say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.amplitudes import LEAST
from fcinv_core.refinement.measurement import Measurement

#: Cells of a spectrum at a sharp wavevector scatter by counting alone; coarse rounds treat them as so many looks.
_LOOKS_OF_SPECTRUM = 60.0
#: Range of the variance of the intensity of one look, relative to that of its contrast, and how well it is found.
_PER_LOOK, _PER_LOOK_WITHIN = (0.01, 10.0), 0.05
#: Smallest relative variance of a cell, that of Poisson counts in all but name.
_LEAST_EXCESS = 1e-9


@dataclass(frozen=True, eq=False)
class Noise:
    """Variance of counts: m for a mean m, or the stated one, plus m² per_look contrast / looks.

    A cell averages a number of looks; each sees another part of a detector pixel, and in merged cuts another
    structure factor. What the model does not know of that scatters its intensity by a relative variance per look.
    Counts are then negative binomial.

    Attributes
    ----------
    measurement
        The measurement.
    per_look
        Relative variance of the intensity of one look, where the contrast is 1.
    contrast
        Number or shape (k,): by how much looks at a cell differ; 1 where that is not known.
    """

    measurement: Measurement
    per_look: float = 0.0
    contrast: FloatArray | float = 1.0

    @property
    def is_of_lines(self) -> bool:
        """Whether the scatter of looks follows from the lines, up to one factor."""
        return not np.isscalar(self.contrast)

    @property
    def excess(self) -> FloatArray:
        """Relative variance of the intensity of each cell, shape (k,)."""
        looks = self.measurement.looks
        return np.asarray(self.per_look * self.contrast / np.where(np.isfinite(looks), looks, _LOOKS_OF_SPECTRUM))

    def variance(self, expected: FloatArray) -> FloatArray:
        """Return the variance of counts (k,) that are expected."""
        mean = np.maximum(expected, LEAST)
        stated = self.measurement.variance
        return np.where(stated > 0, stated, mean + self.excess * mean**2)

    def least(self, expected: FloatArray, n_parameters: float) -> float:
        """Return the variance of a look with which chi2 of counts that are expected is what it should be."""
        poisson = (self.measurement.variance == 0) & np.isfinite(self.measurement.looks)
        if not poisson.any():
            return 0.0
        mean = np.maximum(expected, LEAST)[poisson]
        square = (self.measurement.counts[poisson] - mean) ** 2
        contrast = np.broadcast_to(self.contrast, expected.shape)[poisson]
        per_look = mean**2 * contrast / self.measurement.looks[poisson]
        wanted = max(len(mean) - n_parameters, 1)

        def surplus(variance: float) -> float:
            return float((square / (mean + variance * per_look)).sum()) - wanted

        if surplus(0.0) <= 0:
            return 0.0
        high = 1.0
        while surplus(high) > 0 and high < 1e6:
            high *= 4
        return float(brentq(surplus, 0.0, high, rtol=1e-3)) if surplus(high) <= 0 else high


def likeliest_noise(measurement: Measurement, expected: FloatArray, contrast: FloatArray | float) -> Noise:
    """Return the noise of looks of some contrast under which counts (k,) that are expected are most probable."""
    poisson = (measurement.variance == 0) & np.isfinite(measurement.looks)
    if not poisson.any():
        return Noise(measurement)
    counts, mean = measurement.counts[poisson], np.maximum(expected[poisson], LEAST)
    weight = measurement.weight[measurement.bin[poisson]]

    def loss(per_look: float) -> float:
        # Where looks agree, their number counts as large: the limit of Poisson counts.
        number = 1 / np.maximum(Noise(measurement, per_look, contrast).excess[poisson], _LEAST_EXCESS)
        terms = gammaln(counts + number) - gammaln(number) - counts * np.log(number / mean + 1)
        return -float(weight @ (terms - number * np.log1p(mean / number)))

    found = minimize_scalar(
        lambda log: loss(np.exp(log)),
        bounds=np.log(_PER_LOOK),
        method="bounded",
        options={"xatol": _PER_LOOK_WITHIN},
    )
    per_look = float(np.exp(found.x))
    return Noise(measurement, per_look if loss(per_look) < loss(0.0) else 0.0, contrast)


def chi2_of(noise: Noise, expected: FloatArray) -> tuple[float, float, float]:
    """Return Pearson's chi2, and its mean and standard deviation if ``expected`` (k,) and the noise are true.

    (n - m)² / v has the mean 1, and the variance 2 for a Gaussian. For a negative binomial of relative variance a
    beyond counting, whose v is m + a m², the variance is 2 + 6 a + 1 / v; for Poisson counts a is 0.
    """
    variance, measurement = noise.variance(expected), noise.measurement
    found = float(((measurement.counts - expected) ** 2 / variance).sum())
    spread = 2.0 + np.where(measurement.variance > 0, 0.0, 6 * noise.excess + 1 / variance)
    return found, float(len(variance)), float(np.sqrt(spread.sum()))
