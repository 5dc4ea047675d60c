"""fcinv latent as a person at a terminal meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.networks import Model, load_model
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import sensitivity
from fcinv_core.shipped import shipped_models
from fcinv_core.training_set import generate


@pytest.fixture(scope="module")
def training_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Too few sets of germanium."""
    model: Model = load_model(shipped_models()["ge_vae"])
    path, out = standard_path(model.prior.crystal, 31), tmp_path_factory.mktemp("latent") / "training.h5"
    found = sensitivity(model.prior, path)
    generate(out, model.prior, path, model.retained, found, 8, energy_range=(0.0, 50.0), n_bins=40)
    return out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("ge", "a flow has no latent space"),
        ("ge_vae", "1 spectra of the test part"),
        ("oracle", "no model 'oracle'"),
    ],
)
def test_what_cannot_be_looked_into_is_one_sentence_and_exit_code_2(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, words: str
) -> None:
    options = ["--training", str(training_file), "--out", str(tmp_path / "latent")]
    assert main(["latent", "--model", model, *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "latent").exists()
