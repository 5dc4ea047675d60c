"""Log messages: notices and worse go to standard output, as in Mantid's console."""

from __future__ import annotations

from mantid.kernel._boost import ArgumentError


class Logger:
    """A named source of messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

    def fatal(self, message: str) -> None:
        """Log what makes going on impossible."""
        self._write("Fatal", message)

    def error(self, message: str) -> None:
        """Log what went wrong."""
        self._write("Error", message)

    def warning(self, message: str) -> None:
        """Log what the user should look at."""
        self._write("Warning", message)

    def notice(self, message: str) -> None:
        """Log what the user should know."""
        self._write("Notice", message)

    def information(self, message: str) -> None:
        """Log a detail, which is not shown by default."""
        self._write("", message)

    def debug(self, message: str) -> None:
        """Log a detail for developers, which is not shown by default."""
        self._write("", message)

    def _write(self, level: str, message: str) -> None:
        if not isinstance(message, str):
            raise ArgumentError("Python argument types in Logger did not match C++ signature: a string is needed")
        if level and self._enabled:
            print(f"{self._name}-[{level}] {message}", flush=True)
