"""What `fcinv ensemble` makes of its options."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fcinv_core.cli import ensemble
from fcinv_core.errors import InputError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    ensemble.add_parser(parser.add_subparsers())
    return parser.parse_args(["ensemble", *words])


def test_options_change_the_configuration_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'relax = true\nmin_length = 9.0\n[[member]]\nfamily = "ase"\nname = "ase.calculators.emt:EMT"\n',
        encoding="utf-8",
    )
    unchanged = ensemble.configuration(parse("POSCAR", "--config", str(path)))
    assert (unchanged.relax, unchanged.min_length, unchanged.displacement) == (True, 9.0, 0.02)
    changed = ensemble.configuration(
        parse("POSCAR", "--config", str(path), "--no-relax", "--displacement", "0.01", "--convergence")
    )
    assert (changed.relax, changed.displacement, changed.convergence) == (False, 0.01, ())
    assert ensemble.configuration(parse("P", "--members", "chgnet-0.2.0")).members[0].name == "0.2.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no structure is given"),
        (["POSCAR"], "no folder for the results is given"),
        (["POSCAR", "--out", "fcs", "--displacement", "3"], "displacement = 3.0 cannot be used"),
        (["POSCAR", "--out", "fcs", "--members", "gap"], "there is no member 'gap'"),
        (["nowhere/POSCAR", "--out", "fcs"], "nowhere/POSCAR does not exist"),
        (["--setup", "gap"], "there is no environment for 'gap'"),
    ],
)
def test_bad_input_is_one_clear_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        ensemble.run(parse(*words))
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_list_says_which_members_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FCINV_ENVIRONMENTS", str(tmp_path))
    python = tmp_path / "chgnet" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert ensemble.run(parse("--list")) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["chgnet-r2scan"].endswith("ready")
    assert lines["sevennet-7net-0"].endswith("(make it with `fcinv ensemble --setup sevennet`)")
    assert lines["mace-small"].endswith('no checkpoint given (checkpoint = "path" in ensemble.toml)')


def test_a_structure_becomes_force_constants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "POSCAR").write_text("Cu\n3.6\n0 .5 .5\n.5 0 .5\n.5 .5 0\nCu\n1\nDirect\n0 0 0\n", encoding="utf-8")
    (tmp_path / "mine.toml").write_text(
        'min_length = 7.0\n[[member]]\nfamily = "ase"\nname = "ase.calculators.emt:EMT"\n', encoding="utf-8"
    )
    out = tmp_path / "fcs"
    words = [str(tmp_path / "POSCAR"), "--config", str(tmp_path / "mine.toml"), "--out", str(out)]
    assert ensemble.run(parse(*words, "--convergence")) == 0
    printed = capsys.readouterr()
    assert "1 of 1 members took part, 1 of them stable" in printed.out
    assert "supercell 2x2x2 of the conventional cell" in printed.err
    assert (out / "phonopy_params_ase-ase.calculators.emt-EMT.yaml").exists()
