"""What the benchmark of the refinement leaves: its numbers, and pictures of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fcinv_core
from fcinv_core.benchmark.bootstrap import resampled
from fcinv_core.benchmark.figures import plot_grid
from fcinv_core.benchmark.grid import CELLS
from fcinv_core.benchmark.limit import LEVELS, STARTS, Limit
from fcinv_core.crystal import FloatArray
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.plotting import LINE_COLOUR, material_title, new_figure, save_figure

#: Name of the file of numbers.
NUMBERS = "limit.json"
#: Share of resampled ratios that an interval holds, and what none of them should lie above.
_INTERVAL, _LARGEST = 0.999, 1.1


def ratios(error: FloatArray, bound: FloatArray) -> FloatArray:
    """Return root mean square over spectra of errors (cells, m, k) over that of their bounds, shape (cells, k)."""
    return np.asarray(np.sqrt((error**2).mean(axis=1) / (bound**2).mean(axis=1)))


def intervals(result: Limit) -> FloatArray:
    """Return the ends of the bootstrap intervals of the ratios, shape (2, 25, k)."""
    numbers = resampled(result.error.shape[1], result.setup.spectra.seed)
    again = [ratios(result.error[:, places], result.bound[:, places]) for places in numbers]
    return np.asarray(np.quantile(again, [(1 - _INTERVAL) / 2, (1 + _INTERVAL) / 2], axis=0))


def limit_content(result: Limit, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return all numbers, plain content for JSON."""
    setup, width = result.setup, result.prior_width
    training = setup.spectra.training
    found, ends = ratios(result.error, result.bound), intervals(result)
    nearest = ratios(result.nearest_error, result.bound)
    error = np.sqrt((result.error**2).mean(axis=1))
    coverage = {level: result.covered(level) for level in LEVELS}
    cells = [
        {
            "background": level.background,
            "peak_counts": level.peak_counts,
            "other_maximum": float(1 - result.same[c].mean()),
            "seconds": float(result.seconds[c].mean()),
            "force_constants": {
                f"FC{number}": {
                    "rms_error": float(error[c, k]),
                    "bound": float(np.sqrt((result.bound[c, :, k] ** 2).mean())),
                    "prior_width": float(width[k]),
                    "ratio": float(found[c, k]),
                    "ratio_interval": ends[:, c, k].tolist(),
                    "ratio_next_to_truth": float(nearest[c, k]),
                    "coverage": {f"{level:g}": float(held[c, :, k].mean()) for level, held in coverage.items()},
                }
                for k, number in enumerate(training.retained)
            },
        }
        for c, level in enumerate(CELLS)
    ]
    return {
        "fcinv": fcinv_core.__version__,
        "provenance": dict(provenance),
        "training": str(training.path),
        "model": str(setup.model),
        "samples": len(setup.spectra.numbers),
        "seed": setup.spectra.seed,
        "starts": STARTS,
        "interval": _INTERVAL,
        "bound": "Cramér-Rao with nuisance parameters and the Gaussian prior (mean and sd of the training part)",
        "pooled": {
            "median_ratio": float(np.median(found)),
            "median_ratio_next_to_truth": float(np.median(nearest)),
            "surely_above": {"ratio": _LARGEST, "share": float((ends[0] > _LARGEST).mean())},
            "worse_than_prior": float((error > width).mean()),
            "coverage": {
                f"{level:g}": {"share": float(held.mean()), "standard_error": _standard_error(held)}
                for level, held in coverage.items()
            },
            "other_maximum": float(1 - result.same.mean()),
            "seconds": float(result.seconds.mean()),
            "evaluations_of_dynamics": float(result.seconds.mean() / result.dynamics_seconds),
        },
        "cells": cells,
    }


def write_limit(result: Limit, folder: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Write the folder of a benchmark, whole or not at all; return the numbers.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something other than an earlier benchmark.
    """
    content = limit_content(result, provenance)
    training = result.setup.spectra.training
    crystal = training.prior.crystal
    found = ratios(result.error, result.bound)
    nearest = ratios(result.nearest_error, result.bound)
    with replace_folder_when_complete(folder, NUMBERS) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(temporary / NUMBERS, f"{text}\n")
        plot_grid(
            temporary / "ratio.png",
            crystal,
            "rms error / bound, median over force constants",
            {"refined": np.median(found, 1)[:, None], "next to the truth": np.median(nearest, 1)[:, None]},
            ["ratio"],
        )
        held = {f"{level:.0%}": result.covered(level).mean(axis=(1, 2))[:, None] for level in LEVELS}
        plot_grid(temporary / "coverage.png", crystal, "share of truths inside", held, ["coverage"], top=1.0)
        _plot_ratios(temporary / "ratio_by_fc.png", result, found)
    return content


def _standard_error(held: FloatArray) -> float:
    """Of the pooled share of (25, m, k); cells show the same m sets of force constants, which count as one each."""
    by_sample = held.mean(axis=(0, 2))
    return float(by_sample.std(ddof=1) / np.sqrt(len(by_sample)))


def _plot_ratios(path_png: Path, result: Limit, found: FloatArray) -> None:
    """Draw the ratios of every force constant in all cells into a PNG file."""
    training = result.setup.spectra.training
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    places = np.arange(found.shape[1])
    axes.plot(np.tile(places, (len(found), 1)), found, ".", color=LINE_COLOUR, alpha=0.5)
    axes.plot(places, np.median(found, axis=0), "_", color="#d55e00", markersize=18)
    axes.axhline(1, color="0.6", linewidth=0.8, linestyle="--")
    axes.set_xticks(places, [f"FC{number}" for number in training.retained])
    axes.set_ylabel("rms error / bound")
    axes.set_yscale("log")
    for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        which("{x:.2g}")
    figure.suptitle(material_title(training.prior.crystal, "25 cells of background and noise"), size=11)
    save_figure(figure, path_png)
