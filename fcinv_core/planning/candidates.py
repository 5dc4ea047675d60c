"""Runs that could be made, and what their detectors would look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.events import ub_from_vectors
from fcinv_core.events.experiment import Detectors, Run, axis_rotation
from fcinv_core.events.source import EventSource
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.instrument import Instrument
from fcinv_core.qpath import QPath
from fcinv_core.refinement.measurement import Measurement, data_of_folded
from fcinv_core.refinement.nodes import joined_nodes
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.virtual_experiment.planning import PIXEL_SPACING, pixels

#: Width of energy bins in units of the elastic line's FWHM.
_BIN_SHARE = 0.5
#: Modes may lie so far, relatively, above those that are expected, and detectors see no more of Ei than this.
_MARGIN, _HIGHEST = 1.1, 0.95


@dataclass(frozen=True)
class Candidate:
    """A run that could be made: incident energy (meV) and angle psi about the vertical (degrees)."""

    incident_energy: float
    psi: float


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where a crystal and detectors stand.

    Attributes
    ----------
    detectors
        With their solid angles.
    ub
        Shape (3, 3), 1/Å without the 2 pi, at psi = 0.
    """

    detectors: Detectors
    ub: FloatArray


def instrument_geometry(
    crystal: Crystal,
    instrument: Instrument,
    u: ArrayLike | None = None,
    v: ArrayLike | None = None,
    pixel_spacing: float = PIXEL_SPACING,
    bank_angle: float | None = None,
) -> Geometry:
    """Return a crystal in front of the detectors of an instrument.

    Parameters
    ----------
    crystal
        Its lattice parameters.
    instrument
        From the table.
    u, v
        Reciprocal vectors (h, k, l) along the beam and in the horizontal plane at psi = 0; 1 0 0 and 0 1 0 by
        default.
    pixel_spacing
        Size of a pixel, degrees.
    bank_angle
        Of a detector bank that turns, degrees.

    Raises
    ------
    InputError
        If u and v span no plane, or the instrument has no bank that turns.
    """
    detectors, _ = pixels(instrument, pixel_spacing, bank_angle)
    plane = ((1, 0, 0) if u is None else u, (0, 1, 0) if v is None else v)
    return Geometry(detectors, ub_from_vectors(crystal.cell_parameters, *plane))


def energy_grid(incident_energy: float, resolution: Resolution, highest_mode: float) -> SpectralGrid:
    """Return energy bins from 0 to a little above the highest mode (meV), or to what neutrons can lose.

    Raises
    ------
    InputError
        If the resolution is wider than that range.
    """
    top = min(_MARGIN * highest_mode, _HIGHEST * incident_energy)
    n_bins = int(top / (_BIN_SHARE * float(resolution.fwhm(np.zeros(1))[0])))
    if n_bins < 8:
        raise InputError(
            f"an incident energy of {incident_energy:g} meV resolves nothing below {top:g} meV",
            f"the elastic line is {float(resolution.fwhm(np.zeros(1))[0]):.2g} meV wide",
            "choose another incident energy",
        )
    return SpectralGrid(0.0, top, n_bins)


def planned_measurements(
    crystal: Crystal,
    path: QPath,
    widths: tuple[float, float],
    geometry: Geometry,
    candidates: Sequence[Candidate],
    grid: SpectralGrid,
    resolution: Resolution,
    temperature: float,
    between: Callable[[], None] = lambda: None,
) -> tuple[Measurement, ...]:
    """Return what each candidate would look at, with no counts: the fold of runs that were not made.

    Parameters
    ----------
    crystal, path, widths
        What the fold's bins are; widths across the path in 1/Å.
    geometry
        Crystal and detectors.
    candidates
        Runs, all of unit proton charge.
    grid, resolution
        Energy bins and resolution.
    temperature
        K.
    between
        Called after each run.

    Raises
    ------
    InputError
        If one of them covers nothing above the elastic line.
    """
    runs = tuple(
        Run(
            number=number,
            incident_energy=one.incident_energy,
            goniometer=axis_rotation((0, 1, 0), one.psi),
            ub=geometry.ub,
            proton_charge=1.0,
            energy_limits=(grid.minimum, grid.maximum),
            temperature=temperature,
        )
        for number, one in enumerate(candidates)
    )
    source = EventSource(
        description="a planned measurement",
        runs=runs,
        detectors=(geometry.detectors,) * len(runs),
        n_events=0,
        lean=False,
        energy_bin_width=None,
        reader=lambda size: iter(()),
    )
    folded = fold(source, crystal, path, FoldSettings(grid, widths), progress=lambda what, done, total: between())
    measurements = []
    for run in runs:
        between()
        alone = folded.only_runs([run.number])
        measurements.append(data_of_folded(alone, alone.cells.exposure > 0, resolution))
    return tuple(measurements)


def side_by_side(measurements: Sequence[Measurement]) -> Measurement:
    """Return measurements on the same bins as one that has the bins of each, one after the other.

    Bins of different runs then keep their own distribution of wavevectors.
    """
    first = measurements[0]
    bins = len(first.q) * np.arange(len(measurements))
    cells = np.cumsum([0, *(len(one.counts) for one in measurements)])

    def joined(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in measurements])

    names = (
        *("q", "axes", "weight", "zones", "energy", "counts", "variance", "exposure", "background", "fixed"),
        *("per_intensity", "q_squared", "looks", "mean", "covariance"),
    )
    arrays: dict[str, Any] = {name: joined(name) for name in names}
    cut_bin = [one.cut_bin + shift for one, shift in zip(measurements, bins, strict=True)]
    cut_start = [one.cut_start[:-1] + shift for one, shift in zip(measurements, cells[:-1], strict=True)]
    return replace(
        first,
        **arrays,
        directions=None if first.directions is None else joined("directions"),
        cut_bin=np.concatenate(cut_bin),
        cut_start=np.concatenate([*cut_start, cells[-1:]]),
        nodes=joined_nodes([one.nodes for one in measurements]),
    )
