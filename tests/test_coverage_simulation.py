"""What force constants would give where a measurement looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.coverage_simulation import coherent_on_coverage, coverage_histogram, measured_temperature
from fcinv_core.crystal import Crystal, FloatArray, read_structure
from fcinv_core.errors import InputError
from fcinv_core.folding.bose import bose_factor
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.nexus import read_mdhisto, write_mdhisto
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import virtual_experiment
from fcinv_core.spectrum import Resolution
from fcinv_core.structure_factor.debye_waller import thermal_displacements
from fcinv_core.virtual_experiment.sample import make_sample
from tests.folding.measurement import GRID, INCIDENT, constant_scattering, detectors, make_runs

#: Wide against the bins, so that a line's height in the middle of a bin is its mean over it.
WIDE = Resolution((12.0,))
#: So warm that lines of energy gain, on the other side of zero, reach the bins.
TEMPERATURE = 100.0


@pytest.fixture(scope="module")
def truth() -> ForceConstants:
    files = virtual_experiment()
    return read_force_constants(files / "phonopy_params_truth.yaml.xz", read_structure(files / "POSCAR"))


@pytest.fixture(scope="module")
def folded(truth: ForceConstants) -> Folded:
    runs = tuple(replace(run, temperature=TEMPERATURE) for run in make_runs(truth.crystal, 2))
    source = constant_scattering(runs, detectors(30, 8), 20.0, seed=0)
    return fold(source, truth.crystal, standard_path(truth.crystal, 20), FoldSettings(GRID, widths=(0.25, 0.25)))


def plainly(folded: Folded, truth: ForceConstants) -> FloatArray:
    """The same sum, cell by cell, with the scattering that virtual experiments are made of."""
    sample = make_sample(truth, TEMPERATURE, 8.0)
    sample = replace(sample, displacements=thermal_displacements(truth, TEMPERATURE))
    cells, crystal = folded.cells, truth.crystal
    total, weighted = np.zeros(folded.shape[1:]), np.zeros(folded.shape[1:])
    for k in range(len(cells.cell)):
        if cells.exposure[k] <= 0:
            continue
        bin_of = int(cells.bin[k])
        cartesian = (folded.zones[cells.row[k]] + folded.bins.q[bin_of]) @ crystal.reciprocal_lattice
        for axis in range(3):
            cartesian = cartesian + cells.offset[k, axis] * folded.bins.axes[bin_of, axis]
        q = np.linalg.solve(crystal.reciprocal_lattice.T, cartesian)
        energy = folded.grid.centres[cells.energy[k]]
        value = sample.coherent(q[None], np.array([energy]), WIDE)[0]
        total[bin_of, cells.energy[k]] += cells.exposure[k]
        weighted[bin_of, cells.energy[k]] += cells.exposure[k] * value
    with np.errstate(invalid="ignore"):
        return np.asarray(weighted / total)


def test_it_is_the_sum_over_zones_of_scattering_at_their_full_wavevectors(
    folded: Folded, truth: ForceConstants
) -> None:
    found = coherent_on_coverage(folded, truth, TEMPERATURE, WIDE)
    expected = plainly(folded, truth)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.isnan(found).any()
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.01 * np.nanmax(expected))


def test_it_holds_the_factors_that_the_signals_hold(folded: Folded, truth: ForceConstants) -> None:
    plain = coherent_on_coverage(folded, truth, TEMPERATURE, WIDE)
    energies = folded.grid.centres
    without = coherent_on_coverage(replace(folded, kikf_applied=False), truth, TEMPERATURE, WIDE)
    np.testing.assert_allclose(without, plain * np.sqrt((INCIDENT - energies) / INCIDENT), rtol=1e-9)
    susceptibility = coherent_on_coverage(replace(folded, bose_applied="Chi"), truth, TEMPERATURE, WIDE)
    np.testing.assert_allclose(susceptibility, plain * bose_factor(energies, TEMPERATURE, "Chi"), rtol=1e-9)


def test_only_kept_cells_count_and_progress_ends_at_all(folded: Folded, truth: ForceConstants) -> None:
    keep = folded.select(window=(10.0, 20.0))
    told: list[tuple[int, int]] = []
    found = coherent_on_coverage(
        folded, truth, TEMPERATURE, WIDE, keep=keep, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (keep.sum(), keep.sum())
    outside = ~folded.grid_bins(window=(10.0, 20.0))
    assert np.isnan(found[:, outside]).all()
    assert np.isfinite(found[:, ~outside]).any()


def test_another_crystal_is_refused(folded: Folded, truth: ForceConstants) -> None:
    silicon = Crystal.from_cell(truth.crystal.lattice * 0.96, truth.crystal.positions, ("Si", "Si"))
    with pytest.raises(InputError, match="the measurement is of Ge"):
        coherent_on_coverage(folded, replace(truth, crystal=silicon), TEMPERATURE, WIDE)


def test_temperature_is_that_of_the_runs(folded: Folded) -> None:
    assert measured_temperature(folded) == TEMPERATURE
    unknown = replace(folded, runs=(replace(folded.runs[0], temperature=None), *folded.runs[1:]))
    with pytest.raises(InputError, match="the temperature of the sample is not known"):
        measured_temperature(unknown)


def test_its_histogram_has_the_axes_of_the_measurement(
    folded: Folded, truth: ForceConstants, tmp_path: Path
) -> None:
    found = coherent_on_coverage(folded, truth, TEMPERATURE, WIDE)
    histo = coverage_histogram(folded, found, truth, TEMPERATURE, WIDE)
    write_mdhisto(tmp_path / "a.nxs", histo, truth.crystal)
    read = read_mdhisto(tmp_path / "a.nxs")
    np.testing.assert_array_equal(read.signal, found)
    assert read.content["temperature_k"] == TEMPERATURE
    assert [dimension.id for dimension in read.dimensions] == ["path", "DeltaE"]
