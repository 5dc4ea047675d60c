"""Training lowers the loss, can be interrupted, and leaves a model or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fcinv_core.errors import InputError
from fcinv_core.networks import TrainSettings, load_model, train
from fcinv_core.networks.checkpoint import checkpoint_path
from fcinv_core.networks.model_folder import WEIGHTS
from fcinv_core.training_set import TrainingSet

SMALL = TrainSettings(epochs=4, batch=16, threads=1, seed=3)


class Killed(Exception):
    """Stands for the end of a process."""


def kill_after(epochs: int):  # type: ignore[no-untyped-def]
    """Return a listener that raises at the first step after some epochs."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)

    def progress(done: int, total: int) -> None:
        if len(lines) == epochs:
            raise Killed

    return say, progress


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / WEIGHTS))


@pytest.mark.parametrize(
    ("architecture", "epochs", "batch", "rate", "widths"),
    [
        ("vae", 40, 8, 3e-3, None),
        ("flow", 12, 8, 3e-3, None),
        pytest.param("resnet", 40, 16, 5e-4, None, marks=pytest.mark.slow),
        ("resnet_flow", 20, 8, 3e-3, (8, 16)),
    ],
)
def test_the_loss_falls_in_every_stage(
    training: TrainingSet,
    tmp_path: Path,
    architecture: str,
    epochs: int,
    batch: int,
    rate: float,
    widths: tuple[int, ...] | None,
) -> None:
    settings = TrainSettings(architecture, epochs, batch=batch, threads=1, rate=rate, augment="none", widths=widths)
    train(training, tmp_path / "model", settings)
    rows = [line.split(",") for line in (tmp_path / "model" / "training_log.csv").read_text().splitlines()]
    assert rows[0][:4] == ["stage", "epoch", "loss", "validation"]
    for stage in {row[0] for row in rows[1:]}:
        losses = [float(row[2]) for row in rows[1:] if row[0] == stage]
        assert min(losses[1:]) < losses[0] - 0.01, stage


@pytest.mark.parametrize(
    ("architecture", "epochs_done"), [("vae", 1), ("vae", 3), pytest.param("resnet", 4, marks=pytest.mark.slow)]
)
def test_a_killed_training_goes_on_to_the_same_weights(
    training: TrainingSet, tmp_path: Path, architecture: str, epochs_done: int
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    settings = replace(SMALL, architecture=architecture)
    train(training, straight, settings)
    say, progress = kill_after(epochs_done)
    with pytest.raises(Killed):
        train(training, broken, settings, say=say, progress=progress)
    assert not broken.exists()
    assert checkpoint_path(broken).is_file()
    train(training, broken, replace(settings, resume=True))
    assert not checkpoint_path(broken).exists()
    for name, value in weights(straight).items():
        torch.testing.assert_close(weights(broken)[name], value, rtol=0, atol=0)
    logs = [(folder / "training_log.csv").read_text().splitlines() for folder in (straight, broken)]
    # All but the speed.
    assert [line.rsplit(",", 1)[0] for line in logs[0]] == [line.rsplit(",", 1)[0] for line in logs[1]]


def test_a_training_that_was_killed_while_it_was_judged_goes_on_to_the_same_weights(
    training: TrainingSet, model_folder: Path, tmp_path: Path
) -> None:
    settings = TrainSettings(epochs=2, batch=16, threads=1)

    def say(line: str) -> None:
        if line.startswith("judging"):
            raise Killed

    with pytest.raises(Killed):
        train(training, tmp_path / "model", settings, say=say)
    train(training, tmp_path / "model", TrainSettings(**{**vars(settings), "resume": True}))
    expected = weights(model_folder)
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path / "model").items())


def test_the_seed_decides_the_weights(training: TrainingSet, model_folder: Path, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=2, batch=16, threads=1)
    train(training, tmp_path / "same", settings)
    train(training, tmp_path / "other", TrainSettings(**{**vars(settings), "seed": 1}))
    expected = weights(model_folder)
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path / "same").items())
    assert not torch.equal(weights(tmp_path / "other")["to_latents.weight"], expected["to_latents.weight"])


def test_a_checkpoint_of_other_settings_is_refused(training: TrainingSet, tmp_path: Path) -> None:
    say, progress = kill_after(1)
    with pytest.raises(Killed):
        train(training, tmp_path / "model", SMALL, say=say, progress=progress)
    other = TrainSettings(**{**vars(SMALL), "resume": True, "batch": 8})
    with pytest.raises(InputError, match=r"belongs to another training: its batch is 16, here 8"):
        train(training, tmp_path / "model", other)
    checkpoint_path(tmp_path / "model").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        train(training, tmp_path / "model", TrainSettings(**{**vars(SMALL), "resume": True}))


def test_a_folder_that_is_no_model_is_not_overwritten(training: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("")
    with pytest.raises(InputError, match="it holds files but no card"):
        train(training, tmp_path / "thesis", SMALL)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_an_unknown_architecture_is_refused(training: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no architecture 'transformer'"):
        train(training, tmp_path / "model", TrainSettings(architecture="transformer"))
    assert not (tmp_path / "model").exists()


def test_the_card_says_what_was_done(training: TrainingSet, model_folder: Path) -> None:
    card = load_model(model_folder).card
    assert card["training_set"]["parts"] == [int((training.split == part).sum()) for part in range(3)]
    assert card["settings"]["seed"] == 0
    assert card["versions"]["torch"] == torch.__version__.partition("+")[0] or card["versions"]["torch"]
    assert len(card["sha256"]["weights.safetensors"]) == 64
    assert card["augmentation"]["counts"] == [1.0, 3000.0]
    for kind in ("clean", "measured"):
        assert len(card["tests"][kind]["r2"]) == len(card["targets"]["numbers"])
        assert np.isfinite(card["tests"][kind]["mae"]).all()
    readme = (model_folder / "README.md").read_text()
    assert "GPL-3.0-or-later" in readme
    assert "springs 0" in readme
