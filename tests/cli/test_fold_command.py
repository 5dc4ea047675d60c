"""fcinv fold, as a person would call it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fcinv_core.cli import fold
from fcinv_core.errors import InputError
from fcinv_core.folding.folded_file import read_folded

POSCAR = """toy
1.0
3.9 0 0
0 3.9 0
0 0 5.2
Ti
1
direct
0 0 0
"""


@pytest.fixture
def structure(tmp_path: Path) -> Path:
    file = tmp_path / "POSCAR"
    file.write_text(POSCAR)
    return file


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    fold.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["fold", *(str(word) for word in words)])
    arguments.command_line = "fcinv fold"
    return int(arguments.run(arguments))


def test_events_become_a_folded_file(
    shared_data: Path, structure: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    out = tmp_path / "folded.nxs"
    code = call(
        events, "--structure", structure, "--out", out, "--points", 40, "--widths", 0.3, 0.2, "--elastic-cut", 1
    )
    assert code == 0
    printed = capsys.readouterr().out
    assert "3 runs" in printed
    assert "solid angle" in printed
    folded, keep = read_folded(out)
    assert folded.shape[1] == 40
    assert keep.sum() < (folded.cells.exposure > 0).sum(), "the elastic line is left out of I, not of the file"
    with pytest.raises(InputError, match="run"):
        call(events, "--structure", structure, "--out", out, "--points", 40, "--widths", 0.3, 0.2, "--add", out)


def test_the_irreducible_zone(shared_data: Path, structure: Path, tmp_path: Path) -> None:
    events = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent_newlayout.nxs"
    out = tmp_path / "zone.nxs"
    assert call(events, "--structure", structure, "--out", out, "--grid", 6, "--energies", 0, 7, 0.5) == 0
    folded, _ = read_folded(out)
    assert folded.bins.divisions == 6
    assert folded.grid.n_bins == 14


def test_a_fold_is_over_the_zone_or_along_a_path(shared_data: Path, structure: Path, tmp_path: Path) -> None:
    events = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    with pytest.raises(InputError, match="leave one of them out"):
        call(events, "--structure", structure, "--out", tmp_path / "f.nxs", "--grid", 6, "--path", "G-X")


def test_energies_that_are_no_whole_number_of_steps_are_refused(
    shared_data: Path, structure: Path, tmp_path: Path
) -> None:
    events = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    with pytest.raises(InputError, match="whole number of steps"):
        call(events, "--structure", structure, "--out", tmp_path / "f.nxs", "--energies", 0, 7, 0.3)
