"""Counts that lie on the supposed lines fit them, whatever the amplitudes; counts beside them do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.coverage import CoverageRanges
from fcinv_core.networks.inputs import InputScaling, image_of
from fcinv_core.networks.misfit import explained_structure, misfit, spread, supposed_lines
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import SpectralGrid, default_resolution, unit_spectra
from tests.ensembles import aluminium_ensemble

PRIOR = prior_from_members(aluminium_ensemble())
PATH = standard_path(PRIOR.crystal, 81)
GRID = SpectralGrid(0.0, 45.0, 90)
RESOLUTION = default_resolution(GRID)
DYNAMICS = PRIOR.dynamics(PATH.q, PATH.direction)
ENERGIES = DYNAMICS.energies(PRIOR.mean)
#: Measurements as in training, but with enough counts to see lines.
RANGES = replace(MeasurementRanges(), counts=(30.0, 300.0), coverage=CoverageRanges(sparse=0.0), tail=(0.0, 0.0))


def measurements(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    spectrometer = Spectrometer(PATH, GRID, RESOLUTION, RANGES)
    return [spectrometer.measure(ENERGIES, np.random.default_rng(seed)) for seed in range(n)]


def shares(shift: float) -> np.ndarray:
    lines = unit_spectra(np.maximum(ENERGIES + shift, 0.0), GRID, RESOLUTION)
    return np.array([explained_structure(*one, lines) for one in measurements(40)])


def test_the_true_lines_explain_most_and_shifted_ones_less() -> None:
    found = [np.median(shares(shift)) for shift in (0.0, 1.0, 3.0)]
    assert found[0] > 0.65
    assert found[0] > 1.5 * found[1] > 1.5 * found[2]


def test_a_flat_measurement_contradicts_nothing() -> None:
    generator = np.random.default_rng(0)
    lines = unit_spectra(ENERGIES, GRID, RESOLUTION)
    exposure = generator.gamma(2.0, 0.05, lines.shape)
    assert explained_structure(generator.poisson(exposure).astype(float), exposure, lines) > 0.7


def test_a_spurion_that_no_line_explains_lowers_the_share() -> None:
    lines = unit_spectra(ENERGIES, GRID, RESOLUTION)
    counts, exposure = measurements(1)[0]
    clean = explained_structure(counts, exposure, lines)
    spoilt = counts.copy()
    spoilt[20:26, 80:86] += np.where(exposure[20:26, 80:86] > 0, 5 * counts.max(), 0)
    assert explained_structure(spoilt, exposure, lines) < 0.9 * clean


@pytest.mark.parametrize("unit", [1e-6, 1e3])
def test_the_unit_of_the_exposure_does_not_matter(unit: float) -> None:
    lines = unit_spectra(ENERGIES, GRID, RESOLUTION)
    counts, exposure = measurements(1)[0]
    assert explained_structure(counts, unit * exposure, lines) == pytest.approx(
        explained_structure(counts, exposure, lines), rel=1e-6
    )


def test_lines_are_the_mean_over_draws_and_an_image_says_what_counts_do() -> None:
    values = PRIOR.mean + 0.02 * PRIOR.sigma * np.random.default_rng(0).standard_normal((5, len(PRIOR.mean)))
    lines = supposed_lines(values, DYNAMICS, GRID, RESOLUTION)
    each = [unit_spectra(DYNAMICS.energies(one), GRID, RESOLUTION) for one in values]
    np.testing.assert_allclose(lines, np.mean(each, axis=0), atol=1e-6)
    counts, exposure = measurements(1)[0]
    image = image_of(counts, exposure, GRID, InputScaling("coverage", 0.0))
    expected = -np.log(explained_structure(counts, exposure, lines))
    assert misfit(image.channels, lines) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_spread_is_1_for_draws_as_wide_as_the_training_set() -> None:
    draws = np.random.default_rng(0).standard_normal((3, 20_000, 4)).astype(np.float32)
    np.testing.assert_allclose(spread(draws), 1, rtol=0.02)
    widths = np.array([0.1, 0.2, 1.0, 1.0], dtype=np.float32)
    np.testing.assert_allclose(spread(draws * widths), np.sqrt(np.sqrt(0.02)), rtol=0.02)
