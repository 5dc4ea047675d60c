"""Series over temperature or pressure: what is found, that answers are independent, and what is written."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.inversion import invert as main_job
from fcinv_core.inversion import results
from fcinv_core.inversion.invert import InversionSettings, invert
from fcinv_core.inversion.series import Series, SeriesPart, invert_series, temperature_of
from fcinv_core.inversion.series_files import PICTURE, series_content, series_table, write_series
from fcinv_core.report.series_figure import series_figure
from tests.inversion import standin
from tests.inversion.standin import StandInModel, all_of, damaged, measurement, prior, strained

SETTINGS = InversionSettings(method="fit", amplitudes="unit", n_draws=20)
#: Temperature (K), and how lattice and force constants change to there.
TEMPERATURES, LATTICES, STIFFNESS = (20.0, 150.0, 300.0), (1.0, 1.003, 1.006), (1.15, 1.08, 1.0)


def part(
    at: float, lattice: float = 1.0, stiffness: float = 1.15, settings: InversionSettings = SETTINGS
) -> SeriesPart:
    folded = damaged(measurement(strained(lattice), values=prior().mean * stiffness), temperature=at)
    return SeriesPart(f"{at:g}.nxs", at, folded, all_of(folded), settings)


@pytest.fixture(scope="module")
def parts() -> list[SeriesPart]:
    return [part(*one) for one in zip(TEMPERATURES, LATTICES, STIFFNESS, strict=True)]


@pytest.fixture(scope="module")
def series(parts: list[SeriesPart]) -> Series:
    return invert_series([parts[2], parts[0], parts[1]], StandInModel())


def test_a_crystal_that_softens_is_seen_to_soften(series: Series) -> None:
    np.testing.assert_array_equal(series.at, TEMPERATURES)
    assert [one.name for one in series.answers] == ["20.nxs", "150.nxs", "300.nxs"]
    np.testing.assert_allclose([one.strain for one in series.answers], np.array(LATTICES) - 1, atol=1e-9)
    truths = np.array(STIFFNESS)[:, None] * prior().mean
    away = (series.values - truths) / series.sigma
    assert (np.abs(away) < 2).mean() > 0.9
    highest = [mode for mode in series.modes if mode.point == "X"][-1]
    q = prior().crystal.high_symmetry_points["X"]
    exact = [prior().dynamics(np.array([q])).energies(truth).max() for truth in truths]
    assert (np.abs(highest.energies - exact) < 3 * highest.sigma).all()
    assert (np.diff(highest.energies) < -2 * highest.sigma[1:]).all()


def test_modes_begin_at_the_point_of_highest_symmetry_and_join_what_is_degenerate(series: Series) -> None:
    # Aluminium has no optic modes, and its transverse branches meet at X and L.
    names = [mode.name for mode in series.modes]
    assert names[:4] == ["X 1-2", "X 3", "L 1-2", "L 3"]
    assert not any(mode.point == "Γ" for mode in series.modes)


def test_the_answer_before_is_a_start_and_no_prior(parts: list[SeriesPart], series: Series) -> None:
    last, found = parts[-1], series.answers[-1].inversion
    alone = invert(last.folded, last.keep, StandInModel(), replace(last.settings, temperature=last.at))
    np.testing.assert_array_less(np.abs(alone.values - found.values), 0.1 * alone.sigma)
    np.testing.assert_allclose(found.sigma, alone.sigma, rtol=0.02)
    assert found.derived.temperature == last.at


def test_each_starts_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def refined(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return standin.refined_measurement(*arguments)

    monkeypatch.setattr(main_job, "data_of_folded", lambda folded, *_, **__: folded)
    monkeypatch.setattr(main_job, "refine_measurement", refined)
    found = invert_series([part(300.0), part(20.0)], StandInModel())
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], found.answers[0].inversion.values[None])


def test_the_folder_holds_every_number_and_every_result(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Reports take seconds each, and have tests of their own.
    monkeypatch.setattr(results, "report", lambda *_: "a report")
    write_series(series, tmp_path / "out", {"command": "test"})
    content = json.loads((tmp_path / "out" / "series.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(series_content(series, {"command": "test"})))
    rows = list(csv.DictReader(io.StringIO(series_table(series))))
    for row, one, known in zip(rows, series.answers, content["measurements"], strict=True):
        assert float(row["temperature (K)"]) == one.at == known["at"]
        result = json.loads((tmp_path / "out" / row["folder"] / "result.json").read_text(encoding="utf-8"))
        assert [fc["value"] for fc in result["force_constants"]] == known["values_ev_per_square_angstrom"]
        read = [float(row[f"{label} sigma (eV/Å²)"]) for label in series.labels]
        np.testing.assert_allclose(read, one.inversion.sigma, rtol=1e-5)
        assert float(row["volume (Å³)"]) == pytest.approx(one.volume, rel=1e-5)
    last = series.modes[-1]
    np.testing.assert_allclose([float(row[f"{last.name} energy (meV)"]) for row in rows], last.energies, rtol=1e-5)
    assert (tmp_path / "out" / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_values_with_their_errors(series: Series) -> None:
    axes = series_figure(series).axes
    shown = [one for one in axes if one.get_visible()]
    assert len(shown) == 6
    bars = axes[0].containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(
        [(low, high) for (_, low), (_, high) in bars],
        np.stack([series.values[:, 0] - series.sigma[:, 0], series.values[:, 0] + series.sigma[:, 0]], axis=1),
    )
    assert shown[-1].get_legend() is not None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ([], "a series of 1 measurement"),
        ([(20.01,)], "are both at 20 K"),
        ([(-5.0,)], "is at -5 K"),
        ([(float("nan"),)], "is at nan K"),
        ([(100.0, 1.3)], "100.nxs is of another crystal than 20.nxs"),
    ],
)
def test_what_is_no_series_is_one_sentence(changed: list[tuple[float, ...]], says: str) -> None:
    parts = [part(20.0), *(part(*one) for one in changed)]
    with pytest.raises(InputError, match=says):
        invert_series(parts, StandInModel())


def test_another_element_is_another_crystal() -> None:
    known = prior().crystal
    other = Crystal.from_cell(known.lattice, known.positions, ["Cu"] * known.n_sites, name="copper")
    folded = measurement(other)
    copper = SeriesPart("copper.nxs", 90.0, folded, all_of(folded), SETTINGS)
    with pytest.raises(InputError, match=r"copper\.nxs is of another crystal"):
        invert_series([part(20.0), copper], StandInModel())


def test_a_pressure_leaves_the_temperature_of_the_runs(refinement: None) -> None:
    found = invert_series([replace(part(20.0), at=at) for at in (0.0, 5.0)], StandInModel(), "GPa")
    assert [one.inversion.derived.temperature for one in found.answers] == [20.0, 20.0]
    assert found.quantity == "pressure"


def test_a_temperature_that_no_run_says_is_asked_for() -> None:
    with pytest.raises(InputError, match="--at"):
        temperature_of(damaged(measurement(), temperature=None), "a.nxs")
