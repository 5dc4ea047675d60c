"""Training sets are stable, reproducible, complete, and refused when they are not."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core import training_set, work_units
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.files import sha256
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import retained, sensitivity
from fcinv_core.spectrum import Resolution, SpectralGrid, render
from fcinv_core.stability import TOLERANCE, stability_points
from fcinv_core.training_set import T_RANGE, Sampling, TrainingSet, draw_block, generate
from fcinv_core.work_units import unit_map
from tests.ensembles import aluminium_ensemble


@pytest.fixture(scope="module")
def prior() -> Prior:
    return prior_from_members(aluminium_ensemble())


def make(path: Path, prior: Prior, n: int = 300, **options) -> TrainingSet:
    qpath = standard_path(prior.crystal, 41)
    found = sensitivity(prior, qpath)
    return generate(path, prior, qpath, retained(prior, "4", found), found, n, **options)


@pytest.fixture(scope="module")
def training(prior: Prior, tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    return make(tmp_path_factory.mktemp("set") / "training.h5", prior)


def test_every_sample_is_stable_and_its_energies_are_those_of_its_force_constants(training: TrainingSet) -> None:
    prior, energies = training.prior, training.energies()
    for sample in (0, 17, 299):
        fcs = prior.force_constants(training.force_constants()[sample], "sample")
        plain = mode_energies(fcs, training.qpath.q, training.qpath.direction)
        assert np.allclose(energies[sample], plain, atol=1e-4)
        assert mode_energies(fcs, stability_points(prior.crystal)).min() >= -TOLERANCE


def test_retained_force_constants_fill_their_ranges_uniformly_where_stability_does_not_cut(
    training: TrainingSet,
) -> None:
    values = training.force_constants()[:, training.retained]
    lower, upper = training.prior.lower[training.retained], training.prior.upper[training.retained]
    t = (values - lower) / (upper - lower)
    assert t.min() >= T_RANGE[0]
    assert t.max() <= T_RANGE[1]
    assert np.all(np.ptp(t, axis=0) > 0.9 * (T_RANGE[1] - T_RANGE[0]))


def test_the_others_are_drawn_from_the_prior_or_held(prior: Prior, training: TrainingSet, tmp_path: Path) -> None:
    others = np.setdiff1d(np.arange(prior.n_force_constants), training.retained)
    scatter = training.force_constants()[:, others].std(axis=0) / prior.sigma[others]
    assert 0.5 < np.median(scatter) < 1.2
    held = make(tmp_path / "held.h5", prior, 50, others="reference")
    assert np.array_equal(held.force_constants()[:, others], np.tile(prior.mean[others], (50, 1)))


def test_the_acceptance_is_the_share_of_stable_candidates(prior: Prior, training: TrainingSet) -> None:
    sampling = Sampling.around(prior, training.qpath, training.retained, seed=0)
    stable = [len(draw_block(sampling, index).place) for index in range(3)]
    expected = np.mean(stable) / training_set._CANDIDATES
    assert training.content["acceptance"] == pytest.approx(expected, rel=0.25)
    assert training.content["candidates"] == round(300 / training.content["acceptance"])


def test_the_same_seed_gives_the_same_set_and_another_seed_another(
    prior: Prior, training: TrainingSet, tmp_path: Path
) -> None:
    again, other = make(tmp_path / "again.h5", prior), make(tmp_path / "other.h5", prior, seed=1)
    assert np.array_equal(again.force_constants(), training.force_constants())
    assert np.array_equal(again.energies(), training.energies())
    assert np.array_equal(again.split, training.split)
    assert not np.array_equal(other.force_constants(), training.force_constants())


def test_a_larger_set_begins_with_the_smaller(prior: Prior, training: TrainingSet, tmp_path: Path) -> None:
    larger = make(tmp_path / "larger.h5", prior, 500)
    assert np.array_equal(larger.force_constants()[:300], training.force_constants())


def test_a_cluster_of_two_workers_writes_the_identical_file(
    prior: Prior, training: TrainingSet, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        unit_map(cluster.scheduler_address) as map_units,
    ):
        spread = make(tmp_path / "spread.h5", prior, map_units=map_units)
    assert sha256(spread.path) == sha256(training.path)


def test_memory_does_not_grow_with_the_number_of_samples(prior: Prior, tmp_path: Path) -> None:
    peaks = []
    for n in (1500, 15_000):
        tracemalloc.start()
        make(tmp_path / f"{n}.h5", prior, n, others="reference")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    stored = 13_500 * (41 * 3 * 4 + prior.n_force_constants * 8)
    # Threads meet at other moments in each run, which moves the peak by a chunk or so.
    assert peaks[1] - peaks[0] < 0.3 * stored


def test_an_unreachable_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(work_units, "_CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="no Dask scheduler answers"), unit_map("tcp://127.0.0.1:9"):
        pass


def test_spectra_are_rendered_from_the_stored_energies_and_stored_on_demand(prior: Prior, tmp_path: Path) -> None:
    grid, resolution = SpectralGrid(0, 60, 40), Resolution((2.0, -0.01))
    stored = make(
        tmp_path / "s.h5", prior, 20, energy_range=(0, 60), n_bins=40, resolution=resolution, store_spectra=True
    )
    assert np.array_equal(stored.spectra(slice(3, 5)), render(stored.energies(slice(3, 5)), grid, resolution))
    with h5py.File(stored.path) as file:
        assert np.array_equal(file["spectra"][()], stored.spectra())


def test_the_default_grid_holds_every_mode(training: TrainingSet) -> None:
    assert training.grid.maximum >= 1.03 * training.energies().max()
    assert training.grid.maximum - 1.03 * training.energies().max() < 5


def test_split_has_the_stated_shares(training: TrainingSet) -> None:
    assert np.bincount(training.split).tolist() == [240, 15, 45]


def test_everything_of_the_prior_comes_back(prior: Prior, training: TrainingSet) -> None:
    again = training.prior
    assert again.labels == prior.labels
    for name in ("mean", "sigma", "lower", "upper", "order"):
        assert np.array_equal(getattr(again, name), getattr(prior, name))
    assert [m.name for m in again.members] == [m.name for m in prior.members]
    assert again.members[0].stability == prior.members[0].stability
    q = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    assert np.allclose(again.reference.dynamical_matrices(q), prior.reference.dynamical_matrices(q), atol=1e-12)


def test_a_range_without_stable_sets_gives_up_with_a_sentence(
    prior: Prior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_set, "_PATIENCE", training_set._CANDIDATES)
    monkeypatch.setattr(training_set, "T_RANGE", (-9.0, -8.0))
    with pytest.raises(InputError, match="hardly any set"):
        make(tmp_path / "none.h5", prior)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "foreign", "newer", "missing", "empty"])
def test_a_file_that_does_not_fit_is_refused_with_a_sentence(
    training: TrainingSet, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "bad.h5"
    content = training.path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    elif damage == "newer":
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            file.attrs["schema"] = training_set.SCHEMA + 1
    elif damage == "empty":
        path.touch()
    words = {
        "truncated": "cannot be read",
        "foreign": "not a training set",
        "newer": "update fcinv",
        "missing": "does not exist",
        "empty": "is empty",
    }
    with pytest.raises(InputError, match=words[damage]):
        TrainingSet.open(path)


def test_sensitivity_is_the_change_of_the_energies_over_the_range(prior: Prior) -> None:
    qpath = standard_path(prior.crystal, 21)
    found = sensitivity(prior, qpath)
    ends = [prior.mean.copy(), prior.mean.copy()]
    ends[0][1], ends[1][1] = prior.lower[1], prior.upper[1]
    low, high = (mode_energies(prior.force_constants(v, ""), qpath.q) for v in ends)
    assert found.rms[1] == pytest.approx(np.sqrt(((high - low) ** 2).mean()), rel=1e-6)
    assert found.largest[1] == pytest.approx(np.abs(high - low).max(), rel=1e-6)


def test_retained_choices(prior: Prior) -> None:
    found = sensitivity(prior, standard_path(prior.crystal, 21))
    assert retained(prior, "3", found).tolist() == [0, 1, 2]
    assert len(retained(prior, "all", found)) == prior.n_force_constants
    assert retained(prior, "auto", found).tolist() == np.flatnonzero(found.rms > 0.1).tolist()
    for wrong in ("0", "1000", "some"):
        with pytest.raises(InputError, match="number from 1"):
            retained(prior, wrong, found)
