"""Events of a workspace as a source that the core can stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.events.opening import open_events
from fcinv_core.events.source import EventSource
from fcinv_core.mantid_adapter.children import run_unrecorded, temporary_folder


@dataclass(frozen=True, eq=False)
class WorkspaceEvents:
    """Events of a workspace, for as long as the file lives that they are read from.

    Attributes
    ----------
    source
        The events.
    file
        The file; its first experiment is that of the workspace.
    """

    source: EventSource
    file: Path


@contextlib.contextmanager
def workspace_events(algorithm: Any, workspace: Any) -> Iterator[WorkspaceEvents]:
    """Open the events of an MD event workspace.

    A workspace that lives in a file is read in place; any other is saved to a temporary file, because Python has no
    access to its events.

    Parameters
    ----------
    algorithm
        The running algorithm.
    workspace
        IMDEventWorkspace with experiment info.

    Raises
    ------
    InputError
        If the events cannot be used, the disk is too small, or the file of a workspace holds other events than it.
    """
    controller = workspace.getBoxController()
    if controller.isFileBacked() and controller.getFilename():
        yield _in_place(workspace, Path(controller.getFilename()))
        return
    with temporary_folder(int(workspace.getMemorySize())) as folder:
        file = folder / "events.nxs"
        run_unrecorded(algorithm, "SaveMD", InputWorkspace=workspace, Filename=str(file))
        yield WorkspaceEvents(_named(open_events(file), workspace), file)


def _in_place(workspace: Any, file: Path) -> WorkspaceEvents:
    """Events of the file, runs as they are in memory: SetUB or SetGoniometer do not reach the file."""
    infos = [workspace.getExperimentInfo(k) for k in range(workspace.getNumExperimentInfo())]
    matrices = [np.array(info.sample().getOrientedLattice().getUB()) for info in infos]
    source = open_events(file, ub=matrices[0])
    if source.n_events != workspace.getNEvents() or len(source.runs) != len(infos):
        raise InputError(
            f"{file} holds {source.n_events} events of {len(source.runs)} runs",
            f"the workspace that lives in it has {workspace.getNEvents()} of {len(infos)}",
            "save it with SaveMD(UpdateFileBackEnd=True)",
        )
    runs = tuple(
        replace(run, ub=ub, goniometer=np.array(info.run().getGoniometer().getR()))
        for run, ub, info in zip(source.runs, matrices, infos, strict=True)
    )
    return WorkspaceEvents(_named(replace(source, runs=runs), workspace), file)


def _named(source: EventSource, workspace: Any) -> EventSource:
    """The source by the name that the user knows."""
    # A workspace that a parent algorithm hands over has no name.
    name = workspace.name() or "the workspace"
    return replace(source, description=f"{name}, {source.description.partition(', ')[2]}")
