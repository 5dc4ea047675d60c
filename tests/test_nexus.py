"""Histograms are written as Mantid writes them, and read back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fcinv_core.errors import InputError
from fcinv_core.nexus import (
    SCHEMA,
    Dimension,
    MDHisto,
    energy_dimension,
    path_dimension,
    read_mdhisto,
    write_mdhisto,
)
from tests.crystals import crystal

#: What a simulated histogram has no use for: where it was cut from, what Mantid did to it, which Mantid it was.
NOT_OURS = ("transform_from_orig", "process/Mantid", "physical_detectors", "physical_monitors")


def histogram(**changes: Any) -> MDHisto:
    signal = np.arange(12.0).reshape(3, 4)
    parts: dict[str, Any] = {
        "signal": signal,
        "error_squared": signal + 0.5,
        "num_events": np.ones((3, 4)),
        "dimensions": (path_dimension(3), energy_dimension(np.linspace(0, 40, 5))),
    }
    return MDHisto(**{**parts, **changes})


def assert_equal(read: MDHisto, written: MDHisto) -> None:
    for name in ("signal", "error_squared", "num_events"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    for mine, theirs in zip(read.dimensions, written.dimensions, strict=True):
        assert (mine.id, mine.name, mine.units, mine.frame) == (theirs.id, theirs.name, theirs.units, theirs.frame)
        np.testing.assert_array_equal(mine.edges, theirs.edges)


def structure(entry: h5py.Group) -> dict[str, Any]:
    """Kind of everything in a group: HDF5 types, ranks, storage, and the types of attributes, by path."""

    def kind(type_id: Any) -> tuple[Any, ...]:
        if isinstance(type_id, h5py.h5t.TypeStringID):
            return ("string", type_id.get_cset(), type_id.get_strpad(), type_id.is_variable_str())
        return (type_id.dtype.str,)

    found: dict[str, Any] = {}

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        types: list[Any] = []
        if isinstance(item, h5py.Dataset):
            layout = item.id.get_create_plist()
            filters = [layout.get_filter(k)[0] for k in range(layout.get_nfilters())]
            types += [kind(item.id.get_type()), item.ndim, item.chunks is not None, filters]
        for name in sorted(item.attrs):
            attribute = h5py.h5a.open(item.id, name.encode())
            value = item.attrs[name] if name in ("NX_class", "version", "SaveMDVersion") else None
            types.append((name, kind(attribute.get_type()), attribute.shape, value))
        found[path] = types

    entry.visititems(visit)
    visit("", entry)
    return found


def test_layout_equals_that_of_a_file_that_mantid_wrote(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs"
    with h5py.File(source) as real:
        experiment = real["MDHistoWorkspace/experiment0"]
        write_mdhisto(tmp_path / "copy.nxs", read_mdhisto(source), experiment)
        wanted = structure(real["MDHistoWorkspace"])
    with h5py.File(tmp_path / "copy.nxs") as ours:
        given = structure(ours["MDHistoWorkspace"])
    del given["experiment0/logs/fcinv"], given["experiment0/logs/fcinv/value"]
    wanted = {
        path: kind
        for path, kind in wanted.items()
        if not any(path.startswith((part, "experiment1", "experiment2")) for part in NOT_OURS)
    }
    assert given == wanted


def test_experiment_made_of_a_crystal_has_the_layout_of_mantids(tmp_path: Path, shared_data: Path) -> None:
    write_mdhisto(tmp_path / "iqe.nxs", histogram(logs={"Ei": 9.0}), crystal("Ge"))
    with (
        h5py.File(shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs") as real,
        h5py.File(tmp_path / "iqe.nxs") as ours,
    ):
        wanted = structure(real["MDHistoWorkspace/experiment0"])
        given = structure(ours["MDHistoWorkspace/experiment0"])
    unknown = {path for path in given if path not in wanted}
    assert unknown == {"logs/fcinv", "logs/fcinv/value"}
    assert {path: given[path] for path in given if path in wanted} == {
        path: wanted[path] for path in wanted if path in given
    }
    left_out = {path.split("/")[0] + "/" + path.split("/")[1] for path in wanted if path not in given}
    assert left_out <= {
        *("instrument/physical_detectors", "instrument/physical_monitors", "logs/goniometer", "logs/psi"),
        *("logs/RUBW_MATRIX", "logs/W_MATRIX", "logs/gd_prtn_chrg", "logs/processed_histogram_bins"),
    }


def test_mantids_own_histogram_reads_as_stored(shared_data: Path) -> None:
    histo = read_mdhisto(shared_data / "mantid" / "toy_qx_dE_mdhisto2d.nxs")
    assert [(d.id, d.name, d.units, d.frame) for d in histo.dimensions] == [
        ("Q1", "Q_sample_x", "Angstrom^-1", "QSample"),
        ("DeltaE", "DeltaE", "DeltaE", "DeltaE"),
    ]
    assert histo.signal.shape == (16, 9)
    # The file's first row is the lowest energy: 38, 60, 79 ... along Q.
    assert histo.signal[:3, 0].tolist() == [38.0, 60.0, 79.0]
    assert histo.logs["Ei"] == 9.0
    assert histo.logs["W_MATRIX"] == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert histo.content == {}


# Signals of any float, NaN and infinity included.
_FLOATS = st.floats(width=64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_any_histogram_reads_back_equal(tmp_path: Path, data: st.DataObject, shape: list[int]) -> None:
    blocks = [data.draw(arrays(np.float64, shape, elements=_FLOATS)) for _ in range(3)]
    dimensions = tuple(
        Dimension(f"D{k}", f"axis {k}", data.draw(st.sampled_from(["", "meV", "1/Å"])), "General Frame", edges)
        for k, edges in enumerate(np.arange(n + 1.0) * (k + 0.5) - 3 for k, n in enumerate(shape))
    )
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(str.strip)
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    values = text | numbers | st.lists(numbers, min_size=2, max_size=5).map(tuple)
    logs = data.draw(st.dictionaries(st.text("abc_", min_size=1, max_size=5), values, max_size=3))
    content = data.draw(st.dictionaries(text.filter(lambda key: key != "schema"), values.map(_plain), max_size=3))
    written = MDHisto(blocks[0], blocks[1], blocks[2], dimensions, logs, content)
    write_mdhisto(tmp_path / "any.nxs", written, crystal("Nb"))
    read = read_mdhisto(tmp_path / "any.nxs")
    assert_equal(read, written)
    assert read.logs == logs
    assert read.content == content


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_nan_marks_unknown_bins_through_the_file(tmp_path: Path) -> None:
    signal = np.full((3, 4), np.nan)
    signal[1, 2] = 0.0
    write_mdhisto(tmp_path / "a.nxs", histogram(signal=signal), crystal("Ge"))
    read = read_mdhisto(tmp_path / "a.nxs")
    assert np.isnan(read.signal).sum() == 11
    assert read.signal[1, 2] == 0.0


def test_collections_travel_as_lists_of_numbers_among_the_logs(tmp_path: Path) -> None:
    classes = {"D": np.arange(24.0).reshape(2, 3, 4), "N": np.arange(6, dtype=np.int32), "none": np.empty((0, 3))}
    write_mdhisto(tmp_path / "a.nxs", histogram(collections={"classes": classes}), crystal("Ge"))
    read = read_mdhisto(tmp_path / "a.nxs").collections["classes"]
    assert read["N"].dtype == np.int32
    for name, array in classes.items():
        np.testing.assert_array_equal(read[name], array)
    with h5py.File(tmp_path / "a.nxs") as file:
        # Mantid takes the last root group for the entry: there must be no other.
        assert list(file) == ["MDHistoWorkspace"]
        logs = file["MDHistoWorkspace/experiment0/logs"]
        assert logs["fcinv_classes_D"].attrs["NX_class"] == b"NXlog"
        for name in ("D", "N"):
            # Of all kinds of numbers, Mantid keeps lists of double precision only.
            values = logs[f"fcinv_classes_{name}/value"]
            assert values.dtype == np.float64
            np.testing.assert_array_equal(values, classes[name].ravel())
        assert "fcinv_classes_none" not in logs, "an empty list has no place in a NeXus file"


def test_strings_keep_their_last_character_when_read_as_mantid_reads(tmp_path: Path) -> None:
    write_mdhisto(tmp_path / "a.nxs", histogram(logs={"note": "the end."}), crystal("Ge"))
    with h5py.File(tmp_path / "a.nxs") as file:
        for name, wanted in {"note": b"the end.", "fcinv": b'{"schema": 1}'}.items():
            dataset = file[f"MDHistoWorkspace/experiment0/logs/{name}/value"].id
            as_mantid = h5py.h5t.C_S1.copy()
            as_mantid.set_size(dataset.get_type().get_size())
            buffer = np.zeros(1, dtype=f"S{as_mantid.get_size()}")
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, buffer, mtype=as_mantid)
            assert buffer[0] == wanted


@pytest.mark.parametrize("name", ["Ge", "quartz", "Bi", "ZrO2", "triclinic P1"])
def test_ub_matrix_gives_q_of_conventional_indices(tmp_path: Path, name: str) -> None:
    sample = crystal(name)
    write_mdhisto(tmp_path / "a.nxs", histogram(), sample)
    with h5py.File(tmp_path / "a.nxs") as file:
        lattice = file["MDHistoWorkspace/experiment0/sample/oriented_lattice"]
        ub = lattice["orientation_matrix"][()]
        cell = [lattice[f"unit_cell_{part}"][0] for part in ("a", "b", "c", "alpha", "beta", "gamma")]
    q = 2 * np.pi * ub @ [1.0, -2.0, 3.0]
    conventional = 2 * np.pi * np.linalg.inv(sample.conventional_lattice).T
    np.testing.assert_allclose(q, [1.0, -2.0, 3.0] @ conventional, atol=1e-12)
    # A rotation and no mirror image, or Mantid refuses to split UB into U and B.
    assert np.linalg.det(ub) > 0
    metric = np.linalg.inv(ub.T @ ub)
    np.testing.assert_allclose(np.sqrt(np.diag(metric)), cell[:3])
    np.testing.assert_allclose(metric[0, 1] / (cell[0] * cell[1]), np.cos(np.radians(cell[5])), atol=1e-12)


def test_copied_experiment_keeps_its_logs_and_loses_an_older_content(tmp_path: Path) -> None:
    first = histogram(logs={"Ei": 40.0, "run_title": "Ge"}, content={"kind": "simulation"})
    write_mdhisto(tmp_path / "a.nxs", first, crystal("Ge"))
    with h5py.File(tmp_path / "a.nxs") as source:
        copied = histogram(logs={"run_title": "folded"})
        write_mdhisto(tmp_path / "b.nxs", copied, source["MDHistoWorkspace/experiment0"])
    read = read_mdhisto(tmp_path / "b.nxs")
    assert read.logs == {"Ei": 40.0, "run_title": "folded"}
    assert read.content == {}


def test_experiment_of_an_event_file_is_taken_over(tmp_path: Path, shared_data: Path) -> None:
    with h5py.File(shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs") as events:
        experiment = events["MDEventWorkspace/experiment0"]
        write_mdhisto(tmp_path / "a.nxs", histogram(), experiment)
        wanted = structure(experiment)
    with h5py.File(tmp_path / "a.nxs") as file:
        given = structure(file["MDHistoWorkspace/experiment0"])
    assert set(given) - set(wanted) == {"logs/fcinv", "logs/fcinv/value"}
    assert {path: given[path] for path in wanted} == wanted


@pytest.mark.parametrize(
    ("edges", "identifier", "name", "says"),
    [
        ([0.0, 1.0, 3.0, 4.0], "E", "energy", "bins of one width"),
        ([3.0, 2.0, 1.0, 0.0], "E", "energy", "bins of one width"),
        ([0.0, 1.0, np.nan, 3.0], "E", "energy", "bins of one width"),
        ([0.0, 1.0, 2.0, 3.0], "E:1", "energy", "without colon"),
        ([0.0, 1.0, 2.0, 3.0], "E", "x", "two letters"),
    ],
)
def test_what_mantid_would_misread_is_not_written(
    tmp_path: Path, edges: list[float], identifier: str, name: str, says: str
) -> None:
    block = np.zeros(3)
    axis = Dimension(identifier, name, "meV", "General Frame", np.array(edges))
    with pytest.raises(InputError, match=says):
        write_mdhisto(tmp_path / "a.nxs", MDHisto(block, block, block, (axis,)), crystal("Ge"))
    assert list(tmp_path.iterdir()) == []


def test_blocks_that_do_not_fit_the_axes_are_no_histogram() -> None:
    with pytest.raises(ValueError, match="error_squared has shape"):
        histogram(error_squared=np.zeros((4, 3)))


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without_errors(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["MDHistoWorkspace/data/errors_squared"]


def _of_other_size(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["MDHistoWorkspace/data/mask"], file["MDHistoWorkspace/data/signal"]
        signal = file["MDHistoWorkspace/data"].create_dataset("signal", data=np.zeros((4, 2)))
        signal.attrs["axes"] = "DeltaE:path"


def _of_newer_schema(path: Path) -> None:
    with h5py.File(path, "a") as file:
        log = file["MDHistoWorkspace/experiment0/logs/fcinv"]
        del log["value"]
        log["value"] = [json.dumps({"schema": SCHEMA + 1})]


def _of_older_layout(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["MDHistoWorkspace"].attrs["SaveMDVersion"] = 1


def _of_newer_layout(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["MDHistoWorkspace"].attrs["SaveMDVersion"] = 3


def _of_events(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("MDEventWorkspace")


def _of_others(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["temperature"] = 5.0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut_short, "cannot be read as a histogram"),
        (_without_errors, "cannot be read as a histogram"),
        (_of_other_size, "cannot be read as a histogram: signal has shape"),
        (_of_newer_schema, "newer version of fcinv"),
        (_of_older_layout, "SaveMDVersion is 1, not 2"),
        (_of_newer_layout, "use a newer version of fcinv"),
        (_of_events, "it holds events; fold or bin"),
        (_of_others, "no group MDHistoWorkspace"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("energies"), "cannot be read as a histogram"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_a_sentence(tmp_path: Path, spoil: Any, says: str) -> None:
    path = tmp_path / "a.nxs"
    write_mdhisto(path, histogram(), crystal("Ge"))
    spoil(path)
    with pytest.raises(InputError, match=says) as caught:
        read_mdhisto(path)
    assert "\n" not in str(caught.value)


def test_failed_writing_leaves_the_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.nxs"
    write_mdhisto(path, histogram(), crystal("Ge"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_mdhisto(path, histogram(content={"x": float("nan")}), crystal("Ge"))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nxs"]
