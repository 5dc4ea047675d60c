"""What files keep, what they lose, and how they are laid out."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from tests.contract.conftest import to_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "saved.nxs"


def _text(value: Any) -> str:
    value = np.ravel(value)[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def _saved_and_loaded(simpleapi: ModuleType, name: str, path: Path, **options: Any) -> Any:
    simpleapi.SaveMD(InputWorkspace=name, Filename=str(path))
    return simpleapi.LoadMD(Filename=str(path), OutputWorkspace="loaded", **options)


def test_events_are_a_table_in_single_precision_whose_columns_are_described(
    simpleapi: ModuleType, spectra: Any, events: Any, path: Path
) -> None:
    simpleapi.CloneWorkspace(InputWorkspace="spectra", OutputWorkspace="second")
    to_events(simpleapi, "second", "events", OverwriteExisting=False)
    simpleapi.SaveMD(InputWorkspace="events", Filename=str(path))
    with h5py.File(path) as file:
        entry = file["MDEventWorkspace"]
        table = entry["event_data/event_data"]
        columns = [part.strip() for part in _text(table.attrs["description"]).split(",")]
        assert table.dtype == np.float32
        assert columns[:2] == ["signal", "errorSquared"]
        assert columns[-1] == "center (each dim.)"
        assert table.shape == (320, len(columns) - 1 + 4)
        np.testing.assert_array_equal(np.unique(table[:, 2]), [0, 1])
        detectors = table[:, columns.index("detectorId")]
        np.testing.assert_array_equal(np.unique(detectors), np.arange(1, 9))
        assert _text(entry.attrs["definition"]) == "MDEventWorkspace<MDEvent,4>"
        assert int(entry["coordinate_system"][0]) == 2
        boxes = entry["box_structure"]
        leaves = boxes["box_type"][()] == 1
        assert boxes["box_event_index"][()][leaves, 1].sum() == 320


def test_momentum_transfer_is_what_scattering_gives(
    simpleapi: ModuleType, spectra: Any, events: Any, path: Path
) -> None:
    simpleapi.SaveMD(InputWorkspace="events", Filename=str(path))
    with h5py.File(path) as file:
        table = file["MDEventWorkspace/event_data/event_data"][()].astype(float)
    q, energy, detectors = table[:, -4:-1], table[:, -1], table[:, -5]
    ki, kf = (np.sqrt(values / 2.0721248) for values in (20.0, 20.0 - energy))
    angle = np.radians(10 + 10 * detectors)
    lab = np.column_stack([-kf * np.sin(angle), np.zeros_like(kf), ki - kf * np.cos(angle)])
    rotation = spectra.run().getGoniometer().getR()
    np.testing.assert_allclose(q, lab @ rotation, atol=2e-5)


def test_histogram_lies_with_its_last_dimension_first(simpleapi: ModuleType, histogram: Any, path: Path) -> None:
    simpleapi.SaveMD(InputWorkspace="histogram", Filename=str(path))
    with h5py.File(path) as file:
        data = file["MDHistoWorkspace/data"]
        np.testing.assert_array_equal(data["signal"][()], [[0, 1, 2], [3, 4, 5]])
        np.testing.assert_array_equal(data["errors_squared"][()], [[1, 4, 9], [16, 25, 36]])
        assert _text(data["signal"].attrs["axes"]) == "DeltaE:point"
        np.testing.assert_allclose(data["point"][()], [0, 1, 2, 3])
        assert _text(data["DeltaE"].attrs["units"]) == "meV"
        assert int(np.ravel(file["MDHistoWorkspace"].attrs["SaveMDVersion"])[0]) == 2


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        json.dumps({"q": list(range(3000)), "unit": "Å⁻¹"}, ensure_ascii=False),
        2.5,
        7,
        [0.1, float(np.pi), -3.0e-12],
        np.geomspace(1e-9, 1e9, 100_000).tolist(),
    ],
    ids=["text", "long text beyond ASCII", "number", "integer", "numbers", "many numbers"],
)
def test_log_survives_exactly(simpleapi: ModuleType, events: Any, path: Path, value: Any) -> None:
    events.getExperimentInfo(0).mutableRun().addProperty("kept", value, True)
    run = _saved_and_loaded(simpleapi, "events", path).getExperimentInfo(0).run()
    found = run["kept"].value
    assert (list(found) if isinstance(value, list) else found) == value


def test_logs_of_truth_values_and_lists_of_text_are_lost_without_a_word(
    simpleapi: ModuleType, events: Any, path: Path
) -> None:
    run = events.getExperimentInfo(0).mutableRun()
    run.addProperty("truth", True, True)
    run.addProperty("words", ["a", "b"], True)
    loaded = _saved_and_loaded(simpleapi, "events", path).getExperimentInfo(0).run()
    assert not loaded.hasProperty("truth")
    assert not loaded.hasProperty("words")


def test_crystal_structure_and_comment_are_lost_and_the_lattice_is_kept(
    simpleapi: ModuleType, events: Any, path: Path
) -> None:
    from mantid.geometry import CrystalStructure

    sample = events.getExperimentInfo(0).mutableSample()
    ub = sample.getOrientedLattice().getUB().copy()
    sample.setCrystalStructure(CrystalStructure("4 5 6", "P m m m", "Si 0 0 0 1.0 0.01"))
    events.setComment("noted")
    assert events.getComment() == "noted"
    loaded = _saved_and_loaded(simpleapi, "events", path)
    sample = loaded.getExperimentInfo(0).sample()
    assert not sample.hasCrystalStructure()
    assert loaded.getComment() == ""
    np.testing.assert_allclose(sample.getOrientedLattice().getUB(), ub, atol=1e-12)


def test_edges_of_the_bins_that_events_were_made_of_are_kept(
    simpleapi: ModuleType, events: Any, path: Path
) -> None:
    assert "processed_histogram_bins" not in events.getExperimentInfo(0).run()
    _saved_and_loaded(simpleapi, "events", path)
    with h5py.File(path) as file:
        edges = file["MDEventWorkspace/experiment0/logs/processed_histogram_bins/value"][()]
    np.testing.assert_allclose(edges, np.arange(-5.0, 16.0))


def test_goniometer_energy_and_charge_survive(simpleapi: ModuleType, events: Any, path: Path) -> None:
    rotation = events.getExperimentInfo(0).run().getGoniometer().getR()
    info = _saved_and_loaded(simpleapi, "events", path).getExperimentInfo(0)
    np.testing.assert_allclose(info.run().getGoniometer().getR(), rotation, atol=1e-12)
    assert info.run()["Ei"].value == 20.0
    assert info.getEFixed(1) == 20.0
    assert info.run().getProtonCharge() == 1.5
    np.testing.assert_allclose(info.run()["psi"].value, [30.0])


def test_experiment_without_an_instrument_survives(simpleapi: ModuleType, histogram: Any, path: Path) -> None:
    simpleapi.CreateWorkspace(DataX=[0.0, 1.0], DataY=[1.0], OutputWorkspace="bare")
    simpleapi.AddSampleLog(Workspace="bare", LogName="note", LogText="here")
    histogram.addExperimentInfo(simpleapi.mtd["bare"])
    again = _saved_and_loaded(simpleapi, "histogram", path)
    assert again.getNumExperimentInfo() == 1
    assert again.getExperimentInfo(0).run()["note"].value == "here"


def test_experiment_whose_instrument_is_not_defined_is_lost(simpleapi: ModuleType, events: Any, path: Path) -> None:
    simpleapi.SaveMD(InputWorkspace="events", Filename=str(path))
    with h5py.File(path, "a") as file:
        del file["MDEventWorkspace/experiment0/instrument/instrument_xml"]
    assert simpleapi.LoadMD(Filename=str(path), OutputWorkspace="again").getNumExperimentInfo() == 0


def test_mask_survives(simpleapi: ModuleType, spectra: Any, path: Path) -> None:
    simpleapi.MaskDetectors(Workspace="spectra", DetectorList=[3])
    to_events(simpleapi, "spectra", "events")
    assert simpleapi.mtd["events"].getNEvents() == 140
    simpleapi.SaveMD(InputWorkspace="events", Filename=str(path))
    with h5py.File(path) as file:
        note = file["MDEventWorkspace/experiment0/instrument/instrument_parameter_map/data"][()]
    assert "detID:3;bool;masked;1" in _text(note)


def test_file_backed_workspace_names_its_file(simpleapi: ModuleType, events: Any, path: Path) -> None:
    loaded = _saved_and_loaded(simpleapi, "events", path, FileBackEnd=True)
    assert loaded.getBoxController().isFileBacked()
    assert Path(loaded.getBoxController().getFilename()) == path
    assert not events.getBoxController().isFileBacked()


def test_collection_beside_the_entry_breaks_load_but_not_load_md(
    simpleapi: ModuleType, histogram: Any, path: Path
) -> None:
    simpleapi.SaveMD(InputWorkspace="histogram", Filename=str(path))
    with h5py.File(path, "r+") as file:
        file["MDHistoWorkspace"].create_group("inside").attrs["NX_class"] = np.bytes_("NXcollection")
    assert simpleapi.Load(Filename=str(path), OutputWorkspace="by_load").getNPoints() == 6
    with h5py.File(path, "r+") as file:
        file.create_group("beside").attrs["NX_class"] = np.bytes_("NXcollection")
    assert simpleapi.LoadMD(Filename=str(path), OutputWorkspace="by_load_md").getNPoints() == 6
    with pytest.raises((RuntimeError, ValueError)):
        simpleapi.Load(Filename=str(path), OutputWorkspace="by_load")


def test_file_that_is_none_of_mantid_is_a_runtime_error(simpleapi: ModuleType, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["something"] = 1.0
    with pytest.raises((RuntimeError, ValueError)):
        simpleapi.LoadMD(Filename=str(path), OutputWorkspace="loaded")


def test_spectra_keep_values_axes_and_detectors(simpleapi: ModuleType, spectra: Any, path: Path) -> None:
    simpleapi.SaveNexusProcessed(InputWorkspace="spectra", Filename=str(path))
    again = simpleapi.LoadNexusProcessed(Filename=str(path), OutputWorkspace="again")
    np.testing.assert_array_equal(again.extractY(), spectra.extractY())
    np.testing.assert_array_equal(again.readX(3), spectra.readX(3))
    assert again.getAxis(0).getUnit().unitID() == "DeltaE"
    assert [list(again.getSpectrum(index).getDetectorIDs()) for index in range(8)] == [[n] for n in range(1, 9)]


def test_table_keeps_its_columns_and_loses_its_history(simpleapi: ModuleType, path: Path) -> None:
    table = simpleapi.CreateEmptyTableWorkspace(OutputWorkspace="table")
    for kind, name in (("str", "label"), ("double", "value"), ("int", "count"), ("bool", "used")):
        table.addColumn(kind, name)
    table.addRow(["Ge1-Ge1 xx", 0.5, 3, True])
    table.addRow(["Ge1-Ge1 xy", -0.25, 4, False])
    simpleapi.SaveNexusProcessed(InputWorkspace="table", Filename=str(path))
    again = simpleapi.LoadNexusProcessed(Filename=str(path), OutputWorkspace="again")
    assert [again.row(index) for index in range(2)] == [table.row(index) for index in range(2)]
    names = [entry.name() for entry in again.getHistory().getAlgorithmHistories()]
    assert names == ["LoadNexusProcessed"]
