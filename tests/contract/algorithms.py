"""Small algorithms made for a test: registered under a name, run with errors passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def register(
    name: str,
    declare: Callable[[Any], None],
    execute: Callable[[Any], None],
    base: str = "PythonAlgorithm",
    **methods: Callable[[Any], Any],
) -> type:
    """Register an algorithm whose PyInit and PyExec are two functions, and return its class."""
    from mantid import api

    body: dict[str, Any] = {
        "PyInit": declare,
        "PyExec": execute,
        "category": lambda self: "Tests",
        "summary": lambda self: "Made for a test.",
        **methods,
    }
    cls = type(name, (getattr(api, base),), body)
    api.AlgorithmFactory.subscribe(cls)
    return cls


def created(name: str, **properties: Any) -> Any:
    """Return an algorithm that passes errors on, with some properties set."""
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create(name)
    algorithm.setRethrows(True)
    for key, value in properties.items():
        algorithm.setProperty(key, value)
    return algorithm


def run(name: str, **properties: Any) -> Any:
    """Run an algorithm and return it."""
    algorithm = created(name, **properties)
    algorithm.execute()
    return algorithm


def nothing(algorithm: Any) -> None:
    """Declare or do nothing."""
