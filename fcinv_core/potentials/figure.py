"""The picture of an ensemble: the dispersions of all its members along the standard path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import phonopy

from fcinv_core.crystal import Crystal
from fcinv_core.potentials.finite_displacements import energies_at
from fcinv_core.qpath import standard_path


def plot_ensemble_dispersions(
    crystal: Crystal, force_constants: Mapping[str, Path], *, unstable: Collection[str], path: Path
) -> None:
    """Draw the dispersions of all members into one PNG file.

    Parameters
    ----------
    crystal
        Gives the path through the Brillouin zone.
    force_constants
        phonopy_params file of each member, by its label, in the standard primitive cell of ``crystal``.
    unstable
        Labels of members with imaginary modes: drawn dashed, imaginary energies below zero.
    path
        Where the PNG goes.
    """
    # Not pyplot: it would choose a backend for the whole process, Workbench's included.
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    qpath = standard_path(crystal)
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, len(force_constants)))
    for colour, (label, source) in zip(colours, force_constants.items(), strict=True):
        # The search for symmetry takes longer than all else here, and energies do not need it.
        phonon = phonopy.load(source, is_symmetry=False, log_level=0)
        energies = energies_at(phonon, qpath.q)
        style = "--" if label in unstable else "-"
        for piece in qpath.pieces:
            lines = axes.plot(qpath.distance[piece], energies[piece], color=colour, lw=0.9, ls=style)
        lines[0].set_label(f"{label} (unstable)" if label in unstable else label)
    ticks = [qpath.distance[index] for index, _ in qpath.tick_labels]
    for tick in ticks:
        axes.axvline(tick, color="0.8", lw=0.6, zorder=0)
    axes.axhline(0, color="0.6", lw=0.6, zorder=0)
    axes.set_xticks(ticks, [label for _, label in qpath.tick_labels])
    axes.set_xlim(ticks[0], ticks[-1])
    axes.set_ylabel("energy (meV)")
    axes.set_title(f"{crystal.formula}, {crystal.space_group_symbol}: {len(force_constants)} force fields")
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, format="png", dpi=150)
