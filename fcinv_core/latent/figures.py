"""Figures of a latent space: activity, force constants in a plane, kinds of measurements in it, decoded rays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fcinv_core.latent.activity import ACTIVE
from fcinv_core.latent.ray import Ray
from fcinv_core.latent.study import LatentStudy
from fcinv_core.plotting import (
    COLOUR_MAP,
    LINE_COLOUR,
    draw_path_axis,
    draw_spectrum,
    material_title,
    new_figure,
    save_figure,
)

#: Colours that the colour-blind can tell apart (Okabe and Ito), of kinds of measurements, and of folded ones.
_KIND_COLOURS = {
    "clean": "0.75",
    "noisy": "#0072b2",
    "single orientation": "#e69f00",
    "simulated measurement": "#009e73",
}
_FOLDED_COLOURS = ("#d55e00", "#cc79a7", "#000000")
#: Spectra of a kind that are drawn: more would hide each other.
_DRAWN = 300


def plot_activity(study: LatentStudy, path: Path) -> None:
    """Draw how much each dimension is used, the most active first, for clean spectra and measurements."""
    figure = new_figure(8.0, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    clean = study.activity["clean"]
    order = np.argsort(-clean.variance)
    place = np.arange(len(order))
    for kind, colour, marker in (("clean", LINE_COLOUR, "o"), ("simulated measurement", "#009e73", "s")):
        activity = study.activity[kind]
        upper.plot(place, activity.variance[order], marker, color=colour, markersize=5, label=kind)
        lower.plot(place, np.exp(activity.log_variance[order] / 2), marker, color=colour, markersize=5)
    upper.axhline(ACTIVE, color="0.4", linestyle="--", linewidth=0.9, label=f"active above {ACTIVE:g}")
    upper.set_yscale("log")
    upper.set_ylabel("variance of the mean")
    upper.legend(fontsize="small", frameon=False)
    n = int(clean.active.sum())
    upper.set_title(
        material_title(study.model.prior.crystal, f"{n} of {len(order)} latent dimensions are active"), size=11
    )
    lower.set_yscale("log")
    lower.axhline(1.0, color="0.4", linestyle=":", linewidth=0.9)
    lower.text(0.01, 1.0, "prior", transform=lower.get_yaxis_transform(), size="small", va="bottom")
    lower.set_ylim(top=2.0)
    lower.set_ylabel("typical σ of the encoder")
    lower.set_xlabel("latent dimension, the most active first")
    lower.set_xticks(place, [str(k) for k in order], size="small")
    save_figure(figure, path)


def plot_force_constants(study: LatentStudy, path: Path) -> None:
    """Draw the clean spectra in the plane, coloured by the force constants of largest magnitude."""
    shown = [ray.number for ray in study.rays]
    rows, columns = (2, 2) if len(shown) > 2 else (1, len(shown))
    figure = new_figure(4.2 * columns, 3.5 * rows)
    place = study.plane.place(study.clean.mean)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    labels = study.model.prior.labels
    for axes, k in zip(panels, shown, strict=False):
        mapped = axes.scatter(*place.T, c=study.values[:, k], s=7, cmap=COLOUR_MAP, linewidths=0)
        figure.colorbar(mapped, ax=axes, label="eV/Å²", pad=0.02)
        r2 = float(study.linear[np.flatnonzero(study.model.retained == k)[0]])
        axes.set_title(f"FC{k}: {labels[k]}, linear R² {r2:.2f}", size=9)
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel(study.plane.axes[0], size="medium")
    figure.supylabel(study.plane.axes[1], size="medium")
    figure.suptitle(study.plane.method, size=11)
    save_figure(figure, path)


def plot_kinds(study: LatentStudy, path: Path) -> None:
    """Draw where measurements of the same spectra fall in the plane of the clean ones, and folded measurements."""
    kinds = [kind for kind in study.latents if kind != "clean"]
    figure = new_figure(4.1 * len(kinds), 4.9)
    panels = figure.subplots(1, len(kinds), sharex=True, sharey=True)
    clean = study.plane.place(study.clean.mean)
    for axes, kind in zip(panels, kinds, strict=True):
        places = study.plane.place(study.latents[kind].mean)[:_DRAWN]
        axes.scatter(*clean.T, s=8, color=_KIND_COLOURS["clean"], linewidths=0, label="clean")
        lines = np.stack([clean[: len(places)], places], axis=1)
        axes.plot(*lines.transpose(2, 1, 0), color=_KIND_COLOURS[kind], linewidth=0.3, alpha=0.35, zorder=1.5)
        axes.scatter(*places.T, s=11, color=_KIND_COLOURS[kind], linewidths=0, label=kind)
        for one, colour in zip(study.folded, _FOLDED_COLOURS * len(study.folded), strict=False):
            if len(one.numbers) > 1:
                runs = study.plane.place(one.runs.mean)
                axes.scatter(*runs.T, s=34, marker="x", color=colour, linewidths=1.1, label=f"{one.name}, one run")
            whole = study.plane.place(one.whole.mean)
            style = {"s": 190, "marker": "*", "edgecolors": "white", "linewidths": 0.8, "zorder": 4}
            axes.scatter(*whole.T, color=colour, label=f"{one.name}, all runs", **style)
        axes.set_title(f"{kind}: moved by {np.median(study.shift(kind)):.2f} σ of the clean cloud", size=9)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(study.plane.axes[0])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize="small", frameon=False)
    panels[0].set_ylabel(study.plane.axes[1])
    figure.suptitle(f"{study.plane.method}; lines join the measurement of a spectrum with the clean one", size=11)
    save_figure(figure, path)


def plot_ray(study: LatentStudy, ray: Ray, path: Path) -> None:
    """Draw the decoded spectra along a ray, those of the encoded true spectra, and the true ones."""
    model = study.model
    figure = new_figure(2.5 * len(ray.values) + 0.6, 7.4)
    panels = figure.subplots(3, len(ray.values), sharex=True, sharey=True)
    top = float(np.quantile(ray.true, 0.999))
    for spectra, row in zip((ray.straight, ray.encoded, ray.true), panels, strict=True):
        for axes, spectrum in zip(row, spectra, strict=True):
            draw_spectrum(axes, model.qpath, model.grid, np.clip(spectrum, 0.0, top))
            draw_path_axis(axes, model.qpath, colour="white")
            axes.set_xlabel("")
            axes.tick_params(axis="x", labelsize="x-small")
    for axes, value in zip(panels[0], ray.values, strict=True):
        axes.set_title(f"{value:.3f} eV/Å²", size=9)
    straight, encoded = (
        f"{what}\n({ray.explained(spectra):.0%} of the change)"
        for what, spectra in (("straight line", ray.straight), ("encoded, decoded", ray.encoded))
    )
    for axes, what in zip(panels[:, 0], (straight, encoded, "true"), strict=True):
        axes.set_ylabel(f"{what}\nenergy transfer (meV)")
    figure.suptitle(
        material_title(
            model.prior.crystal,
            f"FC{ray.number} ({model.prior.labels[ray.number]}) changes, all others at their mean",
        ),
        size=11,
    )
    save_figure(figure, path)
