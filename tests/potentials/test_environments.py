"""Where the environments of the families are, and what happens when one cannot be made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fcinv_core.errors import InputError
from fcinv_core.potentials import Member, set_up_environments
from fcinv_core.potentials.environments import environments_folder, interpreter_of


def test_a_member_runs_in_its_own_interpreter_else_in_its_familys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FCINV_ENVIRONMENTS", str(tmp_path))
    assert interpreter_of(Member("chgnet", "0.3.0")).is_relative_to(tmp_path / "chgnet")
    assert interpreter_of(Member("chgnet", "0.3.0", interpreter=Path("/opt/python"))) == Path("/opt/python")
    assert interpreter_of(Member("ase", "a:b")) == Path(sys.executable)
    monkeypatch.delenv("FCINV_ENVIRONMENTS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert environments_folder() == tmp_path / "data" / "fcinv" / "environments"


def test_an_unknown_family_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FCINV_ENVIRONMENTS", str(tmp_path / "environments"))
    with pytest.raises(InputError, match=r"no environment for 'matgl'.*chgnet, sevennet, mace, m3gnet"):
        set_up_environments(["chgnet", "matgl"], print)
    with pytest.raises(InputError, match="no environment for 'ase'"):
        set_up_environments(["ase"], print)
    assert not (tmp_path / "environments").exists()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("FCINV_ENVIRONMENTS", str(tmp_path / "file" / "environments"))
    with pytest.raises(InputError, match=r"file/environments cannot be made.*set FCINV_ENVIRONMENTS"):
        set_up_environments(["chgnet"], lambda line: None)


def test_what_pip_says_reaches_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FCINV_ENVIRONMENTS", str(tmp_path))
    python = tmp_path / "chgnet" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # venv leaves a python that exists alone, so this one stands for an environment whose pip fails.
    python.write_text("#!/bin/sh\necho 'ERROR: No space left on device' >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    lines: list[str] = []
    monkeypatch.setattr("fcinv_core.potentials.environments._make_venv", lambda folder, family: None)
    with pytest.raises(InputError, match=r"environment of chgnet cannot be made.*No space left on device"):
        set_up_environments(["chgnet"], lines.append)
    assert lines[0].startswith("chgnet: updating")
