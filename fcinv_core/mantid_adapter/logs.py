"""What the experiment infos of a workspace say, and what is missing there: asked before anything is computed."""

from __future__ import annotations

import json
from typing import Any

from fcinv_core.events.experiment_info import ENERGY_LOGS
from fcinv_core.nexus import CONTENT_LOG


def missing_for_folding(workspace: Any) -> str | None:
    """Say what an MD event workspace lacks to be folded, in one sentence; None if it has it all.

    Parameters
    ----------
    workspace
        IMDEventWorkspace.
    """
    if workspace.getNumDims() != 4:
        return (
            f"It has {workspace.getNumDims()} dimensions, and three of Q and one of energy transfer are needed: "
            "make it with ConvertToMD, QDimensions='Q3D' and dEAnalysisMode='Direct'."
        )
    missing = missing_in_experiments(workspace)
    if missing is not None:
        return missing
    return None if workspace.getNEvents() else "It holds no events: check the limits that ConvertToMD was given."


def missing_in_experiments(workspace: Any) -> str | None:
    """Say what the experiment infos of a workspace lack, in one sentence; None if orientation and energy are known.

    Parameters
    ----------
    workspace
        IMDEventWorkspace or IMDHistoWorkspace.
    """
    count = workspace.getNumExperimentInfo()
    if count == 0:
        return (
            "It has no experiment info, so orientation, incident energy and detectors are not known: "
            "make it with ConvertToMD, or load it with its experiment."
        )
    for k in range(count):
        info = workspace.getExperimentInfo(k)
        where = "" if count == 1 else f" in experiment info {k} of {count}"
        if not info.sample().hasOrientedLattice():
            return f"The sample has no UB matrix{where}: set it with SetUB or LoadIsawUB."
        if incident_energy(info.run()) is None:
            return (
                f"There is no incident energy{where}: give each run the log Ei before ConvertToMD "
                "(AddSampleLog, LogType='Number', NumberType='Double')."
            )
    return None


def stored_content(workspace: Any) -> dict[str, Any]:
    """Return what fcinv stored in the sample logs of a workspace as JSON; empty where it stored nothing.

    Parameters
    ----------
    workspace
        IMDHistoWorkspace.
    """
    if workspace.getNumExperimentInfo() == 0:
        return {}
    run = workspace.getExperimentInfo(0).run()
    return dict(json.loads(run.getProperty(CONTENT_LOG).value)) if run.hasProperty(CONTENT_LOG) else {}


def incident_energy(run: Any) -> float | None:
    """Return the incident energy of a run, meV; None if no log tells it."""
    names = {str(name).lower(): str(name) for name in run.keys()}  # noqa: SIM118 - Run is no mapping
    for known in ENERGY_LOGS:
        if known in names:
            value = run.getProperty(names[known]).value
            try:
                energy = float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
            except (TypeError, ValueError, IndexError):
                continue
            if 0 < energy < float("inf"):
                return energy
    return None
