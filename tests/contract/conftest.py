"""What every test of the contract starts from: the chosen Mantid, and a small measurement made with it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.mantid_choice import simpleapi

__all__ = ["simpleapi"]

#: A source, a sample and eight detectors, 2 m from the sample, 20° to 90° from the beam.
DEFINITION = """<?xml version="1.0" encoding="UTF-8"?>
<instrument xmlns="http://www.mantidproject.org/IDF/1.0" name="EIGHT" valid-from="1900-01-31 23:59:59"
 valid-to="2100-01-31 23:59:59" last-modified="2020-01-01 00:00:00">
<defaults><length unit="meter"/><angle unit="degree"/><reference-frame><along-beam axis="z"/>
<pointing-up axis="y"/><handedness val="right"/></reference-frame></defaults>
<component type="moderator"><location z="-10.0"/></component><type name="moderator" is="Source"/>
<component type="sample-position"><location x="0" y="0" z="0"/></component>
<type name="sample-position" is="SamplePos"/>
<component type="pixel" idlist="pixels">
{places}
</component>
<type is="detector" name="pixel"><cylinder id="shape"><centre-of-bottom-base x="0" y="-0.05" z="0"/>
<axis x="0" y="1" z="0"/><radius val="0.01"/><height val="0.1"/></cylinder><algebra val="shape"/></type>
<idlist idname="pixels"><id start="1" end="8"/></idlist>
</instrument>
""".format(
    places="\n".join(
        f'<location r="2.0" t="{angle}" p="0" name="pixel{number}"/>'
        for number, angle in enumerate(range(20, 100, 10), 1)
    )
)


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """File that defines an instrument of eight detectors."""
    path = tmp_path / "EIGHT_Definition.xml"
    path.write_text(DEFINITION, encoding="utf-8")
    return path


@pytest.fixture
def spectra(simpleapi: ModuleType, definition: Path) -> Any:
    """Ones in 20 bins of energy transfer of eight detectors, Ei 20 meV, psi 30 degrees."""
    simpleapi.CreateSimulationWorkspace(
        Instrument=str(definition), BinParams=[-5, 1, 15], OutputWorkspace="spectra"
    )
    simpleapi.AddSampleLog(Workspace="spectra", LogName="Ei", LogText="20.0", LogType="Number", NumberType="Double")
    simpleapi.AddSampleLog(Workspace="spectra", LogName="psi", LogText="30.0", LogType="Number Series")
    simpleapi.AddSampleLog(Workspace="spectra", LogName="gd_prtn_chrg", LogText="1.5", LogType="Number")
    simpleapi.SetInstrumentParameter(Workspace="spectra", ParameterName="deltaE-mode", Value="direct")
    simpleapi.SetUB(Workspace="spectra", a=4.0, b=5.0, c=6.0, u=[1, 0, 0], v=[0, 1, 0])
    simpleapi.SetGoniometer(Workspace="spectra", Axis0="psi,0,1,0,1")
    return simpleapi.mtd["spectra"]


def to_events(simpleapi: ModuleType, spectra: str, events: str, **options: Any) -> Any:
    """Convert spectra to events in Q_sample and energy transfer, and return them."""
    return simpleapi.ConvertToMD(
        InputWorkspace=spectra,
        QDimensions="Q3D",
        dEAnalysisMode="Direct",
        Q3DFrames="Q_sample",
        MinValues=[-6, -6, -6, -5],
        MaxValues=[6, 6, 6, 15],
        PreprocDetectorsWS="-",
        OutputWorkspace=events,
        **options,
    )


@pytest.fixture
def events(simpleapi: ModuleType, spectra: Any) -> Any:
    """Events of one run, an event for each of 160 bins."""
    return to_events(simpleapi, "spectra", "events")


@pytest.fixture
def histogram(simpleapi: ModuleType) -> Any:
    """Histogram of 3 x 2 bins, signal 0 to 5 with the first dimension fastest, errors 1 to 6."""
    return simpleapi.CreateMDHistoWorkspace(
        Dimensionality=2,
        Extents=[0, 3, -1, 1],
        SignalInput=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        ErrorInput=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        NumberOfBins=[3, 2],
        Names=["point", "DeltaE"],
        Units=["1", "meV"],
        OutputWorkspace="histogram",
    )
