"""A made-up measurement with Bragg peaks, an elastic line, rings and symmetric inelastic scattering."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.events import (
    NEUTRON_ENERGY,
    Detectors,
    EventChunk,
    EventSource,
    Run,
    axis_rotation,
    events_from_arrays,
    momentum_transfer,
    ub_from_vectors,
)

EI, LATTICE = 35.0, 6.3
LIMITS = (-8.0, 28.0)
UB = ub_from_vectors((LATTICE, LATTICE, LATTICE, 90, 90, 90), (1, 0, 0), (0, 1, 0))
FWHM = 1.0


def rocksalt() -> Crystal:
    fcc = LATTICE / 2 * (np.ones((3, 3)) - np.eye(3))
    return Crystal.from_cell(fcc, [[0, 0, 0], [0.5, 0.5, 0.5]], ["K", "Cl"])


@dataclass(frozen=True)
class Faults:
    """What is wrong with the measurement; nothing by default.

    Attributes
    ----------
    rotation
        The crystal is turned by this rotation vector against the UB matrix, degrees.
    scale
        Relative change of all reciprocal lattice vectors.
    offset
        Energy of the elastic line, meV.
    rings
        |Q| of powder lines, 1/Å.
    tetragonal
        Inelastic intensity with a fourfold axis only, along the vertical of three equal ones or not.
    turned_runs
        Run index to degrees by which its goniometer is off.
    weak_runs
        Runs that lost nine of ten events.
    """

    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 0.0
    offset: float = 0.0
    rings: tuple[float, ...] = ()
    tetragonal: bool = False
    turned_runs: dict[int, float] = field(default_factory=dict)
    weak_runs: tuple[int, ...] = ()


def detector_bank() -> Detectors:
    """4 134 pixels of 0.8 x 1.7 degrees on both sides of the beam."""
    angles = np.r_[np.arange(-36, -5, 0.8), np.arange(6, 102, 0.8)]
    across, up = (one.ravel() for one in np.meshgrid(angles, np.linspace(-21.6, 21.6, 26), indexing="ij"))
    across, up = np.radians(across), np.radians(up)
    direction = np.stack([np.cos(up) * np.sin(across), np.sin(up), np.cos(up) * np.cos(across)], axis=1)
    n = len(direction)
    return Detectors(
        ids=np.arange(10, 10 + n),
        two_theta=np.arccos(direction[:, 2]),
        azimuth=np.arctan2(direction[:, 1], direction[:, 0]),
        distance=np.full(n, 4.0),
        masked=np.zeros(n, dtype=bool),
    )


def measure(faults: Faults | None = None, n_runs: int = 34, seed: int = 3) -> EventSource:
    """Draw the events of a measurement with these faults."""
    faults = faults or Faults()
    rng = np.random.default_rng(seed)
    bank = detector_bank()
    runs = tuple(Run(700 + k, EI, axis_rotation((0, 1, 0), 1.2 * k), UB, 2.0, LIMITS) for k in range(n_runs))
    angle = float(np.linalg.norm(faults.rotation))
    turn = axis_rotation(faults.rotation, angle) if angle else np.eye(3)
    true_ub = (1 + faults.scale) * turn @ UB
    reflections = _reflections(true_ub)
    parts = []
    for k, run in enumerate(runs):
        # Where the goniometer truly stands; the events are placed by where it is said to stand.
        truly = axis_rotation((0, 1, 0), faults.turned_runs.get(k, 0.0)) @ run.goniometer
        lab = momentum_transfer(EI, bank.two_theta, bank.azimuth, 0.0)
        rate = 0.3 + _peaks(lab @ truly, reflections)
        length = np.linalg.norm(lab, axis=1)
        for ring in faults.rings:
            rate += 2.0 * np.exp(-((length - ring) ** 2) / (2 * 0.015**2))
        row = np.repeat(np.arange(len(rate)), rng.poisson(rate))
        energy = rng.normal(faults.offset, FWHM / 2.3548, len(row))

        wide = rng.integers(0, len(rate), 5000)
        inelastic = rng.uniform(3, 25, len(wide))
        there = momentum_transfer(EI, bank.two_theta[wide], bank.azimuth[wide], inelastic) @ truly
        kept = rng.random(len(wide)) < _intensity(there @ np.linalg.inv(2 * np.pi * true_ub).T, faults.tetragonal)
        row, energy = np.r_[row, wide[kept]], np.r_[energy, inelastic[kept]]
        if k in faults.weak_runs:
            row, energy = row[::10], energy[::10]
        q = momentum_transfer(EI, bank.two_theta[row], bank.azimuth[row], energy) @ run.goniometer
        parts.append((q, energy, np.full(len(row), k), bank.ids[row]))
    q, energy, run_index, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
    one = np.ones(len(energy))
    return events_from_arrays(
        q, energy, one, one, run=run_index, detector=ids, runs=runs, detectors=bank, name="made-up events"
    )


def whole(source: EventSource) -> EventChunk:
    return next(source.chunks(source.n_events))


def _reflections(ub: FloatArray) -> FloatArray:
    span = np.arange(-8, 9)
    hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    allowed = (hkl % 2 == hkl[:, :1] % 2).all(axis=1) & hkl.any(axis=1)
    q = 2 * np.pi * hkl[allowed] @ ub.T
    return q[np.linalg.norm(q, axis=1) < 2 * np.sqrt(EI / NEUTRON_ENERGY)]


def _peaks(q: FloatArray, reflections: FloatArray) -> FloatArray:
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(reflections).query(q)
    return np.asarray(60 * np.exp(-(distance**2) / (2 * 0.055**2)))


def _intensity(hkl: FloatArray, tetragonal: bool) -> FloatArray:
    waves = np.cos(np.pi * hkl)
    if tetragonal:
        # In the scattering plane, where all of the regions are.
        return np.asarray(0.5 + 0.4 * waves[:, 0])
    return np.asarray(0.5 + 0.4 * waves.mean(axis=1))
