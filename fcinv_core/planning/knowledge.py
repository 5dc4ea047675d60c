"""What is known of a crystal before the next run: a prior, or the result of an inversion."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.inversion.content import FORMAT, POSTERIOR, RESULT, SCHEMA
from fcinv_core.prior import Prior
from fcinv_core.prior_hdf5 import read_prior
from fcinv_core.stability import judge, stability_points

#: Sets of force constants that expectations are averaged over, unless told otherwise.
N_DRAWS = 4


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Gaussian knowledge of force constants, n of them in FC order, eV/Å².

    Attributes
    ----------
    prior
        Dynamics of the crystal.
    crystal
        The crystal with its lattice as measured.
    draws
        Shape (d, n): stable sets that expectations are averaged over; the best one first.
    precision
        Shape (n, n): inverse covariance, (eV/Å²)⁻².
    temperature
        K, of an earlier measurement; None if there was none.
    counts
        Mean counts of an earlier run in the cells that were fitted; None if not known.
    origin
        Where it is from, one sentence.
    """

    prior: Prior
    crystal: Crystal
    draws: FloatArray
    precision: FloatArray
    temperature: float | None
    counts: float | None
    origin: str


def knowledge_of_prior(prior: Prior, n_draws: int = N_DRAWS) -> Knowledge:
    """Return what is known when nothing is measured.

    Expectations are averaged over the mean of the ensemble and its stable members: draws of the prior, whose
    force constants are independent, are mostly unstable.
    """
    members = [member.values for member in prior.members if member.stability.stable]
    return Knowledge(
        prior=prior,
        crystal=prior.crystal,
        draws=np.array([prior.mean, *members])[:n_draws],
        precision=np.diag(prior.sigma**-2.0),
        temperature=None,
        counts=None,
        origin=f"nothing is measured: the prior of {len(members)} force fields",
    )


def knowledge_of_result(folder: Path, n_draws: int = N_DRAWS) -> Knowledge:
    """Return what the result of an inversion knows.

    Parameters
    ----------
    folder
        Folder that `fcinv invert` wrote.
    n_draws
        Sets that expectations are averaged over, the answer itself included.

    Raises
    ------
    InputError
        If the folder holds no result that can be read.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        known = content["format"], content["schema"]
        if known != (FORMAT, SCHEMA):
            raise ValueError(f"it is {known[0]!r} of schema {known[1]}, and {FORMAT!r} of {SCHEMA} was expected")
        cell = content["crystal"]
        crystal = Crystal.from_cell(
            np.array(cell["lattice_angstrom"]),
            np.array(cell["positions"]),
            cell["symbols"],
            np.array(cell["masses_amu"]),
            name=str(folder),
        )
        n_runs = len(content["coverage"]["runs"])
        temperature = float(content["derived"]["mean_square_displacement"]["temperature_kelvin"])
        with h5py.File(folder / POSTERIOR, "r") as file:
            answer = file["force_constants"]
            values, covariance, draws = (answer[name][()] for name in ("values", "covariance", "draws"))
            prior = read_prior(file["prior"])
            counts = _counts_of_a_run(file, n_runs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds no result of an inversion", str(error), "name the folder that `fcinv invert` wrote"
        ) from error
    return Knowledge(
        prior=prior,
        crystal=crystal,
        draws=_stable(prior, [values, *draws], n_draws),
        precision=np.linalg.inv(covariance),
        temperature=temperature,
        counts=counts,
        origin=f"the posterior of {folder.name}, {n_runs} runs",
    )


def _counts_of_a_run(file: h5py.File, n_runs: int) -> float | None:
    """Mean counts of a run in fitted cells; None where nothing was fitted."""
    spectra = file["spectra"]
    if "fitted" not in spectra:
        return None
    return float(spectra["counts"][()][np.isfinite(spectra["fitted"][()])].sum()) / n_runs


def _stable(prior: Prior, sets: Iterable[FloatArray], n: int) -> FloatArray:
    """Return the first n stable ones of some sets, shape (m, n_fc)."""
    points = stability_points(prior.crystal)
    found: list[FloatArray] = []
    for values in sets:
        if judge(prior.force_constants(values, "planning"), points).stable:
            found.append(values)
        if len(found) == n:
            break
    if not found:
        raise InputError(
            "nothing can be expected of a crystal that is not stable",
            "neither the answer nor one of its draws is free of imaginary modes",
            "plan with the prior of the model, or refine the result",
        )
    return np.array(found)
