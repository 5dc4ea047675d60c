"""What comes with fcinv is found by name, in a checkout and where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fcinv_core import shipped
from fcinv_core.errors import InputError
from fcinv_core.shipped import CARD, find_model, shipped_models, virtual_experiment


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder without a checkout around it, and a prefix with the model of an installation."""
    package = tmp_path / "prefix" / "lib" / "python" / "site-packages" / "fcinv_core"
    package.mkdir(parents=True)
    monkeypatch.setattr(shipped.resources, "files", lambda name: package)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    folder = tmp_path / "prefix" / "share" / "fcinv" / "models" / "xy"
    folder.mkdir(parents=True)
    (folder / CARD).write_text("{}")
    return folder


def test_models_of_an_installation_are_found_by_name(installed: Path) -> None:
    assert shipped_models() == {"xy": installed}
    assert find_model("xy") == installed


def test_a_folder_is_a_model_of_its_own(installed: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert find_model(mine) == mine


def test_an_unknown_name_is_refused_with_those_that_are_known(installed: Path) -> None:
    with pytest.raises(InputError, match=r"no model 'gee'.*are xy"):
        find_model("gee")


def test_the_virtual_experiment_comes_with_its_truth() -> None:
    names = {path.name for path in virtual_experiment().iterdir()}
    assert {"ge_small.nxs", "POSCAR", "phonopy_params_truth.yaml.xz", "ge_small.json"} <= names
