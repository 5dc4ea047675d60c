"""A training set of aluminium held by springs, small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.networks import TrainSettings, train
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import retained, sensitivity
from fcinv_core.training_set import TrainingSet, generate
from tests.ensembles import aluminium_ensemble


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """64 sets of aluminium, four force constants drawn, 31 points by 40 energies."""
    prior = prior_from_members(aluminium_ensemble())
    path = standard_path(prior.crystal, 31)
    found = sensitivity(prior, path)
    out = tmp_path_factory.mktemp("training") / "aluminium.h5"
    return generate(out, prior, path, retained(prior, "4", found), found, 64, n_bins=40)


@pytest.fixture(scope="session")
def model_folder(training: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of it after two epochs: everything but good."""
    out = tmp_path_factory.mktemp("models") / "aluminium"
    train(training, out, TrainSettings(epochs=2, batch=16, threads=1))
    return out
