"""Algorithms: properties, execution, children, cancelling, and what goes into histories."""

from __future__ import annotations

import threading
import time
from typing import Any

from mantid.api._ads import WorkspaceGroupData, mtd
from mantid.api._declaration import declared
from mantid.api._history import AlgorithmHistory
from mantid.api._workspace_property import WorkspaceProperty
from mantid.kernel._date_and_time import now
from mantid.kernel._enumerations import Direction
from mantid.kernel._logger import Logger
from mantid.kernel._property import Property
from mantid.kernel._property_manager import IPropertyManager, PropertyHistory

_INVALID = "Some invalid Properties found"
_counts = iter(range(1, 2**62))


class Algorithm(IPropertyManager):
    """An algorithm; what it does is `_initialise` and `_execute` of derived classes."""

    #: Whether children leave a trace in its history.
    _records_children = False

    def __init__(self) -> None:
        self._properties = {}
        self._initialized = self._executed = self._running = False
        self._is_child = self._rethrows = self._always_stores = False
        self._cancelled = False
        self._records = type(self)._records_children
        self._parent_history: AlgorithmHistory | None = None
        self._history: AlgorithmHistory | None = None
        self._children: list[Algorithm] = []
        self._observers: list[Any] = []
        self._logger = Logger(self.name())
        self._logging = True
        self._startup_logging = True

    # What it is

    def name(self) -> str:
        """Return its name."""
        return type(self).__name__

    def version(self) -> int:
        """Return its version."""
        return 1

    def category(self) -> str:
        """Return its place in the tree of algorithms."""
        return "Misc"

    def categories(self) -> list[str]:
        """Return its places in the tree of algorithms."""
        return self.category().split(";")

    def summary(self) -> str:
        """Return a sentence on what it does."""
        return ""

    def seeAlso(self) -> list[str]:
        """Return names of algorithms like it."""
        return []

    def alias(self) -> str:
        """Return another name."""
        return ""

    def helpURL(self) -> str:
        """Return where its help is, empty for the default."""
        return ""

    def docString(self) -> str:
        """Return the help for Python: summary and properties."""
        lines = [self.summary(), "", "Property descriptions: "]
        lines += [f"{known.name}({known.type}) {known.documentation}" for known in self._ordered()]
        return "\n".join(lines)

    # Properties

    def declareProperty(self, *arguments: Any, **keywords: Any) -> None:
        """Add a property: ``(property[, doc])`` or ``(name, default[, validator][, doc][, direction])``."""
        self._declare(declared(arguments, keywords))

    def _ordered(self) -> list[Property]:
        """Return properties as a function takes them: those that must be given first."""
        known = list(self._properties.values())
        return sorted(known, key=lambda prop: not prop.isValid)

    def mandatoryProperties(self) -> list[str]:
        """Return the names of properties that are no outputs, those that must be given first."""
        return [known.name for known in self._ordered() if known.direction != Direction.Output]

    def orderedProperties(self) -> list[str]:
        """Return all names, those that must be given first."""
        return [known.name for known in self._ordered()]

    def outputProperties(self) -> list[str]:
        """Return the names of outputs."""
        return [known.name for known in self._properties.values() if known.direction == Direction.Output]

    def inoutProperties(self) -> list[str]:
        """Return the names of what is changed in place."""
        return [known.name for known in self._properties.values() if known.direction == Direction.InOut]

    def _workspaces(self, *directions: int) -> list[WorkspaceProperty]:
        known = self._properties.values()
        return [prop for prop in known if isinstance(prop, WorkspaceProperty) and prop.direction in directions]

    # State

    def initialize(self) -> None:
        """Declare the properties, once."""
        if not self._initialized:
            self._initialise()
            self._initialized = True

    def isInitialized(self) -> bool:
        """Return whether properties are declared."""
        return self._initialized

    def isExecuted(self) -> bool:
        """Return whether it ran to its end."""
        return self._executed

    def isRunning(self) -> bool:
        """Return whether it is running."""
        return self._running

    def isChild(self) -> bool:
        """Return whether another algorithm runs it."""
        return self._is_child

    def setChild(self, is_child: bool) -> None:
        """Say whether another algorithm runs it."""
        self._is_child = is_child

    def setRethrows(self, rethrow: bool) -> None:
        """Say whether errors reach the caller."""
        self._rethrows = rethrow

    def setAlwaysStoreInADS(self, do_store: bool) -> None:
        """Say whether a child stores its outputs too."""
        self._always_stores = do_store

    def enableHistoryRecordingForChild(self, on: bool) -> None:
        """Say whether it, or its children, leave a trace in the history of their parent."""
        self._records = on

    def log(self) -> Logger:
        """Return where it logs to."""
        return self._logger

    getLogger = log

    def isLogging(self) -> bool:
        """Return whether it logs."""
        return self._logging

    def setLogging(self, value: bool) -> None:
        """Say whether it logs."""
        self._logging = self._logger._enabled = value

    def getAlgStartupLogging(self) -> bool:
        """Return whether its start is logged."""
        return self._startup_logging

    def setAlgStartupLogging(self, enabled: bool) -> None:
        """Say whether its start is logged."""
        self._startup_logging = enabled

    # Children and cancelling

    def createChildAlgorithm(
        self,
        name: str,
        startProgress: float = -1.0,
        endProgress: float = -1.0,
        enableLogging: bool = True,
        version: int = -1,
    ) -> Algorithm:
        """Return another algorithm to be run as a step of this one; outputs without names get dummies."""
        from mantid.api._factory import AlgorithmManager

        child = AlgorithmManager.createUnmanaged(name, version)
        child.initialize()
        child.setChild(True)
        child.setLogging(enableLogging)
        child.setRethrows(True)
        for output in child._workspaces(Direction.Output):
            if not output.isOptional() and not output.valueAsStr:
                output.valueAsStr = f"__TMP{id(child):x}"
        if type(self)._records_children:
            child.enableHistoryRecordingForChild(self._records)
            child._parent_history = self._history if self._records else None
        self._children.append(child)
        return child

    def cancel(self) -> None:
        """Ask it and its children to stop at their next report of progress."""
        self._cancelled = True
        for child in self._children:
            child.cancel()

    def _report(self, fraction: float, message: str) -> None:
        if self._cancelled:
            raise KeyboardInterrupt("Algorithm terminated")
        for observer in list(self._observers):
            if "progress" in observer._wanted[id(self)]:
                observer.progressHandle(fraction, message)

    def _tell(self, event: str, *arguments: Any) -> None:
        for observer in list(self._observers):
            if event in observer._wanted[id(self)]:
                getattr(observer, f"{event}Handle")(*arguments)

    # Execution

    def execute(self) -> bool:
        """Run it and return whether that worked; children and those that rethrow raise RuntimeError."""
        if not self._initialized:
            raise RuntimeError(f"Algorithm is not initialised:{self.name()}")
        self._executed, self._cancelled = False, False
        self._check_properties()
        inputs = self._workspaces(Direction.Input, Direction.InOut)
        groups = {prop.name: members for prop in inputs if (members := prop._group_members())}
        if not groups:
            self._check_inputs()
        self._running = True
        self._tell("start")
        try:
            if groups:
                self._execute_on_groups(groups)
            else:
                self._execute_once()
            self._executed = True
        except KeyboardInterrupt as interruption:
            self._logger.error(f"{self.name()}: Execution terminated by user.")
            self._tell("error", str(interruption))
            raise
        except Exception as error:
            self._tell("error", str(error))
            if self._is_child or self._rethrows:
                raise
            self._logger.error(f"Error in execution of algorithm {self.name()}:\n{error}")
        finally:
            self._running = False
            self._children = []
        if self._executed:
            self._tell("finish")
        return self._executed

    def executeAsync(self) -> None:
        """Run it in another thread."""

        def run() -> None:
            try:
                self.execute()
            except (Exception, KeyboardInterrupt):
                return

        self._running = True
        threading.Thread(target=run, daemon=True).start()

    def _check_properties(self) -> None:
        for prop in self._workspaces(Direction.Input, Direction.InOut):
            prop._fetch()
        problems = {known.name: known.isValid for known in self._properties.values() if known.isValid}
        for name, problem in problems.items():
            self._logger.error(f"Invalid value for {name}: {problem}")
        if problems:
            raise RuntimeError(_INVALID)

    def _check_inputs(self) -> None:
        problems = self._validate_inputs()
        for name, problem in problems.items():
            if not isinstance(name, str) or not isinstance(problem, str):
                raise RuntimeError("validateInputs must return a dictionary of strings")
            known = "Invalid value for" if self.existsProperty(name) else "validateInputs: unknown property"
            self._logger.warning(f"{known} {name}: {problem}")
        if any(self.existsProperty(name) for name in problems):
            raise RuntimeError(_INVALID)

    def _execute_once(self) -> None:
        start, clock = now(), time.perf_counter()
        tracks = not self._is_child or self._records
        self._history = AlgorithmHistory(self.name(), self.version(), start, 0.0, next(_counts), [])
        self._execute()
        if self._cancelled:
            raise KeyboardInterrupt("Algorithm terminated")
        self._history._duration = time.perf_counter() - clock
        self._history._properties = [_remembered(known) for known in self._properties.values()]
        if tracks:
            self._fill_history()
        if not self._is_child or self._always_stores:
            self._store()

    def _fill_history(self) -> None:
        if self._history is None:
            return
        if self._is_child:
            if self._parent_history is not None:
                self._parent_history._children.append(self._history)
            return
        inputs = [
            prop._held for prop in self._workspaces(Direction.Input, Direction.InOut) if prop._held is not None
        ]
        for output in self._workspaces(Direction.Output, Direction.InOut):
            if output._held is None:
                continue
            for source in inputs:
                if source is not output._held:
                    output._held.history._merge(source.history)
            output._held.history._add(self._history)

    def _store(self) -> None:
        for output in self._workspaces(Direction.Output, Direction.InOut):
            if output._held is None:
                if output.isOptional():
                    continue
                raise RuntimeError(f"{output.name} does not point to a workspace")
            mtd._store(output.valueAsStr, output._held)
        for prop in self._workspaces(Direction.Input, Direction.Output, Direction.InOut):
            prop._held = None

    def _execute_on_groups(self, groups: dict[str, list[str]]) -> None:
        """Run once for each member; outputs are grouped, and the entry lands on the inputs."""
        start, clock = now(), time.perf_counter()
        count = max(len(members) for members in groups.values())
        outputs: dict[str, list[str]] = {prop.name: [] for prop in self._workspaces(Direction.Output)}
        for index in range(count):
            member = self.createChildAlgorithm(self.name(), version=self.version())
            member.setAlwaysStoreInADS(True)
            member.enableHistoryRecordingForChild(False)
            for known in self._properties.values():
                if known.name in groups:
                    names = groups[known.name]
                    member.setPropertyValue(known.name, names[min(index, len(names) - 1)])
                elif known.name in outputs:
                    if known.valueAsStr:
                        first = next(iter(groups.values()))[index]
                        outputs[known.name].append(f"{first}_{known.valueAsStr}")
                        member.setPropertyValue(known.name, outputs[known.name][-1])
                elif not known.isDefault:
                    member.setPropertyValue(known.name, known.valueAsStr)
            member.execute()
        entry = AlgorithmHistory(self.name(), self.version(), start, time.perf_counter() - clock, next(_counts), [])
        entry._properties = [_remembered(known) for known in self._properties.values()]
        for members in groups.values():
            for name in members:
                mtd._held[name].history._add(entry)
        for prop in self._workspaces(Direction.Output):
            if outputs[prop.name]:
                prop._held = WorkspaceGroupData(outputs[prop.name])
                mtd._store(prop.valueAsStr, prop._held)

    def validateInputs(self) -> dict[str, str]:
        """Return what is wrong with the values taken together: a sentence for each property."""
        return {}

    def _validate_inputs(self) -> dict[str, str]:
        return self.validateInputs()

    def _initialise(self) -> None:
        raise NotImplementedError

    def _execute(self) -> None:
        raise NotImplementedError


def _remembered(known: Property) -> PropertyHistory:
    if isinstance(known, WorkspaceProperty):
        return known._history_entry()
    return PropertyHistory(known.name, known.valueAsStr, known.type, known.isDefault, known.direction)
