"""Tails of Bragg peaks: how far in Q and in energy they reach, and what to leave out because of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.checking.bragg import Peaks, nearest_reflections
from fcinv_core.checking.elastic_line import ElasticLine
from fcinv_core.crystal import FloatArray
from fcinv_core.verdict import Finding, Status

_N_RADII, _N_ENERGIES = 20, 80
#: A tail ends where intensity near a reflection is less than this many times that around it.
_CONTRAST = 3.0


@dataclass(frozen=True, eq=False)
class BraggTails:
    """Intensity against the distance from reflections and energy.

    Attributes
    ----------
    radius
        Shape (r + 1,): edges, 1/Å.
    energy
        Shape (e + 1,): edges, meV.
    density
        Shape (r, e): weight per volume of Q and energy, arbitrary unit.
    q_radius
        Distance from a reflection that is better left out at the elastic line, 1/Å.
    energy_range
        Energies in which that holds, meV.
    """

    radius: FloatArray
    energy: FloatArray
    density: FloatArray
    q_radius: float
    energy_range: tuple[float, float]


class TailHistogram:
    """Sums over events by distance from the nearest reflection and by energy."""

    def __init__(self, primitive: FloatArray, reach: float, line: ElasticLine) -> None:
        assert line.whole is not None
        self.primitive = primitive
        self.radius = np.linspace(0, reach, _N_RADII + 1)
        half = 5 * line.whole.fwhm
        self.energy = np.linspace(line.whole.centre - half, line.whole.centre + half, _N_ENERGIES + 1)
        self.signal = np.zeros((_N_RADII, _N_ENERGIES))
        self.variance = np.zeros((_N_RADII, _N_ENERGIES))

    def add(self, q: FloatArray, energy: FloatArray, signal: FloatArray, variance: FloatArray) -> None:
        """Add events: Q_sample (n, 3), energy, weight and variance (n,)."""
        inside = (energy > self.energy[0]) & (energy < self.energy[-1])
        node, residual = nearest_reflections(q[inside], self.primitive)
        distance = np.linalg.norm(residual, axis=1)
        near = (distance < self.radius[-1]) & (np.abs(node).max(axis=1, initial=0) > 0)
        bins = (self.radius, self.energy)
        where = (distance[near], energy[inside][near])
        self.signal += np.histogram2d(*where, bins=bins, weights=signal[inside][near])[0]
        self.variance += np.histogram2d(*where, bins=bins, weights=variance[inside][near])[0]

    def analyse(self, peaks: Peaks, line: ElasticLine) -> BraggTails:
        """Find where the tails end."""
        assert line.whole is not None
        volume = np.diff(self.radius**3)[:, None]
        density = self.signal / volume
        outer = slice(int(0.7 * _N_RADII), _N_RADII)
        low, high = line.window
        middle = (self.energy[1:] + self.energy[:-1]) / 2
        elastic = (middle > low) & (middle < high)
        profile = self.signal[:, elastic].sum(axis=1) / volume[:, 0]
        around = self.signal[outer][:, elastic].sum() / volume[outer].sum()
        above = np.flatnonzero(profile > _CONTRAST * max(around, 1e-300))
        size = float(np.median(peaks.size[peaks.indexed])) if peaks.indexed.any() else 0.0
        reach = float(self.radius[above.max() + 1]) if len(above) else 0.0
        q_radius = float(min(max(3 * size, min(reach, 5 * size)), self.radius[-1]))
        inner = self.radius[1:] <= max(q_radius, self.radius[1])
        near = self.signal[inner].sum(axis=0) / volume[inner].sum()
        error = np.sqrt(self.variance[inner].sum(axis=0)) / volume[inner].sum()
        beside = self.signal[outer].sum(axis=0) / volume[outer].sum()
        tail = (near > _CONTRAST * beside) & (near - beside > 4 * error)
        start = int(np.argmin(np.abs(middle - line.whole.centre)))
        left = right = start
        # Empty bins between centres of histogrammed events are skipped.
        gap = 8
        for k in range(start, _N_ENERGIES):
            right = k if tail[k] and k - right <= gap else right
        for k in range(start, -1, -1):
            left = k if tail[k] and left - k <= gap else left
        energies = (min(float(self.energy[left]), low), max(float(self.energy[right + 1]), high))
        return BraggTails(self.radius, self.energy, density, q_radius, energies)


def judge_tails(tails: BraggTails | None) -> Finding:
    """Propose what to leave out around reflections."""
    name = "Bragg tails"
    if tails is None or tails.q_radius == 0:
        return Finding(
            name, Status.LOOK, "no indexed Bragg peak shows how far tails reach: leave out a few resolution widths."
        )
    low, high = tails.energy_range
    return Finding(
        name,
        Status.OK,
        f"leave out {tails.q_radius:.2f} 1/Å around reflections from {low:.1f} to {high:.1f} meV.",
        {"q_radius_per_angstrom": tails.q_radius, "energy_range_mev": [low, high]},
    )
