"""How Mantid finds plugins: by directories that the configuration names when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mantid_choice import ROOT

PLUGIN = """
from mantid.api import AlgorithmFactory, PythonAlgorithm
class {name}(PythonAlgorithm):
    def category(self):
        return "Tests"
    def PyInit(self):
        self.declareProperty("Number", 1)
    def PyExec(self):
        pass
AlgorithmFactory.subscribe({name})
"""

SCRIPT = """
import json, sys
from tests.mantid_choice import load_kernel
kernel = load_kernel()
import mantid.simpleapi as simpleapi
print(json.dumps({
    "functions": [name for name in ("ContractTop", "ContractNested") if hasattr(simpleapi, name)],
    "modules": sorted({"ContractTop", "ContractNested", "beside", "only_on_path"} & set(sys.modules)),
    "directories": kernel.config["user.python.plugins.directories"],
    "path": sys.path,
}))
"""


@pytest.fixture
def started(tmp_path: Path) -> dict[str, Any]:
    """What a Mantid tells that was started with two directories: of plugins, and of scripts."""
    plugins, scripts = tmp_path / "plugins", tmp_path / "scripts"
    (plugins / "nested").mkdir(parents=True)
    scripts.mkdir()
    (plugins / "ContractTop.py").write_text(PLUGIN.format(name="ContractTop"), encoding="utf-8")
    (plugins / "nested" / "ContractNested.py").write_text(PLUGIN.format(name="ContractNested"), encoding="utf-8")
    (plugins / "ContractBroken.py").write_text("raise ImportError('a package is missing')\n", encoding="utf-8")
    (plugins / "beside.py").write_text("VALUE = 1\n", encoding="utf-8")
    (scripts / "only_on_path.py").write_text("VALUE = 1\n", encoding="utf-8")
    properties = tmp_path / "Mantid.user.properties"
    properties.write_text(
        f"user.python.plugins.directories={plugins};{tmp_path / 'nowhere'}\npythonscripts.directories={scripts}\n",
        encoding="utf-8",
    )
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "MANTIDPROPERTIES": str(properties)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    told: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    told |= {"plugins": plugins, "scripts": scripts, "log": finished.stdout + finished.stderr}
    return told


def test_directories_are_those_of_the_properties_file(started: dict[str, Any]) -> None:
    plugins, scripts = started["plugins"], started["scripts"]
    assert started["functions"] == ["ContractTop", "ContractNested"]
    assert {"beside", "ContractNested"} <= set(started["modules"]), "every file is imported under its bare name"
    assert "only_on_path" not in started["modules"], "scripts are found, not imported"
    assert str(scripts) in started["path"]
    assert str(plugins / "nested") in started["path"]
    assert "nowhere" not in started["directories"], "a directory that is not there is dropped"
    assert "ContractBroken" in started["log"], "a plugin that cannot be imported is told, the others are loaded"
