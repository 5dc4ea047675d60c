"""Runs and detectors out of the experiment infos of Mantid's MD files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.errors import InputError
from fcinv_core.events.axes import decoded
from fcinv_core.events.experiment import NO_DETECTORS, Detectors, FloatArray, Run, axis_rotation
from fcinv_core.events.instrument_definition import with_shapes
from fcinv_core.events.source import shared

#: Logs that give the incident energy (meV), best first.
ENERGY_LOGS = ("ei", "energyrequest", "energyreq", "efixed", "fixed_energy")
#: Logs that give the temperature of the sample (K), best first.
TEMPERATURE_LOGS = ("sampletemp", "sample_temp", "sampletemperature", "sample_temperature", "temperature", "temp")
#: Logs that are kept for people to look at.
KEPT_LOGS = (
    "psi", "omega", "chi", "phi", "s1", "s2", "ccr13vrot", "rot", "magnetfield", "magneticfield", "pressure",
    "start_time", "run_start", "end_time", "duration", "experiment_identifier", "deltae-mode", "ei",
    "energyrequest", "sampletemp", "temperature", "vmode", "fermispeed", "ki_over_kf_scaling",
)  # fmt: skip
PICOCOULOMB = 1e-6 / 3600  # µA h, as Mantid integrates the log proton_charge


@dataclass(frozen=True, eq=False)
class ExperimentInfo:
    """What one ``experimentN`` group holds: a run for each goniometer setting, and the detectors.

    ``projection`` is Mantid's W matrix, shape (3, 3): (h, k, l) = W @ coordinates of files in HKL.
    ``stored_ub`` is the UB of the file, also where the caller gave another one for the runs.
    """

    runs: tuple[Run, ...]
    detectors: Detectors
    projection: FloatArray | None
    stored_ub: FloatArray | None


def read_experiments(
    entry: Any,
    energy_extents: tuple[float, float],
    *,
    ub: ArrayLike | None,
    incident_energy: float | None,
    name: str,
) -> list[ExperimentInfo]:
    """Read the experiment infos of an MD file, in order; equal detectors are one object.

    Parameters
    ----------
    entry
        Open HDF5 group MDEventWorkspace or MDHistoWorkspace.
    energy_extents
        Lowest and highest energy transfer (meV) that the file can hold.
    ub, incident_energy
        Take the place of what the file has: shape (3, 3), 1/Å without the 2 pi; meV.
    name
        How error messages call the file.

    Raises
    ------
    InputError
        If a run has no UB or incident energy and none is given.
    """
    numbers = sorted(int(key[10:]) for key in entry if re.fullmatch(r"experiment\d+", key))
    seen: dict[object, Detectors] = {}
    found = []
    for number in numbers:
        group = entry[f"experiment{number}"]
        logs = {key.lower(): key for key in group["logs"]} if "logs" in group else {}
        stored_ub = _orientation(group)
        run_ub = stored_ub if ub is None else np.asarray(ub, dtype=float)
        energy = incident_energy if incident_energy is not None else _first_number(group, logs, ENERGY_LOGS)
        if run_ub is None:
            raise InputError(
                f"{name} has no UB matrix for experiment {number}",
                "its sample has no oriented lattice",
                "set it in Mantid (SetUB) or give --ub",
            )
        if energy is None or not np.isfinite(energy) or energy <= 0:
            raise InputError(
                f"{name} has no incident energy for experiment {number}",
                f"none of the logs {', '.join(ENERGY_LOGS)} is there",
                "give --ei",
            )
        rotations = _goniometers(group)
        run = _run(group, logs, number, energy, run_ub, energy_extents, rotations[0] is None)
        if len(rotations) > 1:
            run = replace(
                run,
                proton_charge=run.proton_charge / len(rotations),
                notes=(*run.notes, f"proton charge shared equally by {len(rotations)} goniometer settings"),
            )
        runs = tuple(replace(run, goniometer=np.eye(3) if one is None else one) for one in rotations)
        w = _floats(group, "logs/W_MATRIX/value")
        projection = None if w is None or w.size != 9 else w.reshape(3, 3)
        found.append(ExperimentInfo(runs, _detectors(group, seen, name), projection, stored_ub))
    same = shared([one.detectors for one in found])
    return [replace(one, detectors=detectors) for one, detectors in zip(found, same, strict=True)]


def _run(
    group: Any,
    logs: dict[str, str],
    number: int,
    energy: float,
    ub: FloatArray,
    extents: tuple[float, float],
    no_goniometer: bool,
) -> Run:
    notes = []
    if no_goniometer:
        notes.append("no goniometer axes in the file: the sample is taken as not rotated")
    charge, note = _proton_charge(group, logs)
    notes += [note] if note else []
    edges = _floats(group, "logs/processed_histogram_bins/value")
    kept = {}
    for key in KEPT_LOGS:
        value = _log(group, logs[key]) if key in logs else None
        if value is not None:
            kept[logs[key]] = value
    run_number = _log(group, logs["run_number"]) if "run_number" in logs else None
    digits = re.search(r"\d+", str(int(run_number) if isinstance(run_number, float) else run_number))
    title = _log(group, logs["run_title"]) if "run_title" in logs else None
    return Run(
        number=int(digits.group()) if digits else number,
        incident_energy=energy,
        goniometer=np.eye(3),
        ub=ub,
        proton_charge=charge,
        energy_limits=_energy_limits(group, edges, extents, energy),
        energy_edges=edges,
        temperature=_first_number(group, logs, TEMPERATURE_LOGS),
        title=title.strip() if isinstance(title, str) else "",
        logs=kept,
        notes=tuple(notes),
    )


def _energy_limits(
    group: Any, edges: FloatArray | None, extents: tuple[float, float], incident_energy: float
) -> tuple[float, float]:
    """Narrowest of what ConvertToMD kept, the stored bins and MDNorm_low / MDNorm_high (both in energy)."""
    low, high = [extents[0]], [extents[1], incident_energy]
    if edges is not None and len(edges) > 1:
        low.append(float(edges[0]))
        high.append(float(edges[-1]))
    for values, limits, best in (
        (_floats(group, "logs/MDNorm_low/value"), low, np.min),
        (_floats(group, "logs/MDNorm_high/value"), high, np.max),
    ):
        # A spectrum that CropWorkspaceForMDNorm emptied has equal or infinite limits.
        finite = values[np.isfinite(values)] if values is not None else np.array([])
        if len(finite):
            limits.append(float(best(finite)))
    return max(low), min(high)


def _goniometers(group: Any) -> list[FloatArray | None]:
    """Rotation matrices of the goniometer settings; None for a setting without axes."""
    logs = group.get("logs", {})
    if "goniometers" in logs:
        several = logs["goniometers"]
        order = sorted((key for key in several if key.startswith("goniometer")), key=lambda key: int(key[10:]))
        return [_rotation(several[key]) for key in order] or [None]
    return [_rotation(logs["goniometer"]) if "goniometer" in logs else None]


def _rotation(goniometer: Any) -> FloatArray | None:
    """R = product of the axes' rotations, the first axis outermost (Mantid's Goniometer)."""
    rotation: FloatArray | None = None
    for k in range(int(np.ravel(goniometer["num_axes"][()])[0])):
        axis = goniometer[f"axis{k}"]
        angle = float(np.ravel(axis["angle"][()])[0])
        attributes = axis["angle"].attrs
        if decoded(attributes.get("unit", "deg")) == "rad":
            angle = float(np.degrees(angle))
        if decoded(attributes.get("sense", "CCW")) == "CW":
            angle = -angle
        turned = axis_rotation(np.ravel(axis["rotationaxis"][()]), angle)
        rotation = turned if rotation is None else rotation @ turned
    return rotation


def _orientation(group: Any) -> FloatArray | None:
    ub = _floats(group, "sample/oriented_lattice/orientation_matrix")
    if ub is None or ub.size != 9 or not np.isfinite(ub).all() or abs(np.linalg.det(ub.reshape(3, 3))) < 1e-10:
        return None
    return ub.reshape(3, 3)


def _proton_charge(group: Any, logs: dict[str, str]) -> tuple[float, str]:
    charge = _first_number(group, logs, ("gd_prtn_chrg",))
    if charge is not None and charge > 0:
        return charge, ""
    if "proton_charge" in logs:
        pulses = _floats(group, f"logs/{logs['proton_charge']}/value")
        if pulses is not None and np.nansum(pulses) > 0:
            unit = decoded(group[f"logs/{logs['proton_charge']}/value"].attrs.get("units", ""))
            factor = PICOCOULOMB if "picoCoulomb" in unit else 1.0
            return float(np.nansum(pulses)) * factor, "proton charge summed from the log proton_charge"
    return 1.0, "no proton charge in the file: 1 is taken"


def _detectors(group: Any, seen: dict[object, Detectors], name: str) -> Detectors:
    """Detectors of an experiment; those of an instrument group or content met before are the same object."""
    instrument = group.get("instrument")
    if instrument is None or "physical_detectors" not in instrument:
        return NO_DETECTORS
    # Hard links: several experiments may share one instrument group.
    place = ("address", h5py.h5o.get_info(instrument.id).addr)
    if place in seen:
        return seen[place]
    physical = instrument["physical_detectors"]
    columns = [physical[key][()] for key in ("detector_number", "polar_angle", "azimuthal_angle", "distance")
               if key in physical]  # fmt: skip
    if len(columns) < 4:
        seen[place] = NO_DETECTORS
        return seen[place]
    definition = _dataset_text(instrument, "instrument_xml/data")
    parameters = _dataset_text(instrument, "instrument_parameter_map/data")
    masks = re.findall(r"detID:(-?\d+);bool;masked;(?:1|true)\b", parameters)
    digest = hashlib.sha1(definition.encode() + ",".join(masks).encode(), usedforsecurity=False)
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    content = ("content", digest.digest())
    if content not in seen:
        ids = columns[0].astype(np.int64)
        if len(np.unique(ids)) != len(ids):
            raise InputError(
                f"{name} has detectors with equal ids",
                "events could not be told apart",
                "load the instrument definition again in Mantid",
            )
        detectors = Detectors(
            ids=ids,
            two_theta=np.radians(columns[1].astype(float)),
            azimuth=np.radians(columns[2].astype(float)),
            distance=columns[3].astype(float),
            masked=np.isin(ids, np.array(masks, dtype=np.int64)),
        )
        seen[content] = with_shapes(definition, detectors)
    seen[place] = seen[content]
    return seen[content]


def _first_number(group: Any, logs: dict[str, str], names: tuple[str, ...]) -> float | None:
    for key in names:
        value = _log(group, logs[key]) if key in logs else None
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if value is not None and np.isfinite(value):
            return value
    return None


def _log(group: Any, key: str) -> float | str | None:
    """Mean of a log of numbers, or the text of a log."""
    node = group[f"logs/{key}"].get("value") if isinstance(group[f"logs/{key}"], h5py.Group) else None
    if node is None or node.size == 0:
        return None
    values = node[()]
    if values.dtype.kind in "SO":
        return decoded(np.ravel(values)[0])
    if values.dtype.kind not in "iufb":
        return None
    return float(np.mean(values))


def _floats(group: Any, path: str) -> FloatArray | None:
    node = group.get(path)
    if node is None or node.size == 0 or node.dtype.kind not in "iuf":
        return None
    return np.asarray(np.ravel(node[()]), dtype=np.float64)


def _dataset_text(group: Any, path: str) -> str:
    node = group.get(path)
    return "" if node is None or node.size == 0 else decoded(np.ravel(node[()])[0])
