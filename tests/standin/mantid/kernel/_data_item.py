"""Handles on what the analysis data service holds: they do not keep it alive."""

from __future__ import annotations

import weakref
from typing import Any


class DataItem:
    """A handle on data, strong or weak; two handles on the same data are not equal."""

    _strong: Any = None
    _weak: weakref.ref[Any] | None = None

    def __init__(self) -> None:
        raise RuntimeError("This class cannot be instantiated from Python")

    @property
    def _data(self) -> Any:
        data = self._strong if self._weak is None else self._weak()
        if data is None:
            raise RuntimeError("Variable invalidated, data has been deleted.")
        return data

    def id(self) -> str:
        """Return the name of the kind of data."""
        return str(self._data.id)

    def name(self) -> str:
        """Return the name in the analysis data service, empty if it is not there."""
        return str(self._data.name)

    def threadSafe(self) -> bool:
        """Return whether several threads may read at once."""
        return True

    def __str__(self) -> str:
        return self.name()


def strong_handle(data: Any) -> Any:
    """Return a handle that keeps the data alive."""
    handle = object.__new__(data.python_class())
    handle._strong = data
    return handle


def weak_handle(data: Any) -> Any:
    """Return a handle that fails once the data are gone."""
    handle = object.__new__(data.python_class())
    handle._weak = weakref.ref(data)
    return handle
