"""On the twin of a real experiment the folded intensity shows the dispersion that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import erf

from fcinv_core.crystal import FloatArray, read_structure
from fcinv_core.events.opening import open_events
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import PRODUCTS, Folded, Intensity
from fcinv_core.folding.normalisation import PixelSize, read_solid_angles
from fcinv_core.folding.outliers import reject_outliers
from fcinv_core.qpath import standard_path
from fcinv_core.spectrum import SpectralGrid

THZ_TO_MEV = 4.135667697
#: Branches this far (meV) from any other count as apart.
APART = 3.0


@pytest.fixture(scope="module")
def folded(shared_data: Path) -> Folded:
    source = open_events(shared_data / "twin" / "ge_arcs_twin.nxs")
    material = read_structure(shared_data / "ge_dft" / "POSCAR")
    settings = FoldSettings(
        SpectralGrid(-4.0, 38.0, 84), widths=(0.08, 0.08), pixel=PixelSize(np.radians(2), np.radians(4))
    )
    angles = read_solid_angles(shared_data / "twin" / "ge_arcs_twin_solid_angle.nxs")
    return fold(source, material, standard_path(material, 101), settings, solid_angles=angles)


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> Any:
    phonopy = pytest.importorskip("phonopy")
    folder = shared_data / "ge_dft"
    return phonopy.load(
        unitcell_filename=str(folder / "POSCAR"),
        force_constants_filename=str(folder / "FORCE_CONSTANTS"),
        supercell_matrix=[4, 4, 4],
        primitive_matrix=np.eye(3),
        log_level=0,
    )


def energies(truth: Any, q: FloatArray) -> FloatArray:
    truth.run_qpoints(q)
    return np.sort(np.asarray(truth.qpoints.frequencies) * THZ_TO_MEV, axis=1)


def spread_in_bin(folded: Folded, truth: Any, one: int, energy: float) -> float:
    """Standard deviation (meV) of a branch over the Q measured in a bin near an energy; inf if none were."""
    cells = folded.cells
    near = (cells.bin == one) & (np.abs(folded.grid.centres[cells.energy] - energy) < 1) & (cells.exposure > 0)
    if not near.any():
        return np.inf
    rng = np.random.default_rng(one)
    pick = rng.choice(np.flatnonzero(near), p=cells.exposure[near] / cells.exposure[near].sum(), size=200)
    covariance = np.empty((len(pick), 3, 3))
    for k, (i, j) in enumerate(PRODUCTS):
        covariance[:, i, j] = covariance[:, j, i] = cells.covariance[pick, k]
    root = np.linalg.cholesky(covariance + 1e-9 * np.eye(3))
    local = cells.offset[pick] + np.einsum("nij,nj->ni", root, rng.normal(size=(len(pick), 3)))
    bins = folded.bins
    q = bins.q[one] + (local @ bins.axes[one]) @ np.linalg.inv(bins.crystal.reciprocal_lattice)
    branches = np.abs(energies(truth, bins.q[one][None])[0] - energy) < 0.2
    return float(energies(truth, q)[:, branches].std())


def peak(result: Intensity, grid: SpectralGrid, one: int, energy: float) -> tuple[float, float] | None:
    """Centre of a Gaussian peak on a flat background, and its error, meV; None if there is not enough data."""
    low, high = grid.edges[:-1], grid.edges[1:]
    window = (low > energy - 2.3) & (high < energy + 2.3)
    intensity = result.intensity[one, window]
    if not np.isfinite(intensity).all() or result.counts[one, window].sum() < 30:
        return None
    bottom, top = low[window], high[window]

    def shape(_: Any, area: float, centre: float, sigma: float, floor: float) -> FloatArray:
        upper, lower = erf((top - centre) / sigma / np.sqrt(2)), erf((bottom - centre) / sigma / np.sqrt(2))
        return np.asarray(area * (upper - lower) / 2 + floor)

    start = [intensity.sum(), energy, 0.3, np.median(intensity)]
    error = np.sqrt(result.counts[one, window] + 1) / result.exposure_in_counts[one, window]
    try:
        values, covariance = curve_fit(
            shape,
            None,
            intensity,
            p0=start,
            sigma=error,
            absolute_sigma=True,
            bounds=([0, energy - 2, 0.1, 0], [np.inf, energy + 2, 3, np.inf]),
        )
    except RuntimeError:
        return None
    return float(values[1]), float(np.sqrt(covariance[1, 1]))


@pytest.mark.slow
def test_peaks_lie_where_phonopy_puts_them(folded: Folded, truth: Any) -> None:
    assert folded.uncovered[0] == 0, "every event of the twin lies where its own detector was exposed"
    result = folded.intensity()
    distances = []
    for one, row in enumerate(energies(truth, folded.bins.q)):
        for energy in row[(row > 3) & (row < 36.8)]:
            others = row[np.abs(row - energy) > 0.15]
            if np.abs(others - energy).min() < APART or spread_in_bin(folded, truth, one, energy) > 0.3:
                continue
            found = peak(result, folded.grid, one, energy)
            if found is not None and 0.002 < found[1] < 0.06:
                distances.append(found[0] - energy)
    assert len(distances) > 25
    assert np.abs(distances).max() < 0.2
    assert abs(np.mean(distances)) < 0.1


@pytest.mark.slow
def test_no_zone_of_the_twin_is_rejected(folded: Folded) -> None:
    rejected = reject_outliers(folded, elastic=1.5)
    assert rejected.table == ()
    assert rejected.n_tests > 50_000
