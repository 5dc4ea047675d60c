"""The analysis data service: workspaces by name."""

from __future__ import annotations

from typing import Any

from mantid.api._workspace import Workspace, WorkspaceData
from mantid.kernel._boost import ArgumentError, std_vector_str
from mantid.kernel._data_item import weak_handle


class AnalysisDataServiceImpl:
    """Holds workspaces by name; what it gives out fails once the workspace is deleted."""

    def __init__(self) -> None:
        self._held: dict[str, WorkspaceData] = {}

    def retrieve(self, name: str) -> Any:
        """Return a handle; KeyError if there is no workspace of that name."""
        if not isinstance(name, str):
            raise ArgumentError("Python argument types in retrieve did not match C++ signature: a string is needed")
        if name not in self._held:
            raise KeyError(f"'{name}' does not exist.")
        return weak_handle(self._held[name])

    __getitem__ = retrieve

    def __setitem__(self, name: str, item: Workspace) -> None:
        self.addOrReplace(name, item)

    def __contains__(self, name: str) -> bool:
        return self.doesExist(name)

    def __len__(self) -> int:
        return self.size()

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def doesExist(self, name: str) -> bool:
        """Return whether there is a workspace of that name."""
        return name in self._held

    def getObjectNames(self) -> list[str]:
        """Return all names, sorted; those that begin with two underscores are hidden."""
        return [name for name in sorted(self._held) if not name.startswith("__")]

    def size(self) -> int:
        """Return how many workspaces there are."""
        return len(self._held)

    def add(self, name: str, item: Workspace) -> None:
        """Add a workspace; RuntimeError if the name is taken."""
        if name in self._held:
            raise RuntimeError(f"Unable to insert Data Object : '{name}' already exists")
        self.addOrReplace(name, item)

    def addOrReplace(self, name: str, item: Workspace) -> None:
        """Add a workspace, in place of any of that name."""
        if not isinstance(item, Workspace):
            raise ValueError(f"Cannot add a {type(item).__name__} to the AnalysisDataService, only workspaces")
        self._store(name, item._data)

    def _store(self, name: str, data: WorkspaceData) -> None:
        if not name:
            raise RuntimeError("Add Data Object with empty name")
        if data.name and data.name != name and self._held.get(data.name) is data:
            del self._held[data.name]
        data.name = name
        self._held[name] = data

    def remove(self, name: str) -> None:
        """Delete a workspace."""
        gone = self._held.pop(name, None)
        if gone is not None:
            gone.name = ""

    def clear(self) -> None:
        """Delete all workspaces."""
        for name in list(self._held):
            self.remove(name)

    def retrieveWorkspaces(self, names: list[str], unrollGroups: bool = False) -> list[Any]:
        """Return several handles."""
        handles = []
        for name in names:
            data = self._held.get(name)
            members = getattr(data, "members", None)
            handles += (
                [self.retrieve(part) for part in members] if unrollGroups and members else [self.retrieve(name)]
            )
        return handles

    def addToGroup(self, groupName: str, wsName: str) -> None:
        """Put a workspace into a group."""
        self.retrieve(groupName).add(wsName)

    def removeFromGroup(self, groupName: str, wsName: str) -> None:
        """Take a workspace out of a group."""
        self.retrieve(groupName).remove(wsName)


mtd = AnalysisDataServiceImpl()


class WorkspaceGroupData(WorkspaceData):
    """Names of workspaces that belong together."""

    id = "WorkspaceGroup"

    def __init__(self, members: list[str]) -> None:
        super().__init__()
        self.members = list(members)

    @classmethod
    def python_class(cls) -> type:
        return WorkspaceGroup


class WorkspaceGroup(Workspace):
    """Workspaces that belong together; algorithms run on each of them in turn."""

    def getNames(self) -> list[str]:
        """Return the names of its members."""
        return std_vector_str(self._data.members)

    def size(self) -> int:
        """Return how many members there are."""
        return len(self._data.members)

    __len__ = getNumberOfEntries = size

    def getItem(self, index: int) -> Any:
        """Return a member."""
        return mtd.retrieve(self._data.members[index])

    def __getitem__(self, index: int) -> Any:
        if not -self.size() <= index < self.size():
            raise IndexError("WorkspaceGroup - index out of range")
        return self.getItem(index)

    def contains(self, workspace: str) -> bool:
        """Return whether a name is among its members."""
        return workspace in self._data.members

    __contains__ = contains

    def add(self, workspace_name: str) -> None:
        """Add a workspace by its name."""
        self._data.members.append(workspace_name)

    def remove(self, workspace_name: str) -> None:
        """Take a workspace out of the group."""
        self._data.members.remove(workspace_name)

    def sortByName(self) -> None:
        """Sort the members."""
        self._data.members.sort()
