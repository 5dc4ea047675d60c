"""Histograms of the core as MDHistoWorkspaces, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fcinv_core.mantid_adapter.children import run_unrecorded, temporary_folder


def histogram_workspace(
    algorithm: Any, write: Callable[[Path], None], between: Callable[[], None] = lambda: None
) -> Any:
    """Return the MDHistoWorkspace of what a function writes: equal to the one that LoadMD makes of such a file.

    Parameters
    ----------
    algorithm
        The running algorithm.
    write
        Called with the path of a file that it writes (`fcinv_core.nexus.write_mdhisto` and what is built on it).
    between
        Called between writing and loading, so that a user need not wait for both who cancels.
    """
    with temporary_folder() as folder:
        file = folder / "histogram.nxs"
        write(file)
        between()
        child = run_unrecorded(algorithm, "LoadMD", Filename=str(file), LoadHistory=False)
    return child.getProperty("OutputWorkspace").value


@contextlib.contextmanager
def histogram_file(algorithm: Any, workspace: Any) -> Iterator[Path]:
    """Yield a file with the content of an MDHistoWorkspace; it is gone when the block ends.

    Parameters
    ----------
    algorithm
        The running algorithm.
    workspace
        IMDHistoWorkspace.

    Raises
    ------
    InputError
        If the disk is too small.
    """
    with temporary_folder(int(workspace.getMemorySize())) as folder:
        file = folder / "histogram.nxs"
        run_unrecorded(algorithm, "SaveMD", InputWorkspace=workspace, Filename=str(file))
        yield file
