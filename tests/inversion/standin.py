"""Small measurements of aluminium, and stand-ins for a trained model and a refinement, that cost nothing to run."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.folding.binning import Bins
from fcinv_core.folding.folded import BoolArray, Folded, FoldedRun
from fcinv_core.inversion.refining import starts_from
from fcinv_core.networks.inputs import resample
from fcinv_core.networks.model import NetworkAnswer, NetworkDraws
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import QPath, standard_path
from fcinv_core.refinement.refined import Fit, Nuisance, Refined
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.spectrum import Resolution, SpectralGrid, render
from tests.ensembles import aluminium_ensemble

GRID = SpectralGrid(-2.0, 42.0, 44)
EXPOSURE = 40.0
#: What the stand-in for a refinement finds: standard deviation of an energy, meV.
ENERGY_SIGMA = 0.2


@functools.cache
def prior() -> Prior:
    return prior_from_members(aluminium_ensemble())


@functools.cache
def truth() -> FloatArray:
    """Force constants within the prior, stiffer than its mean."""
    return np.asarray(prior().mean * 1.15)


def strained(factor: float, name: str = "aluminium") -> Crystal:
    """Aluminium with another lattice parameter."""
    known = prior().crystal
    return Crystal.from_cell(known.lattice * factor, known.positions, list(known.symbols), name=name)


def measurement(
    crystal: Crystal | None = None,
    path: QPath | None = None,
    exposure: float = EXPOSURE,
    covered: float = 1.0,
    values: FloatArray | None = None,
) -> Folded:
    """A fold of one run and one zone class, Poisson counts of a spectrum in which every mode weighs the same.

    Of the force constants `truth`, or others.
    """
    known = prior().crystal if crystal is None else crystal
    along = standard_path(known, 24) if path is None else path
    n, shape = along.n_points, (along.n_points, GRID.n_bins)
    rng = np.random.default_rng(5)
    energies = prior().dynamics(along.q).energies(truth() if values is None else values)
    mean = exposure * (render(energies, GRID, Resolution((2.0,))).astype(float) + 0.02)
    exposed = rng.uniform(size=shape) < covered
    counts = np.where(exposed, rng.poisson(mean), 0).astype(float)
    cells, data = np.flatnonzero(exposed), np.flatnonzero(counts)
    run = FoldedRun(
        number=7,
        incident_energy=60.0,
        proton_charge=1.0,
        goniometer=np.eye(3),
        temperature=20.0,
        data_cells=data,
        signal=counts.ravel()[data],
        variance=counts.ravel()[data],
        counts=counts.ravel()[data],
        exposure_cells=cells,
        exposure=np.full(len(cells), exposure),
        offset=np.zeros((len(cells), 3), dtype=np.float32),
        square=np.zeros((len(cells), 6), dtype=np.float32),
    )
    bins = Bins(
        crystal=known,
        group=np.eye(3, dtype=np.int64)[None],
        q=along.q,
        axes=np.repeat(np.eye(3)[None], n, axis=0),
        widths=np.full((n, 3), 0.1),
        weight=np.ones(n),
        path=along,
        divisions=None,
    )
    zone = np.zeros((1, 3), dtype=np.int64)
    return Folded(bins, GRID, zone, zone, (run,), kikf_applied=False, notes=("Solid angles are geometric.",))


def all_of(folded: Folded) -> BoolArray:
    return np.asarray(folded.cells.exposure > 0)


@dataclass(frozen=True, eq=False)
class StandInModel:
    """A network that says the truth, 5 % too soft, with some noise."""

    prior: Prior = field(default_factory=prior)
    qpath: QPath = field(default_factory=lambda: standard_path(prior().crystal, 30))
    grid: SpectralGrid = field(default_factory=lambda: SpectralGrid(0.0, 45.0, 50))
    flags: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)

    def draw(
        self, counts: FloatArray, exposure: FloatArray, n: int, seed: int, *, path: QPath, grid: SpectralGrid
    ) -> NetworkDraws:
        noise = np.random.default_rng(seed).standard_normal((n, self.prior.n_force_constants))
        return NetworkDraws(0.95 * truth() + 0.02 * self.prior.sigma * noise, np.arange(4))

    def answer(
        self, counts: FloatArray, exposure: FloatArray, n: int, seed: int, *, path: QPath, grid: SpectralGrid
    ) -> NetworkAnswer:
        image, seen = resample(counts, exposure, path, grid, self.qpath, self.grid)
        drawn = self.draw(counts, exposure, n, seed, path=path, grid=grid)
        energies = self.prior.dynamics(self.qpath.q).energies(drawn.draws[0])
        return NetworkAnswer(
            draws=drawn.draws,
            retained=drawn.retained,
            reconstructed=render(energies, self.grid, Resolution((2.0,))),
            latent=None,
            input=image.astype(np.float32),
            covered=seen > 0,
            out_of_range=(),
            distance=1.0,
            threshold=2.0,
            flags=self.flags,
        )


def refined_measurement(
    folded: Folded, known: Prior, answer: NetworkDraws | None, _: str, settings: RefineSettings, *__: Any
) -> Refined:
    """Stand in for `refine_measurement`, with a fold in place of a measurement."""
    return refined(folded, known, starts_from(known, answer), settings)


def refined(folded: Folded, known: Prior, starts: FloatArray, settings: RefineSettings, **_: Any) -> Refined:
    """Gaussian posterior of energies along the path that are known to `ENERGY_SIGMA`."""
    path = folded.bins.path
    assert path is not None
    _, slopes = known.dynamics(path.q).energy_derivatives(truth())
    slopes = slopes.reshape(-1, known.n_force_constants)
    information = slopes.T @ slopes / ENERGY_SIGMA**2
    covariance = np.linalg.inv(information + np.diag(known.sigma**-2.0))
    root = np.linalg.cholesky(covariance)
    rng = np.random.default_rng(settings.seed)
    values = truth() + root @ rng.standard_normal(len(root))
    draws = values + rng.standard_normal((settings.n_draws, len(root))) @ root.T
    fitted = render(known.dynamics(path.q).energies(values), folded.grid, Resolution((2.0,))).astype(float)
    covered = (folded.intensity().exposure > 0) & (folded.grid.edges[:-1] >= 3.0)
    residual = np.where(covered, rng.standard_normal(covered.shape), np.nan)
    n_cells = int(covered.sum())
    return Refined(
        model=settings.model,
        values=values,
        covariance=covariance,
        information=information,
        prior_sigma=known.sigma,
        draws=draws,
        log_weights=np.zeros(len(draws)),
        effective_sample_size=float(len(draws)),
        nuisance={"background": Nuisance(0.02, 0.001, "intensity")},
        covered=covered,
        fitted=np.where(covered, fitted, np.nan),
        residual=residual,
        deviance=float(n_cells),
        chi2=float(n_cells),
        expected_chi2=(float(n_cells), float(np.sqrt(2 * n_cells))),
        per_look=0.0,
        n_data=n_cells,
        n_parameters=20.0,
        overdispersion=1.0,
        fits=(Fit(starts[0], values, float(n_cells), float(n_cells), True),),
        notes=("A stand-in.",),
    )


def damaged(folded: Folded, **changes: Any) -> Folded:
    """The same measurement with another run in place of its own."""
    return replace(folded, runs=(replace(folded.runs[0], **changes),))
