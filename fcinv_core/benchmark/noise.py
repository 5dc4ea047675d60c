"""The benchmark of networks: noise, calibration and detection together, and the files that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fcinv_core
from fcinv_core.benchmark import figures
from fcinv_core.benchmark.bootstrap import LEVEL, RESAMPLED
from fcinv_core.benchmark.detection import Detections, detect
from fcinv_core.benchmark.entrants import Entrant, enter
from fcinv_core.benchmark.grid import CELLS, MIDDLE, choose_samples
from fcinv_core.benchmark.grid_scores import Bound, Comparison, Scores, bounds, compare, score, score_grid
from fcinv_core.benchmark.reliability import BINS, CURVE, Reliability, judge
from fcinv_core.benchmark.spectra import Spectra
from fcinv_core.crystal import FloatArray
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.networks.calibration import LEVELS, Answers
from fcinv_core.training_set import TrainingSet

#: Names of the files.
NUMBERS, TABLE = "noise.json", "table.md"


@dataclass(frozen=True, eq=False)
class NoiseBenchmark:
    """What was measured; dictionaries go by the labels of the networks.

    Attributes
    ----------
    entrants
        The networks.
    spectra
        What they were shown.
    draws
        Number of draws of each spectrum.
    clean, clean_answers
        Scores on, and answers to, spectra without noise or background.
    grid, bounds
        Scores in the cells of the grid, and what the counts there allow.
    comparisons
        Every flow against the better of the other networks, by cell.
    reliability
        By kind of measurement.
    detections
        Of measurements that are none of those trained for.
    """

    entrants: tuple[Entrant, ...]
    spectra: Spectra
    draws: int
    clean: Mapping[str, Scores]
    clean_answers: Mapping[str, Answers]
    grid: Mapping[str, tuple[Scores, ...]]
    bounds: tuple[Bound, ...]
    comparisons: Mapping[str, tuple[Comparison, ...]]
    reliability: Mapping[str, Mapping[str, Reliability]]
    detections: Mapping[str, Detections]


def benchmark_noise(
    models: Sequence[Path],
    training: TrainingSet,
    *,
    samples: int,
    draws: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> NoiseBenchmark:
    """Benchmark networks on the test part of a training set.

    Parameters
    ----------
    models
        Their folders.
    training
        The training set.
    samples, draws
        Number of spectra of each kind, and of draws of each.
    seed
        Of noise and draws.
    say
        Called with a line after each step.

    Raises
    ------
    InputError
        If a model does not fit the training set, or there are too few samples.
    """
    entrants = enter(models, training)
    spectra = Spectra.of(training, choose_samples(training, samples), seed)
    reliability, clean_answers = judge(entrants, spectra, draws, say)
    grid = score_grid(entrants, spectra, draws, say)
    return NoiseBenchmark(
        entrants=entrants,
        spectra=spectra,
        draws=draws,
        clean={entrant.label: score(entrant, clean_answers[entrant.label], spectra) for entrant in entrants},
        clean_answers=clean_answers,
        grid=grid,
        bounds=bounds(spectra, say),
        comparisons=compare(entrants, grid, training.retained),
        reliability=reliability,
        detections=detect(entrants, spectra, draws, say),
    )


def write_noise(result: NoiseBenchmark, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write the folder of a benchmark, whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something other than an earlier benchmark.
    """
    with replace_folder_when_complete(folder, NUMBERS) as temporary:
        content = json.dumps(noise_content(result, provenance), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(temporary / NUMBERS, f"{content}\n")
        write_text(temporary / TABLE, table(result))
        training = result.spectra.training
        numbers = [f"FC{k}" for k in training.retained]
        r2 = {label: np.array([one.r2 for one in scored]) for label, scored in result.grid.items()}
        mae = {label: np.array([one.mae for one in scored]) for label, scored in result.grid.items()}
        rms = {label: np.array([[one.dispersion] for one in scored]) for label, scored in result.grid.items()}
        r2["bound"], mae["bound"] = (
            np.array([getattr(one, name) for one in result.bounds]) for name in ("r2", "mae")
        )
        crystal = training.prior.crystal
        figures.plot_grid(temporary / "grid_r2.png", crystal, "R²", r2, numbers, top=1.0)
        figures.plot_grid(temporary / "grid_mae.png", crystal, "mean absolute error (eV/Å²)", mae, numbers)
        figures.plot_grid(
            temporary / "grid_energies.png", crystal, "rms error of mode energies (meV), median", rms, ["modes"]
        )
        for entrant in result.entrants:
            figures.plot_parity(
                temporary / f"parity_{entrant.label}.png",
                entrant,
                result.clean_answers[entrant.label],
                result.clean[entrant.label],
            )
        figures.plot_reliability(temporary / "calibration.png", crystal, result.reliability)
        figures.plot_roc(temporary / "roc.png", crystal, result.detections)


def table(result: NoiseBenchmark) -> str:
    """Return R² of each force constant and the error of mode energies, for each network, as a Markdown table."""
    training = result.spectra.training
    names = [f"FC{k}" for k in training.retained]
    middle, worst = CELLS[MIDDLE], CELLS[-1]
    lines = [
        f"| Network | Spectra | {' | '.join(names)} | meV |",
        f"|---|---|{'---:|' * len(names)}---:|",
    ]
    for entrant in result.entrants:
        grid = result.grid[entrant.label]
        for kind, scored in (("clean", result.clean[entrant.label]), ("noisy", grid[MIDDLE]), ("worst", grid[-1])):
            cells = " | ".join(f"{x:.2f}" for x in scored.r2)
            name = f"{entrant.label} ({entrant.description})" if kind == "clean" else ""
            lines.append(f"| {name} | {kind} | {cells} | {scored.dispersion:.2f} |")
    for kind, one in (("noisy", result.bounds[MIDDLE]), ("worst", result.bounds[-1])):
        name = "Cramér-Rao bound" if kind == "noisy" else ""
        lines.append(f"| {name} | {kind} | {' | '.join(f'{x:.2f}' for x in one.r2)} | |")
    lines += [
        "",
        f"R² on {len(result.spectra.numbers)} test spectra of {training.prior.crystal.formula}; meV: rms error of "
        "the mode energies, median over spectra. "
        f"Noisy: background {middle.background:g} of the maximum, {middle.peak_counts:g} counts there; "
        f"worst: {worst.background:g} and {worst.peak_counts:g}.",
    ]
    return "\n".join(lines) + "\n"


def noise_content(result: NoiseBenchmark, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of noise.json: plain types, units in the keys."""
    training = result.spectra.training
    return {
        "format": "fcinv benchmark noise",
        "schema": 1,
        "crystal": training.prior.crystal.describe(),
        "training_set": {"name": training.path.name, "samples": len(training), "seed": training.content["seed"]},
        "test_spectra": len(result.spectra.numbers),
        "draws": result.draws,
        "bootstrap": {"resampled": RESAMPLED, "level": LEVEL},
        "force_constants": [
            {
                "number": int(k),
                "label": training.prior.labels[k],
                "standard_deviation_ev_per_angstrom2": float(deviation),
            }
            for k, deviation in zip(
                training.retained, result.spectra.values[:, training.retained].std(axis=0), strict=True
            )
        ],
        "cells": [{"background": one.background, "counts_at_maximum": one.peak_counts} for one in CELLS],
        "models": [_model_content(result, entrant) for entrant in result.entrants],
        "cramer_rao": [
            {
                "sigma_ev_per_angstrom2": _plain(one.sigma),
                "r2": _plain(one.r2),
                "mae_ev_per_angstrom2": _plain(one.mae),
            }
            for one in result.bounds
        ],
        "flow_against_the_better_of_the_others": {
            flow: {
                "holds_in_every_cell": all(one.holds for one in by_cell),
                "cells": [
                    {
                        "other": one.other,
                        "difference_of_mean_r2": one.difference,
                        "interval": _plain(one.interval),
                        "holds": one.holds,
                        "worse_force_constants": list(one.worse),
                    }
                    for one in by_cell
                ],
            }
            for flow, by_cell in result.comparisons.items()
        },
        "provenance": {"fcinv": fcinv_core.__version__, **provenance},
    }


def _model_content(result: NoiseBenchmark, entrant: Entrant) -> dict[str, Any]:
    label, detections = entrant.label, result.detections[entrant.label]
    return {
        "label": label,
        "architecture": entrant.model.architecture,
        "description": entrant.description,
        "weights_sha256": entrant.model.card["sha256"]["weights.safetensors"],
        "clean": _scores_content(result.clean[label]),
        "grid": [_scores_content(one) for one in result.grid[label]],
        "calibration": {kind: _reliability_content(one) for kind, one in result.reliability[label].items()},
        "detection": {
            "false_alarms": detections.false_alarms,
            "kinds": {
                kind: {
                    "areas_under_roc": dict(one.areas),
                    "flagged": one.flagged,
                    "flagged_by": dict(one.flagged_by),
                }
                for kind, one in detections.kinds.items()
            },
        },
    }


def _scores_content(one: Scores) -> dict[str, Any]:
    return {
        "r2": _plain(one.r2),
        "r2_interval": _plain(one.r2_interval),
        "mae_ev_per_angstrom2": _plain(one.mae),
        "mae_interval_ev_per_angstrom2": _plain(one.mae_interval),
        "rms_of_mode_energies_mev": one.dispersion,
        "rms_of_mode_energies_interval_mev": _plain(one.dispersion_interval),
    }


def _reliability_content(one: Reliability) -> dict[str, Any]:
    by_level = {
        f"{level:.2f}": {
            "of_each": _plain(of_each),
            "pooled": float(pooled),
            "interval": _plain(ends),
            "nominal": nominal,
        }
        for level, of_each, pooled, ends, nominal in zip(
            LEVELS, one.coverage, one.pooled, one.pooled_interval.T, one.nominal, strict=True
        )
    }
    return {
        "coverage": by_level,
        "coverage_curve": {"nominal": _plain(CURVE), "found": _plain(one.curve)},
        "ranks": {"bins": BINS, "histograms": one.histograms.tolist(), "p_values": _plain(one.p_values)},
        "tarp": {
            "credibility": _plain(CURVE),
            "expected_coverage": _plain(one.tarp),
            "p_value": one.tarp_p_value,
        },
    }


def _plain(values: FloatArray) -> list[Any]:
    return list(np.round(values, 6).tolist())
