"""Figures of the benchmark of networks: heat maps over the grid, parity, calibration, and detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcinv_core.benchmark.detection import Detections
from fcinv_core.benchmark.entrants import Entrant
from fcinv_core.benchmark.grid import BACKGROUNDS, PEAK_COUNTS
from fcinv_core.benchmark.grid_scores import Scores
from fcinv_core.benchmark.reliability import BINS, CURVE, Reliability, chance_band
from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.networks.calibration import Answers
from fcinv_core.plotting import COLOUR_MAP, LINE_COLOUR, material_title, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that can be told apart by the colour-blind (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
#: Beyond this share of the colour scale, numbers are black.
_LIGHT = 0.6


def plot_grid(
    path_png: Path,
    crystal: Crystal,
    what: str,
    values: Mapping[str, FloatArray],
    rows: Sequence[str],
    *,
    top: float | None = None,
) -> None:
    """Draw heat maps over the grid into a PNG file: a row for each quantity, a column for each network.

    Parameters
    ----------
    path_png
        Where the picture goes.
    crystal
        For the title.
    what
        What is shown, with its unit.
    values
        Of each column: shape (25, rows).
    rows
        Names of the rows.
    top
        End of the colour scale, which begins at 0; by default that of each row's largest value.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    figure = new_figure(1.0 + 2.3 * len(values), 1.0 + 1.75 * len(rows))
    panels = figure.subplots(len(rows), len(values), squeeze=False, sharex=True, sharey=True)
    shape = (len(BACKGROUNDS), len(PEAK_COUNTS))
    for row, (name, line) in enumerate(zip(rows, panels, strict=True)):
        end = top or max(float(of_column[:, row].max()) for of_column in values.values())
        scale = Normalize(0.0, end)
        for axes, (label, of_column) in zip(line, values.items(), strict=True):
            cells = of_column[:, row].reshape(shape)
            image = axes.imshow(cells, norm=scale, cmap=colormaps[COLOUR_MAP], aspect="auto")
            for (i, j), value in np.ndenumerate(cells):
                colour = "black" if value > _LIGHT * end else "white"
                axes.text(
                    j,
                    i,
                    f"{value:.2f}" if end > 0.5 else f"{value:.3f}",
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=6.5,
                )
            if row == 0:
                axes.set_title(label, size=9)
            axes.set_xticks(range(shape[1]), [f"{counts:g}" for counts in PEAK_COUNTS], fontsize=7)
            axes.set_yticks(range(shape[0]), [f"{background:g}" for background in BACKGROUNDS], fontsize=7)
            axes.tick_params(length=0)
        figure.colorbar(image, ax=line, pad=0.01, aspect=12).ax.tick_params(labelsize=7)
        line[0].set_ylabel(f"{name}\nbackground", size=8)
    for axes in panels[-1]:
        axes.set_xlabel("counts at the maximum", size=8)
    figure.suptitle(material_title(crystal, what), size=11)
    save_figure(figure, path_png)


def plot_parity(path_png: Path, entrant: Entrant, answers: Answers, scored: Scores) -> None:
    """Draw predicted against true force constants of clean spectra into a PNG file, a panel for each."""
    standardisation = entrant.model.standardisation
    numbers = standardisation.targets[entrant.places]
    columns = min(4, len(numbers))
    rows = -(-len(numbers) // columns)
    figure = new_figure(2.3 * columns + 0.4, 2.3 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(numbers) :]:
        axes.set_visible(False)
    for k, (axes, place) in enumerate(zip(panels, entrant.places, strict=False)):
        mean, deviation = standardisation.mean[place], standardisation.deviation[place]
        truth = mean + deviation * answers.truth[:, place]
        drawn = mean + deviation * answers.draws[:, :, place]
        found, spread = drawn.mean(axis=1), drawn.std(axis=1)
        ends = [float(truth.min()), float(truth.max())]
        axes.errorbar(truth, found, spread, fmt="none", ecolor="0.8", elinewidth=0.6, zorder=1)
        axes.plot(truth, found, ".", color=LINE_COLOUR, markersize=3, alpha=0.7)
        axes.plot(ends, ends, color="#d55e00", linewidth=1)
        axes.set_title(f"FC{numbers[k]}   R² {scored.r2[k]:.3f}   MAE {scored.mae[k]:.3f}", size=8)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=4)
    figure.supxlabel("true (eV/Å²)", size=9)
    figure.supylabel("mean and spread of the draws (eV/Å²)", size=9)
    what = f"{entrant.label} on {len(answers.truth)} clean spectra"
    figure.suptitle(material_title(entrant.model.prior.crystal, what), size=11)
    save_figure(figure, path_png)


def plot_reliability(path_png: Path, crystal: Crystal, found: Mapping[str, Mapping[str, Reliability]]) -> None:
    """Draw coverage, expected coverage and ranks into a PNG file: networks in rows, kinds in colours."""
    figure = new_figure(9.6, 0.8 + 2.7 * len(found))
    panels = figure.subplots(len(found), 3, squeeze=False)
    for line, (label, by_kind) in zip(panels, found.items(), strict=True):
        for colour, (kind, one) in zip(_COLOURS, by_kind.items(), strict=True):
            line[0].plot(CURVE, one.curve, color=colour, label=kind, linewidth=1.3)
            line[1].plot(CURVE, one.tarp, color=colour, label=f"{kind}, p = {one.tarp_p_value:.2g}", linewidth=1.3)
            m = int(one.histograms[0].sum())
            pooled = one.histograms.mean(axis=0) * BINS / m
            line[2].stairs(pooled, np.linspace(0, 1, BINS + 1), color=colour, linewidth=1.3)
        low, high = chance_band(m)
        line[2].axhspan(low * BINS / m, high * BINS / m, color="0.92", zorder=0)
        line[2].axhline(1, color="0.6", linewidth=0.8, linestyle="--")
        line[2].set_ylim(0, max(2.0, line[2].get_ylim()[1]))
        line[0].set_ylabel(f"{label}\nshare of truths inside", size=8)
        line[1].set_ylabel("expected coverage", size=8)
        line[2].set_ylabel("density of ranks, mean over FCs", size=8)
        for axes in line[:2]:
            _diagonal(axes)
            axes.legend(fontsize=6.5, loc="upper left", frameon=False)
        for axes in line:
            axes.tick_params(labelsize=7)
    for axes, name in zip(
        panels[-1], ("central interval", "credibility of the region (TARP)", "rank of the truth"), strict=True
    ):
        axes.set_xlabel(name, size=8)
    figure.suptitle(material_title(crystal, "calibration of the draws"), size=11)
    save_figure(figure, path_png)


def plot_roc(path_png: Path, crystal: Crystal, found: Mapping[str, Detections]) -> None:
    """Draw detection against false alarms into a PNG file, a panel for each network, a colour for each kind."""
    figure = new_figure(max(4.6, 0.6 + 3.2 * len(found)), 3.6)
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for axes, (label, one) in zip(panels, found.items(), strict=True):
        for colour, (kind, detection) in zip(_COLOURS, one.kinds.items(), strict=True):
            axes.step(
                [*detection.alarms, 1.0],
                [*detection.detected, 1.0],
                where="post",
                color=colour,
                linewidth=1.3,
                label=f"{kind}, {detection.flagged:.0%}",
            )
        _diagonal(axes)
        axes.axvline(one.false_alarms, color="0.6", linewidth=0.8, linestyle=":")
        axes.set_title(f"{label}: {one.false_alarms:.1%} false alarms", size=9)
        axes.set_xlabel("false alarms", size=8)
        axes.legend(fontsize=6.5, loc="lower right", title="flagged by the card's thresholds", title_fontsize=6.5)
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("detected", size=8)
    figure.suptitle(material_title(crystal, "detection of unusual measurements"), size=11)
    save_figure(figure, path_png)


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
