"""Figures of a folded measurement show its cells where they belong, and the table gives what the classes hold."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from fcinv_core.folding import figures
from fcinv_core.folding.figures import (
    classes_csv,
    plot_classes,
    plot_counts,
    plot_coverage,
    plot_intensity,
    write_figures,
)
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.qpath import standard_path
from tests.crystals import crystal
from tests.folding.measurement import GRID, constant_scattering, detectors, make_runs

SETTINGS = FoldSettings(GRID, widths=(0.25, 0.25), kikf_applied=False)
LEVEL = 300.0


@pytest.fixture(scope="module")
def folded() -> Folded:
    source = constant_scattering(make_runs(crystal("Ge"), 2), detectors(30, 8), LEVEL, seed=0)
    return fold(source, crystal("Ge"), standard_path(crystal("Ge"), 30), SETTINGS)


@pytest.fixture(scope="module")
def volume() -> Folded:
    source = constant_scattering(make_runs(crystal("Ge"), 2), detectors(30, 8), LEVEL, seed=0)
    return fold(source, crystal("Ge"), 6, SETTINGS)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Figures instead of files."""
    found: list[Any] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: found.append(figure))
    return found


def maps(figure: Any) -> np.ma.MaskedArray:
    """What the maps of the first axes show, (columns, rows)."""
    return np.ma.concatenate([mesh.get_array().T for mesh in figure.axes[0].collections])


def test_intensity_is_grey_where_nothing_was_covered_and_clipped_above(folded: Folded, drawn: list[Any]) -> None:
    plot_intensity(Path("a.png"), folded)
    shown, wanted = maps(drawn[0]), folded.intensity().intensity
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.isnan(wanted))
    top = float(shown.max())
    assert top < np.nanmax(wanted)
    np.testing.assert_array_equal(shown.filled(0), np.nan_to_num(np.minimum(wanted, top)))
    assert f"{100 * np.isfinite(wanted).mean():.0f} % of the bins covered" in drawn[0].axes[0].get_title()


def test_bright_elastic_line_does_not_set_the_colours(folded: Folded) -> None:
    grid = FoldSettings(type(GRID)(-6.0, 24.0, 30)).grid
    source = constant_scattering(make_runs(crystal("Ge"), 1), detectors(20, 6), 3.0, seed=2)
    one = fold(source, crystal("Ge"), standard_path(crystal("Ge"), 30), FoldSettings(grid, (0.25, 0.25)))
    values = np.ones((30, 30))
    values[:, np.abs(grid.centres) < 1] = 1000.0
    assert figures._clipped(one, values).max() == 1.0


def test_coverage_and_counts_show_the_sums(folded: Folded, drawn: list[Any]) -> None:
    plot_coverage(Path("a.png"), folded)
    plot_counts(Path("b.png"), folded)
    shown = folded.intensity()
    covered = shown.exposure > 0
    for figure in drawn:
        np.testing.assert_array_equal(np.ma.getmaskarray(maps(figure)), ~covered)
    exposure = 10.0 ** maps(drawn[0]).compressed()
    np.testing.assert_allclose(exposure, shown.exposure[covered] / np.median(shown.exposure[covered]))
    counts = maps(drawn[1])
    np.testing.assert_array_equal(counts.filled(0) == 0, shown.counts == 0)
    empty = (shown.counts[covered] == 0).mean()
    assert f"{100 * empty:.0f} % of the covered bins empty" in drawn[1].axes[0].get_title()


def test_selected_zones_only_are_drawn(folded: Folded, drawn: list[Any]) -> None:
    keep = folded.select(q_range=(0.0, 3.0))
    plot_intensity(Path("a.png"), folded, keep=keep)
    wanted = folded.intensity(keep).intensity
    assert np.isnan(wanted).sum() > np.isnan(folded.intensity().intensity).sum()
    np.testing.assert_array_equal(np.ma.getmaskarray(maps(drawn[0])), np.isnan(wanted))


def test_shares_of_the_best_classes_are_those_of_the_exposure(folded: Folded, drawn: list[Any]) -> None:
    plot_classes(Path("a.png"), folded)
    share = maps(drawn[0])
    names = [text.get_text() for text in drawn[0].axes[0].get_yticklabels()]
    assert share.shape == (30, len(names))
    cells = folded.cells
    for k, name in enumerate(names):
        row = int(np.flatnonzero((folded.hkl == [int(i) for i in name.split()]).all(axis=1))[0])
        for point in (0, 7, 29):
            here = cells.bin == point
            wanted = cells.exposure[here & (cells.row == row)].sum() / cells.exposure[here].sum()
            assert np.ma.filled(share[point, k], 0.0) == pytest.approx(wanted)


def test_figures_of_a_grid_are_ordered_by_the_length_of_q(volume: Folded, drawn: list[Any]) -> None:
    plot_counts(Path("a.png"), volume)
    length = np.linalg.norm(volume.bins.q @ volume.bins.crystal.reciprocal_lattice, axis=1)
    order = np.argsort(length, kind="stable")
    assert (np.diff(order) < 0).any(), "the bins themselves have another order"
    shown, wanted = maps(drawn[0]), volume.intensity()
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), (wanted.exposure == 0)[order])
    np.testing.assert_array_equal(shown.filled(0), np.minimum(wanted.counts, shown.max())[order])


def test_table_adds_up(folded: Folded) -> None:
    rows = list(csv.DictReader(io.StringIO(classes_csv(folded))))
    cells = folded.cells
    inside = cells.exposure > 0
    assert len(rows) == len(np.unique(cells.row[inside]))
    assert sum(float(row["share_of_exposure"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert sum(float(row["counts"]) for row in rows) == pytest.approx(cells.counts[inside].sum(), rel=1e-4)
    lengths = [float(row["length_per_angstrom"]) for row in rows]
    assert lengths == sorted(lengths)
    a = np.linalg.norm(crystal("Ge").conventional_lattice[0])
    for row in rows:
        hkl = [int(row[name]) for name in "hkl"]
        assert float(row["length_per_angstrom"]) == pytest.approx(2 * np.pi / a * np.linalg.norm(hkl), rel=1e-5)
    # Constant scattering: each class gives the level, within its own error.
    pulls = [
        (float(row["mean_intensity"]) - LEVEL) / float(row["sigma"]) for row in rows if float(row["counts"]) > 30
    ]
    assert len(pulls) > 10
    assert np.mean(np.square(pulls)) < 2


@pytest.mark.parametrize("kind", ["folded", "volume"])
def test_all_files_are_written(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    one: Folded = request.getfixturevalue(kind)
    energies = np.full((30, 6), 10.0) if kind == "folded" else None
    files = write_figures(one, tmp_path / "figures", stem="ge", energies=energies)
    assert [file.name for file in files] == [
        "ge.png", "ge_coverage.png", "ge_counts.png", "ge_classes.png", "ge_classes.csv",
    ]  # fmt: skip
    for file in files[:-1]:
        assert matplotlib.image.imread(file).shape[2] == 4
    assert sorted(files) == sorted((tmp_path / "figures").iterdir())
