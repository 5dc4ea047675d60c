"""The grid of background and noise on which everything is benchmarked, and the spectra that are measured for it."""

from __future__ import annotations

import itertools

import numpy as np

from fcinv_core.crystal import IntArray
from fcinv_core.errors import InputError
from fcinv_core.networks.batches import TEST
from fcinv_core.refinement.limit import NoiseLevel
from fcinv_core.training_set import TrainingSet

#: Constant background as a share of the spectrum's maximum: the rows of the grid.
BACKGROUNDS = (0.0, 0.05, 0.1, 0.2, 0.4)
#: Expected counts at the spectrum's maximum: its columns, from little noise to much.
PEAK_COUNTS = (1000.0, 300.0, 100.0, 30.0, 10.0)
#: Background and noise of each cell, row by row.
CELLS = tuple(NoiseLevel(counts, background) for background, counts in itertools.product(BACKGROUNDS, PEAK_COUNTS))
#: The cell in the middle, which stands for a noisy measurement where only one is shown.
MIDDLE = len(CELLS) // 2


def choose_samples(training: TrainingSet, n: int) -> IntArray:
    """Return the numbers of the first n samples of the test part, which is in random order; all if there are fewer.

    Raises
    ------
    InputError
        If n is less than 2, or the test part is.
    """
    part = np.flatnonzero(training.split == TEST)
    if n < 2 or len(part) < 2:
        raise InputError(
            f"{n} of the {len(part)} samples of the test part of {training.path} are asked for",
            "a benchmark compares at least two",
            "ask for more, or generate a larger training set",
        )
    return part[:n]


def noise_source(seed: int, cell: int, sample: int) -> np.random.Generator:
    """Return the source of the counting noise of a sample in a cell: the same for whatever is benchmarked."""
    return np.random.default_rng([seed, cell, sample])
