"""Algorithms as functions; importing it loads the plugins of the configured directories."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections import namedtuple
from pathlib import Path
from typing import Any

from mantid.api import AlgorithmFactory, AlgorithmManager, AnalysisDataService, mtd
from mantid.api._native_algorithm import NATIVE
from mantid.api._workspace_property import WorkspaceProperty
from mantid.kernel import config, funcinspect, logger
from mantid.kernel._data_item import DataItem

#: Outputs of Load that its function keeps to itself.
_UNRETURNED = ("LoaderName", "LoaderVersion")
_OPTIONS = ("Version", "EnableLogging", "StoreInADS", "startProgress", "endProgress")


def _running_algorithm() -> Any:
    """Return the algorithm whose PyExec is on the stack, None if there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "PyExec":
            return frame.f_locals.get("self")
        frame = frame.f_back
    return None


def _new_algorithm(name: str, options: dict[str, Any]) -> Any:
    parent = _running_algorithm()
    version = options.get("Version", -1)
    if parent is None:
        algorithm = AlgorithmManager.create(name, version)
    else:
        progress = {key: options[key] for key in ("startProgress", "endProgress") if key in options}
        algorithm = parent.createChildAlgorithm(name, version=version, **progress)
    algorithm.setLogging(options.get("EnableLogging", True if parent is None else parent.isLogging()))
    algorithm.setAlwaysStoreInADS(options.get("StoreInADS", True))
    if not options.get("StoreInADS", True):
        algorithm.setChild(True)
    algorithm.setRethrows(True)
    return algorithm


def _set_properties(algorithm: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    names = [name for name in algorithm.mandatoryProperties() if name not in keywords]
    for name, value in [*keywords.items(), *zip(names, arguments, strict=False)]:
        if value is None:
            continue
        if isinstance(value, DataItem) and value.name():
            algorithm.setPropertyValue(name, value.name())
        else:
            algorithm.setProperty(name, value)


def _returned(algorithm: Any, n_variables: int) -> Any:
    """Return the outputs: nothing, one, or a named tuple."""
    found: dict[str, Any] = {}
    for name in algorithm.outputProperties():
        known = algorithm.getProperty(name)
        if not isinstance(known, WorkspaceProperty):
            if name not in _UNRETURNED:
                found[name] = known.value
        elif known.valueAsStr in mtd and not known.valueAsStr.startswith("__TMP"):
            found[name] = mtd[known.valueAsStr]
        elif known.value is not None:
            found[name] = known.value
    if n_variables > 1 and n_variables != len(found):
        raise RuntimeError(
            f"{algorithm.name()} is trying to return {len(found)} output(s) but you have provided {n_variables} "
            "variable(s). These numbers must match."
        )
    if len(found) < 2:
        return next(iter(found.values()), None)
    return namedtuple(f"{algorithm.name()}_returns", list(found))(**found)


def _create_algorithm_function(name: str, version: int, algm_object: Any) -> Any:
    """Return a function that runs an algorithm, and make it known here by the algorithm's name."""

    def function(*arguments: Any, **keywords: Any) -> Any:
        options = {key: keywords.pop(key) for key in _OPTIONS if key in keywords}
        algorithm = _new_algorithm(name, options)
        n_variables, variables = funcinspect.lhs_info()
        outputs = [algorithm.getProperty(output) for output in algorithm.outputProperties()]
        named = {
            output.name: variable
            for output, variable in zip(outputs, variables, strict=False)
            if isinstance(output, WorkspaceProperty)
        }
        _set_properties(algorithm, arguments, named | keywords)
        missing = [key for key in algorithm.mandatoryProperties() if algorithm.getProperty(key).isValid]
        try:
            algorithm.execute()
        except RuntimeError as error:
            if missing and str(error) == "Some invalid Properties found":
                raise RuntimeError(f"{missing} argument(s) not supplied to {name}") from None
            raise
        return _returned(algorithm, n_variables)

    algm_object.initialize()
    function.__name__ = name
    function.__doc__ = algm_object.docString()
    parameters = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY) for key in algm_object.orderedProperties()]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    globals()[name] = function
    return function


def _load_plugins(folders: str) -> None:
    """Import every .py file below some folders under its bare name, and make functions of new algorithms."""
    known = set(AlgorithmFactory.getRegisteredAlgorithms(True))
    for top in filter(None, folders.split(";")):
        for folder, _, files in os.walk(top):
            if folder not in sys.path:
                sys.path.append(folder)
            for file in sorted(files):
                if file.endswith(".py"):
                    _load_plugin(Path(folder) / file)
    for name in sorted(set(AlgorithmFactory.getRegisteredAlgorithms(True)) - known):
        _create_algorithm_function(
            name, AlgorithmFactory.highestVersion(name), AlgorithmManager.createUnmanaged(name)
        )


def _load_plugin(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception:
        logger.warning(f"Failed to load plugin {path}. Error: {traceback.format_exc()}")


for _name in sorted(NATIVE):
    _create_algorithm_function(_name, 1, AlgorithmManager.createUnmanaged(_name))
for _folder in filter(None, config["pythonscripts.directories"].split(";")):
    if _folder not in sys.path:
        sys.path.append(_folder)
_load_plugins(f"{config['python.plugins.directories']};{config['user.python.plugins.directories']}")

__all__ = [
    "AlgorithmFactory",
    "AlgorithmManager",
    "AnalysisDataService",
    "config",
    "logger",
    "mtd",
    *(known for known, value in list(globals().items()) if inspect.isfunction(value) and not known.startswith("_")),
]
