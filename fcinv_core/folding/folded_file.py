"""Folded measurements in .nxs files that Mantid's LoadMD opens as histograms and ours reads back exactly.

The histogram is I over (path point, energy) or, for a grid, (irreducible q-point, energy). Its sample logs hold
everything else, so that it stays with a workspace that Mantid loads and saves. Arrays, in collections:

bins
    Where the bins lie (`Bins`).
classes
    Zone classes, and their sums over all runs for every cell that was covered or holds events: ``cell``,
    ``data``, ``data_variance``, ``counts``, ``normalization``, and whether the cell is ``kept`` in the histogram.
    cell = (class n_bins + bin) n_energies + energy bin.
runs
    The sums of every run, one after the other: those of run r are ``data_start[r]`` to ``data_start[r + 1]``.
background_K
    Each background, in the same cells.

Everything that is no array is in the JSON of the log ``fcinv``: crystal, path with distances, labels and segments,
energies, bins that share events, what was applied, notes, provenance. A corner that two segments share is one
point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.folding.binning import Bins
from fcinv_core.folding.folded import Background, BoolArray, Folded, FoldedRun
from fcinv_core.hdf5 import open_hdf5
from fcinv_core.nexus import (
    GENERAL_FRAME,
    Dimension,
    LogValue,
    MDHisto,
    energy_dimension,
    path_dimension,
    read_mdhisto,
    write_mdhisto,
)
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import SpectralGrid

#: `MDHisto.content` names what a file holds by this.
KIND = "folded measurement"

_DATA = ("signal", "variance", "counts")
_EXPOSURE = ("exposure", "offset", "square")
_BINS = ("group", "q", "axes", "widths", "weight")
_CRYSTAL_ARRAYS = {"lattice": float, "positions": float, "masses": float, "conventional": np.int64}
_CRYSTAL_OPERATIONS = {"rotations": np.int64, "translations": float}


def write_folded(
    path: Path | str, folded: Folded, *, keep: BoolArray | None = None, event_file: Path | str | None = None
) -> None:
    """Write a folded measurement, whole or not at all.

    Parameters
    ----------
    path
        The .nxs file.
    folded
        The folded measurement.
    keep
        Shape (k,): cells of ``folded.cells`` that the histogram sums (`Folded.select`, and an energy window by way
        of ``folded.cells.energy``); all covered ones by default. The sums of every cell are written in any case.
    event_file
        File whose first experiment is kept (instrument, sample, logs): SaveMD's, or an earlier folded one. Without
        it, or where it has none, the experiment is made of the crystal.

    Raises
    ------
    InputError
        If the folder cannot be written to, the event file cannot be read, or what was written reads back different.
    """
    write_beside_experiment(path, _to_histo(folded, keep), folded.bins.crystal, event_file)


def write_beside_experiment(
    path: Path | str, histo: MDHisto, crystal: Crystal, event_file: Path | str | None
) -> None:
    """Write a histogram with the first experiment of an event file, or where it has none, one of the crystal.

    Raises
    ------
    InputError
        As `write_folded`.
    """
    if event_file is None:
        write_mdhisto(path, histo, crystal)
        return
    try:
        source = open_hdf5(event_file)
    except OSError as error:
        raise InputError(
            f"the experiment of {event_file} cannot be copied", "it is not an HDF5 file", "name the event file"
        ) from error
    with source:
        group = None
        for entry in ("MDEventWorkspace", "MDHistoWorkspace"):
            group = source.get(f"{entry}/experiment0") if group is None else group
        # Mantid's logs are where ours go; an experiment without any is no experiment.
        complete = group is not None and "logs" in group
        write_mdhisto(path, histo, group if complete else crystal)


def read_folded(path: Path | str) -> tuple[Folded, BoolArray]:
    """Read what `write_folded` wrote, bit for bit.

    Returns
    -------
    The folded measurement, and the cells of its ``cells`` that the histogram sums, shape (k,).

    Raises
    ------
    InputError
        If the file is missing, damaged, of a newer version, or no folded measurement.
    """
    histo = read_mdhisto(path)
    kind = histo.content.get("kind")
    if kind != KIND:
        raise InputError(
            f"{path} holds no folded measurement",
            f"it holds a {kind}" if kind else "Mantid or another program wrote it",
            "give a file that fcinv fold wrote",
        )
    try:
        folded = folded_from(histo.content, histo.collections)
        keep = _kept(histo, folded)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged",
            f"its parts do not fit: {str(error).strip(chr(39)).rstrip('.')}",
            "fold the events again",
        ) from error
    return folded, keep


def merge_folded(parts: Mapping[str, Folded]) -> Folded:
    """Add folded measurements, each with the name that errors call it by; the sum does not depend on their order.

    Raises
    ------
    InputError
        If one of them has another crystal, symmetry, path, widths, energies or corrections than the first, or runs
        that another has too: the message says which.
    """
    if not parts:
        raise InputError("there is nothing to add", "no folded measurement was named", "name at least one file")
    [(first, one), *others] = parts.items()
    for name, other in others:
        difference = _difference(one, other)
        if difference is not None:
            raise InputError(f"{name} cannot be added to {first}", difference, "fold both with the same settings")
    return reduce(lambda a, b: a.merge(b), parts.values())


def _to_histo(folded: Folded, keep: BoolArray | None) -> MDHisto:
    cells = folded.cells
    kept = cells.exposure > 0 if keep is None else keep & (cells.exposure > 0)
    shown = folded.intensity(kept)
    arrays = arrays_of(folded)
    arrays["classes"] |= {
        "cell": cells.cell,
        "data": cells.signal,
        "data_variance": cells.variance,
        "counts": cells.counts,
        "normalization": cells.exposure,
        "kept": kept.astype(np.int8),
    }
    where = "I(q,E)" if folded.bins.path is not None else "I(q,E) over the irreducible zone"
    logs: dict[str, LogValue] = {
        "run_title": f"{where} of {folded.bins.crystal.formula}, {len(folded.runs)} runs folded"
    }
    return MDHisto(
        signal=shown.intensity,
        error_squared=shown.sigma**2,
        num_events=shown.counts,
        dimensions=(first_dimension(folded), energy_dimension(folded.grid.edges)),
        logs=logs,
        content=content_of(folded),
        collections=arrays,
    )


def first_dimension(folded: Folded) -> Dimension:
    """Return the axis of the bins: points of the path, or irreducible q-points."""
    if folded.bins.path is not None:
        return path_dimension(len(folded.bins))
    edges = np.arange(len(folded.bins) + 1, dtype=float) - 0.5
    return Dimension("q_point", "irreducible q-point", "", GENERAL_FRAME, edges)


def content_of(folded: Folded) -> dict[str, Any]:
    """Return what is no array, for `MDHisto.content`."""
    bins = folded.bins
    return {
        "kind": KIND,
        "signal": "sum of data / sum of normalisation over zone classes, background subtracted",
        "crystal": _crystal_to_dict(bins.crystal),
        "path": None if bins.path is None else bins.path.to_dict(),
        "divisions": bins.divisions,
        "grid_mev": asdict(folded.grid),
        "runs": [run.number for run in folded.runs],
        "overlaps": [list(overlap) for overlap in folded.overlaps],
        "kikf_applied": folded.kikf_applied,
        "bose_applied": folded.bose_applied,
        "coverage": folded.coverage,
        "backgrounds": [{"description": part.description, "scale": part.scale} for part in folded.backgrounds],
        "notes": list(folded.notes),
        "provenance": dict(folded.provenance),
    }


def arrays_of(folded: Folded) -> dict[str, dict[str, NDArray[Any]]]:
    """Return all arrays for `MDHisto.collections`, but for the sums over runs, which follow from them."""
    return {
        "bins": {name: getattr(folded.bins, name) for name in _BINS},
        "classes": {"zone": folded.zones, "hkl": folded.hkl},
        "runs": _run_arrays(folded.runs),
        **{
            f"background_{k}": {
                "runs": np.array(part.runs, dtype=np.int64),
                **{name: getattr(part, name) for name in ("cells", "signal", "variance", "exposure")},
            }
            for k, part in enumerate(folded.backgrounds)
        },
    }


def _run_arrays(runs: Sequence[FoldedRun]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "number": np.array([run.number for run in runs], dtype=np.int64),
        "incident_energy": np.array([run.incident_energy for run in runs]),
        "proton_charge": np.array([run.proton_charge for run in runs]),
        "goniometer": np.array([run.goniometer for run in runs]),
        # NaN where it is not known.
        "temperature": np.array([np.nan if run.temperature is None else run.temperature for run in runs]),
        "data_start": np.cumsum([0, *(len(run.data_cells) for run in runs)]),
        "exposure_start": np.cumsum([0, *(len(run.exposure_cells) for run in runs)]),
    }
    for name in ("data_cells", *_DATA, "exposure_cells", *_EXPOSURE):
        arrays[name] = np.concatenate([getattr(run, name) for run in runs])
    return arrays


def folded_from(content: Mapping[str, Any], parts: Mapping[str, Mapping[str, NDArray[Any]]]) -> Folded:
    """Rebuild a folded measurement of `content_of` and `arrays_of`.

    Raises
    ------
    KeyError, ValueError, TypeError, IndexError, AttributeError
        If parts are missing or do not fit.
    """
    crystal = _crystal_from_dict(content["crystal"])
    path = None if content["path"] is None else QPath.from_dict(content["path"])
    arrays = {name: parts["bins"][name] for name in _BINS}
    bins = Bins(crystal=crystal, path=path, divisions=content["divisions"], **arrays)
    backgrounds = []
    for k, described in enumerate(content["backgrounds"]):
        stored = dict(parts[f"background_{k}"])
        runs = tuple(stored.pop("runs").tolist())
        backgrounds.append(Background(described["description"], runs, described["scale"], **stored))
    folded = Folded(
        bins=bins,
        grid=SpectralGrid(**content["grid_mev"]),
        zones=parts["classes"]["zone"],
        hkl=parts["classes"]["hkl"],
        runs=tuple(_runs_from_arrays(parts["runs"])),
        backgrounds=tuple(backgrounds),
        overlaps=tuple((int(a), int(b), float(share)) for a, b, share in content["overlaps"]),
        kikf_applied=bool(content["kikf_applied"]),
        bose_applied=content["bose_applied"],
        coverage=content.get("coverage"),
        notes=tuple(content["notes"]),
        provenance=content["provenance"],
    )
    _check_cells(folded)
    return folded


def _runs_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> list[FoldedRun]:
    runs = []
    for r, number in enumerate(arrays["number"].tolist()):
        data = slice(*arrays["data_start"][r : r + 2].tolist())
        exposure = slice(*arrays["exposure_start"][r : r + 2].tolist())
        temperature = float(arrays["temperature"][r])
        runs.append(
            FoldedRun(
                number=number,
                incident_energy=float(arrays["incident_energy"][r]),
                proton_charge=float(arrays["proton_charge"][r]),
                goniometer=arrays["goniometer"][r],
                temperature=None if np.isnan(temperature) else temperature,
                **{name: arrays[name][data] for name in ("data_cells", *_DATA)},
                **{name: arrays[name][exposure] for name in ("exposure_cells", *_EXPOSURE)},
            )
        )
    return runs


def _check_cells(folded: Folded) -> None:
    size = int(np.prod(folded.shape))
    lists: list[tuple[NDArray[np.int64], list[NDArray[Any]]]] = []
    for run in folded.runs:
        lists.append((run.data_cells, [getattr(run, name) for name in _DATA]))
        lists.append((run.exposure_cells, [getattr(run, name) for name in _EXPOSURE]))
    lists += [(part.cells, [part.signal, part.variance, part.exposure]) for part in folded.backgrounds]
    for cells, columns in lists:
        if len(cells) and (cells[0] < 0 or cells[-1] >= size or (np.diff(cells) <= 0).any()):
            raise ValueError("cells are out of order")
        if any(len(column) != len(cells) for column in columns):
            raise ValueError("some cells have no sums")


def _kept(histo: MDHisto, folded: Folded) -> BoolArray:
    """Cells that the histogram sums, after making sure that the runs give what the histogram shows."""
    classes = histo.collections["classes"]
    if not np.array_equal(classes["cell"], folded.cells.cell):
        raise ValueError("the cells of the runs are not those of the zone classes")
    keep = np.asarray(classes["kept"] != 0)
    again = folded.intensity(keep).intensity
    # Not to the bit: another numpy may add in another order.
    if again.shape != histo.signal.shape or not np.allclose(again, histo.signal, rtol=1e-9, equal_nan=True):
        raise ValueError("the histogram is not the sum of the runs")
    return keep


def _crystal_to_dict(crystal: Crystal) -> dict[str, Any]:
    arrays = {name: getattr(crystal, name).tolist() for name in {**_CRYSTAL_ARRAYS, **_CRYSTAL_OPERATIONS}}
    return {
        "description": crystal.describe(),
        **arrays,
        "symbols": list(crystal.symbols),
        "space_group_number": crystal.space_group_number,
        "space_group_symbol": crystal.space_group_symbol,
        "high_symmetry_points": {name: list(q) for name, q in crystal.high_symmetry_points.items()},
        "high_symmetry_path": [list(segment) for segment in crystal.high_symmetry_path],
    }


def _crystal_from_dict(content: Mapping[str, Any]) -> Crystal:
    arrays = {
        name: np.array(content[name], dtype=kind)
        for name, kind in {**_CRYSTAL_ARRAYS, **_CRYSTAL_OPERATIONS}.items()
    }
    return Crystal(
        **arrays,
        symbols=tuple(content["symbols"]),
        space_group_number=int(content["space_group_number"]),
        space_group_symbol=str(content["space_group_symbol"]),
        high_symmetry_points={name: (q[0], q[1], q[2]) for name, q in content["high_symmetry_points"].items()},
        high_symmetry_path=tuple((a, b) for a, b in content["high_symmetry_path"]),
    )


def _difference(one: Folded, other: Folded) -> str | None:
    """Say in what two folded measurements differ so that they cannot be added; None if they can."""
    a, b = one.bins, other.bins
    if a.same_as(b) and one.grid == other.grid:
        return None
    if a.crystal.lattice.shape != b.crystal.lattice.shape or not np.allclose(
        a.crystal.lattice, b.crystal.lattice, rtol=0, atol=1e-9
    ):
        return f"it is of another crystal, {b.crystal.describe()} and not {a.crystal.describe()}"
    if not np.array_equal(a.group, b.group):
        return f"it was folded with {len(b.group)} symmetry operations and not {len(a.group)}"
    if one.grid != other.grid:
        grids = (f"{g.minimum:g} to {g.maximum:g} meV in {g.n_bins} bins" for g in (other.grid, one.grid))
        return "its energies are {} and not {}".format(*grids)
    if (a.path is None, a.divisions) != (b.path is None, b.divisions):
        kinds = ("a path" if p.path is not None else f"a grid of {p.divisions} divisions" for p in (b, a))
        return "it has {} and not {}".format(*kinds)
    if a.q.shape != b.q.shape or not np.allclose(a.q, b.q, rtol=0, atol=1e-9):
        return "its path runs through other points"
    return "its bins have other widths"
