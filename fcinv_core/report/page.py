"""The parts that a report is made of: headings, tables, figures and verdicts, in one HTML file with its style."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from fcinv_core.verdict import Finding, Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Dots per inch of embedded pictures: sharp on screen, small enough to mail.
_DPI = 150
#: Told apart by the colour-blind, and by the words beside them.
STATUS_COLOURS = {Status.OK: "#1b7837", Status.LOOK: "#b35806", Status.BAD: "#b2182b"}
_STATUS_WORDS = {Status.OK: "fine", Status.LOOK: "look", Status.BAD: "stop"}

_STYLE = """
:root { --ink: #1c2127; --soft: #5c6670; --line: #dfe3e8; --wash: #f6f7f9; --blue: #1f4e79; }
* { box-sizing: border-box; }
html { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { margin: 0; background: white; color: var(--ink); font: 16px/1.55 "Segoe UI", "Helvetica Neue", Arial,
  "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 3.2rem 1.6rem 4rem; }
h1 { font-size: 2.1rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 .35rem; }
h2 { font-size: 1.3rem; font-weight: 650; margin: 3.2rem 0 .7rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; font-weight: 650; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.lead { color: var(--soft); max-width: none; }
.verdict { margin: 1.8rem 0 0; padding: 1.1rem 1.4rem 1.2rem; background: var(--wash); border-left: 6px solid; }
.verdict > p { font-size: 1.2rem; font-weight: 600; margin: 0 0 .7rem; max-width: none; }
.verdict dl { display: grid; grid-template-columns: 3.6rem 8.2rem 1fr; gap: .3rem .6rem; margin: 0;
  font-size: .95rem; }
.verdict dt { font-weight: 600; }
.verdict dd { margin: 0; }
.mark { font-weight: 700; font-size: .8rem; text-transform: uppercase; letter-spacing: .05em; padding-top: .13rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1.2rem 1.6rem;
  margin: 1.9rem 0 0; }
.numbers b { display: block; font-size: 1.4rem; font-weight: 600; line-height: 1.25; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.numbers b small { font-size: .95rem; font-weight: 400; color: var(--soft); }
.numbers span { color: var(--soft); font-size: .86rem; line-height: 1.35; display: block; }
figure { margin: 1.1rem 0 1.6rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .89rem; margin-top: .45rem; max-width: 58rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(310px, 1fr)); gap: .4rem 3rem;
  align-items: start; }
table { border-collapse: collapse; width: 100%; font-size: .89rem; font-variant-numeric: tabular-nums;
  margin: .5rem 0 1rem; }
th { text-align: left; font-weight: 600; border-bottom: 1.5px solid var(--ink); padding: .3rem .7rem .3rem 0;
  vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); padding: .22rem .7rem .22rem 0; vertical-align: top; }
th.right, td.right { text-align: right; }
td.soft { color: var(--soft); }
.bar { display: inline-block; width: 5.5rem; height: .6rem; background: var(--line); vertical-align: middle; }
.bar i { display: block; height: 100%; background: var(--blue); }
summary { cursor: pointer; color: var(--blue); margin: .4rem 0; }
ul { margin: .4rem 0; padding-left: 1.15rem; max-width: 52rem; }
li { margin: .22rem 0; }
pre { background: var(--wash); padding: .8rem 1rem; overflow-x: auto; font-size: .86rem; line-height: 1.45; }
code { font-family: "SF Mono", Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: .92em; }
td.text { overflow-wrap: anywhere; }
@media print {
  @page { size: A4; margin: 14mm 13mm; }
  html { font-size: 11.5px; }
  body { font-size: 1rem; line-height: 1.45; }
  main { padding: 0; max-width: none; }
  h2 { margin-top: 2rem; }
  .numbers { grid-template-columns: repeat(6, 1fr); }
  .columns { grid-template-columns: 1fr 1fr; }
  h2, h3 { break-after: avoid; }
  figure, tr, .verdict, .numbers { break-inside: avoid; }
  pre { white-space: pre-wrap; }
}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole HTML document of parts, which are HTML; the title is text."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """Return a heading; level 1 is the title of the page."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph; the kind "lead" is for the line under the title."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def verdict(headline: str, status: Status, findings: Sequence[Finding]) -> str:
    """Return the verdict: one sentence, then a line for each finding."""
    lines = "\n".join(
        f'<dd class="mark" style="color:{STATUS_COLOURS[one.status]}">{_STATUS_WORDS[one.status]}</dd>'
        f"<dt>{escape(one.name)}</dt><dd>{escape(one.sentence)}</dd>"
        for one in findings
    )
    colour = STATUS_COLOURS[status]
    return (
        f'<section class="verdict" style="border-color:{colour}">\n'
        f'<p style="color:{colour}">{escape(headline)}</p>\n<dl>\n{lines}\n</dl>\n</section>'
    )


def numbers(entries: Sequence[tuple[str, str, str]]) -> str:
    """Return a row of key numbers: (number, its unit or error, what it is)."""
    cells = "\n".join(
        f"<div><b>{escape(number)} <small>{escape(unit)}</small></b><span>{escape(what)}</span></div>"
        for number, unit, what in entries
    )
    return f'<section class="numbers">\n{cells}\n</section>'


def picture(figure: Figure, caption: str, alternative: str) -> str:
    """Return a figure as a picture inside the page, with its caption and a text for those who do not see it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{content}" alt="{escape(alternative, quote=True)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str] | None = None) -> str:
    """Return a table of HTML cells.

    Parameters
    ----------
    header
        Text of the columns.
    rows
        HTML of the cells: escape what is text, or use `bar`.
    kinds
        Class of each column: "right" for numbers, "soft", "text" or "".
    """
    classes = [""] * len(header) if kinds is None else list(kinds)
    head = "".join(_cell("th", kind, escape(name)) for kind, name in zip(classes, header, strict=True))
    body = "\n".join(
        "<tr>" + "".join(_cell("td", kind, cell) for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def facts(entries: Mapping[str, str]) -> str:
    """Return a table of names and texts without a header."""
    rows = "\n".join(
        f'<tr><td class="soft">{escape(name)}</td><td class="text">{escape(text)}</td></tr>'
        for name, text in entries.items()
    )
    return f"<table>\n<tbody>\n{rows}\n</tbody>\n</table>"


def bar(share: float) -> str:
    """Return a small bar that is filled to a share between 0 and 1."""
    percent = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="bar" title="{percent:.0f} %"><i style="width:{percent:.0f}%"></i></span>'


def bullets(sentences: Sequence[str]) -> str:
    """Return a list of sentences."""
    return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "\n</ul>"


def columns(*parts: str) -> str:
    """Return parts side by side where there is room."""
    return '<div class="columns">' + "".join(f"<div>{part}</div>" for part in parts) + "</div>"


def folded(summary: str, content: str) -> str:
    """Return content that opens when its summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def code(text: str) -> str:
    """Return lines of code."""
    return f"<pre><code>{escape(text)}</code></pre>"


def _cell(tag: str, kind: str, content: str) -> str:
    return f'<{tag} class="{kind}">{content}</{tag}>' if kind else f"<{tag}>{content}</{tag}>"
