"""Figures show what they are given, and leave matplotlib's global state alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.plotting import (
    draw_bands,
    draw_path_axis,
    draw_spectrum,
    material_title,
    new_figure,
    plot_bands,
    plot_spectrum,
)
from fcinv_core.qpath import QPath, named_path, standard_path
from fcinv_core.spectrum import SpectralGrid
from tests.crystals import CELLS, crystal

GRID = SpectralGrid(0.0, 40.0, 50)


@pytest.fixture
def path() -> QPath:
    """A path with a break: Γ-X-U|K-Γ, 31 points."""
    return named_path(crystal("Ge"), "Γ-X-U|K-Γ", 31)


def energies_on(path: QPath) -> np.ndarray:
    return np.abs(np.sin(2 * np.pi * path.q[:, :1])) * np.array([10.0, 20.0, 30.0]) + np.arange(3)


def test_axis_names_the_points_and_marks_breaks(path: QPath) -> None:
    axes = new_figure().add_subplot()
    draw_path_axis(axes, path)
    assert [tick.get_text().strip() for tick in axes.get_xticklabels()] == ["Γ", "X", "U|K", "Γ"]
    np.testing.assert_allclose(axes.get_xticks(), [path.distance[k] for k, _ in path.tick_labels])
    widths = {float(line.get_xdata()[0]): line.get_linewidth() for line in axes.lines}
    at_x, at_break = (float(path.distance[k]) for k, label in path.tick_labels if label in ("X", "U|K"))
    assert widths[at_break] > widths[at_x]
    assert axes.get_xlim() == (0.0, path.distance[-1])


def test_no_line_is_drawn_across_a_break(path: QPath) -> None:
    axes = new_figure().add_subplot()
    energies = energies_on(path)
    draw_bands(axes, path, energies)
    assert len(axes.lines) == 2 * 3
    for line in axes.lines:
        assert len(line.get_xdata()) in (path.pieces[0].stop, path.n_points - path.pieces[0].stop)


def test_map_shows_every_bin_where_it_belongs(path: QPath) -> None:
    axes = new_figure().add_subplot()
    spectrum = np.random.default_rng(1).uniform(0, 1, (path.n_points, GRID.n_bins))
    spectrum[3, 7] = np.nan
    draw_spectrum(axes, path, GRID, spectrum)
    first, second = axes.collections
    shown = np.ma.concatenate([first.get_array().T, second.get_array().T])
    assert np.argwhere(np.ma.getmaskarray(shown)).tolist() == [[3, 7]]
    np.testing.assert_array_equal(shown.filled(0), np.nan_to_num(spectrum))
    # The break lies where one map ends and the other begins.
    assert (
        first.get_coordinates()[0, -1, 0] == second.get_coordinates()[0, 0, 0] == path.distance[path.pieces[1]][0]
    )
    assert first.get_clim() == second.get_clim()
    assert first.get_clim()[1] == np.nanmax(spectrum)


@pytest.mark.parametrize("values", [np.nan, 0.0])
def test_map_of_nothing_is_still_a_map(path: QPath, tmp_path: Path, values: float) -> None:
    spectrum = np.full((path.n_points, GRID.n_bins), values)
    plot_spectrum(tmp_path / "map.png", path, GRID, spectrum, title="nothing")
    assert matplotlib.image.imread(tmp_path / "map.png").shape[2] == 4


def test_imaginary_modes_get_room_below_zero(path: QPath, tmp_path: Path) -> None:
    energies = energies_on(path)
    plot_bands(tmp_path / "real.png", path, energies, title="Ge")
    plot_bands(tmp_path / "imaginary.png", path, energies - 8.0, title="Ge")
    grey = np.array([237, 237, 237]) / 255
    shaded = [
        int(np.all(np.abs(matplotlib.image.imread(tmp_path / name)[..., :3] - grey) < 0.01, axis=2).sum())
        for name in ("real.png", "imaginary.png")
    ]
    assert shaded[0] < 5_000 < 20_000 < shaded[1]


def test_equal_figures_are_equal_files(path: QPath, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_bands(tmp_path / name, path, energies_on(path), title="Ge")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_figure_that_cannot_be_written_is_no_file(path: QPath, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        plot_bands(tmp_path / "file" / "bands.png", path, energies_on(path), title="Ge")


@pytest.mark.parametrize("name", CELLS)
def test_title_and_labels_of_any_crystal_can_be_drawn(name: str, tmp_path: Path) -> None:
    sample = crystal(name)
    path = standard_path(sample)
    energies = np.ones((path.n_points, 3))
    plot_bands(tmp_path / "a.png", path, energies, title=material_title(sample, "set_1 of $x$ and y$"))
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_titles_print_formula_and_space_group() -> None:
    assert material_title(crystal("Ge"), "DFT") == r"Ge ($Fd\bar{3}m$): DFT"
    assert material_title(crystal("TiO2"), "DFT") == r"TiO$_{2}$ ($P4_{2}/mnm$): DFT"


def test_no_pyplot_and_no_window(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from fcinv_core.plotting import new_figure, save_figure
save_figure(new_figure(), Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "figure.png"], check=True)
