"""`fcinv check` prints a verdict and writes a page and its numbers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from fcinv_core.cli import check
from fcinv_core.errors import InputError
from fcinv_core.events import instrument_definition, write_mdevent
from tests.checking.virtual import Faults, detector_bank, measure

POSCAR = """rocksalt
6.3
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
K Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with POSCAR and events.nxs, whose elastic line is off by 0.3 meV."""
    folder = tmp_path_factory.mktemp("check")
    (folder / "POSCAR").write_text(POSCAR)
    source = measure(Faults(offset=0.3), n_runs=6)
    bank = detector_bank()
    definition = instrument_definition("BANK", bank, source_distance=13.6, pixel_width=0.03, pixel_height=0.07)
    write_mdevent(
        folder / "events.nxs",
        source.chunks(),
        source.runs,
        bank,
        instrument_name="BANK",
        instrument_xml=definition,
    )
    return folder


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    given = parser.parse_args(["check", *map(str, arguments)])
    given.command_line = "fcinv check"
    return int(given.run(given))


def test_prints_the_verdict_and_writes_the_page(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files / "events.nxs", "--structure", files / "POSCAR", "--out", tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "look  elastic line  elastic line at +0.30" in text
    assert "Look at: elastic line" in text
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["check.json", "check.png"]
    content = json.loads((tmp_path / "out" / "check.json").read_text(encoding="utf-8"))
    assert content["checks"]["elastic line"]["centre_mev"] == pytest.approx(0.3, abs=0.02)
    assert set(content["provenance"]["files_sha256"]) == {"POSCAR", "events.nxs"}


def test_without_out_nothing_is_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(files.iterdir())
    assert run(files / "events.nxs", "--structure", files / "POSCAR") == 0
    assert "written" not in capsys.readouterr().out
    assert sorted(files.iterdir()) == before


def test_missing_events_are_refused_with_a_sentence(files: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        run(files / "none.nxs", "--structure", files / "POSCAR")
