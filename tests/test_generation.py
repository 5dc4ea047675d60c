"""Stage I in one call: files in, a training set with its table and pictures out, or a sentence."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.crystal import read_structure
from fcinv_core.errors import InputError
from fcinv_core.force_constants.phonopy_files import read_force_constants, write_phonopy_params
from fcinv_core.generation import GenerationSettings, generate_training_set, member_files
from fcinv_core.potentials.shipped import shipped_ensemble, shipped_ensembles
from fcinv_core.training_set import TrainingSet
from tests.ensembles import aluminium_ensemble

SETTINGS = GenerationSettings(n=40, retain="3", n_points=31)
STRUCTURE = """Al
4.05
1 0 0
0 1 0
0 0 1
Al
4
Direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
"""


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a POSCAR and four stable members and one unstable one in phonopy's files."""
    folder = tmp_path_factory.mktemp("ensemble")
    (folder / "POSCAR").write_text(STRUCTURE)
    for number, fcs in enumerate(aluminium_ensemble(unstable=True)):
        write_phonopy_params(fcs, folder / f"phonopy_params_{number}.yaml")
    return folder


def run(ensemble: Path, out: Path, say: Callable[[str], None] = lambda line: None) -> TrainingSet:
    return generate_training_set(ensemble / "POSCAR", [ensemble], out / "training.h5", SETTINGS, say=say)


def test_table_and_pictures_come_with_the_set(ensemble: Path, tmp_path: Path) -> None:
    training = run(ensemble, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "training.h5",
        "training_ensemble.png",
        "training_examples.png",
        "training_force_constants.csv",
        "training_sensitivity.png",
    ]
    with open(tmp_path / "training_force_constants.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    prior = training.prior
    assert [row["label"] for row in rows] == list(prior.labels)
    assert [float(row["prior_sigma"]) for row in rows] == pytest.approx(prior.sigma, rel=1e-5)
    assert [k for k, row in enumerate(rows) if row["retained"] == "1"] == [0, 1, 2]


def test_what_is_said_names_every_member_and_every_retained_force_constant(ensemble: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    training = run(ensemble, tmp_path, lines.append)
    said = "\n".join(lines)
    assert said.count(": stable") == 4
    assert "phonopy_params_4.yaml: left out, imaginary mode of" in said
    for k in training.retained:
        assert f"FC{k} " in said
        assert training.prior.labels[k] in said


def test_files_can_be_named_one_by_one(ensemble: Path, tmp_path: Path) -> None:
    files = sorted(ensemble.glob("*.yaml"))
    out = tmp_path / "named.h5"
    named = generate_training_set(ensemble / "POSCAR", files, out, SETTINGS, say=lambda line: None)
    assert np.array_equal(named.force_constants(), run(ensemble, tmp_path).force_constants())


def test_a_folder_without_force_constants_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no force constants"):
        member_files([tmp_path])


def test_nothing_is_left_behind_when_an_input_fails(ensemble: Path, tmp_path: Path) -> None:
    broken = tmp_path / "phonopy_params.yaml"
    broken.write_text("phonopy:\n  version: 4\nunit_cell: [")
    with pytest.raises(InputError, match="cannot be read as force constants"):
        generate_training_set(ensemble / "POSCAR", [broken], tmp_path / "out.h5", SETTINGS, say=lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["phonopy_params.yaml"]


@pytest.mark.parametrize("n", [0, -5])
def test_no_samples_are_refused(ensemble: Path, tmp_path: Path, n: int) -> None:
    with pytest.raises(InputError, match="at least one"):
        generate_training_set(ensemble / "POSCAR", [ensemble], tmp_path / "x.h5", GenerationSettings(n=n))


@pytest.mark.parametrize("name", shipped_ensembles())
def test_shipped_ensembles_give_training_sets(name: str, tmp_path: Path) -> None:
    files = shipped_ensemble(name)
    settings = GenerationSettings(n=30, n_points=41)
    out = tmp_path / "training.h5"
    training = generate_training_set(files[0].parent / "POSCAR", files, out, settings, say=lambda line: None)
    assert len(training.prior.members) == 8
    assert training.energies().shape[0] == 30
    # The largest force constants are those of the nearest shells.
    shells = [training.prior.parametrisation.elements[k].shell for k in training.prior.order[:5]]
    assert max(shells) <= 3


def test_a_member_of_a_slightly_different_lattice_is_the_same_crystal(ensemble: Path, tmp_path: Path) -> None:
    expanded = tmp_path / "POSCAR"
    expanded.write_text(STRUCTURE.replace("4.05", "4.15"))
    crystal = read_structure(expanded)
    fcs = read_force_constants(ensemble / "phonopy_params_0.yaml", crystal)
    assert np.isclose(crystal.conventional_lattice[0, 0], 4.15)
    assert np.allclose(sorted(fcs.tensors.ravel()), sorted(aluminium_ensemble()[0].tensors.ravel()), atol=1e-8)
