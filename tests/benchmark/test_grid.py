"""The grid is that of the design, and everything that is benchmarked sees the same counts."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.benchmark.grid import BACKGROUNDS, CELLS, MIDDLE, PEAK_COUNTS, choose_samples, noise_source
from fcinv_core.errors import InputError
from fcinv_core.training_set import TrainingSet


def test_cells_go_row_by_row_from_the_easiest_to_the_hardest() -> None:
    assert len(set(CELLS)) == len(BACKGROUNDS) * len(PEAK_COUNTS) == 25
    assert (CELLS[0].background, CELLS[0].peak_counts) == (0.0, 1000.0)
    assert (CELLS[-1].background, CELLS[-1].peak_counts) == (0.4, 10.0)
    assert CELLS[7].background == BACKGROUNDS[1]
    assert CELLS[7].peak_counts == PEAK_COUNTS[2]
    assert (CELLS[MIDDLE].background, CELLS[MIDDLE].peak_counts) == (0.1, 100.0)


def test_samples_are_of_the_test_part_and_more_of_them_begin_with_the_same(training: TrainingSet) -> None:
    few, all_of_them = choose_samples(training, 3), choose_samples(training, 10**6)
    assert (training.split[all_of_them] == 2).all()
    assert len(all_of_them) == (training.split == 2).sum()
    np.testing.assert_array_equal(few, all_of_them[:3])
    with pytest.raises(InputError, match="at least two"):
        choose_samples(training, 1)


def test_the_noise_of_a_sample_depends_on_the_cell_and_the_seed_alone() -> None:
    drawn = [
        noise_source(*key).random(4).tolist() for key in ((0, 1, 2), (0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3))
    ]
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in drawn}) == 4
