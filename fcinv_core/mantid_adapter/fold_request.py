"""What a user asks of FoldToIQE: its properties, checked and turned into objects of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcinv_core.crystal import Crystal, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.source import EventSource
from fcinv_core.folding.class_histograms import DATA, NORMALISATION, read_class_histograms
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.point_groups import folding_group
from fcinv_core.folding.zone_volume import check_divisions
from fcinv_core.mantid_adapter.detectors import workspace_solid_angles
from fcinv_core.mantid_adapter.histograms import histogram_file
from fcinv_core.mantid_adapter.logs import missing_for_folding, stored_content
from fcinv_core.mantid_adapter.properties import Problems, binning_of, number_of, numbers_of, path_of
from fcinv_core.mantid_adapter.samples import crystal_and_cell
from fcinv_core.qpath import QPath

#: What the workspaces of an earlier result must hold.
_EARLIER = {"TemporaryDataWorkspace": DATA, "TemporaryNormalizationWorkspace": NORMALISATION}


@dataclass(frozen=True, eq=False)
class FoldRequest:
    """What to fold, and how.

    Attributes
    ----------
    crystal
        The structure.
    file_cell
        Shape (3, 3) integers: the cell that UB matrices are taken to index where their metric leaves a choice.
    target
        The path, or the divisions of a grid over the irreducible zone.
    settings
        How to fold.
    solid_angles
        Detector id to solid angle, or None.
    zones
        Canonical zones to sum, conventional basis; None for all.
    minimum_exposure
        As `Folded.select` takes it.
    """

    crystal: Crystal
    file_cell: IntArray
    target: QPath | int
    settings: FoldSettings
    solid_angles: Mapping[int, float] | None
    zones: list[tuple[int, int, int]] | None
    minimum_exposure: float

    def rows(self, folded: Folded) -> list[int] | None:
        """Zone classes of a fold that are wanted, ascending; None for all."""
        if self.zones is None:
            return None
        return [row for row, hkl in enumerate(folded.hkl.tolist()) if tuple(hkl) in self.zones]


def fold_problems(algorithm: Any) -> dict[str, str]:
    """Return property name to a sentence for everything that is wrong with the properties of FoldToIQE."""
    problems = Problems()
    for name in ("InputWorkspace", "BackgroundWorkspace"):
        workspace = algorithm.getProperty(name).value
        missing = None if workspace is None else missing_for_folding(workspace)
        if missing is not None:
            problems[name] = missing
    problems.update(_earlier_problems(algorithm))
    problems.check("Grid", lambda: _divisions(algorithm))
    along_path = algorithm.getProperty("Grid").isDefault
    if not along_path and algorithm.getPropertyValue("Path").strip():
        problems["Path"] = "Grid is given too: leave one of them empty."
    problems.check("TransverseWidths", lambda: _widths(algorithm))
    problems.check("EnergyBinning", lambda: binning_of(algorithm))
    problems.check("BrillouinZones", lambda: _zones(algorithm))
    if algorithm.getPropertyValue("SpaceGroup") and algorithm.getPropertyValue("SymmetryOperations"):
        problems["SymmetryOperations"] = "SpaceGroup is given too: leave one of them empty."
    if "InputWorkspace" in problems:
        return problems.data
    crystal = problems.check("StructureFile", lambda: _crystal(algorithm)[0])
    if crystal is not None:
        if along_path:
            problems.check_path(algorithm, crystal)
        name = "SpaceGroup" if algorithm.getPropertyValue("SpaceGroup") else "SymmetryOperations"
        if name not in problems:
            problems.check(name, lambda: folding_group(crystal, _operations(algorithm)))
    return problems.data


def earlier_fold(algorithm: Any) -> Folded | None:
    """Return the earlier result that FoldToIQE is to add to; None where none is given.

    Raises
    ------
    InputError
        If the two workspaces do not belong together or were changed.
    """
    data, normalisation = (algorithm.getProperty(name).value for name in _EARLIER)
    if data is None:
        return None
    with histogram_file(algorithm, data) as one, histogram_file(algorithm, normalisation) as other:
        return read_class_histograms(one, other, names=(data.name(), normalisation.name()))


def read_request(algorithm: Any, source: EventSource, earlier: Folded | None) -> FoldRequest:
    """Turn the properties of FoldToIQE into objects of the core.

    Parameters
    ----------
    algorithm
        The running algorithm.
    source
        The events of InputWorkspace.
    earlier
        From `earlier_fold`; gives the energy bins.

    Raises
    ------
    InputError
        If they make no sense.
    """
    crystal, file_cell = _crystal(algorithm)
    divisions = _divisions(algorithm)
    limits, step = binning_of(algorithm)
    solid_angle = algorithm.getProperty("SolidAngleWorkspace").value
    return FoldRequest(
        crystal=crystal,
        file_cell=file_cell,
        target=path_of(algorithm, crystal) if divisions is None else divisions,
        settings=FoldSettings(
            grid=energy_bins(source, limits, step) if earlier is None else earlier.grid,
            widths=_widths(algorithm),
            symmetry_operations=_operations(algorithm),
            bose=algorithm.getProperty("BoseCorrection").value,
            temperature=number_of(algorithm, "Temperature"),
            runs_apart=bool(algorithm.getProperty("PerRun").value),
        ),
        solid_angles=None if solid_angle is None else workspace_solid_angles(solid_angle),
        zones=_zones(algorithm),
        minimum_exposure=float(algorithm.getProperty("MinimumCoverage").value),
    )


def _earlier_problems(algorithm: Any) -> dict[str, str]:
    given = {name: algorithm.getProperty(name).value for name in _EARLIER}
    missing = [name for name, workspace in given.items() if workspace is None]
    if len(missing) == len(given):
        return {}
    if missing:
        [other] = set(given) - set(missing)
        return {
            missing[0]: f"{other} is given, and the two belong together: give both outputs of the earlier fold."
        }
    return {
        name: f"{given[name].name()} is no {kind}: give the output of the same name of an earlier FoldToIQE."
        for name, kind in _EARLIER.items()
        if stored_content(given[name]).get("kind") != kind
    }


def _crystal(algorithm: Any) -> tuple[Crystal, IntArray]:
    return crystal_and_cell(
        algorithm.getPropertyValue("StructureFile"), algorithm.getProperty("InputWorkspace").value
    )


def _operations(algorithm: Any) -> str | None:
    return algorithm.getPropertyValue("SpaceGroup") or algorithm.getPropertyValue("SymmetryOperations") or None


def _divisions(algorithm: Any) -> int | None:
    """Return the divisions of the grid over the irreducible zone; None for a path."""
    given = algorithm.getProperty("Grid")
    if given.isDefault:
        return None
    divisions = int(given.value)
    check_divisions(divisions)
    return divisions


def _widths(algorithm: Any) -> tuple[float, float]:
    widths = numbers_of(algorithm, "TransverseWidths")
    if len(widths) not in (1, 2) or not all(0 < width < np.inf for width in widths):
        raise InputError(
            f"the widths {', '.join(f'{width:g}' for width in widths) or '(none)'}",
            "one or two positive numbers were expected",
            "give them in 1/Angstrom, such as 0.1",
        )
    return widths[0], widths[-1]


def _zones(algorithm: Any) -> list[tuple[int, int, int]] | None:
    text = algorithm.getPropertyValue("BrillouinZones")
    zones: list[tuple[int, int, int]] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            h, k, l = (int(index) for index in part.replace(",", " ").split())  # noqa: E741 - Miller's own
        except ValueError:
            raise InputError(
                f"{part!r} is no zone", "three whole numbers h,k,l were expected", "write for example 2,2,0;3,1,1"
            ) from None
        zones.append((h, k, l))
    return zones or None
