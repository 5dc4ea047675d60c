"""Mantid's own algorithms: properties as the manifest lists them, and a function that does the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mantid.api._algorithm import Algorithm
from mantid.api._enumerations import FileAction, PropertyMode
from mantid.api._file_property import FileProperty, MultipleFileProperty
from mantid.api._workspace_property import (
    IMDEventWorkspaceProperty,
    IMDHistoWorkspaceProperty,
    IMDWorkspaceProperty,
    ITableWorkspaceProperty,
    MatrixWorkspaceProperty,
    WorkspaceGroupProperty,
    WorkspaceProperty,
)
from mantid.kernel._enumerations import Direction
from mantid.kernel._property import (
    BoolPropertyWithValue,
    FloatArrayProperty,
    FloatPropertyWithValue,
    IntArrayProperty,
    IntPropertyWithValue,
    Property,
    StringArrayProperty,
    StringPropertyWithValue,
    UnsignedIntArrayProperty,
)
from mantid.kernel._validators import IntBoundedValidator, IValidator, NullValidator, StringListValidator

#: Numbers that are integers: the manifest does not tell.
_INTEGERS = frozenset(
    [
        "Dimensionality",
        "Dimensions",
        "EntryNumber",
        "LoaderVersion",
        "MaxRecursionDepth",
        "MDSampleNumber",
        "Memory",
        "MinRecursionDepth",
        "NSpec",
        "RandomSeed",
        "SpectrumMax",
        "SpectrumMin",
        "SplitThreshold",
        "StartWorkspaceIndex",
        "EndWorkspaceIndex",
        "WorkspaceIndex",
    ]
)

Work = Callable[[Algorithm], None]

#: What each algorithm does, by its name.
NATIVE: dict[str, Work] = {}

_WORKSPACES: dict[str, type[WorkspaceProperty]] = {
    cls._type: cls
    for cls in (
        WorkspaceProperty,
        MatrixWorkspaceProperty,
        IMDWorkspaceProperty,
        IMDEventWorkspaceProperty,
        IMDHistoWorkspaceProperty,
        ITableWorkspaceProperty,
        WorkspaceGroupProperty,
    )
}
_ARRAYS = {
    cls._type: cls for cls in (FloatArrayProperty, IntArrayProperty, StringArrayProperty, UnsignedIntArrayProperty)
}


def native(name: str) -> Callable[[Work], Work]:
    """Return a decorator that registers what an algorithm does."""

    def register(work: Work) -> Work:
        NATIVE[name] = work
        return work

    return register


@cache
def listed_algorithms() -> dict[str, list[dict[str, Any]]]:
    """Return the properties of each algorithm as a real Mantid listed them."""
    manifest = Path(__file__).resolve().parents[2] / "manifest.json"
    algorithms: dict[str, list[dict[str, Any]]] = json.loads(manifest.read_text(encoding="utf-8"))["algorithms"]
    return algorithms


class _Missing(IValidator):
    """Something must be entered; the sentence is the one that Mantid gave."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def _problem(self, value: Any) -> str:
        return self._sentence if len(value) == 0 else ""


def listed_property(algorithm: str, entry: dict[str, Any]) -> Property:
    """Return a property of an algorithm as the manifest lists it."""
    name, kind, default = entry["name"], entry["type"], entry["default"]
    direction, allowed, problem = Direction(entry["direction"]), entry["allowed"], entry["valid"]
    if kind in _WORKSPACES:
        mode = PropertyMode.Mandatory if problem else PropertyMode.Optional
        return _WORKSPACES[kind](name, default, direction, mode)
    if kind == "list of str lists":
        action = FileAction.Load if problem else FileAction.OptionalLoad
        return MultipleFileProperty(name, action, allowed)
    if any(value.startswith(".") for value in allowed):
        verb = "Load" if algorithm.startswith("Load") else "Save"
        action = FileAction.names[verb if problem else f"Optional{verb}"]
        return FileProperty(name, default, action, allowed, direction)
    validator: IValidator | None = StringListValidator(allowed) if any(allowed) else None
    if validator is None and problem and kind != "number":
        validator = _Missing(problem)
    if kind in _ARRAYS:
        return _ARRAYS[kind](name, default, validator or NullValidator(), direction)
    if kind == "boolean":
        return BoolPropertyWithValue(name, default == "1", None, direction)
    if kind == "number":
        return _number(name, default, problem, direction)
    return StringPropertyWithValue(name, default, validator, direction)


def _number(name: str, default: str, problem: str, direction: Any) -> Property:
    if name in _INTEGERS:
        bounded = IntBoundedValidator(lower=1) if "lower bound (1)" in problem else None
        return IntPropertyWithValue(name, int(default), bounded, direction)
    return FloatPropertyWithValue(name, float(default), None, direction)


class NativeAlgorithm(Algorithm):
    """One of Mantid's own algorithms."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def name(self) -> str:
        return self._name

    def _initialise(self) -> None:
        for entry in listed_algorithms()[self._name]:
            new = listed_property(self._name, entry)
            new._documentation = f"{new.name} of {self._name}"
            self._declare(new)

    def _execute(self) -> None:
        NATIVE[self._name](self)
