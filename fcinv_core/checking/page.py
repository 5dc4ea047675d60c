"""A page of pictures and a file of numbers that show what a check found."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from fcinv_core.checking.check import Check
from fcinv_core.checking.elastic_line import FWHM, Line
from fcinv_core.files import write_text
from fcinv_core.plotting import COLOUR_MAP, LINE_COLOUR, NO_DATA_COLOUR, material_title, new_figure, save_figure
from fcinv_core.verdict import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Told apart by the colour-blind, and by the words beside them.
_COLOURS = {Status.OK: "#1b7837", Status.LOOK: "#b35806", Status.BAD: "#b2182b"}
_MISS = "#b2182b"


def write_check(check: Check, folder: Path, provenance: Mapping[str, Any] | None = None) -> tuple[Path, Path]:
    """Write check.png and check.json into a folder; return their paths.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    content = {
        "events": check.description,
        "structure": check.crystal.describe(),
        "status": check.status.value,
        "checks": {
            one.name: {"status": one.status.value, "sentence": one.sentence, **one.numbers}
            for one in check.findings
        },
        "provenance": dict(provenance or {}),
    }
    numbers, picture = Path(folder) / "check.json", Path(folder) / "check.png"
    write_text(numbers, json.dumps(content, indent=1, ensure_ascii=False, default=float) + "\n")
    _draw(check, picture)
    return picture, numbers


def _draw(check: Check, path: Path) -> None:
    figure = new_figure(15.0, 17.0)
    grid = figure.add_gridspec(5, 3, height_ratios=(0.95, 1, 1, 1, 1))
    _words(figure.add_subplot(grid[0, :]), check)
    _peak_map(figure.add_subplot(grid[1, 0]), check)
    _displacements(figure.add_subplot(grid[1, 1]), check)
    _run_turns(figure.add_subplot(grid[1, 2]), check)
    _line(figure.add_subplot(grid[2, 0]), check)
    _line_of_runs(figure.add_subplot(grid[2, 1]), check)
    _line_of_angles(figure.add_subplot(grid[2, 2]), check)
    _pattern(figure.add_subplot(grid[3, 0]), check)
    _tails(figure.add_subplot(grid[3, 1]), check)
    _equivalence(figure.add_subplot(grid[3, 2]), check)
    _counts(figure.add_subplot(grid[4, 0]), check)
    _runs(figure.add_subplot(grid[4, 1]), check)
    _zone(figure.add_subplot(grid[4, 2]), check)
    save_figure(figure, path)


def _words(axes: Axes, check: Check) -> None:
    axes.set_axis_off()
    plain = check.description.replace("$", r"\$")
    axes.set_title(f"{material_title(check.crystal, plain)}", size=14, loc="left")
    y = 0.97
    for one in check.findings:
        lines = textwrap.wrap(one.sentence, 165)
        if len(lines) > 3:
            lines = [*lines[:2], lines[2] + " ... (check.json)"]
        style: dict[str, Any] = {"size": 10.5, "va": "top", "transform": axes.transAxes}
        axes.text(0.0, y, one.status.value, color=_COLOURS[one.status], weight="bold", **style)
        axes.text(0.04, y, one.name, weight="bold", **style)
        axes.text(0.125, y, "\n".join(lines).replace("$", r"\$"), **style)
        y -= 0.077 * len(lines) + 0.03


def _peak_map(axes: Axes, check: Check) -> None:
    axes.set_title("Bragg peaks in the sample's frame", size=11)
    peaks = check.peaks
    if peaks is None or not len(peaks):
        _nothing(axes, "no Bragg peaks")
        return
    # The plane in which most of the peaks lie: the largest two principal axes, along axes of the frame.
    flat = int(np.abs(peaks.position).max(axis=0).argmin())
    first, second = (k for k in (2, 0, 1) if k != flat)
    size = 12 + 60 * np.sqrt(peaks.intensity / peaks.intensity.max())
    for good, colour, label, marker in (
        (peaks.indexed, LINE_COLOUR, "indexed", "o"),
        (~peaks.indexed, _MISS, "not indexed", "X"),
    ):
        if good.any():
            place = peaks.position[good]
            axes.scatter(
                place[:, first], place[:, second], s=size[good], color=colour, marker=marker, alpha=0.7,
                label=f"{label} ({int(good.sum())})", linewidths=0,
            )  # fmt: skip
    shown = peaks.indexed
    if shown.any():
        exaggerate = 10
        axes.quiver(
            peaks.position[shown][:, first], peaks.position[shown][:, second],
            exaggerate * peaks.residual[shown][:, first], exaggerate * peaks.residual[shown][:, second],
            angles="xy", scale_units="xy", scale=1, width=0.003, color="0.3",
        )  # fmt: skip
        axes.text(0.02, 0.02, f"arrows: displacement × {exaggerate}", transform=axes.transAxes, size=8)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"Q$_{'xyz'[first]}$ (1/Å)")
    axes.set_ylabel(f"Q$_{'xyz'[second]}$ (1/Å)")
    axes.legend(fontsize=8, loc="upper right")


def _displacements(axes: Axes, check: Check) -> None:
    axes.set_title("distance from the UB matrix", size=11)
    peaks = check.peaks
    if peaks is None or not peaks.indexed.any():
        _nothing(axes, "no indexed Bragg peaks")
        return
    good = peaks.indexed
    length = np.linalg.norm(peaks.position[good], axis=1)
    distance = np.linalg.norm(peaks.residual[good], axis=1)
    axes.errorbar(length, distance, peaks.error[good], fmt="o", ms=4, lw=0.8, color=LINE_COLOUR, label="peaks")
    if check.misfit is not None:
        q = np.array([0, length.max() * 1.1])
        for degrees, style in ((0.25, ":"), (0.5, "--"), (1.0, "-")):
            axes.plot(q, np.radians(degrees) * q, style, color="0.5", lw=1, label=f"{degrees:g}°")
    axes.set_xlim(0)
    axes.set_ylim(0, max(1.2 * float(distance.max()), 0.02))
    axes.set_xlabel("|Q| (1/Å)")
    axes.set_ylabel("distance (1/Å)")
    axes.legend(fontsize=8)


def _run_turns(axes: Axes, check: Check) -> None:
    axes.set_title("turn of each run about the vertical", size=11)
    turns = check.turns
    if turns is None or not np.isfinite(turns.angle).any():
        _nothing(axes, "too few Bragg peaks in each run")
        return
    good = np.isfinite(turns.angle)
    axes.errorbar(
        np.flatnonzero(good) + 1, turns.angle[good], turns.error[good], fmt="o", ms=3, lw=0.8, color=LINE_COLOUR
    )
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_xlabel("run (in order)")
    axes.set_ylabel("angle (degrees)")


def _line(axes: Axes, check: Check) -> None:
    axes.set_title("elastic line, all runs", size=11)
    line = check.elastic_line
    middle = (line.edges[1:] + line.edges[:-1]) / 2
    axes.step(middle, line.spectrum, where="mid", color=LINE_COLOUR, lw=1)
    if line.whole is None:
        axes.text(0.5, 0.9, "no elastic line found", ha="center", transform=axes.transAxes, color=_MISS)
    else:
        whole = line.whole
        sigma = whole.fwhm / FWHM
        model = whole.area * (
            ndtr((line.edges[1:] - whole.centre) / sigma) - ndtr((line.edges[:-1] - whole.centre) / sigma)
        )
        near = np.abs(middle - whole.centre) < 4 * sigma
        axes.plot(middle[near], model[near], color=_MISS, lw=1.2, label=f"{whole.centre:+.3f} meV")
        axes.axvspan(*line.window, color="0.92", zorder=0, label="taken as elastic")
        axes.set_xlim(whole.centre - 12 * sigma, whole.centre + 12 * sigma)
        axes.legend(fontsize=8)
    axes.axvline(0, color="0.6", lw=0.8)
    top = max(float(line.spectrum.max()), 1.0)
    axes.set_yscale("log")
    axes.set_ylim(max(1e-4 * top, 0.5), 2 * top)
    axes.set_xlabel("energy transfer (meV)")
    axes.set_ylabel("weighted counts")


def _line_of_runs(axes: Axes, check: Check) -> None:
    axes.set_title("elastic line of each run", size=11)
    x = np.arange(1, len(check.elastic_line.of_runs) + 1)
    _centres(axes, x, check.elastic_line.of_runs)
    axes.set_xlabel("run (in order)")


def _line_of_angles(axes: Axes, check: Check) -> None:
    axes.set_title("elastic line against scattering angle", size=11)
    _centres(axes, check.elastic_line.angles, check.elastic_line.of_angles)
    axes.set_xlabel("scattering angle (degrees)")


def _centres(axes: Axes, x: Any, lines: tuple[Line | None, ...]) -> None:
    good = [k for k, one in enumerate(lines) if one is not None]
    if not good:
        _nothing(axes, "too few counts")
        return
    known = [one for one in lines if one is not None]
    centre, error = [one.centre for one in known], [one.centre_error for one in known]
    axes.errorbar(np.asarray(x)[good], centre, error, fmt="o", ms=3, lw=0.8, color=LINE_COLOUR)
    half = np.array([one.fwhm for one in known]) / 2
    axes.fill_between(
        np.asarray(x)[good], np.array(centre) - half, np.array(centre) + half, color="0.9", label="FWHM", zorder=0
    )
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_ylabel("centre (meV)")
    axes.legend(fontsize=8)


def _pattern(axes: Axes, check: Check) -> None:
    axes.set_title("elastic intensity outside Bragg peaks", size=11)
    pattern = check.pattern
    if pattern is None or not np.isfinite(pattern.rate).any():
        _nothing(axes, "no elastic line")
        return
    known = np.isfinite(pattern.rate)
    axes.step(pattern.q[known], pattern.rate[known], where="mid", color=LINE_COLOUR, lw=0.7)
    top = float(np.nanpercentile(pattern.rate, 99.5)) * 1.5
    for line in pattern.lines:
        axes.axvspan(*line.mask, color="#fdd9b5", zorder=0)
        axes.text(line.q, 0.97 * top, line.name or f"{line.q:.2f}", rotation=90, ha="center", va="top", size=8)
    axes.set_xlim(0, float(pattern.q[known].max()))
    axes.set_ylim(0, top if top > 0 else 1)
    axes.set_xlabel("|Q| (1/Å)")
    axes.set_ylabel("weight per exposure")


def _tails(axes: Axes, check: Check) -> None:
    from matplotlib.colors import LogNorm

    axes.set_title("around reflections of the UB matrix", size=11)
    tails = check.tails
    if tails is None or not (tails.density > 0).any():
        _nothing(axes, "no indexed Bragg peaks")
        return
    shown = np.where(tails.density > 0, tails.density, np.nan)
    top = float(np.nanmax(shown))
    axes.set_facecolor(NO_DATA_COLOUR)
    axes.pcolormesh(
        tails.radius, tails.energy, np.ma.masked_invalid(shown).T, norm=LogNorm(top * 1e-4, top), cmap=COLOUR_MAP,
        rasterized=True,
    )  # fmt: skip
    low, high = tails.energy_range
    axes.plot(
        [0, tails.q_radius, tails.q_radius, 0], [low, low, high, high], color="white", lw=1.5, label="leave out"
    )
    axes.legend(fontsize=8, labelcolor="white", facecolor="0.3")
    axes.set_xlabel("distance from the reflection (1/Å)")
    axes.set_ylabel("energy transfer (meV)")


def _equivalence(axes: Axes, check: Check) -> None:
    axes.set_title("equivalent regions, inelastic", size=11)
    agreement = check.agreement
    if agreement is None or not len(agreement.rates):
        _nothing(axes, "nothing to compare")
        return
    rate, mean = agreement.rates.T
    some = slice(None, None, max(1, len(rate) // 4000))
    axes.scatter(mean[some], rate[some], s=3, color=LINE_COLOUR, alpha=0.4, linewidths=0, rasterized=True)
    ends = np.array([mean.min(), mean.max()])
    axes.plot(ends, ends, color=_MISS, lw=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("mean of the class (weight per exposure)")
    axes.set_ylabel("single region")
    lines = (
        f"chi2 / freedom {agreement.chi2_per_freedom:.2f}",
        f"beyond statistics {100 * agreement.rms:.0f} %",
        f"(inequivalent {100 * agreement.rms_inequivalent:.0f} %)",
    )
    axes.text(0.03, 0.97, "\n".join(lines), transform=axes.transAxes, va="top", size=9)


def _counts(axes: Axes, check: Check) -> None:
    from matplotlib.colors import LogNorm

    axes.set_title("intensity over exposure, grey: not covered", size=11)
    coverage = check.coverage
    seen = coverage.exposure > 0
    rate = np.where(seen, coverage.signal / np.where(seen, coverage.exposure, 1.0), np.nan)
    axes.set_facecolor(NO_DATA_COLOUR)
    positive = rate[np.isfinite(rate) & (rate > 0)]
    if len(positive):
        lowest = float(np.percentile(positive, 1))
        norm = LogNorm(lowest, float(positive.max()) * 1.0001)
        # Covered without a count is the lowest colour, not a gap.
        shown = np.ma.masked_invalid(np.where(rate <= 0, lowest, rate))
        axes.pcolormesh(
            coverage.q_edges, coverage.energy_edges, shown.T, norm=norm, cmap=COLOUR_MAP, rasterized=True
        )
    axes.set_xlabel("|Q| (1/Å)")
    axes.set_ylabel("energy transfer (meV)")


def _runs(axes: Axes, check: Check) -> None:
    axes.set_title("events of each run", size=11)
    counts = check.coverage.run_counts
    axes.bar(np.arange(1, len(counts) + 1), counts, width=0.9, color=LINE_COLOUR)
    axes.set_xlabel("run (in order)")
    axes.set_ylabel("events")


def _zone(axes: Axes, check: Check) -> None:
    axes.set_title("share of the irreducible zone covered", size=11)
    coverage = check.coverage
    if not np.isfinite(coverage.zone_by_energy).any():
        _nothing(axes, "the structure does not fit the UB matrix")
        return
    edges = coverage.zone_energy_edges
    axes.bar((edges[1:] + edges[:-1]) / 2, 100 * coverage.zone_by_energy, 0.9 * np.diff(edges), color=LINE_COLOUR)
    axes.set_ylim(0, 105)
    axes.set_xlabel("energy transfer (meV)")
    axes.set_ylabel("covered (%)")


def _nothing(axes: Axes, reason: str) -> None:
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes, color="0.4")
    axes.set_xticks([])
    axes.set_yticks([])
