"""Properties that hold workspaces, by name or as objects."""

from __future__ import annotations

from typing import Any

from mantid.api._ads import WorkspaceGroup, WorkspaceGroupData, mtd
from mantid.api._enumerations import LockMode, PropertyMode
from mantid.api._matrix_workspace import MatrixWorkspace
from mantid.api._md_events import IMDEventWorkspace
from mantid.api._md_geometry import IMDWorkspace
from mantid.api._md_histo import IMDHistoWorkspace
from mantid.api._table import ITableWorkspace
from mantid.api._workspace import Workspace, WorkspaceData
from mantid.kernel._boost import ArgumentError
from mantid.kernel._enumerations import Direction
from mantid.kernel._property import Property
from mantid.kernel._property_manager import PropertyHistory
from mantid.kernel._validators import IValidator


class IWorkspaceProperty:
    """The part that workspace properties share."""

    _locking = True

    def isLocking(self) -> bool:
        """Return whether the workspace is locked while the algorithm runs."""
        return self._locking


class WorkspaceProperty(Property, IWorkspaceProperty):
    """A workspace of any kind: ``(name, default name, direction[, mode][, lock][, validator])``."""

    _type = "Workspace"
    _accepts: type = Workspace

    def __init__(self, name: str, defaultName: str, direction: int, *options: Any, **keywords: Any) -> None:
        if not isinstance(defaultName, str) or not isinstance(direction, Direction):
            raise self._signature_error()
        mode, locking, validator = self._options(options, keywords)
        super().__init__(name, defaultName, validator, direction)
        self._optional = mode == PropertyMode.Optional
        self._locking = locking == LockMode.Lock
        self._held: WorkspaceData | None = None

    def _options(self, options: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, Any, IValidator | None]:
        found = {"optional": PropertyMode.Mandatory, "locking": LockMode.Lock, "validator": None, **keywords}
        kinds = {"optional": PropertyMode, "locking": LockMode, "validator": IValidator}
        allowed = list(kinds)
        if set(found) != set(kinds):
            raise self._signature_error()
        for option in options:
            key = next((key for key in allowed if isinstance(option, kinds[key])), None)
            if key is None or key in keywords:
                raise self._signature_error()
            found[key] = option
            allowed = allowed[allowed.index(key) + 1 :]
        return found["optional"], found["locking"], found["validator"]

    def _signature_error(self) -> ArgumentError:
        return ArgumentError(f"Python argument types in {type(self).__name__}.__init__ did not match C++ signature")

    @property
    def value(self) -> Any:
        """The workspace, None if there is none."""
        return None if self._held is None else self._held.handle()

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)

    def dtype(self) -> str:
        """Return numpy's letter for the type: there is none."""
        return ""

    def isOptional(self) -> bool:
        """Return whether it may be left out."""
        return self._optional

    @property
    def isValid(self) -> str:
        if self._held is not None and not self._fits(self._held):
            return f"Workspace {self._held.name} is not of the correct type"
        if self._direction == Direction.Output:
            return "Enter a name for the Output workspace" if not self._value and not self._optional else ""
        if self._held is None:
            if self._value:
                return f'Workspace "{self._value}" was not found in the Analysis Data Service'
            return "" if self._optional else "Enter a name for the Input/InOut workspace"
        return "" if self._validator is None else self._validator._problem(self._held.handle())

    def _fits(self, data: WorkspaceData) -> bool:
        if issubclass(data.python_class(), self._accepts):
            return True
        if not isinstance(data, WorkspaceGroupData):
            return False
        return all(self._fits(mtd._held[name]) for name in data.members if name in mtd._held)

    def _group_members(self) -> list[str] | None:
        """Return the members of a group that stands where one workspace is wanted."""
        if isinstance(self._held, WorkspaceGroupData) and not issubclass(WorkspaceGroup, self._accepts):
            return list(self._held.members)
        return None

    def _set(self, value: Any) -> None:
        if isinstance(value, str):
            self._set_text(value)
            return
        if not isinstance(value, Workspace):
            raise TypeError(
                "No registered converter was able to produce a C++ rvalue of type "
                f"std::shared_ptr<Mantid::API::{self._type}> from this Python object of type {type(value).__name__}"
            )
        data = value._data
        name = data.name if data.name or self._direction == Direction.Input else self._value
        self._take(name, data, data.name)

    def _set_text(self, text: str) -> None:
        if not isinstance(text, str):
            raise ArgumentError("Python argument types did not match C++ signature: a string is needed")
        self._take(text, None if self._direction == Direction.Output else mtd._held.get(text), text)

    def _take(self, name: str, data: WorkspaceData | None, text: str) -> None:
        before = self._value, self._held
        self._value, self._held = name, data
        problem = self.isValid
        if problem:
            self._value, self._held = before
            raise self._invalid(text, problem)

    def _fetch(self) -> None:
        """Look again for an input that was given by a name."""
        if self._direction != Direction.Output and self._value:
            self._held = mtd._held.get(self._value, self._held)

    def _history_entry(self) -> PropertyHistory:
        """Return what a history keeps of it; a workspace without a name gets one that nobody can use."""
        if self._held is not None and (not self._value or self._value.startswith("__TMP")):
            return PropertyHistory(self._name, f"__TMP{id(self._held):#x}", self._type, False, self.direction)
        return PropertyHistory(self._name, self._value, self._type, self.isDefault, self.direction)


class MatrixWorkspaceProperty(WorkspaceProperty):
    """A matrix workspace."""

    _type = "MatrixWorkspace"
    _accepts = MatrixWorkspace


class IMDWorkspaceProperty(WorkspaceProperty):
    """A workspace with dimensions: events, histogram or matrix."""

    _type = "IMDWorkspace"
    _accepts = IMDWorkspace


class IMDEventWorkspaceProperty(WorkspaceProperty):
    """Events in several dimensions."""

    _type = "MDEventWorkspace"
    _accepts = IMDEventWorkspace


class IMDHistoWorkspaceProperty(WorkspaceProperty):
    """A multidimensional histogram."""

    _type = "IMDHistoWorkspace"
    _accepts = IMDHistoWorkspace


class ITableWorkspaceProperty(WorkspaceProperty):
    """A table."""

    _type = "TableWorkspace"
    _accepts = ITableWorkspace


class WorkspaceGroupProperty(WorkspaceProperty):
    """A group."""

    _type = "WorkspaceGroup"
    _accepts = WorkspaceGroup
