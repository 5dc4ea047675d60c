"""What happens when Mantid starts with the plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import pytest

from tests.mantid_choice import PLUGINS, ROOT

HEAVY = {"torch", "phonopy", "numba", "scipy", "symfc", "matplotlib", "ase"}
FILES = sorted(PLUGINS.rglob("*.py"))

#: Imports a plugin as Mantid does, and prints the packages that this brought in.
SCRIPT = """
import importlib.util, json, sys
from tests.mantid_choice import load_kernel
load_kernel()
import mantid.api
before = {name.split(".")[0] for name in sys.modules}
spec = importlib.util.spec_from_file_location(sys.argv[2], sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules} - before)))
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_importing_a_plugin_brings_in_nothing_heavy(path: object) -> None:
    name = str(path).rsplit("/", 1)[-1].removesuffix(".py")
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    brought = set(json.loads(finished.stdout.splitlines()[-1]))
    assert not brought & HEAVY


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_plugin_is_a_function_and_an_algorithm(simpleapi: ModuleType, name: str) -> None:
    from mantid.api import AlgorithmFactory

    assert AlgorithmFactory.exists(name)
    assert callable(getattr(simpleapi, name))


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_plugin_says_what_it_is(simpleapi: ModuleType, name: str) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create(name)
    assert "Inelastic\\ForceConstants" in algorithm.category().split(";")
    assert algorithm.summary().endswith(".")
    assert list(algorithm.seeAlso())
    undocumented = [known.name for known in algorithm.getProperties() if not known.documentation]
    assert not undocumented


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_properties_come_as_inputs_then_outputs(simpleapi: ModuleType, name: str) -> None:
    from mantid.api import AlgorithmManager
    from mantid.kernel import Direction

    directions = [known.direction for known in AlgorithmManager.create(name).getProperties()]
    outputs = [direction == Direction.Output for direction in directions]
    assert outputs == sorted(outputs)
