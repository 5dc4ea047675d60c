"""What a user asks of SimulateDispersion: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcinv_core.coverage_simulation import measured_temperature
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.folded_file import KIND, read_folded
from fcinv_core.force_constants.named_values import force_constants_from_names
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.mantid_adapter.histograms import histogram_file
from fcinv_core.mantid_adapter.logs import stored_content
from fcinv_core.mantid_adapter.properties import (
    Problems,
    file_of,
    number_of,
    path_of,
    resolution_of,
    stated_bins,
    supercell_of,
)
from fcinv_core.mantid_adapter.tables import values_by_label
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import Resolution, SpectralGrid

#: Forms of force constants that hold their own cell.
_WITH_CELL = (".yaml", ".yml", ".xz")


@dataclass(frozen=True, eq=False)
class SimulationRequest:
    """What to simulate.

    Attributes
    ----------
    force_constants
        The set.
    path
        The path.
    grid
        Energy bins; None where they follow from the modes.
    resolution
        Energy resolution, or None for the default.
    """

    force_constants: ForceConstants
    path: QPath
    grid: SpectralGrid | None
    resolution: Resolution | None


@dataclass(frozen=True, eq=False)
class CoverageRequest:
    """On which measurement's coverage to simulate.

    Attributes
    ----------
    folded
        The measurement.
    keep
        Shape (k,): cells of ``folded.cells`` that its I(q, E) sums.
    temperature
        K.
    """

    folded: Folded
    keep: BoolArray
    temperature: float


def simulation_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with the properties of SimulateDispersion."""
    problems = Problems()
    table, file = _table(algorithm), file_of(algorithm, "ForceConstantsFile")
    if (table is None) == (file is None):
        problems["ForceConstantsFile"] = (
            "Give a file of force constants, or a table of them: there is none."
            if table is None
            else "ForceConstantsTable is given too: leave one of them empty."
        )
    if table is not None:
        problems.check("ForceConstantsTable", lambda: values_by_label(table, table.name()))
    problems.check("EnergyBinning", lambda: stated_bins(algorithm))
    problems.check("Supercell", lambda: supercell_of(algorithm))
    wanted = bool(algorithm.getPropertyValue("OutputCoverageWorkspace"))
    measured = algorithm.getProperty("CoverageWorkspace").value
    if measured is not None and stored_content(measured).get("kind") != KIND:
        problems["CoverageWorkspace"] = f"{measured.name()} is no result of FoldToIQE: give its OutputWorkspace."
    if wanted and measured is None:
        problems["CoverageWorkspace"] = (
            "OutputCoverageWorkspace is named: give the measurement that it is to match."
        )
    if measured is not None and not wanted:
        problems["OutputCoverageWorkspace"] = "CoverageWorkspace is given: name the result, or leave both empty."
    if "ForceConstantsFile" not in problems:
        crystal = problems.check("StructureFile", lambda: _crystal(algorithm))
        if crystal is not None:
            problems.check_path(algorithm, crystal)
    return problems.data


def read_simulation_request(algorithm: Any) -> SimulationRequest:
    """Turn the properties of SimulateDispersion into objects of the core.

    Raises
    ------
    InputError
        If they make no sense.
    """
    crystal = _crystal(algorithm)
    return SimulationRequest(
        force_constants=_force_constants(algorithm, crystal),
        path=path_of(algorithm, crystal),
        grid=stated_bins(algorithm),
        resolution=resolution_of(algorithm),
    )


def read_coverage_request(algorithm: Any) -> CoverageRequest | None:
    """Read the measurement of CoverageWorkspace; None where there is none.

    Raises
    ------
    InputError
        If it is damaged, or its temperature is not known.
    """
    measured = algorithm.getProperty("CoverageWorkspace").value
    if measured is None:
        return None
    with histogram_file(algorithm, measured) as file:
        folded, keep = read_folded(file)
    temperature = number_of(algorithm, "Temperature")
    return CoverageRequest(folded, keep, measured_temperature(folded) if temperature is None else temperature)


def _force_constants(algorithm: Any, crystal: Crystal) -> ForceConstants:
    table, file = _table(algorithm), file_of(algorithm, "ForceConstantsFile")
    if table is not None:
        return force_constants_from_names(crystal, values_by_label(table, table.name()), source=table.name())
    assert file is not None
    return read_force_constants(
        file,
        crystal,
        structure=file_of(algorithm, "StructureFile"),
        supercell=supercell_of(algorithm),
        born=file_of(algorithm, "BornFile"),
    )


def _crystal(algorithm: Any) -> Crystal:
    structure: Path | None = file_of(algorithm, "StructureFile")
    file = file_of(algorithm, "ForceConstantsFile")
    if structure is None and file is not None and file.suffix.lower() in _WITH_CELL:
        structure = file
    if structure is None:
        raise InputError(
            "the structure of the crystal is not known",
            "only a phonopy yaml holds it beside the force constants",
            "give a POSCAR, a CIF or a phonopy yaml",
        )
    return read_structure(structure)


def _table(algorithm: Any) -> Any:
    return algorithm.getProperty("ForceConstantsTable").value
