"""Refinement against the bound of its errors: unit-weight spectra over the grid of background and noise."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from fcinv_core.benchmark.grid import CELLS, choose_samples
from fcinv_core.benchmark.spectra import KNOWN, Spectra, drawn_prior
from fcinv_core.crystal import FloatArray
from fcinv_core.networks.model import Model, load_model
from fcinv_core.prior import Prior
from fcinv_core.refinement.limit import NoiseLevel, bound
from fcinv_core.refinement.measurement import Measurement
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.scoring import Maximum, maximise
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.refinement.unit import UnitModel
from fcinv_core.training_set import TrainingSet
from fcinv_core.work_units import MapUnits, map_in_process

#: Draws of the network that a refinement starts from.
STARTS = 12
#: Probabilities that intervals should hold.
LEVELS = (0.5, 0.68, 0.95)
#: Two maxima farther apart than this, in standard deviations of the posterior, are two.
_SAME_MAXIMUM = 1.0


@dataclass(frozen=True, eq=False)
class Setup:
    """What every refinement of a benchmark needs.

    Attributes
    ----------
    spectra
        The samples.
    prior
        Gaussian prior with mean and spread of the sets that they were drawn from.
    model
        Folder of the network that gives the starts.
    """

    spectra: Spectra
    prior: Prior
    model: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """One refinement of one spectrum; k retained force constants, eV/Å².

    Attributes
    ----------
    error, sigma, bound
        Shape (k,): estimate - truth, its stated standard deviation, and the least one.
    nearest_error
        Shape (k,): error of the maximum next to the truth.
    same
        Whether that is the maximum that was found.
    seconds
        Processor time of network and refinement.
    """

    error: FloatArray
    sigma: FloatArray
    bound: FloatArray
    nearest_error: FloatArray
    same: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class Limit:
    """Refinements of all cells, m spectra each; k retained force constants, eV/Å².

    Attributes
    ----------
    setup
        What was refined.
    error, sigma, bound, nearest_error
        Shape (25, m, k): see `Outcome`.
    same, seconds
        Shape (25, m): see `Outcome`.
    dynamics_seconds
        Processor time of the mode energies of one set along the path.
    """

    setup: Setup
    error: FloatArray
    sigma: FloatArray
    bound: FloatArray
    nearest_error: FloatArray
    same: FloatArray
    seconds: FloatArray
    dynamics_seconds: float

    @property
    def prior_width(self) -> FloatArray:
        """Standard deviations of the prior, shape (k,)."""
        return np.asarray(self.setup.prior.sigma[self.setup.spectra.training.retained])

    def covered(self, level: float) -> FloatArray:
        """Return whether the central interval of a probability holds the truth, shape (25, m, k)."""
        return np.asarray(np.abs(self.error) < ndtri((1 + level) / 2) * self.sigma)


def benchmark_limit(
    training: TrainingSet,
    model: Path,
    *,
    samples: int,
    seed: int,
    map_units: MapUnits = map_in_process,
    say: Callable[[str], None] = lambda line: None,
) -> Limit:
    """Refine test spectra in every cell of the grid from draws of a network.

    Parameters
    ----------
    training
        The training set.
    model
        Folder of a model that was trained on it.
    samples
        Spectra of each cell.
    seed
        Of noise and draws.
    map_units
        Does the refinements, here or on a cluster.
    say
        Called with a line after each cell.

    Raises
    ------
    InputError
        If the model cannot be loaded, does not fit, or there are too few samples.
    """
    load_model(model)
    spectra = Spectra.of(training, choose_samples(training, samples), seed)
    setup = Setup(spectra, drawn_prior(training), model)
    m = len(spectra.numbers)
    found = map_units(refine_one, setup, itertools.product(range(len(CELLS)), range(m)))
    outcomes = []
    for cell, level in enumerate(CELLS):
        outcomes.append(list(itertools.islice(found, m)))
        same = np.mean([one.same for one in outcomes[cell]])
        say(f"{level.peak_counts:g} counts, background {level.background:g}: {same:.0%} next to the truth")

    def gathered(name: str) -> FloatArray:
        return np.array([[getattr(one, name) for one in of_cell] for of_cell in outcomes])

    return Limit(
        setup=setup,
        error=gathered("error"),
        sigma=gathered("sigma"),
        bound=gathered("bound"),
        nearest_error=gathered("nearest_error"),
        same=gathered("same"),
        seconds=gathered("seconds"),
        dynamics_seconds=_dynamics_seconds(setup),
    )


def refine_one(setup: Setup, unit: tuple[int, int]) -> Outcome:
    """Refine the sample at a place (second) in a cell (first)."""
    cell, place = unit
    spectra, prior, level = setup.spectra, setup.prior, CELLS[cell]
    training, values = spectra.training, spectra.values[place]
    data = spectra.in_cell(cell, place)
    begin = time.process_time()
    answer = _network(setup.model).draw(
        data.summed(data.counts),
        data.summed(data.exposure),
        STARTS,
        spectra.seed,
        path=training.qpath,
        grid=training.grid,
    )
    settings = RefineSettings(model="unit", max_starts=STARTS, far=False, n_draws=0)
    # A network draws what it was not taught from its own prior; here that may be known.
    starts = np.where(prior.sigma > KNOWN, answer.draws, prior.mean)
    found = refine(data, prior, starts, settings)
    seconds = time.process_time() - begin
    nearest = nearest_maximum(data, prior, values, level).parameters[: len(values)]
    apart = found.values - nearest
    kept = training.retained
    return Outcome(
        error=(found.values - values)[kept],
        sigma=found.sigma[kept],
        bound=bound(data, prior, values, level)[kept],
        nearest_error=(nearest - values)[kept],
        same=bool(apart @ np.linalg.solve(found.covariance, apart) < _SAME_MAXIMUM**2),
        seconds=seconds,
    )


def nearest_maximum(data: Measurement, prior: Prior, values: FloatArray, level: NoiseLevel) -> Maximum:
    """Return the maximum that is reached from the true force constants (n,), scale and background."""
    model = UnitModel(data, prior)
    peak = level.peak_counts / float(data.exposure[0])
    start = model.parameters_of(values, scale=1 / data.grid.width, background=level.background * peak)
    return maximise(model, model.prior_of(prior), start, tolerance=1e-3)


@functools.cache
def _network(folder: Path) -> Model:
    """The model, loaded once by each worker."""
    return load_model(folder)


def _dynamics_seconds(setup: Setup) -> float:
    qpath, times = setup.spectra.training.qpath, []
    dynamics = setup.prior.dynamics(qpath.q, qpath.direction)
    for values in setup.spectra.values[:10]:
        begin = time.process_time()
        dynamics.energies(values, threads=1)
        times.append(time.process_time() - begin)
    return float(np.median(times))
