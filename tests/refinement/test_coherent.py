"""The coherent model predicts what the structure factors of the package give cell by cell, and its derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.crystal import FloatArray
from fcinv_core.prior import Prior
from fcinv_core.refinement.coherent import CoherentModel
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.nodes import single_nodes
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.structure_factor.debye_waller import displacements_of
from fcinv_core.structure_factor.modes import mesh_modes
from fcinv_core.structure_factor.one_phonon import coherent_one_phonon, one_phonon_spectra
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths
from tests.refinement.gradients import check_gradient
from tests.refinement.test_lines import measurement

ZONES = np.array([[1, 0, 1], [2, 1, 0], [0, 0, 1], [1, -1, 2]])


def in_zones(data: Measurement, rng: np.random.Generator) -> Measurement:
    """The same bins, each measured in several zones, with counts."""
    n_zones, n_bins, n_energies = len(ZONES), len(data.q), data.grid.n_bins
    n_cuts = n_zones * n_bins
    k = n_cuts * n_energies

    def repeated(values: FloatArray) -> FloatArray:
        blocks = values.reshape(n_bins, 1, n_energies, *values.shape[1:])
        return np.repeat(blocks, n_zones, axis=1).reshape(k, *values.shape[1:])

    return replace(
        data,
        zones=np.tile(ZONES, (n_bins, 1)),
        cut_bin=np.repeat(np.arange(n_bins), n_zones),
        cut_start=np.arange(n_cuts + 1) * n_energies,
        energy=np.tile(np.arange(n_energies), n_cuts),
        counts=rng.poisson(2.0, k).astype(float),
        exposure=rng.uniform(0.5, 2.0, k),
        variance=np.zeros(k),
        background=np.ones(k),
        fixed=np.zeros(k),
        per_intensity=np.ones(k),
        q_squared=np.full(k, 20.0),
        looks=np.full(k, 3.0),
        mean=rng.normal(0, 0.01, (k, 3)) if data.nodes.per_bin > 1 else np.zeros((k, 3)),
        covariance=repeated(data.covariance),
        temperature=50.0,
    )


def test_sharp_cells_hold_the_one_phonon_scattering_of_their_zone(aluminium_prior: Prior) -> None:
    data = in_zones(measurement(aluminium_prior, sharp=True), np.random.default_rng(0))
    assert data.nodes.per_bin == single_nodes(1).per_bin
    lengths = natural_scattering_lengths(data.crystal)
    model = CoherentModel(data, aluminium_prior, lengths)
    parameters = np.append(aluminium_prior.mean, np.zeros(len(model.names)))
    # The backgrounds are left out: their logarithms go to minus infinity.
    parameters[-2:] = -60.0
    found = model.expected(parameters) / data.exposure

    fcs = aluminium_prior.force_constants(aluminium_prior.mean, "test")
    displacements = displacements_of(mesh_modes(fcs, 0.3), data.temperature)
    lines = coherent_one_phonon(fcs, data.zones + data.q[data.cut_bin], lengths, displacements)
    grid = SpectralGrid(data.grid.minimum, data.grid.maximum, data.grid.n_bins)
    expected = one_phonon_spectra(lines, data.temperature, grid, data.resolution).ravel()
    scale = found.sum() / expected.sum()
    np.testing.assert_allclose(found, scale * expected, atol=2e-5 * found.max())


@pytest.mark.parametrize("crystal", ["aluminium_prior", "zincblende_prior"])
@pytest.mark.parametrize("sharp", [True, False])
def test_the_gradient_is_that_of_differences(crystal: str, sharp: bool, request: pytest.FixtureRequest) -> None:
    prior: Prior = request.getfixturevalue(crystal)
    rng = np.random.default_rng(2)
    data = in_zones(measurement(prior, sharp), rng)
    model = CoherentModel(data, prior, natural_scattering_lengths(data.crystal))
    parameters = np.append(prior.mean * 1.05, rng.normal(0, 0.1, len(model.names)))
    parameters[prior.n_force_constants + 4 :] += rng.normal(0, 0.3, 4)
    # Modes closer than a tenth of a meV are differentiated as degenerate ones.
    check_gradient(model, parameters, share=0.04)
