"""Arrays of multidimensional histograms."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


def test_arrays_are_read_only_fortran_views(histogram: Any) -> None:
    for array in (histogram.getSignalArray(), histogram.getErrorSquaredArray(), histogram.getNumEventsArray()):
        assert array.dtype == np.float64
        assert array.shape == (3, 2)
        assert array.flags.f_contiguous
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_first_dimension_is_fastest_and_errors_are_squared(histogram: Any) -> None:
    np.testing.assert_array_equal(histogram.getSignalArray(), [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(histogram.getErrorSquaredArray(), [[1, 16], [4, 25], [9, 36]])
    np.testing.assert_array_equal(histogram.getNumEventsArray(), np.ones((3, 2)))
    assert histogram.getLinearIndex(2, 1) == 5
    assert histogram.signalAt(5) == 5
    assert histogram.getNPoints() == 6


def test_view_follows_the_workspace(histogram: Any) -> None:
    view = histogram.getSignalArray()
    histogram.setSignalAt(4, 7.0)
    assert view[1, 1] == 7.0


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_memory_order_are_taken(histogram: Any, order: Any) -> None:
    values = np.array([[0.5, np.nan], [np.inf, -1.0], [2.0, 3.0]], order=order)
    histogram.setSignalArray(values)
    histogram.setErrorSquaredArray(values)
    np.testing.assert_array_equal(histogram.getSignalArray(), values)
    np.testing.assert_array_equal(histogram.getErrorSquaredArray(), values)
    np.testing.assert_array_equal(histogram.getNumEventsArray(), np.ones((3, 2)))


@pytest.mark.parametrize("shape", [(2, 3), (6,), (3, 2, 1)])
def test_array_of_another_shape_is_a_value_error(histogram: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="dimension"):
        histogram.setSignalArray(np.zeros(shape))


def test_list_is_a_type_error(histogram: Any) -> None:
    with pytest.raises(TypeError):
        histogram.setSignalArray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])


def test_number_of_events_is_set_at_creation_only(simpleapi: ModuleType, histogram: Any) -> None:
    assert not hasattr(histogram, "setNumEventsArray")
    simpleapi.CreateMDHistoWorkspace(
        Dimensionality=1,
        Extents=[0, 2],
        SignalInput=[1.0, 2.0],
        ErrorInput=[1.0, 1.0],
        NumberOfEvents=[5.0, 6.0],
        NumberOfBins=[2],
        Names=["x"],
        Units=["m"],
        OutputWorkspace="counted",
    )
    np.testing.assert_array_equal(simpleapi.mtd["counted"].getNumEventsArray(), [5, 6])
    simpleapi.mtd["counted"].setTo(1.0, 2.0, 3.0)
    np.testing.assert_array_equal(simpleapi.mtd["counted"].getNumEventsArray(), [3, 3])


def test_frame_is_general_unless_it_is_given(simpleapi: ModuleType, histogram: Any) -> None:
    assert [histogram.getDimension(index).getMDFrame().name() for index in range(2)] == ["General Frame"] * 2
    assert histogram.getDimension(1).getUnits() == "meV"


def test_wrong_number_of_values_raises(simpleapi: ModuleType) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        simpleapi.CreateMDHistoWorkspace(
            Dimensionality=1,
            Extents=[0, 2],
            SignalInput=[1.0, 2.0, 3.0],
            ErrorInput=[1.0, 2.0, 3.0],
            NumberOfBins=[2],
            Names=["x"],
            Units=["m"],
            OutputWorkspace="wrong",
        )
    assert "wrong" not in simpleapi.mtd


def test_nan_and_counts_survive_a_file(simpleapi: ModuleType, events: Any, histogram: Any, tmp_path: Path) -> None:
    values = np.array([[np.nan, 1.0], [0.0, 2.0], [3.0, 4.0]])
    histogram.setSignalArray(values)
    simpleapi.SaveMD(InputWorkspace="histogram", Filename=str(tmp_path / "histogram.nxs"))
    again = simpleapi.LoadMD(Filename=str(tmp_path / "histogram.nxs"), OutputWorkspace="again")
    np.testing.assert_array_equal(again.getSignalArray(), values)
    np.testing.assert_array_equal(again.getErrorSquaredArray(), histogram.getErrorSquaredArray())
    np.testing.assert_array_equal(again.getNumEventsArray(), np.ones((3, 2)))
    assert [again.getDimension(index).name for index in range(2)] == ["point", "DeltaE"]


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.complex128])
def test_only_float64_is_taken(histogram: Any, kind: Any) -> None:
    with pytest.raises(TypeError):
        histogram.setSignalArray(np.zeros((3, 2), dtype=kind))
    with pytest.raises(TypeError):
        histogram.setSignalArray(np.ma.masked_invalid(np.zeros((3, 2))))
