"""GenerateFCTrainingSet, as a script or Workbench runs it."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fcinv_core.cli import main
from fcinv_core.dynamics import mode_energies
from fcinv_core.qpath import standard_path
from fcinv_core.training_set import TrainingSet
from tests.plugins.cancelling import cancel_after
from tests.plugins.test_SimulateDispersion import energies_of

ENSEMBLE = Path(str(resources.files("fcinv_core") / "data" / "ensembles" / "ge"))
MEMBERS = sorted(str(file) for file in ENSEMBLE.glob("*sevennet*.xz"))[:2]
QUICK = {"NumberOfSamples": 20, "PathPoints": 20, "Seed": 5}
QUICK_WORDS = ("--n", "20", "--points", "20", "--seed", "5")


def given(out: Path, **options: Any) -> dict[str, Any]:
    files = {"StructureFile": str(ENSEMBLE / "POSCAR"), "ForceConstantsFiles": ",".join(MEMBERS)}
    return {**files, "OutputFile": str(out), "OutputWorkspace": "summary", **QUICK, **options}


def generate(simpleapi: ModuleType, out: Path, **options: Any) -> Any:
    return simpleapi.GenerateFCTrainingSet(**given(out, **options))


def test_the_file_is_that_of_the_command_line(simpleapi: ModuleType, tmp_path: Path) -> None:
    generate(simpleapi, tmp_path / "a.h5")
    words = ["generate", str(ENSEMBLE / "POSCAR"), "--force-constants", *MEMBERS, *QUICK_WORDS]
    assert main([*words, "--out", str(tmp_path / "b.h5")]) == 0
    one, other = (TrainingSet.open(tmp_path / f"{name}.h5") for name in "ab")
    np.testing.assert_array_equal(one.force_constants(), other.force_constants())
    np.testing.assert_array_equal(one.energies(), other.energies())
    assert one.content == other.content
    assert (tmp_path / "a_ensemble.png").exists()
    assert sorted(map(str, simpleapi.mtd.getObjectNames())) == ["summary"]


def test_the_table_lists_all_force_constants_and_can_be_simulated(simpleapi: ModuleType, tmp_path: Path) -> None:
    generate(simpleapi, tmp_path / "a.h5", Retained="3")
    table, training = simpleapi.mtd["summary"], TrainingSet.open(tmp_path / "a.h5")
    assert table.rowCount() == training.prior.n_force_constants
    assert list(table.column("Label")) == list(training.prior.labels)
    np.testing.assert_array_equal(table.column("Value"), training.prior.mean)
    assert sum(table.column("Retained")) == 3
    simpleapi.SimulateDispersion(
        ForceConstantsTable="summary", StructureFile=str(ENSEMBLE / "POSCAR"), OutputWorkspace="bands", QStep=0.2
    )
    bands = energies_of(simpleapi.mtd["bands"])
    path = standard_path(training.prior.crystal, len(bands))
    np.testing.assert_allclose(bands, mode_energies(training.prior.reference, path.q), atol=1e-4)


def test_acceptance_is_an_output(simpleapi: ModuleType, tmp_path: Path) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("GenerateFCTrainingSet")
    for file in MEMBERS:
        shutil.copy(file, tmp_path)
    given = {"StructureFile": str(ENSEMBLE / "POSCAR"), "EnsembleFolder": str(tmp_path), **QUICK}
    given |= {"OutputFile": str(tmp_path / "a.h5"), "OutputWorkspace": "summary"}
    for name, value in given.items():
        algorithm.setProperty(name, value)
    assert algorithm.execute()
    training = TrainingSet.open(tmp_path / "a.h5")
    assert algorithm.getProperty("AcceptanceRate").value == training.content["acceptance"]
    assert len(training.prior.members) == 2, "all files of the folder"


@pytest.mark.parametrize(
    ("options", "name", "says"),
    [
        ({"EnsembleFolder": ""}, "EnsembleFolder", "Give a folder of force constants, or name the files"),
        ({"EnsembleFolder": str(ENSEMBLE.parent)}, "EnsembleFolder", "holds no force constants"),
        ({"Retained": "some"}, "Retained", "neither a positive whole number nor all nor auto"),
        ({"EnergyBinning": [1.0]}, "EnergyBinning", "write min,step,max"),
        ({"Supercell": [0, 0, 0]}, "Supercell", "3 or 9 integers that span a volume"),
    ],
)
def test_wrong_entries_are_named_in_a_sentence(
    simpleapi: ModuleType, tmp_path: Path, options: dict[str, Any], name: str, says: str
) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("GenerateFCTrainingSet")
    given = {"StructureFile": str(ENSEMBLE / "POSCAR"), "EnsembleFolder": str(ENSEMBLE)}
    given |= {"OutputFile": str(tmp_path / "a.h5"), "OutputWorkspace": "summary"}
    for key, value in {**given, **options}.items():
        algorithm.setProperty(key, value)
    problems = dict(algorithm.validateInputs())
    assert list(problems) == [name]
    assert says in problems[name]
    with pytest.raises(RuntimeError, match="invalid Properties"):
        generate(
            simpleapi, tmp_path / "a.h5", ForceConstantsFiles="", **{"EnsembleFolder": str(ENSEMBLE), **options}
        )
    assert not (tmp_path / "a.h5").exists()


def test_cancelling_ends_it_within_a_second(simpleapi: ModuleType, tmp_path: Path) -> None:
    from mantid.api import AlgorithmManager

    algorithm = AlgorithmManager.create("GenerateFCTrainingSet")
    for name, value in given(tmp_path / "a.h5", NumberOfSamples=1_000_000).items():
        algorithm.setProperty(name, value)
    cancel_after(algorithm, 3.0)
    assert not simpleapi.mtd.doesExist("summary")
    assert list(tmp_path.iterdir()) == []
