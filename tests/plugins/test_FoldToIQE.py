"""FoldToIQE, as a script or Workbench runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.cli import main
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.events.experiment import axis_rotation
from fcinv_core.events.opening import open_events
from fcinv_core.folding.fold import FoldSettings
from fcinv_core.folding.fold import fold as core_fold
from fcinv_core.folding.folded_file import read_folded
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import virtual_experiment
from fcinv_core.spectrum import SpectralGrid
from tests.crystals import crystal
from tests.folding.test_folded_file import assert_identical
from tests.plugins.cancelling import cancel_after
from tests.plugins.measurement import LEVEL, POSCAR, QUICK, QUICK_WORDS, measure, write

#: A fold over the irreducible zone, in properties and in words of the command line.
ZONE = {"Grid": 4}
ZONE_WORDS = ("--grid", "4")


@pytest.fixture(scope="module")
def germanium() -> Crystal:
    return crystal("Ge")


@pytest.fixture(scope="module")
def folder(germanium: Crystal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of three runs, of the first two and the third alone, of a background, and the structure."""
    path = tmp_path_factory.mktemp("measured")
    (path / "POSCAR").write_text(POSCAR)
    write(path / "events.nxs", measure(germanium))
    write(path / "first.nxs", measure(germanium, 2))
    write(path / "third.nxs", measure(germanium, 1, first=12, seed=3))
    write(path / "can.nxs", measure(germanium, 1, first=90, seed=5, level=20.0))
    return path


def load(simpleapi: ModuleType, folder: Path, name: str = "events", **options: Any) -> Any:
    options = {"LoadHistory": False, "OutputWorkspace": name, **options}
    return simpleapi.LoadMD(Filename=str(folder / f"{name}.nxs"), **options)


def fold(simpleapi: ModuleType, folder: Path, events: str = "events", output: str = "iqe", **options: Any) -> Any:
    options = {"StructureFile": str(folder / "POSCAR"), "OutputWorkspace": output, **QUICK, **options}
    simpleapi.FoldToIQE(InputWorkspace=events, **options)
    return simpleapi.mtd[output]


def log(workspace: Any, name: str) -> Any:
    return workspace.getExperimentInfo(0).run().getProperty(name).value


def content(workspace: Any) -> dict[str, Any]:
    return dict(json.loads(log(workspace, "fcinv")))


def array_logs(workspace: Any) -> dict[str, Any]:
    names = [str(name) for name in workspace.getExperimentInfo(0).run().keys()]  # noqa: SIM118
    return {name: np.atleast_1d(log(workspace, name)) for name in names if name.startswith("fcinv_")}


def axes(workspace: Any) -> list[tuple[Any, ...]]:
    dimensions = [workspace.getDimension(k) for k in range(workspace.getNumDims())]
    return [(d.name, d.getUnits(), d.getNBins(), d.getMinimum(), d.getMaximum()) for d in dimensions]


def assert_same(one: Any, other: Any) -> None:
    """Two workspaces hold the same, but for where the events came from."""
    assert axes(one) == axes(other)
    np.testing.assert_allclose(one.getSignalArray(), other.getSignalArray(), rtol=1e-12)
    np.testing.assert_allclose(one.getErrorSquaredArray(), other.getErrorSquaredArray(), rtol=1e-12)
    np.testing.assert_allclose(one.getNumEventsArray(), other.getNumEventsArray(), rtol=1e-12)
    first, second = content(one), content(other)
    for said in (first, second):
        said.pop("provenance")
    assert first == second
    here, there = array_logs(one), array_logs(other)
    assert here.keys() == there.keys()
    for name, values in here.items():
        np.testing.assert_allclose(values, there[name], rtol=1e-6, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("options", "added"), [({}, ()), (ZONE, ZONE_WORDS)], ids=["path", "zone"])
def test_the_result_is_that_of_the_command_line(
    simpleapi: ModuleType, folder: Path, tmp_path: Path, options: dict[str, Any], added: tuple[str, ...]
) -> None:
    words = ["fold", str(folder / "events.nxs"), "--structure", str(folder / "POSCAR"), *QUICK_WORDS, *added]
    assert main([*words, "--out", str(tmp_path / "commanded.nxs")]) == 0
    commanded = load(simpleapi, tmp_path, "commanded")
    load(simpleapi, folder)
    folded = fold(simpleapi, folder, **options)
    assert_same(folded, commanded)
    assert content(folded)["provenance"]["settings"] == content(commanded)["provenance"]["settings"]
    logs = [set(map(str, ws.getExperimentInfo(0).run().keys())) for ws in (folded, commanded)]
    assert logs[0] == logs[1]


def test_constant_scattering_comes_out_at_its_level(
    simpleapi: ModuleType, folder: Path, germanium: Crystal
) -> None:
    load(simpleapi, folder)
    vanadium(simpleapi, germanium)
    names = {"OutputDataWorkspace": "d", "OutputNormalizationWorkspace": "n"}
    iqe = fold(simpleapi, folder, SolidAngleWorkspace="vanadium", PerRun=False, **names)
    # Files of Mantid have a blank where there is no unit.
    assert axes(iqe)[0][:3] == ("path point", " ", 27)
    assert axes(iqe)[1] == ("DeltaE", "meV", 11, 2.0, 24.0)
    data, exposure = (simpleapi.mtd[name].getSignalArray() for name in "dn")
    # 1 600 counts, of which 3 % fall between the points at which exposure of so few pixels is laid.
    assert data.sum() / exposure.sum() == pytest.approx(0.97 * LEVEL, rel=0.07)
    signal, covered = iqe.getSignalArray(), exposure.sum(axis=0) > 0
    np.testing.assert_array_equal(np.isnan(signal), ~covered)
    assert not covered.all()
    nothing = covered & (iqe.getNumEventsArray() == 0)
    assert nothing.any()
    assert (signal[nothing] == 0).all()


def test_over_the_irreducible_zone_every_event_counts_once(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    zone = fold(simpleapi, folder, **ZONE)
    # The mesh 4 x 4 x 4 with Γ has 8 irreducible points in a face-centred cubic crystal.
    assert axes(zone) == [("irreducible q-point", " ", 8, -0.5, 7.5), ("DeltaE", "meV", 11, 2.0, 24.0)]
    assert sum(log(zone, "fcinv_bins_weight")) == 64
    assert (content(zone)["path"], content(zone)["divisions"]) == (None, 4)
    energies = np.concatenate([chunk.energy for chunk in open_events(folder / "events.nxs").chunks()])
    assert sum(log(zone, "fcinv_runs_counts")) == ((energies >= 2.0) & (energies < 24.0)).sum()


def vanadium(simpleapi: ModuleType, germanium: Crystal) -> dict[int, float]:
    """A workspace of the solid angles that the measurement was made with; return them."""
    pixels = measure(germanium).detectors[0]
    assert pixels.solid_angle is not None
    n = len(pixels.ids)
    workspace = simpleapi.CreateWorkspace(
        DataX=[0.0, 1.0] * n, DataY=pixels.solid_angle.tolist(), NSpec=n, OutputWorkspace="vanadium"
    )
    for k, number in enumerate(pixels.ids.tolist()):
        workspace.getSpectrum(k).setDetectorID(number)
    return dict(zip(pixels.ids.tolist(), pixels.solid_angle.tolist(), strict=True))


def test_data_over_normalisation_is_the_intensity(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    iqe = fold(simpleapi, folder, OutputDataWorkspace="d", OutputNormalizationWorkspace="n")
    data, exposure = (simpleapi.mtd[name].getSignalArray().sum(axis=0) for name in "dn")
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(data / exposure, iqe.getSignalArray(), rtol=1e-12)
    assert [name for name, *_ in axes(simpleapi.mtd["d"])] == ["zone class", "path point", "DeltaE"]
    assert content(simpleapi.mtd["d"])["zone_classes_hkl"] == content(simpleapi.mtd["n"])["zone_classes_hkl"]


def test_the_log_tells_path_and_runs_and_one_experiment_is_kept(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    iqe = fold(simpleapi, folder, Path="G-X-U|K-G")
    said = content(iqe)
    assert [label for _, label in said["path"]["ticks"]] == ["Γ", "X", "U", "K", "Γ"]
    assert said["path"]["distance"][0] == 0.0
    assert said["runs"] == [10, 11, 12]
    assert iqe.getNumExperimentInfo() == 1
    assert iqe.getExperimentInfo(0).sample().hasOrientedLattice()
    events = simpleapi.mtd["events"]
    assert not events.getExperimentInfo(0).run().hasProperty("fcinv"), "the source gains no logs"


@pytest.mark.parametrize(("stored", "options"), [(False, {}), (True, {}), (True, ZONE)])
def test_adding_to_an_earlier_result_is_exact(
    simpleapi: ModuleType, folder: Path, tmp_path: Path, stored: bool, options: dict[str, Any]
) -> None:
    load(simpleapi, folder, "first")
    load(simpleapi, folder, "third")
    simpleapi.MergeMD(InputWorkspaces="first,third", OutputWorkspace="all")
    names = {"OutputDataWorkspace": "d", "OutputNormalizationWorkspace": "n"}
    together = fold(simpleapi, folder, "all", "together", **options)
    fold(simpleapi, folder, "first", "earlier", **names, **options)
    if stored:
        for name in names.values():
            simpleapi.SaveMD(InputWorkspace=name, Filename=str(tmp_path / f"{name}.nxs"))
            simpleapi.DeleteWorkspace(name)
            load(simpleapi, tmp_path, name)
    added = fold(
        simpleapi,
        folder,
        "third",
        "added",
        TemporaryDataWorkspace="d",
        TemporaryNormalizationWorkspace="n",
        **{name: f"{value}2" for name, value in names.items()},
        **options,
    )
    np.testing.assert_array_equal(added.getSignalArray(), together.getSignalArray())
    np.testing.assert_array_equal(added.getErrorSquaredArray(), together.getErrorSquaredArray())
    here, there = array_logs(added), array_logs(together)
    for name, values in here.items():
        np.testing.assert_array_equal(values, there[name], err_msg=name)


@pytest.mark.parametrize("options", [{}, ZONE], ids=["path", "zone"])
def test_everything_survives_saving_and_loading(
    simpleapi: ModuleType, folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    load(simpleapi, folder)
    fold(simpleapi, folder, **options)
    for name in ("once", "twice"):
        simpleapi.SaveMD(InputWorkspace="iqe", Filename=str(tmp_path / f"{name}.nxs"))
        load(simpleapi, tmp_path, name)
        simpleapi.RenameWorkspace(InputWorkspace=name, OutputWorkspace="iqe")
    (once, keep), (twice, kept) = (read_folded(tmp_path / f"{name}.nxs") for name in ("once", "twice"))
    assert_identical(once, twice)
    np.testing.assert_array_equal(keep, kept)


def test_nothing_is_left_behind(simpleapi: ModuleType, folder: Path, tmp_path: Path) -> None:
    load(simpleapi, folder)
    iqe = fold(simpleapi, folder)
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["events", "iqe"]
    history = iqe.getHistory()
    entries = [history.getAlgorithmHistory(k) for k in range(history.size())]
    assert [entry.name() for entry in entries] == ["LoadMD", "FoldToIQE"]
    assert entries[1].childHistorySize() == 0, "children that pass files on would repeat dead paths"


def test_the_chain_reruns_from_its_history(simpleapi: ModuleType, folder: Path, tmp_path: Path) -> None:
    load(simpleapi, folder)
    before = np.array(fold(simpleapi, folder).getSignalArray())
    script = tmp_path / "again.py"
    simpleapi.GeneratePythonScript(InputWorkspace="iqe", Filename=str(script))
    simpleapi.mtd.clear()
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), dict(vars(simpleapi)))
    np.testing.assert_array_equal(simpleapi.mtd["iqe"].getSignalArray(), before)


def test_events_that_live_in_a_file_are_read_there(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    in_memory = fold(simpleapi, folder, output="memory")
    load(simpleapi, folder, OutputWorkspace="backed", FileBackEnd=True)
    backed = fold(simpleapi, folder, "backed", "disk")
    assert_same(backed, in_memory)
    # A UB that is set after loading does not reach the file, and counts all the same.
    before = np.array(backed.getSignalArray())
    turned = axis_rotation([0.2, 1.0, 0.5], 12.0) / 5.658
    for name in ("events", "backed"):
        simpleapi.SetUB(Workspace=name, UB=turned.ravel().tolist())
    after = fold(simpleapi, folder, "backed", "disk")
    assert_same(after, fold(simpleapi, folder, "events", "memory"))
    assert not np.array_equal(after.getSignalArray(), before, equal_nan=True)


def test_the_structure_of_the_sample_is_used(simpleapi: ModuleType, folder: Path) -> None:
    from mantid.geometry import CrystalStructure

    events = load(simpleapi, folder)
    from_file = fold(simpleapi, folder, output="file")
    structure = CrystalStructure("5.658 5.658 5.658", "F d -3 m", "Ge 0.125 0.125 0.125 1.0 0.005")
    events.getExperimentInfo(0).mutableSample().setCrystalStructure(structure)
    from_sample = fold(simpleapi, folder, output="sample", StructureFile="")
    np.testing.assert_allclose(from_sample.getSignalArray(), from_file.getSignalArray(), rtol=1e-12)


def test_background_and_solid_angles_reach_the_fold(
    simpleapi: ModuleType, folder: Path, germanium: Crystal
) -> None:
    load(simpleapi, folder)
    load(simpleapi, folder, "can")
    stated = vanadium(simpleapi, germanium)
    given = fold(simpleapi, folder, BackgroundWorkspace="can", SolidAngleWorkspace="vanadium", PerRun=False)
    structure = read_structure(folder / "POSCAR")
    expected = core_fold(
        open_events(folder / "events.nxs"),
        structure,
        standard_path(structure, 27),
        FoldSettings(SpectralGrid(2.0, 24.0, 11), widths=(0.25, 0.25), runs_apart=False),
        solid_angles=stated,
        background=open_events(folder / "can.nxs"),
    )
    np.testing.assert_allclose(given.getSignalArray(), expected.intensity().intensity, rtol=1e-9)
    plain = fold(simpleapi, folder, SolidAngleWorkspace="vanadium", PerRun=False, output="plain")
    assert np.nanmean(plain.getSignalArray() - given.getSignalArray()) == pytest.approx(20.0, rel=0.2)


def test_zones_and_coverage_choose_what_is_summed(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    every = fold(simpleapi, folder, output="all", OutputNormalizationWorkspace="n")
    said = content(simpleapi.mtd["n"])["zone_classes_hkl"]
    exposure = simpleapi.mtd["n"].getSignalArray()
    best = int(exposure.sum(axis=(1, 2)).argmax())
    zone = ",".join(map(str, said[best]))
    one = fold(simpleapi, folder, BrillouinZones=zone, OutputNormalizationWorkspace="n1")
    np.testing.assert_array_equal(np.isfinite(one.getSignalArray()), exposure[best] > 0)
    np.testing.assert_array_equal(simpleapi.mtd["n1"].getSignalArray()[0], exposure[best])
    well = fold(simpleapi, folder, MinimumCoverage=2.0)
    assert np.isfinite(well.getSignalArray()).sum() < np.isfinite(every.getSignalArray()).sum()
    with pytest.raises(RuntimeError, match=r"zone .* is not among the zone classes"):
        fold(simpleapi, folder, BrillouinZones="40,0,0")


@pytest.mark.slow
def test_defaults_fit_a_full_measurement(simpleapi: ModuleType, shared_data: Path) -> None:
    structure = str(shared_data / "ge_dft" / "POSCAR")
    simpleapi.LoadMD(Filename=str(shared_data / "twin" / "ge_arcs_twin.nxs"), OutputWorkspace="events")
    simpleapi.FoldToIQE(InputWorkspace="events", StructureFile=structure, OutputWorkspace="iqe")
    iqe = simpleapi.mtd["iqe"]
    assert axes(iqe)[0][:3] == ("path point", " ", 102)
    assert axes(iqe)[1] == ("DeltaE", "meV", 84, -4.0, 38.0), "the bins of its reduction"
    assert 0.75 < np.isfinite(iqe.getSignalArray()).mean() < 0.9
    assert len(content(iqe)["runs"]) == 120


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        ({"StructureFile": ""}, "StructureFile", "no StructureFile is given and the sample carries no crystal"),
        ({"StructureFile": "nowhere/POSCAR"}, "StructureFile", "does not exist"),
        ({"SpaceGroup": "F d -3 q"}, "SpaceGroup", "neither a point group nor a space group"),
        ({"SymmetryOperations": "x,y,z;x,y"}, "SymmetryOperations", "is not a symmetry operation"),
        ({"SpaceGroup": "m-3m", "SymmetryOperations": "x,y,z"}, "SymmetryOperations", "leave one of them empty"),
        ({"Path": "G-Q"}, "Path", "'Q' is not a high-symmetry point"),
        ({"Path": "[[1]]"}, "Path", "does not describe a path"),
        ({"QStep": 1e-5}, "QStep", "choose a step such as 0.05"),
        ({"Grid": 0}, "Grid", "between 1 and 48 were expected"),
        ({"Grid": 49}, "Grid", "between 1 and 48 were expected"),
        ({"Grid": 4, "Path": "G-X"}, "Path", "leave one of them empty"),
        ({"TransverseWidths": [0.1, 0.2, 0.3]}, "TransverseWidths", "one or two positive numbers"),
        ({"TransverseWidths": [-0.1]}, "TransverseWidths", "one or two positive numbers"),
        ({"EnergyBinning": [0.0, 5.0]}, "EnergyBinning", "minimum, positive step and maximum"),
        ({"EnergyBinning": [5.0, 1.0, 2.0]}, "EnergyBinning", "its maximum is not above its minimum"),
        ({"BrillouinZones": "1,1;2,2,0"}, "BrillouinZones", "'1,1' is no zone"),
        ({"TemporaryDataWorkspace": "other"}, "TemporaryNormalizationWorkspace", "the two belong together"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    simpleapi: ModuleType, folder: Path, options: dict[str, Any], name: str, says: str
) -> None:
    load(simpleapi, folder)
    make_another_histogram(simpleapi)
    problems = problems_of(folder, **options)
    assert list(problems) == [name]
    assert says in problems[name]
    assert "\n" not in problems[name]
    with pytest.raises(RuntimeError, match="invalid Properties"):
        fold(simpleapi, folder, **options)
    assert not simpleapi.mtd.doesExist("iqe")


def test_earlier_results_must_be_those_of_a_fold(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    make_another_histogram(simpleapi)
    both = dict.fromkeys(("TemporaryDataWorkspace", "TemporaryNormalizationWorkspace"), "other")
    problems = problems_of(folder, **both)
    assert problems.keys() == both.keys()
    assert problems["TemporaryDataWorkspace"].startswith("other is no folded data: ")
    fold(simpleapi, folder, OutputDataWorkspace="d", OutputNormalizationWorkspace="n")
    swapped = {"TemporaryDataWorkspace": "n", "TemporaryNormalizationWorkspace": "d"}
    assert problems_of(folder, **swapped).keys() == both.keys()
    given = {"TemporaryDataWorkspace": "d", "TemporaryNormalizationWorkspace": "n"}
    with pytest.raises(RuntimeError, match="run 10 is in both"):
        fold(simpleapi, folder, **given)
    with pytest.raises(RuntimeError, match="cannot be added to the earlier result: its bins have other widths"):
        fold(simpleapi, folder, TransverseWidths=[0.2], **given)
    with pytest.raises(RuntimeError, match="it has a grid of 4 divisions and not a path"):
        fold(simpleapi, folder, **ZONE, **given)


def make_another_histogram(simpleapi: ModuleType) -> None:
    simpleapi.CreateMDHistoWorkspace(
        Dimensionality=1,
        Extents=[0.0, 1.0],
        SignalInput=[1.0],
        ErrorInput=[1.0],
        NumberOfBins=[1],
        Names=["axis"],
        Units=["m"],
        OutputWorkspace="other",
    )


def problems_of(folder: Path, **options: Any) -> dict[str, str]:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("FoldToIQE")
    wanted = {"InputWorkspace": "events", "StructureFile": str(folder / "POSCAR"), "OutputWorkspace": "iqe"}
    for name, value in {**wanted, **options}.items():
        algorithm.setProperty(name, value)
    return {str(key): str(value) for key, value in algorithm.validateInputs().items()}


def test_events_without_experiment_orientation_or_energy_are_refused(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    simpleapi.ClearUB(Workspace="events")
    assert "no UB matrix in experiment info 0 of 3: set it with SetUB" in problems_of(folder)["InputWorkspace"]
    events = load(simpleapi, folder)
    events.getExperimentInfo(1).mutableRun().addProperty("Ei", 0.0, True)
    assert "no incident energy in experiment info 1 of 3: give each run" in problems_of(folder)["InputWorkspace"]
    load(simpleapi, folder)
    simpleapi.CreateMDWorkspace(
        Dimensions=4,
        Extents=[-1.0, 1.0] * 4,
        Names=["Q_sample_x", "Q_sample_y", "Q_sample_z", "DeltaE"],
        Units=["A", "A", "A", "meV"],
        OutputWorkspace="bare",
    )
    for name in ("InputWorkspace", "BackgroundWorkspace"):
        assert problems_of(folder, **{name: "bare"})[name].startswith("It has no experiment info, so orientation")
    simpleapi.CreateMDWorkspace(
        Dimensions=2, Extents=[-1, 1, -1, 1], Names=["a1", "b1"], Units=["A", "A"], OutputWorkspace="flat"
    )
    assert "2 dimensions" in problems_of(folder, InputWorkspace="flat")["InputWorkspace"]


def test_what_only_shows_while_folding_is_one_sentence_too(simpleapi: ModuleType, folder: Path) -> None:
    load(simpleapi, folder)
    with pytest.raises(RuntimeError, match="covers none of the bins") as caught:
        fold(simpleapi, folder, EnergyBinning=[-20.0, 1.0, -10.0])
    assert "choose" in str(caught.value) or "check" in str(caught.value)
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["events"]


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    simpleapi: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(simpleapi, folder)
    monkeypatch.setitem(sys.modules, "fcinv_core.folding.fold", None)
    with pytest.raises(RuntimeError, match=r"fcinv_core\.folding\.fold.*python -m pip install -c"):
        fold(simpleapi, folder)


def test_cancelling_ends_it_within_a_second(simpleapi: ModuleType) -> None:
    from mantid.api import AlgorithmManager

    measured = virtual_experiment()
    simpleapi.LoadMD(Filename=str(measured / "ge_small.nxs"), OutputWorkspace="events")
    algorithm = AlgorithmManager.create("FoldToIQE")
    algorithm.setProperty("InputWorkspace", "events")
    algorithm.setProperty("StructureFile", str(measured / "POSCAR"))
    algorithm.setProperty("OutputWorkspace", "iqe")
    cancel_after(algorithm, 0.5)
    assert not simpleapi.mtd.doesExist("iqe")
