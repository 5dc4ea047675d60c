"""Chains of algorithms from events to force constants and their spectrum: one history, which runs again."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.instrument import find_instrument
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.virtual_experiment import plan, scaled_to, write_experiment
from fcinv_core.virtual_experiment.planning import definition_of
from tests.crystals import crystal
from tests.folding.measurement import INCIDENT
from tests.inversion import standin
from tests.plugins.measurement import POSCAR, QUICK, measure, write
from tests.test_generation import STRUCTURE

FROM_EVENTS = ["FoldToIQE", "InvertForceConstants", "SimulateDispersion"]


@pytest.fixture(scope="module")
def germanium() -> Crystal:
    return crystal("Ge")


@pytest.fixture
def structure(tmp_path: Path) -> str:
    (tmp_path / "POSCAR").write_text(POSCAR)
    return str(tmp_path / "POSCAR")


def fold_invert_and_simulate(simpleapi: ModuleType, structure: str) -> Any:
    simpleapi.FoldToIQE(InputWorkspace="events", StructureFile=structure, OutputWorkspace="iqe", **QUICK)
    simpleapi.InvertForceConstants(
        InputWorkspace="iqe", Model="ge", Method="network", NumberOfDraws=5, OutputWorkspace="force_constants"
    )
    simpleapi.SimulateDispersion(
        ForceConstantsTable="force_constants",
        StructureFile=structure,
        QStep=0.2,
        CoverageWorkspace="iqe",
        Temperature=10.0,
        OutputWorkspace="bands",
        OutputCoverageWorkspace="expected",
    )
    return simpleapi.mtd["expected"]


def names_in(workspace: Any) -> list[str]:
    history = workspace.getHistory()
    return [str(history.getAlgorithmHistory(k).name()) for k in range(history.size())]


def run_again(simpleapi: ModuleType, folder: Path) -> Any:
    """Clear everything, run the script that Mantid makes of the history, and return its last result."""
    script = folder / "again.py"
    simpleapi.GeneratePythonScript(InputWorkspace="expected", Filename=str(script))
    simpleapi.mtd.clear()
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), dict(vars(simpleapi)))
    return simpleapi.mtd["expected"]


def test_from_a_saved_measurement(
    simpleapi: ModuleType, germanium: Crystal, structure: str, tmp_path: Path
) -> None:
    write(tmp_path / "events.nxs", measure(germanium))
    simpleapi.LoadMD(Filename=str(tmp_path / "events.nxs"), LoadHistory=False, OutputWorkspace="events")
    expected = fold_invert_and_simulate(simpleapi, structure)
    assert names_in(expected) == ["LoadMD", *FROM_EVENTS]
    before = np.array(expected.getSignalArray())
    assert np.isfinite(before).any()
    np.testing.assert_array_equal(run_again(simpleapi, tmp_path).getSignalArray(), before)


def test_from_reduced_runs(simpleapi: ModuleType, germanium: Crystal, structure: str, tmp_path: Path) -> None:
    definition = tmp_path / "TOY_Definition.xml"
    definition.write_text(definition_of(measure(germanium).detectors[0], "TOY"), encoding="utf-8")
    for number, psi in ((101, 0.0), (102, 9.0)):
        reduce_run(simpleapi, str(definition), number, psi)
        simpleapi.ConvertToMD(
            InputWorkspace="reduced",
            QDimensions="Q3D",
            dEAnalysisMode="Direct",
            Q3DFrames="Q_sample",
            MinValues=[-8.0, -8.0, -8.0, 0.0],
            MaxValues=[8.0, 8.0, 8.0, 26.0],
            PreprocDetectorsWS="-",
            OverwriteExisting=False,
            OutputWorkspace="events",
        )
    expected = fold_invert_and_simulate(simpleapi, structure)
    assert names_in(expected)[-4:] == ["ConvertToMD", *FROM_EVENTS]
    assert names_in(expected).count("ConvertToMD") == 2
    before = np.array(expected.getSignalArray())
    np.testing.assert_array_equal(run_again(simpleapi, tmp_path).getSignalArray(), before)


def test_path_and_zone_of_a_measurement_give_its_force_constants(
    simpleapi: ModuleType, model_folder: Path, tmp_path: Path
) -> None:
    prior, truth = standin.prior(), standin.truth()
    experiment = plan(
        prior.force_constants(truth, "the truth"),
        find_instrument("CNCS"),
        60.0,
        20.0,
        [0.0, 8.0, 16.0, 24.0],
        grid=SpectralGrid(-4.0, 48.0, 26),
        pixel_spacing=6.0,
    )
    write_experiment(tmp_path / "events.nxs", scaled_to(experiment, 40_000, 0.05), instrument_name="CNCS")
    (tmp_path / "POSCAR").write_text(STRUCTURE)
    simpleapi.LoadMD(Filename=str(tmp_path / "events.nxs"), LoadHistory=False, OutputWorkspace="events")
    measured = {"InputWorkspace": "events", "StructureFile": str(tmp_path / "POSCAR")}
    simpleapi.FoldToIQE(**measured, QStep=0.3, TransverseWidths=[0.3], OutputWorkspace="iqe")
    simpleapi.FoldToIQE(**measured, Grid=5, OutputWorkspace="zone")
    simpleapi.InvertForceConstants(
        InputWorkspace="iqe",
        ZoneWorkspace="zone",
        Model=str(model_folder),
        Method="fit",
        Amplitudes="coherent",
        NumberOfDraws=5,
        OutputWorkspace="force_constants",
        OutputDispersionWorkspace="bands",
    )
    assert names_in(simpleapi.mtd["bands"]) == ["LoadMD", "FoldToIQE", "FoldToIQE", "InvertForceConstants"]
    found, errors = (np.array(simpleapi.mtd["force_constants"].column(name)) for name in ("Value", "Error"))
    assert (np.abs(found - truth) < 3 * errors).mean() > 0.9
    energies = prior.dynamics(standard_path(prior.crystal, 24).q).energies
    after, before = (np.sqrt(((energies(values) - energies(truth)) ** 2).mean()) for values in (found, prior.mean))
    assert after < before / 2


def reduce_run(simpleapi: ModuleType, definition: str, number: int, psi: float) -> None:
    """What the reduction of a run leaves: spectra of energy transfer with their orientation."""
    simpleapi.CreateSimulationWorkspace(Instrument=definition, BinParams=[2, 2, 24], OutputWorkspace="reduced")
    for name, text in (("Ei", f"{INCIDENT}"), ("gd_prtn_chrg", "1.5")):
        simpleapi.AddSampleLog(
            Workspace="reduced", LogName=name, LogText=text, LogType="Number", NumberType="Double"
        )
    simpleapi.AddSampleLog(Workspace="reduced", LogName="run_number", LogText=str(number), LogType="String")
    simpleapi.AddSampleLog(Workspace="reduced", LogName="psi", LogText=str(psi), LogType="Number Series")
    simpleapi.SetInstrumentParameter(Workspace="reduced", ParameterName="deltaE-mode", Value="direct")
    simpleapi.SetUB(Workspace="reduced", a=5.658, b=5.658, c=5.658, u=[1, 1, 0], v=[0, 0, 1])
    simpleapi.SetGoniometer(Workspace="reduced", Axis0="psi,0,1,0,1")
