"""What is known of a run: logs, sample, instrument."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from mantid.api._run import Run
from mantid.api._sample import Sample
from mantid.geometry._instrument import ComponentInfo, DetectorInfo, Instrument, InstrumentData
from mantid.kernel._boost import ArgumentError
from mantid.kernel._enumerations import DeltaEModeType


@dataclass
class ExperimentData:
    """What an experiment info is made of."""

    run: Run = field(default_factory=Run)
    sample: Sample = field(default_factory=Sample)
    instrument: InstrumentData = field(default_factory=InstrumentData)

    def copied(self) -> ExperimentData:
        """Return a copy; large arrays of the instrument, which nothing changes, are shared."""
        memo = {id(array): array for array in (self.instrument.positions, self.instrument.detector_ids)}
        return copy.deepcopy(self, memo)


class ExperimentInfo:
    """Logs, sample and instrument of a run."""

    _experiment: ExperimentData

    def run(self) -> Run:
        """Return the logs."""
        return self._experiment.run

    mutableRun = run

    def sample(self) -> Sample:
        """Return the sample."""
        return self._experiment.sample

    mutableSample = sample

    def getInstrument(self) -> Instrument:
        """Return the instrument."""
        return Instrument(self._experiment.instrument)

    def detectorInfo(self) -> DetectorInfo:
        """Return all detectors."""
        return DetectorInfo(self._experiment.instrument)

    def componentInfo(self) -> ComponentInfo:
        """Return all components."""
        return ComponentInfo(self._experiment.instrument)

    def getRunNumber(self) -> int:
        """Return the run number, 0 if it is not known."""
        run = self._experiment.run
        return int(run["run_number"].value) if "run_number" in run else 0

    def getEMode(self) -> Any:
        """Return Direct, Indirect or Elastic, of the instrument's parameter ``deltaE-mode``."""
        mode = self._experiment.instrument.parameter("deltaE-mode") or "Elastic"
        return DeltaEModeType.names[mode.capitalize()]

    def getEFixed(self, detId: int) -> float:
        """Return the incident energy in meV; RuntimeError on an elastic instrument or without the log Ei."""
        if not isinstance(detId, int):
            raise ArgumentError("Python argument types in ExperimentInfo.getEFixed did not match C++ signature")
        if self.getEMode() != DeltaEModeType.Direct:
            raise RuntimeError(
                "ExperimentInfo::getEFixed - EFixed requested for elastic mode, don't know what to do!"
            )
        run = self._experiment.run
        if "Ei" not in run:
            raise RuntimeError("Experiment logs do not contain an Ei value. Have you run GetEi?")
        return float(run["Ei"].value)


def experiment_info(data: ExperimentData) -> ExperimentInfo:
    """Return the Python object for an experiment."""
    info = ExperimentInfo()
    info._experiment = data
    return info
