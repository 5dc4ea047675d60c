"""Figures of dispersions and spectra along a q-path, drawn without any global state of matplotlib."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.files import replace_when_complete
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid
from fcinv_core.stability import TOLERANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour of lines on white, and colour map of intensities: both can be told apart by the colour-blind.
LINE_COLOUR = "#1f4e79"
COLOUR_MAP = "viridis"
#: Colour of bins that nothing is known about.
NO_DATA_COLOUR = "0.85"
_DPI = 160


def plot_bands(path_png: Path, path: QPath, energies: FloatArray, *, title: str) -> None:
    """Draw a dispersion into a PNG file.

    Parameters
    ----------
    path_png
        Where the picture goes.
    path
        The n q-points.
    energies
        Shape (n, s): energies of the branches, meV; imaginary ones are negative and drawn below zero.
    title
        Title of the figure; see `material_title`.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    draw_bands(axes, path, energies, color=LINE_COLOUR, linewidth=1.3)
    low, high = float(energies.min()), float(energies.max())
    span = high - min(low, 0.0)
    bottom = low - 0.09 * span if low < -0.01 * span else 0.0
    axes.set_ylim(bottom, high + 0.05 * span)
    if bottom < 0:
        axes.axhspan(bottom, 0, color="0.93", zorder=0)
        axes.text(0.99, 0.02, "imaginary energies are drawn negative", transform=axes.transAxes, ha="right", size=9)
    draw_path_axis(axes, path)
    axes.set_ylabel("energy (meV)")
    axes.set_title(title, size=11, wrap=True)
    save_figure(figure, path_png)


def plot_dispersions(
    path_png: Path,
    path: QPath,
    dispersions: Sequence[tuple[str, FloatArray]],
    *,
    title: str,
    mean: FloatArray | None = None,
) -> None:
    """Draw the dispersions of several sets of force constants into one PNG file.

    Sets with imaginary modes are dashed and marked as unstable; imaginary energies are drawn negative.

    Parameters
    ----------
    path_png
        Where the picture goes.
    path
        The n q-points.
    dispersions
        Label and energies, shape (n, s), meV, of each set.
    title
        Title of the figure; see `material_title`.
    mean
        Shape (n, s): dispersion of their mean, meV, drawn in black.
    """
    from matplotlib import colormaps

    figure = new_figure(8.6, 4.6)
    axes = figure.add_subplot()
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, len(dispersions)))
    for colour, (label, energies) in zip(colours, dispersions, strict=True):
        unstable = float(energies.min()) < -TOLERANCE
        style = "--" if unstable else "-"
        draw_bands(axes, path, energies, color=colour, linewidth=0.9, linestyle=style)
        axes.plot([], [], color=colour, linestyle=style, label=f"{label} (unstable)" if unstable else label)
    if mean is not None:
        draw_bands(axes, path, mean, color="black", linewidth=1.8)
        axes.plot([], [], color="black", linewidth=1.8, label="mean of the stable ones")
    axes.axhline(0, color="0.6", linewidth=0.6)
    draw_path_axis(axes, path)
    axes.set_ylabel("energy (meV)")
    axes.set_title(title, size=11)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    save_figure(figure, path_png)


def plot_spectrum(
    path_png: Path,
    path: QPath,
    grid: SpectralGrid,
    spectrum: NDArray[Any],
    *,
    title: str,
    energies: FloatArray | None = None,
    intensity_label: str = "intensity (modes per meV)",
) -> None:
    """Draw a map of I(q, E) into a PNG file.

    Parameters
    ----------
    path_png
        Where the picture goes.
    path
        The n q-points.
    grid
        Energy bins.
    spectrum
        Shape (n, n_bins): intensities; bins of NaN are drawn grey.
    title
        Title of the figure; see `material_title`.
    energies
        Shape (n, s): branches to draw over the map, meV.
    intensity_label
        Label of the colour bar, with the unit.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    mesh = draw_spectrum(axes, path, grid, spectrum)
    if energies is not None:
        shown = np.where((energies < grid.minimum) | (energies > grid.maximum), np.nan, energies)
        draw_bands(axes, path, shown, color="white", linewidth=0.5, linestyle=(0, (5, 4)), alpha=0.7)
    axes.set_ylim(grid.minimum, grid.maximum)
    draw_path_axis(axes, path, colour="white")
    axes.set_ylabel("energy transfer (meV)")
    axes.set_title(title, size=11, wrap=True)
    figure.colorbar(mesh, ax=axes, label=intensity_label, pad=0.02)
    save_figure(figure, path_png)


def new_figure(width: float = 7.0, height: float = 4.4) -> Figure:
    """Return an empty figure, in inches, that belongs to no window and no pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path_png: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replace_when_complete(path_png) as temporary:
        # No software version in the file: equal figures are equal files.
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})


def draw_path_axis(axes: Axes, path: QPath, *, colour: str = "0.6") -> None:
    """Label the horizontal axis, distance along a path in 1/Å, with its high-symmetry points; draw its breaks."""
    ticks = path.tick_labels
    positions = [float(path.distance[index]) for index, _ in ticks]
    axes.set_xticks(positions, _labels_in_room(positions, [label for _, label in ticks]))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(positions[0], positions[-1])
    broken = {piece.stop - 1 for piece in path.pieces}
    for (index, _), position in list(zip(ticks, positions, strict=True))[1:-1]:
        axes.axvline(position, color=colour, linewidth=1.6 if index in broken else 0.6, zorder=1.5)
    axes.set_xlabel("wave vector")


def draw_bands(axes: Axes, path: QPath, energies: FloatArray, **line: Any) -> None:
    """Draw branches, energies of shape (n, s) in meV, against the distance along a path, not across its breaks."""
    for piece in path.pieces:
        axes.plot(path.distance[piece], energies[piece], **line)


def draw_spectrum(axes: Axes, path: QPath, grid: SpectralGrid, spectrum: NDArray[Any]) -> Any:
    """Draw intensities, shape (n, n_bins), against distance along a path and energy.

    Each point of the path is a column that reaches half way to its neighbours and to no point across a break.
    Returns what a colour bar needs.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    known = np.ma.masked_invalid(np.asarray(spectrum, dtype=float))
    top = float(known.max()) if known.count() else 1.0
    scale = Normalize(min(0.0, float(known.min())) if known.count() else 0.0, top if top > 0 else 1.0)
    axes.set_facecolor(NO_DATA_COLOUR)
    mesh = None
    for piece in path.pieces:
        x = path.distance[piece]
        edges = np.concatenate([x[:1], (x[:-1] + x[1:]) / 2, x[-1:]])
        mesh = axes.pcolormesh(
            edges, grid.edges, known[piece].T, norm=scale, cmap=colormaps[COLOUR_MAP], rasterized=True
        )
    return mesh


def material_title(crystal: Crystal, what: str) -> str:
    """Return a title: formula and space group as they are printed, and what is shown of them."""
    formula = re.sub(r"(\d+)", r"$_{\1}$", crystal.formula)
    group = re.sub(r"-(\d)", r"\\bar{\1}", crystal.space_group_symbol)
    group = re.sub(r"_(\d)", r"_{\1}", group)
    return f"{formula} (${group}$): {_plain(what)}"


def _plain(text: str) -> str:
    """Protect a text from being read as mathematics."""
    return text.replace("$", r"\$")


def _labels_in_room(positions: list[float], labels: list[str]) -> list[str]:
    """Print labels ("S_2" with a subscript), those that would touch their left neighbour on a second line."""
    length = positions[-1] - positions[0]
    placed: list[str] = []
    lowered = False
    for k, label in enumerate(labels):
        width = len((label + labels[k - 1]).replace("_", "")) / 2
        # A letter takes about 2 % of the axis.
        close = k > 0 and positions[k] - positions[k - 1] < (0.018 * width + 0.008) * length
        lowered = close and not lowered
        printed = re.sub(r"_(\w+)", r"$_{\1}$", _plain(label))
        placed.append(f"\n{printed}" if lowered else printed)
    return placed
