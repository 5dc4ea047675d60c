"""The reduction of one ARCS run: an example of the function that fcinv.json names, to be replaced by your own.

It is given the NeXus file and the output folder, saves whatever the instrument saves, and returns the MD event file
that fcinv goes on with: Q_sample and energy transfer, with UB matrix, goniometer and incident energy in its
experiment info. It returns None for a run that is no measurement of the sample (alignment, vanadium).
"""

from pathlib import Path

#: Motor that turns the sample, and the range of energy transfers as shares of the incident energy.
MOTOR, LOWEST, HIGHEST = "CCR13VRot", -0.2, 0.95


def reduce(nexus_file, output_folder):
    """Reduce a run to events in Q_sample and energy transfer; return the file."""
    from mantid.simpleapi import (
        ConvertToMD,
        CropWorkspaceForMDNorm,
        DgsReduction,
        LoadEventNexus,
        LoadIsawUB,
        LoadNexusMonitors,
        SaveMD,
        SetGoniometer,
        mtd,
    )

    orientation = Path(output_folder) / "ub.mat"
    if not orientation.is_file():
        print("no ub.mat in the output folder: the sample is not oriented yet")
        return None
    raw = LoadEventNexus(Filename=nexus_file, OutputWorkspace="raw")
    if not raw.run().hasProperty(MOTOR):
        print(f"the run has no log {MOTOR}: it is no measurement of the turning sample")
        return None
    LoadNexusMonitors(Filename=nexus_file, OutputWorkspace="monitors")
    incident = float(raw.run().getProperty("EnergyRequest").value[-1])
    low, high = LOWEST * incident, HIGHEST * incident
    DgsReduction(
        SampleInputWorkspace="raw",
        SampleInputMonitorWorkspace="monitors",
        IncidentEnergyGuess=incident,
        EnergyTransferRange=[low, high - low, high],
        IncidentBeamNormalisation="None",  # the exposure of the fold holds the proton charge
        SofPhiEIsDistribution=False,  # events stay events
        OutputWorkspace="reduced",
    )
    CropWorkspaceForMDNorm(InputWorkspace="reduced", XMin=low, XMax=high, OutputWorkspace="reduced")
    LoadIsawUB(InputWorkspace="reduced", Filename=str(orientation))
    SetGoniometer(Workspace="reduced", Axis0=f"{MOTOR},0,1,0,1")
    ConvertToMD(
        InputWorkspace="reduced",
        QDimensions="Q3D",
        Q3DFrames="Q_sample",
        dEAnalysisMode="Direct",
        OutputWorkspace="events",
    )
    file = Path(output_folder) / f"{Path(nexus_file).name.partition('.')[0]}_md.nxs"
    SaveMD(InputWorkspace="events", Filename=str(file))
    mtd.clear()
    return str(file)
