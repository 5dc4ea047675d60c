"""Judging a model again says what its training said, and leaves its weights alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.files import sha256
from fcinv_core.networks import load_model
from fcinv_core.networks.judging import judge
from fcinv_core.networks.model_folder import FEATURES, LOG, PRIOR, README, WEIGHTS
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import retained, sensitivity
from fcinv_core.shipped import CARD
from fcinv_core.training_set import TrainingSet, generate
from tests.ensembles import aluminium_ensemble


def test_judging_again_restores_card_readme_and_features_and_nothing_else(
    model_folder: Path, training: TrainingSet, tmp_path: Path
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    card = json.loads((folder / CARD).read_text())
    before = json.loads(json.dumps(card))
    del card["sha256"][FEATURES], card["largest_feature_distance"]
    card.update(largest_misfit=0.0, tests=None)
    (folder / CARD).write_text(json.dumps(card))
    (folder / FEATURES).unlink()
    (folder / README).write_text("nothing")
    judge(folder, training)
    assert json.loads((folder / CARD).read_text()) == before
    for name in (WEIGHTS, PRIOR, LOG, README, FEATURES):
        assert sha256(folder / name) == sha256(model_folder / name)


def test_a_model_without_usual_features_flags_nothing_by_them(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    card = json.loads((folder / CARD).read_text())
    del card["sha256"][FEATURES], card["largest_feature_distance"], card["largest_spread"]
    (folder / CARD).write_text(json.dumps(card))
    (folder / FEATURES).unlink()
    model = load_model(folder)
    assert model.features is None
    assert model.largest["feature_distance"] == model.largest["spread"] == np.inf
    counts = np.ones((model.qpath.n_points, model.grid.n_bins))
    answer = model.answer(counts, counts, 5, 0, path=model.qpath, grid=model.grid)
    assert not any("no such spectrum" in flag for flag in answer.flags)


def test_another_training_set_is_refused_and_the_model_left_as_it_was(model_folder: Path, tmp_path: Path) -> None:
    prior = prior_from_members(aluminium_ensemble())
    path = standard_path(prior.crystal, 31)
    found = sensitivity(prior, path)
    other = generate(tmp_path / "other.h5", prior, path, retained(prior, "3", found), found, 64, n_bins=40)
    before = {file.name: sha256(file) for file in model_folder.iterdir()}
    with pytest.raises(InputError, match="not the training set of this model"):
        judge(model_folder, other)
    assert {file.name: sha256(file) for file in model_folder.iterdir()} == before
