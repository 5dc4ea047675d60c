"""The folder of plugins holds algorithms only, because Mantid imports every Python file below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mantid_choice import PLUGINS

FILES = sorted(PLUGINS.rglob("*.py"))
BASES = {"PythonAlgorithm", "DataProcessorAlgorithm"}


def test_folder_holds_plugins() -> None:
    assert FILES
    assert len({path.stem for path in FILES}) == len(FILES), "Mantid imports each file under its bare name"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_holds_one_algorithm_of_its_name_and_registers_it_last(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes] == [path.stem]
    assert {ast.unparse(base).split(".")[-1] for base in classes[0].bases} <= BASES
    assert ast.unparse(body[-1]) == f"AlgorithmFactory.subscribe({path.stem})"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_class_itself_defines_what_mantid_looks_up_in_it(path: Path) -> None:
    [cls] = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    own = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
    assert {"PyInit", "PyExec", "category", "summary", "seeAlso", "validateInputs"} <= own


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_functions_of_algorithms_are_not_imported_by_star(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert [alias.name for alias in node.names] != ["*"]
            assert node.module != "mantid.simpleapi", "it may still be loading when plugins are imported"
