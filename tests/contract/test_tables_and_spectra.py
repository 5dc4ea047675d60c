"""Tables, and matrix workspaces made from arrays."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def table(simpleapi: ModuleType) -> Any:
    """A table of a label, a number, a count and a truth value."""
    made = simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="table")
    for kind, name in (("str", "label"), ("double", "value"), ("int", "count"), ("bool", "used")):
        assert made.addColumn(kind, name)
    return made


def test_rows_come_from_lists_and_dictionaries(table: Any) -> None:
    table.addRow(["a", 0.5, 1, True])
    table.addRow({"label": "b", "value": np.float64(1.5), "count": 2, "used": False})
    assert table.rowCount() == 2
    assert table.columnCount() == 4
    assert list(table.getColumnNames()) == ["label", "value", "count", "used"]
    assert table.row(1) == {"label": "b", "value": 1.5, "count": 2, "used": False}
    assert list(table.column("value")) == [0.5, 1.5]
    assert table.cell("label", 0) == table.cell(0, 0) == "a"
    assert table.toDict()["count"] == [1, 2]


def test_row_of_another_length_is_a_value_error(table: Any) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        table.addRow(["a", 0.5])
    assert table.rowCount() == 0


@pytest.mark.parametrize(
    "row",
    [["a", 0.5, 1.0, True], ["a", np.float32(0.5), 1, True], ["a", 0.5, 1, np.bool_(True)]],
    ids=["float for int", "float32", "numpy truth"],
)
def test_cells_take_plain_values_only_and_leave_a_half_filled_row(table: Any, row: list[Any]) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError, RuntimeError)):
        table.addRow(row)
    assert table.rowCount() == 1


def test_cells_can_be_set(table: Any) -> None:
    table.setRowCount(2)
    table.setCell("value", 1, 2.5)
    table.setCell(0, 0, "first")
    assert table.cell("value", 1) == 2.5
    assert table.cell(0, 0) == "first"
    table.removeColumn("used")
    assert table.columnCount() == 3


def test_table_has_an_identifier(table: Any) -> None:
    assert table.id() == "TableWorkspace"


def test_spectra_with_labels(simpleapi: ModuleType) -> None:
    made = simpleapi.CreateWorkspace(
        DataX=[0.0, 1.0, 2.0],
        DataY=np.arange(6.0),
        DataE=np.ones(6),
        NSpec=2,
        UnitX="MomentumTransfer",
        VerticalAxisUnit="Text",
        VerticalAxisValues=["branch 1", "branch 2"],
        YUnitLabel="energy (meV)",
        WorkspaceTitle="dispersion",
        OutputWorkspace="bands",
    )
    assert made.getNumberHistograms() == 2
    np.testing.assert_array_equal(made.readY(1), [3, 4, 5])
    np.testing.assert_array_equal(made.readX(1), [0, 1, 2])
    assert [made.getAxis(1).label(index) for index in range(2)] == ["branch 1", "branch 2"]
    assert made.getAxis(1).isText()
    assert made.getAxis(0).getUnit().unitID() == "MomentumTransfer"
    assert made.YUnitLabel() == "energy (meV)"
    assert made.getTitle() == "dispersion"
    assert not made.isHistogramData()


def test_an_axis_can_have_a_label_of_its_own(simpleapi: ModuleType) -> None:
    made = simpleapi.CreateWorkspace(DataX=[0.0, 1.0], DataY=[1.0, 2.0], OutputWorkspace="curve")
    made.getAxis(0).setUnit("Label").setLabel("Counting time", "minutes")
    unit = simpleapi.mtd["curve"].getAxis(0).getUnit()
    assert (unit.unitID(), unit.caption(), unit.symbol().ascii()) == ("Label", "Counting time", "minutes")


def test_arrays_are_read_only_unless_asked_for(spectra: Any) -> None:
    with pytest.raises(ValueError, match="read-only"):
        spectra.readY(0)[0] = 5.0
    spectra.dataY(0)[0] = 5.0
    assert spectra.readY(0)[0] == 5.0
    spectra.setY(1, np.full(20, 2.0))
    np.testing.assert_array_equal(spectra.readY(1), np.full(20, 2.0))


def test_lengths_must_fit(simpleapi: ModuleType, spectra: Any) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        simpleapi.CreateWorkspace(DataX=[0.0, 1.0, 2.0, 3.0, 4.0], DataY=[1.0, 2.0], OutputWorkspace="wrong")
    with pytest.raises(ValueError, match=r"\S"):
        spectra.setY(0, np.zeros(3))


def test_number_of_labels_must_fit(simpleapi: ModuleType) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        simpleapi.CreateWorkspace(
            DataX=[0.0, 1.0],
            DataY=[1.0, 2.0],
            VerticalAxisUnit="Text",
            VerticalAxisValues=["a", "b"],
            OutputWorkspace="wrong",
        )
