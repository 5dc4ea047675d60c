"""`fcinv virtual` writes an event file that says how it was made, or nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
import pytest
from phonopy.file_IO import write_FORCE_CONSTANTS
from phonopy.interface.vasp import write_vasp

from fcinv_core.cli import virtual
from fcinv_core.errors import InputError
from fcinv_core.events import open_events
from tests.ensembles import aluminium, spring_phonopy


@pytest.fixture(scope="module")
def springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with POSCAR and FORCE_CONSTANTS of aluminium."""
    folder = tmp_path_factory.mktemp("aluminium")
    phonon = spring_phonopy(aluminium(), [(3.0, 1.0, 0.05), (4.2, 0.1, 0.0)])
    write_vasp(folder / "POSCAR", aluminium())
    write_FORCE_CONSTANTS(phonon.force_constants, folder / "FORCE_CONSTANTS")
    return folder


def run(springs: Path, out: Path, *options: str, instrument: str = "arcs") -> int:
    parser = argparse.ArgumentParser()
    virtual.add_parser(parser.add_subparsers())
    given = [
        "virtual",
        "--structure",
        str(springs / "POSCAR"),
        "--force-constants",
        str(springs / "FORCE_CONSTANTS"),
    ]
    given += ["--instrument", instrument, "--out", str(out), "--temperature", "20", "--pixel-spacing", "12"]
    given += [option for option in ("--psi=0,20,10", "--ei=60") if option.split("=")[0] not in " ".join(options)]
    arguments = parser.parse_args([*given, *options])
    arguments.command_line = "fcinv virtual"
    return int(arguments.run(arguments))


def test_writes_events_of_the_runs_asked_for(
    springs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "events.nxs"
    options = ["--energy-bins=-5,1,50", "--counts", "20000", "--background", "0.1", "--seed", "4"]
    assert run(springs, out, *options) == 0
    text = capsys.readouterr().out
    assert "Al, space group Fm-3m (225)" in text
    assert "3 runs on ARCS, Ei 60 meV, 20 K" in text
    source = open_events(out)
    assert len(source.runs) == 3
    assert source.energy_bin_width == pytest.approx(1.0)
    # psi turns about the vertical, counter-clockwise seen from above.
    turned = source.runs[2].goniometer @ [0, 0, 1]
    np.testing.assert_allclose(turned, [np.sin(np.radians(20)), 0, np.cos(np.radians(20))], atol=1e-12)
    with h5py.File(out, "r") as file:
        log = file["MDEventWorkspace/experiment0/logs/virtual_experiment/value"][0].decode()
    assert '"seed": 4' in log
    assert "POSCAR" in log
    chunk = next(source.chunks(source.n_events))
    counts = (chunk.signal * np.sqrt(1 - chunk.energy / 60))[chunk.energy > 5].sum()
    # Nearly all phonons of aluminium lie there at 20 K, and most of the background.
    assert 0.8 * 22_000 < counts < 1.1 * 22_000


def test_u_lies_along_the_beam(springs: Path, tmp_path: Path) -> None:
    assert run(springs, tmp_path / "e.nxs", "--u", "1", "1", "0", "--v", "0", "0", "1", "--counts", "2000") == 0
    ub = open_events(tmp_path / "e.nxs").runs[0].ub
    along, plane = ub @ [1, 1, 0], ub @ [0, 0, 1]
    np.testing.assert_allclose(along / np.linalg.norm(along), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(plane / np.linalg.norm(plane), [1, 0, 0], atol=1e-12)


def test_event_mode_gives_true_events(springs: Path, tmp_path: Path) -> None:
    assert run(springs, tmp_path / "e.nxs", "--event-mode", "--counts=3000", "--energy-bins=6,1,50") == 0
    source = open_events(tmp_path / "e.nxs")
    assert all(run.energy_edges is None for run in source.runs)
    assert source.energy_bin_width is None
    chunk = next(source.chunks(source.n_events))
    np.testing.assert_allclose(chunk.signal, np.sqrt(60 / (60 - chunk.energy)), rtol=1e-5)
    assert len(np.unique(chunk.energy)) > 20 * 44


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--psi=0,20"], "--psi 0,20 cannot be read"),
        (["--psi=20,0,1"], "holds no angle"),
        (["--energy-bins=0,0,5"], "no bin fits in"),
        (["--energy-bins=0,1,59"], "is known from -60 to 57 meV"),
        (["--counts=0"], "must be positive"),
        (["--ei=4000"], "no resolution at Ei"),
        (["--temperature=-3"], "not a temperature"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(springs: Path, tmp_path: Path, options: list[str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        run(springs, tmp_path / "e.nxs", *options)
    assert words in str(caught.value)
    assert not (tmp_path / "e.nxs").exists()


def test_a_bank_that_turns_needs_its_angle(springs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="say where the middle of the bank is"):
        run(springs, tmp_path / "e.nxs", "--ei=25", instrument="HYSPEC")
    assert run(springs, tmp_path / "e.nxs", "--ei=25", "--bank-angle=60", "--counts=500", instrument="HYSPEC") == 0
