"""ConvertToMD: from spectra of energy transfer to events in Q and energy transfer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mantid._algorithms.arguments import held, put, value
from mantid.api._ads import mtd
from mantid.api._algorithm import Algorithm
from mantid.api._matrix_workspace import MatrixData
from mantid.api._md_events import MDEventData
from mantid.api._native_algorithm import native
from mantid.geometry._dimension import DimensionData
from mantid.kernel._property import FloatPropertyWithValue, VectorFloatPropertyWithValue

FloatArray = NDArray[np.float64]
#: ħ²/2m of the neutron in meV Å².
_ENERGY_OF_K = 2.0721247900765037
_FRAMES = {"Q_lab": ("QLab", 1), "Q_sample": ("QSample", 2), "HKL": ("HKL", 3)}
_NAMES = {"HKL": ("[H,0,0]", "[0,K,0]", "[0,0,L]")}


@native("ConvertToMD")
def convert_to_md(algorithm: Algorithm) -> None:
    """Make an event of every filled bin of every spectrum, at its centre."""
    source = held(algorithm, "InputWorkspace")
    if value(algorithm, "QDimensions") != "Q3D" or value(algorithm, "dEAnalysisMode") != "Direct":
        raise RuntimeError("only QDimensions Q3D and dEAnalysisMode Direct are known here")
    if source.axes[0].getUnit().unitID() != "DeltaE":
        raise RuntimeError("the unit must be DeltaE")
    frame = value(algorithm, "Q3DFrames")
    if frame == "AutoSelect":
        frame = "HKL" if source.experiment.sample._lattice is not None else "Q_lab"
    existing = None
    if not value(algorithm, "OverwriteExisting"):
        existing = mtd._held.get(algorithm.getPropertyValue("OutputWorkspace"))
    run_index = 0 if existing is None else len(existing.experiments)
    table = _events(source, frame, run_index, value(algorithm, "IgnoreZeroSignals"))
    low, high = (np.asarray(value(algorithm, key)) for key in ("MinValues", "MaxValues"))
    if len(low) != 4 or len(high) != 4:
        low, high = table[:, 4:].min(axis=0), table[:, 4:].max(axis=0) * 1.0001
    if existing is not None:
        low, high = (np.array([getattr(d, end) for d in existing.dimensions]) for end in ("minimum", "maximum"))
    table = table[np.all((table[:, 4:] >= low) & (table[:, 4:] < high), axis=1)]
    data = _workspace(frame, low, high) if existing is None else existing
    data.table = np.concatenate([data.table, table])
    data.boxes = {}
    experiment = source.experiment.copied()
    for name in ("W_MATRIX", "RUBW_MATRIX"):
        experiment.run._logs[name] = VectorFloatPropertyWithValue(name, np.eye(3).ravel().tolist(), None, 0)
    experiment.run._bins = source.x[0].copy()
    data.experiments.append(experiment)
    put(algorithm, "OutputWorkspace", data)


def _workspace(frame: str, low: FloatArray, high: FloatArray) -> MDEventData:
    cpp_frame, number = _FRAMES[frame]
    names = _NAMES.get(frame, tuple(f"{frame}_{axis}" for axis in "xyz"))
    ids, units = ("Q1", "Q2", "Q3"), "r.l.u." if frame == "HKL" else "Angstrom^-1"
    dimensions = [
        DimensionData(ids[axis], names[axis], units, cpp_frame, float(low[axis]), float(high[axis]), 5)
        for axis in range(3)
    ]
    dimensions.append(DimensionData("DeltaE", "DeltaE", "DeltaE", "DeltaE", float(low[3]), float(high[3]), 5))
    data = MDEventData(dimensions, "old", np.empty((0, 8), np.float32))
    data.split_into, data.coordinate_system = [5] * 4, number
    return data


def _events(source: MatrixData, frame: str, run_index: int, ignores_zeros: bool) -> NDArray[np.float32]:
    run, instrument = source.experiment.run, source.experiment.instrument
    ei = run._logs.get("Ei")
    if not isinstance(ei, FloatPropertyWithValue):
        raise ValueError("'Ei' is not of the requested type" if ei is not None else "Ei is not among the logs")
    places = {
        int(number): position
        for number, position in zip(instrument.detector_ids, instrument.positions, strict=True)
    }
    masked = instrument.masked()
    used = [index for index, numbers in enumerate(source.detectors) if numbers and numbers[0] not in masked]
    numbers = np.array([source.detectors[index][0] for index in used])
    directions = np.array([places[int(number)] for number in numbers])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = source.x[used]
    energy = (x[:, 1:] + x[:, :-1]) / 2 if x.shape[1] > source.y.shape[1] else x
    ki = np.sqrt(float(ei.value) / _ENERGY_OF_K)
    kf = np.sqrt(np.clip(float(ei.value) - energy, 0, None) / _ENERGY_OF_K)
    q = np.array([0, 0, ki]) - kf[..., None] * directions[:, None, :]
    if frame != "Q_lab":
        q = q @ run.getGoniometer().getR()
    if frame == "HKL":
        lattice = source.experiment.sample.getOrientedLattice()
        q = q @ np.linalg.inv(2 * np.pi * lattice.getUB()).T
    shape = energy.shape
    columns = [
        source.y[used],
        source.e[used] ** 2,
        np.full(shape, run_index),
        np.broadcast_to(numbers[:, None], shape),
    ]
    table = np.column_stack([part.ravel() for part in [*columns, q[..., 0], q[..., 1], q[..., 2], energy]])
    keep = np.isfinite(table[:, 0]) & ((table[:, 0] != 0) | (not ignores_zeros))
    return table[keep].astype(np.float32)
