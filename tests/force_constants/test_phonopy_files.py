"""Force constants in and out of phonopy's files: the same frequencies, and nothing read by accident."""

from __future__ import annotations

import gzip
import lzma
import shutil
import warnings
from pathlib import Path
from typing import Any

import ase
import ase.io
import euphonic
import h5py
import numpy as np
import phonopy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.file_IO import write_FORCE_CONSTANTS, write_force_constants_to_hdf5, write_FORCE_SETS
from phonopy.structure.cells import PrimitiveMatrixAutoDefaultWarning

from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import bonds_in_supercell
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.force_constants.phonopy_files import (
    from_phonopy,
    read_force_constants,
    to_phonopy,
    write_phonopy_params,
)
from fcinv_core.units import THZ_TO_MEV
from tests.crystals import (
    CELLS,
    Cell,
    bonded_phonopy,
    crystal,
    lattice,
    many_points,
    phonopy_frequencies,
    random_phonopy,
    written_differently,
)

NAMES = sorted(CELLS)
TWO = 2 * np.eye(3, dtype=int)
OBLIQUE = np.array([[2, 1, 0], [0, 2, -1], [0, 0, 2]])
THZ = 1e-6


def frequencies(fcs: ForceConstants, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ours, THz."""
    return mode_energies(fcs, q) / THZ_TO_MEV


def assert_phonopys_frequencies(fcs: ForceConstants, phonon: Phonopy, n: int = 500) -> None:
    q = many_points(fcs.crystal, n)
    np.testing.assert_allclose(frequencies(fcs, q), phonopy_frequencies(phonon, fcs.crystal, q), rtol=0, atol=THZ)


def load(**files: Any) -> Phonopy:
    """phonopy.load, quiet about the choice of primitive cell that is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PrimitiveMatrixAutoDefaultWarning)
        return phonopy.load(log_level=0, is_nac=False, **files)


def write_poscar(path: Path, cell: Cell) -> Path:
    frame, fractions, symbols = cell
    ase.io.write(path, ase.Atoms(symbols, scaled_positions=fractions, cell=frame, pbc=True), format="vasp")
    return path


# --- frequencies of objects in memory


@pytest.mark.parametrize("matrix", [TWO, OBLIQUE, np.diag([3, 2, 1])], ids=["2x2x2", "oblique", "3x2x1"])
@pytest.mark.parametrize("name", [n for n in NAMES if len(CELLS[n][1]) <= 6])
def test_frequencies_are_phonopys(name: str, matrix: NDArray[np.int64]) -> None:
    phonon = random_phonopy(CELLS[name], matrix)
    fcs = from_phonopy(phonon, crystal(name), source="random")
    assert_phonopys_frequencies(fcs, phonon)
    assert_phonopys_frequencies(fcs, to_phonopy(fcs), 50)


@pytest.mark.parametrize("name", ["quartz", "Al2O3", "ZrO2"])
def test_frequencies_of_large_cells_are_phonopys(name: str) -> None:
    phonon = random_phonopy(CELLS[name], TWO)
    fcs = from_phonopy(phonon, crystal(name), source="random")
    assert_phonopys_frequencies(fcs, phonon, 100)
    assert_phonopys_frequencies(fcs, to_phonopy(fcs), 20)


@pytest.mark.parametrize("name", [n for n in NAMES if len(CELLS[n][1]) <= 6])
def test_frequencies_do_not_depend_on_the_cell_that_phonopy_was_given(name: str) -> None:
    """Turned, another basis, a supercell, shifted and shuffled: phonopy finds its own primitive cell."""
    phonon = random_phonopy(written_differently(CELLS[name], 11, right_handed=True), np.diag([2, 1, 2]))
    assert_phonopys_frequencies(from_phonopy(phonon, crystal(name), source="random"), phonon, 100)


@pytest.mark.parametrize("name", ["Ge", "NaCl", "white Sn"])
def test_a_conventional_cell_as_the_primitive_one_gives_the_same(name: str) -> None:
    """Without a primitive matrix phonopy finds the branches of several q at once; ours are among them."""
    one = crystal(name)
    conventional = one.conventional_cell()
    phonon = random_phonopy((conventional[0], conventional[1], list(conventional[2])), TWO, primitive="P")
    fcs = from_phonopy(phonon, one, source="conventional")
    q = many_points(one, 30)
    repeated = phonopy_frequencies_of_conventional(phonon, one, q)
    for ours, all_of_them in zip(frequencies(fcs, q), repeated, strict=True):
        distance = np.abs(ours[:, None] - all_of_them[None]).min(axis=1)
        assert distance.max() < THZ


def phonopy_frequencies_of_conventional(
    phonon: Phonopy, one: Crystal, q: NDArray[np.float64]
) -> NDArray[np.float64]:
    # q . r with r = r_conventional @ conventional: fractions of the conventional reciprocal basis.
    phonon.run_qpoints(q @ one.conventional.T)
    return np.asarray(phonon.qpoints.frequencies)


LENGTH = st.floats(3.2, 5.0)
FRACTION = st.floats(0.05, 0.95)


@st.composite
def low_symmetry_cells(draw: st.DrawFn) -> Cell:
    """Random crystals of the lower classes, several species, no two atoms closer than 1.2 Å."""
    kind = draw(st.sampled_from(["P1", "P-1", "P2/m", "C2/m", "P6", "R3m", "R-3m", "Pmm2"]))
    a, b, c = draw(LENGTH), draw(LENGTH), draw(LENGTH)
    x, y, z = draw(FRACTION), draw(FRACTION), draw(FRACTION)
    u = draw(FRACTION)
    general = {
        "P1": [[x, y, z]],
        "P-1": [[x, y, z], [-x, -y, -z]],
        "P2/m": [[x, 0, z], [-x, 0, -z]],
        "C2/m": [[x, x, z], [-x, -x, -z]],
        "P6": [[1 / 3, 2 / 3, z], [2 / 3, 1 / 3, z]],
        "R3m": [[z, z, z]],
        "R-3m": [[z, z, z], [-z, -z, -z]],
        "Pmm2": [[0.5, 0, z]],
    }[kind]
    frame = {
        "P1": lattice(a, b, c, draw(st.floats(75, 105)), draw(st.floats(75, 105)), draw(st.floats(75, 105))),
        "P-1": lattice(a, b, c, draw(st.floats(75, 105)), draw(st.floats(75, 105)), draw(st.floats(75, 105))),
        "P2/m": lattice(a, b, c, beta=draw(st.floats(93, 115))),
        "C2/m": np.array([[a, -b, 0], [a, b, 0], [-0.3 * c, 0, c]]) * [0.75, 0.65, 1],
        "P6": lattice(a, a, c, gamma=120),
        "R3m": lattice(a, a, a, *[draw(st.floats(62, 86))] * 3),
        "R-3m": lattice(a, a, a, *[draw(st.floats(62, 86))] * 3),
        "Pmm2": lattice(a, b, c),
    }[kind]
    fractions = np.array([[0.0, 0, 0], *general])
    symbols = ["Ba"] + ["Ti"] * len(general)
    if kind in ("P1", "R3m", "Pmm2"):
        fractions = np.vstack([fractions, [0.5, 0.5, u] if kind == "Pmm2" else [u] * 3])
        symbols.append("O")
    assume(separation(frame, fractions) > 1.2)
    return frame, fractions, symbols


def separation(frame: NDArray[np.float64], fractions: NDArray[np.float64]) -> float:
    corners = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    difference = fractions[:, None] - fractions
    images = (difference - np.rint(difference))[..., None, :] + corners
    lengths = np.linalg.norm(images @ frame, axis=-1)
    return float(lengths[lengths > 1e-9].min(initial=9.0)) if not duplicated(difference) else 0.0


def duplicated(difference: NDArray[np.float64]) -> bool:
    same = np.abs(difference - np.rint(difference)).max(axis=-1) < 1e-9
    return bool(same.sum() > len(same))


SUPERCELLS = st.sampled_from(
    [np.diag([2, 2, 2]), np.diag([3, 1, 2]), OBLIQUE, np.array([[1, 1, 0], [-1, 1, 0], [0, 1, 2]])]
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(low_symmetry_cells(), SUPERCELLS, st.integers(0, 1000))
def test_random_low_symmetry_crystals_have_phonopys_frequencies(
    cell: Cell, matrix: NDArray[np.int64], seed: int
) -> None:
    """As read, after reduction to parameters, and after these are perturbed."""
    phonon = random_phonopy(cell, matrix, seed)
    one = Crystal.from_cell(*cell)
    fcs = from_phonopy(phonon, one, source="random")
    assert_phonopys_frequencies(fcs, phonon, 30)
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    projection = parametrisation.project(fcs)
    assert projection.asymmetry < 1e-6
    values = projection.values * np.random.default_rng(seed).uniform(0.5, 1.5, len(projection.values))
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    assert_phonopys_frequencies(perturbed, to_phonopy(perturbed), 30)


# --- files


def write_form(form: str, phonon: Phonopy, folder: Path) -> Path:
    """Write the force constants of a phonopy object in one of the forms."""
    full = np.asarray(phonon.force_constants)
    compact = full[phonon.primitive.p2s_map]
    path = folder / form
    match form:
        case "phonopy_params.yaml":
            phonon.save(path, settings={"force_constants": True})
        case "phonopy_params.yaml.xz" | "phonopy_params.yaml.gz":
            plain = folder / "plain.yaml"
            phonon.save(plain, settings={"force_constants": True})
            path.write_bytes((lzma if form.endswith("xz") else gzip).compress(plain.read_bytes()))
            plain.unlink()
        case "FORCE_CONSTANTS" | "my_constants.txt":
            write_FORCE_CONSTANTS(full, path)
        case "FORCE_CONSTANTS.compact":
            write_FORCE_CONSTANTS(compact, path, p2s_map=phonon.primitive.p2s_map)
        case "FORCE_CONSTANTS.gz":
            write_FORCE_CONSTANTS(full, folder / "plain")
            path.write_bytes(gzip.compress((folder / "plain").read_bytes()))
            (folder / "plain").unlink()
        case "force_constants.hdf5":
            write_force_constants_to_hdf5(full, path)
        case "compact.hdf5":
            write_force_constants_to_hdf5(
                compact, path, p2s_map=phonon.primitive.p2s_map, physical_unit="eV/angstrom^2"
            )
    return path


FORMS = [
    "phonopy_params.yaml",
    "phonopy_params.yaml.xz",
    "phonopy_params.yaml.gz",
    "FORCE_CONSTANTS",
    "FORCE_CONSTANTS.compact",
    "FORCE_CONSTANTS.gz",
    "my_constants.txt",
    "force_constants.hdf5",
    "compact.hdf5",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["NaCl", "Bi", "triclinic P-1"])
def test_all_forms_give_phonopys_frequencies(name: str, form: str, tmp_path: Path) -> None:
    phonon = random_phonopy(CELLS[name], TWO)
    path = write_form(form, phonon, tmp_path)
    structure = write_poscar(tmp_path / "POSCAR", CELLS[name])
    fcs = read_force_constants(path, crystal(name), structure=structure)
    assert str(path) == fcs.source
    assert_phonopys_frequencies(fcs, phonon, 50)


@pytest.mark.parametrize("form", ["FORCE_CONSTANTS", "FORCE_CONSTANTS.compact", "compact.hdf5"])
def test_a_phonopy_yaml_as_the_structure_gives_supercell_and_primitive_cell(form: str, tmp_path: Path) -> None:
    one = crystal("NaCl")
    frame, fractions, symbols = one.conventional_cell()
    phonon = random_phonopy((frame, fractions, list(symbols)), np.diag([2, 1, 1]), primitive="P")
    path = write_form(form, phonon, tmp_path)
    phonon.save(tmp_path / "phonopy_disp.yaml", settings={"force_constants": False})
    fcs = read_force_constants(path, one, structure=tmp_path / "phonopy_disp.yaml")
    direct = from_phonopy(phonon, one, source="direct")
    q = many_points(one, 30)
    np.testing.assert_allclose(frequencies(fcs, q), frequencies(direct, q), atol=THZ)


@pytest.mark.parametrize("form", ["FORCE_CONSTANTS.compact", "compact.hdf5"])
def test_compact_constants_of_a_conventional_cell_are_read(form: str, tmp_path: Path) -> None:
    """Before version 4 phonopy took the unit cell for primitive unless told otherwise."""
    one = crystal("NaCl")
    frame, fractions, symbols = one.conventional_cell()
    cell = (frame, fractions, list(symbols))
    phonon = random_phonopy(cell, TWO, primitive="P")
    path = write_form(form, phonon, tmp_path)
    fcs = read_force_constants(path, one, structure=write_poscar(tmp_path / "POSCAR", cell))
    direct = from_phonopy(phonon, one, source="direct")
    q = many_points(one, 30)
    np.testing.assert_allclose(frequencies(fcs, q), frequencies(direct, q), atol=THZ)


def test_a_supercell_can_be_named(tmp_path: Path) -> None:
    phonon = random_phonopy(CELLS["Mg"], np.diag([3, 2, 1]))
    path = write_form("FORCE_CONSTANTS", phonon, tmp_path)
    structure = write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
    for supercell in (np.array([3, 2, 1]), np.diag([3, 2, 1])):
        fcs = read_force_constants(path, crystal("Mg"), structure=structure, supercell=supercell)
        assert_phonopys_frequencies(fcs, phonon, 30)
    with pytest.raises(InputError, match="12 atoms are not n x n x n times the 2 of"):
        read_force_constants(path, crystal("Mg"), structure=structure)


def with_forces(phonon: Phonopy, kind: int) -> Phonopy:
    """Displacements, and forces that the force constants give for them."""
    constants = np.asarray(phonon.force_constants)
    if kind == 1:
        phonon.generate_displacements(distance=0.01)
    else:
        phonon.generate_displacements(distance=0.01, number_of_snapshots=12, random_seed=3)
    rest = phonon.supercell.positions
    moved = np.array([cell.positions - rest for cell in phonon.supercells_with_displacements])
    phonon.forces = -np.einsum("ijxy,njy->nix", constants, moved)
    return phonon


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("structure_form", ["POSCAR", "phonopy_disp.yaml"])
def test_forces_become_the_constants_that_made_them(kind: int, structure_form: str, tmp_path: Path) -> None:
    name = "wurtzite ZnO"
    truth, phonon = random_phonopy(CELLS[name], TWO), with_forces(random_phonopy(CELLS[name], TWO), kind)
    write_FORCE_SETS(phonon.dataset, tmp_path / "FORCE_SETS")
    structure = write_poscar(tmp_path / "POSCAR", CELLS[name])
    if structure_form != "POSCAR":
        structure = tmp_path / structure_form
        phonon.save(structure, settings={"force_constants": False, "force_sets": False})
    supercell = TWO if kind == 2 else None
    fcs = read_force_constants(tmp_path / "FORCE_SETS", crystal(name), structure=structure, supercell=supercell)
    assert_phonopys_frequencies(fcs, load_force_sets(tmp_path, CELLS[name]), 50)
    q = many_points(crystal(name), 50)
    np.testing.assert_allclose(frequencies(fcs, q), phonopy_frequencies(truth, crystal(name), q), atol=1e-4)


def load_force_sets(folder: Path, cell: Cell) -> Phonopy:
    return load(
        unitcell_filename=write_poscar(folder / "POSCAR-load", cell),
        supercell_matrix=TWO,
        force_sets_filename=folder / "FORCE_SETS",
    )


@pytest.mark.parametrize("kind", [1, 2])
def test_forces_in_a_phonopy_yaml_are_used(kind: int, tmp_path: Path) -> None:
    phonon = with_forces(random_phonopy(CELLS["Mg"], TWO), kind)
    path = tmp_path / "phonopy_params.yaml"
    phonon.save(path, settings={"force_sets": True, "force_constants": False})
    fcs = read_force_constants(path, crystal("Mg"))
    assert_phonopys_frequencies(fcs, load(phonopy_yaml=path), 50)


def test_a_type_2_force_sets_without_a_supercell_is_refused(tmp_path: Path) -> None:
    phonon = with_forces(random_phonopy(CELLS["Mg"], TWO), 2)
    write_FORCE_SETS(phonon.dataset, tmp_path / "FORCE_SETS")
    with pytest.raises(InputError, match=r"supercell of .*FORCE_SETS is not known"):
        read_force_constants(
            tmp_path / "FORCE_SETS", crystal("Mg"), structure=write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
        )


@pytest.mark.parametrize("form", ["phonopy_params.yaml", "FORCE_CONSTANTS"])
def test_other_units_of_calculators_are_converted(form: str, tmp_path: Path) -> None:
    """Quantum ESPRESSO: bohr and Ry/bohr²."""
    frame, fractions, symbols = CELLS["NaCl"]
    in_bohr = (frame / 0.52917721, fractions, symbols)
    phonon = random_phonopy(in_bohr, TWO, calculator="qe")
    phonon.force_constants = np.asarray(phonon.force_constants) / 50  # about 1 eV/Å²
    path = write_form(form, phonon, tmp_path)
    phonon.save(tmp_path / "phonopy_disp.yaml", settings={"force_constants": False})
    fcs = read_force_constants(path, crystal("NaCl"), structure=tmp_path / "phonopy_disp.yaml")
    assert_phonopys_frequencies(fcs, phonon, 50)


def test_hdf5_constants_in_another_unit_than_the_structure_implies_are_refused(tmp_path: Path) -> None:
    phonon = random_phonopy(CELLS["Mg"], TWO)
    write_force_constants_to_hdf5(phonon.force_constants, tmp_path / "fc.hdf5", physical_unit="Ry/au^2")
    with pytest.raises(InputError, match=r"in Ry/au.2 where the structure file implies"):
        read_force_constants(
            tmp_path / "fc.hdf5", crystal("Mg"), structure=write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
        )


def test_files_in_the_working_directory_are_not_read_by_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    other = random_phonopy(CELLS["Mg"], TWO, seed=9)
    write_FORCE_SETS(with_forces(random_phonopy(CELLS["Mg"], TWO, seed=9), 1).dataset, wrong / "FORCE_SETS")
    write_FORCE_CONSTANTS(other.force_constants, wrong / "FORCE_CONSTANTS")
    write_force_constants_to_hdf5(other.force_constants, wrong / "force_constants.hdf5")
    (wrong / "BORN").write_text("14.4\n" + "2 0 0 0 2 0 0 0 2\n" * 3)
    monkeypatch.chdir(wrong)
    right = tmp_path / "right"
    right.mkdir()
    phonon = random_phonopy(CELLS["Mg"], TWO, seed=1)
    fcs = read_force_constants(write_form("phonopy_params.yaml", phonon, right), crystal("Mg"))
    assert fcs.non_analytic is None
    assert_phonopys_frequencies(fcs, phonon, 20)
    phonon.save(right / "empty.yaml", settings={"force_constants": False, "force_sets": False})
    with pytest.raises(InputError, match="holds no force constants"):
        read_force_constants(right / "empty.yaml", crystal("Mg"))


# --- writing


@pytest.mark.parametrize("suffix", [".yaml", ".yaml.xz"])
@pytest.mark.parametrize("name", ["Ge", "Bi", "wurtzite ZnO", "triclinic P1"])
def test_perturbed_sets_are_read_by_phonopy_and_by_us(name: str, suffix: str, tmp_path: Path) -> None:
    one = crystal(name)
    fcs = from_phonopy(random_phonopy(CELLS[name], TWO), one, source="random")
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    values = parametrisation.project(fcs).values
    values[:3] *= 1.3
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    path = tmp_path / f"phonopy_params{suffix}"
    write_phonopy_params(perturbed, path)
    assert list(tmp_path.iterdir()) == [path]
    q = many_points(one, 100)
    expected = frequencies(perturbed, q)
    np.testing.assert_allclose(phonopy_frequencies(load(phonopy_yaml=path), one, q), expected, atol=THZ)
    np.testing.assert_allclose(frequencies(read_force_constants(path, one), q), expected, atol=THZ)
    # The structure in it is the crystal.
    assert read_structure(path).symbols == one.symbols


@pytest.mark.parametrize("name", ["Ge", "Mg", "Bi", "triclinic P-1"])
def test_euphonic_agrees_with_us_as_it_agrees_with_phonopy(name: str, tmp_path: Path) -> None:
    one = crystal(name)
    fcs = from_phonopy(bonded_phonopy(CELLS[name], TWO), one, source="random")
    write_phonopy_params(fcs, tmp_path / "phonopy.yaml")
    theirs = euphonic.ForceConstants.from_phonopy(path=tmp_path, summary_name="phonopy.yaml")
    assert_euphonic(theirs, fcs, to_phonopy(fcs))


def assert_euphonic(theirs: euphonic.ForceConstants, fcs: ForceConstants, phonon: Phonopy) -> None:
    q = many_points(fcs.crystal, 100)
    # Not its compiled loop: that warns where numpy and phonopy bring two OpenMP libraries.
    modes = theirs.calculate_qpoint_phonon_modes(q, asr=None, use_c=False)
    energies = modes.frequencies.to("meV").magnitude
    ours = mode_energies(fcs, q)
    phonopys = phonopy_frequencies(phonon, fcs.crystal, q) * THZ_TO_MEV
    assert np.abs(energies - phonopys).max() < 2e-4
    assert np.abs(energies - ours).max() < np.abs(energies - phonopys).max() + THZ * THZ_TO_MEV


# --- bad input


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("phonopy_params.yaml", b"", "is empty"),
        ("phonopy_params.yaml", b"phonopy:\n  version: 1\nunit_cell: [", "cannot be read as force constants"),
        ("phonopy_params.yaml", b"phonopy:\n  version: 1\n", "holds no unit cell"),
        ("FORCE_CONSTANTS", b"hello\n", "does not begin with the number of atoms"),
        ("FORCE_CONSTANTS", b"16 16\n1 1\n", "cannot be read as force constants"),
        ("FORCE_SETS", b"16\n1\n", "cannot be read as force constants"),
        ("FORCE_CONSTANTS.gz", b"not packed", "cannot be read as force constants"),
        ("fc.hdf5", b"\x89HDF\r\n\x1a\nnonsense", "cannot be read as force constants"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00", "does not begin with the number of atoms"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    structure = write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
    with pytest.raises(InputError, match=words) as caught:
        read_force_constants(tmp_path / name, crystal("Mg"), structure=structure)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["phonopy_params.yaml", "FORCE_CONSTANTS", "force_constants.hdf5"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_files_are_refused(form: str, part: float, tmp_path: Path) -> None:
    path = write_form(form, random_phonopy(CELLS["Mg"], TWO), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    structure = write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
    with pytest.raises(InputError, match=form):
        read_force_constants(path, crystal("Mg"), structure=structure)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist.*phonopy_params\.yaml, FORCE_CONSTANTS"):
        read_force_constants(tmp_path / "FORCE_CONSTANTS", crystal("Mg"))
    with pytest.raises(InputError, match="is a folder"):
        read_force_constants(tmp_path, crystal("Mg"))
    path = write_form("FORCE_CONSTANTS", random_phonopy(CELLS["Mg"], TWO), tmp_path)
    with pytest.raises(InputError, match=r"holds no unit cell.*name the structure file"):
        read_force_constants(path, crystal("Mg"))
    with pytest.raises(InputError, match="POSCAR does not exist"):
        read_force_constants(path, crystal("Mg"), structure=tmp_path / "POSCAR")
    with pytest.raises(InputError, match="BORN does not exist"):
        read_force_constants(
            path,
            crystal("Mg"),
            structure=write_poscar(tmp_path / "POSCAR", CELLS["Mg"]),
            born=tmp_path / "BORN",
        )


def test_a_wrong_number_of_atoms_is_refused(tmp_path: Path) -> None:
    path = write_form("FORCE_CONSTANTS", random_phonopy(CELLS["Mg"], TWO), tmp_path)
    structure = write_poscar(tmp_path / "POSCAR", CELLS["wurtzite ZnO"])
    with pytest.raises(InputError, match="16 atoms are not n x n x n times the 4"):
        read_force_constants(path, crystal("wurtzite ZnO"), structure=structure)
    with pytest.raises(InputError, match="it is for 16 atoms while the supercell has 32"):
        read_force_constants(path, crystal("wurtzite ZnO"), structure=structure, supercell=TWO)


def test_constants_of_another_crystal_are_refused(tmp_path: Path) -> None:
    path = write_form("phonopy_params.yaml", random_phonopy(CELLS["Mg"], TWO), tmp_path)
    with pytest.raises(InputError, match="another crystal than Ge"):
        read_force_constants(path, crystal("Ge"))


def test_a_supercell_of_the_right_size_and_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    """Eight cells as 4 x 2 x 1 were meant, 2 x 2 x 2 would be guessed."""
    phonon = random_phonopy(CELLS["Mg"], np.diag([4, 2, 1]))
    path = write_form("FORCE_CONSTANTS", phonon, tmp_path)
    structure = write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
    with pytest.raises(InputError, match="exchange of two atoms changes its force constants"):
        read_force_constants(path, crystal("Mg"), structure=structure)
    fcs = read_force_constants(path, crystal("Mg"), structure=structure, supercell=np.array([4, 2, 1]))
    assert_phonopys_frequencies(fcs, phonon, 20)


def test_compact_constants_with_other_first_atoms_are_refused(tmp_path: Path) -> None:
    phonon = random_phonopy(CELLS["Mg"], TWO)
    compact = np.asarray(phonon.force_constants)[[1, 9]]
    write_FORCE_CONSTANTS(compact, tmp_path / "FORCE_CONSTANTS", p2s_map=np.array([1, 9]))
    with pytest.raises(InputError, match="inconsistent with the calculation setting"):
        read_force_constants(
            tmp_path / "FORCE_CONSTANTS",
            crystal("Mg"),
            structure=write_poscar(tmp_path / "POSCAR", CELLS["Mg"]),
        )


# --- reference data


def check_reference(fcs: ForceConstants, phonon: Phonopy) -> None:
    """As read, and with the force constants of the nearest shells perturbed."""
    assert_phonopys_frequencies(fcs, phonon)
    one = fcs.crystal
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, fcs.supercell))
    values = parametrisation.project(fcs).values
    values[:8] *= np.linspace(0.8, 1.3, min(8, len(values)))
    perturbed = parametrisation.force_constants(values, fcs, "perturbed")
    assert_phonopys_frequencies(perturbed, to_phonopy(perturbed))


def test_reference_germanium(shared_data: Path) -> None:
    folder = shared_data / "ge_dft"
    one = read_structure(folder / "POSCAR")
    fcs = read_force_constants(folder / "FORCE_CONSTANTS", one, structure=folder / "POSCAR")
    check_reference(
        fcs,
        load(
            unitcell_filename=folder / "POSCAR",
            supercell_matrix=4 * np.eye(3, dtype=int),
            primitive_matrix="P",
            force_constants_filename=folder / "FORCE_CONSTANTS",
            symmetrize_fc=False,
        ),
    )
    energies = mode_energies(fcs, np.array([one.high_symmetry_points[label] for label in "ΓXL"]))
    assert energies[0, -1] == pytest.approx(37.4, abs=0.1)
    assert energies[1, ::2] == pytest.approx([10.1, 29.9, 34.2], abs=0.1)
    assert energies[2, [0, 2, 3, 5]] == pytest.approx([8.5, 27.2, 30.3, 35.9], abs=0.1)


def test_reference_silicon(shared_data: Path) -> None:
    path = shared_data / "si_dft" / "phonopy_params_Si.yaml"
    fcs = read_force_constants(path, read_structure(path))
    check_reference(fcs, load(phonopy_yaml=path))


@pytest.mark.slow
def test_reference_niobium(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "nb_castep"
    one = read_structure(folder / "POSCAR")
    fcs = read_force_constants(folder / "FORCE_CONSTANTS.gz", one, structure=folder / "POSCAR")
    with gzip.open(folder / "FORCE_CONSTANTS.gz") as packed, open(tmp_path / "FORCE_CONSTANTS", "wb") as plain:
        shutil.copyfileobj(packed, plain)
    check_reference(
        fcs,
        load(
            unitcell_filename=folder / "POSCAR",
            supercell_matrix=9 * np.eye(3, dtype=int),
            primitive_matrix="P",
            force_constants_filename=tmp_path / "FORCE_CONSTANTS",
            symmetrize_fc=False,
        ),
    )


PLAIN_SETS = ("7net-0__Ge216__exp", "chgnet-0.2.0__Nb128__exp")
MODELS = ("7net-0", "7net-0_22May2024", "7net-l3i5", "7net-mf-0_PBE", "7net-mf-0_R2SCAN", "chgnet-0.2.0")
MORE_MODELS = (*MODELS, "chgnet-0.3.0", "chgnet-r2scan")
ALL_SETS = [f"{model}__{size}__exp" for model in MORE_MODELS for size in ("Ge216", "Nb128")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in PLAIN_SETS else pytest.mark.slow) for name in ALL_SETS]
)
def test_reference_force_fields(name: str, shared_data: Path) -> None:
    path = shared_data / "umlff" / f"{name}.phonopy_params.yaml"
    fcs = read_force_constants(path, read_structure(path))
    check_reference(fcs, load(phonopy_yaml=path))


def test_all_reference_force_fields_are_tested(shared_data: Path) -> None:
    there = {path.name.split(".phonopy_params")[0] for path in (shared_data / "umlff").glob("*.yaml")}
    assert there == set(ALL_SETS)


def test_euphonic_agrees_on_reference_germanium(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ge_dft"
    one = read_structure(folder / "POSCAR")
    raw = read_force_constants(folder / "FORCE_CONSTANTS", one, structure=folder / "POSCAR")
    # Symmetric force constants: of others Euphonic and phonopy keep different halves.
    parametrisation = Parametrisation.from_bonds(bonds_in_supercell(one, raw.supercell))
    fcs = parametrisation.force_constants(parametrisation.project(raw).values, raw, "symmetric")
    write_phonopy_params(fcs, tmp_path / "phonopy.yaml")
    theirs = euphonic.ForceConstants.from_phonopy(path=tmp_path, summary_name="phonopy.yaml")
    assert_euphonic(theirs, fcs, to_phonopy(fcs))


def test_hdf5_without_force_constants_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["mesh"] = [1, 2, 3]
    with pytest.raises(InputError, match="no data set fc2 or force_constants"):
        read_force_constants(
            tmp_path / "other.hdf5", crystal("Mg"), structure=write_poscar(tmp_path / "POSCAR", CELLS["Mg"])
        )
