"""The benchmark of networks writes what it says, on the same counts for all, and refuses what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fcinv_core.benchmark.entrants import enter
from fcinv_core.benchmark.grid import CELLS, choose_samples
from fcinv_core.benchmark.grid_scores import Scores, bounds, compare, score
from fcinv_core.benchmark.spectra import Spectra
from fcinv_core.cli import main
from fcinv_core.errors import InputError
from fcinv_core.networks.augmentation import MeasurementRanges
from fcinv_core.shipped import find_model
from fcinv_core.spectrum import render
from fcinv_core.training_set import TrainingSet


@pytest.fixture(scope="module")
def spectra(training: TrainingSet) -> Spectra:
    return Spectra.of(training, choose_samples(training, 6), seed=0)


def test_counts_of_a_cell_are_poisson_about_spectrum_and_background(spectra: Spectra) -> None:
    training = spectra.training
    cell = 12
    level = CELLS[cell]
    clean = np.asarray(render(spectra.energies, training.grid, training.resolution), dtype=float)
    for (counts, exposure), spectrum in zip(spectra.noisy(cell), clean, strict=True):
        assert counts.shape == exposure.shape == spectrum.shape
        expected = level.peak_counts * (spectrum / spectrum.max() + level.background)
        np.testing.assert_allclose(exposure, level.peak_counts / spectrum.max())
        chi2 = ((counts - expected) ** 2 / expected).mean()
        assert chi2 == pytest.approx(1, abs=5 * np.sqrt(2.2 / counts.size))


def test_clean_spectra_have_no_noise_and_measured_ones_cover_something(spectra: Spectra) -> None:
    training = spectra.training
    for (counts, exposure), energies in zip(spectra.clean(), spectra.energies, strict=True):
        expected = render(energies, training.grid, training.resolution)
        np.testing.assert_allclose(counts / exposure, expected, rtol=1e-5, atol=1e-7)
    elastic = 0.8 * training.grid.maximum
    for _, exposure in spectra.measured(MeasurementRanges(), elastic):
        assert (exposure[:, training.grid.edges[:-1] >= elastic] > 0).any()


def test_scores_of_answers_that_are_the_truth(spectra: Spectra, model_folder: Path) -> None:
    [entrant] = enter([model_folder], spectra.training)
    embedded = entrant.embedded(spectra.clean(), spectra.training)
    answers = entrant.answers(embedded, spectra.values, 20, seed=0)
    perfect = type(answers)(np.repeat(answers.truth[:, None], 3, axis=1), answers.truth)
    scored = score(entrant, perfect, spectra)
    np.testing.assert_allclose(scored.r2, 1, atol=1e-6)
    np.testing.assert_allclose(scored.r2_interval, 1, atol=1e-6)
    np.testing.assert_allclose(scored.mae, 0, atol=1e-6)
    # Every force constant that varies was taught, so the energies follow too, but for single precision.
    assert scored.dispersion == pytest.approx(0, abs=1e-3)


def test_errors_of_the_bound_grow_with_noise_and_background(spectra: Spectra) -> None:
    found = bounds(spectra, lambda line: None)
    sigma = np.array([one.sigma for one in found]).reshape(5, 5, -1)
    assert (np.diff(sigma, axis=1) > 0).all()
    assert (np.diff(sigma, axis=0) > 0).all()
    assert all((one.r2 <= 1).all() for one in found)


def scores_of(r2: float, generator: np.random.Generator) -> Scores:
    """Two force constants at that R², scattering by 0.01 when spectra are drawn again."""
    fixed, ends = np.full(2, r2), np.zeros((2, 2))
    return Scores(fixed, ends, fixed, ends, 1.0, np.zeros(2), r2 + 0.01 * generator.standard_normal((1000, 2)))


def test_a_flow_is_compared_with_the_better_of_the_others() -> None:
    generator = np.random.default_rng(0)
    entrants = [
        SimpleNamespace(label=name, model=SimpleNamespace(architecture=kind))
        for name, kind in (("f", "flow"), ("v", "vae"), ("r", "resnet"), ("g", "resnet_flow"))
    ]
    scored = {
        name: tuple(scores_of(value, generator) for value in values)
        for name, values in (
            ("f", [0.5] * 24 + [0.3]),
            ("v", [0.4] * 25),
            ("r", [0.499] * 24 + [0.2]),
            ("g", [0.6] * 25),
        )
    }
    found = compare(entrants, scored, np.array([3, 5]))  # type: ignore[arg-type]
    assert list(found) == ["f", "g"]
    assert all(one.holds for one in found["g"])
    by_cell = found["f"]
    assert [one.other for one in by_cell] == ["r"] * 24 + ["v"]
    assert [one.holds for one in by_cell] == [True] * 24 + [False]
    assert by_cell[-1].worse == (3, 5)
    assert by_cell[-1].difference == pytest.approx(-0.1)
    assert compare(entrants[:1], scored, np.array([3, 5])) == {}  # type: ignore[arg-type]


def test_a_model_of_another_crystal_or_two_of_one_name_are_refused(
    training: TrainingSet, model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not belong to the crystal"):
        enter([find_model("ge")], training)
    shutil.copytree(model_folder, tmp_path / model_folder.name)
    with pytest.raises(InputError, match="two models are called 'aluminium'"):
        enter([model_folder, tmp_path / model_folder.name], training)


@pytest.mark.slow
def test_the_command_writes_numbers_table_and_pictures(
    training: TrainingSet,
    model_folder: Path,
    flow_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    models = [word for folder in (model_folder, flow_folder) for word in ("--model", str(folder))]
    asked = ["benchmark", "noise", *models, "--training", str(training.path), "--out", str(out), "--threads", "1"]
    assert main([*asked, "--samples", "4", "--draws", "20"]) == 0
    said = capsys.readouterr()
    assert "cell 25 of 25" in said.err
    assert "flow is at least as good as the better of the others in" in said.out
    names = {path.name for path in out.iterdir()}
    pictures = {"grid_r2.png", "grid_mae.png", "grid_energies.png", "calibration.png", "roc.png"}
    assert names == pictures | {"noise.json", "table.md", "parity_aluminium.png", "parity_flow.png"}
    content = json.loads((out / "noise.json").read_text(encoding="utf-8"))
    assert content["test_spectra"] == 4
    assert len(content["cells"]) == len(content["cramer_rao"]) == 25
    retained = len(training.retained)
    for model in content["models"]:
        assert len(model["grid"]) == 25
        assert np.shape([cell["r2_interval"] for cell in model["grid"]]) == (25, 2, retained)
        assert set(model["calibration"]) == {"clean", "noisy", "partly covered", "as in training"}
        assert set(model["detection"]["kinds"]) == {
            "another crystal",
            "force constants out of range",
            "spurion",
            "empty",
        }
    verdict = content["flow_against_the_better_of_the_others"]["flow"]
    assert verdict["holds_in_every_cell"] == all(cell["holds"] for cell in verdict["cells"])
    assert str(training.path) in content["provenance"]["command"]
    assert "| Cramér-Rao bound | noisy |" in (out / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("option", "value"), [("--samples", "1"), ("--draws", "5"), ("--threads", "0")])
def test_numbers_without_sense_are_refused(
    training: TrainingSet, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    arguments = ["--model", "ge", "--training", str(training.path), "--out", str(tmp_path / "out"), option, value]
    assert main(["benchmark", "noise", *arguments]) == 2
    assert f"{option} {value} makes no sense" in capsys.readouterr().err


def test_the_parser_wants_a_benchmark_a_model_and_a_training_set(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, missing in (([], "BENCHMARK"), (["noise", "--out", "x"], "--model, --training")):
        with pytest.raises(SystemExit):
            main(["benchmark", *arguments])
        assert missing in capsys.readouterr().err
