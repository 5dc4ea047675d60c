"""The models that ship know what they say they know, and were shown no measurement of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcinv_core.crystal import read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.events.opening import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.networks import load_model
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import shipped_models, virtual_experiment

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
    answer = model.draw(found.counts, found.exposure_in_counts, 200, 0, path=folded.bins.path, grid=folded.grid)
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
