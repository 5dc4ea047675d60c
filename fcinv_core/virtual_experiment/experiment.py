"""A virtual experiment: settings, expected counts of each run, and Poisson draws of them as events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from fcinv_core.errors import InputError
from fcinv_core.events import Detectors, EventChunk, Run, momentum_transfer
from fcinv_core.events.experiment import FloatArray, IntArray, momentum_length
from fcinv_core.folding.orientation import find_setting
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.virtual_experiment.peaks import BraggPeaks, Spurion
from fcinv_core.virtual_experiment.sample import LengthTables, Sample, elastic_line, tabulate

#: Points (Q, E) of one block of pixels: what is worked on, and seeded, at once. Part of what a seed means.
_BLOCK_POINTS = 40_000
#: Which random numbers a stream gives.
_POINTS, _COUNTS = 0, 1


@dataclass(frozen=True, eq=False)
class VirtualExperiment:
    """A single-crystal experiment that was not made.

    The expected counts of a run, pixel and energy bin are

        charge [scale ΔΩ ΔE <(kf/ki) S(Q, E)> + background],

    the mean taken over random points within the pixel and the bin. S, mb/sr/meV per atom, is the sum of coherent
    one-phonon scattering at the full Q, incoherent one-phonon and multiphonon scattering (incoherent
    approximation), the incoherent elastic line, Bragg peaks and spurions.

    Attributes
    ----------
    sample
        What scatters.
    runs
        Goniometer settings, all of one incident energy and one UB.
    detectors
        Pixels with their solid angles.
    pixel_size
        Horizontal and vertical size of a pixel as seen from the sample, degrees.
    grid
        Energy bins of the reduction.
    resolution
        Of the energy transfer.
    scale
        Counts per mb/sr per atom, sr and µA h: flux and size of the sample.
    background
        Counts in every pixel and bin per µA h.
    incoherent
        Whether incoherent one-phonon and multiphonon scattering are in.
    elastic
        Whether the incoherent elastic line is in.
    bragg
        Bragg peaks, or None.
    spurions
        What else is in.
    points
        Random points in each pixel and bin.
    true_events
        Whether every count is an event of its own energy in the direction of its pixel's centre, as Mantid places
        events (phonons of one random point share their energy: take many points where counts are high). Otherwise
        there is one event for each pixel and bin with counts, at the centre of both.
    seed
        Of all random numbers.
    """

    sample: Sample
    runs: tuple[Run, ...]
    detectors: Detectors
    pixel_size: tuple[float, float]
    grid: SpectralGrid
    resolution: Resolution
    scale: float = 1.0
    background: float = 0.0
    incoherent: bool = True
    elastic: bool = True
    bragg: BraggPeaks | None = None
    spurions: tuple[Spurion, ...] = ()
    points: int = 1
    true_events: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.runs or not len(self.detectors.ids):
            raise InputError(
                f"an experiment of {len(self.runs)} runs and {len(self.detectors.ids)} pixels measures nothing",
                "at least one of each is needed",
                "check the goniometer angles and the detectors",
            )
        if self.points < 1 or not (self.scale >= 0 and self.background >= 0 and self.seed >= 0):
            raise InputError(
                f"points {self.points}, scale {self.scale:g}, background {self.background:g} and "
                f"seed {self.seed} do not make an experiment",
                "at least one point and no negative numbers were expected",
                "check them",
            )
        first = self.runs[0]
        if any(
            run.incident_energy != first.incident_energy or not np.array_equal(run.ub, first.ub)
            for run in self.runs
        ):
            raise InputError(
                "the runs of a virtual experiment differ in Ei or UB", "one of each was expected", "make several"
            )
        if not self.n_reachable:
            raise InputError(
                f"no energy bin from {self.grid.minimum:g} to {self.grid.maximum:g} meV can be reached",
                f"the incident energy is {first.incident_energy:g} meV",
                "choose another range of energies",
            )
        if self.detectors.solid_angle is None:
            raise InputError(
                "the pixels have no solid angles", "counts are proportional to them", "give them with the pixels"
            )

    @property
    def incident_energy(self) -> float:
        """Ei of all runs, meV."""
        return self.runs[0].incident_energy

    @property
    def n_reachable(self) -> int:
        """Number of energy bins, counted from the first, in which neutrons have energy left."""
        return int((self.grid.edges[1:] < self.incident_energy).sum())

    @property
    def unmasked(self) -> IntArray:
        """Rows of the pixels that count."""
        return np.flatnonzero(~self.detectors.masked)

    @property
    def longest(self) -> float:
        """Largest |Q| that a pixel may see, 1/Å."""
        reachable = (self.grid.minimum, float(self.grid.edges[self.n_reachable]))
        two_theta = self.detectors.two_theta[self.unmasked]
        return longest_wavevector(two_theta, self.pixel_size, self.incident_energy, reachable)

    @cached_property
    def to_primitive(self) -> FloatArray:
        """Matrix (3, 3) from Q_sample, 1/Å, to fractions of the sample's primitive reciprocal basis."""
        ub = self.runs[0].ub
        return find_setting(self.sample.crystal, ub, name="the virtual experiment").from_sample(ub)

    @cached_property
    def tables(self) -> LengthTables:
        """Scattering that depends on |Q| only, in the energy bins that can be reached."""
        grid = self.grid
        reachable = SpectralGrid(grid.minimum, float(grid.edges[self.n_reachable]), self.n_reachable)
        return tabulate(self.sample, self.longest, reachable, self.resolution)

    @property
    def block_size(self) -> int:
        """Pixels in a block."""
        return max(1, _BLOCK_POINTS // (self.n_reachable * self.points))

    @property
    def blocks(self) -> tuple[IntArray, ...]:
        """Rows of the pixels of each block; masked ones are in none."""
        rows = self.unmasked
        return tuple(rows[start : start + self.block_size] for start in range(0, len(rows), self.block_size))


@dataclass(frozen=True, eq=False)
class ExpectedCounts:
    """Expected counts of one run in a block of p pixels and the k energy bins that can be reached.

    Attributes
    ----------
    run
        Index of the run.
    pixels
        Shape (p,) integers: rows of the detectors.
    q_sample
        Shape (n, p, k, 3): where in each pixel and bin the scattering was taken, 1/Å.
    energy
        Shape (n, p, k): the same, meV.
    signal
        Shape (n, p, k): share of each of the n points in the counts of its pixel and bin: crystal and spurions.
    elastic
        Shape (n, p, k): share of the incoherent elastic line.
    bragg
        Shape (n, p, k): share of Bragg peaks.
    background
        Counts in every pixel and bin.
    """

    run: int
    pixels: IntArray
    q_sample: FloatArray
    energy: FloatArray
    signal: FloatArray
    elastic: FloatArray
    bragg: FloatArray
    background: float

    @property
    def counts(self) -> FloatArray:
        """Expected counts of each pixel and bin, shape (p, k)."""
        return np.asarray((self.signal + self.elastic + self.bragg).sum(axis=0) + self.background)


def expected(experiment: VirtualExperiment, run: int) -> Iterator[ExpectedCounts]:
    """Compute the expected counts of a run, block by block of pixels; unmasked pixels come once each."""
    for block in range(len(experiment.blocks)):
        yield expected_block(experiment, run, block)


def expected_block(experiment: VirtualExperiment, run: int, block: int) -> ExpectedCounts:
    """Compute the expected counts of a run in one block of pixels.

    The random points depend on seed, run and block only.
    """
    one, grid = experiment.runs[run], experiment.grid
    rows, k = experiment.blocks[block], experiment.n_reachable
    rng = _generator(experiment, _POINTS, run, block)
    shape = (experiment.points, len(rows), k)
    energy = grid.edges[:k] + grid.width * rng.random(shape)
    angles = _within_pixels(experiment, rows, rng.random(shape) - 0.5, rng.random(shape) - 0.5)
    q = momentum_transfer(one.incident_energy, *angles, energy) @ one.goniometer
    flat_q, flat_energy = q.reshape(-1, 3), energy.ravel()
    primitive = flat_q @ experiment.to_primitive.T

    sample, tables = experiment.sample, experiment.tables
    length = np.linalg.norm(q, axis=-1)
    scattering = sample.coherent(primitive, flat_energy, experiment.resolution).reshape(shape)
    if experiment.incoherent:
        scattering += tables.at(tables.inelastic, length)
    for spurion in experiment.spurions:
        scattering += spurion.scattering(flat_q, flat_energy, one.ub).reshape(shape)
    elastic = tables.at(tables.elastic, length) if experiment.elastic else np.zeros(shape)
    bragg = np.zeros(shape)
    if experiment.bragg is not None:
        line = elastic_line(grid, experiment.resolution)[:k]
        seen = np.flatnonzero(line > 1e-9 * line.max())
        there = (q[..., seen, :] @ experiment.to_primitive.T).reshape(-1, 3)
        bragg[..., seen] = line[seen] * experiment.bragg.scattering(sample, there).reshape(*shape[:2], len(seen))

    assert experiment.detectors.solid_angle is not None  # __post_init__ sees to it
    exposure = one.proton_charge * experiment.scale * grid.width / experiment.points
    weight = exposure * experiment.detectors.solid_angle[rows][:, None] * np.sqrt(1 - energy / one.incident_energy)
    parts = weight * scattering, weight * elastic, weight * bragg
    return ExpectedCounts(run, rows, q, energy, *parts, one.proton_charge * experiment.background)


def draw(experiment: VirtualExperiment, run: int) -> Iterator[EventChunk]:
    """Draw the Poisson counts of a run as events, block by block of pixels."""
    for block in range(len(experiment.blocks)):
        yield draw_block(experiment, run, block)


def draw_block(experiment: VirtualExperiment, run: int, block: int) -> EventChunk:
    """Draw the Poisson counts of a run in one block of pixels as events.

    Signals are counts times ki/kf, as Mantid's DgsReduction leaves them, and errors are scaled alike. The random
    numbers depend on seed, run and block only.
    """
    mean = expected_block(experiment, run, block)
    rng = _generator(experiment, _COUNTS, run, block)
    one, ids = experiment.runs[run], experiment.detectors.ids
    if experiment.true_events:
        energy, rows = _true_events(experiment, mean, rng)
        weight = np.ones(len(energy))
    else:
        counts = rng.poisson(mean.counts)
        pixel, column = np.nonzero(counts)
        energy, rows = experiment.grid.centres[column], mean.pixels[pixel]
        weight = counts[pixel, column].astype(float)
    angles = experiment.detectors.two_theta[rows], experiment.detectors.azimuth[rows]
    q = momentum_transfer(one.incident_energy, *angles, energy) @ one.goniometer
    ratio = 1 / np.sqrt(1 - energy / one.incident_energy)
    return EventChunk(
        q_sample=q,
        energy=energy,
        signal=weight * ratio,
        error_squared=weight * ratio**2,
        run=np.full(len(energy), run),
        detector=ids[rows],
    )


def _true_events(
    experiment: VirtualExperiment, mean: ExpectedCounts, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Energy (n,) and pixel row (n,) of single neutrons.

    Those of phonons, spurions and Bragg peaks have the energy where the scattering was taken, those of the elastic
    line and the background any of their bin.
    """
    grid = experiment.grid
    counts = rng.poisson(mean.signal + mean.bragg)
    filled = np.nonzero(counts)
    times = counts[filled]
    energy = [np.repeat(mean.energy[filled], times)]
    rows = [np.repeat(mean.pixels[filled[1]], times)]
    sigma = float(experiment.resolution.sigma(np.array(0.0)))
    line = ndtr(grid.edges / sigma)
    flat = np.full(mean.signal.shape[1:], mean.background)
    for expectation, on_line in ((mean.elastic.sum(axis=0), True), (flat, False)):
        counts = rng.poisson(expectation)
        pixel, column = np.nonzero(counts)
        times = counts[pixel, column]
        pixel, column = np.repeat(pixel, times), np.repeat(column, times)
        share = rng.random(len(pixel))
        within = grid.edges[column] + grid.width * share
        if on_line:
            within = np.clip(
                sigma * ndtri(line[column] + share * (line[column + 1] - line[column])),
                grid.edges[column],
                grid.edges[column + 1],
            )
        energy.append(within)
        rows.append(mean.pixels[pixel])
    return np.concatenate(energy), np.concatenate(rows)


def longest_wavevector(
    two_theta: FloatArray, pixel_size: tuple[float, float], incident_energy: float, energies: tuple[float, float]
) -> float:
    """Return the largest |Q|, 1/Å, of pixels (n,) at scattering angles (rad) between two energy transfers (meV)."""
    widest = min(two_theta.max(initial=0.0) + float(np.radians(np.hypot(*pixel_size))) / 2, np.pi)
    # |Q|² is convex in kf, so an end of the range has the largest.
    return float(momentum_length(widest, incident_energy, np.array(energies)).max()) + 1e-6


def _generator(experiment: VirtualExperiment, stream: int, run: int, block: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([experiment.seed, stream, run, block]))


def _within_pixels(
    experiment: VirtualExperiment, rows: IntArray, across: FloatArray, up: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Scattering angle and azimuth, rad, of places (n, p, k) in pixels, given in units of their size."""
    two_theta, azimuth = experiment.detectors.two_theta[rows], experiment.detectors.azimuth[rows]
    x, y, z = np.sin(two_theta) * np.cos(azimuth), np.sin(two_theta) * np.sin(azimuth), np.cos(two_theta)
    width, height = np.radians(experiment.pixel_size)
    horizontal = np.arctan2(x, z)[:, None] + width * across
    elevation = np.clip(np.arcsin(np.clip(y, -1, 1))[:, None] + height * up, -np.pi / 2, np.pi / 2)
    cosine = np.cos(elevation)
    return np.arccos(np.clip(cosine * np.cos(horizontal), -1, 1)), np.arctan2(
        np.sin(elevation), cosine * np.sin(horizontal)
    )
