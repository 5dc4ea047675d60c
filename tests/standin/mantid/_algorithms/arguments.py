"""Inputs and outputs of an algorithm as the data behind its properties."""

from __future__ import annotations

from typing import Any

from mantid.api._algorithm import Algorithm


def value(algorithm: Algorithm, name: str) -> Any:
    """Return the value of a property."""
    known: Any = algorithm.getProperty(name)
    return known.value


def held(algorithm: Algorithm, name: str) -> Any:
    """Return the data of a workspace property, None if there are none."""
    known: Any = algorithm.getProperty(name)
    return known._held


def put(algorithm: Algorithm, name: str, data: Any) -> None:
    """Set the data of a workspace property."""
    known: Any = algorithm.getProperty(name)
    known._held = data


def experiments(data: Any) -> list[Any]:
    """Return the experiments of a workspace of either kind."""
    return list(data.experiments) if hasattr(data, "experiments") else [data.experiment]
