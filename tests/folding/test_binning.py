"""The compiled look-up finds what a plain loop over all operations and zones finds."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.folding.binning import Binning, find_bins_of
from fcinv_core.folding.path_bins import path_bins, transverse_axes
from fcinv_core.folding.point_groups import folding_group
from fcinv_core.folding.zone_volume import zone_volume
from fcinv_core.qpath import standard_path
from tests.crystals import crystal
from tests.folding.plain_fold import bins_of, cell_of

CRYSTALS = ["Ge", "Nb", "Mg", "quartz", "Bi", "ZrO2", "triclinic P-1"]


def fast(binning: Binning, q: np.ndarray) -> list[dict[int, tuple[int, ...]]]:
    counts, bins, rows = find_bins_of(binning.lookup, q)
    hkl = binning.classes.hkl
    found = []
    for k, n in enumerate(counts):
        assert len(set(bins[k, :n].tolist())) == n, "an event is twice in one bin"
        found.append({int(b): tuple(hkl[r].tolist()) for b, r in zip(bins[k, :n], rows[k, :n], strict=True)})
    return found


def near_path(binning: Binning, n: int, spread: float, seed: int = 1) -> np.ndarray:
    """Q near images of path points in random zones, so that most of them lie in bins."""
    rng = np.random.default_rng(seed)
    bins = binning.bins
    q = bins.q[rng.integers(len(bins), size=n)]
    q = q + rng.normal(scale=spread, size=(n, 3)) @ np.linalg.inv(bins.crystal.reciprocal_lattice)
    g = bins.group[rng.integers(len(bins.group), size=n)]
    return np.einsum("nij,nj->ni", g, q + rng.integers(-2, 3, size=(n, 3)))


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("widths", [(0.12, 0.12), (0.2, 0.07)])
def test_path_bins_and_classes_equal_those_of_a_plain_loop(name: str, widths: tuple[float, float]) -> None:
    material = crystal(name)
    binning = path_bins(material, standard_path(material, 40), widths, folding_group(material), 20.0, voxels=20)
    q = near_path(binning, 120, 0.05)
    found = fast(binning, q)
    assert found == [bins_of(binning.bins, one) for one in q]
    assert sum(len(one) > 0 for one in found) > 40


@pytest.mark.parametrize("name", ["Ge", "Mg", "quartz", "ZrO2"])
def test_grid_cells_and_classes_equal_those_of_a_plain_loop(name: str) -> None:
    material = crystal(name)
    binning = zone_volume(material, 5, folding_group(material), 20.0)
    rng = np.random.default_rng(2)
    q = rng.uniform(-1.5, 1.5, size=(100, 3))
    found = fast(binning, q)
    assert [set(one) for one in found] == [set(cell_of(binning.bins, one)) for one in q]
    assert found == [cell_of(binning.bins, one) for one in q]


@pytest.mark.parametrize("name", ["Ge", "quartz", "ZrO2"])
def test_symmetry_equivalent_events_share_bins_and_classes(name: str) -> None:
    material = crystal(name)
    group = folding_group(material)
    for binning in (
        path_bins(material, standard_path(material, 60), (0.15, 0.1), group, 20.0),
        zone_volume(material, 6, group, 20.0),
    ):
        q = near_path(binning, 300, 0.03)
        rng = np.random.default_rng(5)
        moved = np.einsum("nij,nj->ni", group[rng.integers(len(group), size=len(q))], q)
        assert fast(binning, moved) == fast(binning, q)


def test_events_at_gamma_and_on_the_zone_boundary_are_once_in_every_bin() -> None:
    material = crystal("Ge")
    path = standard_path(material, 80)
    binning = path_bins(material, path, (0.1, 0.1), folding_group(material), 20.0)
    on_path = path.q + np.array([1, -2, 1])
    for k, found in enumerate(fast(binning, on_path)):
        assert k in found
    # All eight zones of the form 111 are one class for the bin at Γ, whichever way the segment leaves it.
    gamma = next(index for index, label in path.ticks if label == "Γ")
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    zones = np.linalg.solve(material.conventional, signs.T).T
    assert {found[gamma] for found in fast(binning, zones + 1e-4)} == {(1, 1, 1)}


def test_the_grid_tiles_the_zone() -> None:
    for name in ("Ge", "Mg", "ZrO2"):
        material = crystal(name)
        binning = zone_volume(material, 6, folding_group(material), 20.0)
        assert binning.bins.weight.sum() == 6**3
        q = np.random.default_rng(0).uniform(-1, 1, size=(60_000, 3))
        counts, bins, _ = find_bins_of(binning.lookup, q)
        assert (counts == 1).all()
        share = np.bincount(bins[:, 0], minlength=len(binning.bins)) / len(q)
        expected = binning.bins.weight / 6**3
        assert np.abs((share - expected) / np.sqrt(expected / len(q))).max() < 5


def test_the_number_of_voxels_changes_nothing() -> None:
    material = crystal("Mg")
    path, group = standard_path(material, 50), folding_group(material)
    coarse, fine = (path_bins(material, path, (0.1, 0.1), group, 20.0, voxels=n) for n in (7, 40))
    q = near_path(coarse, 3000, 0.05)
    assert fast(coarse, q) == fast(fine, q)


def test_transverse_axes_are_cartesian_and_perpendicular() -> None:
    for name in CRYSTALS:
        material = crystal(name)
        path, group = standard_path(material, 40), folding_group(material)
        for index, _ in path.ticks:
            axes = transverse_axes(material, path.q[index], path.direction[index], group)
            np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
            along = path.direction[index] @ material.reciprocal_lattice
            np.testing.assert_allclose(axes[0], along / np.linalg.norm(along), atol=1e-12)


def test_bins_that_share_events_say_so() -> None:
    material = crystal("Ge")
    path = standard_path(material, 80)
    binning = path_bins(material, path, (0.1, 0.1), folding_group(material), 20.0)
    shared = {(a, b): share for a, b, share in binning.overlaps()}
    gammas = [index for index, label in path.ticks if label == "Γ"]
    assert shared[gammas[0], gammas[1]] > 0.5, "the two bins at Γ hold nearly the same events"
    middle = (path.ticks[0][0] + path.ticks[1][0]) // 2
    assert not any(middle in pair for pair in shared), "in the middle of Γ-X nothing is shared"


def test_widths_that_are_no_widths_are_refused() -> None:
    material = crystal("Ge")
    with pytest.raises(InputError, match="wide"):
        path_bins(material, standard_path(material, 40), (0.0, 0.1), folding_group(material), 20.0)
    with pytest.raises(InputError, match="divisions"):
        zone_volume(material, 0, folding_group(material), 20.0)
