"""Algorithms written in Python."""

from __future__ import annotations

import traceback
from typing import Any

from mantid.api._algorithm import Algorithm


def _located(error: BaseException) -> str:
    """Return the text of an error, and where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{error}\n  at line {frame.lineno} in '{frame.filename}'"


class PythonAlgorithm(Algorithm):
    """An algorithm that a class defines by PyInit, PyExec and more; only its own attributes count."""

    def category(self) -> str:
        return "PythonAlgorithms"

    def _own(self, name: str) -> Any:
        """Return a method that the class itself defines, None if it is inherited."""
        method = type(self).__dict__.get(name)
        return None if method is None else method.__get__(self)

    def _initialise(self) -> None:
        declare = self._own("PyInit")
        if declare is None:
            raise RuntimeError(f"{type(self).__name__} has no function named 'PyInit'. Check the function exists.")
        try:
            declare()
        except Exception as error:
            raise RuntimeError(_located(error)) from error

    def _validate_inputs(self) -> dict[str, str]:
        validate = self._own("validateInputs")
        try:
            found: dict[str, str] = {} if validate is None else validate()
        except Exception as error:
            raise RuntimeError(_located(error)) from error
        if type(found) is not dict:
            # Boost takes the keys of a dictionary of another class for a list.
            raise TypeError("'dict_keys' object is not subscriptable")
        return found

    def _execute(self) -> None:
        run = self._own("PyExec")
        if run is None:
            raise RuntimeError(f"{type(self).__name__} has no function named 'PyExec'. Check the function exists.")
        try:
            run()
        except Exception as error:
            raise RuntimeError(_located(error)) from error


class DataProcessorAlgorithm(PythonAlgorithm):
    """An algorithm in Python whose children are recorded in its history."""

    _records_children = True

    def copyProperties(self, alg: str, properties: Any = None, version: int = -1) -> None:
        """Declare properties of another algorithm."""
        from mantid.api._factory import AlgorithmManager

        model = AlgorithmManager.createUnmanaged(alg, version)
        model.initialize()
        names = [properties] if isinstance(properties, str) else properties or model.keys()
        for name in names:
            self._declare(model.getProperty(name))
