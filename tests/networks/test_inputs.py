"""Measurements become images that do not depend on what should not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.networks.inputs import InputScaling, image_of, resample, segment_names, weighted_quantile
from fcinv_core.qpath import QPath, named_path, standard_path
from fcinv_core.spectrum import SpectralGrid

ALUMINIUM = Crystal.from_cell(4.05 / 2 * (1 - np.eye(3)), [[0, 0, 0]], ("Al",))
GRID = SpectralGrid(0.0, 40.0, 80)
SCALING = InputScaling("coverage", 3.0)


def measurement(path: QPath, grid: SpectralGrid, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    exposure = generator.gamma(2.0, 10.0, (path.n_points, grid.n_bins))
    exposure[generator.random(exposure.shape) < 0.3] = 0.0
    return generator.poisson(exposure * 0.7).astype(float), exposure


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 300), st.integers(20, 120), st.integers(10, 200))
def test_resampling_keeps_the_sums_of_counts_and_exposure(n: int, n_to: int, n_bins: int) -> None:
    path, to_path = standard_path(ALUMINIUM, n), standard_path(ALUMINIUM, n_to)
    grid = SpectralGrid(0.0, 40.0, n_bins)
    counts, exposure = measurement(path, grid)
    moved, moved_exposure = resample(counts, exposure, path, grid, to_path, GRID)
    assert moved.sum() == pytest.approx(counts.sum(), rel=1e-12)
    assert moved_exposure.sum() == pytest.approx(exposure.sum(), rel=1e-12)


def test_resampling_keeps_the_sum_of_every_segment() -> None:
    fine, coarse = standard_path(ALUMINIUM, 301), standard_path(ALUMINIUM, 61)
    ends = [[index for index, _ in path.ticks] for path in (fine, coarse)]
    for segment in range(len(ends[0]) - 1):
        if ends[0][segment + 1] == ends[0][segment] + 1:
            continue  # the two ends of a break
        exposure = np.zeros((301, GRID.n_bins))
        exposure[ends[0][segment] + 3 : ends[0][segment + 1] - 2] = 1.0
        moved = resample(exposure, exposure, fine, GRID, coarse, GRID)[0]
        inside = slice(ends[1][segment], ends[1][segment + 1] + 1)
        assert moved[inside].sum() == pytest.approx(exposure.sum())


def test_the_same_sampling_changes_nothing() -> None:
    path = standard_path(ALUMINIUM, 101)
    counts, exposure = measurement(path, GRID)
    moved = resample(counts, exposure, path, GRID, path, GRID)
    np.testing.assert_allclose(moved, np.where(exposure > 0, [counts, exposure], 0.0), atol=1e-12)


def test_a_finer_energy_grid_is_summed_to_the_coarser() -> None:
    path, fine = standard_path(ALUMINIUM, 31), SpectralGrid(-5.0, 50.0, 220)
    counts, exposure = measurement(path, fine)
    moved, _ = resample(counts, exposure, path, fine, path, GRID)
    np.testing.assert_allclose(moved, counts[:, 20:180].reshape(31, 80, 2).sum(axis=2), atol=1e-9)


def test_a_flat_intensity_stays_flat_on_any_sampling() -> None:
    path, other = standard_path(ALUMINIUM, 77), standard_path(ALUMINIUM, 140)
    _, exposure = measurement(path, GRID)
    moved, moved_exposure = resample(3.0 * exposure, exposure, path, GRID, other, SpectralGrid(0, 33, 47))
    covered = moved_exposure > 0
    np.testing.assert_allclose(moved[covered], 3.0 * moved_exposure[covered], rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3))
def test_units_of_intensity_do_not_matter(unit: float) -> None:
    path = standard_path(ALUMINIUM, 41)
    counts, exposure = measurement(path, GRID)
    one = image_of(counts, exposure, GRID, SCALING)
    other = image_of(counts, exposure * unit, GRID, SCALING)
    np.testing.assert_allclose(one.channels, other.channels, rtol=2e-5, atol=1e-6)


def test_measuring_longer_shows_in_the_second_channel_only() -> None:
    path = standard_path(ALUMINIUM, 41)
    counts, exposure = measurement(path, GRID)
    one = image_of(counts, exposure, GRID, SCALING)
    other = image_of(10 * counts, 10 * exposure, GRID, SCALING)
    np.testing.assert_allclose(one.channels[0], other.channels[0], rtol=1e-5)
    expected = [np.expm1(image.channels[1][image.covered]) for image in (one, other)]
    np.testing.assert_allclose(10 * expected[0], expected[1], rtol=1e-4)


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, 1e30, 7.0])
def test_what_stands_in_uncovered_pixels_does_not_matter(rubbish: float) -> None:
    path = standard_path(ALUMINIUM, 41)
    counts, exposure = measurement(path, GRID)
    spoilt = np.where(exposure > 0, counts, rubbish)
    images = [
        image_of(*resample(values, exposure, path, GRID, path, GRID), GRID, SCALING) for values in (counts, spoilt)
    ]
    np.testing.assert_array_equal(images[0].channels, images[1].channels)
    assert not images[0].channels[:, ~images[0].covered].any()


def test_the_elastic_line_is_masked_and_does_not_set_the_scale() -> None:
    path = standard_path(ALUMINIUM, 41)
    counts, exposure = measurement(path, GRID)
    bright = counts.copy()
    bright[:, GRID.centres < SCALING.elastic] *= 1e4
    one, other = (image_of(values, exposure, GRID, SCALING) for values in (counts, bright))
    np.testing.assert_array_equal(one.channels, other.channels)
    assert not one.covered[:, GRID.edges[:-1] < SCALING.elastic].any()


def test_plain_scaling_runs_from_zero_to_one() -> None:
    path = standard_path(ALUMINIUM, 41)
    counts, _ = measurement(path, GRID)
    image = image_of(counts, np.ones_like(counts), GRID, InputScaling("minmax", 0.0))
    assert image.channels.shape == (1, 41, 80)
    assert (image.channels.min(), image.channels.max()) == (0.0, 1.0)


def test_weighted_quantile_counts_weights_as_repetitions() -> None:
    generator = np.random.default_rng(3)
    values, repeats = generator.random(50), generator.integers(1, 6, 50)
    for quantile in (0.1, 0.5, 0.9, 0.99):
        plain = np.quantile(np.repeat(values, repeats), quantile, method="inverted_cdf")
        assert weighted_quantile(values, repeats.astype(float), quantile) == plain


def test_another_path_is_refused_with_the_way_to_fold_again() -> None:
    path, other = standard_path(ALUMINIUM, 41), named_path(ALUMINIUM, "Γ-X-W", 41)
    counts, exposure = measurement(other, GRID)
    with pytest.raises(InputError, match=f'--path "{segment_names(path)}"'.replace("|", r"\|")):
        resample(counts, exposure, other, GRID, path, GRID)


def test_names_of_segments_make_the_same_path_again() -> None:
    path = standard_path(ALUMINIUM, 57)
    np.testing.assert_allclose(named_path(ALUMINIUM, segment_names(path), 57).q, path.q)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, e: (c, 0 * e), "covers nothing"),
        (lambda c, e: (np.full_like(c, np.nan), e), "covers nothing"),
        (lambda c, e: (c - 100, e), "negative counts"),
        (lambda c, e: (c, -e), "negative exposure"),
        (lambda c, e: (c[1:], e), "41 path points by 80 energies"),
    ],
)
def test_measurements_that_make_no_sense_are_refused(change, words: str) -> None:  # type: ignore[no-untyped-def]
    path = standard_path(ALUMINIUM, 41)
    with pytest.raises(InputError, match=words):
        resample(*change(*measurement(path, GRID)), path, GRID, path, GRID)


def test_energies_that_the_network_does_not_know_are_refused() -> None:
    path = standard_path(ALUMINIUM, 41)
    counts = np.ones((41, 80))
    far = SpectralGrid(-40.0, 0.0, 80)
    with pytest.raises(InputError, match="none of the network's energies"):
        image_of(*resample(counts, counts, path, far, path, GRID), GRID, SCALING)
