"""Folding of histograms: voxels that are their own coverage."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.cli import fold as fold_command
from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.events import events_from_arrays, join_sources, open_events
from fcinv_core.events.experiment import NO_DETECTORS, stated_run
from fcinv_core.events.source import NORMALISED, EventSource
from fcinv_core.folding.binning import Bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.folded_file import read_folded
from fcinv_core.qpath import QPath, standard_path
from fcinv_core.spectrum import SpectralGrid
from tests.crystals import crystal
from tests.folding.measurement import constant_scattering, detectors, make_runs, orientation

INCIDENT = 100.0
#: Odd numbers, so that no centre lies on the boundary of a bin.
EDGES = (
    np.linspace(0.117, 3.391, 17),
    np.linspace(-1.283, 1.371, 14),
    np.linspace(-0.213, 0.571, 6),
    np.linspace(4.0, 20.0, 9),
)
AXES = (("[H,0,0]", "HKL"), ("[0,K,0]", "HKL"), ("[0,0,L]", "HKL"), ("DeltaE", "DeltaE"))
GRID = SpectralGrid(4.0, 20.0, 4)
SETTINGS = FoldSettings(GRID, widths=(0.4, 0.3), threads=1)


@pytest.fixture(scope="module")
def germanium() -> Crystal:
    return crystal("Ge")


@pytest.fixture(scope="module")
def path(germanium: Crystal) -> QPath:
    return standard_path(germanium, 16)


def centres(edges: tuple[FloatArray, ...] = EDGES) -> FloatArray:
    """Centres of the voxels, (h, k, l, energy, 4)."""
    middles = [(one[1:] + one[:-1]) / 2 for one in edges]
    return np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)


def scattering() -> FloatArray:
    """A smooth S(Q, E) without symmetry, at the centres."""
    h, k, vertical, energy = np.moveaxis(centres(), -1, 0)
    return np.asarray(
        2 + np.sin(1.3 * h + 0.2) * np.cos(0.9 * k) + 0.3 * vertical + np.exp(-(((energy - 9) / 3) ** 2))
    )


def write(
    file: Path,
    signal: FloatArray,
    variance: FloatArray | None = None,
    edges: tuple[FloatArray, ...] = EDGES,
    axes: tuple[tuple[str, str], ...] = AXES,
) -> Path:
    """Write an MDHisto file as SaveMD does: arrays (h, k, l, energy), the slowest axis first."""
    with h5py.File(file, "w") as stream:
        entry = stream.create_group("MDHistoWorkspace")
        entry.attrs["QConvention"] = np.bytes_("Inelastic")
        entry["coordinate_system"] = np.array([3 if axes[0][1] == "HKL" else 2], dtype=np.uint32)
        data = entry.create_group("data")
        ids = ["Q1", "Q2", "Q3", "DeltaE"]
        data["signal"] = signal.T
        data["signal"].attrs["axes"] = np.bytes_(":".join(ids[::-1]))
        data["errors_squared"] = (0.01 * np.abs(signal) if variance is None else variance).T
        data["num_events"] = np.ones(signal.T.shape)
        data["mask"] = np.zeros(signal.T.shape, dtype=np.int8)
        for one, (name, frame), edge in zip(ids, axes, edges, strict=True):
            data[one] = edge
            data[one].attrs.update(long_name=np.bytes_(name), frame=np.bytes_(frame))
    return file


def opened(file: Path, material: Crystal, normalisation: Path | None = None) -> EventSource:
    return open_events(file, ub=orientation(material), incident_energy=INCIDENT, normalisation=normalisation)


def folded_file(file: Path, material: Crystal, path: QPath, normalisation: Path | None = None) -> Folded:
    return fold(opened(file, material, normalisation), material, path, SETTINGS)


def plain_bins(bins: Bins, hkl: FloatArray) -> dict[int, float]:
    """Bins that hold one Q, and the square of the distance (1/Å²) to the centre of each: every image tried."""
    images = bins.group @ np.linalg.solve(bins.crystal.conventional, hkl)
    offset = images[:, None, :] - bins.q
    offset = (offset - np.rint(offset)) @ bins.crystal.reciprocal_lattice
    inside = (np.abs(np.einsum("bij,gbj->gbi", bins.axes, offset)) < bins.widths / 2).all(axis=2)
    square = np.where(inside, (offset**2).sum(axis=2), np.inf).min(axis=0)
    return {int(one): float(square[one]) for one in np.flatnonzero(inside.any(axis=0))}


def plain_sums(bins: Bins, *columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums of each column (h, k, l, energy) over the voxels of each bin that are not NaN, (n, bins, energies); and
    that of the squared distances."""
    sums = np.zeros((len(columns), len(bins), GRID.n_bins))
    squares = np.zeros((len(bins), GRID.n_bins))
    hkl = centres()[..., :3]
    per_bin = (len(EDGES[3]) - 1) // GRID.n_bins
    for place in np.ndindex(hkl.shape[:3]):
        for one, square in plain_bins(bins, hkl[(*place, 0)]).items():
            for energy in range(len(EDGES[3]) - 1):
                values = [column[(*place, energy)] for column in columns]
                if np.isfinite(values).all():
                    sums[:, one, energy // per_bin] += values
                    squares[one, energy // per_bin] += square
    return sums, squares


def test_intensity_is_the_average_of_the_voxels_of_a_bin(germanium: Crystal, path: QPath, tmp_path: Path) -> None:
    signal = scattering()
    rng = np.random.default_rng(1)
    signal[rng.random(signal.shape) < 0.97] = np.nan
    signal[np.isfinite(signal) & (rng.random(signal.shape) < 0.2)] = 0.0
    variance = np.where(signal == 0, 0.0, np.abs(signal) * rng.uniform(0.1, 0.3, signal.shape))
    folded = folded_file(write(tmp_path / "s.nxs", signal, variance), germanium, path)

    with np.errstate(invalid="ignore", divide="ignore"):
        counts = np.where(signal == 0, 0.0, signal**2 / variance)
    sums, squares = plain_sums(folded.bins, signal, variance, counts, np.where(np.isnan(signal), np.nan, 1.0))
    total, error, n, voxels = sums
    result = folded.intensity()
    assert 0.2 < np.mean(voxels > 0) < 1
    np.testing.assert_allclose(result.exposure, voxels, rtol=1e-12)
    np.testing.assert_allclose(result.counts, n, rtol=1e-12)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(result.intensity, total / voxels, rtol=1e-12)
        np.testing.assert_allclose(result.sigma, np.sqrt(error) / voxels, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(result.intensity), voxels == 0)

    # The local frames are orthonormal, so that the sum of squares does not depend on the canonical zone.
    cells = folded.cells
    mean_square = (cells.covariance[:, [0, 3, 5]] + cells.offset**2).sum(axis=1)
    found = np.zeros_like(squares)
    np.add.at(found, (cells.bin, cells.energy), cells.exposure * mean_square)
    np.testing.assert_allclose(found, squares, rtol=1e-5)
    assert folded.uncovered == (0.0, 0.0)


def test_constant_intensity_stays_constant_and_the_notes_say_what_was_assumed(
    germanium: Crystal, path: QPath, tmp_path: Path
) -> None:
    signal = np.full(scattering().shape, 3.5)
    file = write(tmp_path / "s.nxs", signal)
    folded = folded_file(file, germanium, path)
    assert folded.coverage == NORMALISED
    assert NORMALISED in folded.notes
    assert not any("larger" in note for note in folded.notes)
    assert not any("solid angle" in note for note in folded.notes)
    for one in (folded, fold(opened(file, germanium), germanium, 4, SETTINGS)):
        intensity = one.intensity().intensity
        assert np.isfinite(intensity).any()
        np.testing.assert_allclose(intensity[np.isfinite(intensity)], 3.5, rtol=1e-12)
    narrow = replace(SETTINGS, grid=SpectralGrid(4.0, 20.0, 16), widths=(0.1, 0.1))
    notes = fold(opened(file, germanium), germanium, path, narrow).notes
    assert any("larger than the smallest width" in note for note in notes)
    assert any("larger than the energy bins, 1 meV" in note for note in notes)


def test_nan_leaves_no_trace_and_zero_is_an_intensity(germanium: Crystal, path: QPath, tmp_path: Path) -> None:
    signal = scattering()
    hole = centres()[..., 0] < 1.5
    signal[hole] = np.nan
    with_hole = folded_file(write(tmp_path / "hole.nxs", signal, np.where(hole, np.nan, 0.1)), germanium, path)
    cut = int(np.searchsorted(centres()[:, 0, 0, 0, 0], 1.5))
    without = folded_file(
        write(tmp_path / "cut.nxs", signal[cut:], np.full(signal[cut:].shape, 0.1), (EDGES[0][cut:], *EDGES[1:])),
        germanium,
        path,
    )
    np.testing.assert_array_equal(with_hole.zones, without.zones)
    for name in ("cell", "signal", "variance", "counts", "exposure", "offset", "covariance"):
        np.testing.assert_allclose(
            getattr(with_hole.cells, name), getattr(without.cells, name), rtol=1e-9, atol=1e-9, err_msg=name
        )

    signal[~hole] = 0.0
    zeros = folded_file(
        write(tmp_path / "zero.nxs", signal, np.where(hole, np.nan, 0.0)), germanium, path
    ).intensity()
    np.testing.assert_array_equal(np.isnan(zeros.intensity), np.isnan(with_hole.intensity().intensity))
    assert (zeros.intensity[np.isfinite(zeros.intensity)] == 0).all()
    assert not zeros.counts.any()


def test_arrays_of_intensities_fold_as_the_file_does(germanium: Crystal, path: QPath, tmp_path: Path) -> None:
    signal = scattering()
    signal[2] = np.nan
    points = centres().reshape(-1, 4)
    ub = orientation(germanium)
    q, run = 2 * np.pi * points[:, :3] @ ub.T, stated_run(ub, INCIDENT, (4.0, 20.0))
    columns = (q, points[:, 3], signal.ravel(), 0.01 * np.abs(signal).ravel())
    one = fold(events_from_arrays(*columns, runs=[run], exposure=1.0), germanium, path, SETTINGS)
    other = folded_file(write(tmp_path / "s.nxs", signal), germanium, path)
    np.testing.assert_allclose(one.intensity().intensity, other.intensity().intensity, rtol=1e-9)
    assert NORMALISED in one.notes

    weighted = events_from_arrays(*columns, runs=[run], exposure=np.full(len(q), 2.0))
    half = fold(weighted, germanium, path, SETTINGS)
    np.testing.assert_allclose(half.intensity().intensity, one.intensity().intensity / 2, rtol=1e-9)
    assert NORMALISED not in half.notes
    with pytest.raises(InputError, match="exposure does not fit"):
        events_from_arrays(*columns, runs=[run], exposure=-1.0)
    with pytest.raises(InputError, match="which detectors counted"):
        fold(events_from_arrays(*columns, runs=[run], detectors=NO_DETECTORS), germanium, path, SETTINGS)


def test_data_over_their_normalisation(germanium: Crystal, path: QPath, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    exposure = rng.uniform(0.5, 20, scattering().shape)
    exposure[rng.random(exposure.shape) < 0.2] = 0.0
    counts = rng.poisson(exposure * scattering()).astype(float)
    data = write(tmp_path / "data.nxs", counts, counts)
    norm = write(tmp_path / "norm.nxs", exposure)
    folded = folded_file(data, germanium, path, norm)
    (total, laid), _ = plain_sums(folded.bins, counts, exposure)
    result = folded.intensity()
    np.testing.assert_allclose(result.exposure, laid, rtol=1e-12)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(result.intensity, total / laid, rtol=1e-12)
        np.testing.assert_allclose(result.sigma, np.sqrt(total) / laid, rtol=1e-12)
    assert NORMALISED not in folded.notes
    assert any("normalisation file" in note for note in folded.notes)

    # Counts where nothing was covered are no intensity, and are told.
    counts[exposure == 0] = 1.0
    stray = folded_file(write(tmp_path / "stray.nxs", counts, counts), germanium, path, norm)
    np.testing.assert_array_equal(np.isnan(stray.intensity().intensity), laid == 0)

    other = write(tmp_path / "other.nxs", exposure, edges=(EDGES[0] + 0.1, *EDGES[1:]))
    with pytest.raises(InputError, match="other voxels"):
        opened(data, germanium, other)
    (tmp_path / "text.nxs").write_text("text")
    with pytest.raises(InputError, match="holds no histogram"):
        opened(data, germanium, tmp_path / "text.nxs")
    with pytest.raises(InputError, match="fold them one by one"):
        open_events([data, data], normalisation=norm)


def test_what_histograms_cannot_be_is_refused(germanium: Crystal, path: QPath, tmp_path: Path) -> None:
    file = write(tmp_path / "s.nxs", scattering())
    source = opened(file, germanium)
    with pytest.raises(InputError, match="solid angles cannot be applied"):
        fold(source, germanium, path, SETTINGS, solid_angles={1: 1.0})
    events = constant_scattering(make_runs(germanium, 1), detectors(), 0.1, seed=0)
    with pytest.raises(InputError, match="a background cannot be applied"):
        fold(source, germanium, path, SETTINGS, background=events)
    with pytest.raises(InputError, match="which detectors counted"):
        fold(events, germanium, path, SETTINGS, background=source)
    slow = open_events(file, ub=orientation(germanium), incident_energy=18.5)
    with pytest.raises(InputError, match=r"intensities at \|Q\|"):
        fold(slow, germanium, path, replace(SETTINGS, grid=SpectralGrid(18.0, 20.0, 1)))
    with pytest.raises(InputError, match="twice"):
        fold(join_sources([source, source]), germanium, path, SETTINGS)
    data = opened(file, germanium, write(tmp_path / "norm.nxs", np.ones(scattering().shape)))
    with pytest.raises(InputError, match="normalised differently"):
        join_sources([source, data])
    one, other = (fold(each, germanium, path, SETTINGS) for each in (source, data))
    with pytest.raises(InputError, match="normalised differently"):
        one.merge(other)


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    fold_command.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["fold", *(str(word) for word in words)])
    arguments.command_line = "fcinv fold"
    return int(arguments.run(arguments))


def test_the_command_folds_a_histogram_and_keeps_its_experiment(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    structure = tmp_path / "POSCAR"
    structure.write_text("toy\n1.0\n3.9 0 0\n0 3.9 0\n0 0 5.2\nTi\n1\ndirect\n0 0 0\n")
    flat = shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs"
    names = (*((f"Q_sample_{one}", "QSample") for one in "xyz"), ("DeltaE", "DeltaE"))
    edges = (*(np.linspace(-0.97, 1.13, 12) for _ in range(3)), np.linspace(-0.5, 4.0, 10))
    signal = np.full([len(one) - 1 for one in edges], 2.0)
    signal[0] = np.nan
    data = write(tmp_path / "data.nxs", 5 * signal, edges=edges, axes=names)
    norm = write(tmp_path / "norm.nxs", 5 * np.ones(signal.shape), edges=edges, axes=names)
    with h5py.File(flat) as source, h5py.File(data, "r+") as file:
        source.copy("MDHistoWorkspace/experiment0", file["MDHistoWorkspace"])
    common = ("--structure", structure, "--points", 20, "--widths", 0.3, "--out", tmp_path / "f.nxs")
    for words, level, kind in (((), 10.0, NORMALISED), (("--normalisation", norm), 2.0, "normalisation file")):
        assert call(data, *words, *common) == 0
        assert kind in capsys.readouterr().out
        folded, _ = read_folded(tmp_path / "f.nxs")
        assert folded.grid.n_bins == 9
        assert kind in (folded.coverage or "")
        assert folded.runs[0].incident_energy == open_events(data).runs[0].incident_energy
        intensity = folded.intensity().intensity
        assert np.isfinite(intensity).any()
        np.testing.assert_allclose(intensity[np.isfinite(intensity)], level, rtol=1e-12)
    with pytest.raises(InputError, match="2 dimensions"):
        call(flat, *common)
    with pytest.raises(InputError, match="holds events"):
        call(shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs", "--normalisation", norm, *common)
