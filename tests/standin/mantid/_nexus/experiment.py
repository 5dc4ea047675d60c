"""Experiments in files: instrument, logs, sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from mantid._nexus.text import attribute_text, new_group, read_number, read_text, write_number, write_text
from mantid.api._experiment_info import ExperimentData
from mantid.api._run import GoniometerAxis, Run
from mantid.api._sample import Sample
from mantid.geometry._instrument import InstrumentData, source_position
from mantid.geometry._unit_cell import OrientedLattice
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property import (
    BoolPropertyWithValue,
    FloatPropertyWithValue,
    IntPropertyWithValue,
    LongPropertyWithValue,
    StringPropertyWithValue,
    VectorFloatPropertyWithValue,
    VectorLongPropertyWithValue,
    VectorStringPropertyWithValue,
)
from mantid.kernel._time_series import FloatTimeSeriesProperty

_BINS = "processed_histogram_bins"
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def read_experiments(entry: Any) -> list[ExperimentData]:
    """Return the experiments of a file; those whose instrument has a name, but no definition, are lost."""
    experiments = []
    index = 0
    while f"experiment{index}" in entry:
        group = entry[f"experiment{index}"]
        instrument = read_instrument(group)
        if instrument.definition or not instrument.name.strip():
            experiments.append(ExperimentData(read_logs(group), read_sample(group), instrument))
        index += 1
    return experiments


def write_experiments(entry: Any, experiments: list[ExperimentData]) -> None:
    """Write experiments as experiment0, experiment1, ..."""
    for index, experiment in enumerate(experiments):
        group = new_group(entry, f"experiment{index}", "NXgroup", version=1)
        write_instrument(group, experiment.instrument)
        write_logs(group, experiment.run)
        write_sample(group, experiment.sample)


def read_instrument(group: Any) -> InstrumentData:
    """Return the instrument of an experiment."""
    data = InstrumentData(read_text(group, "instrument/name"))
    data.definition = read_text(group, "instrument/instrument_xml/data")
    data.source = source_position(data.definition) if data.definition else 0.0
    data.parameters = read_text(group, "instrument/instrument_parameter_map/data")
    detectors = group.get("instrument/physical_detectors")
    if detectors is not None and "detector_number" in detectors:
        data.detector_ids = np.asarray(detectors["detector_number"][()], dtype=np.int32)
        distance = detectors["distance"][()]
        polar, azimuth = (np.radians(detectors[name][()]) for name in ("polar_angle", "azimuthal_angle"))
        radius = distance * np.sin(polar)
        data.positions = np.column_stack(
            [radius * np.cos(azimuth), radius * np.sin(azimuth), distance * np.cos(polar)]
        )
    return data


def write_instrument(group: Any, data: InstrumentData) -> None:
    """Write an instrument."""
    instrument = new_group(group, "instrument", "NXinstrument", version=1)
    parameters = new_group(instrument, "instrument_parameter_map", "NXnote", version=1)
    write_text(parameters, "data", data.parameters)
    if data.definition:
        definition = new_group(instrument, "instrument_xml", "NXnote")
        write_text(definition, "data", data.definition)
        write_text(definition, "type", "text/xml")
    write_text(instrument, "name", data.name)
    if len(data.detector_ids):
        detectors = new_group(instrument, "physical_detectors", "NXdetector")
        distance = np.linalg.norm(data.positions, axis=1)
        polar = np.degrees(np.arccos(data.positions[:, 2] / distance))
        azimuth = np.degrees(np.arctan2(data.positions[:, 1], data.positions[:, 0]))
        write_number(detectors, "number_of_detectors", len(distance), np.uint64)
        detectors["detector_number"] = data.detector_ids
        for name, values, unit in (
            ("distance", distance, "metre"),
            ("polar_angle", polar, "degree"),
            ("azimuthal_angle", azimuth, "degree"),
        ):
            detectors.create_dataset(name, data=values).attrs["units"] = np.bytes_(unit)


def read_logs(group: Any) -> Run:
    """Return the logs of an experiment."""
    run = Run()
    for name, log in group.get("logs", {}).items():
        if name == "goniometer":
            run._axes = _read_goniometer(log)
        elif name == _BINS:
            run._bins = np.asarray(log["value"][()], dtype=np.float64)
        elif "value" in log:
            run._logs[name] = _read_log(name, log)
    return run


def _read_log(name: str, log: Any) -> Any:
    dataset = log["value"]
    units = attribute_text(dataset, "units").strip()
    if "time" in log:
        start = DateAndTime(attribute_text(log["time"], "start", "1990-01-01T00:00:00"))
        seconds = np.atleast_1d(log["time"][()])
        times = [DateAndTime(start.totalNanoseconds() + round(1e9 * float(second))) for second in seconds]
        if dataset.dtype.kind in "fiu":
            series = FloatTimeSeriesProperty(name, times, [float(value) for value in np.atleast_1d(dataset[()])])
            series.units = units
            return series
    if dataset.dtype.kind in "SO":
        return StringPropertyWithValue(name, read_text(log, "value"), None, 0)
    values = np.atleast_1d(dataset[()])
    found: Any
    if values.dtype.kind == "f":
        found = (
            FloatPropertyWithValue(name, float(values[0]), None, 0)
            if len(values) == 1
            else VectorFloatPropertyWithValue(name, values.astype(np.float64), None, 0)
        )
    elif len(values) == 1:
        found = IntPropertyWithValue(name, int(values[0]), None, 0)
    else:
        found = VectorLongPropertyWithValue(name, [int(value) for value in values], None, 0)
    found.units = units
    return found


def write_logs(group: Any, run: Run) -> None:
    """Write logs; those of lists of strings and of truth values are dropped, without a word."""
    logs = new_group(group, "logs", "NXgroup", version=1)
    for name, log in run._logs.items():
        if isinstance(log, BoolPropertyWithValue | VectorStringPropertyWithValue):
            continue
        entry = new_group(logs, name, "NXlog")
        if isinstance(log, StringPropertyWithValue):
            dataset = write_text(entry, "value", log._value)
        elif isinstance(log, FloatTimeSeriesProperty):
            dataset = entry.create_dataset("value", data=log.value)
            nanoseconds = np.array([time.totalNanoseconds() for time in log.times], dtype=np.int64)
            times = entry.create_dataset("time", data=(nanoseconds - nanoseconds[:1]) / 1e9)
            times.attrs["start"] = np.bytes_(str(log.firstTime()) if log.size() else "1990-01-01T00:00:00")
        elif isinstance(log, LongPropertyWithValue):
            dataset = write_number(entry, "value", log._value, np.int64)
        elif isinstance(log, IntPropertyWithValue):
            dataset = write_number(entry, "value", log._value, np.int32)
        else:
            dataset = entry.create_dataset("value", data=np.atleast_1d(np.asarray(log._value)))
        if log.units:
            dataset.attrs["units"] = np.bytes_(log.units)
    if run._bins is not None:
        new_group(logs, _BINS, "NXdata")["value"] = run._bins
    if run._axes:
        goniometer = new_group(logs, "goniometer", "NXpositioner", version=1)
        write_number(goniometer, "num_axes", len(run._axes), np.int32)
        for index, axis in enumerate(run._axes):
            motor = new_group(goniometer, f"axis{index}", "NXmotor")
            write_text(motor, "name", axis.name)
            angle = write_number(motor, "angle", run._angle(axis))
            angle.attrs["unit"] = np.bytes_("deg")
            angle.attrs["sense"] = np.bytes_("CCW" if axis.sense > 0 else "CW")
            motor["rotationaxis"] = np.array(axis.direction, dtype=np.float64)


def _read_goniometer(group: Any) -> list[GoniometerAxis]:
    axes = []
    for index in range(int(read_number(group, "num_axes"))):
        motor = group[f"axis{index}"]
        sense = attribute_text(motor["angle"], "sense", "CCW")
        x, y, z = (float(value) for value in motor["rotationaxis"][()])
        angle = read_number(motor, "angle")
        axes.append(GoniometerAxis(read_text(motor, "name"), (x, y, z), 1 if sense == "CCW" else -1, angle))
    return axes


def read_sample(group: Any) -> Sample:
    """Return the sample of an experiment."""
    sample = Sample()
    if "sample" in group:
        sample._name = attribute_text(group["sample"], "name").strip()
        lattice = group["sample"].get("oriented_lattice")
        if lattice is not None:
            sample._lattice = OrientedLattice(*(read_number(lattice, f"unit_cell_{name}") for name in _CELL))
            sample._lattice.setUB(lattice["orientation_matrix"][()])
    return sample


def write_sample(group: Any, sample: Sample) -> None:
    """Write a sample; its crystal structure is dropped, without a word."""
    entry = new_group(group, "sample", "NXsample", version=1, name=sample._name or " ")
    lattice = sample._lattice
    write_number(entry, "num_oriented_lattice", int(lattice is not None), np.int32)
    if lattice is not None:
        crystal = new_group(entry, "oriented_lattice", "NXcrystal")
        for name, value in zip(_CELL, lattice._cell, strict=True):
            write_number(crystal, f"unit_cell_{name}", value)
        crystal["orientation_matrix"] = lattice.getUB()
