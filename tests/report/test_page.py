"""The parts of a report are HTML that shows any text as it is."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fcinv_core.plotting import new_figure
from fcinv_core.report import page
from fcinv_core.verdict import Finding, Status

NASTY = 'a < b & "c" > <script>alert(1)</script>'


def parsed(html: str) -> ElementTree.Element:
    """Parts without void elements are well-formed XML too."""
    return ElementTree.fromstring(f"<div>{html}</div>")


@pytest.mark.parametrize(
    "html",
    [
        page.heading(NASTY),
        page.paragraph(NASTY, "lead"),
        page.verdict(NASTY, Status.LOOK, [Finding(NASTY, Status.BAD, NASTY)]),
        page.numbers([(NASTY, NASTY, NASTY)]),
        page.table([NASTY], [["plain"]]),
        page.facts({NASTY: NASTY}),
        page.bullets([NASTY]),
        page.folded(NASTY, "<p>inside</p>"),
        page.code(NASTY),
    ],
)
def test_text_is_never_taken_for_markup(html: str) -> None:
    element = parsed(html)
    assert NASTY in "".join(element.itertext())
    assert not list(element.iter("script"))


def test_cells_of_a_table_keep_their_kinds() -> None:
    element = parsed(page.table(["a", "b"], [["1", page.bar(0.25)]], ["right", ""]))
    assert [cell.get("class") for cell in element.iter("td")] == ["right", None]
    [filled] = element.iter("i")
    assert filled.get("style") == "width:25%"


@pytest.mark.parametrize(("share", "width"), [(-1.0, "width:0%"), (2.0, "width:100%")])
def test_bars_end_at_their_ends(share: float, width: str) -> None:
    assert width in page.bar(share)


def test_a_picture_is_inside_the_page_and_described() -> None:
    figure = new_figure(1.0, 1.0)
    html = page.picture(figure, "caption", 'a "map"')
    assert html == page.picture(figure, "caption", 'a "map"'), "equal figures are equal pages"
    assert 'src="data:image/png;base64,iVBOR' in html
    assert 'alt="a &quot;map&quot;"' in html


def test_a_page_is_a_document_of_its_own() -> None:
    text = page.page("Ge & Si", [page.heading("Ge & Si", 1)])
    assert text.startswith("<!doctype html>")
    assert "<title>Ge &amp; Si</title>" in text
    assert '<meta charset="utf-8">' in text
    assert "http" not in text
