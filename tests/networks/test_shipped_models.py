"""The models that ship know what they say they know, and were shown no measurement of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcinv_core.benchmark.detection import emptied
from fcinv_core.benchmark.spectra import Measured, measure
from fcinv_core.crystal import read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.events.opening import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.networks import Model, load_model
from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.potentials.shipped import shipped_ensemble
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import shipped_models, virtual_experiment
from fcinv_core.training_set import Sampling, draw_block

MODELS = shipped_models()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_that_ship_load_are_small_and_name_their_ensemble(name: str) -> None:
    model = load_model(MODELS[name])
    assert sum(file.stat().st_size for file in MODELS[name].iterdir()) < 15e6
    families = ("chgnet", "sevennet")
    members = [member["name"] for member in model.card["training_set"]["members"]]
    assert members
    assert all(member.startswith(tuple(f"phonopy_params_{family}-" for family in families)) for member in members)
    assert model.card["licence"] == "GPL-3.0-or-later"


def test_the_germanium_model_finds_the_dispersion_of_the_virtual_experiment() -> None:
    folder: Path = virtual_experiment()
    source = open_events([folder / "ge_small.nxs"])
    crystal = read_structure(folder / "POSCAR")
    folded = fold(source, crystal, standard_path(crystal, 101), FoldSettings(grid=energy_bins(source)))
    found = folded.intensity()
    model = load_model(MODELS["ge"])
    assert folded.bins.path is not None
    answer = model.answer(found.counts, found.exposure_in_counts, 200, 0, path=folded.bins.path, grid=folded.grid)
    truth = read_force_constants(folder / "phonopy_params_truth.yaml.xz", model.prior.crystal)
    q = np.random.default_rng(0).uniform(-0.5, 0.5, (150, 3))
    known, dynamics = mode_energies(truth, q), model.prior.dynamics(q)
    off = {
        name: np.sqrt(((dynamics.energies(values) - known) ** 2).mean())
        for name, values in (("network", answer.draws.mean(axis=0)), ("ensemble", model.prior.mean))
    }
    # A wrong assignment of branches would be off by 3 meV and more.
    assert off["network"] < 1.6
    assert off["network"] < 0.5 * off["ensemble"]
    assert answer.out_of_range == ()


def measurements(model: Model, energies: np.ndarray, seed: int) -> list[Measured]:
    """Measure mode energies (m, n_q, s) as in training, of which no sample is shown."""
    spectrometer = Spectrometer(model.qpath, model.grid, model.resolution, MeasurementRanges())
    return [measure(spectrometer, one, model.scaling.elastic, [seed, k]) for k, one in enumerate(energies)]


def usual(model: Model, m: int, seed: int) -> list[Measured]:
    sampling = Sampling.around(model.prior, model.qpath, model.retained, seed=99)
    energies = draw_block(sampling, 0).energies
    return measurements(model, np.resize(energies, (m, *energies.shape[1:])), seed)


def flagged(model: Model, shown: list[Measured]) -> float:
    """Return the share of measurements that are called unusual, whatever the force constants."""
    # As many draws as the thresholds were made with: the spread of fewer scatters more.
    n = 200
    alarms = []
    for counts, exposure in shown:
        answer = model.answer(counts, exposure, n, 0, path=model.qpath, grid=model.grid)
        alarms.append(len(answer.flags) > bool(answer.out_of_range))
    return float(np.mean(alarms))


@pytest.mark.parametrize("name", ["ge", "nb"])
def test_an_empty_measurement_is_flagged(name: str) -> None:
    model, source = load_model(MODELS[name]), np.random.default_rng(0)
    energies = model.dynamics.energies(model.prior.mean)
    measured = measurements(model, np.broadcast_to(energies, (40, *energies.shape)), seed=1)
    shown = [emptied(*one, source) for one in measured]
    share = flagged(model, shown)
    assert share > 0.6


def test_niobium_shown_to_the_germanium_model_is_flagged() -> None:
    model, file = load_model(MODELS["ge"]), shipped_ensemble("nb")[0]
    crystal = read_structure(file.parent / "POSCAR")
    path = standard_path(crystal, model.qpath.n_points)
    energies = mode_energies(read_force_constants(file, crystal), path.q, path.direction)
    shown = measurements(model, np.broadcast_to(energies, (40, *energies.shape)), seed=2)
    share = flagged(model, shown)
    assert share > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_one_usual_measurement_in_twenty_is_flagged(name: str) -> None:
    model, m = load_model(MODELS[name]), 400
    share = flagged(model, usual(model, m, seed=3))
    # Three standard errors of this share and of that on the thousand measurements that made the thresholds.
    assert share == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 * (1 / m + 1 / 1000)))
