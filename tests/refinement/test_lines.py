"""A line in a cell is the average of lines over the wavevectors of that cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.branches import Branches
from fcinv_core.refinement.known import contrast_of_looks, expected_counts
from fcinv_core.refinement.lines import Modes, fill_windows, place_modes, share_at
from fcinv_core.refinement.measurement import DIAGONAL, Measurement
from fcinv_core.refinement.nodes import Nodes, lattice_nodes, seven_nodes, single_nodes
from fcinv_core.spectrum import Resolution, SpectralGrid

#: Centres of bins: on a line of degenerate branches, general, and near the zone boundary.
CENTRES = np.array([[0.2, 0, 0.2], [0.23, 0.11, -0.31], [0.42, 0.05, 0.45]])
SPREAD = np.array([0.037, 0.045, 0.042])


def measurement(prior: Prior, sharp: bool) -> Measurement:
    """Three bins, all cells covered, with a spread in q or without."""
    grid = SpectralGrid(2.0, 30.0, 56)
    n_bins, k = len(CENTRES), len(CENTRES) * grid.n_bins
    variance = np.broadcast_to(SPREAD**2, (n_bins, 3))
    covariance = np.zeros((k, 6))
    if not sharp:
        covariance[:, [0, 3, 5]] = SPREAD**2
    return Measurement(
        crystal=prior.crystal,
        q=CENTRES,
        directions=None,
        axes=np.broadcast_to(np.eye(3), (n_bins, 3, 3)),
        grid=grid,
        resolution=Resolution((0.99, -0.021)),
        zones=np.zeros((n_bins, 3), dtype=np.int64),
        cut_bin=np.arange(n_bins),
        cut_start=np.arange(n_bins + 1) * grid.n_bins,
        energy=np.tile(np.arange(grid.n_bins), n_bins),
        counts=np.zeros(k),
        variance=np.zeros(k),
        exposure=np.ones(k),
        background=np.ones(k),
        fixed=np.zeros(k),
        per_intensity=np.ones(k),
        q_squared=np.ones(k),
        looks=np.ones(k),
        mean=np.zeros((k, 3)),
        covariance=covariance,
        weight=np.ones(n_bins),
        temperature=0.0,
        nodes=single_nodes(n_bins) if sharp else seven_nodes(np.zeros((n_bins, 3)), variance),
    )


def modes_and_weights(prior: Prior, data: Measurement) -> tuple[Modes, FloatArray]:
    branches = Branches.of(prior.dynamics(data.node_q.reshape(-1, 3)))
    energies = branches.energies(prior.mean).reshape(len(data.q), data.nodes.per_bin, -1)
    equal = np.ones_like(energies)
    return place_modes(data, energies, equal, np.zeros_like(equal), np.zeros(4), 0.0), equal


def spectra(prior: Prior, data: Measurement) -> FloatArray:
    modes, weights = modes_and_weights(prior, data)
    return expected_counts(data, modes, data.exposure, weights).reshape(len(data.q), -1)


def looks(prior: Prior, data: Measurement, n: int) -> FloatArray:
    """Spectra of each mode at wavevectors of the cells, shape (n_bins, n, m, n_energies)."""
    # Bin and pixel are a box each.
    rng = np.random.default_rng(3)
    both = (rng.random((n // 2, 3)) + rng.random((n // 2, 3)) - 1) * np.sqrt(6)
    offsets = data.mean[0] + np.concatenate([both, -both]) * np.sqrt(data.covariance[0, DIAGONAL])
    to_fractions = np.linalg.inv(prior.crystal.reciprocal_lattice)
    found = []
    for q in data.q:
        energies = prior.dynamics(q + offsets @ to_fractions).energies(prior.mean, threads=1)[..., None]
        found.append(np.diff(ndtr((data.grid.edges - energies) / data.resolution.sigma(energies)), axis=-1))
    return np.array(found)


def test_a_sharp_bin_holds_plain_lines(aluminium_prior: Prior) -> None:
    data = measurement(aluminium_prior, sharp=True)
    energies = aluminium_prior.dynamics(data.q).energies(aluminium_prior.mean)
    place = (data.grid.edges[:, None] - energies[:, None, :]) / data.resolution.sigma(energies)[:, None, :]
    np.testing.assert_allclose(spectra(aluminium_prior, data), np.diff(ndtr(place), axis=1).sum(axis=2), atol=1e-6)


@pytest.mark.parametrize(("away", "width", "shift"), [(0.0, 1.0, 0.002), (0.5, 0.8, 0.015), (1.0, 0.6, 0.05)])
@pytest.mark.parametrize(("nodes", "tolerance"), [(seven_nodes, 0.14), (lattice_nodes, 0.1)])
def test_nodes_average_over_the_wavevectors_of_a_cell(
    aluminium_prior: Prior,
    nodes: Callable[..., Nodes],
    tolerance: float,
    away: float,
    width: float,
    shift: float,
) -> None:
    # Cells lie ``away`` from the middle of their bin, in standard deviations, and are narrower than the bin.
    data = measurement(aluminium_prior, sharp=False)
    data = replace(
        data,
        mean=np.broadcast_to(away * SPREAD * [1, -1, 1], data.mean.shape),
        covariance=width**2 * data.covariance,
        nodes=nodes(np.zeros_like(CENTRES), np.broadcast_to(SPREAD**2, CENTRES.shape)),
    )
    found, plain = spectra(aluminium_prior, data), looks(aluminium_prior, data, 6000).sum(axis=2).mean(axis=1)
    centres = data.grid.centres
    # Without the spread spectra differ by half of their area and more, so that these bounds say something.
    sharp = spectra(aluminium_prior, measurement(aluminium_prior, sharp=True))
    for one, other, line in zip(found, plain, sharp, strict=True):
        assert np.abs(one - other).sum() < tolerance * other.sum()
        assert np.abs(line - other).sum() > 5 * np.abs(one - other).sum()
        assert abs(one @ centres / one.sum() - other @ centres / other.sum()) < shift


def test_looks_at_a_cell_differ_as_wavevectors_of_it_do(aluminium_prior: Prior) -> None:
    data = replace(
        measurement(aluminium_prior, sharp=False),
        nodes=lattice_nodes(np.zeros_like(CENTRES), np.broadcast_to(SPREAD**2, CENTRES.shape)),
    )
    modes, weights = modes_and_weights(aluminium_prior, data)
    expected = expected_counts(data, modes, data.exposure, weights)
    found = contrast_of_looks(data, modes, data.exposure, weights, expected) * expected**2
    drawn = looks(aluminium_prior, data, 6000).var(axis=1).sum(axis=1)
    for one, other in zip(found.reshape(drawn.shape), drawn, strict=True):
        assert one.sum() == pytest.approx(other.sum(), rel=0.06)
        assert np.abs(one - other).sum() < 0.1 * other.sum()


def test_windows_hold_all_cells_that_a_line_reaches(aluminium_prior: Prior) -> None:
    rng = np.random.default_rng(6)
    data = measurement(aluminium_prior, sharp=False)
    data = replace(data, mean=rng.normal(0, 0.02, (len(data.counts), 3)))
    branches = Branches.of(aluminium_prior.dynamics(data.node_q.reshape(-1, 3)))
    energies = branches.energies(aluminium_prior.mean).reshape(len(data.q), data.nodes.per_bin, -1)
    equal = np.ones_like(energies)
    modes = place_modes(data, energies, equal, np.zeros_like(equal), np.array([0.1, 0.1, 0.3, 0.2]), 0.2)
    low, high = (np.empty(energies.shape[1:], dtype=np.int64) for _ in range(2))
    within = 0
    for b in range(len(data.q)):
        first, last = data.cut_start[b], data.cut_start[b + 1]
        fill_windows(modes, b, first, last, low, high)
        for cell in range(first, last):
            for k, s in np.ndindex(low.shape):
                share = share_at(modes, b, k, s, cell, data.energy[cell])
                inside = low[k, s] <= data.energy[cell] <= high[k, s]
                assert inside or share == 0
                within += inside
    assert within < 0.8 * len(data.counts) * low.size
