"""The crystal: one description whatever the file, structure files, and cells that map onto it."""

from __future__ import annotations

import itertools
import lzma
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import seekpath
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from fcinv_core.crystal import Crystal, map_cell, read_structure
from fcinv_core.errors import InputError
from tests.crystals import CELLS, Cell, crystal, lattice, make_phonopy, written_differently

NAMES = sorted(CELLS)
SPACE_GROUPS = {
    "Ge": 227,
    "Nb": 229,
    "NaCl": 225,
    "ZnS": 216,
    "SrTiO3": 221,
    "Mg": 194,
    "wurtzite ZnO": 186,
    "quartz": 154,
    "Bi": 166,
    "Al2O3": 167,
    "TiO2": 136,
    "white Sn": 141,
    "orthorhombic": 47,
    "ZrO2": 14,
    "triclinic P-1": 2,
    "triclinic P1": 1,
}


def assert_same(a: Crystal, b: Crystal, scale: float = 1.0) -> None:
    """Assert that two crystals are described by the same numbers."""
    np.testing.assert_allclose(scale * a.lattice, b.lattice, atol=1e-6)
    np.testing.assert_allclose((a.positions - b.positions + 0.5) % 1, 0.5, atol=1e-6)
    assert a.symbols == b.symbols
    np.testing.assert_array_equal(a.masses, b.masses)
    np.testing.assert_array_equal(a.conventional, b.conventional)
    assert a.space_group_number == b.space_group_number
    assert_same_points(a.high_symmetry_points, b.high_symmetry_points)
    assert a.high_symmetry_path == b.high_symmetry_path


def assert_same_points(a: Mapping[str, ArrayLike], b: Mapping[str, ArrayLike]) -> None:
    assert list(a) == list(b)
    np.testing.assert_allclose(list(a.values()), list(b.values()), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_space_group_is_found(name: str) -> None:
    assert crystal(name).space_group_number == SPACE_GROUPS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_standard_cell_holds_the_same_atoms(name: str) -> None:
    """Distances between all atoms are those of the cell that was given."""
    cell, standard = CELLS[name], crystal(name)
    n = len(cell[1]) // standard.n_sites

    def distances(frame: NDArray[np.float64], fractions: NDArray[np.float64], symbols: list[str]) -> Counter:
        corners = np.array(list(itertools.product(range(-4, 5), repeat=3)))
        found: Counter = Counter()
        for a, b in itertools.product(range(len(symbols)), repeat=2):
            lengths = np.linalg.norm((fractions[b] - fractions[a] + corners) @ frame, axis=1)
            found.update((symbols[a], symbols[b], round(x, 3)) for x in lengths if x < 4.6)
        return found

    given = distances(*cell)
    ours = distances(standard.lattice, standard.positions, list(standard.symbols))
    assert given == Counter({key: n * count for key, count in ours.items()})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_standard_cell_does_not_depend_on_how_the_file_was_written(name: str, seed: int) -> None:
    assert_same(crystal(name), Crystal.from_cell(*written_differently(CELLS[name], seed)))


@pytest.mark.parametrize("name", NAMES)
def test_fractions_and_labels_do_not_depend_on_the_lattice_constant(name: str) -> None:
    assert_same(crystal(name), Crystal.from_cell(*written_differently(CELLS[name], 7, scale=1.02)), scale=1.02)


@pytest.mark.parametrize("name", NAMES)
def test_standardising_a_standard_cell_changes_nothing(name: str) -> None:
    one = crystal(name)
    assert_same(one, Crystal.from_cell(one.lattice, one.positions, one.symbols, one.masses))
    assert_same(one, Crystal.from_cell(*one.conventional_cell()))


@pytest.mark.parametrize("name", NAMES)
def test_the_space_group_maps_the_crystal_onto_itself(name: str) -> None:
    one = crystal(name)
    n = len(spglib.get_symmetry((one.lattice, one.positions, [ord(s[0]) for s in one.symbols]))["rotations"])
    assert len(one.rotations) == n
    for w, t, r in zip(one.rotations, one.translations, one.cartesian_rotations, strict=True):
        np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-6)
        moved = one.positions @ w.T + t
        for position, symbol in zip(moved, one.symbols, strict=True):
            difference = position - one.positions
            hit = np.linalg.norm((difference - np.rint(difference)) @ one.lattice, axis=1) < 1e-5
            assert [one.symbols[k] for k in np.flatnonzero(hit)] == [symbol]


@pytest.mark.parametrize("name", NAMES)
def test_lattice_and_path_are_those_of_seekpath(name: str) -> None:
    one = crystal(name)
    standard = seekpath.get_path((CELLS[name][0], CELLS[name][1], [ord(s[0]) for s in CELLS[name][2]]))
    np.testing.assert_allclose(one.lattice, standard["primitive_lattice"], atol=1e-6)
    np.testing.assert_allclose(one.conventional_lattice, standard["conv_lattice"], atol=1e-6)
    ours = {"GAMMA" if label == "Γ" else label: q for label, q in one.high_symmetry_points.items()}
    assert_same_points(ours, standard["point_coords"])
    rename = [tuple("GAMMA" if label == "Γ" else label for label in pair) for pair in one.high_symmetry_path]
    assert rename == [tuple(pair) for pair in standard["path"]]


def test_reciprocal_lattice_is_dual_with_the_two_pi() -> None:
    one = crystal("ZrO2")
    np.testing.assert_allclose(one.reciprocal_lattice @ one.lattice.T, 2 * np.pi * np.eye(3), atol=1e-12)


def test_isotopes_lower_the_symmetry_and_keep_their_masses() -> None:
    frame, fractions, symbols = CELLS["Ge"]
    one = Crystal.from_cell(frame, fractions, symbols, [70.0, 76.0])
    assert one.space_group_number == 216
    other = Crystal.from_cell(frame, fractions[::-1], symbols, [76.0, 70.0])
    np.testing.assert_array_equal(one.masses, other.masses)
    mapping = map_cell(one, frame, fractions, symbols, [75.9, 70.1], name="isotopes")
    np.testing.assert_array_equal(one.masses[mapping.sites], [76.0, 70.0])


def test_one_heavier_isotope_throughout_changes_masses_only() -> None:
    one = Crystal.from_cell(*CELLS["Ge"], [76.0, 76.0])
    assert one.space_group_number == 227
    np.testing.assert_array_equal(one.masses, [76.0, 76.0])


def test_natural_masses_are_phonopys_to_the_digits_of_its_files() -> None:
    one = crystal("NaCl")
    natural = make_phonopy(CELLS["NaCl"], np.eye(3, dtype=int)).primitive
    masses = dict(zip(natural.symbols, natural.masses, strict=True))
    assert [round(masses[symbol], 6) for symbol in one.symbols] == one.masses.tolist()


@pytest.mark.parametrize("digits", [4, 5])
@pytest.mark.parametrize("name", ["Mg", "wurtzite ZnO", "quartz", "Bi", "Al2O3"])
def test_four_digits_in_a_file_do_not_lower_the_symmetry(name: str, digits: int) -> None:
    frame, fractions, symbols = CELLS[name]
    one = Crystal.from_cell(np.round(frame, digits), np.round(fractions, digits), symbols)
    assert one.space_group_number == SPACE_GROUPS[name]
    rotations = one.cartesian_rotations
    np.testing.assert_allclose(rotations @ np.swapaxes(rotations, 1, 2), np.eye(3)[None] + 0 * rotations, atol=1e-9)


def test_noise_of_a_relaxation_does_not_lower_the_symmetry() -> None:
    frame, fractions, symbols = CELLS["TiO2"]
    noise = np.random.default_rng(0).normal(scale=3e-4, size=fractions.shape)
    assert Crystal.from_cell(frame, fractions + noise, symbols).space_group_number == 136


@pytest.mark.parametrize(("name", "seed"), [("quartz", 123), ("ZrO2", 157)])
def test_a_tolerant_search_does_not_move_exact_positions(name: str, seed: int) -> None:
    """With a tolerance of 0.01 Å spglib shifts the oxygens of these cells by 0.004 Å."""
    assert_same(crystal(name), Crystal.from_cell(*written_differently(CELLS[name], seed)))


def test_a_real_distortion_is_kept() -> None:
    """The titanium of BaTiO3 is 0.05 Å off the centre at room temperature."""
    fractions = CELLS["SrTiO3"][1] + [[0, 0, 0], [0, 0, 0.0135], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    one = Crystal.from_cell(CELLS["SrTiO3"][0], fractions, CELLS["SrTiO3"][2])
    assert one.space_group_symbol == "P4mm"


def test_site_names_number_only_elements_that_repeat() -> None:
    assert crystal("NaCl").site_names == crystal("NaCl").symbols
    assert sorted(crystal("SrTiO3").site_names) == ["O1", "O2", "O3", "Sr", "Ti"]


def test_the_description_names_formula_and_space_group() -> None:
    assert crystal("NaCl").describe().startswith("NaCl, space group Fm-3m (225), a 5.6900")
    assert "1 atom per primitive cell" in crystal("Nb").describe()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ((np.eye(3), np.zeros((2, 3)), ["Ge"]), "do not fit"),
        ((np.eye(3), np.zeros((0, 3)), []), "do not fit"),
        ((np.zeros((3, 3)), np.zeros((1, 3)), ["Ge"]), "do not span a volume"),
        ((np.eye(3) * np.nan, np.zeros((1, 3)), ["Ge"]), "do not span a volume"),
        ((4 * np.eye(3), np.zeros((2, 3)), ["Ge", "Ge"]), "symmetry of probe cannot be determined"),
        ((4 * np.eye(3), np.zeros((1, 3)), ["Xx"]), "without a known mass"),
        ((4 * np.eye(3), np.zeros((1, 3)), ["Po"]), "without a known mass"),
    ],
)
def test_what_is_not_a_crystal_is_refused(cell: Cell, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Crystal.from_cell(*cell, name="probe")


# --- cells that map onto a crystal


def check_mapping(one: Crystal, cell: Cell, largest_strain: float) -> None:
    """Assert that the mapping carries every atom of a cell onto its site, strain aside."""
    frame, fractions, symbols = cell
    mapping = map_cell(one, *cell, name="cell")
    assert mapping.strain <= largest_strain
    assert [one.symbols[site] for site in mapping.sites] == list(symbols)
    assert len(set(Counter(mapping.sites.tolist()).values())) == 1
    np.testing.assert_allclose(mapping.rotation @ mapping.rotation.T, np.eye(3), atol=1e-9)
    placed = (mapping.offsets + one.positions[mapping.sites]) @ one.lattice
    turned = fractions @ frame @ mapping.rotation.T
    size = np.linalg.norm(fractions[:, None] @ frame - fractions @ frame, axis=2).max()
    misplaced = (placed - placed[0]) - (turned - turned[0])
    assert np.linalg.norm(misplaced, axis=1).max() <= 1e-5 + 2 * mapping.strain * size
    # The lattice maps as the atoms do.
    np.testing.assert_allclose(
        mapping.basis.T @ one.lattice,
        frame @ mapping.rotation.T,
        atol=1e-5 + 2 * mapping.strain * np.abs(frame).max(),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_other_cells_of_the_crystal_map_without_strain(name: str, seed: int) -> None:
    check_mapping(crystal(name), written_differently(CELLS[name], seed + 20), 1e-6)


@settings(deadline=None, max_examples=25)
@given(
    # Of axes that differ by less than the strain nobody can say which is which.
    st.sampled_from([name for name in NAMES if name != "orthorhombic"]),
    st.integers(0, 10_000),
    st.sampled_from([0.01, 0.03, 0.035]),
)
def test_cells_under_strain_map(name: str, seed: int, size: float) -> None:
    frame, fractions, symbols = written_differently(CELLS[name], seed)
    check_mapping(crystal(name), (frame @ strained(size, seed), fractions, symbols), 1.02 * size + 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_eight_per_cent_of_strain_are_another_crystal(name: str) -> None:
    frame, fractions, symbols = written_differently(CELLS[name], 3)
    with pytest.raises(InputError, match=r"another crystal.*primitive lattice.*by more than 4.5 %"):
        map_cell(crystal(name), frame * 1.08, fractions, symbols, name="strained")


def strained(size: float, seed: int) -> NDArray[np.float64]:
    """Deformation whose largest principal strain is ``size``."""
    strain = np.random.default_rng(seed).uniform(-1, 1, (3, 3))
    strain += strain.T
    return np.eye(3) + size * strain / np.abs(np.linalg.eigvalsh(strain)).max()


def test_nearly_equal_axes_are_not_exchanged() -> None:
    """Lattice constants 2 % apart could be matched in any order within the tolerance of strain."""
    one = crystal("orthorhombic")
    for order in itertools.permutations(range(3)):
        mapping = map_cell(one, np.diag([3.0, 3.06, 3.12])[list(order)], np.zeros((1, 3)), ["In"], name="x")
        assert mapping.strain < 1e-6


def test_atoms_displaced_in_a_relaxation_map() -> None:
    frame, fractions, symbols = CELLS["TiO2"]
    noise = np.random.default_rng(0).normal(scale=0.01, size=fractions.shape)
    assert map_cell(crystal("TiO2"), frame, fractions + noise, symbols, name="relaxed").strain < 1e-6


@pytest.mark.parametrize(
    ("target", "other", "words"),
    [
        ("Ge", "Nb", "its primitive cell holds Nb1 and not Ge2"),
        ("NaCl", "ZnS", "its primitive cell holds S1 Zn1 and not Cl1 Na1"),
        ("Mg", "Bi", "its primitive cell holds Bi2 and not Mg2"),
    ],
)
def test_another_crystal_is_refused_by_its_composition(target: str, other: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        map_cell(crystal(target), *CELLS[other], name="other")


def test_another_structure_of_the_same_composition_and_lattice_is_refused() -> None:
    """Zincblende against rock salt: one lattice, the atoms elsewhere."""
    frame, fractions, _ = CELLS["ZnS"]
    with pytest.raises(InputError, match=r"the lattices agree but atoms lie more than 0.4 Å"):
        map_cell(
            Crystal.from_cell(frame, CELLS["NaCl"][1], ["Zn", "S"]), frame, fractions, ["Zn", "S"], name="other"
        )


# --- structure files


@pytest.mark.parametrize("name", ["Ge", "NaCl", "quartz", "Bi", "ZrO2", "triclinic P1"])
@pytest.mark.parametrize("form", ["POSCAR", "structure.cif", "phonopy_disp.yaml", "phonopy_disp.yaml.xz"])
def test_all_structure_files_give_the_same_crystal(name: str, form: str, tmp_path: Path) -> None:
    frame, fractions, symbols = CELLS[name]
    path = tmp_path / form
    if "yaml" in form:
        plain = path.with_suffix("") if form.endswith(".xz") else path
        make_phonopy(CELLS[name], np.eye(3, dtype=int)).save(plain)
        if form.endswith(".xz"):
            path.write_bytes(lzma.compress(plain.read_bytes()))
    else:
        atoms = ase.Atoms(symbols, scaled_positions=fractions, cell=frame, pbc=True)
        ase.io.write(path, atoms, format="cif" if form.endswith("cif") else "vasp")
    assert_same(crystal(name), read_structure(path))


def test_a_phonopy_yaml_of_another_calculator_is_read_in_its_unit_of_length(tmp_path: Path) -> None:
    frame, fractions, symbols = CELLS["NaCl"]
    make_phonopy((frame / 0.529177210, fractions, symbols), np.eye(3, dtype=int), calculator="qe").save(
        tmp_path / "phonopy.yaml"
    )
    np.testing.assert_allclose(
        read_structure(tmp_path / "phonopy.yaml").lattice, crystal("NaCl").lattice, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("POSCAR", "", "is empty"),
        ("POSCAR", "this is\nnot a structure\n", "is not a crystal structure that can be read"),
        ("POSCAR", "Ge\n1.0\n1 0 0\n0 1 0\n", "is not a crystal structure that can be read"),
        ("a.cif", "data_x\n_cell_length_a 3\n", "is not a crystal structure that can be read"),
        ("a.yaml", "lattice: [", "is not a crystal structure that can be read"),
        ("a.yaml", "hello: 1\n", "is not a crystal structure that can be read"),
        ("a.yaml.xz", "not compressed", "is not a crystal structure that can be read"),
        ("photo.png", "\x89PNG\r\n\x1a\n", "is not a crystal structure that can be read"),
    ],
)
def test_bad_structure_files_are_refused_in_one_sentence(
    name: str, content: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        read_structure(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_structure(tmp_path / "POSCAR")
    with pytest.raises(InputError, match="is a folder"):
        read_structure(tmp_path)


def test_partly_occupied_sites_are_refused(tmp_path: Path) -> None:
    text = """data_mixed
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
K1 K 0 0 0 0.5
Na1 Na 0 0 0 0.5
Cl1 Cl 0.5 0.5 0.5 1.0
"""
    (tmp_path / "mixed.cif").write_text(text)
    with pytest.raises(InputError, match="partly occupied"):
        read_structure(tmp_path / "mixed.cif")


def test_the_path_of_reference_germanium_starts_as_in_the_tables(shared_data: Path) -> None:
    one = read_structure(shared_data / "ge_dft" / "POSCAR")
    assert one.space_group_symbol == "Fd-3m"
    assert one.high_symmetry_path[0] == ("Γ", "X")
    assert one.conventional_lattice == pytest.approx(5.64633 * np.eye(3), abs=1e-5)


def test_lattice_helper_has_the_angles_asked_for() -> None:
    frame = lattice(4, 5, 6, 80, 95, 110)
    cosine = frame[0] @ frame[1] / 20
    assert np.degrees(np.arccos(cosine)) == pytest.approx(110)
