"""Crystals that several tests share, as a person would write them in a file, and phonopy objects of them."""

from __future__ import annotations

import functools
import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from phonopy import Phonopy
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import PrimitiveMatrixAutoDefaultWarning
from scipy.spatial.transform import Rotation
from symfc import Symfc
from symfc.utils.utils import SymfcAtoms

from fcinv_core.crystal import Crystal, FloatArray, map_cell

Cell = tuple[FloatArray, FloatArray, list[str]]

_FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
_BCC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2


def lattice(
    a: float, b: float, c: float, alpha: float = 90.0, beta: float = 90.0, gamma: float = 90.0
) -> FloatArray:
    """Basis vectors in rows (Å) from lengths (Å) and angles (degrees), a along x and b in the xy plane."""
    ca, cb, cg = np.cos(np.radians([alpha, beta, gamma]))
    sg = np.sin(np.radians(gamma))
    cx, cy = cb, (ca - cb * cg) / sg
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cx, c * cy, c * np.sqrt(1 - cx**2 - cy**2)]])


def _quartz() -> Cell:
    """Alpha-quartz, P 3_2 2 1: Si on the twofold axes, O in general position."""
    x, oxygen = 0.4697, np.array([0.4133, 0.2672, 0.1188])
    third = np.array([0, 0, 1 / 3])
    turn = np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]])
    silicon = [np.linalg.matrix_power(turn, k) @ [x, 0, 0] - k * third for k in range(3)]
    first = [np.linalg.matrix_power(turn, k) @ oxygen - k * third for k in range(3)]
    # The twofold axis through the silicon at (x, 0, 0) lies along a: x - y, -y, -z.
    along_a = np.array([[1, -1, 0], [0, -1, 0], [0, 0, -1]])
    second = [np.linalg.matrix_power(turn, k) @ (along_a @ oxygen) - k * third for k in range(3)]
    return lattice(4.9137, 4.9137, 5.4047, gamma=120), np.array([*silicon, *first, *second]), ["Si"] * 3 + ["O"] * 6


def _bismuth() -> Cell:
    z = 0.2339
    frame = lattice(4.746, 4.746, 4.746, 57.23, 57.23, 57.23)
    return frame, np.array([[z, z, z], [-z, -z, -z]]), ["Bi", "Bi"]


def _corundum() -> Cell:
    z, x = 0.35216, 0.55624
    frame = lattice(5.128, 5.128, 5.128, 55.28, 55.28, 55.28)
    aluminium = [[z, z, z], [0.5 - z, 0.5 - z, 0.5 - z], [-z, -z, -z], [0.5 + z, 0.5 + z, 0.5 + z]]
    y = 0.5 - x
    oxygen = [[x, y, 0.25], [0.25, x, y], [y, 0.25, x], [-x, -y, 0.75], [0.75, -x, -y], [-y, 0.75, -x]]
    return frame, np.array(aluminium + oxygen), ["Al"] * 4 + ["O"] * 6


def _zirconia() -> Cell:
    """Baddeleyite, P 2_1/c."""
    sites = {"Zr": (0.2754, 0.0395, 0.2083), "O": (0.0700, 0.3317, 0.3447), "O'": (0.4496, 0.7569, 0.4792)}
    fractions, symbols = [], []
    for name, (x, y, z) in sites.items():
        fractions += [[x, y, z], [-x, -y, -z], [-x, y + 0.5, 0.5 - z], [x, 0.5 - y, z + 0.5]]
        symbols += [name.rstrip("'")] * 4
    return lattice(5.1505, 5.2116, 5.3173, beta=99.23), np.array(fractions), symbols


def _rutile() -> Cell:
    u = 0.3053
    oxygen = [[u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    return lattice(4.594, 4.594, 2.959), np.array([[0, 0, 0], [0.5, 0.5, 0.5], *oxygen]), ["Ti"] * 2 + ["O"] * 4


CELLS: dict[str, Cell] = {
    "Ge": (5.658 * _FCC, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]), ["Ge", "Ge"]),
    "Nb": (3.3 * _BCC, np.zeros((1, 3)), ["Nb"]),
    "NaCl": (5.69 * _FCC, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), ["Na", "Cl"]),
    "ZnS": (5.41 * _FCC, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]), ["Zn", "S"]),
    "SrTiO3": (
        3.905 * np.eye(3),
        np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
        ["Sr", "Ti", "O", "O", "O"],
    ),
    "Mg": (
        lattice(3.209, 3.209, 5.211, gamma=120),
        np.array([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]),
        ["Mg"] * 2,
    ),
    "wurtzite ZnO": (
        lattice(3.25, 3.25, 5.207, gamma=120),
        np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.3819], [2 / 3, 1 / 3, 0.8819]]),
        ["Zn", "Zn", "O", "O"],
    ),
    "quartz": _quartz(),
    "Bi": _bismuth(),
    "Al2O3": _corundum(),
    "TiO2": _rutile(),
    "white Sn": (
        lattice(5.83, 5.83, 3.18),
        np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0.5, 0, 0.75]]),
        ["Sn"] * 4,
    ),
    "orthorhombic": (lattice(3.0, 3.06, 3.12), np.zeros((1, 3)), ["In"]),
    "ZrO2": _zirconia(),
    "triclinic P-1": (
        lattice(4.1, 4.7, 5.6, 83.0, 77.0, 71.0),
        np.array(
            [[0.11, 0.23, 0.37], [-0.11, -0.23, -0.37], [0.5, 0.0, 0.0], [0.36, 0.71, 0.18], [-0.36, -0.71, -0.18]]
        ),
        ["Ti", "Ti", "Cu", "O", "O"],
    ),
    "triclinic P1": (
        lattice(3.9, 4.4, 5.2, 97.0, 101.0, 108.0),
        np.array([[0.03, 0.02, 0.05], [0.46, 0.51, 0.55], [0.27, 0.83, 0.31]]),
        ["Cd", "Se", "Se"],
    ),
}


@functools.cache
def crystal(name: str) -> Crystal:
    """The standard crystal of one of `CELLS`."""
    return Crystal.from_cell(*CELLS[name])


def written_differently(cell: Cell, seed: int, scale: float = 1.0, *, right_handed: bool = False) -> Cell:
    """The same crystal as another file might have it: turned, another cell or supercell, shifted, shuffled."""
    frame, fractions, symbols = cell
    rng = np.random.default_rng(seed)
    matrix = np.zeros((3, 3))
    while round(abs(np.linalg.det(matrix))) not in (1, 2):
        matrix = rng.integers(-1, 2, (3, 3))
    if right_handed:
        matrix = matrix * round(np.sign(np.linalg.det(matrix @ frame)))
    corners = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    inside = ((fractions[:, None, :] + corners) @ np.linalg.inv(matrix)).reshape(-1, 3)
    kept = np.all((inside > -1e-7) & (inside < 1 - 1e-7), axis=1)
    inside, names = inside[kept], np.repeat(symbols, len(corners))[kept]
    order = rng.permutation(len(inside))
    turn = Rotation.random(random_state=rng).as_matrix()
    return scale * matrix @ frame @ turn.T, inside[order] + rng.random(3), names[order].tolist()


def make_phonopy(
    cell: Cell, supercell: ArrayLike, primitive: str | FloatArray = "auto", **settings: Any
) -> Phonopy:
    """phonopy's object for a cell, quiet about choices that are meant."""
    frame, fractions, symbols = cell
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Point group symmetries of supercell")
        warnings.filterwarnings("ignore", category=PrimitiveMatrixAutoDefaultWarning)
        return Phonopy(
            PhonopyAtoms(cell=frame, scaled_positions=fractions, symbols=symbols),
            supercell,
            primitive_matrix=primitive,
            **settings,
        )


def symfc_basis(phonon: Phonopy) -> tuple[Any, int]:
    """symfc's map from independent elements to all force constants of a supercell, and their number."""
    atoms = phonon.supercell
    symfc = Symfc(SymfcAtoms(numbers=atoms.numbers, scaled_positions=atoms.scaled_positions, cell=atoms.cell))
    symfc.compute_basis_set(2)
    basis = symfc.basis_set[2]
    return lambda values: basis.compression_matrix @ (basis.basis_set @ values), basis.basis_set.shape[1]


def random_phonopy(
    cell: Cell, supercell: ArrayLike, seed: int = 0, primitive: str | FloatArray = "auto", **settings: Any
) -> Phonopy:
    """phonopy's object with random force constants that have all symmetries, made by symfc; some 1 eV/Å²."""
    phonon = make_phonopy(cell, supercell, primitive, **settings)
    expand, n = symfc_basis(phonon)
    n_atoms = len(phonon.supercell)
    constants = expand(np.random.default_rng(seed).standard_normal(n)).reshape(n_atoms, n_atoms, 3, 3)
    phonon.force_constants = constants / np.abs(constants).max()
    return phonon


def stable_phonopy(cell: Cell, supercell: ArrayLike, seed: int = 0) -> Phonopy:
    """phonopy's object with random force constants of all symmetries and no imaginary modes.

    Equal springs in all directions between all atoms outweigh what is random; the sum rule is kept.
    """
    phonon = random_phonopy(cell, supercell, seed)
    lengths, _ = _shortest(phonon)
    springs = _with_sum_rule(-np.exp(-((lengths / 2.5) ** 2))[:, :, None, None] * np.eye(3))
    phonon.force_constants = 10 * springs + 0.05 * np.asarray(phonon.force_constants)
    return phonon


def bonded_phonopy(cell: Cell, supercell: ArrayLike, seed: int = 0) -> Phonopy:
    """The same with springs stiffer along the bond than across, so that modes of generic q lie apart."""
    phonon = random_phonopy(cell, supercell, seed)
    lengths, along = _shortest(phonon)
    springs = _with_sum_rule(-np.exp(-((lengths / 2.0) ** 2))[:, :, None, None] * (along + 0.25 * np.eye(3)))
    phonon.force_constants = 4 * springs / np.abs(springs).max() + 0.02 * np.asarray(phonon.force_constants)
    return phonon


def _with_sum_rule(springs: FloatArray) -> FloatArray:
    """Fill in on-site terms (n, n, 3, 3) that make translations free."""
    every = np.arange(len(springs))
    springs[every, every] = 0
    springs[every, every] = -springs.sum(axis=1)
    return springs


def _shortest(phonon: Phonopy) -> tuple[FloatArray, FloatArray]:
    """Distances (n, n), Å, of all atoms over their nearest images, and the projector (n, n, 3, 3) along these."""
    atoms = phonon.supercell
    difference = atoms.scaled_positions[:, None] - atoms.scaled_positions[None]
    corners = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    images = ((difference - np.rint(difference))[..., None, :] + corners) @ atoms.cell
    lengths = np.linalg.norm(images, axis=-1)
    shortest = lengths.min(axis=-1)
    nearest = lengths < shortest[..., None] + 1e-5
    units = np.where(nearest[..., None], images, 0.0) / np.maximum(shortest, 1e-9)[..., None, None]
    along = np.einsum("ijcx,ijcy->ijxy", units, units) / nearest.sum(axis=-1)[..., None, None]
    return shortest, along


def phonopy_frequencies(
    phonon: Phonopy, crystal: Crystal, q: ArrayLike, direction: ArrayLike | None = None
) -> FloatArray:
    """phonopy's frequencies (n, m), THz, at q in fractions of the standard primitive reciprocal basis."""
    cell = phonon.primitive
    angstrom = get_calculator_physical_units(phonon.calculator).distance_to_A
    basis = map_cell(
        crystal, cell.cell * angstrom, cell.scaled_positions, cell.symbols, name="phonopy's cell"
    ).basis
    # Fractions of positions are x' = basis x, so those of q, whose product with x is a phase, are q = q' basis.
    nac = None if direction is None else np.asarray(direction) @ basis
    phonon.run_qpoints(np.asarray(q) @ basis, nac_q_direction=nac)
    return np.asarray(phonon.qpoints.frequencies)


def many_points(crystal: Crystal, n: int = 500, seed: int = 1) -> FloatArray:
    """n random q-points and all high-symmetry points, fractions of the primitive reciprocal basis."""
    random = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return np.vstack([random, list(crystal.high_symmetry_points.values())])
