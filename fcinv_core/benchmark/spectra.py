"""The spectra that networks are benchmarked on: samples of the test part, and what is measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fcinv_core.benchmark.grid import CELLS, noise_source
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.batches import TRAINING
from fcinv_core.prior import Prior
from fcinv_core.refinement.limit import noisy_spectrum
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.training_set import TrainingSet

#: Counts and exposure, shape (n_q, n_bins) each.
Measured = tuple[FloatArray, FloatArray]
#: Standard deviation that stands for none: of force constants that were held fixed, eV/Å².
KNOWN = 1e-6
#: Attempts to draw a measurement that covers anything above the elastic line.
_ATTEMPTS = 100


@dataclass(frozen=True, eq=False)
class Spectra:
    """Samples of a training set, in memory.

    Attributes
    ----------
    training
        The training set.
    numbers
        Shape (m,): the samples.
    values
        Shape (m, n_fc): force constants in FC order, eV/Å².
    energies
        Shape (m, n_q, s): mode energies, meV.
    seed
        Of all that is measured of them.
    """

    training: TrainingSet
    numbers: IntArray
    values: FloatArray
    energies: FloatArray
    seed: int

    @classmethod
    def of(cls, training: TrainingSet, numbers: IntArray, seed: int) -> Spectra:
        """Read samples of a training set."""
        return cls(training, numbers, training.force_constants(numbers), training.energies(numbers), seed)

    @cached_property
    def dynamics(self) -> BornVonKarman:
        """Dynamics along the path."""
        return self.training.prior.dynamics(self.training.qpath.q, self.training.qpath.direction)

    def clean(self) -> list[Measured]:
        """Return them without noise or background, covered everywhere."""
        return self.measured(None, 0.0)

    def in_cell(self, cell: int, place: int) -> Measurement:
        """Return the sample at a place among them in a cell of the grid."""
        training, number = self.training, int(self.numbers[place])
        return noisy_spectrum(
            training.prior.crystal,
            training.qpath,
            self.energies[place],
            training.grid,
            training.resolution,
            CELLS[cell],
            noise_source(self.seed, cell, number),
        )

    def noisy(self, cell: int) -> list[Measured]:
        """Return them in a cell of the grid."""
        measurements = (self.in_cell(cell, place) for place in range(len(self.numbers)))
        return [(one.summed(one.counts), one.summed(one.exposure)) for one in measurements]

    def measured(self, ranges: MeasurementRanges | None, elastic: float) -> list[Measured]:
        """Return them measured as in training.

        Parameters
        ----------
        ranges
            What measurements are like; None for clean ones.
        elastic
            Something must be covered above this energy, meV.
        """
        training = self.training
        spectrometer = Spectrometer(training.qpath, training.grid, training.resolution, ranges)
        return [
            measure(spectrometer, energies, elastic, [self.seed, int(number)])
            for number, energies in zip(self.numbers, self.energies, strict=True)
        ]


def drawn_prior(training: TrainingSet) -> Prior:
    """Return the prior whose mean and standard deviations are those of the training part of a training set.

    Retained force constants are uniform there and the unstable sets are left out; a fit that took another Gaussian
    could not be compared with a bound, which counts the prior as knowledge. Force constants that were held at the
    reference are known.
    """
    values = training.force_constants(np.flatnonzero(training.split == TRAINING))
    sigma = np.maximum(values.std(axis=0, ddof=1), KNOWN)
    return training.prior.about(values.mean(axis=0), sigma, "mean of the training set")


def measure(spectrometer: Spectrometer, energies: FloatArray, elastic: float, seed: list[int]) -> Measured:
    """Measure mode energies (n_q, s) until something above the elastic line is covered."""
    for attempt in range(_ATTEMPTS):
        counts, exposure = spectrometer.measure(energies, np.random.default_rng([*seed, attempt]))
        if (exposure[:, spectrometer.grid.edges[:-1] >= elastic] > 0).any():
            return counts, exposure
    raise RuntimeError("no measurement covers anything")
