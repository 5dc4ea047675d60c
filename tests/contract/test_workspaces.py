"""Handles, dimensions and experiment infos of workspaces."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest


def test_handles_on_one_workspace_are_neither_the_same_nor_equal(simpleapi: ModuleType, histogram: Any) -> None:
    from mantid.api import isSameWorkspaceObject

    one, other = simpleapi.mtd["histogram"], simpleapi.mtd["histogram"]
    assert one is not other
    assert one != other
    assert isSameWorkspaceObject(one, other)
    assert one.name() == other.name() == "histogram"


def test_handle_fails_once_the_workspace_is_deleted(simpleapi: ModuleType, histogram: Any) -> None:
    handle = simpleapi.mtd["histogram"]
    simpleapi.DeleteWorkspace(Workspace="histogram")
    with pytest.raises(RuntimeError, match="deleted"):
        handle.getNumDims()


def test_missing_name_is_a_key_error(simpleapi: ModuleType) -> None:
    with pytest.raises(KeyError):
        simpleapi.mtd["nowhere"]
    assert "nowhere" not in simpleapi.mtd
    assert not simpleapi.mtd.doesExist("nowhere")


def test_names_with_two_underscores_are_hidden(simpleapi: ModuleType) -> None:
    simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="__hidden")
    simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="seen")
    assert list(simpleapi.mtd.getObjectNames()) == ["seen"]
    assert "__hidden" in simpleapi.mtd


def test_events_are_out_of_reach_of_python(events: Any) -> None:
    for name in ("getSignalArray", "signalAt", "createIterator", "getBoxes", "getEvents"):
        assert not hasattr(events, name)
    assert events.getNEvents() == events.getNPoints() == 160
    assert events.id() == "MDEventWorkspace<MDEvent,4>"


def test_kinds_of_workspaces_are_told_by_class(events: Any, histogram: Any, spectra: Any) -> None:
    from mantid.api import IMDEventWorkspace, IMDHistoWorkspace, IMDWorkspace, MatrixWorkspace

    assert isinstance(events, IMDEventWorkspace)
    assert isinstance(histogram, IMDHistoWorkspace)
    assert isinstance(spectra, MatrixWorkspace)
    assert isinstance(events, IMDWorkspace)
    assert isinstance(histogram, IMDWorkspace)
    assert histogram.isMDHistoWorkspace()
    assert not events.isMDHistoWorkspace()
    assert histogram.id() == "MDHistoWorkspace"


def test_workspaces_cannot_be_made_by_their_class(simpleapi: ModuleType) -> None:
    from mantid.api import IMDHistoWorkspace

    with pytest.raises(RuntimeError):
        IMDHistoWorkspace()


def test_dimensions_of_converted_events(events: Any) -> None:
    dimensions = [events.getDimension(index) for index in range(events.getNumDims())]
    assert [dimension.name for dimension in dimensions] == ["Q_sample_x", "Q_sample_y", "Q_sample_z", "DeltaE"]
    assert [dimension.getDimensionId() for dimension in dimensions] == ["Q1", "Q2", "Q3", "DeltaE"]
    assert [dimension.getUnits() for dimension in dimensions] == ["Angstrom^-1"] * 3 + ["DeltaE"]
    assert [dimension.getMDFrame().name() for dimension in dimensions] == ["QSample"] * 3 + ["DeltaE"]
    assert int(events.getSpecialCoordinateSystem()) == 2


def test_dimension_edges_are_lower_edges_in_single_precision(simpleapi: ModuleType) -> None:
    simpleapi.CreateMDHistoWorkspace(
        Dimensionality=1,
        Extents=[0.1, 1.1],
        SignalInput=np.zeros(3),
        ErrorInput=np.zeros(3),
        NumberOfBins=[3],
        Names=["x"],
        Units=["m"],
        OutputWorkspace="narrow",
    )
    dimension = simpleapi.mtd["narrow"].getDimension(0)
    assert dimension.getX(0) == pytest.approx(0.1, abs=1e-7)
    assert dimension.getX(0) != 0.1
    assert dimension.getX(2) == pytest.approx(0.1 + 2 / 3, abs=1e-6)
    assert dimension.getNBins() == 3


def test_experiment_info_out_of_range_is_a_value_error(events: Any) -> None:
    assert events.getNumExperimentInfo() == 1
    with pytest.raises(ValueError, match="out of range"):
        events.getExperimentInfo(1)


def test_empty_lean_workspace_has_no_experiment_info(simpleapi: ModuleType) -> None:
    simpleapi.CreateMDWorkspace(Dimensions=1, Extents=[-1, 1], Names=["x"], Units=["m"], OutputWorkspace="lean")
    lean = simpleapi.mtd["lean"]
    assert lean.getNumExperimentInfo() == 0
    assert "MDLeanEvent" in lean.id()
    with pytest.raises(ValueError, match="out of range"):
        lean.getExperimentInfo(0)


def test_copied_experiment_infos_are_independent(simpleapi: ModuleType, events: Any, histogram: Any) -> None:
    assert histogram.getNumExperimentInfo() == 0
    histogram.copyExperimentInfos(events)
    histogram.getExperimentInfo(0).mutableRun().addProperty("added", 1.0, True)
    assert histogram.getExperimentInfo(0).run().hasProperty("added")
    assert not events.getExperimentInfo(0).run().hasProperty("added")


def test_one_experiment_info_can_be_added_alone(events: Any, histogram: Any) -> None:
    assert histogram.addExperimentInfo(events.getExperimentInfo(0)) == 0
    assert histogram.getNumExperimentInfo() == 1


def test_merging_adds_up_experiment_infos(simpleapi: ModuleType, events: Any) -> None:
    simpleapi.CloneMDWorkspace(InputWorkspace="events", OutputWorkspace="again")
    merged = simpleapi.MergeMD(InputWorkspaces="events,again", OutputWorkspace="merged")
    assert merged.getNumExperimentInfo() == 2
    assert merged.getNEvents() == 320


def test_group_lists_its_members(simpleapi: ModuleType, histogram: Any) -> None:
    simpleapi.CloneMDWorkspace(InputWorkspace="histogram", OutputWorkspace="other")
    group = simpleapi.GroupWorkspaces(InputWorkspaces="histogram,other", OutputWorkspace="group")
    assert list(group.getNames()) == ["histogram", "other"]
    assert group.size() == 2
    assert group[0].name() == "histogram"
