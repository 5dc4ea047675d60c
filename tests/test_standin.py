"""The stand-in offers only what a real Mantid offers, and knows nothing of this project."""

from __future__ import annotations

import ast
import gzip
import importlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.mantid_choice import ROOT, STANDIN, VARIABLE

FULL = ROOT.parent / "shared" / "mantid-manifest.json.gz"
MODULES = ("mantid.api", "mantid.dataobjects", "mantid.geometry", "mantid.kernel")
#: Present in every Mantid although introspection, which listed public names of classes, did not reach them.
#: (mantid.geometry.SpaceGroup is listed without its members: they are those of Group.)
UNLISTED_MEMBERS = {"mantid.geometry.SpaceGroup"}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The part of the manifest that the stand-in uses."""
    listed: dict[str, Any] = json.loads((STANDIN / "manifest.json").read_text(encoding="utf-8"))
    return listed


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import mantid` find the stand-in."""
    if os.environ.get(VARIABLE) == "real":
        pytest.skip("a process has one mantid, and the real one is chosen")
    monkeypatch.syspath_prepend(str(STANDIN))


def _public(value: Any) -> set[str]:
    return {name for name in dir(value) if not name.startswith("_")}


@pytest.mark.usefixtures("standin")
@pytest.mark.parametrize("module_name", MODULES)
def test_public_names_are_listed(module_name: str, manifest: dict[str, Any]) -> None:
    offered = {f"{module_name}.{name}" for name in _public(importlib.import_module(module_name))}
    assert offered <= set(manifest["names"])


@pytest.mark.usefixtures("standin")
@pytest.mark.parametrize("module_name", MODULES)
def test_members_of_classes_are_listed(module_name: str, manifest: dict[str, Any]) -> None:
    classes = {
        f"{module_name}.{name}": value
        for name, value in vars(importlib.import_module(module_name)).items()
        if inspect.isclass(value) and not name.startswith("_")
    }
    assert classes
    unlisted = {
        name: sorted(extra)
        for name, cls in classes.items()
        if name not in UNLISTED_MEMBERS and (extra := _public(cls) - set(manifest["classes"][name]))
    }
    assert not unlisted


@pytest.mark.usefixtures("standin")
def test_algorithms_have_the_listed_properties(manifest: dict[str, Any]) -> None:
    from mantid.api import AlgorithmManager
    from mantid.api._native_algorithm import NATIVE

    assert set(NATIVE) == set(manifest["algorithms"])
    for name, entries in manifest["algorithms"].items():
        algorithm = AlgorithmManager.create(name)
        declared = algorithm.getProperties()
        assert [known.name for known in declared] == [entry["name"] for entry in entries]
        for known, entry in zip(declared, entries, strict=True):
            where = f"{name}.{entry['name']}"
            assert known.type == entry["type"], where
            assert known.direction == entry["direction"], where
            assert known.getDefault == entry["default"], where
            assert list(known.allowedValues) == [value for value in entry["allowed"] if value], where
            assert bool(known.isValid) == bool(entry["valid"]), where


@pytest.mark.usefixtures("standin")
def test_selection_is_that_of_the_full_manifest(manifest: dict[str, Any]) -> None:
    if not FULL.is_file():
        pytest.skip("the full manifest ../shared/mantid-manifest.json.gz is not there")
    from tests.standin.select_manifest import selection

    with gzip.open(FULL, "rt", encoding="utf-8") as stream:
        full = json.load(stream)
    assert selection(full) == manifest


@pytest.mark.usefixtures("standin")
@pytest.mark.parametrize(
    "name",
    [
        "mantid/toy_qsample_dE_3runs_mdevent.nxs",
        "mantid/toy_qsample_dE_3runs_mdevent_newlayout.nxs",
        "mantid/cncs_hkl_dE_1run_mdevent.nxs",
        "mantid/toy_qx_dE_mdhisto2d.nxs",
    ],
)
def test_saved_again_a_file_of_a_real_mantid_holds_the_same(name: str, shared_data: Path, tmp_path: Path) -> None:
    from mantid.simpleapi import LoadMD, SaveMD

    path = tmp_path / "again.nxs"
    LoadMD(Filename=str(shared_data / name), OutputWorkspace="read")
    SaveMD(InputWorkspace="read", Filename=str(path))
    compared = []

    def compare(key: str, item: Any) -> None:
        if key in again and isinstance(item, h5py.Dataset) and "/process/" not in key:
            assert again[key].dtype.kind == item.dtype.kind, key
            ours, real = again[key][()], item[()]
            if real.dtype.kind == "f":
                np.testing.assert_allclose(ours, real, rtol=1e-9, atol=1e-9, err_msg=key)
            else:
                np.testing.assert_array_equal(ours, real, err_msg=key)
            compared.append(key.rsplit("/", 1)[-1])

    with h5py.File(shared_data / name) as real, h5py.File(path) as again:
        real.visititems(compare)
    assert {"value", "orientation_matrix", "polar_angle", "data"} <= set(compared)
    assert {"event_data", "box_event_index"} <= set(compared) or {"signal", "num_events", "mask"} <= set(compared)


@pytest.mark.usefixtures("standin")
def test_conversion_agrees_with_that_of_a_real_mantid(shared_data: Path, tmp_path: Path) -> None:
    from mantid import simpleapi

    source = shared_data / "mantid" / "toy_qsample_dE_3runs_mdevent.nxs"
    with h5py.File(source) as file:
        entry = file["MDEventWorkspace"]
        definition = entry["experiment1/instrument/instrument_xml/data"][0]
        ei = entry["experiment1/logs/Ei/value"][0]
        psi = entry["experiment1/logs/psi/value"][0]
        expected = entry["event_data/event_data"][()]
    expected = expected[expected[:, 2] == 1]
    idf = tmp_path / "TOYDGS_Definition.xml"
    idf.write_bytes(definition)
    simpleapi.CreateSimulationWorkspace(Instrument=str(idf), BinParams=[-2, 0.5, 7], OutputWorkspace="ones")
    simpleapi.AddSampleLog(
        Workspace="ones", LogName="Ei", LogText=str(float(ei)), LogType="Number", NumberType="Double"
    )
    simpleapi.SetGoniometer(Workspace="ones", Axis0=f"{psi},0,1,0,1")
    simpleapi.ConvertToMD(
        InputWorkspace="ones",
        QDimensions="Q3D",
        dEAnalysisMode="Direct",
        Q3DFrames="Q_sample",
        MinValues=[-9, -9, -9, -2],
        MaxValues=[9, 9, 9, 7],
        OutputWorkspace="made",
    )
    simpleapi.SaveMD(InputWorkspace="made", Filename=str(tmp_path / "made.nxs"))
    with h5py.File(tmp_path / "made.nxs") as file:
        made = file["MDEventWorkspace/event_data/event_data"][()]
    places = {(int(row[3]), round(float(row[7]), 3)): row[4:7] for row in made}
    compared = np.array([places[int(row[3]), round(float(row[7]), 3)] for row in expected])
    assert len(compared) > 1000
    np.testing.assert_allclose(compared, expected[:, 4:7], atol=2e-5)


def test_stand_in_imports_nothing_of_this_project() -> None:
    files = list(STANDIN.rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            assert not [name for name in imported if name.split(".")[0] in ("fcinv_core", "tests")], path
