"""Force constants in and out of phonopy's files."""

from __future__ import annotations

import gzip
import lzma
import warnings
from pathlib import Path

import numpy as np
from phonopy import Phonopy
from phonopy.file_IO import (
    parse_BORN,
    parse_FORCE_CONSTANTS,
    parse_FORCE_SETS,
    read_force_constants_hdf5,
)
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.interface.phonopy_yaml import PhonopyYaml
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from fcinv_core.crystal import (
    SYMMETRY_TOLERANCE,
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
from fcinv_core.units import ROOT_TO_THZ

_FORMS = "phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS"


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
    non_analytic = None
    if phonon.nac_params is not None:
        non_analytic = _non_analytic(phonon, crystal, mapping.rotation, mapping.sites, supercell)
    return ForceConstants(
        crystal=crystal,
        first=mapping.sites[first],
        second=mapping.sites[second],
        cells=cells,
        tensors=tensors,
        supercell=supercell,
        non_analytic=non_analytic,
        source=source,
    )


def to_phonopy(fcs: ForceConstants) -> Phonopy:
    """Put force constants into a phonopy object of the standard primitive cell and the set's supercell."""
    crystal = fcs.crystal
    phonon = Phonopy(crystal.to_phonopy(), fcs.supercell.T, primitive_matrix=np.eye(3))
    # Fold each pair into the supercell by its position; images that phonopy shares add up again.
    atoms = phonon.supercell
    inverse = np.linalg.inv(fcs.supercell)
    site_of = np.array([phonon.primitive.p2p_map[s] for s in phonon.primitive.s2p_map])
    cell_of = np.rint(atoms.scaled_positions @ fcs.supercell - crystal.positions[site_of]).astype(np.int64)
    lookup = {_folded(site, cell, inverse): s for s, (site, cell) in enumerate(zip(site_of, cell_of, strict=True))}
    compact = np.zeros((crystal.n_sites, len(atoms), 3, 3))
    for i, j, cell, tensor in zip(fcs.first, fcs.second, fcs.cells, fcs.tensors, strict=True):
        compact[i, lookup[_folded(j, cell, inverse)]] += tensor
    phonon.force_constants = compact
    if fcs.non_analytic is not None:
        term = fcs.non_analytic
        phonon.nac_params = {
            "born": term.born,
            "dielectric": term.dielectric,
            "factor": term.factor,
            "method": term.method,
        }
    return phonon


def write_phonopy_params(fcs: ForceConstants, path: Path | str) -> None:
    """Write a phonopy_params.yaml with the force constants, which `phonopy.load` reads as it is."""
    with replace_when_complete(Path(path)) as temporary:
        to_phonopy(fcs).save(temporary, settings={"force_constants": True, "displacements": False})


def _folded(site: int, cell: IntArray, inverse: FloatArray) -> tuple[int, ...]:
    """Key of an atom modulo the supercell: its site and its cell's supercell fractions in [0, 1)."""
    fractions = np.mod(np.asarray(cell) @ inverse + 1e-8, 1.0)
    return (int(site), *(int(x) for x in np.rint(fractions * 1e6)))


def _non_analytic(
    phonon: Phonopy, crystal: Crystal, rotation: FloatArray, sites: IntArray, supercell: IntArray
) -> NonAnalyticTerm:
    params = phonon.nac_params
    assert params is not None
    # As phonopy does before use: the symmetry of the crystal and charge neutrality are imposed.
    charges, dielectric = symmetrize_borns_and_epsilon(
        params["born"], params["dielectric"], phonon.primitive, symprec=SYMMETRY_TOLERANCE
    )
    born = np.zeros((crystal.n_sites, 3, 3))
    counts = np.zeros(crystal.n_sites)
    np.add.at(born, sites, rotation @ charges @ rotation.T)
    np.add.at(counts, sites, 1)
    factor = params.get("factor")
    units = get_calculator_physical_units(phonon.calculator)
    coulomb = get_calculator_physical_units("vasp").nac_factor
    return NonAnalyticTerm(
        crystal=crystal,
        supercell=supercell,
        born=born / counts[:, None, None],
        dielectric=rotation @ dielectric @ rotation.T,
        factor=float(coulomb if factor is None else factor * coulomb / units.nac_factor),
        method=str(params.get("method", "gonze")),
    )


def _load(path: Path, structure: Path | None, supercell: IntArray | None, born: Path | str | None) -> Phonopy:
    """Make a phonopy object from one file, never from what happens to lie in the working directory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not _is_hdf5(path) and _is_phonopy_yaml(path):
                phonon = _load_yaml(path)
            else:
                phonon = _load_bare(path, structure, supercell)
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


def _load_yaml(path: Path) -> Phonopy:
    content = PhonopyYaml()
    content.read(path)
    phonon = Phonopy(
        content.unitcell,
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


def _has_forces(dataset: dict[str, object]) -> bool:
    atoms = dataset.get("first_atoms")
    return "forces" in dataset or (isinstance(atoms, list) and bool(atoms) and "forces" in atoms[0])


def _load_bare(path: Path, structure: Path | None, supercell: IntArray | None) -> Phonopy:
    """Load a form that holds no cell, with the unit cell of the structure file."""
    if structure is None:
        raise InputError(
            f"{path} holds no unit cell",
            f"of the forms {_FORMS} only the yaml does",
            "name the structure file that the set was computed for",
        )
    n_unit, unit, matrix, primitive = _unit_cell(structure)
    if supercell is not None:
        matrix = np.diag(supercell) if np.ndim(supercell) == 1 else np.asarray(supercell)
    if _is_hdf5(path):
        constants = np.asarray(read_force_constants_hdf5(path))
        n_atoms = constants.shape[1]
    elif "CONSTANTS" in path.name.upper() or len(_first_line(path)) == 2:
        constants = parse_FORCE_CONSTANTS(path)
        n_atoms = constants.shape[1]
    else:
        constants = None
        n_atoms = int(_first_line(path)[0])
    matrix = _supercell_matrix(matrix, n_atoms, n_unit, path, structure)
    phonon = Phonopy(unit, matrix, primitive_matrix=primitive)
    if constants is None:
        phonon.dataset = parse_FORCE_SETS(path, natom=n_atoms)
        return phonon
    if len(constants) not in (len(phonon.primitive), n_atoms):
        raise InputError(
            f"{path} does not fit {structure}",
            f"it lists {len(constants)} first atoms where the primitive cell has {len(phonon.primitive)}",
            "name the structure file that the set was computed for",
        )
    phonon.force_constants = constants
    return phonon


def _unit_cell(structure: Path) -> tuple[int, PhonopyAtoms, IntArray | None, FloatArray | str]:
    """Return the number of atoms, the unit cell, DIM and primitive matrix that a structure file states."""
    check_readable(structure, "the structure file")
    if _is_phonopy_yaml(structure):
        content = PhonopyYaml()
        content.read(structure)
        primitive = "auto" if content.primitive_matrix is None else content.primitive_matrix
        return len(content.unitcell), content.unitcell, content.supercell_matrix, primitive
    lattice, positions, symbols, masses = read_cell(structure)
    cell = PhonopyAtoms(symbols=symbols, cell=lattice, scaled_positions=positions, masses=masses)
    return len(cell), cell, None, "auto"


def _supercell_matrix(matrix: IntArray | None, n_atoms: int, n_unit: int, path: Path, structure: Path) -> IntArray:
    if matrix is not None:
        n_given = n_unit * round(abs(np.linalg.det(matrix)))
        if n_given != n_atoms:
            raise InputError(
                f"{path} does not fit {structure}",
                f"it is for {n_atoms} atoms while the supercell has {n_given}",
                "check the structure file and --supercell",
            )
        return matrix
    n = round((n_atoms / n_unit) ** (1 / 3))
    if n_unit * n**3 != n_atoms:
        raise InputError(
            f"the supercell of {path} is not known",
            f"its {n_atoms} atoms are not n x n x n times the {n_unit} of {structure}",
            "say it with --supercell, or check that the structure is the one the set was computed for",
        )
    return np.eye(3, dtype=np.int64) * n


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def _first_line(path: Path) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.readline().split()


def _add_born(phonon: Phonopy, path: Path, born: Path | str | None) -> None:
    if born is None and phonon.nac_params is None and (path.parent / "BORN").exists():
        born = path.parent / "BORN"
    if born is not None:
        check_readable(Path(born), "a BORN file")
        phonon.nac_params = parse_BORN(phonon.primitive, filename=born)
