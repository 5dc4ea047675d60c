"""The benchmark of the refinement compares errors, intervals and maxima with what the counts allow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.benchmark.grid import CELLS, MIDDLE
from fcinv_core.benchmark.limit import Limit, Setup, nearest_maximum, refine_one
from fcinv_core.benchmark.limit_files import LEVELS, limit_content, ratios, write_limit
from fcinv_core.benchmark.spectra import Spectra, drawn_prior
from fcinv_core.refinement.limit import bound
from fcinv_core.training_set import TrainingSet


def supposed(training: TrainingSet, m: int, spread: float) -> Limit:
    """Errors drawn from Gaussians that are ``spread`` times as wide as stated and as the bound."""
    rng = np.random.default_rng(0)
    kept, shape = training.retained, (len(CELLS), m, len(training.retained))
    spectra = Spectra.of(training, np.arange(m), 0)
    prior = drawn_prior(training)
    width = np.broadcast_to(0.3 * prior.sigma[kept], shape)
    return Limit(
        setup=Setup(spectra, prior, Path("model")),
        error=spread * width * rng.standard_normal(shape),
        sigma=width,
        bound=width,
        nearest_error=width * rng.standard_normal(shape),
        same=np.ones(shape[:2], dtype=bool),
        seconds=np.ones(shape[:2]),
        dynamics_seconds=0.1,
    )


def test_the_prior_has_mean_and_spread_of_the_sets_and_the_same_dynamics(training: TrainingSet) -> None:
    prior = drawn_prior(training)
    values = training.force_constants(np.flatnonzero(training.split == 0))
    np.testing.assert_allclose(prior.mean, values.mean(axis=0))
    np.testing.assert_allclose(prior.sigma, values.std(axis=0, ddof=1))
    q = training.qpath.q
    some = values[:3]
    # Energies are those of the values, whatever they are expanded about; acoustic modes at Γ are rounding noise.
    of_drawn, of_training = (one.dynamics(q).energies(some, threads=1) for one in (prior, training.prior))
    np.testing.assert_allclose(of_drawn, of_training, atol=2e-3)


@pytest.mark.parametrize(("spread", "low", "high"), [(1.0, 0.93, 1.07), (1.5, 1.4, 1.6)])
def test_ratio_and_coverage_tell_good_refinements_from_bad(
    training: TrainingSet, spread: float, low: float, high: float
) -> None:
    pooled = limit_content(supposed(training, 40, spread), {})["pooled"]
    assert low < pooled["median_ratio"] < high
    assert pooled["evaluations_of_dynamics"] == pytest.approx(10)
    coverage = {level: pooled["coverage"][f"{level:g}"] for level in LEVELS}
    within = [abs(found["share"] - level) < 4 * found["standard_error"] for level, found in coverage.items()]
    assert all(within) == (spread == 1.0)
    assert (pooled["surely_above"]["share"] > 0.2) == (spread > 1.0)


def test_ratios_divide_root_mean_squares() -> None:
    error, of_bound = np.array([[[3.0], [4.0]]]), np.array([[[1.0], [7.0]]])
    assert ratios(error, of_bound)[0, 0] == pytest.approx(np.sqrt(25 / 50))


def test_numbers_and_pictures_are_written_together(training: TrainingSet, tmp_path: Path) -> None:
    result = supposed(training, 4, 1.0)
    content = write_limit(result, tmp_path / "limit", {"command": "test"})
    assert json.loads((tmp_path / "limit" / "limit.json").read_text()) == content
    assert len(content["cells"]) == 25
    assert {path.name for path in (tmp_path / "limit").iterdir()} == {
        "limit.json",
        "ratio.png",
        "coverage.png",
        "ratio_by_fc.png",
    }


def test_the_maximum_next_to_the_truth_reaches_the_bound(training: TrainingSet) -> None:
    prior, spectra = drawn_prior(training), Spectra.of(training, np.arange(24), 1)
    standard = []
    for place, values in enumerate(spectra.values):
        data = spectra.in_cell(MIDDLE, place)
        end = nearest_maximum(data, prior, values, CELLS[MIDDLE])
        kept = training.retained
        found = end.parameters[: len(values)]
        standard.append(((found - values) / bound(data, prior, values, CELLS[MIDDLE]))[kept])
    pooled = float(np.sqrt(np.square(standard).mean()))
    # A twelfth of the ratio is the standard error of so many numbers that hang together in threes.
    assert 0.75 < pooled < 1.25


def test_a_refinement_states_no_less_than_the_bound_allows(training: TrainingSet, flow_folder: Path) -> None:
    prior = drawn_prior(training)
    outcome = refine_one(Setup(Spectra.of(training, np.arange(2), 1), prior, flow_folder), (MIDDLE, 0))
    assert (outcome.bound < prior.sigma[training.retained]).all()
    assert (np.abs(outcome.nearest_error) < 5 * outcome.bound).all()
    assert outcome.seconds > 0
    if outcome.same:
        np.testing.assert_allclose(outcome.sigma, outcome.bound, rtol=0.5)
        np.testing.assert_allclose(outcome.error, outcome.nearest_error, atol=outcome.sigma.max())
