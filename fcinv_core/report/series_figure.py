"""The picture of a series: force constants and mode energies against temperature or pressure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from fcinv_core.inversion.series import Mode, Series
from fcinv_core.plotting import LINE_COLOUR, material_title, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Rows and columns of panels.
_SHAPE = (2, 3)
#: High-symmetry points at the zone boundary that are drawn.
_BOUNDARY = 2
_COLOURS = (LINE_COLOUR, "#d55e00", "#009e73", "#cc79a7")
#: Error bars of several modes stand apart by this share of the axis.
_APART = 0.012


def series_figure(series: Series) -> Figure:
    """Draw the largest force constants, and modes at zone centre and zone boundary, with their errors."""
    rows, columns = _SHAPE
    figure = new_figure(10.6, 6.0)
    figure.suptitle(
        material_title(series.answers[0].inversion.crystal, f"change with {series.quantity}"), fontsize="medium"
    )
    panels = figure.subplots(rows, columns, sharex=True).ravel()
    modes = [(title, chosen) for title, chosen in _chosen_modes(series) if chosen]
    shown = min(len(panels) - len(modes), len(series.labels))
    for k, axes in enumerate(panels[:shown]):
        _draw_force_constant(axes, series, k)
    for axes, (title, chosen) in zip(panels[shown:], modes, strict=False):
        _draw_modes(axes, series, title, chosen)
    for axes in panels[shown + len(modes) :]:
        axes.set_visible(False)
    for axes in panels[-columns:]:
        axes.set_xlabel(f"{series.quantity} ({series.unit})")
    return figure


def _chosen_modes(series: Series) -> tuple[tuple[str, list[Mode]], tuple[str, list[Mode]]]:
    """Lowest and highest mode of the points of highest symmetry: title, modes."""
    centre, boundary = list[Mode](), list[list[Mode]]()
    for point, found in groupby(series.modes, lambda mode: mode.point):
        modes = list(found)
        ends = [modes[0], modes[-1]] if len(modes) > 1 else modes
        if point == "Γ":
            centre = ends
        else:
            boundary.append(ends)
    return (
        ("zone centre", centre),
        ("zone boundary", [mode for ends in boundary[:_BOUNDARY] for mode in ends]),
    )


def _draw_force_constant(axes: Axes, series: Series, k: int) -> None:
    """Draw one force constant; open where the prior decided it."""
    values, sigma = series.values[:, k], series.sigma[:, k]
    axes.errorbar(series.at, values, sigma, color=LINE_COLOUR, linewidth=0.8, elinewidth=1.2, capsize=2.5)
    prior = np.array([one.inversion.decided_by[k] == "prior" for one in series.answers])
    for some, face in ((~prior, LINE_COLOUR), (prior, "white")):
        axes.plot(
            series.at[some], values[some], "o", color=LINE_COLOUR, markerfacecolor=face, markersize=5, zorder=3
        )
    by_prior = " (open: decided by the prior)" if prior.any() else ""
    axes.set_title(f"FC{k}  {series.labels[k]}{by_prior}", fontsize="small", loc="left")
    axes.set_ylabel("eV/Å²")
    axes.ticklabel_format(axis="y", useOffset=False)


def _draw_modes(axes: Axes, series: Series, title: str, modes: list[Mode]) -> None:
    """Draw energies of modes less their mean over the series."""
    width = float(np.ptp(series.at))
    for k, mode in enumerate(modes):
        mean = float(mode.energies.mean())
        aside = (k - (len(modes) - 1) / 2) * _APART * width
        axes.errorbar(
            series.at + aside,
            mode.energies - mean,
            mode.sigma,
            color=_COLOURS[k % len(_COLOURS)],
            marker="o",
            markersize=4,
            linewidth=0.8,
            elinewidth=1.2,
            capsize=2.5,
            label=f"{mode.name}: {mean:.2f} meV",
        )
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    axes.margins(y=0.25)
    axes.set_title(f"{title}: energies less their mean", fontsize="small", loc="left")
    axes.set_ylabel("meV")
    axes.legend(fontsize="x-small", frameon=False, ncols=2, loc="upper center")
