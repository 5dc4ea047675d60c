"""fcinv train as a person at a terminal meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.force_constants.phonopy_files import write_phonopy_params
from tests.ensembles import aluminium_ensemble
from tests.test_generation import STRUCTURE


@pytest.fixture(scope="module")
def training_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "POSCAR").write_text(STRUCTURE)
    names = []
    for number, fcs in enumerate(aluminium_ensemble()):
        names.append(str(folder / f"{number}.yaml"))
        write_phonopy_params(fcs, Path(names[-1]))
    out = folder / "training.h5"
    options = ["--n", "40", "--retain", "3", "--points", "31", "--energy-bins", "40"]
    assert main(["generate", str(folder / "POSCAR"), "--force-constants", *names, "--out", str(out), *options]) == 0
    return out


@pytest.mark.parametrize(
    "choices",
    [
        [],
        ["--architecture", "flow"],
        ["--architecture", "resnet_flow", "--widths", "4", "8", "--augment", "mixed"],
        ["--augment", "none", "--scaling", "minmax"],
    ],
    ids=" ".join,
)
def test_train_writes_a_model_and_says_how_good_it_is(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], choices: list[str]
) -> None:
    from fcinv_core.networks import load_model

    out = tmp_path / "models" / "al"
    assert main(["train", str(training_file), "--out", str(out), "--epochs", "1", "--threads", "1", *choices]) == 0
    model = load_model(out)
    assert model.card["architecture"] == (choices[1] if "--architecture" in choices else "vae")
    if "--widths" in choices:
        assert model.card["parameters"]["widths"] == [4, 8]
    assert model.scaling.n_channels == (1 if "minmax" in choices else 2)
    assert (model.card["augmentation"] is None) == ("none" in choices)
    printed = capsys.readouterr().out
    assert "1 of 1: loss" in printed
    assert "R² on the test part, measured: FC0" in printed
    assert [path.name for path in out.parent.iterdir()] == ["al"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--architecture", "oracle"], "there is no architecture 'oracle'"),
        (["--epochs", "0"], "--epochs 0 makes no sense"),
        (["--widths", "8", "0"], "widths 8, 0 make no network"),
    ],
)
def test_bad_choices_are_one_sentence_and_exit_code_2(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], words: str
) -> None:
    assert main(["train", str(training_file), "--out", str(tmp_path / "model"), *change]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_training_set_too_small_is_refused(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = training_file.parent
    out = tmp_path / "few.h5"
    names = sorted(str(path) for path in folder.glob("*.yaml"))
    command = ["generate", str(folder / "POSCAR"), "--force-constants", *names, "--out", str(out)]
    assert main([*command, "--n", "5", "--points", "31"]) == 0
    assert main(["train", str(out), "--out", str(tmp_path / "model")]) == 2
    assert "too small to train on" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_weights_to_begin_from_must_fit_the_architecture(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(training_file), "--out", str(tmp_path / "model"), "--pretrained"]
    assert main([*command, str(tmp_path / "missing.pth")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main([*command, str(training_file)]) == 2
    assert "begins from random weights" in capsys.readouterr().err
