"""Child algorithms of a running algorithm that leave no trace in the history of its results."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fcinv_core.errors import InputError


def run_unrecorded(algorithm: Any, name: str, **properties: Any) -> Any:
    """Run a child algorithm and return it, its outputs as properties.

    It is left out of the recorded history: what it reads or writes is gone when the parent ends, so that a script
    made of the history could not repeat it.

    Parameters
    ----------
    algorithm
        The running algorithm.
    name
        Of the child.
    properties
        Of the child.

    Raises
    ------
    RuntimeError
        If the child fails.
    """
    child = algorithm.createChildAlgorithm(name, enableLogging=False)
    child.enableHistoryRecordingForChild(False)
    for key, value in properties.items():
        child.setProperty(key, value)
    child.execute()
    return child


@contextlib.contextmanager
def temporary_folder(needed: int = 0) -> Iterator[Path]:
    """Yield a folder that is gone when the block ends, with room for ``needed`` bytes.

    Raises
    ------
    InputError
        If there is less room.
    """
    with tempfile.TemporaryDirectory(prefix="fcinv-") as name:
        free = shutil.disk_usage(name).free
        if free < needed:
            raise InputError(
                f"the folder {Path(name).parent} has room for {free / 1e9:.1f} GB",
                f"{needed / 1e9:.1f} GB are needed to pass the workspace on",
                "set the environment variable TMPDIR to a folder with more room, or load with FileBackEnd",
            )
        yield Path(name)
