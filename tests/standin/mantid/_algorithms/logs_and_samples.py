"""Algorithms that change logs, orientation and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mantid._algorithms.arguments import experiments, held, value
from mantid.api._algorithm import Algorithm
from mantid.api._native_algorithm import native
from mantid.api._run import GoniometerAxis, Run
from mantid.geometry._unit_cell import OrientedLattice
from mantid.kernel import logger
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property import (
    FloatPropertyWithValue,
    IntPropertyWithValue,
    Property,
    StringPropertyWithValue,
)
from mantid.kernel._time_series import FloatTimeSeriesProperty

_EMPTY_INT = Property.EMPTY_INT
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def _number(text: str, kind: str) -> float | int:
    """Return text as a number; without a hint, digits alone make an integer."""
    try:
        return int(text) if kind == "Int" or (kind == "AutoDetect" and text.lstrip("+-").isdigit()) else float(text)
    except ValueError:
        raise ValueError(f"Error interpreting string '{text}' as a number.") from None


def _add_log(run: Run, name: str, text: str, kind: str, number_type: str, unit: str) -> None:
    log: Any
    if kind == "String":
        log = StringPropertyWithValue(name, text, None, 0)
    else:
        number = _number(text or "0", number_type)
        if kind == "Number Series":
            start = run._logs.get("start_time")
            time = DateAndTime(str(start.value)) if start is not None else DateAndTime("1990-01-01T00:00:00")
            log = FloatTimeSeriesProperty(name, [time], [float(number)])
        elif isinstance(number, int):
            log = IntPropertyWithValue(name, number, None, 0)
        else:
            log = FloatPropertyWithValue(name, number, None, 0)
    log.units = unit
    run._logs[name] = log


@native("AddSampleLog")
def add_sample_log(algorithm: Algorithm) -> None:
    """Add a log to every experiment."""
    for experiment in experiments(held(algorithm, "Workspace")):
        _add_log(
            experiment.run,
            value(algorithm, "LogName"),
            value(algorithm, "LogText"),
            value(algorithm, "LogType"),
            value(algorithm, "NumberType"),
            value(algorithm, "LogUnit"),
        )


@native("AddSampleLogMultiple")
def add_sample_log_multiple(algorithm: Algorithm) -> None:
    """Add several logs; text that reads as a number becomes one."""
    names, texts, units = (list(value(algorithm, key)) for key in ("LogNames", "LogValues", "LogUnits"))
    if len(names) != len(texts) or len(units) not in (0, len(names)):
        raise ValueError("LogNames, LogValues and LogUnits must have the same lengths")
    for experiment in experiments(held(algorithm, "Workspace")):
        for name, text, unit in zip(names, texts, units or [""] * len(names), strict=True):
            try:
                _number(text, "AutoDetect")
                kind = "Number" if value(algorithm, "ParseType") else "String"
            except ValueError:
                kind = "String"
            _add_log(experiment.run, name, text, kind, "AutoDetect", unit)


@native("DeleteLog")
def delete_log(algorithm: Algorithm) -> None:
    """Remove a log."""
    for experiment in experiments(held(algorithm, "Workspace")):
        experiment.run._logs.pop(value(algorithm, "Name"), None)


@native("CopyLogs")
def copy_logs(algorithm: Algorithm) -> None:
    """Copy logs from one workspace to another."""
    source, target = (held(algorithm, key).experiment.run._logs for key in ("InputWorkspace", "OutputWorkspace"))
    strategy = value(algorithm, "MergeStrategy")
    if strategy == "WipeExisting":
        target.clear()
    for name, log in source.items():
        if strategy != "MergeKeepExisting" or name not in target:
            target[name] = log


@native("SetUB")
def set_ub(algorithm: Algorithm) -> None:
    """Set the UB matrix from a matrix, or from cell and two vectors."""
    ub = np.reshape(value(algorithm, "UB"), -1)
    if len(ub) != 9:
        raise ValueError("UB matrix must have 9 elements")
    if np.any(ub):
        lattice = OrientedLattice()
        lattice.setUB(ub.reshape(3, 3))
    else:
        lattice = OrientedLattice(*(float(value(algorithm, key)) for key in _CELL))
        lattice.setUFromVectors(value(algorithm, "u").tolist(), value(algorithm, "v").tolist())
    data = held(algorithm, "Workspace")
    number = value(algorithm, "MDSampleNumber")
    chosen = experiments(data)
    if number != _EMPTY_INT and hasattr(data, "experiments"):
        if not 0 <= number < len(chosen):
            raise ValueError("MDSampleNumber is out of range")
        chosen = [chosen[number]]
    if not chosen:
        raise ValueError("Something wrong with the workspace: it has no experiment")
    for experiment in chosen:
        experiment.sample._lattice = OrientedLattice(lattice)


@native("ClearUB")
def clear_ub(algorithm: Algorithm) -> None:
    """Forget the UB matrix."""
    cleared = False
    for experiment in experiments(held(algorithm, "Workspace")):
        cleared |= experiment.sample._lattice is not None
        experiment.sample._lattice = None
    algorithm.setProperty("DoesClear", cleared)


@native("SetGoniometer")
def set_goniometer(algorithm: Algorithm) -> None:
    """Set the axes of the goniometer: "log or angle,x,y,z,sense", the outermost first."""
    run = held(algorithm, "Workspace").experiment.run
    texts = [value(algorithm, f"Axis{index}") for index in range(6)]
    if value(algorithm, "Goniometers") == "Universal":
        texts = ["omega,0,1,0,1", "chi,0,0,1,1", "phi,0,1,0,1"]
    axes = []
    for index, text in enumerate(filter(None, texts)):
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 5 or parts[4] not in ("1", "-1"):
            raise ValueError(
                f"Wrong number of arguments to parameter Axis{index}: name, x, y, z, 1 or -1 are needed"
            )
        x, y, z = (float(part) for part in parts[1:4])
        try:
            name, angle = f"GoniometerAxis{index}_FixedValue", float(parts[0])
        except ValueError:
            name, angle = parts[0], 0.0
            if name not in run:
                logger.error("No log values for goniometers")
                return
        axes.append(GoniometerAxis(name, (x, y, z), int(parts[4]), angle))
    run._axes = axes


@native("SetInstrumentParameter")
def set_instrument_parameter(algorithm: Algorithm) -> None:
    """Set a parameter of the instrument, or of a component."""
    instrument = held(algorithm, "Workspace").experiment.instrument
    kind = {"String": "string", "Number": "double", "Bool": "bool"}[value(algorithm, "ParameterType")]
    component = value(algorithm, "ComponentName") or instrument.name
    instrument.set_parameter(component, kind, value(algorithm, "ParameterName"), value(algorithm, "Value"))


@native("MaskDetectors")
def mask_detectors(algorithm: Algorithm) -> None:
    """Mask detectors."""
    data = held(algorithm, "Workspace")
    numbers = [int(number) for number in value(algorithm, "DetectorList")]
    numbers += [number for index in value(algorithm, "WorkspaceIndexList") for number in data.detectors[int(index)]]
    for experiment in experiments(data):
        for number in numbers:
            experiment.instrument.set_masked(number, True)
