"""Which Mantid the tests run on: FCINV_MANTID=real or FCINV_MANTID=standin, and nothing else."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
STANDIN = ROOT / "tests" / "standin"
PLUGINS = ROOT / "plugins"
VARIABLE = "FCINV_MANTID"


def load_kernel() -> ModuleType:
    """Return mantid.kernel of the chosen Mantid.

    A test fails, and is not skipped, where nothing is chosen or where the chosen one is not there.
    """
    choice = os.environ.get(VARIABLE, "")
    if choice not in ("real", "standin"):
        pytest.fail(
            f"{VARIABLE} is {choice!r}: set it to standin (as scripts/test.sh does), or to real where Mantid is "
            "installed",
            pytrace=False,
        )
    if choice == "standin" and str(STANDIN) not in sys.path:
        sys.path.insert(0, str(STANDIN))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kernel = importlib.import_module("mantid.kernel")
        except ModuleNotFoundError as error:
            pytest.fail(f"{VARIABLE} is {choice}, but {error}", pytrace=False)
    is_standin = STANDIN in Path(str(kernel.__file__)).resolve().parents
    if is_standin != (choice == "standin"):
        pytest.fail(f"{VARIABLE} is {choice}, but mantid comes from {kernel.__file__}", pytrace=False)
    return kernel


def load_mantid() -> ModuleType:
    """Return mantid.simpleapi of the chosen Mantid, with the plugins of this repository loaded."""
    load_kernel().config["user.python.plugins.directories"] = str(PLUGINS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("mantid.simpleapi")


@pytest.fixture(autouse=True)
def simpleapi() -> Iterator[ModuleType]:
    """mantid.simpleapi of the chosen Mantid, for every test of a folder whose conftest imports this fixture.

    Workspaces are cleared before and after each test.
    """
    module = load_mantid()
    module.mtd.clear()
    yield module
    module.mtd.clear()
