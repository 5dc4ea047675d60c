"""Several processes train the network that one would have trained alone, and one of them writes it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fcinv_core.networks import TrainSettings, train
from fcinv_core.networks.batches import TRAINING
from fcinv_core.networks.checkpoint import checkpoint_path
from fcinv_core.networks.processes import Processes
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import retained, sensitivity
from fcinv_core.training_set import TrainingSet, generate
from tests.ensembles import aluminium_ensemble
from tests.networks.test_training import Killed, kill_after

#: `fcinv train`, which tells what it renamed: files are written under another name first.
COMMAND = """
import os, sys
from fcinv_core.cli import main
renamed = []
sys.addaudithook(lambda event, what: renamed.append(str(what[1])) if event == "os.rename" else None)
code = main(sys.argv[1:])
print("process", os.environ["RANK"], "wrote", sum("together" in name for name in renamed), flush=True)
sys.exit(code)
"""


def train_together(training: TrainingSet, out: Path, *options: str) -> str:
    """Train in two processes and return what they printed."""
    command = out.parent / "command.py"
    command.write_text(COMMAND)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # Elsewhere than on this machine's processors the batch would be computed in another order.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*torchrun, str(command), "train", str(training.path), "--out", str(out), "--epochs", "4", *options],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(model: Path) -> list[tuple[str, float, float]]:
    """Return stage, loss and validation loss of each epoch."""
    with open(model / "training_log.csv", encoding="utf-8") as stream:
        return [(row["stage"], float(row["loss"]), float(row["validation"])) for row in csv.DictReader(stream)]


def check_same(one: Path, other: Path) -> None:
    for (stage, *alone), (other_stage, *together) in zip(losses(one), losses(other), strict=True):
        assert stage == other_stage
        assert together == pytest.approx(alone, abs=2e-5)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_one_of_them_writes(tmp_path: Path) -> None:
    prior = prior_from_members(aluminium_ensemble())
    path, found = standard_path(prior.crystal, 31), sensitivity(prior, standard_path(prior.crystal, 31))
    # 65 samples in the training part: one more than a step takes.
    training = generate(tmp_path / "al.h5", prior, path, retained(prior, "4", found), found, 81, n_bins=40)
    assert (training.split == TRAINING).sum() == 65
    train(training, tmp_path / "alone", TrainSettings(epochs=4, threads=1))
    printed = train_together(training, tmp_path / "together")
    check_same(tmp_path / "alone", tmp_path / "together")
    assert printed.count("autoencoder 1 of 3") == 1
    assert printed.count("written to") == 1
    assert "process 1 wrote 0" in printed
    # A checkpoint after each of five epochs and three stages, and the model.
    assert "process 0 wrote 9" in printed


@pytest.mark.slow
def test_two_processes_go_on_with_what_one_began(training: TrainingSet, tmp_path: Path) -> None:
    settings = TrainSettings(architecture="flow", epochs=4, threads=1)
    train(training, tmp_path / "alone", settings)
    say, progress = kill_after(2)
    with pytest.raises(Killed):
        train(training, tmp_path / "together", settings, say=say, progress=progress)
    assert checkpoint_path(tmp_path / "together").is_file()
    printed = train_together(training, tmp_path / "together", "--architecture", "flow", "--resume")
    assert "going on after 2 epochs" in printed
    check_same(tmp_path / "alone", tmp_path / "together")
    assert not checkpoint_path(tmp_path / "together").exists()


@pytest.mark.parametrize("n", [2, 7, 64])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_row_is_one_process_s(n: int, number: int) -> None:
    device = torch.device("cpu")
    rows = [np.arange(n)[Processes(rank, number, device).rows(n)] for rank in range(number)]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(n))
    assert np.ptp([len(some) for some in rows]) <= 1
