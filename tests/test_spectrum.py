"""Spectra: lines of the right width in the right bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from fcinv_core.errors import InputError
from fcinv_core.spectrum import FWHM_PER_SIGMA, Resolution, SpectralGrid, render

GRID = SpectralGrid(0.0, 70.0, 100)
ARCS = Resolution((2.0, -0.03, 1.5e-4))


def plain(
    energies: NDArray[np.float64], grid: SpectralGrid, resolution: Resolution, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The same, mode by mode, each the difference of the normal distribution between the edges of each bin."""
    spectra = np.zeros((*energies.shape[:-1], grid.n_bins))
    for place in np.ndindex(*energies.shape):
        if energies[place] >= 0:
            # Above the grid the width is that at its end.
            sigma = resolution.fwhm(np.array(min(energies[place], grid.maximum))) / FWHM_PER_SIGMA
            cumulative = norm.cdf(grid.edges, loc=energies[place], scale=sigma)
            spectra[place[:-1]] += weights[place] * np.diff(cumulative) / grid.width
    return spectra


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(4, 6), (3, 2, 6), (6,), (5, 1), (1, 1)]),
    st.sampled_from([GRID, SpectralGrid(5.0, 40.0, 37), SpectralGrid(-10.0, 30.0, 80), SpectralGrid(0, 60, 1)]),
    st.sampled_from([ARCS, Resolution((0.3,)), Resolution((8.0,)), Resolution((0.15 + 0.84, -0.84 / 100))]),
    st.booleans(),
)
def test_spectra_are_those_of_the_plain_sum_over_lines(
    seed: int, shape: tuple[int, ...], grid: SpectralGrid, resolution: Resolution, weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    energies = rng.uniform(-10, 90, shape)
    weights = rng.random(shape) if weighted else np.ones(shape)
    ours = render(energies, grid, resolution, weights if weighted else None)
    assert ours.dtype == np.float32
    assert ours.shape == (*shape[:-1], grid.n_bins)
    expected = plain(energies, grid, resolution, weights)
    # A line of height 0.94 / FWHM is cut off at 4.75 sigma.
    highest = 1 / (resolution.sigma(grid.edges[grid.edges >= 0]).min() + grid.width / 3)
    np.testing.assert_allclose(ours, expected, atol=5e-6 * max(highest, 1 / grid.width))


def test_a_spectrum_of_one_mode_has_weight_one_at_every_q() -> None:
    """One mode and no weights: the shape in which (1, 1) could be taken for one weight a row."""
    energies = np.linspace(20, 50, 1000)[:, None]
    sums = render(energies, GRID, Resolution((1.0,))).sum(axis=-1) * GRID.width
    np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_weight_is_conserved_inside_the_grid() -> None:
    rng = np.random.default_rng(0)
    energies, weights = rng.uniform(10, 60, (50, 6)), rng.random((50, 6))
    sums = render(energies, GRID, ARCS, weights).sum(axis=-1) * GRID.width
    np.testing.assert_allclose(sums, weights.sum(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("edge", [GRID.minimum, GRID.maximum])
def test_half_of_a_line_at_the_edge_lies_inside(edge: float) -> None:
    total = render(np.array([edge]), GRID, Resolution((2.0,))).sum() * GRID.width
    assert total == pytest.approx(0.5, abs=1e-5)


def test_lines_outside_the_grid_leave_only_their_tails() -> None:
    assert not render(np.array([75.0, 1000.0]), GRID, Resolution((1.0,))).any()
    tail = render(np.array([71.0]), GRID, Resolution((2.0,)))
    sigma = 2.0 / FWHM_PER_SIGMA
    assert tail.sum() * GRID.width == pytest.approx(norm.cdf(-1 / sigma), rel=1e-3)


def test_imaginary_modes_are_left_out_and_zero_has_no_sign() -> None:
    assert not render(np.array([-5.0, -0.1, np.nan]), GRID, Resolution((2.0,))).any()
    noise = render(np.array([[-1e-6], [1e-6], [0.0]]), GRID, Resolution((2.0,)))
    np.testing.assert_allclose(noise, noise[[2, 2, 2]], atol=1e-6)
    assert noise.sum() * GRID.width == pytest.approx(1.5, abs=1e-4)


@pytest.mark.parametrize("energy", [10.0, 40.0, 65.0])
def test_the_width_is_that_at_the_energy_of_the_mode(energy: float) -> None:
    fine = SpectralGrid(0.0, 70.0, 7000)
    line = render(np.array([energy]), fine, ARCS).astype(float)
    above = fine.centres[line > line.max() / 2]
    assert above[-1] - above[0] == pytest.approx(2.0 - 0.03 * energy + 1.5e-4 * energy**2, abs=0.02)
    assert ARCS.fwhm(np.array(energy)) == pytest.approx(2.0 - 0.03 * energy + 1.5e-4 * energy**2)


def test_bins_are_uniform_between_the_edges() -> None:
    grid = SpectralGrid(-5.0, 45.0, 200)
    assert grid.width == 0.25
    assert grid.edges[[0, -1]].tolist() == [-5.0, 45.0]
    np.testing.assert_allclose(np.diff(grid.edges), 0.25)
    np.testing.assert_allclose(grid.centres, grid.edges[:-1] + 0.125)


@pytest.mark.parametrize(("minimum", "maximum", "n"), [(0, 0, 10), (5, 2, 10), (0, 10, 0), (0, float("nan"), 5)])
def test_impossible_grids_are_refused(minimum: float, maximum: float, n: int) -> None:
    with pytest.raises(InputError, match="are not a grid"):
        SpectralGrid(minimum, maximum, n)


def test_a_resolution_that_turns_negative_is_refused() -> None:
    with pytest.raises(InputError, match=r"not positive at all energies: its FWHM falls to -1\.5"):
        render(np.array([10.0]), GRID, Resolution((2.0, -0.05)))
