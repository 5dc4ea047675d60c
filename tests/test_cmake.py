"""cmake --install puts algorithms and core where a Mantid of another prefix finds them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mantid_choice import STANDIN

ROOT = Path(__file__).resolve().parents[1]


def run(*words: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The prefix, and what was printed."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("cmake")
    run("cmake", "-S", ROOT, "-B", folder / "build", cwd=folder)
    printed = run("cmake", "--install", folder / "build", "--prefix", "prefix", cwd=folder)
    return folder / "prefix", printed


def test_the_two_lines_name_what_was_installed(installed: tuple[Path, str]) -> None:
    prefix, printed = installed
    lines = dict(line.split("=", 1) for line in printed.splitlines() if "directories=" in line)
    assert lines == {
        "user.python.plugins.directories": str(prefix / "plugins"),
        "pythonscripts.directories": str(prefix / "lib"),
    }


def test_only_algorithms_lie_below_the_plugin_folder(installed: tuple[Path, str]) -> None:
    prefix, _ = installed
    below = {file.relative_to(prefix / "plugins") for file in (prefix / "plugins").rglob("*") if file.is_file()}
    assert below == {Path(file.name) for file in (ROOT / "plugins").glob("*.py")}
    assert not list(prefix.rglob("__pycache__"))


def test_every_file_of_the_core_and_the_models_is_there(installed: tuple[Path, str]) -> None:
    prefix, _ = installed
    for source, target in ((ROOT / "fcinv_core", "lib/fcinv_core"), (ROOT / "models", "share/fcinv/models")):
        files = {file.relative_to(source) for file in source.rglob("*") if file.is_file()}
        files = {file for file in files if "__pycache__" not in file.parts}
        there = {file.relative_to(prefix / target) for file in (prefix / target).rglob("*") if file.is_file()}
        assert there == files


@pytest.mark.slow
def test_a_mantid_that_is_told_so_registers_the_algorithms(installed: tuple[Path, str], tmp_path: Path) -> None:
    prefix, printed = installed
    properties = tmp_path / "Mantid.user.properties"
    properties.write_text(printed)
    command = (sys.executable, "-m", "fcinv_core", "mantid-setup", "--check")
    path = f"{prefix / 'lib'}{os.pathsep}{STANDIN}"
    checked = run(*command, cwd=tmp_path, PYTHONPATH=path, MANTIDPROPERTIES=str(properties))
    assert f"user.python.plugins.directories={prefix / 'plugins'}" in checked
    assert f"its properties name {prefix / 'plugins'}" in checked
    assert "registers FoldToIQE" in checked


def test_ctest_runs_the_tests(installed: tuple[Path, str]) -> None:
    prefix, _ = installed
    listed = run("ctest", "--test-dir", prefix.parent / "build", "--show-only", "--verbose", cwd=prefix)
    assert str(ROOT / "scripts" / "test.sh") in listed
