"""What a user asks of TrainFCInversion: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.files import check_replaceable
from fcinv_core.mantid_adapter.properties import Problems, file_of
from fcinv_core.mantid_adapter.tables import LABEL, Cell
from fcinv_core.shipped import CARD
from fcinv_core.training_set import TrainingSet

if TYPE_CHECKING:
    from fcinv_core.networks.training import TrainSettings


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """What to train, on what, into which folder."""

    training: TrainingSet
    out: Path
    settings: TrainSettings


def training_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with the properties of TrainFCInversion."""
    problems = Problems()
    problems.check("TrainingSetFile", lambda: TrainingSet.open(algorithm.getPropertyValue("TrainingSetFile")))
    folder = file_of(algorithm, "OutputFolder")
    if folder is None:
        problems["OutputFolder"] = "Name a folder for the model: there is none."
    else:
        problems.check("OutputFolder", lambda: check_replaceable(folder, CARD))
    if any(width < 1 for width in algorithm.getProperty("Widths").value):
        problems["Widths"] = "Give at least 1 channel at each resolution, or nothing for those of the architecture."
    return problems.data


def read_training_request(algorithm: Any) -> TrainingRequest:
    """Turn the properties of TrainFCInversion into objects of the core.

    Raises
    ------
    InputError
        If the training set cannot be read.
    """
    from fcinv_core.networks.training import TrainSettings

    return TrainingRequest(
        training=TrainingSet.open(algorithm.getPropertyValue("TrainingSetFile")),
        out=Path(algorithm.getPropertyValue("OutputFolder")),
        settings=TrainSettings(
            architecture=algorithm.getPropertyValue("Architecture"),
            epochs=int(algorithm.getProperty("Epochs").value),
            seed=int(algorithm.getProperty("Seed").value),
            augment=algorithm.getPropertyValue("Augmentation"),
            scaling=algorithm.getPropertyValue("Scaling"),
            threads=int(algorithm.getProperty("Threads").value) or None,
            half_precision=bool(algorithm.getProperty("HalfPrecision").value),
            resume=bool(algorithm.getProperty("Resume").value),
            pretrained=file_of(algorithm, "PretrainedFile"),
            widths=tuple(int(width) for width in algorithm.getProperty("Widths").value) or None,
        ),
    )


def score_columns(card: Mapping[str, Any]) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of how well a model finds each force constant that it was taught.

    Parameters
    ----------
    card
        The card of the model; its scores are those of its training set's test part.
    """
    targets, tests = card["targets"], card["tests"]
    clean, measured = tests["clean"], tests["measured"]
    taught = set(targets["retained"])
    return {
        "Name": [f"FC{number}" for number in targets["numbers"]],
        LABEL: list(targets["labels"]),
        "R2": list(measured["r2"]),
        "MAE": list(measured["mae"]),
        "R2Clean": list(clean["r2"]),
        "MAEClean": list(clean["mae"]),
        "Coverage68": list(measured["coverage"]["0.68"]),
        "Retained": [place in taught for place in range(len(targets["numbers"]))],
    }
