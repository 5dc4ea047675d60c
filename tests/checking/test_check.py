"""Faults that were put into a measurement are found within their stated uncertainty, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fcinv_core.checking import Check, Status, check_events, write_check
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.errors import InputError
from fcinv_core.events import EventSource, events_from_arrays, open_events
from tests.checking.virtual import FWHM, LATTICE, UB, Faults, detector_bank, measure, rocksalt, whole


@cache
def clean() -> Check:
    return check_events(measure(), rocksalt())


def test_clean_data_raise_no_flag() -> None:
    check = clean()
    assert {one.name: one.status for one in check.findings} == {
        "orientation": Status.OK,
        "elastic line": Status.OK,
        "powder lines": Status.OK,
        "Bragg tails": Status.OK,
        "symmetry": Status.OK,
        "coverage": Status.OK,
        "consistency": Status.OK,
    }
    assert check.peaks is not None
    assert check.peaks.indexed.all()
    assert check.misfit is not None
    assert check.misfit.angle < 3.5 * check.misfit.angle_error
    assert check.misfit.angle_error < 0.1
    assert abs(check.misfit.scale) < 3.5 * check.misfit.scale_error
    assert check.agreement is not None
    assert check.agreement.chi2_per_freedom == pytest.approx(1.0, abs=0.15)


def test_width_and_centre_of_the_elastic_line_are_those_that_were_drawn() -> None:
    line = clean().elastic_line.whole
    assert line is not None
    assert abs(line.centre) < 4 * line.centre_error
    assert abs(line.fwhm - FWHM) < 4 * line.fwhm_error
    assert line.centre_error < 0.01


def test_misorientation_and_lattice_are_found_and_mended_by_the_refined_ub() -> None:
    rotation = np.array([0.2, 0.3, -0.17])
    rotation *= 0.4 / np.linalg.norm(rotation)
    check = check_events(measure(Faults(rotation=tuple(rotation), scale=0.005)), rocksalt())
    misfit = check.misfit
    assert misfit is not None
    assert misfit.angle == pytest.approx(0.4, abs=4 * misfit.angle_error)
    assert misfit.angle_error < 0.1
    np.testing.assert_array_less(np.abs(misfit.rotation - rotation), 4 * misfit.rotation_errors)
    assert misfit.scale == pytest.approx(0.005, abs=4 * misfit.scale_error)
    assert misfit.scale_error < 0.001
    finding = check.finding("orientation")
    assert finding.status is Status.LOOK
    assert finding.numbers["refined_cell_angstrom"][0] == pytest.approx(LATTICE / 1.005, rel=0.002)
    assert finding.numbers["displacement_at_largest_q_per_angstrom"] == pytest.approx(
        np.hypot(np.radians(0.4), 0.005) * finding.numbers["largest_q_per_angstrom"], rel=0.3
    )
    truth = Rotation.from_rotvec(rotation, degrees=True).as_matrix() @ UB
    left = Rotation.from_matrix(np.array(finding.numbers["refined_ub_per_angstrom"]) @ np.linalg.inv(truth))
    assert np.degrees(left.magnitude()) < 0.12


def test_energy_offset_and_aluminium_rings_are_found_together() -> None:
    rings = tuple(2 * np.pi / d for d in (2.338, 2.025, 1.432, 1.221))
    check = check_events(measure(Faults(offset=0.3, rings=rings)), rocksalt())
    line = check.elastic_line.whole
    assert line is not None
    assert line.centre == pytest.approx(0.3, abs=4 * line.centre_error)
    assert check.finding("elastic line").status is Status.LOOK
    # Final energy of 35 meV over 4 m: t = L sqrt(m / 2E), dt = t dE / 2E.
    expected = 4.0 / 437.393 / np.sqrt(35) * 0.3 / 70 * 1e6
    assert check.elastic_line.time_offset_us == pytest.approx(expected, rel=0.03)
    assert check.pattern is not None
    assert [line.name for line in check.pattern.lines] == ["Al 111", "Al 200", "Al 220", "Al 311"]
    for ring, found in zip(rings, check.pattern.lines, strict=True):
        assert found.q == pytest.approx(ring, abs=max(4 * found.q_error, 0.006))
        assert found.mask[0] < ring - 0.03
        assert ring + 0.03 < found.mask[1]
    assert check.finding("powder lines").status is Status.LOOK
    # The orientation does not suffer: rings are even, and Q of the peaks is taken at zero energy.
    assert check.finding("orientation").status is Status.OK


def test_broken_symmetry_is_bad_and_names_the_worst_pair() -> None:
    check = check_events(measure(Faults(tetragonal=True)), rocksalt())
    finding = check.finding("symmetry")
    assert finding.status is Status.BAD
    first, second = np.array(finding.numbers["worst_pair"]["hkl"])
    assert sorted(np.abs(first).round(6)) == sorted(np.abs(second).round(6))
    assert finding.numbers["worst_pair"]["standard_deviations"] > 5
    assert check.finding("orientation").status is Status.OK


@pytest.mark.slow
def test_ub_matrix_of_another_orientation_is_bad() -> None:
    source = measure(n_runs=20)
    turned = Rotation.from_euler("xyz", [20, 11, 7], degrees=True).as_matrix() @ UB
    finding = check_events(_with_ub(source, turned), rocksalt()).finding("orientation")
    assert finding.status is Status.BAD
    assert finding.numbers["share_indexed"] < 0.5
    assert "index the crystal again" in finding.sentence


def test_ub_matrix_of_another_crystal_is_a_finding_and_not_an_end() -> None:
    source = measure(n_runs=10)
    check = check_events(_with_ub(source, UB / 1.2), rocksalt())
    assert check.finding("orientation").status is Status.BAD
    assert "another crystal" in check.finding("orientation").sentence
    assert check.finding("elastic line").status is Status.OK
    assert check.agreement is None
    assert check.status is Status.BAD


def test_turned_and_weak_runs_are_named() -> None:
    check = check_events(measure(Faults(turned_runs={25: 0.6}, weak_runs=(7,))), rocksalt())
    turned = check.turns
    assert turned is not None
    known = np.isfinite(turned.angle)
    assert known.sum() > 2
    assert np.flatnonzero(known)[turned.angle[known].argmax()] == 25
    assert turned.angle[25] == pytest.approx(0.6, abs=3 * turned.error[25])
    assert 0 < turned.error[25] < 0.3
    others = known & (np.arange(len(known)) != 25)
    np.testing.assert_array_less(np.abs(turned.angle[others]), 3.5 * turned.error[others])
    finding = check.finding("coverage")
    assert finding.status is Status.LOOK
    assert "run 707" in finding.sentence


def test_events_that_contradict_their_detectors_are_bad() -> None:
    source = measure(n_runs=3)
    chunk = whole(source)
    wrong = events_from_arrays(
        chunk.q_sample @ Rotation.from_euler("y", 3, degrees=True).as_matrix(),
        chunk.energy,
        chunk.signal,
        chunk.error_squared,
        run=chunk.run,
        detector=chunk.detector,
        runs=source.runs,
        detectors=source.detectors,
    )
    assert check_events(wrong, rocksalt()).finding("consistency").status is Status.BAD


def test_chunks_change_nothing() -> None:
    source = measure(n_runs=6)
    small = replace(source, reader=lambda size: source.reader(7777))
    one, other = (check_events(events, rocksalt()) for events in (source, small))
    np.testing.assert_allclose(one.coverage.signal, other.coverage.signal)
    assert one.elastic_line.whole is not None
    assert other.elastic_line.whole is not None
    assert one.elastic_line.whole.centre == pytest.approx(other.elastic_line.whole.centre, abs=1e-9)
    assert one.finding("orientation").sentence == other.finding("orientation").sentence


def test_data_without_elastic_line_are_looked_at_as_far_as_they_go() -> None:
    source = measure(n_runs=3)
    chunk = whole(source)
    use = chunk.energy > 3
    runs = [replace(run, energy_limits=(3.0, 28.0)) for run in source.runs]
    cut = events_from_arrays(
        chunk.q_sample[use],
        chunk.energy[use],
        chunk.signal[use],
        chunk.error_squared[use],
        run=chunk.run[use],
        detector=chunk.detector[use],
        runs=runs,
        detectors=source.detectors,
    )
    check = check_events(cut, rocksalt())
    assert check.finding("elastic line").status is Status.LOOK
    assert check.peaks is None
    assert check.coverage.n_events == use.sum()


def test_lean_events_are_refused_with_a_sentence() -> None:
    chunk = whole(measure(n_runs=2))
    bank = detector_bank()
    run = measure(n_runs=1).runs[0]
    ones = np.ones(len(chunk))
    lean = events_from_arrays(chunk.q_sample, chunk.energy, ones, ones, runs=[run], detectors=bank)
    with pytest.raises(InputError, match="do not know their run and detector"):
        check_events(lean, rocksalt())


def test_page_and_numbers_are_written_whole(tmp_path: Path) -> None:
    picture, numbers = write_check(clean(), tmp_path / "out", {"command": "test"})
    assert picture.read_bytes().startswith(b"\x89PNG")
    content = json.loads(numbers.read_text(encoding="utf-8"))
    assert content["status"] == "ok"
    assert content["checks"]["elastic line"]["centre_mev"] == pytest.approx(0, abs=0.02)
    assert content["provenance"] == {"command": "test"}


def _with_ub(source: EventSource, ub: np.ndarray) -> EventSource:
    return replace(source, runs=tuple(replace(run, ub=ub) for run in source.runs))


def _part(source: EventSource, runs: list[int], energies: tuple[float, float] = (-np.inf, np.inf)) -> EventSource:
    """Some runs of a source."""
    chunk = whole(source)
    use = np.isin(chunk.run, runs) & (chunk.energy > energies[0]) & (chunk.energy < energies[1])
    return events_from_arrays(
        chunk.q_sample[use],
        chunk.energy[use],
        chunk.signal[use],
        chunk.error_squared[use],
        run=np.searchsorted(runs, chunk.run[use]),
        detector=chunk.detector[use],
        runs=[source.runs[k] for k in runs],
        detectors=[source.detectors[k] for k in runs],
    )


def test_twin_passes(shared_data: Path) -> None:
    source = open_events(shared_data / "twin" / "ge_arcs_twin.nxs")
    crystal = read_structure(shared_data / "ge_dft" / "POSCAR")
    check = check_events(_part(source, list(range(0, 120, 6))), crystal)
    assert check.status is not Status.BAD
    line = check.elastic_line.whole
    assert line is not None
    assert abs(line.centre) < 0.03
    assert line.fwhm == pytest.approx(0.99, abs=0.05)  # 0.15 + 0.84 meV were put in
    assert check.finding("elastic line").status is Status.OK
    assert check.finding("powder lines").status is Status.OK
    assert check.finding("coverage").status is Status.OK


@pytest.mark.slow
def test_whole_twin_raises_no_flag(shared_data: Path) -> None:
    source = open_events(shared_data / "twin" / "ge_arcs_twin.nxs")
    check = check_events(source, read_structure(shared_data / "ge_dft" / "POSCAR"))
    assert [one.name for one in check.findings if one.status is not Status.OK] == []


def test_hyspec_elastic_line_and_can_are_found_and_its_ub_is_not_that_of_its_crystal(shared_data: Path) -> None:
    source = open_events(shared_data / "measured" / "hyspec_mno_25meV_5K.nxs")
    oxide = 4.445
    cell = oxide / 2 * (np.ones((3, 3)) - np.eye(3))
    check = check_events(source, Crystal.from_cell(cell, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Mn", "O"]))
    line = check.elastic_line.whole
    assert line is not None
    assert line.centre == pytest.approx(0.45, abs=0.1)
    assert check.finding("elastic line").status is Status.LOOK
    assert check.pattern is not None
    assert {"Al 111", "Al 200"} <= {one.name for one in check.pattern.lines}
    assert check.finding("orientation").status is Status.BAD
    # (1/2 1/2 1/2) of MnO, its strongest magnetic peak, is the strongest in the data.
    assert check.peaks is not None
    expected = np.sqrt(3) * np.pi / oxide
    assert np.linalg.norm(check.peaks.position[0]) == pytest.approx(expected, rel=0.02)


def test_hexagonal_lattice_reads_fractions_right() -> None:
    """Regions of a skewed basis are mapped onto each other exactly."""
    from fcinv_core.checking.equivalence import RegionSums
    from fcinv_core.folding.orientation import laue_operations

    crystal = Crystal.from_cell(
        [[3.2, 0, 0], [-1.6, 1.6 * np.sqrt(3), 0], [0, 0, 5.2]],
        [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]],
        ["Mg"] * 2,
    )
    to_fraction = np.linalg.inv(crystal.reciprocal_lattice.T)
    regions = RegionSums(crystal, to_fraction, 6.0, 0.0, 8.0)
    rng = np.random.default_rng(5)
    q = rng.normal(size=(4000, 3))
    energy = np.full(len(q), 4.1)
    for operation in laue_operations(crystal):
        image = q @ to_fraction.T @ operation.T @ np.linalg.inv(to_fraction).T
        np.testing.assert_allclose(np.linalg.norm(image, axis=1), np.linalg.norm(q, axis=1))
        np.testing.assert_array_equal(regions.cells(q, energy)[0], regions.cells(image, energy)[0])
