"""The manual pages of the algorithms: complete, and their examples do what they say."""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.mantid_choice import PLUGINS

PAGES = sorted((PLUGINS / "docs").glob("*.rst"))
#: What every page holds, in this order.
PARTS = (
    ".. algorithm::",
    ".. summary::",
    ".. relatedalgorithms::",
    ".. properties::",
    "Description\n-----------",
    ".. math::",
    ".. figure::",
    "Usage\n-----",
    ".. testcode::",
    ".. testoutput::",
    "References\n----------",
    ".. categories::",
    ".. sourcelink::",
)
_BLOCK = re.compile(r"^\.\. (testcode|testoutput):: \w+\n\n((?:(?:   .*)?\n)+)", re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Code and output of a page, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8") + "\n")
    return [(kind, textwrap.dedent(text).strip()) for kind, text in found]


def test_every_algorithm_has_its_page() -> None:
    assert {page.stem for page in PAGES} == {f"{file.stem}-v1" for file in PLUGINS.glob("*.py")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_parts_in_the_order_of_mantids_own(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places, PARTS[places.index(-1)]
    assert places == sorted(places)
    for figure in re.findall(r"\.\. figure:: (\S+)", text):
        assert (page.parent / figure).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_speaks_of_properties_that_there_are(simpleapi: ModuleType, page: Path) -> None:
    from mantid.api import AlgorithmManager

    declared = {known.name for known in AlgorithmManager.create(page.stem.partition("-")[0]).getProperties()}
    description = page.read_text(encoding="utf-8").partition("References\n")[0]
    named = {word for word in re.findall(r"(?<!\*)\*([A-Z]\w+)\*(?!\*)", description) if len(word) > 5}
    assert named - declared <= {"FileBackEnd"}, "that one is of LoadMD"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_the_page_says(simpleapi: ModuleType, page: Path) -> None:
    names: dict[str, Any] = {}
    parts = blocks(page)
    assert [kind for kind, _ in parts] == ["testcode", "testoutput"] * (len(parts) // 2)
    for (_, code), (_, output) in zip(parts[::2], parts[1::2], strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), names)
        # The stand-in writes the messages of algorithms to standard output, as Mantid does to the console.
        lines = [line for line in printed.getvalue().splitlines() if not re.match(r"\w+-\[\w+\]", line)]
        assert "\n".join(lines).strip() == output
