"""On the twin of a real experiment the refinement finds the dispersion that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.crystal import FloatArray, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.events.opening import open_events
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.normalisation import read_solid_angles
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.potentials import shipped_ensemble
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.measurement import Measurement, data_of_folded
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.refined import AmplitudeModel
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.spectrum import Resolution, SpectralGrid

#: Wavevectors of the whole zone at which dispersions are compared.
N_POINTS = 600


@pytest.fixture(scope="module")
def prior() -> Prior:
    paths = shipped_ensemble("ge")
    crystal = read_structure(paths[0].parent / "POSCAR")
    return prior_from_members([read_force_constants(path, crystal) for path in paths])


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> Measurement:
    source = open_events(shared_data / "twin" / "ge_arcs_twin.nxs")
    material = read_structure(shared_data / "ge_dft" / "POSCAR")
    settings = FoldSettings(SpectralGrid(-4.0, 38.0, 84), widths=(0.1, 0.1))
    angles = read_solid_angles(shared_data / "twin" / "ge_arcs_twin_solid_angle.nxs")
    folded = fold(source, material, standard_path(material, 101), settings, solid_angles=angles)
    return data_of_folded(folded, folded.cells.exposure > 0, Resolution((0.99, -0.021)))


@pytest.fixture(scope="module")
def error(shared_data: Path, prior: Prior) -> Callable[[FloatArray], FloatArray]:
    """Differences of mode energies (meV) from the truth, over the zone."""
    folder = shared_data / "ge_dft"
    truth = read_force_constants(folder / "FORCE_CONSTANTS", prior.crystal, structure=folder / "POSCAR")
    q = np.random.default_rng(1).uniform(-0.5, 0.5, (N_POINTS, 3))
    dynamics, energies = prior.dynamics(q), mode_energies(truth, q)

    def difference(values: FloatArray) -> FloatArray:
        return np.asarray(dynamics.energies(values, threads=1) - energies)

    return difference


@pytest.mark.slow
@pytest.mark.parametrize(("model", "limit"), [("free", 0.25), ("coherent", 0.15)])
def test_the_dispersion_of_the_twin_is_found_from_the_mean_of_force_fields(
    measured: Measurement,
    prior: Prior,
    error: Callable[[FloatArray], FloatArray],
    model: AmplitudeModel,
    limit: float,
) -> None:
    assert np.sqrt(np.mean(error(prior.mean) ** 2)) > 5
    found = refine(measured, prior, prior.mean, RefineSettings(model=model, n_draws=100, reweight=False))
    assert np.sqrt(np.mean(error(found.values) ** 2)) < limit
    q = np.random.default_rng(1).uniform(-0.5, 0.5, (N_POINTS, 3))
    sigma = prior.dynamics(q).energies(found.draws, threads=1).std(axis=0)
    distance = np.abs(error(found.values)) / sigma
    assert (distance < 1).mean() > 0.6
    assert (distance < 1.96).mean() > 0.85
