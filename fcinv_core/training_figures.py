"""Figures of a training set: its ensemble, the sensitivity of the dispersion, and some of its spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fcinv_core.crystal import IntArray
from fcinv_core.dynamics import mode_energies
from fcinv_core.plotting import (
    draw_path_axis,
    draw_spectrum,
    material_title,
    new_figure,
    plot_dispersions,
    save_figure,
)
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath
from fcinv_core.sensitivity import Sensitivity
from fcinv_core.training_set import TrainingSet

#: Force constants shown in the figure of sensitivities.
_BARS = 24


def plot_ensemble(prior: Prior, path: QPath, path_png: Path) -> None:
    """Draw the dispersions of all members of an ensemble and of the mean of its stable ones into a PNG file."""
    members = [(member, prior.force_constants(member.values, member.name)) for member in prior.members]
    plot_dispersions(
        path_png,
        path,
        [(_short(Path(m.name).name), mode_energies(fcs, path.q, path.direction)) for m, fcs in members],
        title=material_title(prior.crystal, f"{len(members)} sets of force constants"),
        mean=mode_energies(prior.reference, path.q, path.direction),
    )


def plot_sensitivity(prior: Prior, found: Sensitivity, chosen: IntArray, path_png: Path) -> None:
    """Draw how far each force constant moves the dispersion over its observed range into a PNG file.

    The force constants that are retained are filled; the others, by falling effect, are hollow.
    """
    others = np.setdiff1d(np.argsort(-found.rms), chosen, assume_unique=True)
    shown = np.concatenate([chosen, others])[: max(_BARS, len(chosen))]
    figure = new_figure(7.0, 1.2 + 0.22 * len(shown))
    axes = figure.add_subplot()
    rows = np.arange(len(shown))
    kept = np.isin(shown, chosen)
    axes.barh(rows, found.rms[shown], color=np.where(kept, "#1f4e79", "white"), edgecolor="#1f4e79", linewidth=0.8)
    axes.plot(found.largest[shown], rows, "|", color="#d55e00", markersize=9, markeredgewidth=2, label="largest")
    axes.plot([], [], "s", color="#1f4e79", label="rms, retained")
    axes.plot([], [], "s", color="white", markeredgecolor="#1f4e79", label="rms, not retained")
    axes.legend(loc="lower right", fontsize="small")
    axes.set_yticks(rows, [f"FC{k}  {prior.labels[k]}" for k in shown], fontsize="small")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(left=0)
    axes.set_xlabel("change of mode energies over the observed range (meV)")
    axes.set_title(material_title(prior.crystal, f"{len(chosen)} force constants retained"), size=11)
    save_figure(figure, path_png)


def plot_examples(training: TrainingSet, path_png: Path) -> None:
    """Draw the spectra of six samples, from the softest to the stiffest, into a PNG file."""
    n = len(training)
    highest = training.energies(slice(0, min(n, 500))).max(axis=(1, 2))
    chosen = np.argsort(highest)[np.linspace(0, len(highest) - 1, min(6, n)).astype(int)]
    figure = new_figure(9.0, 5.2)
    panels = figure.subplots(2, 3, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    for axes, sample in zip(panels, chosen, strict=False):
        [spectrum] = training.spectra(slice(int(sample), int(sample) + 1))
        draw_spectrum(axes, training.qpath, training.grid, spectrum)
        draw_path_axis(axes, training.qpath, colour="white")
        axes.set_xlabel("")
        axes.set_title(f"sample {sample}", size=9)
    for axes in panels[::3]:
        axes.set_ylabel("energy (meV)")
    acceptance = 100 * training.content["acceptance"]
    title = f"{len(training)} stable sets drawn, {acceptance:.0f} % of the candidates"
    figure.suptitle(material_title(training.prior.crystal, title), size=11)
    save_figure(figure, path_png)


def _short(name: str) -> str:
    for part in ("phonopy_params_", ".phonopy_params", ".yaml", ".xz"):
        name = name.replace(part, "")
    return name
