"""Samples of a training set as batches of measurements, drawn anew for every epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
import torch

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Batch
from fcinv_core.networks.augmentation import Spectrometer
from fcinv_core.networks.inputs import FloatArray32, InputScaling, image_of
from fcinv_core.networks.processes import ALONE, Processes
from fcinv_core.spectrum import unit_spectra
from fcinv_core.training_set import TrainingSet

#: Parts of `TrainingSet.split`.
TRAINING, VALIDATION, TEST = 0, 1, 2
#: Attempts to draw a measurement that covers anything.
_ATTEMPTS = 100


@dataclass(frozen=True, eq=False)
class Standardisation:
    """Targets of a network: the force constants that vary, less their mean, over their standard deviation.

    Attributes
    ----------
    targets
        FC numbers, ascending.
    mean, deviation
        Shape (k,): over the training part, eV/Å².
    """

    targets: IntArray
    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Standardisation:
        """Take the force constants that vary among samples (m, n) in FC order, eV/Å²."""
        # Not where the deviation is positive: that of equal numbers is rounding noise.
        targets = np.flatnonzero(np.ptp(values, axis=0) > 0)
        return cls(targets, values[:, targets].mean(axis=0), values[:, targets].std(axis=0))

    def apply(self, values: FloatArray) -> FloatArray32:
        """Return targets, shape (..., k), of force constants (..., n) in FC order."""
        return np.asarray((values[..., self.targets] - self.mean) / self.deviation, dtype=np.float32)

    def complete(self, targets: FloatArray | FloatArray32, others: FloatArray) -> FloatArray:
        """Return all force constants, shape (..., n), of targets (..., k); ``others`` where none was taught.

        Parameters
        ----------
        targets
            In standard deviations from their mean.
        others
            Shape (n,) or (..., n): eV/Å², FC order.
        """
        values = np.array(np.broadcast_to(others, (*targets.shape[:-1], others.shape[-1])))
        values[..., self.targets] = self.mean + self.deviation * targets
        return values


@dataclass(frozen=True, eq=False)
class Samples:
    """A training set in memory, and the measurements that are drawn of it.

    Attributes
    ----------
    training
        The set.
    energies
        Shape (n, n_q, s): mode energies, meV.
    targets
        Shape (n, k): see `Standardisation`.
    spectrometer, scaling
        How measurements are drawn and scaled.
    seed
        Of the measurements.
    """

    training: TrainingSet
    energies: FloatArray
    targets: FloatArray32
    spectrometer: Spectrometer
    scaling: InputScaling
    seed: int

    def measured_by(self, spectrometer: Spectrometer, scaling: InputScaling | None = None) -> Samples:
        """Return the same samples with other measurements."""
        return replace(self, spectrometer=spectrometer, scaling=scaling or self.scaling)

    def part(self, number: int) -> IntArray:
        """Return the samples of a part of the split."""
        return np.flatnonzero(self.training.split == number)

    def batch(self, numbers: IntArray, epoch: int, processes: Processes = ALONE) -> Batch:
        """Measure the samples of a process; the same numbers and epoch give the same, however they are batched."""
        whole = len(numbers)
        numbers = numbers[processes.rows(whole)]
        images = np.stack([self._image(int(number), epoch) for number in numbers])
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(unit_spectra(self.energies[numbers], self.training.grid, self.training.resolution)),
            torch.from_numpy(self.targets[numbers]),
            whole,
        )

    def _image(self, number: int, epoch: int) -> FloatArray32:
        for attempt in range(_ATTEMPTS):
            generator = np.random.default_rng([self.seed, epoch, number, attempt])
            counts, exposure = self.spectrometer.measure(self.energies[number], generator)
            try:
                return image_of(counts, exposure, self.training.grid, self.scaling).channels
            except InputError:
                # Nothing was covered outside of the elastic line: the next experiment will.
                continue
        raise RuntimeError("no measurement covers anything")

    def epoch(
        self, part: IntArray, epoch: int, size: int, *, shuffle: bool = True, processes: Processes = ALONE
    ) -> Iterator[Batch]:
        """Yield batches of a part, of each the rows of one process; the next is drawn while one is used."""
        order = np.random.default_rng([self.seed, epoch]).permutation(part) if shuffle else part
        pieces = np.array_split(order, max(1, math.ceil(len(order) / size)))
        # One thread that never waits for others: a team of them spins where cores are shared.
        with ThreadPoolExecutor(1, initializer=lambda: numba.set_num_threads(1)) as pool:
            coming = pool.submit(self.batch, pieces[0], epoch, processes)
            for following in (*pieces[1:], None):
                batch = coming.result()
                if following is not None:
                    coming = pool.submit(self.batch, following, epoch, processes)
                yield batch
