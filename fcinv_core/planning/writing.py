"""The files of a plan: JSON for programs, a picture for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fcinv_core
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.planning.plan import Plan
from fcinv_core.plotting import LINE_COLOUR, new_figure, save_figure

#: Names of the files.
PLAN, PICTURE = "plan.json", "plan.png"
#: The error before is drawn if it is less than so many times the largest one after a run.
_SHOWN = 2.0


def write_plan(plan: Plan, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write the folder of a plan, whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something other than an earlier plan.
    """
    with replace_folder_when_complete(folder, PLAN) as temporary:
        content = json.dumps(plan_content(plan, provenance), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(temporary / PLAN, f"{content}\n")
        _draw(plan, temporary / PICTURE)


def plan_content(plan: Plan, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of plan.json: plain types, units in the keys."""
    runs = [{"incident_energy_mev": one.incident_energy, "psi_degrees": one.psi} for one in plan.candidates]
    return {
        "format": "fcinv plan",
        "schema": 1,
        "sentence": plan.headline,
        "wanted": plan.wanted.name,
        "unit": plan.wanted.unit,
        "precision": plan.settings.precision,
        "minutes_needed": plan.minutes_needed,
        "minutes_of_a_run": plan.settings.minutes,
        "error_before": float(plan.errors[0]),
        "sequence": [
            {**runs[k], "error_after": float(error)}
            for k, error in zip(plan.sequence, plan.errors[1:], strict=True)
        ],
        "equally_spread_error_after": plan.spread[1:].tolist(),
        "sweep_error_after": plan.sweep[1:].tolist(),
        "ranking": [
            {**runs[k], "error_after_it_alone": float(plan.ranking[k]), "expected_counts": float(plan.counts[k])}
            for k in np.argsort(plan.ranking, kind="stable")
        ],
        "assumptions": list(plan.assumptions),
        "provenance": {**provenance, "fcinv": fcinv_core.__version__},
    }


def _draw(plan: Plan, path: Path) -> None:
    figure = new_figure(10.0, 4.2)
    left, right = figure.subplots(1, 2)
    energies = np.array([one.incident_energy for one in plan.candidates])
    angles = np.array([one.psi for one in plan.candidates])
    lines = {}
    for energy in dict.fromkeys(energies.tolist()):
        mine = energies == energy
        [lines[energy]] = left.plot(angles[mine], plan.ranking[mine], marker=".", label=f"Ei {energy:g} meV")
    for k in np.unique(plan.sequence):
        times = int((plan.sequence == k).sum())
        colour, size = lines[energies[k]].get_color(), 40.0 + 20 * times
        left.scatter(angles[k], plan.ranking[k], s=size, facecolors="none", edgecolors=colour)
        left.annotate(
            f"{times}×",
            (angles[k], plan.ranking[k]),
            textcoords="offset points",
            xytext=(9, -4),
            fontsize="small",
        )
    left.margins(y=0.1)
    # Where nothing was known before, that line would hide how the angles differ.
    if plan.errors[0] < _SHOWN * plan.ranking.max():
        left.axhline(plan.errors[0], color="0.6", linestyle=":", label="before")
    left.set_xlabel("psi (degrees)")
    left.set_ylabel(f"expected error after one run ({plan.wanted.unit})")
    left.set_title("each run alone; circles: how often the plan makes it", fontsize="medium")
    left.legend(fontsize="small", frameon=False)

    minutes = plan.settings.minutes * np.arange(len(plan.errors))
    for label, errors, style in (
        ("plan", plan.errors, {"color": LINE_COLOUR, "marker": "o", "markersize": 3}),
        ("equally spread angles", plan.spread, {"color": "0.45", "linestyle": "--"}),
        ("neighbouring angles", plan.sweep, {"color": "0.45", "linestyle": ":"}),
    ):
        right.plot(minutes, errors, label=label, **style)
    if plan.settings.precision is not None:
        right.axhline(plan.settings.precision, color="#b03030", linewidth=0.8, label="asked for")
    right.set_yscale("log")
    right.set_xlabel("counting time (minutes)")
    right.set_ylabel(f"expected error ({plan.wanted.unit})")
    right.set_title(plan.wanted.name, fontsize="medium")
    right.legend(fontsize="small", frameon=False)
    save_figure(figure, path)
