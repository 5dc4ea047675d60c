"""The variational autoencoder of germanium that ships, and spectra that it was not shown."""

from __future__ import annotations

import pytest

from fcinv_core.latent.study import LatentStudy, study_latent_space
from fcinv_core.networks import Model, load_model
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import sensitivity
from fcinv_core.shipped import shipped_models
from fcinv_core.training_set import TrainingSet, generate


@pytest.fixture(scope="session")
def model() -> Model:
    return load_model(shipped_models()["ge_vae"])


@pytest.fixture(scope="session")
def training(model: Model, tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """280 sets of germanium around the ensemble of the model, 61 points by 50 energies."""
    prior = model.prior
    path = standard_path(prior.crystal, 61)
    out = tmp_path_factory.mktemp("training") / "germanium.h5"
    found = sensitivity(prior, path)
    return generate(out, prior, path, model.retained, found, 280, seed=11, energy_range=(0.0, 50.0), n_bins=50)


@pytest.fixture(scope="session")
def study(model: Model, training: TrainingSet) -> LatentStudy:
    return study_latent_space(model, training)
