"""What histories hold, lose and give back."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.contract.algorithms import register, run
from tests.contract.conftest import to_events


def _names(workspace: Any) -> list[str]:
    return [entry.name() for entry in workspace.getHistory().getAlgorithmHistories()]


def _declare(self: Any) -> None:
    from mantid import api, kernel

    self.declareProperty(api.IMDHistoWorkspaceProperty("InputWorkspace", "", kernel.Direction.Input), "In.")
    self.declareProperty(api.IMDHistoWorkspaceProperty("OutputWorkspace", "", kernel.Direction.Output), "Out.")
    self.declareProperty("Factor", 2.0, doc="Factor.")


def _clone(self: Any, records: bool = True) -> Any:
    child = self.createChildAlgorithm("CloneMDWorkspace")
    child.enableHistoryRecordingForChild(records)
    child.setProperty("InputWorkspace", self.getProperty("InputWorkspace").value)
    child.execute()
    return child.getProperty("OutputWorkspace").value


def _clone_twice(self: Any) -> None:
    _clone(self, records=False)
    self.setProperty("OutputWorkspace", _clone(self))


def test_output_has_the_histories_of_the_inputs_and_one_entry_more(simpleapi: ModuleType, histogram: Any) -> None:
    clone = simpleapi.CloneMDWorkspace(InputWorkspace="histogram", OutputWorkspace="clone")
    assert _names(histogram) == ["CreateMDHistoWorkspace"]
    assert _names(clone) == ["CreateMDHistoWorkspace", "CloneMDWorkspace"]
    entry = clone.getHistory().getAlgorithmHistory(1)
    assert entry.getPropertyValue("InputWorkspace") == "histogram"
    assert entry.version() == 1


def test_history_tells_what_was_left_at_its_default(simpleapi: ModuleType, histogram: Any) -> None:
    register("ContractHistory", _declare, lambda self: self.setProperty("OutputWorkspace", _clone(self)))
    run("ContractHistory", InputWorkspace="histogram", OutputWorkspace="out")
    entry = simpleapi.mtd["out"].getHistory().getAlgorithmHistories()[-1]
    known = {prop.name(): prop for prop in entry.getProperties()}
    assert known["Factor"].isDefault()
    assert known["Factor"].value() == "2"
    assert known["Factor"].type() == "number"
    assert not known["InputWorkspace"].isDefault()


def test_plain_algorithm_records_no_children(simpleapi: ModuleType, histogram: Any) -> None:
    register("ContractPlain", _declare, _clone_twice)
    run("ContractPlain", InputWorkspace="histogram", OutputWorkspace="out")
    assert simpleapi.mtd["out"].getHistory().getAlgorithmHistories()[-1].childHistorySize() == 0


def test_data_processor_records_children_except_those_that_are_told_not_to(
    simpleapi: ModuleType, histogram: Any
) -> None:
    register("ContractProcessor", _declare, _clone_twice, base="DataProcessorAlgorithm")
    run("ContractProcessor", InputWorkspace="histogram", OutputWorkspace="out")
    assert _names(simpleapi.mtd["out"]) == ["CreateMDHistoWorkspace", "ContractProcessor"]
    entry = simpleapi.mtd["out"].getHistory().getAlgorithmHistories()[-1]
    assert [child.name() for child in entry.getChildHistories()] == ["CloneMDWorkspace"]


def test_history_in_a_child_s_output_is_empty_until_the_parent_ends(simpleapi: ModuleType, histogram: Any) -> None:
    seen = []

    def execute(self: Any) -> None:
        child = self.createChildAlgorithm("CreateMDHistoWorkspace")
        for name, value in {
            "Dimensionality": 1,
            "Extents": [0.0, 1.0],
            "SignalInput": [1.0],
            "ErrorInput": [1.0],
            "NumberOfBins": [1],
            "Names": ["x"],
            "Units": ["m"],
        }.items():
            child.setProperty(name, value)
        child.execute()
        seen.append(child.getProperty("OutputWorkspace").value.getHistory().empty())
        self.setProperty("OutputWorkspace", child.getProperty("OutputWorkspace").value)

    register("ContractFresh", _declare, execute, base="DataProcessorAlgorithm")
    run("ContractFresh", InputWorkspace="histogram", OutputWorkspace="out")
    assert seen == [True]
    assert _names(simpleapi.mtd["out"]) == ["CreateMDHistoWorkspace", "ContractFresh"]


def test_members_of_a_group_get_an_empty_history(simpleapi: ModuleType, histogram: Any) -> None:
    simpleapi.CloneMDWorkspace(InputWorkspace="histogram", OutputWorkspace="other")
    simpleapi.GroupWorkspaces(InputWorkspaces="histogram,other", OutputWorkspace="group")
    register("ContractGrouped", _declare, lambda self: self.setProperty("OutputWorkspace", _clone_new(self)))
    run("ContractGrouped", InputWorkspace="group", OutputWorkspace="out")
    assert list(simpleapi.mtd["out"].getNames()) == ["histogram_out", "other_out"]
    assert simpleapi.mtd["histogram_out"].getHistory().empty()


def _clone_new(self: Any) -> Any:
    """Return a histogram that comes from no other workspace."""
    source = self.getProperty("InputWorkspace").value
    child = self.createChildAlgorithm("CreateMDHistoWorkspace")
    for name, value in {
        "Dimensionality": 1,
        "Extents": [0.0, 6.0],
        "SignalInput": source.getSignalArray().ravel(order="F").copy(),
        "ErrorInput": np.ones(6),
        "NumberOfBins": [6],
        "Names": ["x"],
        "Units": ["m"],
    }.items():
        child.setProperty(name, value)
    child.execute()
    return child.getProperty("OutputWorkspace").value


def test_merging_loses_the_histories_of_its_inputs(simpleapi: ModuleType, events: Any) -> None:
    simpleapi.CloneMDWorkspace(InputWorkspace="events", OutputWorkspace="other")
    merged = simpleapi.MergeMD(InputWorkspaces="events,other", OutputWorkspace="merged")
    assert _names(merged) == ["MergeMD"]


def test_conversion_into_an_existing_workspace_adds_runs_and_history(
    simpleapi: ModuleType, spectra: Any, events: Any
) -> None:
    simpleapi.CloneWorkspace(InputWorkspace="spectra", OutputWorkspace="second")
    to_events(simpleapi, "second", "events", OverwriteExisting=False)
    both = simpleapi.mtd["events"]
    assert both.getNumExperimentInfo() == 2
    assert both.getNEvents() == 320
    assert _names(both).count("ConvertToMD") == 2
    assert "CloneWorkspace" in _names(both)


@pytest.mark.parametrize(("loads", "expected"), [(False, ["LoadMD"]), (True, ["CreateMDHistoWorkspace", "LoadMD"])])
def test_file_gives_its_history_back_unless_told_not_to(
    simpleapi: ModuleType, histogram: Any, tmp_path: Path, loads: bool, expected: list[str]
) -> None:
    path = str(tmp_path / "histogram.nxs")
    simpleapi.SaveMD(InputWorkspace="histogram", Filename=path)
    again = simpleapi.LoadMD(Filename=path, LoadHistory=loads, OutputWorkspace="again")
    assert _names(again) == expected


def test_script_made_of_a_history_repeats_it(simpleapi: ModuleType, histogram: Any) -> None:
    register("ContractRepeats", _declare, lambda self: self.setProperty("OutputWorkspace", _clone(self)))
    fresh = simpleapi.AlgorithmManager.createUnmanaged("ContractRepeats")
    fresh.initialize()
    simpleapi._create_algorithm_function("ContractRepeats", 1, fresh)
    run("ContractRepeats", InputWorkspace="histogram", OutputWorkspace="out", Factor=3.5)
    before = simpleapi.mtd["out"].getSignalArray().copy()
    script = simpleapi.GeneratePythonScript(InputWorkspace="out")
    assert "ContractRepeats(InputWorkspace='histogram', OutputWorkspace='out', Factor=3.5)" in script
    assert "NumberOfEvents" not in script
    simpleapi.mtd.clear()
    exec(script, dict(vars(simpleapi)))
    np.testing.assert_array_equal(simpleapi.mtd["out"].getSignalArray(), before)


def test_script_writes_truth_values_as_python_does(simpleapi: ModuleType, histogram: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "histogram.nxs")
    simpleapi.SaveMD(InputWorkspace="histogram", Filename=path)
    simpleapi.LoadMD(Filename=path, LoadHistory=False, OutputWorkspace="again")
    assert "LoadHistory=False" in simpleapi.GeneratePythonScript(InputWorkspace="again")
