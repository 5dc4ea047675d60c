"""Judging a model again, without training it: what its card says of its quality, and what it takes for unusual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.networks.batches import Samples, Standardisation
from fcinv_core.networks.evaluation import evaluate
from fcinv_core.networks.model import Model, load_model
from fcinv_core.networks.model_card import judgement, readme
from fcinv_core.networks.model_folder import basis_hash, rewrite_judgement
from fcinv_core.networks.training import TrainSettings, samples_of
from fcinv_core.training_set import TrainingSet


def judge(folder: Path, training: TrainingSet, *, between: Callable[[], None] = lambda: None) -> Model:
    """Judge a model on the validation and test parts of its training set; rewrite what its folder says of that.

    Card, README and usual features are written anew, all or none; weights, prior and training log stay as they are.

    Parameters
    ----------
    folder
        What `fcinv train` wrote.
    training
        The training set that it was trained on.
    between
        Called between batches; what it raises ends it.

    Raises
    ------
    InputError
        If the folder is not a model, or the model was trained on something else.
    """
    model = load_model(folder)
    samples, standardisation = _samples_of(model, training)
    evaluation = evaluate(model.network, samples, standardisation, between)
    card = {**model.card, **judgement(evaluation)}
    rewrite_judgement(folder, evaluation.features, card, readme(card, training))
    return load_model(folder)


def _samples_of(model: Model, training: TrainingSet) -> tuple[Samples, Standardisation]:
    """Return what the model was trained on, as it was shown."""
    chosen = {name: model.card["settings"][name] for name in ("architecture", "seed", "augment", "scaling")}
    samples, found = samples_of(training, TrainSettings(**chosen))
    taught = model.standardisation
    same = (
        model.card["basis"] == basis_hash(training.prior)
        and model.qpath.n_points == training.qpath.n_points
        and model.grid == training.grid
        and model.scaling == samples.scaling
        and np.array_equal(found.targets, taught.targets)
        and np.allclose(found.mean, taught.mean)
        and np.allclose(found.deviation, taught.deviation)
    )
    if not same:
        raise InputError(
            f"{training.path} is not the training set of this model",
            "its crystal, its path or its force constants are other ones than the card names",
            "give the file that the model was trained on",
        )
    return samples, found
