"""What all workspaces share."""

from __future__ import annotations

import copy
from typing import Any

from mantid.api._history import WorkspaceHistory
from mantid.kernel._data_item import DataItem, strong_handle


class WorkspaceData:
    """What a workspace is made of; handles point to it."""

    id = ""

    def __init__(self) -> None:
        self.name = ""
        self.title = ""
        self.comment = ""
        self.history = WorkspaceHistory()

    @classmethod
    def python_class(cls) -> type:
        """Return the class of its handles."""
        raise NotImplementedError

    def memory(self) -> int:
        """Return its size in bytes."""
        return 0

    def copied(self) -> Any:
        """Return a copy that has no name."""
        twin = copy.deepcopy(self)
        twin.name = ""
        return twin

    def handle(self) -> Any:
        """Return a handle that keeps it alive."""
        return strong_handle(self)


class Workspace(DataItem):
    """A named collection of data."""

    _data: Any

    def getTitle(self) -> str:
        """Return the title."""
        return str(self._data.title)

    def setTitle(self, title: str) -> None:
        """Set the title."""
        self._data.title = title

    def getComment(self) -> str:
        """Return the comment."""
        return str(self._data.comment)

    def setComment(self, comment: str) -> None:
        """Set the comment; files do not keep it."""
        self._data.comment = comment

    def getName(self) -> str:
        """Return the name in the analysis data service."""
        return self.name()

    def getHistory(self) -> WorkspaceHistory:
        """Return which algorithms made it."""
        history: WorkspaceHistory = self._data.history
        return history

    def getMemorySize(self) -> int:
        """Return its size in bytes."""
        return int(self._data.memory())

    def isDirty(self, n: int = 0) -> bool:
        """Return whether more than n algorithms changed it."""
        return self._data.history.size() > n

    def clone(self, **keywords: Any) -> Any:
        """Copy it with CloneWorkspace."""
        return _run("CloneWorkspace", InputWorkspace=self, **keywords)

    def delete(self) -> None:
        """Delete it with DeleteWorkspace."""
        _run("DeleteWorkspace", Workspace=self)


def _run(name: str, **keywords: Any) -> Any:
    from mantid import simpleapi

    return getattr(simpleapi, name)(**keywords)
