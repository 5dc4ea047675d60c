"""Properties of algorithms: types, defaults, validators, workspaces, files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.contract.algorithms import created, nothing, register, run


def _declare(algorithm: Any) -> None:
    from mantid import api, kernel

    inputs, outputs, optional = kernel.Direction.Input, kernel.Direction.Output, api.PropertyMode.Optional
    algorithm.declareProperty(api.IMDHistoWorkspaceProperty("Histogram", "", inputs, optional), "A histogram.")
    algorithm.declareProperty("Flag", False, doc="A flag.")
    algorithm.declareProperty("Count", 3, kernel.IntBoundedValidator(lower=1, upper=5), "A count.")
    algorithm.declareProperty("Width", 0.5, kernel.FloatBoundedValidator(lower=0.0), "A width.")
    algorithm.declareProperty("Limit", kernel.Property.EMPTY_DBL, doc="A limit.")
    algorithm.declareProperty("Mode", "A", kernel.StringListValidator(["A", "B"]), "A mode.")
    algorithm.declareProperty("Text", "", doc="A text.")
    algorithm.declareProperty(
        kernel.FloatArrayProperty("Pair", [1.0, 2.0], kernel.FloatArrayLengthValidator(2), direction=inputs), "Two."
    )
    algorithm.declareProperty(kernel.IntArrayProperty("Numbers", direction=inputs), "Some.")
    algorithm.declareProperty(kernel.StringArrayProperty("Words", direction=inputs), "Some.")
    algorithm.declareProperty(
        api.FileProperty("Existing", "", api.FileAction.OptionalLoad, [".txt"]), "A file to be read."
    )
    algorithm.declareProperty("Answer", 0.0, direction=outputs)
    algorithm.declareProperty(api.ITableWorkspaceProperty("Table", "", outputs, optional), "A table.")


@pytest.fixture
def declared(simpleapi: ModuleType) -> Any:
    """An algorithm that has a property of each kind."""
    register("ContractProperties", _declare, nothing)
    return created("ContractProperties")


def test_values_come_back_in_the_type_of_the_default(declared: Any) -> None:
    values = {name: declared.getProperty(name).value for name in ("Flag", "Count", "Width", "Mode", "Answer")}
    assert values == {"Flag": False, "Count": 3, "Width": 0.5, "Mode": "A", "Answer": 0.0}
    assert [type(value) for value in values.values()] == [bool, int, float, str, float]


def test_types_have_words(declared: Any) -> None:
    words = {
        name: declared.getProperty(name).type for name in ("Flag", "Count", "Width", "Text", "Pair", "Numbers")
    }
    assert words == {
        "Flag": "boolean",
        "Count": "number",
        "Width": "number",
        "Text": "string",
        "Pair": "dbl list",
        "Numbers": "int list",
    }
    assert declared.getProperty("Histogram").type == "IMDHistoWorkspace"
    assert declared.getProperty("Table").type == "TableWorkspace"


def test_arrays_are_numpy_arrays_and_are_set_from_lists_arrays_and_text(declared: Any) -> None:
    for value in ([3.0, 4.5], np.array([3.0, 4.5]), "3,4.5", "3, 4.5"):
        declared.setProperty("Pair", value)
        found = declared.getProperty("Pair").value
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, [3.0, 4.5])
    declared.setProperty("Numbers", "2,3,4")
    assert [int(number) for number in declared.getProperty("Numbers").value] == [2, 3, 4]
    with pytest.raises((TypeError, ValueError)):
        declared.setProperty("Numbers", ["not a number"])
    declared.setProperty("Words", ["a", "b"])
    assert list(declared.getProperty("Words").value) == ["a", "b"]


def test_unset_optional_workspace_and_empty_array(declared: Any) -> None:
    assert declared.getProperty("Histogram").value is None
    assert declared.getProperty("Histogram").valueAsStr == ""
    assert len(declared.getProperty("Numbers").value) == 0


def test_empty_number_is_recognised(declared: Any) -> None:
    from mantid.kernel import Property

    assert declared.getProperty("Limit").value == Property.EMPTY_DBL == 8.988465674311579e307
    assert declared.getProperty("Limit").isDefault
    declared.setProperty("Limit", 2.0)
    assert not declared.getProperty("Limit").isDefault


def test_text_sets_any_property(declared: Any) -> None:
    declared.setPropertyValue("Count", "4")
    declared.setPropertyValue("Flag", "1")
    declared.setPropertyValue("Width", "2.5")
    assert declared.getProperty("Count").value == 4
    assert declared.getProperty("Flag").value is True
    assert declared.getPropertyValue("Width") == "2.5"
    assert declared.getPropertyValue("Flag") == "1"


@pytest.mark.parametrize(
    ("name", "value"), [("Count", 6), ("Count", 0), ("Width", -1.0), ("Mode", "C"), ("Pair", [1.0, 2.0, 3.0])]
)
def test_invalid_value_is_refused_at_once_and_the_old_one_stays(declared: Any, name: str, value: Any) -> None:
    before = declared.getPropertyValue(name)
    with pytest.raises(ValueError, match=r"\S"):
        declared.setProperty(name, value)
    assert declared.getPropertyValue(name) == before


def test_refused_value_of_a_list_is_named(declared: Any) -> None:
    with pytest.raises(ValueError, match=r'Invalid value for property Mode .*"C"'):
        declared.setPropertyValue("Mode", "C")


def test_allowed_values_of_a_list_are_listed(declared: Any) -> None:
    assert list(declared.getProperty("Mode").allowedValues) == ["A", "B"]


def test_unknown_property_is_a_runtime_error(declared: Any) -> None:
    with pytest.raises(RuntimeError, match="Unknown property"):
        declared.setProperty("Nothing", 1)
    with pytest.raises(RuntimeError, match="Unknown property"):
        declared.getProperty("Nothing")


def test_workspace_of_the_wrong_kind_is_refused(declared: Any, events: Any) -> None:
    with pytest.raises(ValueError, match="not of the correct type"):
        declared.setPropertyValue("Histogram", "events")


def test_workspace_that_is_not_there_is_refused(declared: Any) -> None:
    with pytest.raises(ValueError, match="not found"):
        declared.setPropertyValue("Histogram", "nowhere")


def test_workspace_is_set_by_name_or_as_an_object(declared: Any, histogram: Any) -> None:
    declared.setProperty("Histogram", "histogram")
    assert declared.getProperty("Histogram").value.name() == "histogram"
    declared.setProperty("Histogram", histogram)
    assert declared.getPropertyValue("Histogram") == "histogram"


def test_matrix_workspace_counts_as_a_workspace_with_dimensions(simpleapi: ModuleType, spectra: Any) -> None:
    from mantid import api, kernel

    register(
        "ContractAnyDimensions",
        lambda self: self.declareProperty(api.IMDWorkspaceProperty("Any", "", kernel.Direction.Input)),
        nothing,
    )
    algorithm = created("ContractAnyDimensions", Any=spectra)
    assert algorithm.getProperty("Any").value.name() == "spectra"


def test_file_that_does_not_exist_passes_where_reading_is_optional(declared: Any, tmp_path: Path) -> None:
    declared.setProperty("Existing", str(tmp_path / "nowhere.txt"))
    assert declared.getProperty("Existing").value == str(tmp_path / "nowhere.txt")


def test_file_that_does_not_exist_is_refused_where_it_must_be_read(simpleapi: ModuleType, tmp_path: Path) -> None:
    from mantid import api

    register(
        "ContractFile",
        lambda self: self.declareProperty(api.FileProperty("Name", "", api.FileAction.Load, [".txt"]), "A file."),
        nothing,
    )
    algorithm = created("ContractFile")
    with pytest.raises(ValueError, match="not found"):
        algorithm.setProperty("Name", str(tmp_path / "nowhere.txt"))
    (tmp_path / "there.txt").write_text("x", encoding="utf-8")
    algorithm.setProperty("Name", str(tmp_path / "there.txt"))
    assert algorithm.getProperty("Name").value == str(tmp_path / "there.txt")


def test_several_files_are_names_and_those_to_be_summed_a_list(simpleapi: ModuleType, tmp_path: Path) -> None:
    from mantid import api

    register(
        "ContractFiles",
        lambda self: self.declareProperty(
            api.MultipleFileProperty("Names", api.FileAction.OptionalLoad, [".txt"]), "Files."
        ),
        nothing,
    )
    names = [str(tmp_path / f"{letter}.txt") for letter in "ab"]
    for name in names:
        Path(name).write_text("x", encoding="utf-8")
    algorithm = created("ContractFiles")
    algorithm.setPropertyValue("Names", ",".join(names))
    assert list(algorithm.getProperty("Names").value) == names
    algorithm.setPropertyValue("Names", "+".join(names))
    assert [list(files) for files in algorithm.getProperty("Names").value] == [names]


def test_condition_enables_a_property(declared: Any) -> None:
    from mantid.kernel import EnabledWhenProperty, PropertyCriterion

    condition = EnabledWhenProperty("Mode", PropertyCriterion.IsEqualTo, "B")
    assert not condition.isEnabled(declared)
    declared.setProperty("Mode", "B")
    assert condition.isEnabled(declared)
    assert EnabledWhenProperty("Text", PropertyCriterion.IsDefault).isEnabled(declared)


def test_groups_and_documentation_are_kept(simpleapi: ModuleType) -> None:
    def declare(self: Any) -> None:
        self.declareProperty("Number", 1, doc="What it is.")
        self.setPropertyGroup("Number", "Options")

    register("ContractGroups", declare, nothing)
    known = created("ContractGroups").getProperty("Number")
    assert known.getGroup == "Options"
    assert known.documentation == "What it is."


def test_properties_keep_the_order_of_declaration(declared: Any) -> None:
    names = [known.name for known in declared.getProperties()]
    assert names[:4] == ["Histogram", "Flag", "Count", "Width"]


def test_number_comes_out(simpleapi: ModuleType) -> None:
    register("ContractAnswer", _declare, lambda self: self.setProperty("Answer", 42.0))
    assert run("ContractAnswer").getProperty("Answer").value == 42.0


def test_optional_output_may_be_left_out(simpleapi: ModuleType) -> None:
    register("ContractNoTable", _declare, nothing)
    assert run("ContractNoTable").isExecuted()
    assert list(simpleapi.mtd.getObjectNames()) == []


def test_optional_output_without_a_name_fails_at_the_end(simpleapi: ModuleType) -> None:
    from mantid.api import WorkspaceFactory

    register("ContractUnnamed", _declare, lambda self: self.setProperty("Table", WorkspaceFactory.createTable()))
    with pytest.raises(RuntimeError, match="empty name"):
        run("ContractUnnamed")


def test_optional_output_knows_whether_it_was_named(simpleapi: ModuleType) -> None:
    from mantid.api import WorkspaceFactory

    def execute(self: Any) -> None:
        if not self.getProperty("Table").isDefault:
            self.setProperty("Table", WorkspaceFactory.createTable())

    register("ContractNamed", _declare, execute)
    assert run("ContractNamed").isExecuted()
    run("ContractNamed", Table="named")
    assert list(simpleapi.mtd.getObjectNames()) == ["named"]


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [(("Name",), {}), (("Name", 1, 2.5, "doc"), {}), (("Name", 1), {"documentation": "x"}), ((1, "Name"), {})],
    ids=["no default", "number for a validator", "unknown keyword", "no name"],
)
def test_declaration_of_no_known_form_is_a_type_error(
    simpleapi: ModuleType, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    errors = []

    def declare(self: Any) -> None:
        try:
            self.declareProperty(*arguments, **keywords)
        except TypeError as error:
            errors.append(error)

    register("ContractDeclaration", declare, nothing)
    errors.clear()
    created("ContractDeclaration")
    assert errors


def test_property_with_a_taken_name_is_refused(simpleapi: ModuleType) -> None:
    errors = []

    def declare(self: Any) -> None:
        self.declareProperty("Number", 1)
        try:
            self.declareProperty("Number", 2)
        except (RuntimeError, ValueError) as error:
            errors.append(error)

    register("ContractTwins", declare, nothing)
    errors.clear()
    created("ContractTwins")
    assert errors
