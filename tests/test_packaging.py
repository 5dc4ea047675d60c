"""A wheel brings the Mantid algorithms and the models along, and an installation finds them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("fcinv_core", "plugins", "models", "pyproject.toml", "README.md", "LICENSE")


def run(*words: object, cwd: Path, **environment: str) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={"PATH": "/usr/bin:/bin", **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built of a copy, as building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, source, cwd=folder)
    [built] = folder.glob("fcinv-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, whose dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, wheel, cwd=folder)
    [site] = folder.glob("lib/python*/site-packages")
    # Files of this kind are not read in the folders that they name, so the checkout stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def test_the_wheel_holds_every_algorithm_and_model_outside_of_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = {name.partition("share/fcinv/")[2] for name in names if "share/fcinv/" in name}
    expected = {f"plugins/{file.name}" for file in (ROOT / "plugins").glob("*.py")}
    expected |= {
        str(file.relative_to(ROOT))
        for model in (ROOT / "models").iterdir()
        for file in model.rglob("*")
        if file.is_file()
    }
    assert expected <= shared
    assert {name for name in shared if name.startswith("plugins/")} == {
        name for name in expected if name.startswith("plugins/")
    }
    assert not [name for name in names if name.startswith(("plugins/", "tests/", "models/"))]
    assert "fcinv_core/py.typed" in names


def test_an_installation_names_its_own_folders(environment: Path, tmp_path: Path) -> None:
    printed = run(environment / "bin" / "fcinv", "mantid-setup", cwd=tmp_path).splitlines()
    lines = dict(line.split("=", 1) for line in printed if "directories=" in line)
    plugins = Path(lines["user.python.plugins.directories"])
    assert plugins == environment / "share" / "fcinv" / "plugins"
    assert sorted(file.name for file in plugins.glob("**/*.py")) == sorted(
        file.name for file in (ROOT / "plugins").glob("*.py")
    )
    modules = Path(lines["pythonscripts.directories"])
    assert (modules / "fcinv_core" / "__init__.py").is_file()
    assert environment in modules.parents
    assert plugins not in modules.parents
    assert modules not in plugins.parents
    assert any("Mantid is not in this environment" in line for line in printed)


def test_an_installation_finds_its_own_models(environment: Path, tmp_path: Path) -> None:
    folder = environment / "share" / "fcinv" / "models" / "trial"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    ask = "from fcinv_core.shipped import shipped_models; print(shipped_models()['trial'])"
    assert Path(run(environment / "bin" / "python", "-c", ask, cwd=tmp_path).strip()) == folder


def test_an_installation_into_a_folder_finds_its_algorithms(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target)
    run(*pip, wheel, cwd=tmp_path)
    ask = "from fcinv_core.shipped import plugin_folder; print(plugin_folder())"
    found = run(sys.executable, "-c", ask, cwd=tmp_path, PYTHONPATH=str(target)).strip()
    assert Path(found) == target / "share" / "fcinv" / "plugins"


def test_the_conda_environment_leaves_pip_nothing_to_install(tmp_path: Path) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    names = {re.split("[<>=]", one)[0] for one in environment["dependencies"] if isinstance(one, str)}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    conda = {"torch": "pytorch-cpu"}
    assert {conda.get(name, name) for name in (one.partition(">")[0] for one in needed)} <= names
    # conda hands these lines to pip as a file of requirements, where options of the command line are not allowed.
    [pip] = [one["pip"] for one in environment["dependencies"] if isinstance(one, dict)]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("\n".join(pip))
    command = (sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-index", "--no-build-isolation")
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text('[project]\nname = "empty"\nversion = "1"\n')
    (source / "empty.py").write_text("")
    run(*command, "--requirement", requirements, cwd=source)
