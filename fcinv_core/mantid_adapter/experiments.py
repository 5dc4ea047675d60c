"""Detectors and orientation of a workspace, without its events."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcinv_core.events.experiment_info import read_experiments
from fcinv_core.hdf5 import open_hdf5
from fcinv_core.mantid_adapter.children import run_unrecorded, temporary_folder
from fcinv_core.mantid_adapter.logs import incident_energy
from fcinv_core.planning.candidates import Geometry


def workspace_geometry(algorithm: Any, workspace: Any) -> tuple[Geometry, list[float]]:
    """Return where crystal and detectors of a workspace's first run stand, and the incident energies of all runs.

    Parameters
    ----------
    algorithm
        The running algorithm.
    workspace
        IMDEventWorkspace or IMDHistoWorkspace with experiment info.

    Returns
    -------
    The geometry, and the incident energies, meV, ascending.

    Raises
    ------
    InputError
        If the run has no UB matrix or no incident energy.
    """
    infos = [workspace.getExperimentInfo(k) for k in range(workspace.getNumExperimentInfo())]
    # A histogram of one bin carries the experiment into a file as SaveMD writes it.
    child = run_unrecorded(
        algorithm,
        "CreateMDHistoWorkspace",
        Dimensionality=1,
        Extents=[0.0, 1.0],
        SignalInput=[0.0],
        ErrorInput=[0.0],
        NumberOfBins=[1],
        Names=["nothing"],
        Units=["1"],
    )
    carrier = child.getProperty("OutputWorkspace").value
    carrier.addExperimentInfo(infos[0])
    with temporary_folder() as folder:
        file = folder / "experiment.nxs"
        run_unrecorded(algorithm, "SaveMD", InputWorkspace=carrier, Filename=str(file))
        with open_hdf5(file) as opened:
            [first] = read_experiments(
                opened["MDHistoWorkspace"],
                (-np.inf, np.inf),
                ub=np.array(infos[0].sample().getOrientedLattice().getUB()),
                incident_energy=None,
                name=workspace.name() or "the workspace",
            )
    energies = {incident_energy(info.run()) for info in infos}
    return Geometry(first.detectors, first.runs[0].ub), sorted(one for one in energies if one is not None)
