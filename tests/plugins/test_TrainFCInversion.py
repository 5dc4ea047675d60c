"""TrainFCInversion, as a script or Workbench runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from fcinv_core.cli import main
from fcinv_core.networks import load_model
from fcinv_core.networks.architectures import ARCHITECTURES
from fcinv_core.networks.augmentation import Augmentation
from fcinv_core.networks.inputs import Scaling
from fcinv_core.training_set import TrainingSet
from tests.plugins.cancelling import cancel_after

QUICK = {"Epochs": 1, "Threads": 1, "Seed": 4}
QUICK_WORDS = ("--epochs", "1", "--threads", "1", "--seed", "4")


def prepared(training: TrainingSet, folder: Path | str, **options: Any) -> Any:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("TrainFCInversion")
    given = {"TrainingSetFile": str(training.path), "OutputFolder": str(folder), "OutputWorkspace": "scores"}
    for name, value in {**given, **QUICK, **options}.items():
        algorithm.setProperty(name, value)
    return algorithm


def card(folder: Path) -> dict[str, Any]:
    content = dict(json.loads((folder / "card.json").read_text(encoding="utf-8")))
    content.pop("run")
    return content


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        (
            {"Architecture": "flow", "Augmentation": "none", "Scaling": "minmax"},
            "--architecture flow --augment none --scaling minmax",
        ),
        ({"Architecture": "resnet_flow", "Widths": [4, 8]}, "--architecture resnet_flow --widths 4 8"),
    ],
    ids=["vae", "flow", "resnet_flow"],
)
def test_the_model_is_that_of_the_command_line(
    simpleapi: ModuleType, training: TrainingSet, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    assert main(["train", str(training.path), "--out", str(tmp_path / "a"), *QUICK_WORDS, *words.split()]) == 0
    algorithm = prepared(training, tmp_path / "b", **options)
    assert algorithm.execute()
    assert card(tmp_path / "a") == card(tmp_path / "b"), "weights included, by their checksum"
    tests = card(tmp_path / "a")["tests"]
    scores = simpleapi.mtd["scores"]
    assert list(scores.column("R2")) == tests["measured"]["r2"]
    assert list(scores.column("MAE")) == tests["measured"]["mae"]
    assert list(scores.column("R2Clean")) == tests["clean"]["r2"]
    assert sum(scores.column("Retained")) == 4
    assert algorithm.getProperty("DispersionError").value == tests["measured"]["dispersion_mev"]["median"]
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["scores"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    labels = load_model(tmp_path / "b").prior.labels
    assert list(scores.column("Label")) == [labels[int(name[2:])] for name in scores.column("Name")]


def test_choices_are_those_of_the_core(training: TrainingSet, tmp_path: Path) -> None:
    algorithm = prepared(training, tmp_path / "model")
    for name, known in {
        "Architecture": ARCHITECTURES,
        "Augmentation": get_args(Augmentation),
        "Scaling": get_args(Scaling),
    }.items():
        assert sorted(algorithm.getProperty(name).allowedValues) == sorted(known)


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        ({"TrainingSetFile": __file__}, "TrainingSetFile", "test_TrainFCInversion.py"),
        ({"Widths": [8, 0]}, "Widths", "at least 1 channel"),
        ({"OutputFolder": ""}, "OutputFolder", "Name a folder for the model"),
        ({"OutputFolder": str(Path(__file__).parent)}, "OutputFolder", "it holds files but no card.json"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    training: TrainingSet, tmp_path: Path, options: dict[str, Any], name: str, says: str
) -> None:
    algorithm = prepared(training, tmp_path / "model", **options)
    problems = dict(algorithm.validateInputs())
    assert list(problems) == [name]
    assert says in problems[name]
    assert "\n" not in problems[name]
    algorithm.setRethrows(True)
    with pytest.raises(RuntimeError, match="invalid Properties"):
        algorithm.execute()
    assert list(tmp_path.iterdir()) == []


def test_what_only_shows_while_training_is_one_sentence_too(training: TrainingSet, tmp_path: Path) -> None:
    algorithm = prepared(training, tmp_path / "model", Architecture="flow", PretrainedFile=str(training.path))
    algorithm.setRethrows(True)
    with pytest.raises(RuntimeError, match="cannot be read as weights"):
        algorithm.execute()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    training: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcinv_core.networks.training", None)
    algorithm = prepared(training, tmp_path / "model")
    algorithm.setRethrows(True)
    with pytest.raises(RuntimeError, match=r"fcinv_core\.networks\.training.*python -m pip install -c"):
        algorithm.execute()


def test_cancelling_ends_it_within_a_second_and_it_can_go_on(
    simpleapi: ModuleType, training: TrainingSet, tmp_path: Path
) -> None:
    algorithm = prepared(training, tmp_path / "model", Epochs=1000)
    cancel_after(algorithm, 1.0, begun=lambda: any(tmp_path.iterdir()))
    assert not simpleapi.mtd.doesExist("scores")
    assert not (tmp_path / "model").exists()
    assert [path.is_file() for path in tmp_path.iterdir()] == [True], "the checkpoint"
