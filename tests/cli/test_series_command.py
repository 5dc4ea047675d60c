"""fcinv series, as a person would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.folding.folded_file import write_folded
from fcinv_core.inversion import results
from tests.cli.test_invert_command import model as stand_in
from tests.inversion.standin import damaged, measurement, strained

__all__ = ["stand_in"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The same counts at 100 and 20 K, and at an unknown temperature."""
    paths = [tmp_path / name for name in ("warm.nxs", "cold.nxs", "unknown.nxs")]
    for path, temperature, lattice in zip(paths, (100.0, 20.0, None), (1.004, 1.0, 1.0), strict=True):
        write_folded(path, damaged(measurement(strained(lattice)), temperature=temperature))
    return [str(path) for path in paths]


def test_measurements_become_a_series(
    files: list[str],
    stand_in: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "report", lambda *_: "a report")
    out = tmp_path / "series"
    words = ["series", *files[:2], "--model", str(stand_in), "--draws", "30", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "no prior" in printed
    assert "0.400 %" in printed
    content = json.loads((out / "series.json").read_text(encoding="utf-8"))
    assert [one["measurement"] for one in content["measurements"]] == ["cold.nxs", "warm.nxs"]
    assert sorted(path.name for path in out.iterdir()) == [
        "100K",
        "20K",
        "series.csv",
        "series.json",
        "series.png",
    ]
    result = json.loads((out / "100K" / "result.json").read_text(encoding="utf-8"))
    assert "warm.nxs, sha256" in result["provenance"]["measurement"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["warm.nxs"], "a series of 1 measurement"),
        (["warm.nxs", "warm.nxs"], "are both at 100 K"),
        (["warm.nxs", "unknown.nxs"], "unknown.nxs is at an unknown temperature"),
        (["warm.nxs", "unknown.nxs", "--at", "10"], "1 numbers for 2 files"),
        (["warm.nxs", "cold.nxs", "--unit", "GPa"], "no run says its pressure"),
        (["warm.nxs", "cold.nxs", "--temperature", "10"], "give them with --at"),
        (["warm.nxs", "missing.nxs"], "missing.nxs"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    words: list[str],
    message: str,
    files: list[str],
    stand_in: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [str(tmp_path / word) if word.endswith(".nxs") else word for word in words]
    out = tmp_path / "series"
    assert main(["series", *named, "--model", str(stand_in), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()
