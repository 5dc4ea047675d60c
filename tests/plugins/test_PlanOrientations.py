"""PlanOrientations, as a script or Workbench runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.cli import main
from tests.inversion import standin
from tests.planning.conftest import inverted, result
from tests.plugins.cancelling import cancel_after
from tests.plugins.measurement import measure, write

__all__ = ["inverted", "result"]

POSCAR = "Al\n4.05\n0 0.5 0.5\n0.5 0 0.5\n0.5 0.5 0\nAl\n1\ndirect\n0 0 0\n"
#: A few angles, few points, in properties and in words of `fcinv plan`; counts and temperature are those measured.
COARSE: dict[str, Any] = {"Instrument": "ARCS", "Psi": [0.0, 40.0, 20.0], "PathPoints": 16, "NumberOfRuns": 4}
COARSE_WORDS = ("--instrument", "ARCS", "--psi", "0", "40", "20", "--points", "16", "--runs", "4")
#: Detectors of the table, large pixels.
TABLE: dict[str, Any] = {"IncidentEnergies": [60.0], "PixelSpacing": 8.0}
TABLE_WORDS = ("--ei", "60", "--pixel-spacing", "8")
PRIOR = {"ResultFolder": "", "Model": "ge"}
OUTPUTS = {"OutputSequenceWorkspace": "runs", "OutputErrorWorkspace": "errors"}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measurement of the crystal of the result."""
    source = measure(standin.prior().crystal, n_runs=2)
    return write(tmp_path_factory.mktemp("measured") / "events.nxs", source)


def plan(simpleapi: ModuleType, result: Path, output: str = "ranking", **options: Any) -> Any:
    given = {"ResultFolder": str(result), "OutputWorkspace": output, **COARSE}
    simpleapi.PlanOrientations(**{**given, **options})
    return simpleapi.mtd[output]


def commanded(result: Path, out: Path, *words: str) -> dict[str, Any]:
    """What the command line writes, but for where it came from."""
    assert main(["plan", str(result), *COARSE_WORDS, "--out", str(out), *words]) == 0
    return content_of(out)


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    del content["provenance"]
    return content


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two plans are the same, but for how places of detectors are rounded in files."""
    for name in ("sequence", "ranking"):
        for run, of_other in zip(one[name], other[name], strict=True):
            assert run == pytest.approx(of_other, rel=1e-4)


def test_the_plan_is_that_of_the_command_line(simpleapi: ModuleType, result: Path, tmp_path: Path) -> None:
    ranking = plan(simpleapi, result, OutputFolder=str(tmp_path / "plan"), Minutes=2.0, **TABLE, **OUTPUTS)
    content = content_of(tmp_path / "plan")
    assert content == commanded(result, tmp_path / "commanded", *TABLE_WORDS, "--minutes", "2")
    assert (tmp_path / "plan" / "plan.png").is_file()

    listed = content["ranking"]
    assert list(ranking.column("Psi")) == [one["psi_degrees"] for one in listed]
    assert list(ranking.column("ErrorAfterItAlone")) == [one["error_after_it_alone"] for one in listed]
    assert sum(ranking.column("TimesInPlan")) == 4
    runs, errors = simpleapi.mtd["runs"], simpleapi.mtd["errors"]
    assert list(runs.column("Psi")) == [one["psi_degrees"] for one in content["sequence"]]
    assert list(runs.column("Minutes")) == [2.0, 4.0, 6.0, 8.0]
    after = [one["error_after"] for one in content["sequence"]]
    assert list(runs.column("Error")) == after
    np.testing.assert_array_equal(errors.readX(0), [0.0, 2.0, 4.0, 6.0, 8.0])
    np.testing.assert_array_equal(errors.readY(0), [content["error_before"], *after])
    np.testing.assert_array_equal(errors.readY(2)[1:], content["sweep_error_after"])
    assert errors.YUnitLabel() == "Expected error (eV/Angstrom^2)"
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["errors", "ranking", "runs"]


def test_detectors_orientation_and_energy_are_those_of_a_measurement(
    simpleapi: ModuleType, result: Path, events: Path, tmp_path: Path
) -> None:
    simpleapi.LoadMD(Filename=str(events), LoadHistory=False, OutputWorkspace="events")
    expected = commanded(result, tmp_path / "commanded", "--events", str(events))
    options = {"Wanted": "all", "InputWorkspace": "events", "OutputFolder": str(tmp_path / "plan")}
    ranking = plan(simpleapi, result, **options)
    assert_same(content_of(tmp_path / "plan"), expected)
    history = ranking.getHistory()
    names = [str(history.getAlgorithmHistory(k).name()) for k in range(history.size())]
    assert names == ["LoadMD", "PlanOrientations"]
    assert history.getAlgorithmHistory(1).childHistorySize() == 0

    (tmp_path / "POSCAR").write_text(POSCAR)
    simpleapi.FoldToIQE(
        InputWorkspace="events",
        StructureFile=str(tmp_path / "POSCAR"),
        QStep=0.3,
        TransverseWidths=[0.3],
        EnergyBinning=[2.0, 2.0, 24.0],
        OutputWorkspace="folded",
    )
    of_folded = plan(simpleapi, result, "again", InputWorkspace="folded")
    np.testing.assert_allclose(
        of_folded.column("ErrorAfterItAlone"), ranking.column("ErrorAfterItAlone"), rtol=1e-4
    )


def test_a_mode_is_asked_for_until_its_error_is_reached(
    simpleapi: ModuleType, result: Path, tmp_path: Path
) -> None:
    mode = {"ModePoint": "X", "ModeBranch": 3}
    plan(simpleapi, result, OutputFolder=str(tmp_path / "plan"), **mode, **TABLE)
    content = content_of(tmp_path / "plan")
    assert content == commanded(result, tmp_path / "commanded", *TABLE_WORDS, "--want-energy", "X", "3")
    assert content["unit"] == "meV"
    precision = content["sequence"][1]["error_after"]
    ranking = plan(simpleapi, result, Precision=precision, **mode, **TABLE)
    assert sum(ranking.column("TimesInPlan")) == 2


def problems_of(result: Path, **options: Any) -> dict[str, str]:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("PlanOrientations")
    given = {"ResultFolder": str(result), "OutputWorkspace": "ranking", **COARSE, **TABLE}
    for name, value in {**given, **options}.items():
        algorithm.setProperty(name, value)
    return {str(key): str(value) for key, value in algorithm.validateInputs().items()}


def test_nothing_is_wrong_with_what_the_tests_give(simpleapi: ModuleType, result: Path) -> None:
    assert problems_of(result) == {}


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        ({"ResultFolder": ""}, "ResultFolder", "Name the result of an inversion, or a model"),
        ({"ResultFolder": str(Path(__file__).parent)}, "ResultFolder", "holds no result.json"),
        ({"Model": "ge"}, "Model", "leave one of them empty"),
        ({**PRIOR, "Model": "nowhere", "Counts": 9.0, "Temperature": 5.0}, "Model", "there is no model 'nowhere'"),
        ({**PRIOR, "Temperature": 5.0}, "Counts", "Nothing is measured that tells it"),
        ({**PRIOR, "Counts": 9.0}, "Temperature", "Nothing is measured that tells it"),
        ({"Instrument": "ARC"}, "Instrument", "'ARC' is not a known instrument"),
        ({"IncidentEnergies": ""}, "IncidentEnergies", "give one at least"),
        ({"Psi": [0.0, 1.0]}, "Psi", "first,last,step"),
        ({"u": [1.0, 0.0]}, "u", "Three numbers"),
        ({"Wanted": "dispersion", "ModePoint": "X"}, "ModePoint", "leave one of them empty"),
        ({"OutputFolder": str(Path(__file__).parent)}, "OutputFolder", "it holds files but no plan.json"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    simpleapi: ModuleType, result: Path, options: dict[str, Any], name: str, says: str
) -> None:
    problems = problems_of(result, **options)
    assert list(problems) == [name]
    assert says in problems[name]
    assert "\n" not in problems[name]


def test_a_workspace_must_say_orientation_and_energy(simpleapi: ModuleType, result: Path, events: Path) -> None:
    simpleapi.LoadMD(Filename=str(events), OutputWorkspace="events")
    assert problems_of(result, InputWorkspace="events") == {}
    assert "orientation too" in problems_of(result, InputWorkspace="events", u=[1.0, 1.0, 0.0])["u"]
    simpleapi.CreateWorkspace(DataX=[0.0, 1.0], DataY=[1.0], OutputWorkspace="spectrum")
    assert "no MD workspace" in problems_of(result, InputWorkspace="spectrum")["InputWorkspace"]
    simpleapi.ClearUB(Workspace="events")
    assert "no UB matrix" in problems_of(result, InputWorkspace="events")["InputWorkspace"]


def test_what_only_shows_in_the_crystal_is_one_sentence_too(simpleapi: ModuleType, result: Path) -> None:
    with pytest.raises(RuntimeError, match="FC777 is not a force constant"):
        plan(simpleapi, result, Wanted="FC0,FC777", **TABLE)
    assert not simpleapi.mtd.doesExist("ranking")


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    simpleapi: ModuleType, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcinv_core.planning.writing", None)
    monkeypatch.delitem(sys.modules, "fcinv_core.mantid_adapter.planning_request", raising=False)
    [(name, sentence)] = problems_of(result).items()
    assert name == "ResultFolder"
    assert "fcinv_core.planning.writing" in sentence
    assert "python -m pip install -c" in sentence


def test_cancelling_ends_it_within_a_second(simpleapi: ModuleType, result: Path) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("PlanOrientations")
    long = {**COARSE, **TABLE, "Psi": [0.0, 179.0, 1.0], "ResultFolder": str(result), "OutputWorkspace": "ranking"}
    for name, value in long.items():
        algorithm.setProperty(name, value)
    cancel_after(algorithm, 4.0)
    assert not simpleapi.mtd.doesExist("ranking")
