"""Properties that hold names of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mantid.api._enumerations import FileAction
from mantid.kernel._boost import ArgumentError
from mantid.kernel._config import config
from mantid.kernel._enumerations import Direction
from mantid.kernel._property import StringPropertyWithValue, _PropertyWithValue

_LOADS = (FileAction.Load, FileAction.OptionalLoad)
_OPTIONAL = (FileAction.OptionalSave, FileAction.OptionalLoad, FileAction.OptionalDirectory)


def _found(name: str) -> str:
    """Return the whole path of a file to be loaded, or the name as it is if there is no such file."""
    folders = [Path.cwd(), *(Path(folder) for folder in config.getDataSearchDirs())]
    for path in (folder / name for folder in folders):
        if path.is_file():
            return str(path.absolute())
    return name


class FileProperty(StringPropertyWithValue):
    """A file to be read or written, or a folder: ``(name, default, action[, extensions][, direction])``."""

    def __init__(
        self, name: str, defaultValue: str, action: int, extensions: Any = None, direction: int = Direction.Input
    ) -> None:
        if not isinstance(defaultValue, str) or not isinstance(action, int):
            raise ArgumentError("Python argument types in FileProperty.__init__ did not match C++ signature")
        if not isinstance(extensions, list | tuple | str | None):
            raise ArgumentError("Python argument types in FileProperty.__init__ did not match C++ signature")
        super().__init__(name, defaultValue, None, direction)
        self._action = FileAction(action)
        self._extensions = [extensions] if isinstance(extensions, str) else list(extensions or [])

    @property
    def allowedValues(self) -> list[str]:
        return list(self._extensions)

    @property
    def isValid(self) -> str:
        name = self._value
        if not name:
            return "" if self._action in _OPTIONAL else "No file specified."
        if self._action == FileAction.Load and not Path(name).is_file():
            return f'"{name}" is a directory' if Path(name).is_dir() else f'File "{name}" not found'
        if self._action == FileAction.Directory and not Path(name).is_dir():
            return f'Directory "{name}" not found'
        if self._action in (FileAction.Save, FileAction.OptionalSave) and not Path(name).parent.is_dir():
            return f'Invalid file "{name}": the folder does not exist'
        return ""

    def _parse(self, text: str) -> str:
        name = text.strip()
        if not name:
            return ""
        if self._action in _LOADS:
            return _found(name)
        folder = (
            config["defaultsave.directory"] if self._action in (FileAction.Save, FileAction.OptionalSave) else ""
        )
        return str((Path(folder) / name).absolute())


class MultipleFileProperty(_PropertyWithValue):
    """Several files to be read: "a,b" stands for two, "a+b" for a list of two in it."""

    _type = "list of str lists"

    def __init__(self, name: str, *options: Any, action: int = FileAction.Load, extensions: Any = None) -> None:
        for option in options:
            if isinstance(option, int):
                action = option
            else:
                extensions = option
        if action not in _LOADS or len(options) > 2:
            raise ArgumentError(
                "Python argument types in MultipleFileProperty.__init__ did not match C++ signature"
            )
        super().__init__(name, [], None, Direction.Input)
        self._action = FileAction(action)
        self._extensions = [extensions] if isinstance(extensions, str) else list(extensions or [])

    @property
    def allowedValues(self) -> list[str]:
        return list(self._extensions)

    @property
    def value(self) -> list[str | list[str]]:
        return [files[0] if len(files) == 1 else list(files) for files in self._value]

    @value.setter
    def value(self, new: Any) -> None:
        self._set(new)

    @property
    def isValid(self) -> str:
        if not self._value:
            return "" if self._action == FileAction.OptionalLoad else "No file specified."
        missing = [name for files in self._value for name in files if not Path(name).is_file()]
        return f'File "{missing[0]}" not found' if missing and self._action == FileAction.Load else ""

    def _parse(self, text: str) -> list[list[str]]:
        return [[_found(name.strip()) for name in part.split("+")] for part in text.split(",") if part.strip()]

    def _convert(self, value: Any) -> list[list[str]]:
        if not isinstance(value, list) or not all(isinstance(files, list) for files in value):
            raise TypeError("No registered converter was able to produce a C++ rvalue of type std::vector")
        return [[_found(name) for name in files] for files in value]

    def _format(self, value: list[list[str]]) -> str:
        return ",".join("+".join(files) for files in value)
