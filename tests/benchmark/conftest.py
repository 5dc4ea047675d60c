"""Two small models of one small training set: a variational autoencoder and a flow, everything but good."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.networks import TrainSettings, train
from fcinv_core.training_set import TrainingSet
from tests.networks.conftest import model_folder, training

__all__ = ["flow_folder", "model_folder", "training"]


@pytest.fixture(scope="session")
def flow_folder(training: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow after one epoch."""
    out = tmp_path_factory.mktemp("models") / "flow"
    train(training, out, TrainSettings(architecture="flow", epochs=1, batch=16, threads=1))
    return out
