"""Force constants in and out of phonopy's files."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike
from phonopy import Phonopy
from phonopy.file_IO import (
    parse_BORN,
    parse_FORCE_CONSTANTS,
    parse_FORCE_SETS,
    read_force_constants_hdf5,
)
from phonopy.interface.phonopy_yaml import PhonopyYaml
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from fcinv_core.crystal import (
    SYMMETRY_TOLERANCE,
    CellMapping,
    Crystal,
    FloatArray,
    IntArray,
    check_readable,
    map_cell,
    read_cell,
)
from fcinv_core.errors import InputError
from fcinv_core.files import replace_when_complete
from fcinv_core.force_constants.non_analytic import NonAnalyticTerm
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.stability import commensurate_points
from fcinv_core.units import ROOT_TO_THZ

_FORMS = "phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS"
#: Relative norm by which exchange of two atoms may change a set: raw finite differences stay below a tenth.
_EXCHANGE = 0.3


def read_force_constants(
    path: Path | str,
    crystal: Crystal,
    *,
    structure: Path | str | None = None,
    supercell: IntArray | None = None,
    born: Path | str | None = None,
) -> ForceConstants:
    """Read force constants in any of phonopy's forms and express them in a crystal's standard cell.

    Forces (FORCE_SETS, or a phonopy yaml with a displacement dataset) are turned into force constants and
    symmetrised the way phonopy does by default.

    Parameters
    ----------
    path
        phonopy_params.yaml (also .xz), FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS.
    crystal
        The crystal; the file's own cell may differ by a rotation, a choice of cell, or a small strain.
    structure
        File with the unit cell that the set was computed for. Needed by the forms that hold no cell.
    supercell
        Shape (3, 3) or (3,): phonopy's DIM for that unit cell. Found from the structure file if it is a
        phonopy yaml, else taken as n x n x n when the number of atoms allows it.
    born
        BORN file of a polar crystal; default: the phonopy yaml's own charges, or a file BORN beside ``path``.

    Raises
    ------
    InputError
        If a file is missing, damaged, or belongs to another crystal.
    """
    path = Path(path)
    check_readable(path, f"a force-constant file ({_FORMS})")
    phonon = _load(path, None if structure is None else Path(structure), supercell, born)
    return from_phonopy(phonon, crystal, source=str(path))


def supercell_matrix(numbers: ArrayLike, name: str) -> IntArray:
    """Return phonopy's DIM as a matrix, shape (3, 3).

    Parameters
    ----------
    numbers
        Its diagonal, or all of it row by row: 3 or 9 integers.
    name
        How error messages call it.

    Raises
    ------
    InputError
        If there are others, or they span no volume.
    """
    given = np.array(numbers, dtype=np.int64)
    matrix = given.reshape(3, 3) if given.size == 9 else np.diag(given.ravel())
    if len(matrix) != 3 or round(abs(float(np.linalg.det(matrix)))) < 1:
        raise InputError(
            f"{name} {' '.join(map(str, given.ravel()))} is not a supercell",
            "3 or 9 integers that span a volume were expected",
            "give it as phonopy's DIM, such as 4 4 4",
        )
    return matrix


def from_phonopy(phonon: Phonopy, crystal: Crystal, *, source: str) -> ForceConstants:
    """Express the force constants of a phonopy object in a crystal's standard cell and frame.

    Raises
    ------
    InputError
        If the phonopy object holds no force constants or another crystal.
    """
    if phonon.force_constants is None:
        raise InputError(f"{source} holds no force constants", "neither constants nor forces are in it", "add them")
    primitive, compact = phonon.primitive, np.asarray(phonon.force_constants)
    if len(compact) != len(primitive):
        compact = compact[primitive.p2s_map]
    units = get_calculator_physical_units(phonon.calculator)
    mapping = map_cell(
        crystal,
        primitive.cell * units.distance_to_A,
        primitive.scaled_positions,
        list(primitive.symbols),
        primitive.masses,
        name=source,
    )

    vectors, multiplicity = primitive.get_smallest_vectors()  # fractions of phonopy's primitive basis
    index = np.array([primitive.p2p_map[s] for s in primitive.s2p_map])
    second_of, first_of = np.meshgrid(np.arange(len(index)), np.arange(len(primitive)), indexing="ij")
    counts, starts = multiplicity[..., 0].ravel(), multiplicity[..., 1].ravel()
    first = np.repeat(first_of.ravel(), counts)
    supercell_atom = np.repeat(second_of.ravel(), counts)
    images = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, counts, strict=True)])
    share = 1.0 / np.repeat(counts, counts)

    second = index[supercell_atom]
    x = primitive.scaled_positions
    cells = np.rint(vectors[images] + x[first] - x[second])
    cells = mapping.offsets[second] + np.rint(cells @ mapping.basis.T).astype(np.int64) - mapping.offsets[first]
    tensors = mapping.rotation @ compact[first, supercell_atom] @ mapping.rotation.T
    # Squared ratio of frequency factors: whatever unit of force constants the calculator has, to eV/Å².
    share *= (units.factor / ROOT_TO_THZ) ** 2 * crystal.n_sites / len(primitive)
    tensors *= share[:, None, None]

    lattice_rows = np.rint(phonon.supercell.cell @ np.linalg.inv(primitive.cell))
    supercell = np.rint(lattice_rows @ mapping.basis.T).astype(np.int64)
    # An improper mapping turns the basis left-handed; its negative spans the same lattice, and phonopy takes it.
    supercell *= round(np.sign(np.linalg.det(supercell)))
    non_analytic = None
    if phonon.nac_params is not None:
        non_analytic = _non_analytic(phonon, crystal, mapping, supercell)
    fcs = ForceConstants(
        crystal=crystal,
        first=mapping.sites[first],
        second=mapping.sites[second],
        cells=cells,
        tensors=tensors,
        supercell=supercell,
        non_analytic=non_analytic,
        source=source,
    )
    _check_exchange(fcs)
    return fcs


def to_phonopy(fcs: ForceConstants, *, symmetry: bool = True) -> Phonopy:
    """Put force constants into a phonopy object of the standard primitive cell.

    Its supercell is the set's own if that holds all pairs the way phonopy shares them among images, else the
    smallest multiple of the conventional cell that does.

    Parameters
    ----------
    fcs
        The set.
    symmetry
        Whether phonopy looks for the symmetry of the supercell: seconds for a large one, and files do without.
    """
    phonon = _in_supercell(fcs, fcs.supercell, symmetry)
    bare = replace(fcs, non_analytic=None)
    again = replace(from_phonopy(phonon, fcs.crystal, source=fcs.source), non_analytic=None)
    # q-points of no symmetry tell two sets of pairs apart.
    probe = np.array([[0.137, 0.291, 0.413], [0.771, 0.059, 0.331]])
    if np.allclose(bare.dynamical_matrices(probe), again.dynamical_matrices(probe), rtol=0, atol=1e-8):
        return phonon
    larger = _supercell_holding(fcs)
    if fcs.non_analytic is not None:
        # The dipole-dipole part that a set's own supercell holds is another one than the larger cell's.
        fcs = _resampled(fcs, larger)
    return _in_supercell(fcs, larger, symmetry)


def _resampled(fcs: ForceConstants, supercell: IntArray) -> ForceConstants:
    """Return a polar set in a larger supercell: the same dynamical matrices at every wave that fits into it.

    What is left when the dipole-dipole sum is taken off reaches no farther than before, so that phonopy's
    interpolation in between is that of the given set.
    """
    assert fcs.non_analytic is not None
    crystal, q = fcs.crystal, commensurate_points(supercell)
    # The zone's point nearest to Γ, where the sum over reciprocal vectors is best, and Γ itself without direction.
    matrices = fcs.dynamical_matrices(q - np.rint(q))
    roots = np.sqrt(np.repeat(crystal.masses, 3))
    cells = np.rint(commensurate_points(supercell.T) @ supercell).astype(np.int64)
    phases = np.exp(-2j * np.pi * cells @ q.T) / len(q)
    tensors = (phases @ (matrices * np.outer(roots, roots)).reshape(len(q), -1)).real
    n = crystal.n_sites
    blocks = tensors.reshape(len(cells), n, 3, n, 3).transpose(0, 1, 3, 2, 4).reshape(-1, 3, 3)
    cell, first, second = (index.ravel() for index in np.indices((len(cells), n, n)))
    return replace(
        fcs,
        first=first,
        second=second,
        cells=cells[cell],
        tensors=blocks,
        supercell=supercell,
        non_analytic=replace(fcs.non_analytic, supercell=supercell),
    )


def _supercell_holding(fcs: ForceConstants) -> IntArray:
    """Return the multiple of the conventional cell whose Wigner-Seitz cell holds all pairs that interact."""
    interacting = np.abs(fcs.tensors).max(axis=(1, 2)) > 1e-12
    reach = np.linalg.norm(fcs.bond_vectors[interacting], axis=1).max(initial=0.0)
    heights = 1 / np.linalg.norm(np.linalg.inv(fcs.crystal.conventional_lattice), axis=0)
    return np.asarray((np.floor(2 * reach / heights).astype(np.int64) + 1)[:, None] * fcs.crystal.conventional)


def _in_supercell(fcs: ForceConstants, supercell: IntArray, symmetry: bool) -> Phonopy:
    crystal = fcs.crystal
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Point group symmetries of supercell", category=UserWarning)
        phonon = Phonopy(crystal.to_phonopy(), supercell.T, primitive_matrix=np.eye(3), is_symmetry=symmetry)
    # Fold each pair into the supercell by its position; images that phonopy shares add up again.
    atoms = phonon.supercell
    inverse = np.linalg.inv(supercell)
    site_of = np.array([phonon.primitive.p2p_map[s] for s in phonon.primitive.s2p_map])
    cell_of = np.rint(atoms.scaled_positions @ supercell - crystal.positions[site_of]).astype(np.int64)
    lookup = {_folded(site, cell, inverse): s for s, (site, cell) in enumerate(zip(site_of, cell_of, strict=True))}
    compact = np.zeros((crystal.n_sites, len(atoms), 3, 3))
    for i, j, cell, tensor in zip(fcs.first, fcs.second, fcs.cells, fcs.tensors, strict=True):
        compact[i, lookup[_folded(j, cell, inverse)]] += tensor
    phonon.force_constants = compact
    if fcs.non_analytic is not None:
        phonon.nac_params = fcs.non_analytic.phonopy_parameters()
    return phonon


def write_phonopy_params(fcs: ForceConstants, path: Path | str) -> None:
    """Write a phonopy_params.yaml (.xz: compressed) with force constants, which `phonopy.load` reads as it is."""
    with replace_when_complete(Path(path)) as temporary:
        to_phonopy(fcs, symmetry=False).save(temporary, settings={"force_constants": True, "displacements": False})
        if temporary.suffix == ".xz":
            temporary.write_bytes(lzma.compress(temporary.read_bytes()))


def _check_exchange(fcs: ForceConstants) -> None:
    """Refuse a set in which exchange of two atoms changes much: its atoms are not where the cell has them."""
    forward = np.column_stack([fcs.first, fcs.second, fcs.cells])
    backward = np.column_stack([fcs.second, fcs.first, -fcs.cells])
    names, place = np.unique(np.vstack([forward, backward]), axis=0, return_inverse=True)
    place = place.ravel()
    difference = np.zeros((len(names), 3, 3))
    np.add.at(difference, place[: len(forward)], fcs.tensors)
    np.add.at(difference, place[len(forward) :], -np.swapaxes(fcs.tensors, 1, 2))
    change = float(np.linalg.norm(difference) / max(float(np.linalg.norm(fcs.tensors)), 1e-12))
    if change > _EXCHANGE:
        raise InputError(
            f"{fcs.source} does not fit its unit cell and supercell",
            f"exchange of two atoms changes its force constants by {100 * change:.0f} %",
            "check the structure file, the order of its atoms and the supercell",
        )


def _folded(site: int, cell: IntArray, inverse: FloatArray) -> tuple[int, ...]:
    """Key of an atom modulo the supercell: its site and its cell's supercell fractions in [0, 1)."""
    fractions = np.mod(np.asarray(cell) @ inverse + 1e-8, 1.0)
    return (int(site), *(int(x) for x in np.rint(fractions * 1e6)))


def _non_analytic(phonon: Phonopy, crystal: Crystal, mapping: CellMapping, supercell: IntArray) -> NonAnalyticTerm:
    params = phonon.nac_params
    assert params is not None
    # As phonopy does before use: the symmetry of the crystal and charge neutrality are imposed.
    born, dielectric = symmetrize_borns_and_epsilon(
        params["born"], params["dielectric"], phonon.primitive, symprec=SYMMETRY_TOLERANCE
    )
    factor, cutoff, smearing = params.get("factor"), params.get("G_cutoff"), params.get("Lambda")
    units = get_calculator_physical_units(phonon.calculator)
    coulomb = get_calculator_physical_units("vasp").nac_factor
    return NonAnalyticTerm.of_cell(
        crystal,
        mapping,
        supercell,
        born,
        dielectric,
        float(coulomb if factor is None else factor * coulomb / units.nac_factor),
        method=params.get("method", "gonze"),
        cutoff=None if cutoff is None else cutoff / units.distance_to_A,
        smearing=None if smearing is None else smearing / units.distance_to_A,
    )


def _load(path: Path, structure: Path | None, supercell: IntArray | None, born: Path | str | None) -> Phonopy:
    """Make a phonopy object from one file, never from what happens to lie in the working directory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not _is_hdf5(path) and _is_phonopy_yaml(path):
                phonon = _load_yaml(path)
            else:
                with _unpacked(path) as plain:
                    phonon = _load_bare(plain, path, structure, supercell)
            _add_born(phonon, path, born)
            if phonon.force_constants is None and phonon.dataset is not None:
                _produce(phonon)
    except InputError:
        raise
    except Exception as error:  # each of phonopy's parsers fails in its own way on a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"{path} cannot be read as force constants", reason, f"give one of {_FORMS}, complete"
        ) from error
    return phonon


def _produce(phonon: Phonopy) -> None:
    """Turn forces into symmetric force constants, by the same steps as `phonopy.load`."""
    assert phonon.dataset is not None
    if "first_atoms" in phonon.dataset:
        phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
        phonon.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    else:
        phonon.produce_force_constants(
            calculate_full_force_constants=False, fc_calculator="symfc", show_drift=False
        )


def _is_phonopy_yaml(path: Path) -> bool:
    """Tell whether a file, compressed or not, is a phonopy yaml."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix.lower(), open)
    with opener(path, "rt", encoding="utf-8", errors="replace") as stream:  # type: ignore[operator]
        return "phonopy:" in stream.read(2000)


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Yield a file's plain form: itself, or a temporary copy of what a .gz or .xz holds."""
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress}.get(path.suffix.lower())
    if unpack is None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        plain.write_bytes(unpack(path.read_bytes()))
        yield plain


def _load_yaml(path: Path) -> Phonopy:
    content = PhonopyYaml()
    content.read(path)
    phonon = Phonopy(
        _unit_cell_of(content, path),
        content.supercell_matrix,
        primitive_matrix="auto" if content.primitive_matrix is None else content.primitive_matrix,
        calculator=content.calculator,
    )
    phonon.nac_params = content.nac_params
    if content.force_constants is not None:
        phonon.force_constants = content.force_constants
    elif content.dataset is not None and _has_forces(content.dataset):
        phonon.dataset = content.dataset
    else:
        raise InputError(
            f"{path} holds no force constants",
            "it has neither constants nor forces of displaced supercells",
            "name the file that holds them (FORCE_SETS, FORCE_CONSTANTS) and give this one as the structure",
        )
    return phonon


def _has_forces(dataset: Mapping[str, Any]) -> bool:
    atoms = dataset.get("first_atoms")
    return "forces" in dataset or (isinstance(atoms, list) and bool(atoms) and "forces" in atoms[0])


def _load_bare(plain: Path, path: Path, structure: Path | None, supercell: IntArray | None) -> Phonopy:
    """Load a form that holds no cell, with the unit cell of the structure file; errors name it ``path``."""
    if structure is None:
        raise InputError(
            f"{path} holds no unit cell",
            f"of the forms {_FORMS} only the yaml does",
            "name the structure file that the set was computed for",
        )
    unit, matrix, primitive, calculator = _unit_cell(structure)
    if supercell is not None:
        matrix = np.diag(supercell) if np.ndim(supercell) == 1 else np.asarray(supercell)
    n_first, n_atoms = _hdf5_shape(plain, calculator) if _is_hdf5(plain) else _text_shape(plain)
    matrix = _supercell_matrix(matrix, n_atoms, len(unit), path, structure)
    phonon = Phonopy(unit, matrix, primitive_matrix=primitive, calculator=calculator)
    if n_first is None:
        phonon.dataset = parse_FORCE_SETS(plain, natom=len(phonon.supercell))
        return phonon
    if n_first == len(unit) and n_first not in (len(phonon.primitive), n_atoms):
        # Computed without looking for a primitive cell, as phonopy did before version 4.
        phonon = Phonopy(unit, matrix, primitive_matrix="P", calculator=calculator)
    if n_first not in (len(phonon.primitive), n_atoms):
        raise InputError(
            f"{path} does not fit {structure}",
            f"it lists {n_first} first atoms where the primitive cell has {len(phonon.primitive)}",
            "name the structure file that the set was computed for",
        )
    first_atoms = phonon.primitive.p2s_map
    if _is_hdf5(plain):
        phonon.force_constants = np.asarray(read_force_constants_hdf5(plain, p2s_map=first_atoms))
    else:
        phonon.force_constants = parse_FORCE_CONSTANTS(plain, p2s_map=first_atoms)
    return phonon


def _hdf5_shape(path: Path, calculator: str | None) -> tuple[int, int]:
    """Number of first and second atoms of a force_constants.hdf5."""
    with h5py.File(path, "r") as file:
        name = next((name for name in ("fc2", "force_constants") if name in file), None)
        if name is None:
            raise ValueError("it holds no data set fc2 or force_constants")
        n_first, n_atoms = file[name].shape[:2]
        unit = file["physical_unit"][0].decode() if "physical_unit" in file else None
    wanted = get_calculator_physical_units(calculator).force_constants_unit
    if unit is not None and unit != wanted:
        raise ValueError(f"its constants are in {unit} where the structure file implies {wanted}")
    return int(n_first), int(n_atoms)


def _text_shape(path: Path) -> tuple[int | None, int | None]:
    """Number of first and second atoms of a FORCE_CONSTANTS; None and atoms, if it says, of a FORCE_SETS."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        lines = (line.split() for line in stream if line.strip())
        head, following = next(lines, []), next(lines, [])
    if len(head) == 6:  # displacement and force of one atom in each line
        return None, None
    if not 1 <= len(head) <= 2 or not all(word.isdigit() for word in head):
        raise ValueError("it does not begin with the number of atoms")
    return (int(head[0]) if len(following) == 2 else None), int(head[-1])


def _unit_cell_of(content: PhonopyYaml, path: Path) -> PhonopyAtoms:
    if content.unitcell is None:
        raise InputError(f"{path} holds no unit cell", "a phonopy yaml has one under unit_cell", "write it again")
    return content.unitcell


def _unit_cell(
    structure: Path,
) -> tuple[PhonopyAtoms, IntArray | None, FloatArray | Literal["auto"], str | None]:
    """Return the unit cell, DIM, the primitive matrix and the calculator that a structure file states."""
    check_readable(structure, "the structure file")
    if _is_phonopy_yaml(structure):
        content = PhonopyYaml()
        content.read(structure)
        primitive: FloatArray | Literal["auto"] = "auto"
        if content.primitive_matrix is not None:
            primitive = np.asarray(content.primitive_matrix, dtype=float)
        return _unit_cell_of(content, structure), content.supercell_matrix, primitive, content.calculator
    lattice, positions, symbols, masses = read_cell(structure)
    cell = PhonopyAtoms(symbols=symbols, cell=lattice, scaled_positions=positions, masses=masses)
    return cell, None, "auto", None


def _supercell_matrix(
    matrix: IntArray | None, n_atoms: int | None, n_unit: int, path: Path, structure: Path
) -> IntArray:
    if matrix is not None:
        n_given = n_unit * round(abs(np.linalg.det(matrix)))
        if n_atoms is not None and n_given != n_atoms:
            raise InputError(
                f"{path} does not fit {structure}",
                f"it is for {n_atoms} atoms while the supercell has {n_given}",
                "check the structure file and --supercell",
            )
        return matrix
    if n_atoms is None:
        raise InputError(
            f"the supercell of {path} is not known",
            "the file does not say how many atoms it is for",
            "say it with --supercell, or give a phonopy_disp.yaml as the structure",
        )
    n = round((n_atoms / n_unit) ** (1 / 3))
    if n_unit * n**3 != n_atoms:
        raise InputError(
            f"the supercell of {path} is not known",
            f"its {n_atoms} atoms are not n x n x n times the {n_unit} of {structure}",
            "say it with --supercell, or check that the structure is the one the set was computed for",
        )
    return np.asarray(np.eye(3, dtype=np.int64) * n)


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def _add_born(phonon: Phonopy, path: Path, born: Path | str | None) -> None:
    if born is None and phonon.nac_params is None and (path.parent / "BORN").exists():
        born = path.parent / "BORN"
    if born is not None:
        check_readable(Path(born), "a BORN file")
        phonon.nac_params = parse_BORN(phonon.primitive, filename=born)
