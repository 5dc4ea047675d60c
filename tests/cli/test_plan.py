"""fcinv plan, as a person would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.networks import model as models
from tests.inversion import standin

#: ARCS, a few angles, few points.
COARSE = [
    *("--instrument", "ARCS", "--ei", "60", "--psi", "0", "40", "20", "--points", "16"),
    *("--pixel-spacing", "8", "--temperature", "20", "--counts", "400"),
]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that loads as the stand-in for a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    monkeypatch.setattr(models, "load_model", lambda path: standin.StandInModel())
    return str(folder)


def test_a_plan_is_written_and_says_when_to_stop(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan"
    words = ["plan", "--model", model, *COARSE, "--out", str(out), "--want", "dispersion", "--runs", "5"]
    assert main([*words, "--minutes", "2", "--background", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert "mode energies over the zone" in printed
    assert "nothing is measured" in printed
    content = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert (out / "plan.png").stat().st_size > 10_000
    assert len(content["sequence"]) == 5
    assert len(content["ranking"]) == 3
    errors = [one["error_after"] for one in content["sequence"]]
    assert errors == sorted(errors, reverse=True)
    assert content["ranking"][0]["psi_degrees"] == content["sequence"][0]["psi_degrees"]
    assert content["ranking"][0]["error_after_it_alone"] == pytest.approx(errors[0])
    counts = [one["expected_counts"] for one in content["ranking"]]
    assert sum(counts) / len(counts) == pytest.approx(400)

    # To reach what three runs reach takes the time of three runs.
    assert main([*words, "--minutes", "2", "--background", "0.1", "--precision", str(errors[2])]) == 0
    content = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert content["minutes_needed"] == pytest.approx(6.0)
    assert "are reached after 6 minutes" in capsys.readouterr().out


def test_several_incident_energies_are_compared(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan"
    words = ["plan", "--model", model, *COARSE, "--out", str(out), "--want-energy", "X", "3", "--runs", "2"]
    assert main([*words, "--ei", "45", "60", "--relative-counts", "1", "2"]) == 0
    assert "energy of branch 3 at X" in capsys.readouterr().out
    ranking = json.loads((out / "plan.json").read_text(encoding="utf-8"))["ranking"]
    for energy, counts in ((45.0, 400), (60.0, 800)):
        mine = [one["expected_counts"] for one in ranking if one["incident_energy_mev"] == energy]
        assert sum(mine) / len(mine) == pytest.approx(counts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--want FC0 --want-energy X 1", "both say what is asked for"),
        ("--want FC777", "FC777 is not a force constant"),
        ("--want-energy X three", "is no branch"),
        ("--psi 10 0 1", "no angle lies between"),
        ("--instrument ARC", "ARC"),
        ("--counts -1", "the counts of a run is -1"),
        ("--relative-counts 1 2", "for 1 incident energies"),
        ("--events nowhere.nxs", "nowhere.nxs"),
        ("--ei 3000", "3000"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    words: str, message: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan"
    assert main(["plan", "--model", model, *COARSE, "--out", str(out), *words.split()]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("fcinv: ")
    assert said.count("\n") == 1
    assert not out.exists()


def test_what_is_known_must_be_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], [str(tmp_path), "--model", "ge"]):
        assert main(["plan", *words, *COARSE, "--out", str(tmp_path / "plan")]) == 2
        assert "a result or a model was expected" in capsys.readouterr().err


def test_without_a_measurement_counts_and_temperature_are_asked_for(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "--model", model, "--instrument", "ARCS", "--ei", "60", "--out", str(tmp_path / "plan")]
    assert main(words) == 2
    assert "the counts of a run are not known" in capsys.readouterr().err
    assert main([*words, "--counts", "400"]) == 2
    assert "the temperature is not known" in capsys.readouterr().err
