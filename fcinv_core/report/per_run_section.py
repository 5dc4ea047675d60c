"""The section of the report on single orientations: error by angle, force constants by angle, running answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from fcinv_core.inversion.per_run import PartialAnswer, PerRun
from fcinv_core.inversion.per_run_content import CONTENT, TABLE
from fcinv_core.plotting import LINE_COLOUR, new_figure
from fcinv_core.report.page import heading, paragraph, picture, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 10.6
_EXPECTED_COLOUR = "#d55e00"
#: Force constants that are drawn by angle.
_SHOWN = 4


def per_run_section(per_run: PerRun, labels: tuple[str, ...]) -> list[str]:
    """Return the section as HTML parts.

    Parameters
    ----------
    per_run
        Answers of single orientations.
    labels
        Names of the force constants in FC order.
    """
    found = [one for one in per_run.single if not one.failure]
    errors = np.array([one.error for one in found])
    models = " and ".join(f"{name} {number} times" for name, number in _models(found))
    text = (
        f"Each of the {len(per_run.single)} runs inverted alone in {per_run.seconds:.0f} s, against the answer of "
        f"all of them: mode energies differ by {np.median(errors):.2f} meV rms in the median, for nine runs "
        f"of ten by less than {np.quantile(errors, 0.9):.2f} meV. Amplitudes were {models}. {TABLE} and "
        f"{CONTENT} hold all force constants with their errors."
        if len(found)
        else "No run could be inverted alone."
    )
    parts = [heading("Single orientations"), paragraph(text)]
    if not found:
        return parts
    failed = len(per_run.single) - len(found)
    if failed:
        reason = next(one.failure for one in per_run.single if one.failure)
        parts.append(paragraph(f"{failed} runs could not be inverted alone, such as: {reason}."))
    rows = [
        (
            str(len(one.runs)),
            f"{one.counts:.0f}",
            one.amplitudes,
            f"{one.error:.2f}" if k < len(per_run.running) - 1 else "–",
            f"{one.expected_error:.2f}",
        )
        for k, one in enumerate(per_run.running)
    ]
    header = ("runs", "counts", "amplitudes", "from all, meV rms", "expected error, meV rms")
    return [
        *parts,
        picture(
            _errors(per_run),
            "Left: root mean square difference of mode energies over the zone between each orientation alone and "
            "all together, by the angle of the goniometer; orange: the error that the orientation's own posterior "
            "expects. Right: the same for the first runs together, as they accumulate.",
            "error by angle, and as orientations accumulate",
        ),
        picture(
            _force_constants(per_run, labels),
            "The largest force constants of each orientation alone with one and two standard deviations; line and "
            "band: the answer of all runs with one.",
            "force constants by angle",
        ),
        table(header, rows, ("right", "right", "", "right", "right")),
    ]


def _models(found: list[PartialAnswer]) -> list[tuple[str, int]]:
    return Counter(one.amplitudes for one in found).most_common()


def _errors(per_run: PerRun) -> Figure:
    figure = new_figure(_WIDTH, 3.6)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.7, 1)})
    angles = [one.angle for one in per_run.single]
    left.plot(angles, [one.error for one in per_run.single], "o", color=LINE_COLOUR, markersize=3.5)
    left.plot(angles, [one.expected_error for one in per_run.single], color=_EXPECTED_COLOUR, linewidth=1)
    left.set_xlabel("goniometer angle from the first run (degrees)")
    left.set_ylabel("error (meV rms)")
    left.set_ylim(0)
    some = per_run.running[:-1]
    right.plot([len(one.runs) for one in some], [one.error for one in some], "o-", color=LINE_COLOUR)
    right.plot(
        [len(one.runs) for one in per_run.running],
        [one.expected_error for one in per_run.running],
        color=_EXPECTED_COLOUR,
        linewidth=1,
    )
    right.set_xscale("log", base=2)
    right.set_xticks([len(one.runs) for one in per_run.running], [str(len(one.runs)) for one in per_run.running])
    right.minorticks_off()
    right.set_xlabel("runs together")
    right.set_ylim(0)
    handles = [left.lines[0], left.lines[1]]
    names = ["difference from all runs", "expected by the posterior"]
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def _force_constants(per_run: PerRun, labels: tuple[str, ...]) -> Figure:
    figure = new_figure(_WIDTH, 4.6)
    everything = per_run.running[-1]
    angles = [one.angle for one in per_run.single]
    number = min(_SHOWN, len(labels))
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for k, axes in enumerate(panels[:number]):
        values = np.array([one.values[k] for one in per_run.single])
        sigma = np.array([one.sigma[k] for one in per_run.single])
        middle, width = everything.values[k], everything.sigma[k]
        axes.axhspan(middle - width, middle + width, color=LINE_COLOUR, alpha=0.25, linewidth=0)
        axes.axhline(middle, color=LINE_COLOUR, linewidth=1)
        axes.errorbar(angles, values, 2 * sigma, fmt="none", ecolor="0.75", elinewidth=0.8)
        axes.errorbar(angles, values, sigma, fmt="o", color="0.25", markersize=2.5, elinewidth=1.2)
        axes.set_title(f"FC{k}  {labels[k]}", size=10, loc="left")
        axes.set_ylabel("eV/Å²")
    for axes in panels[number:]:
        axes.set_visible(False)
    for axes in panels[2:]:
        axes.set_xlabel("goniometer angle from the first run (degrees)")
    return figure
