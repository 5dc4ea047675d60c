"""Algorithms that build instruments from definitions, and workspaces on them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mantid._algorithms.arguments import put, value
from mantid.api._algorithm import Algorithm
from mantid.api._experiment_info import ExperimentData
from mantid.api._matrix_workspace import MatrixData
from mantid.api._native_algorithm import native
from mantid.geometry._goniometer import rotation
from mantid.geometry._instrument import IDF, InstrumentData, source_position

FloatArray = NDArray[np.float64]


def read_definition(text: str) -> InstrumentData:
    """Return the instrument of a definition: boxes in boxes, each placed and turned in the one around it."""
    root = ElementTree.fromstring(text)
    types = {kind.get("name", ""): kind for kind in root.iter(f"{IDF}type")}
    lists = {ids.get("idname", ""): ids for ids in root.iter(f"{IDF}idlist")}
    instrument = InstrumentData(root.get("name", ""), text, source=source_position(text))
    numbers: list[int] = []
    positions: list[FloatArray] = []
    for component in root.findall(f"{IDF}component"):
        if component.get("idlist"):
            numbers += _numbers(lists[component.get("idlist", "")])
            positions += _places(component, types, np.zeros(3), np.eye(3))
    if len(numbers) != len(positions):
        raise RuntimeError(f"{len(numbers)} detector numbers for {len(positions)} detectors")
    instrument.detector_ids = np.array(numbers, dtype=np.int32)
    instrument.positions = np.array(positions).reshape(-1, 3)
    return instrument


def _places(component: Any, types: dict[str, Any], origin: FloatArray, frame: FloatArray) -> list[FloatArray]:
    """Return where the innermost parts of a component are, in order."""
    kind = types[component.get("type", "")]
    found: list[FloatArray] = []
    for location in component.findall(f"{IDF}location"):
        here = origin + frame @ _offset(location)
        turned = frame
        if location.get("rot"):
            axis = [
                float(location.get(f"axis-{name}", default)) for name, default in zip("xyz", "001", strict=True)
            ]
            turned = frame @ rotation(axis, float(location.get("rot", "0")))
        parts = kind.findall(f"{IDF}component")
        if not parts:
            found.append(here)
        for part in parts:
            found += _places(part, types, here, turned)
    return found


def _offset(location: Any) -> FloatArray:
    if location.get("r") is not None:
        r = float(location.get("r"))
        theta, phi = (math.radians(float(location.get(name, "0"))) for name in ("t", "p"))
        plane = r * math.sin(theta)
        return np.array([plane * math.cos(phi), plane * math.sin(phi), r * math.cos(theta)])
    return np.array([float(location.get(name, "0")) for name in "xyz"])


def _numbers(ids: Any) -> list[int]:
    found = []
    for entry in ids.findall(f"{IDF}id"):
        if entry.get("val"):
            found.append(int(entry.get("val")))
        else:
            found += range(int(entry.get("start")), int(entry.get("end")) + 1, int(entry.get("step", "1")))
    return found


def _on_instrument(definition: str, edges: FloatArray, unit: str, counts: float) -> MatrixData:
    instrument = read_definition(definition)
    n = len(instrument.detector_ids)
    y = np.full((n, len(edges) - 1), counts)
    data = MatrixData(np.tile(edges, (n, 1)), y, np.sqrt(y), ExperimentData(instrument=instrument))
    data.detectors = [[int(number)] for number in instrument.detector_ids]
    data.axes[0].setUnit(unit)
    return data


@native("CreateSimulationWorkspace")
def create_simulation_workspace(algorithm: Algorithm) -> None:
    """Make ones in every bin of every detector of an instrument given by its definition."""
    path = Path(value(algorithm, "Instrument"))
    if not path.is_file():
        raise RuntimeError(f"{path}: only definitions in files are known here")
    parameters = value(algorithm, "BinParams").tolist()
    if len(parameters) != 3:
        raise ValueError("BinParams: start, width, end are needed")
    start, width, end = parameters
    edges = np.append(np.arange(start, end - 1e-9 * width, width), end)
    definition = path.read_text(encoding="utf-8")
    put(algorithm, "OutputWorkspace", _on_instrument(definition, edges, value(algorithm, "UnitX"), 1.0))


@native("LoadEmptyInstrument")
def load_empty_instrument(algorithm: Algorithm) -> None:
    """Make a workspace of one bin on an instrument given by its definition."""
    definition = Path(value(algorithm, "Filename")).read_text(encoding="utf-8")
    counts = float(value(algorithm, "DetectorValue"))
    put(algorithm, "OutputWorkspace", _on_instrument(definition, np.array([0.0, 1.0]), "TOF", counts))
