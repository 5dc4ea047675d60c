"""Exposure along the trajectories of pixels through (Q, E), for comparisons that need no finer volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fcinv_core.checking.geometry import Geometry
from fcinv_core.crystal import FloatArray
from fcinv_core.events import NEUTRON_ENERGY, EventSource

#: Points of all trajectories together; more pixels than that allows are drawn at random.
MOST_POINTS = 30_000_000
_ENERGIES = 40


@dataclass(frozen=True, eq=False)
class TrajectoryPoints:
    """Points that pixels of one run pass at one energy.

    Attributes
    ----------
    run
        Index of the run.
    q_sample
        Shape (p, 3): 1/Å.
    energy
        meV.
    weight
        Shape (p,): solid angle × proton charge × energy width.
    """

    run: int
    q_sample: FloatArray
    energy: float
    weight: FloatArray


def trajectory_energies(source: EventSource, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Return the energies between two at which exposure is laid, and the width that each stands for, meV.

    Histogrammed events lie at centres of bins, so their exposure does too.
    """
    runs = source.require_runs()
    high = min(high, 0.97 * min(run.incident_energy for run in runs))
    if source.energy_bin_width is None:
        edges = np.linspace(low, high, _ENERGIES + 1)
        return (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    stored, width = runs[0].energy_edges, source.energy_bin_width
    bottom, top = runs[0].energy_limits
    edges = np.asarray(bottom + width * np.arange(round((top - bottom) / width) + 1), dtype=float)
    if stored is not None:
        edges = np.array(stored, dtype=np.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    inside = (centres > low) & (centres < high)
    return centres[inside], np.diff(edges)[inside]


def points_per_pixel(geometry: Geometry, n_energies: int, most: int = MOST_POINTS) -> float:
    """Return which share of the pixels is used so that there are no more than ``most`` points."""
    total = sum(len(geometry.pixels_of(k)) for k in range(len(geometry.runs))) * max(n_energies, 1)
    return min(1.0, most / max(total, 1))


def trajectory_points(
    geometry: Geometry, energies: FloatArray, widths: FloatArray, share: float = 1.0
) -> Iterator[TrajectoryPoints]:
    """Yield the points of all runs, a run at a time, energies rising.

    Parameters
    ----------
    geometry
        The pixels.
    energies, widths
        Shape (e,): from `trajectory_energies`.
    share
        Share of the pixels that is drawn, at random and reproducibly; their weights are raised to make up.
    """
    draw = np.random.default_rng(0)
    for k, run in enumerate(geometry.runs):
        pixels = geometry.pixels_of(k)
        if share < 1:
            pixels = pixels[draw.random(len(pixels)) < share]
        if not len(pixels):
            continue
        turned = geometry.direction[pixels] @ geometry.goniometer[k]
        beam = geometry.incident[k] * geometry.goniometer[k][2]
        weight = geometry.weight[pixels] * run.proton_charge / share
        for energy, width in zip(energies, widths, strict=True):
            if not run.energy_limits[0] <= energy <= min(run.energy_limits[1], run.incident_energy):
                continue
            final = np.sqrt((run.incident_energy - energy) / NEUTRON_ENERGY)
            yield TrajectoryPoints(k, beam - final * turned, float(energy), weight * width)
