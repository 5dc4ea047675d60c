"""Figures and a table of a folded measurement: intensity, counts, coverage, and what each zone class gave."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import FloatArray
from fcinv_core.files import write_text
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.plotting import (
    COLOUR_MAP,
    NO_DATA_COLOUR,
    draw_bands,
    draw_path_axis,
    draw_spectrum,
    material_title,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours end at these percentiles of the covered cells off the elastic line, which is many times brighter.
_PERCENTILES = (1.0, 99.0)
#: Cells within this share of the highest incident energy belong to the elastic line, when colours are chosen.
_ELASTIC_SHARE = 0.06
#: Zone classes shown in the figure of their coverage.
_CLASSES = 30


def write_figures(
    folded: Folded,
    folder: Path,
    *,
    stem: str = "folded",
    keep: BoolArray | None = None,
    energies: FloatArray | None = None,
) -> tuple[Path, ...]:
    """Draw all figures of a folded measurement, and write the table of its zone classes, into a folder.

    Parameters
    ----------
    folded
        The folded measurement.
    folder
        Where the files go.
    stem
        Their names begin with it: STEM.png, STEM_coverage.png, STEM_counts.png, STEM_classes.png, STEM_classes.csv.
    keep
        Shape (k,): cells that the intensity sums (`Folded.select`); all by default.
    energies
        Shape (n, s): branches to draw over the intensity, meV; of a path only.

    Returns
    -------
    The files.
    """
    parts = ("", "_coverage", "_counts", "_classes")
    pictures = [Path(folder) / f"{stem}{part}.png" for part in parts]
    table = Path(folder) / f"{stem}_classes.csv"
    plot_intensity(pictures[0], folded, keep=keep, energies=energies)
    plot_coverage(pictures[1], folded, keep=keep)
    plot_counts(pictures[2], folded, keep=keep)
    plot_classes(pictures[3], folded)
    write_text(table, classes_csv(folded))
    return (*pictures, table)


def plot_intensity(
    path_png: Path, folded: Folded, *, keep: BoolArray | None = None, energies: FloatArray | None = None
) -> None:
    """Draw I(q, E) into a PNG file; what was not covered is grey, and colours end below the elastic line's.

    Parameters
    ----------
    path_png
        Where the picture goes.
    folded
        The folded measurement.
    keep
        Shape (k,): cells to sum; all by default.
    energies
        Shape (n, s): branches to draw over it, meV; of a path only.
    """
    shown = folded.intensity(keep)
    covered = float((shown.exposure > 0).mean())
    title = f"{_runs(folded)}, {100 * covered:.0f} % of the bins covered"
    label = "intensity" + (" less background" if folded.backgrounds else "")
    _plot_map(path_png, folded, _clipped(folded, shown.intensity), title, label, energies)


def plot_coverage(path_png: Path, folded: Folded, *, keep: BoolArray | None = None) -> None:
    """Draw the exposure of every bin, relative to the median of the covered ones, on a logarithmic scale."""
    exposure = folded.intensity(keep).exposure
    covered = exposure > 0
    relative = np.full(exposure.shape, np.nan)
    if covered.any():
        relative[covered] = np.log10(exposure[covered] / np.median(exposure[covered]))
    title = f"exposure, {_runs(folded)}"
    _plot_map(path_png, folded, relative, title, "log$_{10}$ (exposure / median)", None)


def plot_counts(path_png: Path, folded: Folded, *, keep: BoolArray | None = None) -> None:
    """Draw the effective counts of every covered bin: what the statistics of a fit rest on."""
    shown = folded.intensity(keep)
    covered = shown.exposure > 0
    empty = float((shown.counts[covered] == 0).mean()) if covered.any() else 0.0
    title = f"{shown.counts[covered].sum():.0f} counts, {100 * empty:.0f} % of the covered bins empty"
    _plot_map(path_png, folded, _clipped(folded, np.where(covered, shown.counts, np.nan)), title, "counts", None)


def plot_classes(path_png: Path, folded: Folded) -> None:
    """Draw where the best-exposed zone classes cover the bins: exposure summed over energies, as a share of all.

    Classes are ordered by the length of their zone vector.
    """
    n_rows, n_bins, _ = folded.shape
    cells = folded.cells
    exposure = np.bincount(cells.row * n_bins + cells.bin, cells.exposure, n_rows * n_bins).reshape(n_rows, n_bins)
    best = np.sort(np.argsort(-exposure.sum(axis=1), kind="stable")[:_CLASSES])
    best = best[exposure[best].sum(axis=1) > 0]
    total = exposure.sum(axis=0)
    share = np.where(exposure[best] > 0, exposure[best] / np.where(total > 0, total, 1.0), np.nan)

    figure = new_figure(7.0, 1.6 + 0.19 * max(len(best), 4))
    axes = figure.add_subplot()
    rows = np.arange(len(best) + 1) - 0.5
    mesh = _draw_rows(axes, folded, rows, share)
    axes.set_ylim(len(best) - 0.5, -0.5)
    names = [" ".join(str(i) for i in zone) for zone in folded.hkl[best].tolist()]
    axes.set_yticks(range(len(best)), names, fontsize="x-small")
    axes.set_ylabel("zone (h k l)")
    figure.colorbar(mesh, ax=axes, label="share of the exposure", pad=0.02)
    n_covered = len(np.unique(cells.row[cells.exposure > 0]))
    what = f"{len(best)} best of {n_covered} zone classes" if n_covered > len(best) else f"{len(best)} zone classes"
    axes.set_title(material_title(folded.bins.crystal, what), size=11, wrap=True)
    save_figure(figure, path_png)


def classes_csv(folded: Folded) -> str:
    """Return one line for each zone class: what of the bins it covers, and its mean intensity (no background off).

    Columns: h, k, l (conventional); length of that reciprocal lattice vector, 1/Å; share of the bins (path points)
    and of the cells (bin, energy) covered; exposure and its share; effective counts; mean intensity and its
    standard deviation from counting.
    """
    cells = folded.cells
    n_rows, n_bins, n_energies = folded.shape
    inside = cells.exposure > 0
    row = cells.row[inside]

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(row, values, n_rows), dtype=float)

    exposure, signal = total(cells.exposure[inside]), total(cells.signal[inside])
    deviation, counts = np.sqrt(total(cells.variance[inside])), total(cells.counts[inside])
    n_cells = total(np.ones(len(row)))
    pairs = np.unique(row * n_bins + cells.bin[inside])
    points = np.bincount(pairs // n_bins, minlength=n_rows)
    lengths = np.linalg.norm(folded.zones @ folded.bins.crystal.reciprocal_lattice, axis=1)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["h", "k", "l", "length_per_angstrom", "share_of_bins", "share_of_cells", "exposure", "share_of_exposure",
         "counts", "mean_intensity", "sigma"]
    )  # fmt: skip
    for k in np.flatnonzero(exposure > 0).tolist():
        numbers = [
            lengths[k],
            points[k] / n_bins,
            n_cells[k] / (n_bins * n_energies),
            exposure[k],
            exposure[k] / exposure.sum(),
            counts[k],
            signal[k] / exposure[k],
            deviation[k] / exposure[k],
        ]
        table.writerow([*folded.hkl[k].tolist(), *(f"{number:.6g}" for number in numbers)])
    return text.getvalue()


def _runs(folded: Folded) -> str:
    return f"{len(folded.runs)} run{'s' * (len(folded.runs) != 1)} folded"


def _clipped(folded: Folded, values: FloatArray) -> FloatArray:
    """Bring values (n_bins, n_energies) between the percentiles of what lies off the elastic line."""
    incident = max(run.incident_energy for run in folded.runs)
    off = values[:, np.abs(folded.grid.centres) > _ELASTIC_SHARE * incident]
    off = off[np.isfinite(off)]
    # Where most bins are empty a percentile of all would be nought.
    bright = off[off > 0]
    if not len(bright):
        return values
    return np.clip(
        values, min(0.0, float(np.percentile(off, _PERCENTILES[0]))), np.percentile(bright, _PERCENTILES[1])
    )


def _plot_map(
    path_png: Path,
    folded: Folded,
    values: FloatArray,
    title: str,
    label: str,
    energies: FloatArray | None,
) -> None:
    grid, path = folded.grid, folded.bins.path
    figure = new_figure()
    axes = figure.add_subplot()
    if path is not None:
        mesh = draw_spectrum(axes, path, grid, values)
        if energies is not None:
            inside = (energies >= grid.minimum) & (energies <= grid.maximum)
            drawn = np.where(inside, energies, np.nan)
            draw_bands(axes, path, drawn, color="white", linewidth=0.6, linestyle=(0, (5, 4)), alpha=0.8)
        draw_path_axis(axes, path, colour="white")
    else:
        mesh = _draw_rows(axes, folded, grid.edges, values.T)
    axes.set_ylim(grid.minimum, grid.maximum)
    axes.set_ylabel("energy transfer (meV)")
    axes.set_title(material_title(folded.bins.crystal, title), size=11, wrap=True)
    figure.colorbar(mesh, ax=axes, label=label, pad=0.02)
    save_figure(figure, path_png)


def _draw_rows(axes: Axes, folded: Folded, edges: NDArray[Any], values: NDArray[Any]) -> Any:
    """Draw rows of values (n_rows, n_bins) against the path, or against irreducible q-points by length."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    path = folded.bins.path
    known = np.ma.masked_invalid(values)
    top = float(known.max()) if known.count() else 1.0
    scale = Normalize(min(0.0, float(known.min())) if known.count() else 0.0, top if top > 0 else 1.0)
    axes.set_facecolor(NO_DATA_COLOUR)

    def draw(columns: NDArray[Any], block: NDArray[Any]) -> Any:
        return axes.pcolormesh(columns, edges, block, norm=scale, cmap=colormaps[COLOUR_MAP], rasterized=True)

    if path is None:
        length = np.linalg.norm(folded.bins.q @ folded.bins.crystal.reciprocal_lattice, axis=1)
        order = np.argsort(length, kind="stable")
        axes.set_xlabel("irreducible q-point, by |q|")
        return draw(np.arange(len(order) + 1) - 0.5, known[:, order])
    for piece in path.pieces:
        x = path.distance[piece]
        mesh = draw(np.concatenate([x[:1], (x[:-1] + x[1:]) / 2, x[-1:]]), known[:, piece])
    draw_path_axis(axes, path)
    return mesh
