"""Running algorithms: validation, errors, children, functions."""

from __future__ import annotations

from collections import OrderedDict
from types import ModuleType
from typing import Any

import pytest

from tests.contract.algorithms import created, nothing, register, run


def _declare_table(self: Any) -> None:
    from mantid import api, kernel

    self.declareProperty(api.ITableWorkspaceProperty("OutputWorkspace", "", kernel.Direction.Output), "A table.")


def _make_table(self: Any) -> None:
    from mantid.api import WorkspaceFactory

    self.setProperty("OutputWorkspace", WorkspaceFactory.createTable())


def _fail(self: Any) -> None:
    raise KeyError("the reason")


def test_only_algorithms_can_be_registered(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmFactory

    with pytest.raises(ValueError, match=r"\S"):
        AlgorithmFactory.subscribe(dict)


def test_registering_twice_replaces(simpleapi: ModuleType) -> None:
    register("ContractTwice", nothing, _fail)
    register("ContractTwice", nothing, nothing)
    assert run("ContractTwice").isExecuted()


def test_unknown_algorithm_is_a_runtime_error(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmManager

    with pytest.raises(RuntimeError, match="not registered"):
        AlgorithmManager.create("ContractNobodyHasThis")


def test_error_of_any_type_reaches_the_caller_as_a_runtime_error_with_its_place(simpleapi: ModuleType) -> None:
    register("ContractFails", nothing, _fail)
    with pytest.raises(RuntimeError, match=r"the reason[\s\S]*at line \d+ in '.*test_algorithms.py'"):
        run("ContractFails")


def test_error_only_returns_false_unless_it_is_to_be_passed_on(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmManager

    register("ContractFailsQuietly", nothing, _fail)
    algorithm = AlgorithmManager.create("ContractFailsQuietly")
    assert algorithm.execute() is False
    assert not algorithm.isExecuted()


def test_error_of_a_child_is_a_runtime_error_in_its_parent(simpleapi: ModuleType) -> None:
    seen = []

    def execute(self: Any) -> None:
        try:
            self.createChildAlgorithm("ContractChildFails").execute()
        except RuntimeError as error:
            seen.append(str(error))

    register("ContractChildFails", nothing, _fail)
    register("ContractCatches", nothing, execute)
    assert run("ContractCatches").isExecuted()
    assert "the reason" in seen[0]


def test_sentences_of_validate_inputs_are_logged_and_stop_the_run(
    simpleapi: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    register(
        "ContractValidates",
        lambda self: self.declareProperty("Number", 1),
        _fail,
        validateInputs=lambda self: {"Number": "the number does not fit"},
    )
    with pytest.raises(RuntimeError, match="Some invalid Properties found"):
        run("ContractValidates")
    captured = capfd.readouterr()
    assert "the number does not fit" in captured.out + captured.err


def test_error_in_validate_inputs_is_a_runtime_error(simpleapi: ModuleType) -> None:
    register("ContractBadValidation", nothing, nothing, validateInputs=_fail)
    with pytest.raises(RuntimeError, match="the reason"):
        run("ContractBadValidation")


def test_validate_inputs_must_return_a_plain_dictionary(simpleapi: ModuleType) -> None:
    register("ContractOrdered", nothing, nothing, validateInputs=lambda self: OrderedDict(Number="wrong"))
    with pytest.raises((TypeError, RuntimeError)):
        run("ContractOrdered")


def test_mandatory_property_that_is_missing_stops_the_run(simpleapi: ModuleType) -> None:
    register("ContractMandatory", _declare_table, _make_table)
    with pytest.raises(RuntimeError, match="Some invalid Properties found"):
        run("ContractMandatory")


def test_output_is_stored_under_its_name(simpleapi: ModuleType) -> None:
    register("ContractStores", _declare_table, _make_table)
    run("ContractStores", OutputWorkspace="stored")
    assert list(simpleapi.mtd.getObjectNames()) == ["stored"]


def test_output_of_a_child_is_not_stored_and_has_no_name(simpleapi: ModuleType) -> None:
    seen = []

    def execute(self: Any) -> None:
        child = self.createChildAlgorithm("CreateEmptyTableWorkspace")
        child.execute()
        seen.append(child.getProperty("OutputWorkspace").value.name())

    register("ContractChild", nothing, execute)
    run("ContractChild")
    assert seen == [""]
    assert simpleapi.mtd.size() == 0


def test_function_inside_an_algorithm_stores_its_output(simpleapi: ModuleType) -> None:
    def execute(self: Any) -> None:
        simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="left_behind")

    register("ContractLeavesBehind", nothing, execute)
    run("ContractLeavesBehind")
    assert list(simpleapi.mtd.getObjectNames()) == ["left_behind"]


def test_variable_names_the_output(simpleapi: ModuleType) -> None:
    named_so = simpleapi.CreateEmptyTableWorkspace()
    assert named_so.name() == "named_so"


def test_output_not_to_be_stored_is_returned_without_a_name(simpleapi: ModuleType) -> None:
    table = simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="unused", StoreInADS=False)
    assert table.rowCount() == 0
    assert simpleapi.mtd.size() == 0


def test_function_says_which_argument_is_missing(simpleapi: ModuleType) -> None:
    with pytest.raises(RuntimeError, match=r"DataY.*not supplied"):
        simpleapi.CreateWorkspace(DataX=[0.0, 1.0], OutputWorkspace="bare")


def test_function_does_not_say_which_output_is_missing(simpleapi: ModuleType) -> None:
    with pytest.raises(RuntimeError, match=r"^Some invalid Properties found$"):
        str(simpleapi.CreateEmptyTableWorkspace())


def test_function_refuses_unknown_keywords(simpleapi: ModuleType) -> None:
    with pytest.raises((RuntimeError, TypeError), match="Zzz"):
        simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="table", Zzz=1)


def test_category_is_text_and_related_algorithms_are_a_list(simpleapi: ModuleType) -> None:
    register(
        "ContractCategory",
        nothing,
        nothing,
        category=lambda self: "Inelastic\\ForceConstants;MDAlgorithms",
        seeAlso=lambda self: ["LoadMD", "SaveMD"],
    )
    algorithm = created("ContractCategory")
    assert list(algorithm.categories()) == ["Inelastic\\ForceConstants", "MDAlgorithms"]
    assert list(algorithm.seeAlso()) == ["LoadMD", "SaveMD"]
    assert algorithm.name() == "ContractCategory"
    assert algorithm.version() == 1


def test_unmanaged_algorithm_must_be_initialised(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmManager

    register("ContractUnmanaged", _declare_table, _make_table)
    algorithm = AlgorithmManager.createUnmanaged("ContractUnmanaged")
    assert not algorithm.isInitialized()
    algorithm.initialize()
    algorithm.setProperty("OutputWorkspace", "unmanaged")
    assert algorithm.execute()
    assert "unmanaged" in simpleapi.mtd
