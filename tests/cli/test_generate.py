"""fcinv generate as a person at a terminal meets it."""

from pathlib import Path

import pytest

from fcinv_core.cli import main
from fcinv_core.force_constants.phonopy_files import write_phonopy_params
from fcinv_core.training_set import TrainingSet
from tests.ensembles import aluminium_ensemble
from tests.test_generation import STRUCTURE


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "POSCAR").write_text(STRUCTURE)
    names = []
    for number, fcs in enumerate(aluminium_ensemble()[:2]):
        names.append(str(tmp_path / f"{number}.yaml"))
        write_phonopy_params(fcs, Path(names[-1]))
    return names


def test_generate_writes_a_set_and_says_what_it_did(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set.h5"
    options = ["--n", "20", "--retain", "2", "--points", "31", "--energy-bins", "50", "--fwhm", "1.5", "0.01"]
    command = ["generate", str(tmp_path / "POSCAR"), "--force-constants", *files, "--out", str(out), *options]
    assert main(command) == 0
    training = TrainingSet.open(out)
    assert (len(training), training.qpath.n_points, training.grid.n_bins) == (20, 31, 50)
    assert training.resolution.fwhm_coefficients == (1.5, 0.01)
    printed = capsys.readouterr().out
    assert "20 stable sets in" in printed
    assert "% of the candidates were stable" in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--retain", "some"], "number from 1"),
        (["--n", "0"], "at least one"),
        (["--energy-range", "50", "10"], "not a grid"),
        (["--supercell", "1", "2"], "is not a supercell"),
        (["--dask", "tcp://127.0.0.1:9"], "no Dask scheduler answers"),
    ],
)
def test_bad_choices_are_one_sentence_and_exit_code_2(
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: list[str],
    words: str,
) -> None:
    monkeypatch.setattr("fcinv_core.work_units._CONNECT_SECONDS", 1)
    out = tmp_path / "results" / "set.h5"
    command = ["generate", str(tmp_path / "POSCAR"), "--force-constants", *files, "--out", str(out), "--n", "5"]
    assert main([*command, *change]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def test_one_set_needs_a_spread(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(tmp_path / "POSCAR"), "--force-constants", files[0], "--out", str(tmp_path / "s.h5")]
    assert main([*command, "--n", "5"]) == 2
    assert "--spread" in capsys.readouterr().err
    assert main([*command, "--n", "5", "--spread", "0.3"]) == 0
