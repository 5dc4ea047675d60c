"""What runs are expected to say agrees with virtual experiments and with the symmetry of the crystal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from fcinv_core.crystal import read_structure
from fcinv_core.events import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.instrument import find_instrument, resolution
from fcinv_core.planning.candidates import (
    Candidate,
    Geometry,
    energy_grid,
    planned_measurements,
    side_by_side,
)
from fcinv_core.planning.information import information_of_runs
from fcinv_core.planning.knowledge import Knowledge
from fcinv_core.planning.plan import together
from fcinv_core.planning.wanted import all_force_constants, dispersion
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.measurement import Measurement, data_of_folded
from fcinv_core.shipped import virtual_experiment
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

INCIDENT = 60.0


def measured(known: Knowledge, geometry: Geometry, angles: list[float]) -> tuple[Measurement, ...]:
    width = resolution(find_instrument("ARCS"), INCIDENT)
    return planned_measurements(
        known.crystal,
        standard_path(known.crystal, 16),
        (0.2, 0.2),
        geometry,
        [Candidate(INCIDENT, angle) for angle in angles],
        energy_grid(INCIDENT, width, 40.0),
        width,
        20.0,
    )


def test_runs_that_symmetry_makes_equal_say_the_same(known: Knowledge, geometry: Geometry) -> None:
    lengths = natural_scattering_lengths(known.crystal)
    runs = information_of_runs(
        measured(known, geometry, [10.0, 33.0, 100.0]), known.prior, lengths, known.draws, 0.2
    )
    # Boxes of the fold are not symmetric about the path, so that equal runs fill them in slightly other ways.
    np.testing.assert_allclose(runs.counts[:, 2], runs.counts[:, 0], rtol=0.01)
    start, information = together(known.precision, [runs])
    for wanted in (dispersion(known.prior, known.draws), all_force_constants(known.prior)):
        before = wanted.error(np.repeat(start[None], 2, axis=0))
        first, other, equal = np.log([wanted.error(start + information[:, k] * 1e-3) / before for k in range(3)])
        assert equal == pytest.approx(first, rel=0.02)
        assert other != pytest.approx(first, rel=0.05)


def test_information_grows_with_counts_and_is_that_of_the_runs_of_any_batch(
    known: Knowledge, geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = natural_scattering_lengths(known.crystal)
    data = measured(known, geometry, [0.0, 15.0, 40.0])
    together = information_of_runs(data, known.prior, lengths, known.draws, 0.2)
    monkeypatch.setattr("fcinv_core.planning.information._BATCH", 1)
    apart = information_of_runs(data, known.prior, lengths, known.draws, 0.2)
    np.testing.assert_allclose(apart.counts, together.counts, rtol=1e-6)
    np.testing.assert_allclose(apart.matrices, together.matrices, atol=1e-6 * np.abs(together.matrices).max())
    twice = together.scaled(np.array([2.0, 3.0]))
    np.testing.assert_allclose(twice.matrices[1], 3 * together.matrices[1])


def test_runs_side_by_side_keep_their_cells(known: Knowledge, geometry: Geometry) -> None:
    one, other = measured(known, geometry, [0.0, 20.0])
    both = side_by_side([one, other])
    n_bins, k = len(one.q), len(one.counts)
    np.testing.assert_array_equal(both.bin[:k], one.bin)
    np.testing.assert_array_equal(both.bin[k:], other.bin + n_bins)
    np.testing.assert_array_equal(both.cut_start[-1], len(both.counts))
    np.testing.assert_allclose(both.summed(both.exposure)[n_bins:], other.summed(other.exposure))
    np.testing.assert_allclose(both.node_q[n_bins:], other.node_q)


def test_expected_counts_are_those_of_the_virtual_experiment() -> None:
    folder = virtual_experiment()
    crystal = read_structure(folder / "POSCAR")
    truth = read_force_constants(folder / "phonopy_params_truth.yaml.xz", crystal)
    prior = prior_from_members([truth], spread=0.1)
    source = open_events([folder / "ge_small.nxs"])
    path, width, bins = standard_path(crystal, 31), resolution(find_instrument("ARCS"), 45.0), energy_bins(source)
    folded = fold(source, crystal, path, FoldSettings(bins))
    candidates, found = [], []
    for run in source.runs[::4]:
        alone = folded.only_runs([run.number])
        found.append(data_of_folded(alone, alone.cells.exposure > 0, width).counts.sum())
        psi = np.degrees(np.arctan2(run.goniometer[0, 2], run.goniometer[0, 0]))
        candidates.append(Candidate(run.incident_energy, float(psi)))
    geometry = Geometry(source.detectors[0], source.runs[0].ub)
    planned = planned_measurements(crystal, path, (0.1, 0.1), geometry, candidates, bins, width, 10.0)
    lengths = natural_scattering_lengths(crystal)
    expected = information_of_runs(planned, prior, lengths, prior.mean[None], 0.15).counts[0]
    counts = np.array(found)
    scaled = expected * counts.sum() / expected.sum()
    assert ((counts - scaled) ** 2 / scaled).sum() < chi2.ppf(0.999, len(counts) - 1)
    assert np.ptp(scaled) > 3 * np.sqrt(scaled.mean())


def test_the_counts_of_a_measurement_do_not_matter(known: Knowledge, geometry: Geometry) -> None:
    lengths = natural_scattering_lengths(known.crystal)
    data = measured(known, geometry, [0.0])
    counted = tuple(replace(one, counts=np.full(len(one.counts), 7.0)) for one in data)
    first, second = (
        information_of_runs(one, known.prior, lengths, known.draws[:1], 0.2) for one in (data, counted)
    )
    np.testing.assert_allclose(second.matrices, first.matrices, atol=1e-6 * np.abs(first.matrices).max())
