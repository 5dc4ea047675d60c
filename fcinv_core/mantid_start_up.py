"""What a Mantid sees of fcinv when it starts: tried in a Python of its own, because some failures end the process.

``python -m fcinv_core.mantid_start_up REPORT PLUGIN_FOLDER`` imports Mantid first, as Workbench does, and then what
fcinv needs, and writes a line of JSON to REPORT before and after each step. The last line that was begun says where
the process ended.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fcinv_core.verdict import Finding, Status

#: Keys of Mantid.user.properties: folders of algorithms, and folders of modules.
PLUGIN_KEY, MODULE_KEY = "user.python.plugins.directories", "pythonscripts.directories"
#: Imported after Mantid, in this order: a library that does not get on with Mantid's shows by the first of them.
_PACKAGES = ("h5py", "numpy", "torch")
#: Modules that belong to the Python of a force field, not to Mantid's.
_ELSEWHERE = ("fcinv_core.__main__", "fcinv_core.potentials.worker")
_MENDING = {
    "mantid": "run `fcinv mantid-setup --check` with the Python of Mantid (mantidpython, or its conda environment)",
    "h5py": "Mantid needs the h5py that came with it: reinstall it from conda-forge, not with pip",
    "numpy": "reinstall the numpy that came with Mantid",
    "torch": "run `python -m pip install torch` in the environment of Mantid",
    "fcinv": "run `python -m pip install -c constraints-mantid.txt .` in a clone, with the Python of Mantid",
    "numba": "install a threading layer that is safe: `python -m pip install tbb`, or conda's tbb",
    "algorithms": "see Mantid's log for the reason",
}


def start_up(plugin_folder: Path) -> tuple[Finding, ...]:
    """Start Mantid in another process, and return what it found of fcinv, one finding a step.

    Parameters
    ----------
    plugin_folder
        Folder of the algorithms.
    """
    with tempfile.TemporaryDirectory(prefix="fcinv-") as folder:
        report = Path(folder) / "report"
        command = [sys.executable, "-m", "fcinv_core.mantid_start_up", str(report), str(plugin_folder)]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )
        lines = report.read_text(encoding="utf-8").splitlines() if report.is_file() else []
    begun: str | None = None
    findings = []
    for line in map(json.loads, lines):
        if "begun" in line:
            begun = line["begun"]
        else:
            findings.append(_finding(**line))
            begun = None
    if begun is not None or not lines:
        where = begun or "mantid"
        end = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
        findings.append(_finding(where, Status.BAD, f"Python ended there ({end})"))
    return tuple(findings)


def _finding(name: str, status: str, said: str) -> Finding:
    return Finding(
        name, Status(status), f"{said}: {_MENDING[name]}." if status == Status.BAD else f"{said}.", {"said": said}
    )


def _try(report: Path, plugin_folder: Path) -> None:
    """Do each step and write what came of it."""
    steps: dict[str, Callable[[], tuple[Status, str]]] = {
        "mantid": partial(_start_mantid, plugin_folder),
        **{name: partial(_import, name) for name in _PACKAGES},
        "fcinv": _import_core,
        "numba": _enter_parallel_loop,
        "algorithms": partial(_algorithms, plugin_folder),
    }
    with open(report, "w", encoding="utf-8") as stream:
        for name, step in steps.items():
            print(json.dumps({"begun": name}), file=stream, flush=True)
            try:
                status, said = step()
            except Exception as error:  # whatever an import raises is the finding
                status, said = Status.BAD, f"{type(error).__name__}, {' '.join(str(error).split())}".rstrip(".")
            print(json.dumps({"name": name, "status": status, "said": said}), file=stream, flush=True)
            if name == "mantid" and status is Status.BAD:
                return


def _start_mantid(plugin_folder: Path) -> tuple[Status, str]:
    kernel: Any = importlib.import_module("mantid.kernel")
    wanted = {PLUGIN_KEY: plugin_folder}
    if not any(importlib.metadata.distributions(name="fcinv")):
        wanted[MODULE_KEY] = Path(__file__).parents[1]
    unnamed = []
    for key, folder in wanted.items():
        known = [Path(name) for name in kernel.config[key].split(";") if name]
        if not any(one.resolve() == folder.resolve() for one in known):
            unnamed.append(str(folder))
            # What Mantid will see once the line is there.
            kernel.config[key] = ";".join(map(str, (*known, folder)))
    importlib.import_module("mantid.simpleapi")
    version = getattr(importlib.import_module("mantid"), "__version__", "of unknown version")
    if unnamed:
        return Status.LOOK, (
            f"Mantid {version} starts, but its properties do not name {' and '.join(unnamed)} yet: "
            "add the lines above"
        )
    return Status.OK, f"Mantid {version} starts, and its properties name {plugin_folder}"


def _import(name: str) -> tuple[Status, str]:
    module = importlib.import_module(name)
    return Status.OK, f"{getattr(module, '__version__', 'it')} imports after Mantid"


def _import_core() -> tuple[Status, str]:
    package = importlib.import_module("fcinv_core")
    missing: set[str] = set()
    modules = [one.name for one in pkgutil.walk_packages(package.__path__, "fcinv_core.")]
    for name in modules:
        if name not in _ELSEWHERE:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                missing.add(str(error.name))
    if missing:
        return Status.BAD, f"packages are missing, {', '.join(sorted(missing))}"
    return Status.OK, f"fcinv {package.__version__} in {Path(str(package.__file__)).parent} imports after Mantid"


def _enter_parallel_loop() -> tuple[Status, str]:
    import numba
    import numpy as np

    from fcinv_core import mantid_adapter  # noqa: F401 - chooses the threading layer
    from fcinv_core.spectrum import Resolution, SpectralGrid, render

    render(np.ones((2, 1)), SpectralGrid(0.0, 2.0, 4), Resolution((0.5,)))
    return Status.OK, f"the threading layer is {numba.threading_layer()}"  # type: ignore[attr-defined]


def _algorithms(plugin_folder: Path) -> tuple[Status, str]:
    api: Any = importlib.import_module("mantid.api")
    names = sorted(file.stem for file in plugin_folder.glob("*.py"))
    missing = [name for name in names if not api.AlgorithmFactory.exists(name)]
    if missing:
        return Status.BAD, f"Mantid does not register {', '.join(missing)}"
    return Status.OK, f"Mantid registers {', '.join(names)}"


if __name__ == "__main__":
    _try(Path(sys.argv[1]), Path(sys.argv[2]))
