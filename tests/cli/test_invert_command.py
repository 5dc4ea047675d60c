"""fcinv invert and fcinv demo, as a person would call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.folding.folded_file import write_folded
from fcinv_core.inversion import invert as main_job
from fcinv_core.networks import model as models
from tests.inversion import standin


@pytest.fixture
def folded(tmp_path: Path) -> Path:
    path = tmp_path / "folded.nxs"
    write_folded(path, standin.measurement())
    return path


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    """A folder that loads as the stand-in for a model, and the stand-in for a refinement."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_model", lambda path: standin.StandInModel())
        patch.setattr(main_job, "data_of_folded", lambda folded, *rest, **named: folded)
        patch.setattr(main_job, "refine_measurement", standin.refined_measurement)
        yield folder


def test_a_folded_measurement_becomes_a_result(
    folded: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    assert main(["invert", str(folded), "--model", str(model), "--out", str(out), "--draws", "30"]) == 0
    printed = capsys.readouterr().out
    assert "supports this answer" in printed
    assert str(out / "report.html") in printed
    content = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert content["method"] == "refine"
    assert content["provenance"]["command"].startswith("fcinv invert")
    assert "sha256" in content["provenance"]["measurement"]
    assert content["derived"]["draws"] == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--model": "nowhere"}, "there is no model 'nowhere'"),
        ({"folded": "missing.nxs"}, "missing.nxs"),
        ({"folded": "text.nxs"}, "text.nxs"),
        ({"--instrument": "ARC"}, "ARC"),
        ({"--instrument": "ARCS", "--fwhm": "1"}, "both say the resolution"),
        ({"--window": "50 60"}, "covers nothing"),
        ({"--draws": "1"}, "at least two"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    change: dict[str, str],
    message: str,
    folded: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.nxs").write_text("not a NeXus file")
    out = tmp_path / "result"
    wanted = {"folded": folded.name, "--model": str(model), "--out": str(out), **change}
    words = ["invert", str(tmp_path / wanted.pop("folded"))]
    for name, value in wanted.items():
        words += [name, *value.split()]
    before = {path.name for path in tmp_path.iterdir()}
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("fcinv: ")
    assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_folder_with_other_files_is_refused_before_the_work(
    folded: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["invert", str(folded), "--model", str(model), "--out", str(tmp_path)]) == 2
    assert "it holds files but no result.json" in capsys.readouterr().err


def test_a_damaged_model_is_refused(folded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "card.json").write_text("{")
    out = tmp_path / "result"
    assert main(["invert", str(folded), "--model", str(folder), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


def test_the_demonstration_wants_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    assert main(["demo", "--out", str(taken), "--model", str(tmp_path)]) == 2
    assert "it is a file" in capsys.readouterr().err
    assert taken.read_text() == "mine"
