"""The ensembles of Ge and Nb that come with fcinv."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
from phonopy import Phonopy

from fcinv_core.crystal import read_structure
from fcinv_core.errors import InputError
from fcinv_core.potentials import shipped_ensemble, shipped_ensembles
from fcinv_core.potentials.finite_displacements import energies_at, force_constants_of, set_force_constants

#: How the reference data call the members.
REFERENCE_NAMES = {
    "chgnet-0.2.0": "chgnet-0.2.0",
    "chgnet-0.3.0": "chgnet-0.3.0",
    "chgnet-r2scan": "chgnet-r2scan",
    "sevennet-7net-0": "7net-0",
    "sevennet-7net-0_22May2024": "7net-0_22May2024",
    "sevennet-7net-l3i5": "7net-l3i5",
    "sevennet-7net-mf-0-PBE": "7net-mf-0_PBE",
    "sevennet-7net-mf-0-R2SCAN": "7net-mf-0_R2SCAN",
}
#: Forces are single precision: noise of 4e-6 eV/Å over a displacement of 0.02 Å.
NOISE = 2e-4  # eV/Å²


def label_of(path: Path) -> str:
    return path.name.removeprefix("phonopy_params_").removesuffix(".yaml.xz")


def provenance(name: str) -> list[dict[str, Any]]:
    text = (shipped_ensemble(name)[0].parent / "ensemble.json").read_text(encoding="utf-8")
    members: list[dict[str, Any]] = json.loads(text)["members"]
    return members


@pytest.fixture(scope="module")
def ensembles() -> dict[str, dict[str, Phonopy]]:
    return {
        # Without the search for symmetry, which takes a second a member.
        name: {
            label_of(path): phonopy.load(path, is_symmetry=False, log_level=0) for path in shipped_ensemble(name)
        }
        for name in shipped_ensembles()
    }


def test_ge_and_nb_ship_with_eight_members_each(ensembles: dict[str, dict[str, Phonopy]]) -> None:
    assert {name: set(members) for name, members in ensembles.items()} == {
        "ge": set(REFERENCE_NAMES),
        "nb": set(REFERENCE_NAMES),
    }
    assert max(path.stat().st_size for name in ("ge", "nb") for path in shipped_ensemble(name)) < 60_000
    with pytest.raises(InputError, match="no ensemble of 'si' comes with fcinv: those that do are ge, nb"):
        shipped_ensemble("si")


@pytest.mark.parametrize("name", ["ge", "nb"])
def test_force_constants_are_projected_and_in_the_cell_of_the_structure(
    name: str, ensembles: dict[str, dict[str, Phonopy]]
) -> None:
    crystal = read_structure(shipped_ensemble(name)[0].parent / "POSCAR")
    for phonon in ensembles[name].values():
        np.testing.assert_allclose(phonon.primitive.cell, crystal.lattice, atol=1e-9)
        np.testing.assert_allclose(force_constants_of(phonon).sum(axis=1), 0, atol=1e-9)


@pytest.mark.parametrize(("name", "label"), [("ge", "chgnet-0.3.0"), ("nb", "sevennet-7net-0")])
def test_forces_in_a_file_give_its_force_constants(name: str, label: str) -> None:
    folder = shipped_ensemble(name)[0].parent
    phonon = phonopy.load(folder / f"phonopy_params_{label}.yaml.xz", log_level=0)
    shipped = force_constants_of(phonon).copy()
    record = next(m for m in provenance(name) if m["label"] == label)
    assert phonon.forces is not None
    removed = set_force_constants(phonon, record["displacement"], phonon.forces)
    assert removed == pytest.approx(record["removed"], rel=1e-3)
    np.testing.assert_allclose(force_constants_of(phonon), shipped, atol=1e-8)


@pytest.mark.parametrize("name", ["ge", "nb"])
def test_provenance_says_what_the_files_hold(name: str, ensembles: dict[str, dict[str, Phonopy]]) -> None:
    members = provenance(name)
    assert [member["label"] for member in members] == list(REFERENCE_NAMES)
    flagged = {member["label"] for member in members if member["depends_on_displacement"]}
    assert flagged == {"chgnet-0.3.0", "chgnet-r2scan"}
    unstable = {member["label"] for member in members if not member["stability"]["stable"]}
    assert (
        unstable
        == {
            "ge": {"chgnet-0.3.0"},
            "nb": {"sevennet-7net-0_22May2024", "sevennet-7net-l3i5"},
        }[name]
    )
    for member in members:
        assert member["versions"]["torch"].startswith("2.13.0")
        verdict = member["stability"]
        found = energies_at(ensembles[name][member["label"]], np.array([verdict["worst_q"]]))
        assert found.min() == pytest.approx(verdict["lowest"], abs=2e-3)
        assert member["supercell"] == ({"ge": [3, 3, 3], "nb": [4, 4, 4]}[name])


def shell_elements(phonon: Phonopy, bond: tuple[float, float, float], component: str) -> float:
    """One element (eV/Å²) of the tensor between an atom and the one at ``bond`` (in lattice constants).

    In Ge the first atom is the one that has a neighbour at (1/4, 1/4, 1/4), as in the reference table.
    """
    supercell = phonon.supercell
    constant = phonon.unitcell.cell[0, 0]
    for row, start in enumerate(phonon.primitive.p2s_map):
        fractions = supercell.scaled_positions - supercell.scaled_positions[start]

        def partner(vector: tuple[float, float, float], fractions: np.ndarray = fractions) -> int | None:
            difference = fractions - np.linalg.solve(supercell.cell.T, constant * np.array(vector))
            distance = np.linalg.norm((difference - np.rint(difference)) @ supercell.cell, axis=1)
            return int(distance.argmin()) if distance.min() < 1e-3 else None

        if len(phonon.primitive) == 1 or partner((0.25, 0.25, 0.25)) is not None:
            end = partner(bond)
            assert end is not None
            i, j = ("xyz".index(letter) for letter in component)
            return float(force_constants_of(phonon)[row, end, i, j])
    raise AssertionError("no atom has a neighbour at (1/4, 1/4, 1/4)")


@pytest.mark.parametrize(("name", "cell"), [("ge", "216"), ("nb", "128")])
def test_shell_tensors_agree_with_the_reference_within_two_per_cent(
    name: str, cell: str, ensembles: dict[str, dict[str, Phonopy]], shared_data: Path
) -> None:
    """Every independent element of every tabulated shell, against 2 % of the largest element of its shell.

    Shells whose elements are all below 0.01 eV/Å² are compared with the noise of the forces instead.
    """
    shells: dict[tuple[str, str], list[dict[str, str]]] = {}
    with open(shared_data / "umlff" / "shells.csv", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["mat"].lower() == name and row["cell"] == cell and row["latt"] == "exp":
                shells.setdefault((row["model"], row["shell"]), []).append(row)
    compared = 0
    for label, phonon in ensembles[name].items():
        for (model, shell), rows in shells.items():
            if model != REFERENCE_NAMES[label]:
                continue
            expected = np.array([float(row["value_eV_A2"]) for row in rows])
            found = np.array(
                [
                    shell_elements(phonon, tuple(map(float, row["bond_in_a"].strip("()").split(","))), row["comp"])  # type: ignore[arg-type]
                    for row in rows
                ]
            )
            difference = np.abs(found - expected).max()
            assert difference < max(0.02 * np.abs(expected).max(), NOISE), (label, shell, found, expected)
            compared += len(rows)
    assert compared > 8 * 19
