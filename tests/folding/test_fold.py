"""Folding: nothing lost, nothing twice, errors true, and no dependence on what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.events.arrays import events_from_arrays
from fcinv_core.events.experiment import axis_rotation, momentum_transfer
from fcinv_core.events.source import EventChunk, EventSource
from fcinv_core.folding.binning import find_bins_of
from fcinv_core.folding.fold import FoldSettings, fold, make_binning
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.orientation import find_setting, laue_operations
from fcinv_core.qpath import QPath, standard_path
from fcinv_core.spectrum import SpectralGrid
from tests.crystals import CELLS, crystal
from tests.folding.measurement import GRID, INCIDENT, constant_scattering, detectors, make_runs, orientation

SETTINGS = FoldSettings(GRID, widths=(0.25, 0.25), kikf_applied=False)


@pytest.fixture(scope="module")
def source(germanium: Crystal) -> EventSource:
    return constant_scattering(make_runs(germanium), detectors(), 3.0, seed=0, weight=0.7)


@pytest.fixture(scope="module")
def folded(source: EventSource, germanium: Crystal, path: QPath) -> Folded:
    return fold(source, germanium, path, SETTINGS)


def events_of(source: EventSource) -> EventChunk:
    [chunk] = source.chunks(10**9)
    return chunk


def assert_same(one: Folded, other: Folded, rtol: float = 1e-9) -> None:
    """The same cells hold the same data and exposure; cells of rounding size aside."""
    assert [tuple(z) for z in one.hkl] == [tuple(z) for z in other.hkl]
    a, b = one.cells, other.cells
    np.testing.assert_array_equal(a.cell, b.cell)
    for name in ("signal", "variance", "counts", "exposure"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-12, err_msg=name)


def test_a_plain_loop_puts_the_same_sums_into_the_same_bins(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    chunk = events_of(source)
    binning = make_binning(source, germanium, path, SETTINGS)
    to_fraction = find_setting(germanium, source.runs[0].ub).from_sample(source.runs[0].ub)
    counts, bins, _ = find_bins_of(binning.lookup, chunk.q_sample @ to_fraction.T)
    expected = np.zeros((path.n_points, GRID.n_bins))
    place = np.floor((chunk.energy - GRID.minimum) / GRID.width).astype(int)
    for k in np.flatnonzero((place >= 0) & (place < GRID.n_bins)):
        for one in bins[k, : counts[k]]:
            expected[one, place[k]] += chunk.signal[k]
    cells = folded.cells
    found = np.zeros_like(expected)
    np.add.at(found, (cells.bin, cells.energy), cells.signal)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_folding_into_the_whole_zone_conserves_weighted_counts(source: EventSource, germanium: Crystal) -> None:
    folded = fold(source, germanium, 5, SETTINGS)
    chunk = events_of(source)
    inside = (chunk.energy >= GRID.minimum) & (chunk.energy < GRID.maximum)
    assert folded.cells.signal.sum() == pytest.approx(chunk.signal[inside].sum(), rel=1e-12)
    assert folded.cells.variance.sum() == pytest.approx(chunk.error_squared[inside].sum(), rel=1e-12)
    assert folded.cells.counts.sum() == pytest.approx(inside.sum(), rel=1e-12)
    pixels = source.detectors[0]
    assert pixels.solid_angle is not None
    exposure = sum(
        run.proton_charge * (min(run.energy_limits[1], GRID.maximum) - GRID.minimum) for run in source.runs
    ) * float(pixels.solid_angle[~pixels.masked].sum())
    assert folded.cells.exposure.sum() == pytest.approx(exposure, rel=1e-9)


@pytest.mark.parametrize("name", ["Ge", "Mg", "quartz", "ZrO2"])
@pytest.mark.parametrize("target", ["path", "zone"])
def test_constant_scattering_is_constant_wherever_there_is_coverage(name: str, target: str) -> None:
    material = crystal(name)
    many = detectors(120, 25)
    source = constant_scattering(make_runs(material, 4), many, 400.0, seed=3, weight=0.5)
    folded = fold(source, material, standard_path(material, 30) if target == "path" else 4, SETTINGS)
    result = folded.intensity()
    covered = result.exposure > 0
    assert covered.mean() > 0.8
    # Counts are Poisson with mean level × exposure / weight; the discrete steps of the exposure add a little.
    mean = 400.0 * result.exposure[covered] / 0.5
    enough = mean > 20
    pull = (result.counts[covered] - mean)[enough] / np.sqrt(mean[enough])
    assert abs(pull.mean()) < 5 / np.sqrt(len(pull)) + 0.1
    assert 0.8 < pull.std() < 1.3
    assert np.nansum(result.intensity * result.exposure) / result.exposure.sum() == pytest.approx(400.0, rel=0.01)
    np.testing.assert_allclose(result.exposure_in_counts[covered].sum(), 2 * result.exposure.sum(), rtol=0.01)
    assert folded.uncovered[1] < 0.02


def test_no_coverage_is_nan_and_no_count_is_zero(germanium: Crystal, path: QPath) -> None:
    source = constant_scattering(make_runs(germanium, 1), detectors(), 0.3, seed=0)
    result = fold(source, germanium, path, SETTINGS).intensity()
    np.testing.assert_array_equal(np.isnan(result.intensity), result.exposure == 0)
    empty = (result.exposure > 0) & (result.counts == 0)
    assert empty.any()
    assert (result.exposure == 0).any()
    np.testing.assert_array_equal(result.intensity[empty], 0.0)


def test_reported_errors_equal_the_scatter_of_repeated_experiments(germanium: Crystal, path: QPath) -> None:
    # Every run is the same orientation again, so one fold holds all the experiments.
    n = 40
    [run] = make_runs(germanium, 1)
    runs = tuple(replace(run, number=k) for k in range(n))
    whole = fold(constant_scattering(runs, detectors(), 2000.0, 5, weight=0.7), germanium, path, SETTINGS)
    results = [whole.only_runs([k]).intensity() for k in range(n)]
    covered = results[0].exposure * 2000 / 0.7 > 10
    assert covered.sum() > 100
    values = np.array([one.intensity[covered] for one in results])
    reported = np.mean([one.sigma[covered] ** 2 for one in results], axis=0)
    ratio = values.var(axis=0, ddof=1) / reported
    # A variance from n values scatters by sqrt(2 / (n - 1)) of itself. Bins that share events are not independent
    # of each other: count a quarter of them.
    error = np.sqrt(2 / (n - 1) / (covered.sum() / 4))
    assert ratio.mean() == pytest.approx(1.0, abs=3 * error)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [997, 100_000])
def test_threads_and_chunks_change_nothing(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded, threads: int, size: int
) -> None:
    cut = replace(source, reader=lambda _: source.reader(size))
    other = fold(cut, germanium, path, replace(SETTINGS, threads=threads))
    assert_same(other, folded, rtol=0)


def test_the_order_of_events_changes_nothing_but_rounding(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    chunk = events_of(source)
    order = np.random.default_rng(1).permutation(len(chunk))
    mixed = events_from_arrays(
        chunk.q_sample[order],
        chunk.energy[order],
        chunk.signal[order],
        chunk.error_squared[order],
        run=chunk.run[order],
        detector=chunk.detector[order],
        runs=source.runs,
        detectors=source.detectors,
    )
    assert_same(fold(mixed, germanium, path, SETTINGS), folded)


def turned(source: EventSource, rotation: FloatArray) -> EventSource:
    """The same measurement with the sample's frame turned: Q_sample, UB and goniometer together."""
    runs = tuple(replace(run, ub=rotation @ run.ub, goniometer=run.goniometer @ rotation.T) for run in source.runs)

    def read(size: int) -> object:
        return (replace(chunk, q_sample=chunk.q_sample @ rotation.T) for chunk in source.reader(size))

    return replace(source, runs=runs, reader=read)


def almost_same(one: Folded, other: Folded) -> None:
    """Sums agree; a few events in ten thousand at the very edge of a bin may fall on its other side by rounding."""
    a, b = one.intensity(), other.intensity()
    for x, y in ((a.exposure, b.exposure), (a.counts, b.counts)):
        assert np.abs(x - y).sum() < 1e-4 * x.sum()


def test_a_rotation_of_the_sample_with_its_ub_changes_nothing(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    almost_same(fold(turned(source, axis_rotation([1, 2, 3], 77.0)), germanium, path, SETTINGS), folded)


@pytest.mark.parametrize("name", ["Ge", "quartz", "ZrO2"])
def test_an_equivalent_ub_changes_nothing(name: str) -> None:
    material = crystal(name)
    source = constant_scattering(make_runs(material, 2), detectors(), 3.0, seed=1)
    where = standard_path(material, 30)
    reference = fold(source, material, where, SETTINGS)
    conventional = material.conventional.astype(float)
    for g in laue_operations(material)[1::5]:
        on_hkl = conventional @ g @ np.linalg.inv(conventional)
        runs = tuple(replace(run, ub=run.ub @ on_hkl) for run in source.runs)
        almost_same(fold(replace(source, runs=runs), material, where, SETTINGS), reference)


def test_an_equivalent_primitive_cell_changes_nothing(source: EventSource, folded: Folded) -> None:
    frame, fractions, symbols = CELLS["Ge"]
    sheared = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1]])
    same = Crystal.from_cell(sheared @ frame, fractions @ np.linalg.inv(sheared), symbols)
    almost_same(fold(source, same, standard_path(same, 30), SETTINGS), folded)


def test_a_ub_of_the_primitive_or_a_permuted_cell_changes_nothing() -> None:
    material = crystal("orthorhombic")
    where = standard_path(material, 30)
    source = constant_scattering(make_runs(material, 2), detectors(), 3.0, seed=1)
    reference = fold(source, material, where, SETTINGS)
    cyclic = np.eye(3)[[1, 2, 0]]
    runs = tuple(replace(run, ub=run.ub @ cyclic) for run in source.runs)
    almost_same(fold(replace(source, runs=runs), material, where, SETTINGS), reference)


def test_adding_runs_is_exact_and_associative(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    chunk = events_of(source)
    parts = []
    for numbers in ([0, 3], [1], [2, 4, 5]):
        mine = np.isin(chunk.run, numbers)
        new_index = np.searchsorted(numbers, chunk.run[mine])
        part = events_from_arrays(
            chunk.q_sample[mine], chunk.energy[mine], chunk.signal[mine], chunk.error_squared[mine],
            run=new_index, detector=chunk.detector[mine],
            runs=tuple(source.runs[k] for k in numbers), detectors=source.detectors[0],
        )  # fmt: skip
        parts.append(fold(part, germanium, path, SETTINGS))
    a, b, c = parts
    for merged in (a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(a).merge(b)):
        assert_same(merged, folded, rtol=0)
        np.testing.assert_array_equal(merged.cells.covariance, folded.cells.covariance)
        np.testing.assert_array_equal(merged.intensity().sigma, folded.intensity().sigma)
    with pytest.raises(InputError, match="run 10 is in both"):
        a.merge(a)


def test_a_fold_of_one_run_equals_that_run_of_the_whole(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    chunk = events_of(source)
    mine = chunk.run == 2
    alone = events_from_arrays(
        chunk.q_sample[mine], chunk.energy[mine], chunk.signal[mine], chunk.error_squared[mine],
        detector=chunk.detector[mine], runs=source.runs[2:3], detectors=source.detectors[0],
    )  # fmt: skip
    one, other = fold(alone, germanium, path, SETTINGS).intensity(), folded.only_runs([12]).intensity()
    np.testing.assert_array_equal(one.intensity, other.intensity)


def test_the_distribution_of_q_lies_in_the_bins(folded: Folded) -> None:
    cells = folded.cells
    covered = cells.exposure > 0
    half = folded.bins.widths[cells.bin] / 2
    # In the canonical zone the box may be turned about the path, so only its circle bounds it.
    assert (np.linalg.norm(cells.offset, axis=1) <= np.linalg.norm(half, axis=1) + 1e-6)[covered].all()
    variances = cells.covariance[:, [0, 3, 5]]
    assert (variances > -1e-6).all()
    # Averaged over many detectors, Q fills a box evenly: width² / 12 and the size of the pixel.
    weight = cells.exposure / cells.exposure.sum()
    second = (weight[:, None] * (variances + cells.offset**2)).sum(axis=0)
    pixel = 1.5e-3 / 12 * 3.0**2
    expected = (weight[:, None] * (2 * half) ** 2).sum(axis=0) / 12 + pixel
    np.testing.assert_allclose(second, expected, rtol=0.2)


def test_a_single_set_of_all_runs_sums_to_the_same(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    joined = fold(source, germanium, path, replace(SETTINGS, runs_apart=False))
    assert len(joined.runs) == 1
    assert joined.runs[0].proton_charge == pytest.approx(sum(run.proton_charge for run in source.runs))
    assert_same(joined, folded)


def test_runs_of_several_temperatures_are_corrected_before_they_are_one_set(
    source: EventSource, germanium: Crystal, path: QPath
) -> None:
    warm = tuple(replace(run, temperature=50.0 + 100 * (k % 2)) for k, run in enumerate(source.runs))
    corrected = replace(SETTINGS, bose="Chi")
    apart = fold(replace(source, runs=warm), germanium, path, corrected)
    joined = fold(replace(source, runs=warm), germanium, path, replace(corrected, runs_apart=False))
    assert len({run.temperature for run in apart.runs}) == 2
    for name in ("cell", "signal", "variance", "counts", "exposure", "offset"):
        np.testing.assert_allclose(getattr(joined.cells, name), getattr(apart.cells, name), rtol=1e-6, atol=1e-6)


def test_runs_of_several_incident_energies_are_not_one_set(
    source: EventSource, germanium: Crystal, path: QPath
) -> None:
    first, *others = source.runs
    mixed = replace(source, runs=(replace(first, incident_energy=1.1 * first.incident_energy), *others))
    with pytest.raises(InputError, match="cannot be one set"):
        fold(mixed, germanium, path, replace(SETTINGS, runs_apart=False))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_histogrammed_events_and_their_exposure_meet_in_the_same_cells(seed: int) -> None:
    material = crystal("Mg")
    rng = np.random.default_rng(seed)
    pixels = detectors(20, 5)
    [run] = make_runs(material, 1)
    run = replace(run, energy_limits=(0.0, 27.0), energy_edges=np.arange(0.0, 27.01, 0.5))
    pixel = rng.integers(len(pixels.ids), size=5000)
    pixel = pixel[~pixels.masked[pixel]]
    energy = rng.integers(54, size=len(pixel)) * 0.5 + 0.25
    lab = momentum_transfer(INCIDENT, pixels.two_theta[pixel], pixels.azimuth[pixel], energy)
    # Files hold single precision.
    q = (lab @ run.goniometer).astype(np.float32)
    ones = np.ones(len(energy))
    source = events_from_arrays(q, energy, ones, ones, detector=pixels.ids[pixel], runs=(run,), detectors=pixels)
    assert source.energy_bin_width == 0.5
    folded = fold(source, material, standard_path(material, 30), SETTINGS)
    assert folded.uncovered[1] < 1e-3
    assert folded.cells.counts.sum() > 500


def test_energy_bins_that_cut_histogrammed_bins_are_refused(germanium: Crystal, path: QPath) -> None:
    [run] = make_runs(germanium, 1)
    run = replace(run, energy_limits=(0.0, 27.0), energy_edges=np.arange(0.0, 27.01, 0.5))
    pixels = detectors(5, 5)
    energy = np.arange(50) * 0.5 + 0.25
    source = events_from_arrays(
        np.ones((50, 3)), energy, np.ones(50), np.ones(50), detector=np.full(50, 101), runs=(run,), detectors=pixels
    )
    with pytest.raises(InputError, match=r"multiple of 0\.5 meV"):
        fold(source, germanium, path, replace(SETTINGS, grid=SpectralGrid(0.0, 20.0, 25)))
    with pytest.raises(InputError, match=r"multiple of 0\.5 meV"):
        fold(source, germanium, path, replace(SETTINGS, grid=SpectralGrid(0.25, 20.25, 20)))


def test_input_that_cannot_be_folded_is_refused_with_a_sentence(
    source: EventSource, germanium: Crystal, path: QPath
) -> None:
    with pytest.raises(InputError, match="another crystal"):
        fold(source, crystal("Mg"), standard_path(crystal("Mg"), 30), SETTINGS)
    without = replace(source, runs=tuple(replace(run, ub=np.zeros((3, 3))) for run in source.runs))
    with pytest.raises(InputError, match="no UB matrix"):
        fold(without, germanium, path, SETTINGS)
    with pytest.raises(InputError, match="covers none of the bins"):
        fold(source, germanium, path, replace(SETTINGS, grid=SpectralGrid(27.0, 29.0, 4)))
    with pytest.raises(InputError, match="detectors"):
        fold(replace(source, lean=True), germanium, path, SETTINGS)
    with pytest.raises(InputError, match="twice"):
        fold(replace(source, runs=(source.runs[0],) * 6), germanium, path, SETTINGS)
    assert orientation(germanium).shape == (3, 3)
