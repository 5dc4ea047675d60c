"""Files written in SaveMD's layout: what comes back, the tree of boxes, and the structure of real ones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import EventChunk, instrument_definition, open_events, write_mdevent
from fcinv_core.events import mdevent_writer as writer

COLUMNS = ("q_sample", "energy", "signal", "error_squared", "run", "detector")


def collect(source, size: int = 1_000_000) -> EventChunk:
    chunks = list(source.chunks(size))
    return EventChunk(*(np.concatenate([getattr(c, key) for c in chunks]) for key in COLUMNS))


def in_order(events: EventChunk) -> EventChunk:
    order = np.lexsort((events.q_sample[:, 0], events.energy, events.detector, events.run))
    return EventChunk(*(getattr(events, key)[order] for key in COLUMNS))


def test_events_come_back_exactly(measurement, event_file) -> None:
    source = open_events(event_file)
    assert source.n_events == 20_000
    assert not source.lean
    assert source.energy_bin_width is None
    back, given = in_order(collect(source, 700)), in_order(measurement.events)
    for key in COLUMNS:
        assert np.array_equal(getattr(back, key), getattr(given, key)), key


def test_runs_and_detectors_come_back(measurement, event_file) -> None:
    source = open_events(event_file)
    for back, given in zip(source.runs, measurement.runs, strict=True):
        assert (back.number, back.title, back.notes) == (given.number, given.title, ())
        assert back.temperature == given.temperature
        assert back.proton_charge == given.proton_charge
        assert back.energy_limits == given.energy_limits
        np.testing.assert_allclose(back.goniometer, given.goniometer, atol=1e-14)
        assert np.array_equal(back.ub, given.ub)
        assert np.array_equal(back.energy_edges, given.energy_edges)
        assert back.logs["magnetfield"] == 0.5
        assert back.logs["vmode"] == "fixed"
    assert len({id(one) for one in source.detectors}) == 1
    back, given = source.detectors[0], measurement.detectors
    assert np.array_equal(back.ids, given.ids)
    assert np.array_equal(back.masked, given.masked)
    for key in ("two_theta", "azimuth", "distance"):
        np.testing.assert_allclose(getattr(back, key), getattr(given, key), rtol=1e-14)
    np.testing.assert_allclose(back.solid_angle, 0.0025 / given.distance**2, rtol=1e-6)


def test_histogrammed_files_are_recognised(histogrammed, tmp_path) -> None:
    assert open_events(histogrammed.write(tmp_path / "h.nxs")).energy_bin_width == pytest.approx(0.5)


def test_detectors_of_each_run_are_kept_apart(measurement, tmp_path) -> None:
    moved = replace(measurement.detectors, two_theta=measurement.detectors.two_theta + 0.1)
    each = [measurement.detectors, moved, measurement.detectors]
    path = tmp_path / "moved.nxs"
    options = {"instrument_name": "SMALL", "instrument_xml": measurement.definition}
    write_mdevent(path, [measurement.events], measurement.runs, each, **options)
    back = open_events(path).detectors
    assert back[0] is back[2]
    np.testing.assert_allclose(back[1].two_theta, moved.two_theta)


def test_boxes_hold_the_events_that_lie_in_them(event_file) -> None:
    with h5py.File(event_file) as file:
        entry = file["MDEventWorkspace"]
        rows, boxes = entry["event_data/event_data"][()], entry["box_structure"]
        kind, index = boxes["box_type"][()], boxes["box_event_index"][()].astype(int)
        extents, children = boxes["extents"][()].reshape(-1, 4, 2), boxes["box_children"][()]
        weights = boxes["box_signal_errorsquared"][()]
        controller = ElementTree.fromstring(boxes.attrs["box_controller_xml"].decode())
        volumes = boxes["inverse_volume"][()]
    assert kind[0] == 2
    assert (kind[1:] == 1).all()
    assert children[0].tolist() == [1, len(kind) - 1]
    assert index[kind == 1, 1].sum() == len(rows)
    assert controller.findtext("MaxId") == str(len(kind))
    splits = [int(n) for n in controller.findtext("SplitInto").split(",")]
    assert np.prod(splits) == len(kind) - 1
    # The first dimension runs fastest, as MDGridBox numbers its children.
    assert extents[2, 0, 0] == extents[1, 0, 1]
    np.testing.assert_allclose(1 / volumes, np.prod(extents[:, :, 1] - extents[:, :, 0], axis=1))
    for box in np.flatnonzero(kind == 1):
        start, number = index[box]
        inside = rows[start : start + number, 4:]
        assert (inside >= extents[box, :, 0]).all()
        assert (inside < extents[box, :, 1]).all()
        np.testing.assert_allclose(weights[box], rows[start : start + number, :2].sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(weights[0], weights[1:].sum(axis=0))


def test_few_events_make_a_single_box(measurement, tmp_path) -> None:
    path = tmp_path / "few.nxs"
    few = replace(measurement, events=measurement.events.between(0, 40)).write(path, compression=0)
    with h5py.File(few) as file:
        boxes = file["MDEventWorkspace/box_structure"]
        assert boxes["box_type"][()].tolist() == [1]
        assert boxes["box_event_index"][()].tolist() == [[0, 40]]
    assert open_events(few).n_events == 40


def test_many_small_chunks_give_the_same_file(measurement, event_file, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "SORTED_AT_ONCE", 701)
    events = measurement.events
    path = tmp_path / "chunks.nxs"
    write_mdevent(
        path,
        (events.between(k, k + 3333) for k in range(0, 20_000, 3333)),
        measurement.runs,
        measurement.detectors,
        instrument_name="SMALL",
        instrument_xml=measurement.definition,
    )
    with h5py.File(path) as one, h5py.File(event_file) as other:
        place = "MDEventWorkspace/event_data/event_data"
        assert np.array_equal(one[place][()], other[place][()])


def test_provenance_is_kept_as_a_log(measurement, tmp_path) -> None:
    path = measurement.write(tmp_path / "p.nxs", provenance={"fcinv_provenance": '{"seed": 3}'}, title="Virtual Å")
    with h5py.File(path) as file:
        entry = file["MDEventWorkspace"]
        assert entry.attrs["title"].decode() == "Virtual Å"
        assert entry["experiment0/logs/fcinv_provenance/value"][0] == b'{"seed": 3}'
        assert "fcinv_provenance" not in entry["experiment1/logs"]


def test_what_does_not_fit_the_format_is_refused_and_leaves_no_file(measurement, tmp_path) -> None:
    path = tmp_path / "bad.nxs"
    options = {"instrument_name": "SMALL", "instrument_xml": measurement.definition}
    events = measurement.events
    cases = [
        ([], "0 events"),
        ([replace(events, run=events.run - 1)], "runs -1 to 1 of 3"),
        ([replace(events, detector=events.detector + 2**24)], "does not fit the format"),
        ([replace(events, energy=np.full(len(events), np.nan))], "finite"),
    ]
    for chunks, word in cases:
        with pytest.raises(InputError, match=word):
            write_mdevent(path, chunks, measurement.runs, measurement.detectors, **options)
    with pytest.raises(InputError, match="1 sets of detectors for 3 runs"):
        write_mdevent(path, [events], measurement.runs, [measurement.detectors], **options)
    assert list(tmp_path.iterdir()) == []


def test_writing_and_reading_take_no_more_memory_for_more_events(measurement, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "SORTED_AT_ONCE", 20_000)
    monkeypatch.setattr(writer, "ROWS", 1000)

    def peak(repeats: int) -> int:
        path = tmp_path / f"{repeats}.nxs"
        tracemalloc.start()
        write_mdevent(
            path,
            (measurement.events for _ in range(repeats)),
            measurement.runs,
            measurement.detectors,
            instrument_name="SMALL",
            instrument_xml=measurement.definition,
            compression=1,
        )
        assert sum(len(chunk) for chunk in open_events(path).chunks(20_000)) == 20_000 * repeats
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # imports and caches
    assert peak(20) < 1.2 * peak(5)


def structure(group: h5py.Group) -> dict[str, tuple[object, ...]]:
    """Name of everything below a group, with its type and the names of its attributes."""
    found: dict[str, tuple[object, ...]] = {}

    def walk(place: h5py.Group, above: str) -> None:
        for key, node in place.items():
            name = above + key
            attributes = tuple(sorted((one, np.asarray(node.attrs[one]).dtype.kind) for one in node.attrs))
            if isinstance(node, h5py.Group):
                found[name] = ("group", attributes)
                walk(node, name + "/")
            else:
                size = 0 if node.dtype.kind == "S" else node.dtype.itemsize
                found[name] = (node.dtype.kind, size, node.ndim, node.maxshape[0] is None, attributes)

    walk(group, "")
    return found


def test_structure_equals_that_of_a_file_of_mantid(shared_data, tmp_path) -> None:
    real = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    source = open_events(real)
    path = tmp_path / "copy.nxs"
    with h5py.File(real) as file:
        definition = file["MDEventWorkspace/experiment0/instrument/instrument_xml/data"][0].decode()
    write_mdevent(
        path, source.chunks(), source.runs, source.detectors, instrument_name="TOYDGS", instrument_xml=definition
    )
    with h5py.File(real) as file, h5py.File(path) as copy:
        wanted, got = structure(file["MDEventWorkspace"]), structure(copy["MDEventWorkspace"])
        wanted_attributes = set(file["MDEventWorkspace"].attrs)
        assert set(copy["MDEventWorkspace"].attrs) == wanted_attributes
    ours = {name: what for name, what in got.items() if name in wanted}
    missing = {name for name in wanted if name not in got and not name.startswith("process/")}
    assert missing == set()
    assert {name: what for name, what in wanted.items() if name in ours} == ours
    logs = ("MDNorm_low", "MDNorm_high", "run_number", "run_title")
    extra = {name for name in got if name not in wanted}
    assert all(name.split("/")[2] in logs for name in extra)
    back, given = in_order(collect(open_events(path))), in_order(collect(source))
    for key in COLUMNS:
        assert np.array_equal(getattr(back, key), getattr(given, key)), key


def test_a_definition_with_many_pixels_is_stored_once(measurement, tmp_path) -> None:
    path = measurement.write(tmp_path / "linked.nxs")
    with h5py.File(path) as file:
        groups = [file[f"MDEventWorkspace/experiment{k}/instrument"] for k in range(3)]
        assert len({h5py.h5o.get_info(group.id).addr for group in groups}) == 1
    assert "pixel100" in instrument_definition(
        "SMALL", measurement.detectors, source_distance=1, pixel_width=1, pixel_height=1
    )
