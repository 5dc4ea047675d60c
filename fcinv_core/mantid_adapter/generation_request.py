"""What a user asks of GenerateFCTrainingSet: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.crystal import read_structure
from fcinv_core.generation import GenerationSettings, member_files
from fcinv_core.mantid_adapter.properties import (
    Problems,
    file_of,
    number_of,
    resolution_of,
    stated_bins,
    supercell_of,
)
from fcinv_core.mantid_adapter.tables import LABEL, VALUE, Cell
from fcinv_core.spectrum import DEFAULT_BINS
from fcinv_core.training_set import TrainingSet


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """What to draw, from which files, into which file."""

    structure: Path
    force_constants: Sequence[Path]
    out: Path
    settings: GenerationSettings


def generation_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with GenerateFCTrainingSet's properties."""
    problems = Problems()
    folder, files = file_of(algorithm, "EnsembleFolder"), _files(algorithm)
    if folder is None and not files:
        problems["EnsembleFolder"] = "Give a folder of force constants, or name the files: there are none."
    elif folder is not None and files:
        problems["ForceConstantsFiles"] = "EnsembleFolder is given too: leave one of them empty."
    elif folder is not None:
        problems.check("EnsembleFolder", lambda: member_files([folder]))
    problems.check("StructureFile", lambda: read_structure(algorithm.getPropertyValue("StructureFile")))
    retained = algorithm.getPropertyValue("Retained").strip()
    if retained not in ("all", "auto") and not (retained.isdigit() and int(retained) > 0):
        problems["Retained"] = f"{retained!r} is neither a positive whole number nor all nor auto."
    problems.check("Supercell", lambda: supercell_of(algorithm))
    problems.check("EnergyBinning", lambda: stated_bins(algorithm))
    return problems.data


def read_generation_request(algorithm: Any) -> GenerationRequest:
    """Turn the properties of GenerateFCTrainingSet into objects of the core.

    Raises
    ------
    InputError
        If they make no sense.
    """
    grid = stated_bins(algorithm)
    folder = file_of(algorithm, "EnsembleFolder")
    return GenerationRequest(
        structure=Path(algorithm.getPropertyValue("StructureFile")),
        force_constants=_files(algorithm) if folder is None else [folder],
        out=Path(algorithm.getPropertyValue("OutputFile")),
        settings=GenerationSettings(
            n=int(algorithm.getProperty("NumberOfSamples").value),
            retain=algorithm.getPropertyValue("Retained").strip(),
            others=algorithm.getPropertyValue("Others"),
            seed=int(algorithm.getProperty("Seed").value),
            n_points=int(algorithm.getProperty("PathPoints").value),
            energy_range=None if grid is None else (grid.minimum, grid.maximum),
            n_bins=DEFAULT_BINS if grid is None else grid.n_bins,
            resolution=resolution_of(algorithm),
            supercell=supercell_of(algorithm),
            born=file_of(algorithm, "BornFile"),
            spread=number_of(algorithm, "Spread"),
            store_spectra=bool(algorithm.getProperty("StoreSpectra").value),
            dask=algorithm.getPropertyValue("DaskScheduler") or None,
        ),
    )


def summary_columns(training: TrainingSet) -> dict[str, Sequence[Cell]]:
    """Return the columns of a table of all force constants of a training set, FC0 first."""
    prior = training.prior
    elements = [prior.parametrisation.elements[k] for k in prior.order]
    retained = np.isin(np.arange(len(elements)), training.retained)
    return {
        "Name": [f"FC{k}" for k in range(len(elements))],
        LABEL: list(prior.labels),
        "Shell": [element.shell for element in elements],
        "Distance": [element.distance for element in elements],
        VALUE: prior.mean.tolist(),
        "Lower": prior.lower.tolist(),
        "Upper": prior.upper.tolist(),
        "PriorSigma": prior.sigma.tolist(),
        "MovesDispersion": training.sensitivity.rms.tolist(),
        "Retained": retained.tolist(),
    }


def _files(algorithm: Any) -> list[Path]:
    return [Path(name) for name in _flat(algorithm.getProperty("ForceConstantsFiles").value) if name]


def _flat(names: str | Iterable[Any]) -> list[str]:
    """File names in one list: Mantid nests those that a plus sign joins."""
    if isinstance(names, str):
        return [names]
    return [name for part in names for name in _flat(part)]
