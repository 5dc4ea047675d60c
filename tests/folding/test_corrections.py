"""Bose factor, energy cuts, background and the rejection of spurions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.events.arrays import events_from_arrays
from fcinv_core.events.experiment import axis_rotation
from fcinv_core.events.source import EventSource
from fcinv_core.folding.binning import Binning, find_bins_of
from fcinv_core.folding.bose import BOLTZMANN, bose_factor
from fcinv_core.folding.corrections import correct_bose
from fcinv_core.folding.fold import FoldSettings, fold, make_binning
from fcinv_core.folding.folded import Folded, FoldedRun
from fcinv_core.folding.orientation import find_setting
from fcinv_core.folding.outliers import reject_outliers
from fcinv_core.folding.selection import select_cells
from fcinv_core.qpath import QPath
from tests.folding.measurement import GRID, constant_scattering, detectors, make_runs

SETTINGS = FoldSettings(GRID, widths=(0.25, 0.25), kikf_applied=False)


@pytest.fixture(scope="module")
def source(germanium: Crystal) -> EventSource:
    return constant_scattering(make_runs(germanium, 5), detectors(), 200.0, seed=0)


@pytest.fixture(scope="module")
def folded(source: EventSource, germanium: Crystal, path: QPath) -> Folded:
    return fold(source, germanium, path, SETTINGS)


def test_the_bose_factor_undoes_detailed_balance() -> None:
    energy, temperature = np.array([-8.0, -1.0, 1.0, 8.0]), 80.0
    occupation = 1 / np.expm1(np.abs(energy) / (BOLTZMANN * temperature))
    s = np.where(energy > 0, occupation + 1, occupation)
    np.testing.assert_allclose(s * bose_factor(energy, temperature, "Chi"), np.sign(energy), rtol=1e-12)
    np.testing.assert_allclose(s / np.abs(energy) * bose_factor(energy, temperature, "SED"), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(bose_factor(energy, temperature, "None"), 1.0)
    assert np.isfinite(bose_factor(np.array([-100.0]), 1.5, "Chi")).all()


def test_errors_scale_with_the_bose_factor(folded: Folded) -> None:
    plain = folded.intensity()
    chi = correct_bose(plain, GRID, 100.0, "Chi")
    good = plain.intensity > 0
    np.testing.assert_allclose(
        chi.sigma[good] / chi.intensity[good], plain.sigma[good] / plain.intensity[good], rtol=1e-12
    )
    with pytest.raises(InputError, match="temperature"):
        correct_bose(plain, GRID, 0.0, "Chi")


def test_cut_energies_are_blank(folded: Folded) -> None:
    cut = folded.intensity(folded.select(elastic=4.5, window=(0.0, 20.0)))
    open_bins = ~np.isnan(cut.intensity).all(axis=0)
    np.testing.assert_array_equal(open_bins, (GRID.edges[:-1] >= 4.5) & (GRID.edges[1:] <= 20.0))
    assert not cut.exposure[:, ~open_bins].any()
    with pytest.raises(InputError, match="no covered cell"):
        folded.select(window=(100.0, 200.0))


def test_selection_by_zone_and_by_length(folded: Folded) -> None:
    cells = folded.cells
    zone = tuple(int(i) for i in folded.hkl[cells.row[0]])
    only = folded.select(hkl=[zone])
    assert set(cells.row[only]) == {int(cells.row[0])}
    near = folded.select(q_range=(1.0, 3.0))
    q = (folded.zones[cells.row[near]] + folded.bins.q[cells.bin[near]]) @ folded.bins.crystal.reciprocal_lattice
    assert (np.linalg.norm(q, axis=1) <= 3.0).all()
    apart = folded.intensity(near).exposure + folded.intensity(~near).exposure
    np.testing.assert_allclose(apart, folded.intensity().exposure, rtol=1e-12)
    assert folded.select(minimum_exposure=1.0).sum() < (cells.exposure > 0).sum()
    with pytest.raises(InputError, match="not among the zone classes"):
        folded.select(hkl=[(50, 0, 0)])
    with pytest.raises(InputError, match="no covered cell"):
        folded.select(q_range=(90.0, 100.0))


@pytest.mark.parametrize("frame", ["lab", "sample"])
def test_a_background_of_the_same_scattering_subtracts_to_nothing(
    germanium: Crystal, path: QPath, source: EventSource, frame: str
) -> None:
    runs = make_runs(germanium, 5)
    # An empty can is measured once, at any goniometer setting; a background of the sample frame as the data.
    can = (
        (replace(runs[0], number=99, goniometer=axis_rotation([0, 1, 0], 200.0), proton_charge=9.0),)
        if frame == "lab"
        else tuple(replace(run, number=100 + run.number) for run in runs)
    )
    background = constant_scattering(can, detectors(), 200.0, seed=7)
    folded = fold(source, germanium, path, replace(SETTINGS, background_frame=frame), background=background)
    result = folded.intensity()
    good = np.isfinite(result.intensity) & (result.counts > 20)
    pull = result.intensity[good] / result.sigma[good]
    assert good.sum() > 100
    # Neighbouring bins and runs share background counts, so the pulls are correlated.
    assert abs(pull.mean()) < 0.35
    assert 0.7 < pull.std() < 1.3
    half = fold(
        source,
        germanium,
        path,
        replace(SETTINGS, background_frame=frame, background_scale=0.5),
        background=background,
    ).intensity()
    assert np.nansum(half.intensity * half.exposure) / np.nansum(half.exposure) == pytest.approx(100.0, rel=0.05)


def test_a_run_leaves_a_merged_fold_with_its_own_background(germanium: Crystal, path: QPath) -> None:
    runs = make_runs(germanium, 2)
    can = (replace(runs[0], number=99, proton_charge=9.0),)
    background = constant_scattering(can, detectors(), 200.0, seed=7)
    one, other = (
        fold(
            constant_scattering((run,), detectors(), 200.0, seed=k),
            germanium,
            path,
            SETTINGS,
            background=background,
        )
        for k, run in enumerate(runs)
    )
    alone = one.merge(other).only_runs([runs[0].number])
    assert [part.runs for part in alone.backgrounds] == [(runs[0].number,)]
    np.testing.assert_array_equal(alone.intensity().intensity, one.intensity().intensity)
    source = constant_scattering(runs, detectors(), 200.0, seed=0)
    together = fold(source, germanium, path, SETTINGS, background=background)
    with pytest.raises(InputError, match="turned with several runs together"):
        together.only_runs([runs[0].number])


def test_background_errors_equal_the_scatter_of_repeated_experiments(germanium: Crystal, path: QPath) -> None:
    """The same background event stands behind several runs; a variance that forgot it would be too small."""
    runs = tuple(
        replace(run, goniometer=axis_rotation([0, 1, 0], 0.5 * k)) for k, run in enumerate(make_runs(germanium, 4))
    )
    data = constant_scattering(runs, detectors(), 3000.0, seed=1)
    values, variances = [], []
    plain = fold(data, germanium, path, SETTINGS).intensity()
    for seed in range(16):
        can = (replace(runs[0], number=99, proton_charge=2.0),)
        background = constant_scattering(can, detectors(), 2000.0, seed=100 + seed)
        result = fold(data, germanium, path, SETTINGS, background=background).intensity()
        values.append(plain.intensity - result.intensity)
        variances.append(result.sigma**2 - plain.sigma**2)
    expected = np.mean(variances, axis=0)
    level = np.mean(values, axis=0)
    good = np.isfinite(expected) & (level**2 > 9 * expected)
    assert good.sum() > 50
    ratio = np.var(values, axis=0, ddof=1)[good] / expected[good]
    assert ratio.mean() == pytest.approx(1.0, abs=0.15)


def with_spurion(source: EventSource, binning: Binning, n: int) -> EventSource:
    """Add n counts of one run and energy at one place in one bin, as a hot pixel or a Bragg tail would."""
    [chunk] = source.chunks(10**9)
    pick = np.flatnonzero((np.abs(chunk.energy - 12.0) < 1.0) & (chunk.run == 3))
    to_fraction = find_setting(binning.bins.crystal, source.runs[3].ub).from_sample(source.runs[3].ub)
    counts, _, _ = find_bins_of(binning.lookup, chunk.q_sample[pick] @ to_fraction.T)
    place = pick[np.flatnonzero(counts == 1)[0]]
    return events_from_arrays(
        np.concatenate([chunk.q_sample, np.repeat(chunk.q_sample[place][None], n, axis=0)]),
        np.concatenate([chunk.energy, np.full(n, chunk.energy[place])]),
        np.ones(len(chunk) + n),
        np.ones(len(chunk) + n),
        run=np.concatenate([chunk.run, np.full(n, chunk.run[place])]),
        detector=np.concatenate([chunk.detector, np.full(n, chunk.detector[place])]),
        runs=source.runs,
        detectors=source.detectors,
    )


def test_a_spurion_in_one_zone_class_does_not_reach_the_intensity(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    binning = make_binning(source, germanium, path, SETTINGS)
    spoiled = fold(with_spurion(source, binning, 3000), germanium, path, SETTINGS)
    assert np.nanmax(np.abs(spoiled.intensity().intensity - folded.intensity().intensity)) > 1000
    rejected = reject_outliers(spoiled)
    assert len(rejected.table) == 1
    assert "counts near" in rejected.table[0].reason
    left = spoiled.intensity(spoiled.select(rejected=rejected.mask))
    same = folded.intensity(folded.select(rejected=rejected.mask))
    np.testing.assert_allclose(left.intensity, same.intensity, atol=1e-9)
    assert np.isfinite(left.intensity).sum() > 0.9 * np.isfinite(folded.intensity().intensity).sum()


def test_nothing_is_rejected_where_nothing_is_wrong(folded: Folded) -> None:
    rejected = reject_outliers(folded, contrast=1.5)
    assert not rejected.mask.any()
    assert rejected.n_tests > 1000
    assert rejected.table == ()


def test_a_spurion_in_a_grid_is_found_and_nothing_else(source: EventSource, germanium: Crystal) -> None:
    binning = make_binning(source, germanium, 8, SETTINGS)
    assert reject_outliers(fold(source, germanium, 8, SETTINGS), contrast=1.5).table == ()
    spoiled = fold(with_spurion(source, binning, 3000), germanium, 8, SETTINGS)
    rejected = reject_outliers(spoiled)
    assert len(rejected.table) == 1
    assert rejected.table[0].counts > 2900
    assert rejected.mask.sum() == 1
    kept, judged = select_cells(spoiled)
    assert judged is not None
    np.testing.assert_array_equal(judged.mask, rejected.mask)
    assert spoiled.cells.counts[kept].max() < 3000


def test_what_goes_on_in_q_is_no_spurion_in_a_grid(source: EventSource, germanium: Crystal) -> None:
    """A class that is bright in all its cells, as one whose structure factor is large, is kept."""
    folded = fold(source, germanium, 8, SETTINGS)
    cells = folded.cells
    brightest = np.bincount(cells.row, cells.counts).argmax()
    size = folded.shape[1] * folded.shape[2]

    def brighter(run: FoldedRun) -> FoldedRun:
        factor = np.where(run.data_cells // size == brightest, 30.0, 1.0)
        return replace(run, signal=factor * run.signal, counts=factor * run.counts)

    bright = replace(folded, runs=tuple(brighter(run) for run in folded.runs))
    some = bright.cells.row == brightest
    assert bright.cells.counts[some].sum() > 20 * cells.counts[some].sum()
    rejected = reject_outliers(bright)
    # At the edge of what was measured of it, it goes on nowhere.
    covered = len(np.unique(cells.bin[(cells.row == brightest) & (cells.exposure > 0)]))
    assert covered > 10
    assert rejected.mask.sum() < covered / 5


def test_a_bose_correction_while_folding_equals_one_of_the_result(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded
) -> None:
    settings = replace(SETTINGS, bose="Chi", temperature=120.0)
    corrected = fold(source, germanium, path, settings)
    one, other = corrected.intensity(), correct_bose(folded.intensity(), GRID, 120.0, "Chi")
    np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-12)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=1e-12)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert corrected.bose_applied == "Chi"
    # Counts stay Poisson with mean I times exposure in counts.
    expected = np.nansum(one.intensity * one.exposure_in_counts)
    assert expected == pytest.approx(one.counts.sum(), rel=0.02)
    with pytest.raises(InputError, match="no temperature"):
        fold(source, germanium, path, replace(SETTINGS, bose="Chi"))
    with pytest.raises(InputError, match="twice"):
        fold(source, germanium, path, replace(settings, bose_applied="Chi"))
    with pytest.raises(InputError, match="other corrections"):
        corrected.merge(folded)
