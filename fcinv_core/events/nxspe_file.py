"""Reading .nxspe files (ISIS: Mantid's SaveNXSPE, Horace): one run each, every pixel and energy bin an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import BoolArray, Detectors, FloatArray, Run, axis_rotation, momentum_transfer
from fcinv_core.events.source import EventChunk, EventSource

#: Values below this stand for masked pixels in files of other programs than Mantid.
MASK_VALUE = -1e10


def open_nxspe(
    path: Path,
    *,
    ub: ArrayLike | None = None,
    incident_energy: float | None = None,
    psi: float | None = None,
) -> EventSource:
    """Open an .nxspe file; intensities stay on disk.

    Intensities are taken per steradian and meV, as reductions leave them (LoadNXSPE does so too); a bin's
    signal is the intensity times the bin's width and the pixel's solid angle, so that it is normalised by
    the same trajectories as counted events are, at a proton charge of 1. Pixels that are NaN throughout are
    masked, single NaN bins are skipped.

    Parameters
    ----------
    path
        The file, of one sample orientation.
    ub
        Shape (3, 3), 1/Å without the 2 pi: :func:`ub_from_vectors` of the lattice, u and v.
    incident_energy
        Takes the place of the file's fixed energy, meV.
    psi
        Takes the place of the file's angle of u from the beam, degrees, right-handed about the vertical.

    Raises
    ------
    InputError
        If it is damaged, of an indirect-geometry instrument, without unmasked pixels, or if UB, psi or the
        incident energy are neither in the file nor given.
    """
    name = str(path)
    if ub is None:
        raise InputError(
            f"{name} has no UB matrix",
            "an .nxspe file holds psi only",
            "give --lattice, --u and --v, or --ub",
        )
    with h5py.File(path, "r") as file:
        entry = _entry(file)
        energy = incident_energy if incident_energy is not None else _incident_energy(entry, name)
        angle = psi if psi is not None else _number(entry, "NXSPE_info/psi")
        if angle is None:
            raise InputError(f"{name} has no psi", "the file does not say how the sample was turned", "give --psi")
        data = entry["data"]
        missing = {"data", "error", "energy", "polar", "azimuthal"} - set(data)
        if missing:
            raise InputError(f"{name} is damaged", f"it lacks {', '.join(sorted(missing))}", "save it again")
        n, k = data["data"].shape
        edges = _edges(np.ravel(data["energy"][()]).astype(float), k, name)
        masked = _masked(data["data"])
        detectors, note = _detectors(data, masked, n, name)
        if masked.all():
            raise InputError(f"{name} holds no events", "all its pixels are masked", "check the reduction")
        scaling = _number(entry, "NXSPE_info/ki_over_kf_scaling")
        number = _number(entry, "instrument/run_number")

    rotation = axis_rotation((0.0, 1.0, 0.0), angle)
    run = Run(
        number=0 if number is None else int(number),
        incident_energy=energy,
        goniometer=rotation,
        ub=np.asarray(ub, dtype=float),
        proton_charge=1.0,
        energy_limits=(float(edges[0]), min(float(edges[-1]), energy)),
        energy_edges=edges,
        title=path.stem,
        logs={"psi": angle} | ({} if scaling is None else {"ki_over_kf_scaling": scaling}),
        notes=("intensities of an .nxspe file, normalised already: proton charge 1", *note),
    )
    layout = _Layout(path, run, detectors)
    return EventSource(
        description=f"{path.name}, {n} pixels × {k} energy bins, psi {angle:g}°",
        runs=(run,),
        detectors=(detectors,),
        n_events=n * k,
        lean=False,
        energy_bin_width=float(np.diff(edges).max()),
        reader=layout.read,
    )


@dataclass(frozen=True, eq=False)
class _Layout:
    """A file, its run and its detectors, one for each row of intensities."""

    path: Path
    run: Run
    detectors: Detectors

    def read(self, size: int) -> Iterator[EventChunk]:
        """Iterate over the bins in chunks of at most ``size``."""
        edges = self.run.energy_edges
        assert edges is not None
        rows = max(1, size // (len(edges) - 1))
        with h5py.File(self.path, "r") as file:
            data = _entry(file)["data"]
            for start in range(0, len(self.detectors.ids), rows):
                part = slice(start, start + rows)
                try:
                    values, errors = data["data"][part], data["error"][part]
                except OSError as error:
                    raise InputError(
                        f"{self.path} is damaged", "its intensities cannot be read", "copy it again"
                    ) from error
                chunk = self._chunk(part, values, errors, edges)
                for first in range(0, len(chunk), size):
                    yield chunk.between(first, first + size)

    def _chunk(self, part: slice, values: Any, errors: Any, edges: FloatArray) -> EventChunk:
        centres, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        below = centres < self.run.incident_energy
        good = _good(values) & np.isfinite(errors) & ~self.detectors.masked[part, None] & below
        row, column = np.nonzero(good)
        row_all = row + part.start
        lab = momentum_transfer(
            self.run.incident_energy,
            self.detectors.two_theta[row_all],
            self.detectors.azimuth[row_all],
            centres[column],
        )
        angle = self.detectors.solid_angle
        weight = widths[column] * (1.0 if angle is None else angle[row_all])
        return EventChunk(
            q_sample=lab @ self.run.goniometer,
            energy=centres[column],
            signal=values[row, column] * weight,
            error_squared=(errors[row, column] * weight) ** 2,
            run=np.zeros(len(row), dtype=np.int64),
            detector=self.detectors.ids[row_all],
        )


def _entry(file: Any) -> Any:
    return next(file[key] for key in file if "NXSPE_info" in file[key])


def _incident_energy(entry: Any, name: str) -> float:
    stored = entry.get("NXSPE_info/fixed_energy")
    if stored is not None and np.size(stored[()]) > 1:
        raise InputError(
            f"{name} is of an indirect-geometry instrument",
            "it has a final energy for each detector",
            "give files of a direct-geometry spectrometer",
        )
    energy = _number(entry, "NXSPE_info/fixed_energy")
    if energy is None or energy <= 0:
        raise InputError(f"{name} has no incident energy", "fixed_energy is missing or not a number", "give --ei")
    return energy


def _edges(energy: FloatArray, n_bins: int, name: str) -> FloatArray:
    if len(energy) == n_bins and n_bins > 1:  # centres, as some programs write
        middle = (energy[1:] + energy[:-1]) / 2
        energy = np.r_[2 * energy[0] - middle[0], middle, 2 * energy[-1] - middle[-1]]
    if len(energy) != n_bins + 1 or (np.diff(energy) <= 0).any():
        raise InputError(
            f"{name} is damaged",
            f"{len(energy)} energies do not bound {n_bins} bins",
            "save it again",
        )
    return energy


def _good(values: Any) -> Any:
    return np.isfinite(values) & (values > MASK_VALUE)


def _masked(dataset: Any) -> BoolArray:
    """Pixels without a single good bin, shape (n,)."""
    rows = max(1, 1_000_000 // dataset.shape[1])
    parts = [~_good(dataset[k : k + rows]).any(axis=1) for k in range(0, dataset.shape[0], rows)]
    return np.concatenate(parts) if parts else np.empty(0, np.bool_)


def _detectors(data: Any, masked: BoolArray, n: int, name: str) -> tuple[Detectors, tuple[str, ...]]:
    columns = {key: np.radians(np.ravel(data[key][()]).astype(float)) for key in ("polar", "azimuthal")}
    widths = [np.radians(np.ravel(data[key][()]).astype(float)) for key in ("polar_width", "azimuthal_width")
              if key in data]  # fmt: skip
    distance = np.ravel(data["distance"][()]).astype(float) if "distance" in data else np.ones(n)
    if any(len(one) != n for one in (*columns.values(), *widths, distance)):
        raise InputError(f"{name} is damaged", f"its angles are not those of {n} pixels", "save it again")
    angle, note = None, "no pixel sizes in the file: equal solid angles are taken"
    if len(widths) == 2 and all((one > 0).all() for one in widths):
        # Both are angles under which the pixel is seen (FindDetectorsPar), so no sine of the polar angle.
        angle, note = 4 * np.tan(widths[0] / 2) * np.tan(widths[1] / 2), ""
    detectors = Detectors(
        ids=np.arange(1, n + 1),
        two_theta=columns["polar"],
        azimuth=columns["azimuthal"],
        distance=distance,
        masked=masked,
        solid_angle=angle,
    )
    return detectors, (note,) if note else ()


def _number(entry: Any, path: str) -> float | None:
    node = entry.get(path)
    if node is None or np.size(node[()]) == 0 or node.dtype.kind not in "iuf":
        return None
    value = float(np.ravel(node[()])[0])
    return value if np.isfinite(value) else None
