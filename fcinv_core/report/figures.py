"""Figures of an inversion: spectra with the inverted dispersion, bands, force constants, residuals, coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray
from fcinv_core.derived.bands import Band
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.judgement import CONFLICT
from fcinv_core.plotting import LINE_COLOUR, NO_DATA_COLOUR, draw_bands, draw_path_axis, draw_spectrum, new_figure
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a figure that fills the page, inches.
_WIDTH = 10.6
_NETWORK_COLOUR = "#d55e00"
_MEMBER_COLOUR = "0.78"
_DECIDED = {
    "data": (LINE_COLOUR, "decided by the data"),
    "both": ("#5a9bd4", "by data and prior"),
    "prior": ("0.6", "by the prior"),
}
#: Colours of intensities end at this percentile of the cells that were fitted.
_PERCENTILE = 99.3
#: Residuals are drawn up to this many standard deviations.
_RESIDUAL = 4.0
#: Force constants in the figure of them.
_SHOWN = 30


def spectra(inversion: Inversion) -> Figure:
    """Draw measured, reconstructed and refitted I(q, E) side by side, with the inverted dispersion over them."""
    panels: list[tuple[str, QPath, SpectralGrid, NDArray[Any]]] = [
        ("measured", inversion.path, inversion.folded.grid, _shown(inversion))
    ]
    network, refined = inversion.network, inversion.along_path
    if network is not None and network.answer.reconstructed is not None:
        panels.append(("network's reconstruction", network.path, network.grid, network.answer.reconstructed))
    if refined is not None:
        panels.append(("fit", inversion.path, inversion.folded.grid, refined.fitted))
    top = _top(inversion)
    figure = new_figure(_WIDTH, 4.3)
    rows = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, path, grid, values) in zip(rows, panels, strict=True):
        # Optic modes are an order of magnitude weaker than acoustic ones.
        draw_spectrum(axes, path, grid, np.sqrt(_clipped(values, grid, top)))
        overlay(axes, inversion.path, inversion.derived.energies)
        draw_path_axis(axes, path, colour="white")
        axes.set_title(title, size=12, loc="left")
        axes.set_ylim(0, top)
    rows[0].set_ylabel("energy transfer (meV)")
    return figure


def overlay(axes: Axes, path: QPath, energies: Band) -> None:
    """Draw a dispersion over a map: its 95 % band, light, and its branches."""
    for piece in path.pieces:
        for k in range(energies.value.shape[1]):
            axes.fill_between(
                path.distance[piece],
                energies.lower95[piece, k],
                energies.upper95[piece, k],
                color="white",
                alpha=0.25,
                linewidth=0,
            )
    draw_bands(axes, path, energies.value, color="white", linewidth=0.6, alpha=0.85)


def dispersion(inversion: Inversion) -> Figure:
    """Draw the inverted dispersion with its bands, over those of the force fields and of the network."""
    figure = new_figure(_WIDTH, 4.7)
    axes = figure.add_subplot()
    path, derived = inversion.path, inversion.derived
    members = [member.values for member in inversion.prior.members if member.stability.stable]
    dynamics = inversion.prior.dynamics(path.q, path.direction)
    for values in members:
        draw_bands(axes, path, dynamics.energies(values), color=_MEMBER_COLOUR, linewidth=0.7)
    _fill(axes, path, derived.energies.lower95, derived.energies.upper95, LINE_COLOUR, 0.22)
    _fill(axes, path, derived.energies.lower68, derived.energies.upper68, LINE_COLOUR, 0.35)
    draw_bands(axes, path, derived.energies.value, color=LINE_COLOUR, linewidth=1.3)
    handles: list[Any] = [_patch(LINE_COLOUR, 0.5), _patch(LINE_COLOUR, 0.2)]
    handles += axes.plot([], [], color=_MEMBER_COLOUR, linewidth=1.2)
    names = ["answer, 68 %", "answer, 95 %", f"{len(members)} force fields"]
    if inversion.network is not None and inversion.refined is not None:
        style: dict[str, Any] = {"color": _NETWORK_COLOUR, "linewidth": 1.0, "linestyle": (0, (4, 2.5))}
        draw_bands(axes, path, inversion.network.energies.value, **style)
        handles += axes.plot([], [], **style)
        names.append("network alone")
    axes.axhline(0, color="0.6", linewidth=0.6)
    draw_path_axis(axes, path)
    low = min(0.0, float(derived.energies.lower95.min()))
    axes.set_ylim(1.05 * low, _top(inversion))
    axes.set_ylabel("energy (meV)")
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False, fontsize=10)
    return figure


def force_constants(inversion: Inversion) -> Figure:
    """Draw the force constants against their prior, in its standard deviations, and how much the data decided."""
    from matplotlib.lines import Line2D

    n = min(_SHOWN, len(inversion.values))
    prior, rows = inversion.prior, np.arange(n)
    scale, mean = prior.sigma[:n], prior.mean[:n]
    figure = new_figure(_WIDTH, 1.3 + 0.235 * n)
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (3.2, 1)})
    left.axvspan(-1, 1, color="0.94", zorder=0)
    for side in (-CONFLICT, CONFLICT):
        left.axvline(side, color="0.75", linewidth=0.8, linestyle=":")
    ends = np.sort([(prior.lower[:n] - mean) / scale, (prior.upper[:n] - mean) / scale], axis=0)
    left.hlines(rows, ends[0], ends[1], color="0.72", linewidth=5)
    decided = inversion.decided_by[:n]
    colours = [_DECIDED[who][0] for who in decided]
    left.hlines(
        rows,
        inversion.conflict[:n] - inversion.sigma[:n] / scale,
        inversion.conflict[:n] + inversion.sigma[:n] / scale,
        color=colours,
        linewidth=1.6,
    )
    left.scatter(inversion.conflict[:n], rows, color=colours, s=24, zorder=3)
    if inversion.network is not None and inversion.refined is not None:
        distance = (inversion.network.values[:n] - mean) / scale
        left.scatter(distance, rows, marker="x", color=_NETWORK_COLOUR, s=22, linewidths=1.1, zorder=2)
    left.set_yticks(rows, [f"FC{k}  {prior.labels[k]}" for k in rows], fontsize=8.5)
    left.set_ylim(n - 0.4, -0.6)
    left.tick_params(axis="y", length=0)
    left.set_xlabel("distance from the prior mean (prior standard deviations)")
    right.barh(rows, 100 * inversion.decided_share[:n], color=colours, height=0.62)
    right.set_xlim(0, 100)
    right.tick_params(axis="y", length=0)
    right.set_xlabel("prior variance removed (%)")
    marks = [
        *(Line2D([], [], color=colour, marker="o", label=label) for colour, label in _DECIDED.values()),
        Line2D([], [], color="0.72", linewidth=5, label="range of the force fields"),
    ]
    if inversion.network is not None and inversion.refined is not None:
        marks.append(Line2D([], [], color=_NETWORK_COLOUR, marker="x", linestyle="", label="network alone"))
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), frameon=False, fontsize=9.5)
    return figure


def residuals(inversion: Inversion) -> Figure:
    """Draw the Pearson residuals of the fit over path and energy, and their mean square at each energy."""
    refined = inversion.along_path
    assert refined is not None
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    grid, path, top = inversion.folded.grid, inversion.path, _top(inversion)
    figure = new_figure(_WIDTH, 4.0)
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (3.4, 1)})
    left.set_facecolor(NO_DATA_COLOUR)
    known = np.ma.masked_invalid(refined.residual)
    mesh: Any = None
    for piece in path.pieces:
        x = path.distance[piece]
        edges = np.concatenate([x[:1], (x[:-1] + x[1:]) / 2, x[-1:]])
        mesh = left.pcolormesh(
            edges,
            grid.edges,
            known[piece].T,
            norm=Normalize(-_RESIDUAL, _RESIDUAL),
            cmap=colormaps["RdBu_r"],
            rasterized=True,
        )
    draw_bands(left, path, inversion.derived.energies.value, color="black", linewidth=0.5, alpha=0.5)
    draw_path_axis(left, path)
    left.set_ylabel("energy transfer (meV)")
    left.set_ylim(0, top)
    figure.colorbar(mesh, ax=left, label="(counts - fit) / standard deviation", pad=0.015)
    square = np.ma.filled((known**2).mean(axis=0), np.nan)
    right.plot(square, grid.centres, color=LINE_COLOUR, linewidth=1.2)
    right.axvline(1, color="0.6", linewidth=0.8)
    right.set_xlim(0, max(2.0, 1.15 * float(np.nanmax(square)) if np.isfinite(square).any() else 2.0))
    right.set_xlabel("mean square residual")
    return figure


def coverage(inversion: Inversion) -> Figure:
    """Draw exposure, relative to its median, and counts of every cell along the path."""
    found, path, grid = inversion.intensity, inversion.path, inversion.folded.grid
    covered = found.exposure > 0
    relative = np.full(covered.shape, np.nan)
    relative[covered] = found.exposure[covered] / np.median(found.exposure[covered])
    figure = new_figure(_WIDTH, 3.7)
    for axes, values, title in zip(
        figure.subplots(1, 2, sharey=True),
        (np.clip(relative, 0, 4), _clipped(np.where(covered, found.counts, np.nan), grid, _top(inversion))),
        ("exposure / median", "counts"),
        strict=True,
    ):
        mesh = draw_spectrum(axes, path, grid, values)
        draw_path_axis(axes, path, colour="white")
        axes.set_title(title, size=12, loc="left")
        axes.set_ylim(max(grid.minimum, 0.0), grid.maximum)
        figure.colorbar(mesh, ax=axes, pad=0.02)
    figure.axes[0].set_ylabel("energy transfer (meV)")
    return figure


def thermodynamics(inversion: Inversion) -> Figure:
    """Draw density of states and heat capacity with their bands."""
    derived = inversion.derived
    figure = new_figure(_WIDTH, 3.5)
    left, right = figure.subplots(1, 2)
    for axes, x, of in (
        (left, derived.dos_grid.centres, derived.dos),
        (right, derived.temperatures, derived.heat_capacity),
    ):
        axes.fill_between(x, of.lower95, of.upper95, color=LINE_COLOUR, alpha=0.22, linewidth=0)
        axes.fill_between(x, of.lower68, of.upper68, color=LINE_COLOUR, alpha=0.35, linewidth=0)
        axes.plot(x, of.value, color=LINE_COLOUR, linewidth=1.3)
        axes.set_xlim(0 if axes is right else derived.dos_grid.minimum, float(x[-1]))
        axes.set_ylim(0)
    left.set_xlabel("energy (meV)")
    left.set_ylabel("density of states (1/meV)")
    right.set_xlabel("temperature (K)")
    right.set_ylabel("$C_V$ (J/(mol K))")
    return figure


def _shown(inversion: Inversion) -> FloatArray:
    """Measured intensity without the elastic line that the fit left out."""
    values = inversion.intensity.intensity
    if inversion.along_path is None:
        return np.where(inversion.folded.grid.centres > 0, values, np.nan)
    used = inversion.along_path.covered.any(axis=0)
    return np.where(used, values, np.nan)


def _top(inversion: Inversion) -> float:
    """Upper end of energy axes, meV."""
    return min(inversion.folded.grid.maximum, 1.07 * float(inversion.derived.energies.upper95.max()))


def _clipped(values: NDArray[Any], grid: SpectralGrid, top: float) -> FloatArray:
    """Bring intensities between 0 and a percentile of those that are shown."""
    inside = values[:, (grid.centres > 0) & (grid.centres < top)]
    bright = inside[np.isfinite(inside) & (inside > 0)]
    return np.clip(values, 0.0, np.percentile(bright, _PERCENTILE)) if len(bright) else np.asarray(values)


def _fill(axes: Axes, path: QPath, lower: FloatArray, upper: FloatArray, colour: str, alpha: float) -> None:
    for piece in path.pieces:
        for k in range(lower.shape[1]):
            axes.fill_between(
                path.distance[piece], lower[piece, k], upper[piece, k], color=colour, alpha=alpha, linewidth=0
            )


def _patch(colour: str, alpha: float) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, alpha=alpha, linewidth=0)
