"""A simulation is what phonopy computes along the same path, and its files are written all or none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from fcinv_core import plotting
from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import from_phonopy
from fcinv_core.nexus import read_mdhisto
from fcinv_core.qpath import QPath, named_path
from fcinv_core.simulation import (
    bands_csv,
    gamma_energies,
    simulate,
    to_mdhisto,
    write_simulation,
)
from fcinv_core.spectrum import Resolution, grid_up_to
from fcinv_core.units import THZ_TO_MEV
from tests.ensembles import aluminium, aluminium_ensemble, spring_phonopy


def rock_salt() -> PhonopyAtoms:
    """The conventional cell of a crystal like NaCl."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return PhonopyAtoms(
        symbols=["Na"] * 4 + ["Cl"] * 4,
        cell=np.eye(3) * 5.69,
        scaled_positions=np.vstack([corners, np.mod(corners + 0.5, 1)]),
    )


def polar_phonopy() -> Phonopy:
    """Springs between ions with charges."""
    phonon = spring_phonopy(rock_salt(), [(3.0, 1.2, 0.1), (4.2, 0.3, 0.05)], multiples=2)
    phonon.nac_params = {
        "born": np.array([np.eye(3) * 1.1, np.eye(3) * -1.1]),
        "dielectric": np.eye(3) * 2.4,
        "factor": 14.4,
    }
    return phonon


@pytest.fixture(scope="module")
def aluminium_sets() -> list[ForceConstants]:
    return aluminium_ensemble()


def standard(cell: PhonopyAtoms) -> Crystal:
    return Crystal.from_cell(cell.cell, cell.scaled_positions, list(cell.symbols))


def phonopy_energies(phonon: Phonopy, path: QPath) -> np.ndarray:
    """phonopy's energies on a path, meV; Γ is approached along the segment."""
    energies = []
    for q, direction in zip(path.q, path.direction, strict=True):
        phonon.run_qpoints([q], nac_q_direction=direction if phonon.nac_params else None)
        energies.append(phonon.qpoints.frequencies[0] * THZ_TO_MEV)
    return np.array(energies)


def test_bands_of_the_table_are_phonopys_along_the_same_path() -> None:
    phonon = spring_phonopy(aluminium(), [(3.0, 1.0, 0.05), (4.2, 0.1, 0.0)])
    crystal = standard(aluminium())
    simulation = simulate(from_phonopy(phonon, crystal, source="springs"))
    rows = list(csv.DictReader(io.StringIO(bands_csv(simulation))))
    q = np.array([[float(row[name]) for name in ("q1", "q2", "q3")] for row in rows])
    energies = np.array([[float(row[f"energy{k}_mev"]) for k in (1, 2, 3)] for row in rows])
    # phonopy's primitive cell may be another one: compare at the same Cartesian wave vectors.
    there = q @ crystal.reciprocal_lattice @ phonon.primitive.cell.T / (2 * np.pi)
    phonon.run_qpoints(there)
    wanted = phonon.qpoints.frequencies * THZ_TO_MEV
    # 1e-6 THz, where acoustic modes at Γ have the square root of rounding noise.
    np.testing.assert_allclose(energies, wanted, atol=4e-6)


def test_polar_bands_split_at_gamma_along_the_path() -> None:
    phonon = polar_phonopy()
    crystal = standard(rock_salt())
    fcs = from_phonopy(phonon, crystal, source="ions")
    path = named_path(crystal, "X-Γ-L", 21)
    simulation = simulate(fcs, path)
    there = QPath(
        q=path.q @ crystal.reciprocal_lattice @ phonon.primitive.cell.T / (2 * np.pi),
        distance=path.distance,
        segment=path.segment,
        direction=path.direction @ crystal.reciprocal_lattice @ phonon.primitive.cell.T / (2 * np.pi),
        ticks=path.ticks,
    )
    np.testing.assert_allclose(simulation.energies, phonopy_energies(phonon, there), atol=4e-6)
    at_gamma = simulation.energies[next(k for k, label in path.ticks if label == "Γ")]
    assert at_gamma[5] - at_gamma[4] > 1.0
    assert at_gamma[4] - at_gamma[3] < 1e-6
    split, direction = gamma_energies(fcs)
    assert direction == "Γ-X"
    np.testing.assert_allclose(split, at_gamma, atol=4e-6)


def test_table_labels_both_ends_of_a_break_at_one_distance(aluminium_sets: list[ForceConstants]) -> None:
    fcs = aluminium_sets[0]
    simulation = simulate(fcs, named_path(fcs.crystal, "Γ-X-U|K-Γ", 31))
    rows = list(csv.DictReader(io.StringIO(bands_csv(simulation))))
    assert len(rows) == 31
    labelled = [(row["label"], float(row["distance_per_angstrom"])) for row in rows if row["label"]]
    assert [label for label, _ in labelled] == ["Γ", "X", "U", "K", "Γ"]
    assert labelled[2][1] == labelled[3][1]
    x = fcs.crystal.high_symmetry_points["X"]
    assert labelled[1][1] == pytest.approx(float(np.linalg.norm(x @ fcs.crystal.reciprocal_lattice)), abs=1e-8)


def test_spectrum_holds_every_mode_once(aluminium_sets: list[ForceConstants]) -> None:
    simulation = simulate(aluminium_sets[0], resolution=Resolution((0.4,)))
    # Acoustic modes at the lower edge lose half of their line.
    inside = simulation.energies.min(axis=1) > 1.0
    totals = simulation.spectrum[inside].sum(axis=1) * simulation.grid.width
    np.testing.assert_allclose(totals, 3.0, rtol=1e-4)


def test_default_range_holds_the_highest_mode_with_its_line(aluminium_sets: list[ForceConstants]) -> None:
    assert (grid_up_to(37.4).minimum, grid_up_to(37.4).maximum) == (0.0, 40.0)
    assert (grid_up_to(39.9).minimum, grid_up_to(39.9).maximum) == (0.0, 45.0)
    assert (grid_up_to(0.2).minimum, grid_up_to(0.2).maximum) == (0.0, 5.0)
    simulation = simulate(aluminium_sets[0])
    assert simulation.resolution.fwhm_coefficients == pytest.approx((0.03 * simulation.grid.maximum,))


def test_imaginary_modes_are_found_with_their_wave_vector(aluminium_sets: list[ForceConstants]) -> None:
    # Springs that push sideways: transverse modes become imaginary.
    phonon = spring_phonopy(aluminium(), [(3.0, 1.0, -0.2)])
    simulation = simulate(from_phonopy(phonon, standard(aluminium()), source="springs"))
    energy, q = simulation.lowest
    assert not simulation.stable
    assert energy == simulation.energies.min() < -1.0
    assert any(np.allclose(q, point) for point in simulation.path.q)
    assert simulate(aluminium_sets[0]).stable


@pytest.mark.parametrize("energy_range", [(60.0, 80.0), (-10.0, -5.0), (0.0, float("inf")), (40.0, 0.0)])
def test_ranges_without_modes_are_refused(
    aluminium_sets: list[ForceConstants], energy_range: tuple[float, float]
) -> None:
    with pytest.raises(InputError):
        simulate(aluminium_sets[0], energy_range=energy_range)


def test_file_carries_spectrum_path_and_origin(aluminium_sets: list[ForceConstants], tmp_path: Path) -> None:
    simulation = simulate(aluminium_sets[1])
    files = write_simulation(simulation, tmp_path, {"command": "fcinv simulate"})
    assert sorted(file.name for file in files) == ["bands.csv", "bands.png", "iqe.nxs", "iqe.png"]
    histo = read_mdhisto(tmp_path / "iqe.nxs")
    np.testing.assert_array_equal(histo.signal, simulation.spectrum.astype(float))
    np.testing.assert_array_equal(histo.dimensions[0].edges, np.arange(202) - 0.5)
    np.testing.assert_array_equal(histo.dimensions[1].edges, simulation.grid.edges)
    np.testing.assert_array_equal(histo.collections["bands"]["energies"], simulation.energies)
    again = QPath.from_dict(histo.content["path"])
    np.testing.assert_array_equal(again.q, simulation.path.q)
    assert again.tick_labels == simulation.path.tick_labels
    assert histo.content["command"] == "fcinv simulate"
    assert histo.content["versions"].keys() >= {"fcinv", "numpy", "phonopy", "python"}


def test_content_names_no_folder_of_this_machine(aluminium_sets: list[ForceConstants]) -> None:
    fcs = aluminium_sets[0]
    simulation = simulate(fcs.with_tensors(fcs.tensors, "archive/someone/FORCE_CONSTANTS"))
    assert to_mdhisto(simulation).content["force_constants"] == "FORCE_CONSTANTS"


@pytest.mark.parametrize("broken", ["plot_bands", "plot_spectrum"])
def test_failure_leaves_no_file(
    aluminium_sets: list[ForceConstants], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(plotting, broken, fail)
    with pytest.raises(OSError, match="no space"):
        write_simulation(simulate(aluminium_sets[0]), tmp_path)
    assert list(tmp_path.iterdir()) == []
