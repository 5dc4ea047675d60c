"""`fcinv simulate` writes four files or none."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from phonopy.file_IO import write_FORCE_CONSTANTS
from phonopy.interface.vasp import write_vasp

from fcinv_core.cli import main
from fcinv_core.nexus import read_mdhisto
from tests.ensembles import aluminium, spring_phonopy


@pytest.fixture(scope="module")
def springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with POSCAR, FORCE_CONSTANTS and phonopy_params.yaml of aluminium, and one with imaginary modes."""
    folder = tmp_path_factory.mktemp("aluminium")
    phonon = spring_phonopy(aluminium(), [(3.0, 1.0, 0.05), (4.2, 0.1, 0.0)])
    write_vasp(folder / "POSCAR", aluminium())
    write_FORCE_CONSTANTS(phonon.force_constants, folder / "FORCE_CONSTANTS")
    phonon.save(folder / "phonopy_params.yaml", settings={"force_constants": True})
    unstable = spring_phonopy(aluminium(), [(3.0, 1.0, -0.2)])
    unstable.save(folder / "unstable.yaml", settings={"force_constants": True})
    return folder


def bands(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def run(springs: Path, out: Path, *options: str, constants: str = "FORCE_CONSTANTS") -> int:
    return main(["simulate", str(springs / "POSCAR"), str(springs / constants), "--out", str(out), *options])


def test_writes_table_pictures_and_histogram(
    springs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(springs, tmp_path / "out") == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "bands.csv",
        "bands.png",
        "iqe.nxs",
        "iqe.png",
    ]
    text = capsys.readouterr().out
    assert "Al, space group Fm-3m (225)" in text
    assert "energies at Γ: 0.00 0.00 0.00 meV" in text
    assert "WARNING" not in text
    histo = read_mdhisto(tmp_path / "out" / "iqe.nxs")
    assert histo.signal.shape == (201, 100)
    assert set(histo.content["files_sha256"]) == {"POSCAR", "FORCE_CONSTANTS"}
    assert histo.content["command"].startswith("fcinv simulate")


def test_forms_of_one_set_give_one_table(springs: Path, tmp_path: Path) -> None:
    assert run(springs, tmp_path / "a") == 0
    assert run(springs, tmp_path / "b", constants="phonopy_params.yaml") == 0
    tables = [
        np.loadtxt(tmp_path / name / "bands.csv", delimiter=",", skiprows=1, usecols=range(7)) for name in "ab"
    ]
    np.testing.assert_allclose(tables[0], tables[1], atol=4e-6)


def test_options_reach_the_files(springs: Path, tmp_path: Path) -> None:
    options = ["--path", "G-X-U|K-G", "--points", "40", "--energy-range", "0", "50", "--energy-bins", "25"]
    assert run(springs, tmp_path, *options, "--fwhm", "2", "-0.01", "--supercell", "2", "2", "2") == 0
    histo = read_mdhisto(tmp_path / "iqe.nxs")
    assert histo.signal.shape == (40, 25)
    assert histo.dimensions[1].edges[-1] == 50.0
    assert histo.content["resolution_fwhm_mev"] == [2.0, -0.01]
    rows = bands(tmp_path / "bands.csv")
    assert [row["label"] for row in rows if row["label"]] == ["Γ", "X", "U", "K", "Γ"]


def test_path_from_a_json_file(springs: Path, tmp_path: Path) -> None:
    (tmp_path / "path.json").write_text('[[["here", [0.1, 0, 0]], ["there", [0.3, 0.1, 0]]]]')
    assert run(springs, tmp_path / "out", "--path", str(tmp_path / "path.json"), "--points", "11") == 0
    rows = bands(tmp_path / "out" / "bands.csv")
    assert (rows[0]["label"], rows[-1]["label"]) == ("here", "there")
    assert float(rows[5]["q1"]) == pytest.approx(0.2)


def test_imaginary_modes_are_warned_of_with_the_worst_q(
    springs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(springs, tmp_path, constants="unstable.yaml") == 0
    warning = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING"))
    assert "imaginary" in warning
    assert "at q = (" in warning


def test_a_second_run_replaces_the_files(springs: Path, tmp_path: Path) -> None:
    assert run(springs, tmp_path, "--points", "50") == 0
    assert run(springs, tmp_path, "--points", "60") == 0
    assert read_mdhisto(tmp_path / "iqe.nxs").signal.shape[0] == 60
    assert len(list(tmp_path.iterdir())) == 4


def _other_crystal(folder: Path) -> None:
    text = (folder / "POSCAR").read_text()
    (folder / "POSCAR").write_text(text.replace("Al", "Cu"))


def _other_lattice(folder: Path) -> None:
    lines = (folder / "POSCAR").read_text().splitlines()
    lines[1] = str(1.2 * float(lines[1]))
    (folder / "POSCAR").write_text("\n".join(lines) + "\n")


def _half(folder: Path) -> None:
    text = (folder / "phonopy_params.yaml").read_text()
    (folder / "phonopy_params.yaml").write_text(text[: len(text) // 2])


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (lambda folder: (folder / "POSCAR").unlink(), [], "POSCAR does not exist"),
        (lambda folder: (folder / "POSCAR").write_text(""), [], "POSCAR is empty"),
        (lambda folder: (folder / "POSCAR").write_text("a poem\nof two lines\n"), [], "not a crystal structure"),
        (lambda folder: (folder / "phonopy_params.yaml").unlink(), [], "phonopy_params.yaml does not exist"),
        (lambda folder: (folder / "phonopy_params.yaml").write_text(""), [], "phonopy_params.yaml is empty"),
        (_half, [], "cannot be read as force constants"),
        (_other_crystal, [], "another crystal"),
        (_other_lattice, [], "another crystal"),
        (None, ["--path", "G-X-Y"], "'Y' is not a high-symmetry point"),
        (None, ["--path", "nowhere.json"], "does not exist"),
        (None, ["--points", "3"], "too few"),
        (None, ["--energy-range", "30", "20"], "not a grid"),
        (None, ["--energy-range", "500", "600"], "no mode lies between"),
        (None, ["--energy-bins", "0"], "not a grid"),
        (None, ["--fwhm", "1", "-1"], "not positive"),
        (None, ["--supercell", "2", "2"], "not a supercell"),
        (None, ["--born", "nowhere"], "nowhere does not exist"),
    ],
)
def test_unusable_input_ends_with_one_sentence_and_no_file(
    springs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None] | None,
    options: list[str],
    says: str,
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(springs, folder)
    if spoil is not None:
        spoil(folder)
    assert run(folder, tmp_path / "out", *options, constants="phonopy_params.yaml") == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("fcinv: ")
    assert output.err.count("\n") == 1
    assert says in output.err
    assert not (tmp_path / "out").exists()


def test_folder_that_is_a_file_is_refused(
    springs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("in the way")
    assert run(springs, tmp_path / "out") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize(
    ("material", "structure", "constants", "gamma"),
    [
        ("ge_dft", "POSCAR", "FORCE_CONSTANTS", [0.0, 0.0, 0.0, 37.4, 37.4, 37.4]),
        ("nacl_dft", "phonopy_disp.yaml", "FORCE_SETS", None),
    ],
)
def test_reference_crystals(
    shared_data: Path, tmp_path: Path, material: str, structure: str, constants: str, gamma: list[float] | None
) -> None:
    folder = shared_data / material
    assert main(["simulate", str(folder / structure), str(folder / constants), "--out", str(tmp_path)]) == 0
    rows = bands(tmp_path / "bands.csv")
    energies = [float(rows[0][f"energy{k}_mev"]) for k in range(1, 7)]
    if gamma is not None:
        np.testing.assert_allclose(energies, gamma, atol=0.05)
    else:
        # Born charges beside the force constants split the longitudinal optical mode off.
        assert energies[5] - energies[4] > 10.0
