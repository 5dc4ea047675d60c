"""From reduced runs to force constants: a script for Mantid to copy, change in its first part, and run.

As it stands it inverts the virtual experiment on germanium that comes with fcinv. Run all of it, or a selection, in
the editor of Workbench, or all of it as `mantidpython reduce_and_invert.py`. `fcinv mantid-setup --check` says
whether Mantid knows the algorithms.
"""

from pathlib import Path

from mantid.simpleapi import (
    ConvertToMD,
    FoldToIQE,
    GeneratePythonScript,
    InvertForceConstants,
    Load,
    LoadMD,
    SetGoniometer,
    SetUB,
    SimulateDispersion,
    mtd,
)

from fcinv_core.shipped import virtual_experiment

# --- What to change -------------------------------------------------------------------------------

# Events that SaveMD wrote, in Q_sample, Q_lab or HKL with energy transfer; or None to make them of reduced runs.
EVENTS = virtual_experiment() / "ge_small.nxs"

# Reduced runs, one file for each orientation: what DgsReduction leaves with SofPhiEIsDistribution=False and
# IncidentBeamNormalisation="None", after CropWorkspaceForMDNorm. The exposure of the fold holds the proton charge.
RUNS = sorted(Path("reduced").glob("*.nxs"))
# The axis that turns the sample: name of its log, direction, and 1 for counter-clockwise.
AXIS = "CCR13VRot,0,1,0,1"
# Lattice and orientation, as a refinement of Bragg peaks gave them.
ORIENTATION = {"a": 5.658, "b": 5.658, "c": 5.658, "alpha": 90, "beta": 90, "gamma": 90, "u": "1,1,0", "v": "0,0,1"}
# Corners of the box that all events lie in: Q_sample (1/Angstrom) and energy transfer (meV).
LOWEST, HIGHEST = [-10.0, -10.0, -10.0, -5.0], [10.0, 10.0, 10.0, 42.0]

# The crystal, any cell of it: POSCAR, CIF or phonopy yaml.
STRUCTURE = virtual_experiment() / "POSCAR"
# A vanadium run, one value a spectrum, such as Load gives; None for geometric solid angles.
VANADIUM = None
# A trained model: its folder, or the name of one that comes with fcinv.
MODEL = "ge"
# Where the results go; a full path, as Mantid takes others from its own default folder.
RESULT = Path("result").resolve()

# --- Events ---------------------------------------------------------------------------------------

if EVENTS is not None:
    # Without the history of the file, a script that is made of the history of the results begins here.
    LoadMD(Filename=str(EVENTS), LoadHistory=False, OutputWorkspace="events")
else:
    for run in RUNS:
        Load(Filename=str(run), OutputWorkspace="reduced")
        SetUB(Workspace="reduced", **ORIENTATION)
        SetGoniometer(Workspace="reduced", Axis0=AXIS)
        # Added to what is there, as MergeMD would forget how its inputs were made.
        ConvertToMD(
            InputWorkspace="reduced",
            QDimensions="Q3D",
            dEAnalysisMode="Direct",
            Q3DFrames="Q_sample",
            MinValues=LOWEST,
            MaxValues=HIGHEST,
            PreprocDetectorsWS="-",
            OverwriteExisting=False,
            OutputWorkspace="events",
        )

# --- I(q,E) in one Brillouin zone -----------------------------------------------------------------

options = {}
if VANADIUM is not None:
    Load(Filename=str(VANADIUM), OutputWorkspace="vanadium")
    options["SolidAngleWorkspace"] = "vanadium"
FoldToIQE(InputWorkspace="events", StructureFile=str(STRUCTURE), OutputWorkspace="iqe", **options)

# --- Force constants ------------------------------------------------------------------------------

# The folder holds report.html, and phonopy_params.yaml for phonopy and everything that reads its files.
InvertForceConstants(
    InputWorkspace="iqe",
    Model=str(MODEL),
    ResultFolder=str(RESULT),
    OutputWorkspace="force_constants",
)
for number in range(8):
    print(mtd["force_constants"].row(number))

# --- What they mean for what was measured ---------------------------------------------------------

# "expected" is the one-phonon scattering on the coverage of "iqe": the two should look alike.
SimulateDispersion(
    ForceConstantsTable="force_constants",
    StructureFile=str(STRUCTURE),
    CoverageWorkspace="iqe",
    OutputWorkspace="bands",
    OutputCoverageWorkspace="expected",
)

# --- How it was done ------------------------------------------------------------------------------

GeneratePythonScript(InputWorkspace="expected", Filename=str(RESULT / "history.py"))
print(f"open {RESULT / 'report.html'}; {RESULT / 'history.py'} does all of this again")
