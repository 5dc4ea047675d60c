"""The networks that a benchmark compares, and what each answers to the same measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fcinv_core.benchmark.spectra import Measured
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import embeddings
from fcinv_core.networks.calibration import Answers, answer, corrected
from fcinv_core.networks.inputs import image_of, resample
from fcinv_core.networks.model import Model, load_model
from fcinv_core.networks.model_folder import basis_hash
from fcinv_core.training_set import TrainingSet


@dataclass(frozen=True, eq=False)
class Entrant:
    """A network that is benchmarked.

    Attributes
    ----------
    label
        Name of its folder.
    model
        The model.
    places
        Places, among its targets, of the force constants that the training set retains.
    """

    label: str
    model: Model
    places: IntArray

    @property
    def on_clean_spectra(self) -> bool:
        """Whether it was trained on clean spectra only."""
        return self.model.card["augmentation"] is None

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        kind = "clean spectra only" if self.on_clean_spectra else "simulated measurements"
        return f"{self.model.architecture}, {kind}, {self.model.card['training_set']['parts'][0]} sets"

    def images(self, measured: Sequence[Measured], training: TrainingSet) -> torch.Tensor:
        """Return what it sees of measurements on the path and grid of a training set."""
        model = self.model
        return torch.from_numpy(
            np.stack(
                [
                    image_of(
                        *resample(*one, training.qpath, training.grid, model.qpath, model.grid),
                        model.grid,
                        model.scaling,
                    ).channels
                    for one in measured
                ]
            )
        )

    def embedded(self, measured: Sequence[Measured], training: TrainingSet) -> torch.Tensor:
        """Return its embeddings of those images."""
        return embeddings(self.model.network, self.images(measured, training))

    def answers(self, embedded: torch.Tensor, values: FloatArray, n: int, seed: int) -> Answers:
        """Draw n answers, with its correction of their spread.

        Parameters
        ----------
        embedded
            See `embedded`.
        values
            Shape (m, n_fc): true force constants in FC order, eV/Å².
        n, seed
            Number of draws of each, and their source.
        """
        truth = torch.from_numpy(self.model.standardisation.apply(values))
        found = answer(self.model.network, embedded, truth, n, seed)
        return Answers(corrected(found.draws, self.model.factor), found.truth)


def enter(folders: Sequence[Path], training: TrainingSet) -> tuple[Entrant, ...]:
    """Load models to be benchmarked on a training set.

    Raises
    ------
    InputError
        If a folder is not a model, belongs to another crystal, was not taught what the training set retains, or is
        called the same as another.
    """
    found: dict[str, Entrant] = {}
    for folder in folders:
        model, label = load_model(folder), folder.resolve().name
        if model.card["basis"] != basis_hash(training.prior):
            raise InputError(
                f"the model {folder} does not belong to the crystal of {training.path}",
                f"{model.prior.crystal.describe()} was expected, {training.prior.crystal.describe()} found",
                "give models that were trained around the same ensemble",
            )
        missing = np.setdiff1d(training.retained, model.standardisation.targets)
        if missing.size:
            raise InputError(
                f"the model {folder} was not taught FC{missing[0]}",
                f"{training.path} draws it over its range",
                "give the training set that the model was trained on",
            )
        if label in found:
            raise InputError(f"two models are called {label!r}", "results go by these names", "rename a folder")
        places = np.searchsorted(model.standardisation.targets, training.retained)
        found[label] = Entrant(label, model, places)
    return tuple(found.values())
