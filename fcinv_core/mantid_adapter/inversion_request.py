"""What a user asks of InvertForceConstants: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.files import check_replaceable
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.folded_file import KIND, read_folded
from fcinv_core.instrument import find_instrument
from fcinv_core.inversion.content import RESULT, force_constant_rows
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.mantid_adapter.histograms import histogram_file
from fcinv_core.mantid_adapter.logs import stored_content
from fcinv_core.mantid_adapter.properties import Problems, file_of, number_of, numbers_of, resolution_of
from fcinv_core.mantid_adapter.tables import LABEL, VALUE, Cell
from fcinv_core.shipped import card_of, describe_model, find_model

if TYPE_CHECKING:
    from fcinv_core.inversion.invert import InversionSettings
    from fcinv_core.inversion.per_run import PerRun
    from fcinv_core.networks.model import Model

#: Optional outputs that a method has nothing for, and what to choose instead.
_WITHOUT = {
    "fit": ("OutputReconstructedWorkspace", "The method fit asks no network: leave it empty, or choose refine."),
    "network": ("OutputFittedWorkspace", "The method network fits nothing: leave it empty, or choose refine."),
}


@dataclass(frozen=True, eq=False)
class InversionRequest:
    """What to invert, with what, and how.

    Attributes
    ----------
    folded
        The measurement.
    keep
        Shape (k,): cells of ``folded.cells`` that take part.
    zone
        The same measurement over the irreducible zone, and the cells of it that take part, or None.
    model
        The trained model.
    settings
        How to invert.
    provenance
        Where everything comes from, plain content for JSON.
    per_run
        Whether to invert each run alone too.
    result_folder
        Folder for the files of the result, or None.
    """

    folded: Folded
    keep: BoolArray
    zone: tuple[Folded, BoolArray] | None
    model: Model
    settings: InversionSettings
    provenance: Mapping[str, Any]
    per_run: bool
    result_folder: Path | None


def inversion_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with InvertForceConstants' properties."""
    problems = Problems()
    missing = _missing_for_inversion(algorithm.getProperty("InputWorkspace").value)
    if missing is not None:
        problems["InputWorkspace"] = missing
    wrong = _wrong_zone(algorithm)
    if wrong is not None:
        problems["ZoneWorkspace"] = wrong
    problems.check("Model", lambda: card_of(_model_folder(algorithm)))
    problems.check("EnergyWindow", lambda: _window(algorithm))
    instrument = algorithm.getPropertyValue("Instrument").strip()
    if instrument and numbers_of(algorithm, "ResolutionFWHM"):
        problems["Instrument"] = "ResolutionFWHM is given too: leave one of them empty."
    elif instrument:
        problems.check("Instrument", lambda: find_instrument(instrument))
    folder = file_of(algorithm, "ResultFolder")
    if folder is not None:
        problems.check("ResultFolder", lambda: check_replaceable(folder, RESULT))
    name, sentence = _WITHOUT.get(algorithm.getPropertyValue("Method"), ("", ""))
    if name and algorithm.getPropertyValue(name):
        problems[name] = sentence
    missing = _missing_for_single_runs(algorithm)
    if missing is not None:
        problems["PerRun"] = missing
    return problems.data


def read_inversion_request(algorithm: Any) -> InversionRequest:
    """Turn the properties of InvertForceConstants into objects of the core.

    Raises
    ------
    InputError
        If they make no sense, or the measurement or the model is damaged.
    """
    from fcinv_core.inversion.invert import InversionSettings, expected_resolution
    from fcinv_core.networks.model import load_model

    measured, zone = (algorithm.getProperty(name).value for name in ("InputWorkspace", "ZoneWorkspace"))
    folded, keep = _read(algorithm, measured)
    instrument = algorithm.getPropertyValue("Instrument").strip()
    model = _model_folder(algorithm)
    return InversionRequest(
        folded=folded,
        keep=keep,
        zone=None if zone is None else _read(algorithm, zone),
        model=load_model(model),
        settings=InversionSettings(
            method=algorithm.getPropertyValue("Method"),
            amplitudes=algorithm.getPropertyValue("Amplitudes"),
            n_draws=int(algorithm.getProperty("NumberOfDraws").value),
            seed=int(algorithm.getProperty("Seed").value),
            temperature=number_of(algorithm, "Temperature"),
            elastic_cut=number_of(algorithm, "ElasticCut"),
            window=_window(algorithm),
            resolution=expected_resolution(folded, instrument) if instrument else resolution_of(algorithm),
        ),
        provenance={
            "algorithm": "InvertForceConstants in Mantid",
            "measurement": _name(measured),
            **({} if zone is None else {"zone": _name(zone)}),
            "model": describe_model(model),
            "fold": dict(folded.provenance),
        },
        per_run=bool(algorithm.getProperty("PerRun").value),
        result_folder=file_of(algorithm, "ResultFolder"),
    )


def force_constant_columns(inversion: Inversion) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of the answer, FC0 first; what the network alone says is NaN without one."""
    rows, network = force_constant_rows(inversion), inversion.network
    unknown = np.full(len(rows), np.nan)
    return {
        "Name": [f"FC{row['index']}" for row in rows],
        LABEL: [row["label"] for row in rows],
        "Shell": [row["shell"] for row in rows],
        "Distance": [row["distance_angstrom"] for row in rows],
        VALUE: [row["value"] for row in rows],
        "Error": [row["sigma"] for row in rows],
        "DecidedBy": [row["decided_by"] for row in rows],
        "PriorValue": [row["prior_mean"] for row in rows],
        "PriorSigma": [row["prior_sigma"] for row in rows],
        "NetworkValue": (unknown if network is None else network.values).tolist(),
        "NetworkError": (unknown if network is None else network.sigma).tolist(),
    }


def posterior_columns(inversion: Inversion) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of equally likely draws: one for each force constant, FC0 first."""
    return {f"FC{k}": values.tolist() for k, values in enumerate(inversion.draws.T)}


def per_run_columns(per_run: PerRun) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of single runs, in the order of run numbers; NaN where there is no answer."""
    return {
        "Run": [one.runs[0] for one in per_run.single],
        "Angle": [one.angle for one in per_run.single],
        "Counts": [one.counts for one in per_run.single],
        "Amplitudes": [one.amplitudes for one in per_run.single],
        "Difference": [one.error for one in per_run.single],
        "ExpectedError": [one.expected_error for one in per_run.single],
    }


def _missing_for_single_runs(algorithm: Any) -> str | None:
    """Say why PerRun makes no sense as the other properties are, in one sentence; None if it does."""
    table = bool(algorithm.getPropertyValue("OutputPerRunWorkspace"))
    if not algorithm.getProperty("PerRun").value:
        return "OutputPerRunWorkspace holds single runs: choose PerRun, or leave it empty." if table else None
    if not table and file_of(algorithm, "ResultFolder") is None:
        return "What single runs say is not kept: give ResultFolder or OutputPerRunWorkspace."
    measured = algorithm.getProperty("InputWorkspace").value
    content = stored_content(measured)
    if content.get("kind") == KIND and len(content["runs"]) < 2:
        return f"{measured.name()} has one run, and PerRun compares several: fold runs apart."
    return None


def _wrong_zone(algorithm: Any) -> str | None:
    """Say what is wrong with ZoneWorkspace as the other properties are, in one sentence; None if nothing is."""
    measured, zone = (algorithm.getProperty(name).value for name in ("InputWorkspace", "ZoneWorkspace"))
    if zone is None:
        return None
    if algorithm.getPropertyValue("Method") == "network":
        return "A network answers from the path: leave it empty, or choose refine."
    content, along_path = stored_content(zone), stored_content(measured)
    if content.get("kind") != KIND:
        return f"{zone.name()} is no folded measurement: give OutputWorkspace of FoldToIQE with Grid."
    if content.get("path") is not None:
        return f"{zone.name()} is folded along a path: give OutputWorkspace of FoldToIQE with Grid."
    if along_path.get("kind") == KIND and along_path["runs"] != content["runs"]:
        return f"{zone.name()} and {measured.name()} are not of the same runs: fold the same events twice."
    return None


def _read(algorithm: Any, workspace: Any) -> tuple[Folded, BoolArray]:
    """Return the folded measurement that a workspace holds, and the cells of it that take part."""
    with histogram_file(algorithm, workspace) as file:
        return read_folded(file)


def _name(workspace: Any) -> str:
    # A workspace that a parent algorithm hands over has no name.
    return str(workspace.name()) or "a workspace"


def _missing_for_inversion(measured: Any) -> str | None:
    """Say what a workspace lacks to be inverted, in one sentence; None if it has it all."""
    content = stored_content(measured)
    if content.get("kind") != KIND:
        return f"{measured.name()} is no result of FoldToIQE: give its OutputWorkspace."
    if content.get("path") is None:
        return f"{measured.name()} is folded over the irreducible zone: fold the events along a path."
    return None


def _model_folder(algorithm: Any) -> Path:
    return find_model(algorithm.getPropertyValue("Model").strip())


def _window(algorithm: Any) -> tuple[float, float] | None:
    numbers = numbers_of(algorithm, "EnergyWindow")
    if not numbers:
        return None
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise InputError(
            f"the window {', '.join(f'{number:g}' for number in numbers)}",
            "two energies, the lower one first, were expected",
            "write for example 3,36 (meV)",
        )
    return numbers[0], numbers[1]
