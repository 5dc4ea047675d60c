"""fcinv mantid-setup says what Mantid needs, and with --check what stands in its way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mantid_choice import PLUGINS, ROOT, STANDIN


def setup(*words: str, path: tuple[Path, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fcinv_core", "mantid-setup", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(map(str, path)), **environment},
    )


def marks(text: str) -> dict[str, str]:
    """Step to "ok", "look" or "bad"."""
    words = [line.split() for line in text.splitlines()]
    return {line[1]: line[0] for line in words if line and line[0] in ("ok", "look", "bad")}


def test_the_two_lines_are_printed() -> None:
    printed = setup().stdout.splitlines()
    assert f"user.python.plugins.directories={PLUGINS}" in printed
    assert f"pythonscripts.directories={ROOT}" in printed


def test_a_mantid_with_the_lines_in_its_properties_registers_every_algorithm(tmp_path: Path) -> None:
    properties = tmp_path / "Mantid.user.properties"
    properties.write_text("\n".join(line for line in setup().stdout.splitlines() if "directories=" in line))
    checked = setup("--check", path=(STANDIN,), MANTIDPROPERTIES=str(properties))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert marks(checked.stdout) == dict.fromkeys(
        ("mantid", "h5py", "numpy", "torch", "fcinv", "numba", "algorithms"), "ok"
    )
    for algorithm in PLUGINS.glob("*.py"):
        assert algorithm.stem in checked.stdout


def test_without_mantid_one_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "mantid").mkdir()
    (tmp_path / "mantid" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mantid'\")")
    checked = setup("--check", path=(tmp_path,))
    assert checked.returncode == 1
    assert marks(checked.stdout) == {"mantid": "bad"}
    assert "No module named 'mantid'" in checked.stdout
    assert not checked.stderr


@pytest.mark.parametrize(
    ("what_it_does", "said"),
    [
        ("raise ImportError('Not a datatype (not a datatype)')", "Not a datatype"),
        ("import os; os.abort()", "signal 6"),
    ],
)
def test_an_h5py_of_another_build_is_named_even_if_it_ends_python(
    tmp_path: Path, what_it_does: str, said: str
) -> None:
    (tmp_path / "h5py.py").write_text(what_it_does)
    # The stand-in reads files with h5py, so it must be able to begin without.
    checked = setup("--check", path=(tmp_path, mantid_without_files(tmp_path)))
    assert checked.returncode == 1
    found = marks(checked.stdout)
    assert found["mantid"] == "look", "no properties file names the folder"
    assert found["h5py"] == "bad", checked.stdout + checked.stderr
    assert said in checked.stdout
    assert "conda-forge" in checked.stdout


def test_missing_packages_are_listed(tmp_path: Path) -> None:
    (tmp_path / "phonopy.py").write_text("raise ModuleNotFoundError(\"No module named 'phonopy'\", name='phonopy')")
    checked = setup("--check", path=(tmp_path, STANDIN))
    assert checked.returncode == 1
    assert marks(checked.stdout)["fcinv"] == "bad"
    assert "packages are missing, phonopy: run `python -m pip install" in checked.stdout


def mantid_without_files(folder: Path) -> Path:
    """A Mantid that can only start."""
    package = folder / "bare" / "mantid"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "kernel.py").write_text("from collections import defaultdict\nconfig = defaultdict(str)\n")
    (package / "simpleapi.py").write_text("")
    return package.parent
