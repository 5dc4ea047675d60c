"""Histories of workspaces: which algorithms made them, with which properties."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property_manager import PropertyHistory


@dataclass
class AlgorithmHistory:
    """One algorithm that ran, and its children."""

    _name: str
    _version: int
    _date: DateAndTime
    _duration: float
    _count: int
    _properties: list[PropertyHistory]
    _children: list[AlgorithmHistory] = field(default_factory=list)
    _uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def name(self) -> str:
        """Return the name of the algorithm."""
        return self._name

    def version(self) -> int:
        """Return the version of the algorithm."""
        return self._version

    def executionDate(self) -> DateAndTime:
        """Return when it ran."""
        return self._date

    def executionDuration(self) -> float:
        """Return how many seconds it took."""
        return self._duration

    def execCount(self) -> int:
        """Return its number among all that ran."""
        return self._count

    def getProperties(self) -> list[PropertyHistory]:
        """Return its properties."""
        return list(self._properties)

    def getPropertyValue(self, index: str) -> str:
        """Return the value of a property as text; RuntimeError if there is none of that name."""
        for known in self._properties:
            if known.name() == index:
                return known.value()
        raise RuntimeError(f"Could not find the specified property: {index}")

    def childHistorySize(self) -> int:
        """Return how many children were recorded."""
        return len(self._children)

    def getChildHistories(self) -> list[AlgorithmHistory]:
        """Return the children."""
        return list(self._children)

    def getChildAlgorithmHistory(self, index: int) -> AlgorithmHistory:
        """Return a child."""
        return self._children[index]

    def getChildAlgorithm(self, index: int) -> Any:
        """Return a child as an algorithm that can run again."""
        return again(self._children[index])


def again(entry: AlgorithmHistory) -> Any:
    """Return an algorithm with the properties that an entry holds."""
    from mantid.api._factory import AlgorithmManager

    algorithm = AlgorithmManager.createUnmanaged(entry.name(), entry.version())
    algorithm.initialize()
    for known in entry.getProperties():
        if not known.isDefault():
            algorithm.setPropertyValue(known.name(), known.value())
    return algorithm


class WorkspaceHistory:
    """The algorithms that made a workspace, the first one first."""

    def __init__(self) -> None:
        self._entries: list[AlgorithmHistory] = []

    def size(self) -> int:
        """Return how many there were."""
        return len(self._entries)

    def __len__(self) -> int:
        return self.size()

    def empty(self) -> bool:
        """Return whether nothing was recorded."""
        return not self._entries

    def getAlgorithmHistories(self) -> list[AlgorithmHistory]:
        """Return all entries."""
        return list(self._entries)

    def getAlgorithmHistory(self, index: int) -> AlgorithmHistory:
        """Return an entry."""
        return self._entries[index]

    def getAlgorithm(self, index: int) -> Any:
        """Return an entry as an algorithm that can run again."""
        return again(self._entries[index])

    def __getitem__(self, index: int) -> Any:
        return self.getAlgorithm(index)

    def lastAlgorithm(self) -> Any:
        """Return the last entry as an algorithm that can run again; RuntimeError if there is none."""
        if not self._entries:
            raise RuntimeError("History contains no algorithms.")
        return self.getAlgorithm(-1)

    def _merge(self, other: WorkspaceHistory) -> None:
        """Add the entries of another history that are not here yet, in the order in which they ran."""
        known = {entry._uuid for entry in self._entries}
        self._entries += [entry for entry in other._entries if entry._uuid not in known]
        self._entries.sort(key=lambda entry: (entry._date, entry._count))

    def _add(self, entry: AlgorithmHistory) -> None:
        self._entries.append(entry)
