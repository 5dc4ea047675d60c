"""MDEvent files: columns, frames, goniometers, logs, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import axis_rotation, open_events

TABLE = "MDEventWorkspace/event_data/event_data"


@pytest.fixture
def copy(event_file: Path, tmp_path: Path) -> Path:
    """A copy of the written file that a test may change."""
    return Path(shutil.copy(event_file, tmp_path / "changed.nxs"))


def table(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file[TABLE][()]


def replace_table(path: Path, rows: np.ndarray, description: str) -> None:
    with h5py.File(path, "r+") as file:
        del file[TABLE]
        file[TABLE] = rows.astype(np.float32)
        file[TABLE].attrs["description"] = np.bytes_(description)


def rename_axes(path: Path, frame: str, names: list[str], system: int) -> None:
    with h5py.File(path, "r+") as file:
        entry = file["MDEventWorkspace"]
        for k, name in enumerate(names):
            entry.attrs[f"dimension{k}"] = np.bytes_(
                f'<Dimension ID="Q{k + 1}"><Name>{name}</Name><Units>A</Units><Frame>{frame}</Frame></Dimension>'
            )
        entry["coordinate_system"][0] = system


def only(source):
    (chunk,) = source.chunks()
    return chunk


NEW = "signal, errorSquared, expInfoIndex, goniometerIndex, detectorId, center (each dim.)"


def test_the_goniometer_column_of_newer_versions_changes_nothing(copy) -> None:
    before, rows = only(open_events(copy)), table(copy)
    replace_table(copy, np.insert(rows, 3, 0.0, axis=1), NEW)
    after = only(open_events(copy))
    for key in ("q_sample", "energy", "signal", "error_squared", "run", "detector"):
        assert np.array_equal(getattr(after, key), getattr(before, key))


def test_a_layout_that_is_not_described_goes_by_its_number_of_columns(copy) -> None:
    before, rows = only(open_events(copy)), table(copy)
    replace_table(copy, np.insert(rows, 3, 7.0, axis=1), "")
    assert np.array_equal(only(open_events(copy)).run, before.run)


def test_several_goniometer_settings_of_one_run_are_runs_of_their_own(copy) -> None:
    rows = table(copy)
    setting = (np.arange(len(rows)) % 2) * (rows[:, 2] == 1)
    replace_table(copy, np.insert(rows, 3, setting, axis=1), NEW)
    with h5py.File(copy, "r+") as file:
        logs = file["MDEventWorkspace/experiment1/logs"]
        several = logs.create_group("goniometers")
        several["num_goniometer"] = [2]
        logs.move("goniometer", "goniometers/goniometer0")
        logs.copy("goniometers/goniometer0", "goniometers/goniometer1")
        several["goniometer1/axis0/angle"][...] += 5
    source = open_events(copy)
    assert len(source.runs) == 4
    assert [run.number for run in source.runs] == [500, 501, 501, 502]
    assert [run.proton_charge for run in source.runs] == [1.0, 1.0, 1.0, 3.0]
    assert not np.allclose(source.runs[1].goniometer, source.runs[2].goniometer)
    expected = np.array([0, 1, 3])[rows[:, 2].astype(int)] + setting.astype(int)
    assert np.array_equal(only(source).run, expected)


def test_lean_events_know_no_run_and_no_detector(copy, measurement) -> None:
    rows = table(copy)
    replace_table(copy, rows[:, [0, 1, 4, 5, 6, 7]], "signal, errorSquared, center (each dim.)")
    with h5py.File(copy, "r+") as file:
        file["MDEventWorkspace"].attrs["event_type"] = np.bytes_("MDLeanEvent")
    source = open_events(copy)
    assert source.lean
    assert len(source.runs) == 3
    assert set(only(source).run) == {-1}
    assert set(only(source).detector) == {-1}
    with h5py.File(copy, "r+") as file:
        for k in range(3):
            del file[f"MDEventWorkspace/experiment{k}"]
    source = open_events(copy)
    assert source.runs == ()
    with pytest.raises(InputError, match=r"lean event file without experiment info.*give --ub"):
        source.require_runs()
    stated = open_events(copy, ub=measurement.runs[0].ub, incident_energy=30.0)
    assert stated.require_runs()[0].incident_energy == 30.0
    assert set(only(stated).run) == {0}
    assert "as given" in stated.runs[0].notes[0]
    rename_axes(copy, "QLab", ["Q_lab_x", "Q_lab_y", "Q_lab_z"], 1)
    with pytest.raises(InputError, match="laboratory frame"):
        open_events(copy)
    turned = open_events(copy, goniometer=axis_rotation((0, 1, 0), 90))
    np.testing.assert_allclose(only(turned).q_sample[:, 0], -rows[:, 6], atol=1e-6)


def test_lean_events_of_several_rotations_in_the_laboratory_frame_are_refused(copy) -> None:
    rows = table(copy)
    replace_table(copy, rows[:, [0, 1, 4, 5, 6, 7]], "signal, errorSquared, center (each dim.)")
    rename_axes(copy, "QLab", ["Q_lab_x", "Q_lab_y", "Q_lab_z"], 1)
    with pytest.raises(InputError, match="lean events of 3 runs in QLab"):
        open_events(copy)


def test_q_lab_is_turned_back_by_the_goniometer_of_each_run(copy, measurement) -> None:
    before, rows = only(open_events(copy)), table(copy)
    for k, run in enumerate(measurement.runs):
        mine = rows[:, 2] == k
        rows[mine, 4:7] = rows[mine, 4:7] @ run.goniometer.T
    replace_table(copy, rows, "signal, errorSquared, runIndex, detectorId, center (each dim.)")
    rename_axes(copy, "QLab", ["Q_lab_x", "Q_lab_y", "Q_lab_z"], 1)
    np.testing.assert_allclose(only(open_events(copy)).q_sample, before.q_sample, atol=2e-6)


@pytest.mark.parametrize("stored", [True, False], ids=["W matrix", "names"])
def test_hkl_is_turned_into_q_by_ub_and_projection(copy, measurement, stored) -> None:
    before, rows = only(open_events(copy)), table(copy)
    w = np.array([[1.0, 1, 0], [1, -1, 0], [0, 0, 1]])
    rows[:, 4:7] = rows[:, 4:7] @ np.linalg.inv(2 * np.pi * measurement.runs[0].ub @ w).T
    replace_table(copy, rows, "signal, errorSquared, runIndex, detectorId, center (each dim.)")
    rename_axes(copy, "HKL", ["[H,H,0]", "[H,-H,0]", "[0,0,L]"], 3)
    with h5py.File(copy, "r+") as file:
        for k in range(3):
            node = file[f"MDEventWorkspace/experiment{k}/logs"]
            if stored:
                node["W_MATRIX/value"][...] = w.ravel()
            else:
                del node["W_MATRIX"]
    np.testing.assert_allclose(only(open_events(copy)).q_sample, before.q_sample, atol=2e-6)
    # A refined UB is that of the runs, while (h, k, l) were made with the one in the file.
    refined = open_events(copy, ub=1.01 * measurement.runs[0].ub)
    np.testing.assert_allclose(refined.runs[0].ub, 1.01 * measurement.runs[0].ub)
    np.testing.assert_allclose(only(refined).q_sample, before.q_sample, atol=2e-6)


def test_the_crystallographic_convention_is_undone(copy) -> None:
    before = only(open_events(copy))
    with h5py.File(copy, "r+") as file:
        file["MDEventWorkspace"].attrs["QConvention"] = np.bytes_("Crystallography")
    np.testing.assert_array_equal(only(open_events(copy)).q_sample, -before.q_sample)


def test_rows_outside_the_boxes_are_left_out(copy) -> None:
    with h5py.File(copy, "r+") as file:
        boxes = file["MDEventWorkspace/box_structure"]
        leaf = int(np.argmax(boxes["box_event_index"][:, 1]))
        dropped = int(boxes["box_event_index"][leaf, 1])
        boxes["box_event_index"][leaf] = [0, 0]
    source = open_events(copy)
    assert source.n_events == 20_000 - dropped
    assert sum(len(chunk) for chunk in source.chunks(1000)) == source.n_events


def test_axes_of_the_goniometer_multiply_from_the_outermost(copy) -> None:
    with h5py.File(copy, "r+") as file:
        goniometer = file["MDEventWorkspace/experiment0/logs/goniometer"]
        goniometer["num_axes"][0] = 2
        goniometer.copy("axis0", "axis1")
        for name, axis, angle, sense, unit in (
            ("axis0", [0, 1, 0], 30.0, "CCW", "deg"),
            ("axis1", [0, 0, 2], np.radians(20.0), "CW", "rad"),
        ):
            goniometer[name]["rotationaxis"][...] = axis
            goniometer[name]["angle"][...] = angle
            goniometer[name]["angle"].attrs["sense"] = np.bytes_(sense)
            goniometer[name]["angle"].attrs["unit"] = np.bytes_(unit)
    expected = axis_rotation((0, 1, 0), 30) @ axis_rotation((0, 0, 1), -20)
    np.testing.assert_allclose(open_events(copy).runs[0].goniometer, expected, atol=1e-14)


def test_what_a_run_does_not_say_is_assumed_and_noted(copy) -> None:
    with h5py.File(copy, "r+") as file:
        logs = file["MDEventWorkspace/experiment0/logs"]
        for name in ("gd_prtn_chrg", "MDNorm_low", "MDNorm_high", "run_number", "SampleTemp"):
            del logs[name]
        logs["goniometer/num_axes"][0] = 0
        logs["processed_histogram_bins/value"][...] = np.linspace(-4, 20, 61)
    run = open_events(copy).runs[0]
    assert run.number == 0
    assert run.proton_charge == 1.0
    assert run.temperature is None
    assert run.energy_limits == (-4.0, 20.0)
    assert any("proton charge" in note for note in run.notes)
    assert any("goniometer" in note for note in run.notes)


def test_proton_charge_is_summed_from_pulses(copy) -> None:
    with h5py.File(copy, "r+") as file:
        logs = file["MDEventWorkspace/experiment0/logs"]
        del logs["gd_prtn_chrg"]
        logs["proton_charge/value"] = np.full(1000, 3.6e9)
        logs["proton_charge/value"].attrs["units"] = np.bytes_("picoCoulombs")
    assert open_events(copy).runs[0].proton_charge == pytest.approx(1000.0)


def test_incident_energy_may_come_from_another_log_or_be_given(copy) -> None:
    with h5py.File(copy, "r+") as file:
        for k in range(3):
            logs = file[f"MDEventWorkspace/experiment{k}/logs"]
            logs.move("Ei", "EnergyRequest")
            logs["EnergyRequest/value"][0] = 31.0
    assert open_events(copy).runs[0].incident_energy == 31.0
    assert open_events(copy, incident_energy=30.5).runs[0].incident_energy == 30.5


def delete(*names: str):
    def change(file: h5py.File) -> None:
        for name in names:
            del file[f"MDEventWorkspace/{name}"]

    return change


def set_axes(count: int):
    def change(file: h5py.File) -> None:
        file["MDEventWorkspace/dimensions"][0] = count

    return change


def empty_boxes(file: h5py.File) -> None:
    file["MDEventWorkspace/box_structure/box_event_index"][...] = 0


def point_beyond(file: h5py.File) -> None:
    file["MDEventWorkspace/box_structure/box_event_index"][1] = [19_990, 100]


def unknown_frame(file: h5py.File) -> None:
    for k, name in enumerate("abc"):
        file["MDEventWorkspace"].attrs[f"dimension{k}"] = np.bytes_(
            f'<Dimension ID="{name}"><Name>{name}</Name><Frame>General Frame</Frame></Dimension>'
        )
    file["MDEventWorkspace/coordinate_system"][0] = 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (delete("experiment1/sample/oriented_lattice"), "no UB matrix for experiment 1.*give --ub"),
        (delete("experiment2/logs/Ei"), "no incident energy for experiment 2.*give --ei"),
        (delete("event_data/event_data"), "holds no events"),
        (set_axes(3), "3 dimensions"),
        (set_axes(5), "dimensions are not described"),
        (empty_boxes, "holds no events"),
        (point_beyond, "truncated"),
        (unknown_frame, "frame of .* is not known"),
    ],
)
def test_files_that_cannot_be_used_are_refused_with_a_reason(copy, change, word) -> None:
    with h5py.File(copy, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=word):
        open_events(copy)


def test_an_unknown_layout_of_columns_is_refused(copy) -> None:
    replace_table(copy, np.insert(table(copy), [0, 0], 0.0, axis=1), "what, ever, center (each dim.)")
    with pytest.raises(InputError, match="unknown layout"):
        open_events(copy)


def test_events_of_a_run_that_is_not_there_are_refused(copy) -> None:
    rows = table(copy)
    rows[-1, 2] = 9
    replace_table(copy, rows, "signal, errorSquared, runIndex, detectorId, center (each dim.)")
    with pytest.raises(InputError, match="experiment 9"):
        list(open_events(copy).chunks())


def test_files_of_another_kind_are_refused(tmp_path, event_file) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_events(tmp_path / "nowhere.nxs")
    empty = tmp_path / "empty.nxs"
    empty.touch()
    with pytest.raises(InputError, match="is empty"):
        open_events(empty)
    text = tmp_path / "text.nxs"
    text.write_text("hello neutrons")
    with pytest.raises(InputError, match="not an HDF5 file"):
        open_events(text)
    cut = tmp_path / "cut.nxs"
    cut.write_bytes(event_file.read_bytes()[:50_000])
    with pytest.raises(InputError, match="damaged or truncated"):
        open_events(cut)
    other = tmp_path / "other.nxs"
    with h5py.File(other, "w") as file:
        file["mantid_workspace_1/title"] = b"reduced"
    with pytest.raises(InputError, match=r"not an MD file.*mantid_workspace_1"):
        open_events(other)
    with pytest.raises(InputError, match="no event files"):
        open_events([])
    with pytest.raises(InputError, match="UB matrix given"):
        open_events(event_file, ub=np.zeros((3, 3)))


def test_several_files_are_one_source(event_file, copy) -> None:
    source = open_events([event_file, copy])
    assert source.n_events == 40_000
    assert len(source.runs) == 6
    assert len({id(one) for one in source.detectors}) == 1
    assert np.unique(np.concatenate([chunk.run for chunk in source.chunks(2000)])).tolist() == list(range(6))


@pytest.mark.slow
def test_a_billion_events_stream_in_less_than_two_gigabytes(copy) -> None:
    # Chunks of HDF5 that were never written cost no disk, and are read like any others: as zeros.
    n = 1_000_000_000
    with h5py.File(copy, "r+") as file:
        del file[TABLE]
        file["MDEventWorkspace/event_data"].create_dataset("event_data", (n, 8), np.float32, chunks=(10_000, 8))
        del file["MDEventWorkspace/box_structure"]
    script = (
        "import resource, sys\n"
        "from fcinv_core.events import open_events\n"
        "source = open_events(sys.argv[1])\n"
        "print(source.n_events, sum(len(chunk) for chunk in source.chunks()))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(copy)], capture_output=True, text=True, check=True)
    expected, counted, kilobytes = map(int, done.stdout.split())
    assert expected == counted == n
    assert kilobytes < 2_000_000
