"""What a user asks of PlanOrientations: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.files import check_replaceable
from fcinv_core.instrument import find_instrument, resolution
from fcinv_core.inversion.content import RESULT
from fcinv_core.mantid_adapter.experiments import workspace_geometry
from fcinv_core.mantid_adapter.logs import missing_in_experiments
from fcinv_core.mantid_adapter.properties import Problems, file_of, number_of, numbers_of
from fcinv_core.mantid_adapter.tables import Cell
from fcinv_core.planning.candidates import Geometry, instrument_geometry
from fcinv_core.planning.knowledge import Knowledge, knowledge_of_prior, knowledge_of_result
from fcinv_core.planning.plan import Plan, PlanSettings
from fcinv_core.planning.wanted import Wanted, asked_for, mode_energy
from fcinv_core.planning.writing import PLAN
from fcinv_core.shipped import card_of, describe_model, find_model
from fcinv_core.spectrum import Resolution

#: What cannot be said besides a workspace, which says it.
_SAID_BY_WORKSPACE = ("u", "v")


@dataclass(frozen=True, eq=False)
class PlanRequest:
    """What to plan.

    Attributes
    ----------
    knowledge
        What is known before.
    geometry
        Crystal and detectors.
    resolutions
        Incident energies (meV) with the energy resolution of each.
    wanted
        What is asked for.
    settings
        What can be measured.
    provenance
        Where everything comes from, plain content for JSON.
    out
        Folder for the files of the plan, or None.
    """

    knowledge: Knowledge
    geometry: Geometry
    resolutions: Sequence[tuple[float, Resolution]]
    wanted: Wanted
    settings: PlanSettings
    provenance: Mapping[str, Any]
    out: Path | None


def planning_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with the properties of PlanOrientations."""
    problems = Problems()
    result, model = file_of(algorithm, "ResultFolder"), _model(algorithm)
    if result is not None and model:
        problems["Model"] = "ResultFolder is given too: leave one of them empty."
    elif model:
        problems.check("Model", lambda: card_of(find_model(model)))
        for name in ("Counts", "Temperature"):
            if number_of(algorithm, name) is None:
                problems[name] = "Nothing is measured that tells it: give what is expected."
    elif result is None:
        problems["ResultFolder"] = "Name the result of an inversion, or a model for its prior: there is none."
    elif not (result / RESULT).is_file():
        problems["ResultFolder"] = f"{result} holds no {RESULT}: name the ResultFolder of InvertForceConstants."
    problems.check("Instrument", lambda: find_instrument(algorithm.getPropertyValue("Instrument")))
    problems.update(_geometry_problems(algorithm))
    if bool(_mode_point(algorithm)) and not algorithm.getProperty("Wanted").isDefault:
        problems["ModePoint"] = "Wanted says what is asked for too: leave one of them empty."
    out = file_of(algorithm, "OutputFolder")
    if out is not None:
        problems.check("OutputFolder", lambda: check_replaceable(out, PLAN))
    return problems.data


def read_plan_request(algorithm: Any) -> PlanRequest:
    """Turn the properties of PlanOrientations into objects of the core.

    Raises
    ------
    InputError
        If they make no sense, or the result or the model is damaged.
    """
    result = file_of(algorithm, "ResultFolder")
    if result is not None:
        knowledge, origin = knowledge_of_result(result), str(result)
    else:
        from fcinv_core.networks.model import load_model

        folder = find_model(_model(algorithm))
        knowledge, origin = knowledge_of_prior(load_model(folder).prior), describe_model(folder)
    geometry, energies = _geometry(algorithm, knowledge)
    instrument = find_instrument(algorithm.getPropertyValue("Instrument"))
    elastic = number_of(algorithm, "ElasticFWHM")
    first, last, step = numbers_of(algorithm, "Psi")
    return PlanRequest(
        knowledge=knowledge,
        geometry=geometry,
        resolutions=[(energy, resolution(instrument, energy, elastic)) for energy in energies],
        wanted=_wanted(algorithm, knowledge),
        settings=PlanSettings(
            psi=(first, last, step),
            n_runs=int(algorithm.getProperty("NumberOfRuns").value),
            precision=number_of(algorithm, "Precision"),
            counts=number_of(algorithm, "Counts"),
            background=float(algorithm.getProperty("Background").value),
            relative_counts=tuple(numbers_of(algorithm, "RelativeCounts")) or None,
            minutes=float(algorithm.getProperty("Minutes").value),
            temperature=number_of(algorithm, "Temperature"),
            points=int(algorithm.getProperty("PathPoints").value),
        ),
        provenance={"algorithm": "PlanOrientations in Mantid", "known_before": origin},
        out=file_of(algorithm, "OutputFolder"),
    )


def ranking_columns(plan: Plan) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of all candidates, the one that says most alone first."""
    order = np.argsort(plan.ranking, kind="stable")
    times = np.bincount(plan.sequence, minlength=len(plan.candidates))
    return {
        "IncidentEnergy": [plan.candidates[k].incident_energy for k in order],
        "Psi": [plan.candidates[k].psi for k in order],
        "ErrorAfterItAlone": plan.ranking[order].tolist(),
        "ExpectedCounts": plan.counts[order].tolist(),
        "TimesInPlan": times[order].tolist(),
    }


def sequence_columns(plan: Plan) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of the runs to make, in their order."""
    runs = [plan.candidates[k] for k in plan.sequence]
    return {
        "IncidentEnergy": [one.incident_energy for one in runs],
        "Psi": [one.psi for one in runs],
        "Minutes": (plan.settings.minutes * np.arange(1, len(runs) + 1)).tolist(),
        "Error": plan.errors[1:].tolist(),
    }


def error_curves(plan: Plan) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return counting times (k + 1,), minutes, and the expected errors after them of three ways to choose runs."""
    minutes = plan.settings.minutes * np.arange(len(plan.errors), dtype=float)
    ways = {"plan": plan.errors, "equally spread angles": plan.spread, "neighbouring angles": plan.sweep}
    return minutes, ways


def _geometry_problems(algorithm: Any) -> dict[str, str]:
    problems = Problems()
    measured = algorithm.getProperty("InputWorkspace").value
    for name in _SAID_BY_WORKSPACE:
        given = numbers_of(algorithm, name)
        if given and measured is not None:
            problems[name] = "InputWorkspace says the orientation too: leave one of them empty."
        elif given and len(given) != 3:
            problems[name] = "Three numbers h,k,l were expected."
    if measured is None:
        if not numbers_of(algorithm, "IncidentEnergies"):
            problems["IncidentEnergies"] = "Nothing tells them: give one at least, or InputWorkspace."
    elif not hasattr(measured, "getNumExperimentInfo"):
        problems["InputWorkspace"] = f"{measured.name()} is no MD workspace: give events, or what FoldToIQE made."
    else:
        missing = missing_in_experiments(measured)
        if missing is not None:
            problems["InputWorkspace"] = missing
    if len(numbers_of(algorithm, "Psi")) != 3:
        problems["Psi"] = "Three numbers first,last,step were expected, such as 0,179,1."
    return problems.data


def _geometry(algorithm: Any, knowledge: Knowledge) -> tuple[Geometry, list[float]]:
    measured = algorithm.getProperty("InputWorkspace").value
    energies = numbers_of(algorithm, "IncidentEnergies")
    if measured is not None:
        geometry, own = workspace_geometry(algorithm, measured)
        return geometry, energies or own
    geometry = instrument_geometry(
        knowledge.crystal,
        find_instrument(algorithm.getPropertyValue("Instrument")),
        numbers_of(algorithm, "u") or None,
        numbers_of(algorithm, "v") or None,
        float(algorithm.getProperty("PixelSpacing").value),
        number_of(algorithm, "BankAngle"),
    )
    return geometry, energies


def _wanted(algorithm: Any, knowledge: Knowledge) -> Wanted:
    prior, draws, point = knowledge.prior, knowledge.draws, _mode_point(algorithm)
    if point:
        return mode_energy(prior, draws, point, int(algorithm.getProperty("ModeBranch").value))
    return asked_for(prior, draws, algorithm.getPropertyValue("Wanted").replace(",", " ").split())


def _mode_point(algorithm: Any) -> str:
    return str(algorithm.getPropertyValue("ModePoint")).strip()


def _model(algorithm: Any) -> str:
    return str(algorithm.getPropertyValue("Model")).strip()
