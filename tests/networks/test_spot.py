"""One spot off the lines stands out; lines that are misplaced everywhere do not."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.networks.spot import brightest_spot
from fcinv_core.spectrum import unit_spectra
from tests.networks.test_misfit import ENERGIES, GRID, RESOLUTION, measurements

LINES = unit_spectra(ENERGIES, GRID, RESOLUTION)


def with_blob(counts: np.ndarray, exposure: np.ndarray, row: int, column: int) -> np.ndarray:
    rows, columns = np.ogrid[: counts.shape[0], : counts.shape[1]]
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 2.0**2))
    brightest = np.quantile(counts[exposure > 0] / exposure[exposure > 0], 0.99)
    return counts + np.round(5 * brightest * blob * exposure)


def test_a_blob_off_the_lines_is_found_where_it_lies() -> None:
    empty = np.argwhere(LINES < 0.01)
    empty = empty[(empty > [10, 20]).all(axis=1) & (empty[:, 0] < len(LINES) - 10)]
    row, column = empty[len(empty) // 2]
    found, usual = [], []
    for counts, exposure in measurements(20):
        usual.append(brightest_spot(counts, exposure, LINES).contrast)
        if exposure[row, column] > 0.5 * np.median(exposure[exposure > 0]):
            spot = brightest_spot(with_blob(counts, exposure, row, column), exposure, LINES)
            found.append(spot.contrast)
            assert np.hypot(spot.row - row, spot.column - column) < 4
    assert len(found) >= 5
    assert np.median(found) > np.max(usual)


def test_lines_that_are_misplaced_everywhere_are_no_spot() -> None:
    shifted = unit_spectra(ENERGIES + 3.0, GRID, RESOLUTION)
    right, wrong = (
        np.median([brightest_spot(*one, lines).contrast for one in measurements(20)]) for lines in (LINES, shifted)
    )
    assert wrong < right + 0.5


@pytest.mark.parametrize("unit", [1e-6, 1e3])
def test_the_unit_of_the_exposure_does_not_matter(unit: float) -> None:
    counts, exposure = measurements(1)[0]
    spot, scaled = brightest_spot(counts, exposure, LINES), brightest_spot(counts, unit * exposure, LINES)
    assert scaled.contrast == pytest.approx(spot.contrast, rel=1e-6)
    assert (scaled.row, scaled.column) == (spot.row, spot.column)


def test_without_a_measurement_there_is_no_spot() -> None:
    nothing = np.zeros(LINES.shape)
    assert brightest_spot(nothing, nothing, LINES).contrast == 0
