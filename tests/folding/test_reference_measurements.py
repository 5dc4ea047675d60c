"""Reference measurements, folded: a virtual one of germanium with known phonons, and MnO measured on HYSPEC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit

from fcinv_core.crystal import Crystal, FloatArray, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.events import open_events
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import PRODUCTS, Folded
from fcinv_core.folding.folded_file import read_folded, write_folded
from fcinv_core.folding.normalisation import read_solid_angles
from fcinv_core.folding.orientation import find_setting
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import FWHM_PER_SIGMA, SpectralGrid

pytestmark = pytest.mark.slow

INCIDENT = 40.0


def fwhm(energy: float) -> float:
    """Resolution of the virtual measurement, meV."""
    return 0.15 + 0.84 * (1 - energy / INCIDENT)


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> ForceConstants:
    folder = shared_data / "ge_dft"
    crystal = read_structure(folder / "POSCAR")
    return read_force_constants(folder / "FORCE_CONSTANTS", crystal, structure=folder / "POSCAR")


@pytest.fixture(scope="module")
def twin(shared_data: Path, truth: ForceConstants) -> Folded:
    folder = shared_data / "twin"
    return fold(
        open_events(folder / "ge_arcs_twin.nxs"),
        truth.crystal,
        standard_path(truth.crystal),
        FoldSettings(SpectralGrid(-4.0, 38.0, 84)),
        solid_angles=read_solid_angles(folder / "ge_arcs_twin_solid_angle.nxs"),
    )


def separate_branches(energies: FloatArray, apart: float = 3.0) -> list[tuple[int, float, np.ndarray]]:
    """(point, energy, branches) of degenerate sets that no other is near."""
    found = []
    for point, levels in enumerate(np.sort(energies, axis=1)):
        sets = np.split(np.arange(len(levels)), np.flatnonzero(np.diff(levels) > 0.15) + 1)
        middles = np.array([levels[one].mean() for one in sets])
        for one, middle in zip(sets, middles, strict=True):
            others = middles[middles != middle]
            # Away from the elastic line and from the end of the energy range.
            if 4 < middle < 35.8 and (not len(others) or np.abs(others - middle).min() > apart):
                found.append((point, float(middle), one))
    return found


def peak(folded: Folded, point: int, energy: float) -> tuple[float, float] | None:
    """Position of a line and its standard deviation, meV; None where counts or coverage are too few."""
    shown, centres = folded.intensity(), folded.grid.centres
    window = np.abs(centres - energy) < 1.75
    counts, exposure = shown.counts[point, window], shown.exposure_in_counts[point, window]
    if not (exposure > 0).all() or counts.sum() < 100:
        return None
    top = shown.intensity[point, window].max()
    x, y = centres[window], shown.intensity[point, window] / top

    def line(x: FloatArray, height: float, centre: float, base: float, sigma: float) -> FloatArray:
        return height * np.exp(-((x - centre) ** 2) / (2 * sigma**2)) + base

    start = [1.0, energy, 0.0, np.hypot(fwhm(energy) / FWHM_PER_SIGMA, 0.25)]
    bounds = ([0, energy - 1.5, -np.inf, 0.15], [np.inf, energy + 1.5, np.inf, 1.2])
    best, covariance = curve_fit(line, x, y, start, sigma=np.sqrt(counts + 1) / exposure / top, bounds=bounds)
    sigma = float(np.sqrt(covariance[1, 1]))
    return (float(best[1]), sigma) if sigma < 0.07 else None


def mean_energy(
    folded: Folded, truth: ForceConstants, point: int, energy: float, branches: np.ndarray, rng: np.random.Generator
) -> float:
    """Energy of branches averaged over the stored distribution of Q in a bin, pixels included."""
    cells, bins = folded.cells, folded.bins
    mine = (cells.bin == point) & (cells.energy == np.abs(folded.grid.centres - energy).argmin())
    weight = cells.exposure[mine] / cells.exposure[mine].sum()
    mean = weight @ cells.offset[mine]
    covariance = np.zeros((3, 3))
    for k, (i, j) in enumerate(PRODUCTS):
        square = cells.covariance[mine][:, k] + cells.offset[mine][:, i] * cells.offset[mine][:, j]
        covariance[i, j] = covariance[j, i] = weight @ square - mean[i] * mean[j]
    local = rng.multivariate_normal(mean, covariance, 500, check_valid="ignore")
    q = bins.q[point] + local @ bins.axes[point] @ np.linalg.inv(bins.crystal.reciprocal_lattice)
    assert bins.path is not None
    energies = mode_energies(truth, q, np.tile(bins.path.direction[point], (len(q), 1)))
    return float(np.sort(energies, axis=1)[:, branches].mean())


def test_peaks_of_the_twin_lie_where_phonopy_puts_them(twin: Folded, truth: ForceConstants) -> None:
    path = twin.bins.path
    assert path is not None
    energies = mode_energies(truth, path.q, path.direction)
    slope = np.zeros_like(energies)
    for piece in path.pieces:
        slope[piece] = np.abs(np.gradient(np.sort(energies[piece], axis=1), path.distance[piece], axis=0))
    rng = np.random.default_rng(0)
    from_path, from_bin = [], []
    for point, energy, branches in separate_branches(energies):
        found = peak(twin, point, energy)
        # Steep branches run through many energies within a bin and are no peaks.
        if found is None or slope[point, branches].max() > 8:
            continue
        from_path.append(found[0] - energy)
        from_bin.append(found[0] - mean_energy(twin, truth, point, energy, branches, rng))
    assert len(from_path) > 50
    # On the path itself most are within 0.2 meV: the volume of bins and pixels moves the others ...
    assert abs(np.median(from_path)) < 0.1
    assert np.mean(np.abs(from_path) < 0.2) > 0.8
    # ... and averaged over that volume, as the fold stores it, all are.
    assert np.mean(np.abs(from_bin) < 0.2) > 0.98
    assert np.sqrt(np.mean(np.square(from_bin))) < 0.1


def test_twin_in_a_file(twin: Folded, shared_data: Path, tmp_path: Path) -> None:
    events = shared_data / "twin" / "ge_arcs_twin.nxs"
    write_folded(tmp_path / "twin.nxs", twin, event_file=events)
    assert (tmp_path / "twin.nxs").stat().st_size < events.stat().st_size
    read, _ = read_folded(tmp_path / "twin.nxs")
    assert read.cells.covariance.tobytes() == twin.cells.covariance.tobytes()
    assert twin.uncovered[0] == 0


@pytest.fixture(scope="module")
def mno() -> Crystal:
    fcc = 4.43 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Crystal.from_cell(fcc, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Mn", "O"])


@pytest.fixture(scope="module")
def magnetic_peak(shared_data: Path) -> FloatArray:
    """Centre of the strongest Bragg peak of the HYSPEC measurement, Q_sample in 1/Å."""
    [chunk] = open_events(shared_data / "measured" / "hyspec_mno_25meV_5K.nxs").chunks()
    q = chunk.q_sample[np.abs(chunk.energy - 0.4) < 1]
    sums, edges = np.histogramdd(q, bins=[np.arange(-4, 4.01, 0.1)] * 3)
    brightest = np.unravel_index(sums.argmax(), sums.shape)
    centre = np.array([edge[k] + 0.05 for edge, k in zip(edges, brightest, strict=True)])
    for _ in range(5):
        centre = q[np.linalg.norm(q - centre, axis=1) < 0.25].mean(axis=0)
    return centre


def test_ub_matrix_of_the_hyspec_file_is_not_that_of_its_crystal(
    shared_data: Path, mno: Crystal, magnetic_peak: FloatArray
) -> None:
    """The file's UB has the cell of another crystal: it does not index the (1/2 1/2 1/2) peak of MnO."""
    source = open_events(shared_data / "measured" / "hyspec_mno_25meV_5K.nxs")
    ub = source.runs[0].ub
    with pytest.raises(InputError, match="belongs to another crystal than MnO"):
        find_setting(mno, ub)
    half = np.linalg.norm([0.5, 0.5, 0.5]) * 2 * np.pi / 4.43
    assert np.linalg.norm(magnetic_peak) == pytest.approx(half, abs=0.03)
    hkl = np.linalg.solve(2 * np.pi * ub, magnetic_peak)
    assert np.abs(2 * hkl - np.rint(2 * hkl)).max() > 0.15


def test_hyspec_measurement_folds_with_a_ub_of_mno(
    shared_data: Path, tmp_path: Path, mno: Crystal, magnetic_peak: FloatArray
) -> None:
    events = shared_data / "measured" / "hyspec_mno_25meV_5K.nxs"
    # (1 1 1) lies along the magnetic peak; that (1 -1 0) is vertical is an assumption, as one peak does not tell.
    frame = [magnetic_peak / np.linalg.norm(magnetic_peak)]
    up = np.array([0.0, 1.0, 0.0])
    up -= (up @ frame[0]) * frame[0]
    frame += [up / np.linalg.norm(up)]
    frame += [np.cross(*frame)]
    axes = [np.array([1, 1, 1]) / np.sqrt(3), np.array([1, -1, 0]) / np.sqrt(2)]
    axes += [np.cross(*axes)]
    ub = np.transpose(frame) @ np.array(axes) / 4.43
    source = open_events(events, ub=ub)
    settings = FoldSettings(SpectralGrid(-3.0, 21.0, 48), widths=(0.15, 0.15), kikf_applied=False)
    folded = fold(source, mno, standard_path(mno), settings)

    assert folded.uncovered[1] < 1e-4
    shown = folded.intensity()
    covered = shown.exposure > 0
    assert 0.2 < covered.mean() < 0.7
    assert "geometric solid angles" in folded.notes[0]
    # The magnetic peak is the brightest of the elastic line, at L.
    path = folded.bins.path
    assert path is not None
    elastic = np.abs(folded.grid.centres - 0.4) < 0.6
    counts = shown.counts[:, elastic].sum(axis=1)
    at_l = next(index for index, label in path.ticks if label == "L")
    assert abs(int(counts.argmax()) - at_l) <= 2
    write_folded(tmp_path / "mno.nxs", folded, event_file=events)
    assert (tmp_path / "mno.nxs").stat().st_size < 3e6
    assert len(read_folded(tmp_path / "mno.nxs")[0].runs) == 5
