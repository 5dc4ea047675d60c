"""A small virtual measurement of constant scattering, for tests of the fold."""

from __future__ import annotations

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.events.arrays import events_from_arrays
from fcinv_core.events.experiment import Detectors, Run, axis_rotation, momentum_transfer
from fcinv_core.events.source import EventSource
from fcinv_core.spectrum import SpectralGrid

INCIDENT = 30.0
GRID = SpectralGrid(2.0, 26.0, 12)


def detectors(n_horizontal: int = 50, n_vertical: int = 12) -> Detectors:
    """Pixels at random places of a cylindrical array, with unequal solid angles."""
    rng = np.random.default_rng(4)
    count = n_horizontal * n_vertical
    horizontal = np.radians(rng.uniform(5, 120, count))
    vertical = np.radians(rng.uniform(-25, 25, count))
    x, y = np.cos(vertical) * np.sin(horizontal), np.sin(vertical)
    z = np.cos(vertical) * np.cos(horizontal)
    masked = np.zeros(count, dtype=bool)
    masked[::17] = True
    return Detectors(
        np.arange(100, 100 + count),
        np.arccos(z),
        np.arctan2(y, x),
        np.full(count, 3.0),
        masked,
        rng.uniform(1, 2, count) * 1e-3,
    )


def orientation(crystal: Crystal) -> FloatArray:
    """A UB matrix (without 2 pi) of the conventional cell, in some general orientation."""
    turn = axis_rotation([0.3, 1.0, -0.2], 33.0)
    return np.asarray(turn @ np.linalg.inv(crystal.conventional_lattice))


def make_runs(crystal: Crystal, n: int = 6, first: int = 10) -> tuple[Run, ...]:
    """Runs 7 degrees apart, of unequal charge and limits."""
    return tuple(
        Run(
            number=first + k,
            incident_energy=INCIDENT,
            goniometer=axis_rotation([0, 1, 0], 7.0 * k),
            ub=orientation(crystal),
            proton_charge=1.0 + 0.2 * k,
            energy_limits=(1.0, 25.0 + 0.1 * k),
        )
        for k in range(n)
    )


def constant_scattering(
    runs: tuple[Run, ...], pixels: Detectors, level: float, seed: int, *, weight: float = 1.0
) -> EventSource:
    """True events of scattering that is the same everywhere: Poisson with mean level × exposure / weight.

    Every count has the signal ``weight``, so that I = level.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for k, run in enumerate(runs):
        low, high = run.energy_limits
        assert pixels.solid_angle is not None
        mean = level * pixels.solid_angle * run.proton_charge * (high - low) / weight
        counts = rng.poisson(np.where(pixels.masked, 0.0, mean))
        pixel = np.repeat(np.arange(len(counts)), counts)
        energy = rng.uniform(low, high, len(pixel))
        lab = momentum_transfer(run.incident_energy, pixels.two_theta[pixel], pixels.azimuth[pixel], energy)
        parts.append((lab @ run.goniometer, energy, np.full(len(pixel), k), pixels.ids[pixel]))
    q, energy, run_index, detector = (np.concatenate(column) for column in zip(*parts, strict=True))
    shuffled = rng.permutation(len(energy))
    ones = np.ones(len(energy))
    return events_from_arrays(
        q[shuffled],
        energy[shuffled],
        weight * ones,
        weight**2 * ones,
        run=run_index[shuffled],
        detector=detector[shuffled],
        runs=runs,
        detectors=pixels,
    )
