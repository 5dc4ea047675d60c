"""Where the pixels of every run look: elastic momentum transfers, detector rows of events, exposure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events import NEUTRON_ENERGY, Detectors, EventChunk, EventSource, Run
from fcinv_core.events.experiment import BoolArray


@dataclass(frozen=True, eq=False)
class PlacedEvents:
    """Events of a chunk whose run and detector are known and not masked.

    Attributes
    ----------
    kept
        Shape (m,): which events of the chunk these are.
    run
        Shape (m,): index of the run.
    pixel
        Shape (m,): index into the pixels of a `Geometry`.
    """

    kept: IntArray
    run: IntArray
    pixel: IntArray


@dataclass(frozen=True, eq=False)
class Geometry:
    """Pixels and goniometers of a measurement, in arrays that a chunk of events can be looked up in.

    Attributes
    ----------
    runs
        The runs.
    detectors
        Distinct sets of detectors.
    set_of_run
        Shape (r,): which set a run uses.
    first_pixel
        Shape (d + 1,): where the pixels of each set start in the arrays below.
    direction
        Shape (p, 3): unit vectors from the sample to the pixels, laboratory frame.
    two_theta, distance
        Shape (p,): rad and m.
    weight
        Shape (p,): solid angle, relative or sr; 0 for masked pixels.
    goniometer
        Shape (r, 3, 3): Q_lab = R Q_sample.
    incident
        Shape (r,): incident wavevector, 1/Å.
    """

    runs: tuple[Run, ...]
    detectors: tuple[Detectors, ...]
    set_of_run: IntArray
    first_pixel: IntArray
    direction: FloatArray
    two_theta: FloatArray
    distance: FloatArray
    weight: FloatArray
    goniometer: FloatArray
    incident: FloatArray

    @classmethod
    def of(cls, source: EventSource, solid_angle: Mapping[int, float] | None = None) -> Geometry:
        """Collect the geometry of a source.

        Parameters
        ----------
        source
            Events with runs and detectors.
        solid_angle
            Detector id to solid angle, as a vanadium run gives it; the geometric ones by default.

        Raises
        ------
        InputError
            If the events do not know their runs and detectors, or no pixel is left.
        """
        runs = source.require_runs()
        if source.lean or not all(len(one.ids) for one in source.detectors):
            raise InputError(
                f"{source.description}: the events do not know their run and detector",
                "a check compares runs and pixels, and a lean event file or a histogram has none",
                "give the full events (ConvertToMD with OutputWorkspace of type MDEvent, not MDLeanEvent)",
            )
        sets = list({id(one): one for one in source.detectors}.values())
        place = {id(one): k for k, one in enumerate(sets)}
        two_theta = np.concatenate([one.two_theta for one in sets])
        azimuth = np.concatenate([one.azimuth for one in sets])
        weight = np.concatenate([_weights(one, solid_angle) for one in sets])
        if not (weight > 0).any():
            raise InputError(
                f"{source.description}: no detector is left",
                "all are masked or have no solid angle",
                "check the mask and the solid angle file",
            )
        across = np.sin(two_theta)
        return cls(
            runs=runs,
            detectors=tuple(sets),
            set_of_run=np.array([place[id(one)] for one in source.detectors]),
            first_pixel=np.cumsum([0, *(len(one.ids) for one in sets)]),
            direction=np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.cos(two_theta)], axis=1),
            two_theta=two_theta,
            distance=np.concatenate([one.distance for one in sets]),
            weight=weight,
            goniometer=np.array([run.goniometer for run in runs], dtype=float),
            incident=np.sqrt(np.array([run.incident_energy for run in runs]) / NEUTRON_ENERGY),
        )

    @property
    def incident_energy(self) -> float:
        """Mean incident energy of the runs, meV."""
        return float(np.mean([run.incident_energy for run in self.runs]))

    def place(self, chunk: EventChunk, chosen: BoolArray | None = None) -> PlacedEvents:
        """Find run and pixel of the events of a chunk, of all or of the chosen ones (n,)."""
        kept = np.arange(len(chunk)) if chosen is None else np.flatnonzero(chosen)
        run = chunk.run[kept]
        pixel = np.full(len(kept), -1, dtype=np.int64)
        which = np.where(run < 0, -1, self.set_of_run[run])
        for k, one in enumerate(self.detectors):
            mine = np.flatnonzero(which == k)
            row = one.rows(chunk.detector[kept[mine]])
            pixel[mine] = np.where(row < 0, -1, row + self.first_pixel[k])
        good = (pixel >= 0) & (self.weight[pixel] > 0)
        return PlacedEvents(kept[good], run[good], pixel[good])

    def elastic_q(self, run: IntArray, pixel: IntArray) -> FloatArray:
        """Return Q_sample (n, 3), 1/Å, at zero energy transfer: free of the blur of the energy resolution."""
        lab = -self.direction[pixel]
        lab[:, 2] += 1
        lab *= self.incident[run][:, None]
        out = np.empty_like(lab)
        for k in np.unique(run):
            mine = run == k
            out[mine] = lab[mine] @ self.goniometer[k]
        return out

    def pixels_of(self, run: int) -> IntArray:
        """Return the pixels of a run that count, indices into the arrays."""
        k = self.set_of_run[run]
        pixels = np.arange(self.first_pixel[k], self.first_pixel[k + 1])
        return pixels[self.weight[pixels] > 0]

    def elastic_exposure(self) -> Iterator[tuple[int, FloatArray, FloatArray]]:
        """Yield run, Q_sample (p, 3) at zero energy transfer and exposure (p,) of its pixels."""
        for k, run in enumerate(self.runs):
            pixels = self.pixels_of(k)
            q = self.elastic_q(np.full(len(pixels), k), pixels)
            yield k, q, self.weight[pixels] * run.proton_charge


def _weights(detectors: Detectors, solid_angle: Mapping[int, float] | None) -> FloatArray:
    if solid_angle is not None:
        weight = np.array([solid_angle.get(int(number), 0.0) for number in detectors.ids])
    elif detectors.solid_angle is not None and (detectors.solid_angle > 0).any():
        weight = np.asarray(detectors.solid_angle, dtype=float)
    else:
        weight = np.ones(len(detectors.ids))
    weight = np.where(detectors.masked | ~np.isfinite(weight) | (weight < 0), 0.0, weight)
    return weight / max(float(weight.mean()), 1e-300)
