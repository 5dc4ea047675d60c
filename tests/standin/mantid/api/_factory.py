"""Where algorithms are registered, and where they are made."""

from __future__ import annotations

from typing import Any

from mantid.api._algorithm import Algorithm
from mantid.api._native_algorithm import NATIVE, NativeAlgorithm
from mantid.api._table import TableData
from mantid.kernel._boost import ArgumentError


class AlgorithmFactoryImpl:
    """Algorithms by name and version."""

    def __init__(self) -> None:
        self._classes: dict[str, dict[int, type[Algorithm]]] = {}

    def subscribe(self, object: type[Algorithm]) -> None:
        """Register a class, in place of any of that name; ValueError if it is no algorithm."""
        if not isinstance(object, type) or not issubclass(object, Algorithm):
            raise ValueError("Cannot register an algorithm that does not derive from Algorithm.")
        instance = object()
        self._classes.setdefault(instance.name(), {})[instance.version()] = object

    def unsubscribe(self, name: str, version: int) -> None:
        """Remove a class."""
        self._classes.get(name, {}).pop(version, None)

    def exists(self, name: str, version: int = -1) -> bool:
        """Return whether an algorithm is known."""
        known = self._classes.get(name, {1: None} if name in NATIVE else {})
        return bool(known) and (version == -1 or version in known)

    def highestVersion(self, algorithm_name: str) -> int:
        """Return the newest version; ValueError if there is none of that name."""
        if not self.exists(algorithm_name):
            raise ValueError(f"AlgorithmFactory::highestVersion - algorithm {algorithm_name} is not registered")
        return max(self._classes.get(algorithm_name, {1: None}))

    def getRegisteredAlgorithms(self, include_hidden: bool) -> dict[str, list[int]]:
        """Return the versions of each algorithm."""
        return {name: [1] for name in NATIVE} | {
            name: list(known) for name, known in self._classes.items() if known
        }

    def _create(self, name: str, version: int) -> Algorithm:
        if not isinstance(name, str):
            raise ArgumentError("Python argument types in create did not match C++ signature: a string is needed")
        if not self.exists(name, version):
            raise RuntimeError(f"Algorithm not registered {name}")
        known = self._classes.get(name)
        if not known:
            return NativeAlgorithm(name)
        return known[self.highestVersion(name) if version == -1 else version]()


class AlgorithmManagerImpl:
    """Makes algorithms and remembers those that it manages."""

    def __init__(self) -> None:
        self._managed: list[Algorithm] = []

    def create(self, name: str, version: int = -1) -> Algorithm:
        """Return an algorithm with its properties declared; RuntimeError if there is none of that name."""
        algorithm = AlgorithmFactory._create(name, version)
        algorithm.initialize()
        self._managed = [*self._managed[-99:], algorithm]
        return algorithm

    def createUnmanaged(self, name: str, version: int = -1) -> Algorithm:
        """Return an algorithm whose properties are not declared yet."""
        return AlgorithmFactory._create(name, version)

    def newestInstanceOf(self, algorithm_name: str) -> Any:
        """Return the newest managed algorithm of a name, None if there is none."""
        return next((known for known in reversed(self._managed) if known.name() == algorithm_name), None)

    def runningInstancesOf(self, algorithm_name: str) -> list[Algorithm]:
        """Return the managed algorithms of a name that are running."""
        return [known for known in self._managed if known.name() == algorithm_name and known.isRunning()]

    def cancelAll(self) -> None:
        """Ask all running algorithms to stop."""
        for known in self._managed:
            if known.isRunning():
                known.cancel()

    def clear(self) -> None:
        """Forget all algorithms."""
        self._managed = []

    def size(self) -> int:
        """Return how many algorithms are remembered."""
        return len(self._managed)


class WorkspaceFactoryImpl:
    """Makes empty workspaces."""

    def createTable(self, className: str = "TableWorkspace") -> Any:
        """Return an empty table."""
        if className != "TableWorkspace":
            raise RuntimeError(f"Class {className} is not registered in the factory")
        return TableData().handle()


AlgorithmFactory = AlgorithmFactoryImpl()
AlgorithmManager = AlgorithmManagerImpl()
WorkspaceFactory = WorkspaceFactoryImpl()
