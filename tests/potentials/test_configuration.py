"""What ensemble.toml may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcinv_core.errors import InputError
from fcinv_core.potentials import read_ensemble_config, shipped_config, worker
from fcinv_core.potentials.configuration import FAMILIES
from fcinv_core.potentials.environments import requirements


def write(folder: Path, text: str) -> Path:
    path = folder / "ensemble.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_ensemble_has_14_submodels_of_four_families() -> None:
    members = shipped_config().members
    assert len(members) == 14
    assert {m.family for m in members} == {"sevennet", "mace", "m3gnet", "chgnet"}
    assert [m.label for m in members if FAMILIES[m.family].ships_models] == [
        "chgnet-0.2.0",
        "chgnet-0.3.0",
        "chgnet-r2scan",
        "sevennet-7net-0",
        "sevennet-7net-0_22May2024",
        "sevennet-7net-l3i5",
        "sevennet-7net-mf-0-PBE",
        "sevennet-7net-mf-0-R2SCAN",
    ]


def test_every_family_has_a_calculator_and_its_environment_pins_what_the_worker_reports() -> None:
    assert set(FAMILIES) == set(worker.FAMILIES)
    for name, family in FAMILIES.items():
        if family.own_environment:
            lines = [line for line in requirements(name).splitlines() if not line.startswith("#")]
            assert all("==" in line for line in lines)
            assert {line.split("==")[0] for line in lines} >= set(worker.FAMILIES[name][1])
            assert "torch==2.13.0" in lines


def test_relative_checkpoints_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[[member]]\nfamily = "mace"\nname = "small"\ncheckpoint = "models/small.model"\n')
    assert read_ensemble_config(path).members[0].checkpoint == tmp_path / "models" / "small.model"


MEMBER = '[[member]]\nfamily = "chgnet"\nname = "0.3.0"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("displacement = ", "is not a TOML file"),
        ("displacement = 0.02\n", "names no members"),
        ("displacement = 5\n" + MEMBER, "displacement = 5 cannot be used"),
        ("displacement = true\n" + MEMBER, "displacement = True cannot be used"),
        ("convergence = [0.01, -1]\n" + MEMBER, "convergence = -1 cannot be used"),
        ('min_length = "12"\n' + MEMBER, "min_length = '12' cannot be used"),
        ('relax = "no"\n' + MEMBER, "relax = 'no' cannot be used"),
        ('device = "gpu"\n' + MEMBER, "device = 'gpu' cannot be used"),
        ("displacment = 0.01\n" + MEMBER, "unknown key 'displacment'"),
        (MEMBER + 'chekpoint = "x"\n', "member 1 holds the unknown key 'chekpoint'"),
        (MEMBER + MEMBER, "names the member chgnet-0.3.0 2 times"),
        ('[[member]]\nfamily = "chgnet"\n', "member 1 has no name"),
        ('[[member]]\nfamily = "gap"\nname = "x"\n', "unknown family 'gap'"),
        ('[[member]]\nfamily = "ase"\nname = "EMT"\n', "has the name 'EMT'"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_ensemble_config(write(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml does not exist"):
        read_ensemble_config(tmp_path / "nowhere.toml")


def test_selecting_an_unknown_member_names_the_known_ones() -> None:
    config = shipped_config()
    assert [m.label for m in config.select(["chgnet-r2scan"]).members] == ["chgnet-r2scan"]
    with pytest.raises(InputError, match=r"no member 'chgnet-9'.*chgnet-0\.2\.0, chgnet-0\.3\.0"):
        config.select(["chgnet-9"])
