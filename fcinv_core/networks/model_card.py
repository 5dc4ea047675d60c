"""The card of a model, and its README made from it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fcinv_core
from fcinv_core.networks.architectures import Problem
from fcinv_core.networks.batches import Samples, Standardisation
from fcinv_core.networks.evaluation import Evaluation
from fcinv_core.training_set import T_RANGE, TrainingSet

_PACKAGES = ("torch", "zuko", "numpy", "scipy", "safetensors", "phonopy", "spglib", "seekpath")


def model_card(
    training: TrainingSet,
    settings: Mapping[str, Any],
    problem: Problem,
    parameters: Mapping[str, Any],
    standardisation: Standardisation,
    samples: Samples,
    evaluation: Evaluation,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything that a reader, or `load_model`, wants to know of a model, as plain content for JSON."""
    prior, ranges = training.prior, samples.spectrometer.ranges
    crystal = prior.crystal
    return {
        "architecture": settings["architecture"],
        "parameters": dict(parameters),
        "crystal": {
            "description": crystal.describe(),
            "lattice_angstrom": crystal.lattice.tolist(),
            "positions": crystal.positions.tolist(),
            "symbols": list(crystal.symbols),
        },
        "targets": {
            "numbers": standardisation.targets.tolist(),
            "retained": list(problem.retained),
            "labels": [prior.labels[k] for k in standardisation.targets],
            "mean": standardisation.mean.tolist(),
            "deviation": standardisation.deviation.tolist(),
            "unit": "eV/Å²",
        },
        "ranges": {
            f"FC{k}": sorted(float(prior.in_range(np.full(prior.n_force_constants, t))[k]) for t in T_RANGE)
            for k in training.retained
        },
        "qpath": training.qpath.to_dict(),
        "grid": asdict(training.grid),
        "resolution": asdict(training.resolution),
        "image": asdict(problem.shape),
        "scaling": asdict(samples.scaling),
        "augmentation": None if ranges is None else ranges.to_dict(),
        "settings": dict(settings),
        "run": dict(run),
        **judgement(evaluation),
        "training_set": {
            "samples": len(training),
            "parts": [int((training.split == part).sum()) for part in range(3)],
            "seed": training.content["seed"],
            "others": training.content["others"],
            "members": [
                {"name": Path(member.name).name, "stable": member.stability.stable} for member in prior.members
            ],
            "versions": dict(training.content["versions"]),
        },
        "versions": {
            "fcinv": fcinv_core.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "licence": "GPL-3.0-or-later",
        "data": "Spectra simulated from the force constants of the members named; no measured data.",
    }


def judgement(evaluation: Evaluation) -> dict[str, Any]:
    """Return the part of a card that says how good the network is."""
    return {
        "conformal_factor": evaluation.factor.tolist(),
        **{f"largest_{sign}": threshold for sign, threshold in evaluation.largest.items()},
        "tests": evaluation.tests,
    }


def readme(card: Mapping[str, Any], training: TrainingSet) -> str:
    """Return the README of a model folder."""
    members = [member["name"] for member in card["training_set"]["members"] if member["stable"]]
    tests, places = card["tests"], card["targets"]["retained"]
    rows = []
    for place in places:
        number, label = card["targets"]["numbers"][place], card["targets"]["labels"][place]
        cells = [
            f"{tests[kind]['r2'][place]:.3f} | {tests[kind]['mae'][place]:.4f}" for kind in ("clean", "measured")
        ]
        rows.append(f"| FC{number} | {label} | {' | '.join(cells)} |")
    coverage = " ".join(
        f"{float(level):.0%}: {np.mean([values[place] for place in places]):.1%}."
        for level, values in tests["measured"]["coverage"].items()
    )
    shown = "clean spectra" if card["augmentation"] is None else "simulated measurements"
    lines = [
        f"# {card['architecture']} for {card['crystal']['description']}",
        "",
        f"Trained with fcinv {card['versions']['fcinv']} on {shown} of",
        f"{card['training_set']['parts'][0]} sets of force constants, drawn around {len(members)} force fields:",
        "",
        *(f"- {name}" for name in members),
        "",
        f"It sees {card['image']['n_q']} points of the path and {card['image']['n_bins']} energies from "
        f"{training.grid.minimum:g} to {training.grid.maximum:g} meV.",
        "",
        f"On {tests['measured']['samples']} sets that it has not seen (mean absolute error in eV/Å²; measured: "
        "with noise, background, missing coverage, amplitudes and resolution drawn at random, single orientations "
        "among them):",
        "",
        "| | | R² clean | error | R² measured | error |",
        "|---|---|---:|---:|---:|---:|",
        *rows,
        "",
        "Mode energies that follow from the mean of the draws are off by "
        + " and ".join(
            f"{tests[kind]['dispersion_mev']['median']:.2f} meV rms ({kind})" for kind in ("clean", "measured")
        )
        + ", the median over spectra.",
        "",
        f"Intervals of the draws hold the truth, measured, pooled over these: {coverage}",
        "",
        "    fcinv invert folded.nxs --model THIS_FOLDER --out RESULT_DIR",
        "",
        f"Licence: {card['licence']}. {card['data']}",
    ]
    return "\n".join(lines) + "\n"
