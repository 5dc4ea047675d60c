"""Each orientation of a measurement inverted alone, and the running answer as orientations accumulate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.derived.zone_mesh import irreducible_mesh
from fcinv_core.dynamics import BornVonKarman
from fcinv_core.errors import InputError
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, refinable
from fcinv_core.inversion.refining import refine_measurement
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.work_units import unit_map

if TYPE_CHECKING:
    from fcinv_core.networks.model import Model, NetworkDraws

#: Spacing of the mesh on which dispersions are compared, 1/Å.
_SPACING = 0.15
#: Draws from each posterior: for the widths of intervals only.
_DRAWS = 100
#: Whoever waits for threads is asked that often whether to go on, seconds.
_ASK = 0.2


@dataclass(frozen=True, eq=False)
class PartialAnswer:
    """What some of the runs say.

    Attributes
    ----------
    runs
        Run numbers, in the order in which they were measured.
    angle
        Of the last of them: rotation of the goniometer from the first run of the measurement, degrees.
    counts
        Counts that took part: of the irreducible zone where the refinement was over it.
    amplitudes
        Amplitude model of the refinement; "network" where there was none.
    values, sigma
        Shape (n,): force constants in FC order and their standard deviations, eV/Å².
    error
        Root mean square difference of mode energies over the zone from the answer of all runs, meV.
    expected_error
        The same as the posterior expects it from the unknown truth, meV.
    failure
        Why there is no answer; values are then NaN.
    """

    runs: tuple[int, ...]
    angle: float
    counts: float
    amplitudes: str
    values: FloatArray
    sigma: FloatArray
    error: float
    expected_error: float
    failure: str = ""


@dataclass(frozen=True, eq=False)
class PerRun:
    """Answers of single orientations and of the first 1, 2, 4, 8 ... of them.

    Attributes
    ----------
    single
        One for each run, in the order of run numbers.
    running
        Of the first runs, the last being all of them: the answer that the others are compared with.
    seconds
        Time that it took.
    """

    single: tuple[PartialAnswer, ...]
    running: tuple[PartialAnswer, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Kept:
    """A fold of all runs, and the numbers of its cells that take part."""

    folded: Folded
    cells: IntArray

    @classmethod
    def of(cls, folded: Folded, keep: BoolArray) -> _Kept:
        """Take those that a mask chooses."""
        return cls(folded, folded.cells.cell[keep])

    def only_runs(self, numbers: tuple[int, ...]) -> tuple[Folded, BoolArray]:
        """Return the fold of some runs, and which of its cells take part."""
        folded = self.folded.only_runs(numbers)
        return folded, (folded.cells.exposure > 0) & np.isin(folded.cells.cell, self.cells)


@dataclass(frozen=True, eq=False)
class _Shared:
    """What all units of work have in common."""

    path: _Kept
    zone: _Kept | None
    model: Model
    settings: InversionSettings
    values: FloatArray
    mesh: BornVonKarman
    weights: FloatArray


def invert_per_run(
    inversion: Inversion,
    model: Model,
    settings: InversionSettings,
    *,
    threads: int = 1,
    dask: str | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    between: Callable[[], None] = lambda: None,
) -> PerRun:
    """Invert every run of a measurement alone, and the first 2, 4, 8 ... together.

    They are refined over what all runs were: along the path, or over the irreducible zone.

    Parameters
    ----------
    inversion
        Answer of all runs.
    model, settings
        As it was found with.
    threads
        Runs at a time in this process.
    dask
        Address of a Dask scheduler to spread them over instead.
    say
        Told how far it is.
    between
        Called now and then, in this process a fraction of a second apart; what it raises ends the work.

    Raises
    ------
    InputError
        If there is a single run only.
    """
    started = time.perf_counter()
    folded = inversion.folded
    numbers = [run.number for run in folded.runs]
    if len(numbers) < 2:
        raise InputError("the measurement has one run", "--per-run compares several", "fold runs apart")
    q, weights = irreducible_mesh(inversion.prior.crystal, _SPACING)
    shared = _Shared(
        path=_Kept.of(folded, inversion.keep),
        zone=None if inversion.zone is None else _Kept.of(*inversion.zone),
        model=model,
        settings=settings,
        values=inversion.values,
        mesh=inversion.prior.dynamics(q),
        weights=weights,
    )
    first = [2**k for k in range(1, len(numbers).bit_length()) if 2**k < len(numbers)]
    units = [*((number,) for number in numbers), *(tuple(numbers[:k]) for k in first)]
    answers = []
    with threadpool_limits(1, user_api="blas"), unit_map(dask) as map_units:
        work = partial(_in_threads, threads, between) if dask is None else map_units
        for k, answer in enumerate(work(_answer, shared, units), 1):
            between()
            answers.append(answer)
            say(f"{k} of {len(units)} parts of the measurement")
    single = tuple(answers[: len(numbers)])
    everything = PartialAnswer(
        runs=tuple(numbers),
        angle=single[-1].angle,
        counts=_counts(inversion),
        amplitudes="network" if inversion.refined is None else inversion.refined.model,
        values=inversion.values,
        sigma=inversion.sigma,
        error=0.0,
        expected_error=_expected_error(shared, inversion.covariance),
    )
    running = (single[0], *answers[len(numbers) :], everything)
    return PerRun(single, running, time.perf_counter() - started)


def _counts(inversion: Inversion) -> float:
    """Counts of all runs that took part."""
    if inversion.refined is None:
        return _above_elastic(inversion.folded, inversion.keep)
    folded, keep = (inversion.folded, inversion.keep) if inversion.zone is None else inversion.zone
    return float(folded.intensity(keep).counts[inversion.refined.covered].sum())


def _above_elastic(folded: Folded, keep: BoolArray) -> float:
    """Counts of energy loss."""
    return float(folded.intensity(keep).counts[:, folded.grid.centres > 0].sum())


class _NotWanted(Exception):
    """Ends work whose result nobody waits for any more."""


def _in_threads(
    threads: int,
    between: Callable[[], None],
    function: Callable[..., Any],
    shared: Any,
    units: list[tuple[int, ...]],
) -> Iterator[Any]:
    """Do the units in threads, while this one asks whether to go on."""
    ended = threading.Event()

    def stop_if_ended() -> None:
        if ended.is_set():
            raise _NotWanted

    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(function, shared, unit, stop_if_ended) for unit in units]
        try:
            for one in waiting:
                while wait([one], _ASK).not_done:
                    between()
                yield one.result()
        finally:
            ended.set()
            pool.shutdown(cancel_futures=True)


def _answer(shared: _Shared, numbers: tuple[int, ...], between: Callable[[], None] = lambda: None) -> PartialAnswer:
    """Invert some of the runs; what ``between`` raises ends it."""
    settings, prior = shared.settings, shared.model.prior
    folded, keep = shared.path.only_runs(numbers)
    angle = rotation_angle(shared.path.folded.runs[0].goniometer, folded.runs[-1].goniometer)
    counts = 0.0
    try:
        network = None
        if settings.method != "fit":
            network = _ask(shared.model, folded, keep, settings.seed)
        if settings.method == "network":
            assert network is not None
            counts = _above_elastic(folded, keep)
            values, covariance = network.draws.mean(axis=0), np.cov(network.draws, rowvar=False)
            name = "network"
        else:
            if shared.zone is not None:
                folded, keep = shared.zone.only_runs(numbers)
            data = refinable(folded, keep, settings)
            counts = float(data.counts.sum())
            asked = RefineSettings(n_draws=_DRAWS, reweight=False, seed=settings.seed)
            refined = refine_measurement(data, prior, network, settings.amplitudes, asked, between)
            values, covariance, name = refined.values, refined.covariance, refined.model
    except InputError as error:
        nothing = np.full(prior.n_force_constants, np.nan)
        return PartialAnswer(numbers, angle, counts, settings.method, nothing, nothing, np.nan, np.nan, str(error))
    difference = shared.mesh.energies(np.array([values, shared.values]), threads=1)
    square = (difference[0] - difference[1]) ** 2
    return PartialAnswer(
        runs=numbers,
        angle=angle,
        counts=counts,
        amplitudes=name,
        values=values,
        sigma=np.sqrt(np.diag(covariance)),
        error=float(np.sqrt(shared.weights @ square.mean(axis=1))),
        expected_error=_expected_error(shared, covariance, values),
    )


def _ask(model: Model, folded: Folded, keep: BoolArray, seed: int) -> NetworkDraws:
    """Let the network look at a part of the measurement."""
    path, found = folded.bins.path, folded.intensity(keep)
    assert path is not None  # checked with the whole measurement
    return model.draw(found.counts, found.exposure_in_counts, _DRAWS, seed, path=path, grid=folded.grid)


def _expected_error(shared: _Shared, covariance: FloatArray, values: FloatArray | None = None) -> float:
    """Root mean square standard deviation of mode energies over the zone, meV."""
    _, slopes = shared.mesh.energy_derivatives(shared.values if values is None else values)
    variance = np.einsum("qmk,kl,qml->qm", slopes, covariance, slopes, optimize=True)
    return float(np.sqrt(shared.weights @ variance.mean(axis=1)))


def rotation_angle(first: FloatArray, other: FloatArray) -> float:
    """Return the angle (degrees) by which one goniometer setting is turned from another, both (3, 3).

    Positive about the axis whose largest component is positive.
    """
    turn = other @ first.T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle = float(np.degrees(np.arctan2(np.linalg.norm(axis), np.trace(turn) - 1)))
    return angle if axis[np.abs(axis).argmax()] >= 0 else -angle
