"""Folded measurements come back from their files bit for bit, add exactly, and look to Mantid like its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.events.source import EventSource
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.folding.folded import Folded
from fcinv_core.folding.folded_file import merge_folded, read_folded, write_folded
from fcinv_core.nexus import read_mdhisto, write_mdhisto
from fcinv_core.qpath import QPath, standard_path
from fcinv_core.spectrum import SpectralGrid
from tests.crystals import crystal
from tests.folding.measurement import GRID, constant_scattering, detectors, make_runs
from tests.test_nexus import histogram, structure

SETTINGS = FoldSettings(GRID, widths=(0.25, 0.25), kikf_applied=False)


@pytest.fixture(scope="module")
def source(germanium: Crystal) -> EventSource:
    return constant_scattering(make_runs(germanium, 3), detectors(30, 8), 100.0, seed=0, weight=0.7)


@pytest.fixture(scope="module")
def folded(source: EventSource, germanium: Crystal, path: QPath) -> Folded:
    return fold(source, germanium, path, SETTINGS)


@pytest.fixture(scope="module")
def with_background(source: EventSource, germanium: Crystal, path: QPath) -> Folded:
    empty = constant_scattering(make_runs(germanium, 1, 90), detectors(30, 8), 20.0, seed=5)
    return fold(source, germanium, path, SETTINGS, background=empty)


@pytest.fixture(scope="module")
def volume(source: EventSource, germanium: Crystal) -> Folded:
    return fold(source, germanium, 6, SETTINGS)


def assert_identical(one: Any, other: Any, where: str = "folded") -> None:
    """Equal to the bit and in type, all the way down; sequences of a JSON are lists."""
    if is_dataclass(one):
        assert type(one) is type(other), where
        for field in fields(one):
            assert_identical(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        assert one.shape == other.shape, where
        assert one.tobytes() == other.tobytes(), where
    elif where.endswith("provenance"):
        assert json.loads(json.dumps(one)) == other, where
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_identical(a, b, f"{where}[{k}]")
    else:
        assert one == other, where


def part(source: EventSource, wanted: list[int], name: str) -> EventSource:
    """The events of some of the runs, by position."""
    runs = tuple(source.runs[k] for k in wanted)

    def read(size: int) -> Any:
        for chunk in source.chunks(size):
            mine = np.isin(chunk.run, wanted)
            place = np.searchsorted(wanted, chunk.run[mine])
            columns = {f.name: getattr(chunk, f.name)[mine] for f in fields(chunk) if f.name != "exposure"}
            yield type(chunk)(**{**columns, "run": place})

    return replace(
        source, description=name, runs=runs, detectors=tuple(source.detectors[k] for k in wanted), reader=read
    )


@pytest.mark.parametrize("kind", ["folded", "with_background", "volume"])
def test_file_gives_back_every_bit(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    one: Folded = request.getfixturevalue(kind)
    write_folded(tmp_path / "a.nxs", one)
    read, keep = read_folded(tmp_path / "a.nxs")
    assert_identical(one, read)
    np.testing.assert_array_equal(keep, one.cells.exposure > 0)
    write_folded(tmp_path / "b.nxs", read, keep=keep)
    assert_identical(read, read_folded(tmp_path / "b.nxs")[0])


@pytest.mark.parametrize("name", ["quartz", "ZrO2"])
def test_any_crystal_comes_back(name: str, tmp_path: Path) -> None:
    material = crystal(name)
    runs = tuple(replace(run, temperature=4.5 + k) for k, run in enumerate(make_runs(material, 2)))
    measured = constant_scattering(runs, detectors(20, 6), 3.0, seed=1)
    one = fold(measured, material, standard_path(material, 30), SETTINGS)
    write_folded(tmp_path / "a.nxs", one)
    read = read_folded(tmp_path / "a.nxs")[0]
    assert_identical(one, read)
    assert [run.temperature for run in read.runs] == [4.5, 5.5]


def test_histogram_is_the_intensity_over_path_point_and_energy(folded: Folded, tmp_path: Path) -> None:
    write_folded(tmp_path / "a.nxs", folded)
    histo, shown = read_mdhisto(tmp_path / "a.nxs"), folded.intensity()
    assert [d.id for d in histo.dimensions] == ["path", "DeltaE"]
    np.testing.assert_array_equal(histo.signal, shown.intensity)
    np.testing.assert_array_equal(histo.error_squared, shown.sigma**2)
    np.testing.assert_array_equal(histo.num_events, shown.counts)
    assert 0 < np.isnan(histo.signal).sum() < histo.signal.size
    # Bins are centred on the points, and a corner of two segments is one point.
    path = folded.bins.path
    assert path is not None
    edges = histo.dimensions[0].edges
    np.testing.assert_array_equal((edges[1:] + edges[:-1]) / 2, np.arange(path.n_points))
    stored = QPath.from_dict(histo.content["path"])
    assert stored.ticks == path.ticks
    joined = stored.distance[1:] - stored.distance[:-1] == 0
    assert joined.sum() == len(path.pieces) - 1, "two points share a distance at breaks only"
    assert histo.content["runs"] == [10, 11, 12]


def test_histogram_of_a_grid_is_over_irreducible_q_point_and_energy(volume: Folded, tmp_path: Path) -> None:
    write_folded(tmp_path / "a.nxs", volume)
    histo = read_mdhisto(tmp_path / "a.nxs")
    assert [d.id for d in histo.dimensions] == ["q_point", "DeltaE"]
    assert histo.signal.shape == (len(volume.bins), GRID.n_bins)
    np.testing.assert_array_equal(histo.signal, volume.intensity().intensity)
    np.testing.assert_array_equal(histo.collections["bins"]["q"], volume.bins.q)


def test_selected_zones_make_the_histogram_and_all_sums_are_kept(folded: Folded, tmp_path: Path) -> None:
    keep = folded.select(q_range=(0.0, 3.5))
    assert not keep.all()
    write_folded(tmp_path / "a.nxs", folded, keep=keep)
    read, kept = read_folded(tmp_path / "a.nxs")
    assert_identical(folded, read)
    np.testing.assert_array_equal(kept, keep)
    np.testing.assert_array_equal(read_mdhisto(tmp_path / "a.nxs").signal, folded.intensity(keep).intensity)


def test_sums_by_class_can_be_read_without_us(folded: Folded, tmp_path: Path) -> None:
    write_folded(tmp_path / "a.nxs", folded)
    with h5py.File(tmp_path / "a.nxs") as file:
        logs = file["MDHistoWorkspace/experiment0/logs"]
        cell, data, normalization, hkl = (
            logs[f"fcinv_classes_{name}/value"][()] for name in ("cell", "data", "normalization", "hkl")
        )
        signal = file["MDHistoWorkspace/data/signal"][()].T
    _, n_bins, n_energies = folded.shape
    assert set((cell // (n_bins * n_energies)).tolist()) <= set(range(len(hkl) // 3))
    covered = normalization > 0
    flat = (cell[covered] % (n_bins * n_energies)).astype(int)
    total = (
        np.bincount(flat, data[covered], n_bins * n_energies),
        np.bincount(flat, normalization[covered], n_bins * n_energies),
    )
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose((total[0] / total[1]).reshape(n_bins, n_energies), signal, rtol=1e-12)


def test_runs_added_to_an_earlier_file_are_the_fold_of_all(
    source: EventSource, germanium: Crystal, path: QPath, folded: Folded, tmp_path: Path
) -> None:
    for name, wanted in {"first": [0, 2], "second": [1]}.items():
        write_folded(tmp_path / f"{name}.nxs", fold(part(source, wanted, name), germanium, path, SETTINGS))
    stored = {name: read_folded(tmp_path / f"{name}.nxs")[0] for name in ("first", "second")}
    there, back = merge_folded(stored), merge_folded(dict(reversed(stored.items())))
    for added in (there, back):
        for name in ("runs", "zones", "hkl"):
            assert_identical(getattr(folded, name), getattr(added, name), name)
        np.testing.assert_array_equal(added.intensity().intensity, folded.intensity().intensity)
    write_folded(tmp_path / "sum.nxs", there)
    assert_identical(there, read_folded(tmp_path / "sum.nxs")[0])
    assert {one["source"] for one in there.provenance["merged"]} == {"first", "second"}
    with pytest.raises(InputError, match="run 10 is in both"):
        merge_folded({"first": stored["first"], "again": stored["first"]})
    with pytest.raises(InputError, match="nothing to add"):
        merge_folded({})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scale": 1.01}, "another crystal"),
        ({"symmetry_operations": "mmm"}, "8 symmetry operations and not 48"),
        ({"grid": SpectralGrid(2.0, 26.0, 6)}, "2 to 26 meV in 6 bins"),
        ({"widths": (0.2, 0.2)}, "other widths"),
        ({"points": 31}, "other points"),
        ({"divisions": 4}, "a grid of 4 divisions and not a path"),
    ],
)
def test_other_folds_are_not_added_and_the_difference_is_named(
    change: dict[str, Any], says: str, folded: Folded, path: QPath
) -> None:
    germanium = crystal("Ge")
    if "scale" in change:
        germanium = Crystal.from_cell(1.01 * germanium.lattice, germanium.positions, germanium.symbols)
    target: QPath | int = standard_path(germanium, change.get("points", 30))
    target = change.get("divisions", target)
    settings = replace(
        SETTINGS, **{k: v for k, v in change.items() if k in ("symmetry_operations", "grid", "widths")}
    )
    measured = constant_scattering(make_runs(germanium, 1, 70), detectors(20, 6), 3.0, seed=3)
    other = fold(measured, germanium, target, settings)
    with pytest.raises(InputError, match=says) as caught:
        merge_folded({"one.nxs": folded, "other.nxs": other})
    assert str(caught.value).startswith("other.nxs cannot be added to one.nxs")


def test_experiment_of_the_event_file_is_kept_and_passed_on(
    folded: Folded, tmp_path: Path, shared_data: Path
) -> None:
    events = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    write_folded(tmp_path / "a.nxs", folded, event_file=events)
    write_folded(tmp_path / "b.nxs", folded, event_file=tmp_path / "a.nxs")
    with h5py.File(events) as file:
        wanted = structure(file["MDEventWorkspace/experiment0"])
    for name in ("a.nxs", "b.nxs"):
        with h5py.File(tmp_path / name) as file:
            entry = file["MDHistoWorkspace"]
            assert [key for key in entry if key.startswith("experiment")] == ["experiment0"]
            given = structure(entry["experiment0"])
        given = {path: kind for path, kind in given.items() if path in wanted and "run_title" not in path}
        assert given == {path: kind for path, kind in wanted.items() if "run_title" not in path}
        assert_identical(folded, read_folded(tmp_path / name)[0])


def test_layout_equals_that_of_a_histogram_that_mantid_wrote(
    folded: Folded, tmp_path: Path, shared_data: Path
) -> None:
    write_folded(tmp_path / "a.nxs", folded)
    with (
        h5py.File(shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs") as real,
        h5py.File(tmp_path / "a.nxs") as ours,
    ):
        wanted, given = structure(real["MDHistoWorkspace"]), structure(ours["MDHistoWorkspace"])
    for name in ("", "coordinate_system", "visual_normalization", "data", "data/DeltaE"):
        assert given[name] == wanted[name]
    for name in ("signal", "errors_squared", "num_events", "mask"):
        assert given[f"data/{name}"] == wanted[f"data/{name}"]


def test_without_an_experiment_in_the_event_file_the_crystal_makes_one(folded: Folded, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "lean.nxs", "w") as file:
        file.create_group("MDEventWorkspace")
    write_folded(tmp_path / "a.nxs", folded, event_file=tmp_path / "lean.nxs")
    with h5py.File(tmp_path / "a.nxs") as file:
        assert file["MDHistoWorkspace/experiment0/sample"].attrs["name"] == b"Ge"
    (tmp_path / "text.nxs").write_text("no HDF5")
    with pytest.raises(InputError, match=r"text\.nxs cannot be copied"):
        write_folded(tmp_path / "b.nxs", folded, event_file=tmp_path / "text.nxs")


def _edit(change: Callable[[h5py.Group], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file["MDHistoWorkspace"])

    return spoil


def _change_content(key: str, value: Any) -> Callable[[Path], None]:
    def change(entry: h5py.Group) -> None:
        log = entry["experiment0/logs/fcinv"]
        content = json.loads(log["value"][0])
        if value is None:
            del content[key]
        else:
            content[key] = value
        del log["value"]
        log["value"] = [json.dumps(content)]

    return _edit(change)


def _shorten(name: str) -> Callable[[Path], None]:
    def change(entry: h5py.Group) -> None:
        log = entry[f"experiment0/logs/fcinv_runs_{name}"]
        values = log["value"][()]
        del log["value"]
        log["value"] = values[:-1]

    return _edit(change)


def _shorten_consistently(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path) as file:
            arrays = json.loads(file["MDHistoWorkspace/experiment0/logs/fcinv/value"][0])["arrays"]
        arrays["runs"][name][1][0] -= 1
        _change_content("arrays", arrays)(path)
        _shorten(name)(path)

    return change


def _alter(name: str) -> Callable[[Path], None]:
    def change(entry: h5py.Group) -> None:
        values = entry[f"experiment0/logs/fcinv_runs_{name}/value"]
        values[...] = values[()][::-1]

    return _edit(change)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "cannot be read as a histogram"),
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: write_mdhisto(path, histogram(), crystal("Ge")), "no folded measurement: Mantid or another"),
        (
            lambda path: write_mdhisto(path, histogram(content={"kind": "simulation"}), crystal("Ge")),
            "no folded measurement: it holds a simulation",
        ),
        (_change_content("schema", 99), "newer version"),
        (_change_content("grid_mev", None), "is damaged"),
        (_edit(lambda entry: entry.__delitem__("experiment0/logs/fcinv_runs_signal")), "cannot be read"),
        (_shorten("signal"), "cannot be read"),
        (_shorten_consistently("signal"), "is damaged: its parts do not fit: some cells have no sums"),
        (_alter("exposure_cells"), "is damaged: its parts do not fit: cells are out of order"),
        (_alter("exposure"), "the histogram is not the sum of the runs"),
    ],
)
def test_files_that_are_no_folded_measurement_are_refused_in_a_sentence(
    spoil: Callable[[Path], None], says: str, folded: Folded, tmp_path: Path
) -> None:
    file = tmp_path / "a.nxs"
    write_folded(file, folded)
    spoil(file)
    with pytest.raises(InputError, match=says) as caught:
        read_folded(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
