"""Runs inverted alone: which answers there are, what they are compared with, and how they are written."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.folding.folded import Folded
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, invert, refinable
from fcinv_core.inversion.per_run import PerRun, invert_per_run, rotation_angle
from fcinv_core.inversion.per_run_content import per_run_content, per_run_table
from fcinv_core.inversion.refining import refine_measurement
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.report.per_run_section import per_run_section
from tests.inversion.standin import StandInModel, all_of, measurement, prior
from tests.inversion.test_zone import over_the_zone

SETTINGS = InversionSettings(method="fit", amplitudes="unit", n_draws=20)
ANGLES = (0.0, 20.0, 50.0)


def turned(degrees: float) -> np.ndarray:
    """Goniometer turned about the vertical axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def three_runs(whole: Folded | None = None) -> Folded:
    """The counts of one run shared out among three."""
    whole = measurement() if whole is None else whole
    run = whole.runs[0]
    rng = np.random.default_rng(2)
    shares = rng.multinomial(run.counts.astype(int), [1 / 3] * 3).T.astype(float)
    runs = tuple(
        replace(
            run,
            number=number,
            goniometer=turned(10 + angle),
            data_cells=run.data_cells[counts > 0],
            signal=counts[counts > 0],
            variance=counts[counts > 0],
            counts=counts[counts > 0],
            exposure=run.exposure / 3,
        )
        for number, angle, counts in zip((11, 12, 13), ANGLES, shares, strict=True)
    )
    return replace(whole, runs=runs)


@pytest.fixture(scope="module")
def everything() -> Inversion:
    folded = three_runs()
    return invert(folded, all_of(folded), StandInModel(), SETTINGS)


@pytest.fixture(scope="module")
def per_run(everything: Inversion) -> PerRun:
    return invert_per_run(everything, StandInModel(), SETTINGS)


def test_each_run_and_the_first_ones_together_are_answered(everything: Inversion, per_run: PerRun) -> None:
    assert [one.runs for one in per_run.single] == [(11,), (12,), (13,)]
    assert [one.runs for one in per_run.running] == [(11,), (11, 12), (11, 12, 13)]
    np.testing.assert_allclose([one.angle for one in per_run.single], ANGLES, atol=1e-9)
    assert per_run.running[0] is per_run.single[0]
    np.testing.assert_array_equal(per_run.running[-1].values, everything.values)
    assert per_run.running[-1].error == 0
    assert all(not one.failure and one.amplitudes == "unit" for one in per_run.single)


def test_errors_are_those_that_posteriors_expect_and_fall(per_run: PerRun) -> None:
    for one in per_run.single:
        assert 0 < one.error < 3 * one.expected_error
    expected = [one.expected_error for one in per_run.running]
    assert expected == sorted(expected, reverse=True)


def test_threads_change_nothing(everything: Inversion, per_run: PerRun) -> None:
    other = invert_per_run(everything, StandInModel(), SETTINGS, threads=2)
    for one, same in zip(per_run.single, other.single, strict=True):
        np.testing.assert_array_equal(one.values, same.values)


def test_runs_are_refined_over_the_zone_where_all_of_them_were(per_run: PerRun) -> None:
    folded, zone, window = three_runs(), three_runs(over_the_zone(48)), (-2.0, 38.0)
    whole = invert(folded, all_of(folded), StandInModel(), SETTINGS, zone=(zone, zone.select(window=window)))
    found = invert_per_run(whole, StandInModel(), SETTINGS)
    for one, along_path in zip(found.single, per_run.single, strict=True):
        # Forty-eight points all over the zone hold more counts than twenty-four along lines, and say more.
        assert one.counts > 1.5 * along_path.counts
        assert one.expected_error < along_path.expected_error
    assert found.running[-1].counts == sum(one.counts for one in found.single)
    alone = zone.only_runs([12])
    data = refinable(alone, alone.select(window=window), SETTINGS)
    again = refine_measurement(data, prior(), None, "unit", RefineSettings(n_draws=0))
    np.testing.assert_array_equal(found.single[1].values, again.values)


def test_a_run_that_cannot_be_inverted_does_not_stop_the_others(everything: Inversion) -> None:
    folded = everything.folded
    dark = replace(
        folded.runs[1],
        exposure_cells=folded.runs[1].exposure_cells[:0],
        exposure=np.zeros(0),
        offset=np.zeros((0, 3), np.float32),
        square=np.zeros((0, 6), np.float32),
        data_cells=np.zeros(0, np.int64),
        signal=np.zeros(0),
        variance=np.zeros(0),
        counts=np.zeros(0),
    )
    changed = replace(everything, folded=replace(folded, runs=(folded.runs[0], dark, folded.runs[2])))
    found = invert_per_run(changed, StandInModel(), SETTINGS)
    assert [bool(one.failure) for one in found.single] == [False, True, False]
    assert np.isnan(found.single[1].values).all()
    assert "could not be inverted alone" in "".join(per_run_section(found, everything.prior.labels))


def test_table_and_content_hold_every_force_constant(everything: Inversion, per_run: PerRun) -> None:
    labels = everything.prior.labels
    rows = list(csv.DictReader(io.StringIO(per_run_table(per_run, labels))))
    assert [row["run"] for row in rows] == ["11", "12", "13"]
    for row, one in zip(rows, per_run.single, strict=True):
        read = [float(row[f"{label} value (eV/Å²)"]) for label in labels]
        np.testing.assert_allclose(read, one.values, rtol=1e-5, atol=1e-12)
    content = json.loads(json.dumps(per_run_content(per_run)))
    np.testing.assert_array_equal(content["running"][1]["values_ev_per_square_angstrom"], per_run.running[1].values)


def test_one_run_is_refused(everything: Inversion) -> None:
    alone = replace(everything, folded=everything.folded.only_runs([12]))
    with pytest.raises(InputError, match="one run"):
        invert_per_run(alone, StandInModel(), SETTINGS)


@pytest.mark.parametrize("degrees", [-170.0, -1.0, 0.0, 30.0, 179.0])
def test_the_angle_is_that_of_the_turn(degrees: float) -> None:
    assert rotation_angle(turned(25), turned(25 + degrees)) == pytest.approx(degrees, abs=1e-6)
