"""The crystal: its standard primitive cell, its space group, and how other cells of it map onto it."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import seekpath
import spglib
from numpy.typing import ArrayLike, NDArray
from phonopy.structure.atoms import PhonopyAtoms

from fcinv_core.errors import InputError
from fcinv_core.setting import choose_setting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Positions closer than this (Å) are the same when symmetry is searched: files round to four digits ("0.3333"),
#: relaxed structures are off by a few 1e-3 Å, and no distortion as small matters to phonons.
SYMMETRY_TOLERANCE = 1e-2
#: Tolerances (Å) that are tried; spglib moves atoms by up to the tolerance, so the finest that suffices is used.
_TOLERANCES = (1e-5, 1e-4, 1e-3, SYMMETRY_TOLERANCE)
#: Largest principal strain between two cells that still count as the same crystal: thermal expansion and
#: the choice of density functional stay below 3 %.
STRAIN_TOLERANCE = 0.045
#: Largest distance (Å) of an atom from its counterpart in the same crystal, strain removed.
SITE_TOLERANCE = 0.4
#: Order of the elements that follow the metals in a formula (IUPAC, Red Book 2005, table IV).
_NON_METALS = " Rn Xe Kr B Si C Sb As P N H Te Se S At I Br Cl O F "


@dataclass(frozen=True, eq=False)
class Crystal:
    """A crystal in its standard primitive cell (Hinuma et al., Comput. Mater. Sci. 128, 140 (2017)).

    Every structure file of one crystal (rotated, a supercell, another primitive cell) gives the same
    standard cell, so force constants and labels do not depend on how a file was written. The Cartesian
    frame is that of the standard conventional cell: a along x, b in the xy plane.

    Attributes
    ----------
    lattice
        Shape (3, 3): primitive basis vectors in rows, Å.
    positions
        Shape (n, 3): fractions of the primitive basis, in [0, 1).
    symbols
        Chemical symbols of the n sites.
    masses
        Shape (n,): amu.
    conventional
        Shape (3, 3) integers: conventional basis vectors (rows) = conventional @ lattice.
    rotations, translations
        Space-group operations x -> W x + w in fractions of the primitive basis, shapes (g, 3, 3) integers
        and (g, 3).
    space_group_number, space_group_symbol
        Of the International Tables.
    high_symmetry_points
        Label ("Γ", "X" ...) to q, fractions of the primitive reciprocal basis.
    high_symmetry_path
        Segments (from, to) of the standard path through the Brillouin zone.
    """

    lattice: FloatArray
    positions: FloatArray
    symbols: tuple[str, ...]
    masses: FloatArray
    conventional: IntArray
    rotations: IntArray
    translations: FloatArray
    space_group_number: int
    space_group_symbol: str
    high_symmetry_points: Mapping[str, tuple[float, float, float]]
    high_symmetry_path: tuple[tuple[str, str], ...]

    @classmethod
    def from_cell(
        cls,
        lattice: ArrayLike,
        positions: ArrayLike,
        symbols: tuple[str, ...] | list[str],
        masses: ArrayLike | None = None,
        *,
        name: str = "structure",
    ) -> Crystal:
        """Standardise any cell of a crystal.

        Parameters
        ----------
        lattice
            Shape (3, 3): basis vectors in rows, Å.
        positions
            Shape (m, 3): fractions of that basis.
        symbols
            m chemical symbols.
        masses
            Shape (m,): amu; natural isotope mixtures by default.
        name
            How error messages call the structure.

        Raises
        ------
        InputError
            If symmetry cannot be determined: overlapping atoms, a degenerate lattice, unknown elements.
        """
        frame = np.asarray(lattice, dtype=float)
        fractions = np.asarray(positions, dtype=float)
        _check_cell(frame, fractions, tuple(symbols), name)
        site_masses = _natural_masses(symbols, name) if masses is None else np.asarray(masses, dtype=float)
        kinds, species = _species(symbols, site_masses)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tolerance = _sufficient_tolerance(frame, fractions, species)
                standard = seekpath.get_path((frame, fractions, species), symprec=tolerance)
        except Exception as error:  # seekpath and spglib raise their own kinds, also for overlapping atoms
            raise InputError(
                f"the symmetry of {name} cannot be determined",
                str(error).strip().rstrip(".") or type(error).__name__,
                "check for overlapping atoms and for a lattice in Å",
            ) from error
        primitive = (
            np.array(standard["primitive_lattice"]),
            np.mod(np.array(standard["primitive_positions"]), 1.0),
            np.array(standard["primitive_types"]),
        )
        dataset = spglib.get_symmetry_dataset(_spglib_cell(*primitive), symprec=tolerance)
        if dataset is None:
            raise InputError(
                f"the symmetry of {name} cannot be determined",
                "spglib finds no space group",
                "check for overlapping atoms",
            )
        conventional = np.rint(standard["inverse_primitive_transformation_matrix"]).astype(np.int64).T
        rotations = np.array(dataset.rotations, dtype=np.int64)
        # Their exact values: translations of a space group in its standard setting are multiples of 1/24.
        translations = np.mod(np.rint(dataset.translations * 24) / 24, 1.0)
        sites, order = choose_setting(*primitive, rotations, translations)
        return cls(
            lattice=primitive[0],
            positions=sites,
            symbols=tuple(kinds[k][0] for k in primitive[2][order]),
            masses=np.array([kinds[k][1] for k in primitive[2][order]]),
            conventional=conventional,
            rotations=rotations,
            translations=translations,
            space_group_number=int(dataset.number),
            space_group_symbol=str(dataset.international),
            high_symmetry_points={
                _point_name(label): (float(q[0]), float(q[1]), float(q[2]))
                for label, q in standard["point_coords"].items()
            },
            high_symmetry_path=tuple((_point_name(a), _point_name(b)) for a, b in standard["path"]),
        )

    @property
    def n_sites(self) -> int:
        """Number of sites in the primitive cell."""
        return len(self.symbols)

    @property
    def reciprocal_lattice(self) -> FloatArray:
        """Primitive reciprocal basis vectors in rows, shape (3, 3), 1/Å with the 2 pi."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.lattice).T)

    @property
    def conventional_lattice(self) -> FloatArray:
        """Conventional basis vectors in rows, shape (3, 3), Å."""
        return np.asarray(self.conventional @ self.lattice)

    @property
    def cell_parameters(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c (Å) and alpha, beta, gamma (degrees) of the conventional cell."""
        return _cell_parameters(self.conventional_lattice)

    @cached_property
    def cartesian_rotations(self) -> FloatArray:
        """Rotation parts of the space group in the Cartesian frame, shape (g, 3, 3)."""
        columns = self.lattice.T
        return np.asarray(columns @ self.rotations @ np.linalg.inv(columns))

    @cached_property
    def site_names(self) -> tuple[str, ...]:
        """Names of the sites: the symbol, numbered where an element has several sites ("Ge1", "Ge2")."""
        total = Counter(self.symbols)
        seen: Counter[str] = Counter()
        names = []
        for symbol in self.symbols:
            seen[symbol] += 1
            names.append(symbol if total[symbol] == 1 else f"{symbol}{seen[symbol]}")
        return tuple(names)

    @cached_property
    def formula(self) -> str:
        """Empirical formula in IUPAC's order, metals first ("NaCl", "SiO2")."""
        counts = Counter(self.symbols)
        factor = int(np.gcd.reduce(list(counts.values())))
        ordered = sorted(counts, key=lambda symbol: (_NON_METALS.find(f" {symbol} "), symbol))
        numbers = {symbol: counts[symbol] // factor for symbol in ordered}
        return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in numbers.items())

    def sites_of(self, fractions: FloatArray) -> tuple[IntArray, IntArray]:
        """Return which site each position (n, 3), in primitive fractions, falls on, and in which cell (n, 3)."""
        difference = fractions[:, None, :] - self.positions[None, :, :]
        offset = np.rint(difference)
        distance = np.linalg.norm((difference - offset) @ self.lattice, axis=2)
        site = distance.argmin(axis=1)
        return site, offset[np.arange(len(site)), site].astype(np.int64)

    def conventional_cell(self) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
        """Return the conventional cell: lattice (3, 3) in rows, Å; m fractions (m, 3); m symbols.

        Atoms are ordered by primitive site, so equal symbols of one site stand together.
        """
        inverse = np.linalg.inv(self.conventional)
        n_cells = round(abs(np.linalg.det(self.conventional)))
        span = range(-int(np.abs(self.conventional).sum()), int(np.abs(self.conventional).sum()) + 1)
        corners = np.array(list(itertools.product(span, repeat=3))) @ inverse
        inside = corners[np.all((corners > -1e-9) & (corners < 1 - 1e-9), axis=1)]
        assert len(inside) == n_cells
        fractions = (self.positions @ inverse)[:, None, :] + inside[None, :, :]
        symbols = tuple(symbol for symbol in self.symbols for _ in range(n_cells))
        return self.conventional_lattice, np.mod(fractions.reshape(-1, 3), 1.0), symbols

    def to_phonopy(self) -> PhonopyAtoms:
        """Return the standard primitive cell as phonopy's cell object."""
        return PhonopyAtoms(
            symbols=list(self.symbols), cell=self.lattice, scaled_positions=self.positions, masses=self.masses
        )

    def describe(self) -> str:
        """One line for people: formula, space group, conventional cell."""
        a, b, c, alpha, beta, gamma = self.cell_parameters
        return (
            f"{self.formula}, space group {self.space_group_symbol} ({self.space_group_number}), "
            f"a {a:.4f} b {b:.4f} c {c:.4f} Å, α {alpha:.2f} β {beta:.2f} γ {gamma:.2f}°, "
            f"{self.n_sites} atom{'s' * (self.n_sites > 1)} per primitive cell"
        )


@dataclass(frozen=True)
class CellMapping:
    """How the atoms of some cell lie in the standard primitive cell of a crystal.

    Attributes
    ----------
    rotation
        Shape (3, 3): orthogonal matrix, r_standard = rotation @ r_cell, for vectors and tensors alike.
    basis
        Shape (3, 3): fractions in the standard primitive basis = basis @ fractions in the cell's basis,
        before the shift of origin.
    sites
        Shape (m,): index of the standard site of each atom of the cell.
    offsets
        Shape (m, 3) integers: primitive lattice translation of each atom from its standard site.
    strain
        Largest principal strain that was removed, dimensionless.
    """

    rotation: FloatArray
    basis: FloatArray
    sites: IntArray
    offsets: IntArray
    strain: float


def map_cell(
    crystal: Crystal,
    lattice: ArrayLike,
    positions: ArrayLike,
    symbols: tuple[str, ...] | list[str],
    masses: ArrayLike | None = None,
    *,
    name: str,
) -> CellMapping:
    """Find how any cell of the same crystal maps onto the standard one.

    The cell may be rotated, a supercell, another primitive cell, or strained by a few per cent.

    Parameters
    ----------
    crystal
        The target.
    lattice, positions, symbols
        Shapes (3, 3) in rows, Å, and (m, 3) fractions; m chemical symbols.
    masses
        Shape (m,): amu. They count only where the crystal holds several isotopes of an element.
    name
        How error messages call the cell.

    Raises
    ------
    InputError
        If it is not the same crystal; the message says what differs.
    """
    frame = np.asarray(lattice, dtype=float)
    fractions = np.asarray(positions, dtype=float)
    kinds = _kinds(crystal, symbols, masses)
    _, species = _species(kinds, np.zeros(len(kinds)))
    primitive = spglib.standardize_cell(
        _spglib_cell(frame, fractions, species), to_primitive=True, no_idealize=True, symprec=SYMMETRY_TOLERANCE
    )
    if primitive is None:
        raise InputError(
            f"the symmetry of {name} cannot be determined",
            "spglib finds no primitive cell",
            "check for overlapping atoms",
        )
    _same_composition(crystal, [kinds[species.index(k)] for k in primitive[2]], name)

    target = _reduced(crystal.lattice)
    source = _reduced(np.asarray(primitive[0]))
    # A determinant of the integer matrix may be negative: improper operations are welcome, Φ is even.
    candidates = _lattice_matches(source, target)
    if not candidates:
        raise InputError(
            f"{name} is another crystal than {crystal.describe()}",
            f"its primitive lattice, {_parameters_text(source)}, differs from {_parameters_text(target)} "
            f"by more than {100 * STRAIN_TOLERANCE:.1f} %",
            "give the structure and the data of one crystal",
        )
    size = abs(np.linalg.det(crystal.lattice)) ** (1 / 3)
    best: tuple[float, CellMapping] | None = None
    for matched, rotation, strains in candidates:
        # Fractions do not change under strain: cell basis -> matched basis -> standard primitive basis.
        to_standard = np.rint(target @ np.linalg.inv(crystal.lattice)).T
        basis = to_standard @ np.linalg.inv(matched.T) @ frame.T
        found = _match_sites(crystal, fractions @ basis.T, kinds)
        if found is None:
            continue
        # Both the sites and the lattice decide: either alone may be indifferent to an exchange of axes.
        misfit = float(np.hypot(found[0], size * np.linalg.norm(strains)))
        if best is None or misfit < best[0] - 1e-6:
            best = misfit, CellMapping(rotation, basis, found[1], found[2], float(np.abs(strains).max()))
    if best is None:
        raise InputError(
            f"{name} is another crystal than {crystal.describe()}",
            f"the lattices agree but atoms lie more than {SITE_TOLERANCE} Å from their counterparts",
            "give the structure and the data of one crystal",
        )
    return best[1]


def read_structure(path: Path | str) -> Crystal:
    """Read a crystal from a POSCAR, a CIF or a phonopy yaml file.

    Raises
    ------
    InputError
        If the file is missing, empty, not a structure, or its symmetry cannot be determined.
    """
    path = Path(path)
    check_readable(path, "a structure file (POSCAR, CIF or phonopy yaml)")
    lattice, positions, symbols, masses = read_cell(path)
    return Crystal.from_cell(lattice, positions, symbols, masses, name=str(path))


def check_readable(path: Path, wanted: str) -> None:
    """Raise InputError unless ``path`` is a file that can be read and is not empty."""
    if not path.exists():
        raise InputError(f"{path} does not exist", f"{wanted} was expected there", "check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder", f"{wanted} was expected", "name a file in it")
    try:
        with open(path, "rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read", str(error.strerror), "check its permissions") from error
    if empty:
        raise InputError(f"{path} is empty", f"{wanted} was expected", "write or copy it again")


def read_cell(path: Path) -> tuple[FloatArray, FloatArray, list[str], FloatArray | None]:
    """Read the cell of a structure file as it is: lattice rows (Å), fractions, symbols, masses if stated."""
    readers = {".cif": _read_ase, ".yaml": _read_phonopy, ".yml": _read_phonopy, ".xz": _read_phonopy}
    reader = readers.get(path.suffix.lower(), _read_ase)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(path)
    except Exception as error:  # every parser has its own kinds of failure
        reason = str(error).strip().splitlines()
        raise InputError(
            f"{path} is not a crystal structure that can be read",
            reason[0].rstrip(".") if reason else type(error).__name__,
            "give a POSCAR, a CIF (.cif) or a phonopy yaml (.yaml)",
        ) from error


def _read_phonopy(path: Path) -> tuple[FloatArray, FloatArray, list[str], FloatArray | None]:
    from phonopy.interface.phonopy_yaml import read_phonopy_yaml
    from phonopy.physical_units import get_calculator_physical_units

    content = read_phonopy_yaml(str(path))
    cell = content.unitcell if content.unitcell is not None else content.primitive
    if cell is None:
        raise ValueError("the yaml holds neither unit_cell nor primitive_cell")
    to_angstrom = get_calculator_physical_units(content.calculator).distance_to_A
    return cell.cell * to_angstrom, cell.scaled_positions, list(cell.symbols), cell.masses


def _read_ase(path: Path) -> tuple[FloatArray, FloatArray, list[str], FloatArray | None]:
    import ase.io

    atoms = ase.io.read(path, format="cif" if path.suffix.lower() == ".cif" else "vasp")
    assert isinstance(atoms, ase.Atoms)  # one image
    for site in atoms.info.get("occupancy", {}).values():
        if len(site) > 1 or min(site.values()) < 1:
            text = " ".join(f"{symbol} {share:g}" for symbol, share in site.items())
            raise ValueError(f"a site is only partly occupied ({text}), which force constants cannot describe")
    positions = np.asarray(atoms.cell.scaled_positions(atoms.positions))
    return np.asarray(atoms.cell.array), positions, list(atoms.symbols), None


def _point_name(label: str) -> str:
    return "Γ" if label == "GAMMA" else label


def _check_cell(lattice: FloatArray, positions: FloatArray, symbols: tuple[str, ...], name: str) -> None:
    if lattice.shape != (3, 3) or positions.shape != (len(symbols), 3) or not len(symbols):
        raise InputError(
            f"{name} is not a crystal structure",
            f"lattice {lattice.shape}, positions {positions.shape} and {len(symbols)} symbols do not fit",
            "give three basis vectors and three fractions for each atom",
        )
    if not (np.isfinite(lattice).all() and np.isfinite(positions).all()) or abs(np.linalg.det(lattice)) < 1e-3:
        raise InputError(
            f"{name} is not a crystal structure",
            "its basis vectors do not span a volume",
            "give the three basis vectors in Å",
        )


def _spglib_cell(
    lattice: FloatArray, positions: FloatArray, species: ArrayLike
) -> tuple[list[list[float]], list[list[float]], list[int]]:
    """Bring a cell into the form that spglib declares."""
    return lattice.tolist(), positions.tolist(), np.asarray(species).tolist()


def _sufficient_tolerance(lattice: FloatArray, positions: FloatArray, species: list[int]) -> float:
    """Find the finest tolerance (Å) at which spglib sees as many operations as at any."""
    cell = _spglib_cell(lattice, positions, species)
    datasets = [spglib.get_symmetry_dataset(cell, symprec=tolerance) for tolerance in _TOLERANCES]
    counts = [0 if dataset is None else len(dataset.rotations) for dataset in datasets]
    return _TOLERANCES[int(np.argmax(counts))]


def _reduced(lattice: FloatArray) -> FloatArray:
    """Niggli-reduced basis of a lattice, rows; as it is where reduction does not converge."""
    reduced = spglib.niggli_reduce(lattice.tolist())
    return lattice if reduced is None else np.asarray(reduced)


def _natural_masses(symbols: tuple[str, ...] | list[str], name: str) -> FloatArray:
    """Masses of the natural isotope mixtures, amu: phonopy's table, so that frequencies agree with it."""
    try:
        cell = PhonopyAtoms(symbols=list(symbols), cell=np.eye(3), positions=np.zeros((len(symbols), 3)))
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{name} holds an element without a known mass",
            f"its symbols are {' '.join(sorted(set(symbols)))}",
            "name stable elements by their chemical symbols, or state the masses in a phonopy yaml",
        ) from error
    return np.asarray(cell.masses)


def _species(
    symbols: tuple[str, ...] | list[str], masses: FloatArray
) -> tuple[dict[int, tuple[str, float]], list[int]]:
    """Number the distinct (symbol, mass) kinds from 1 on; return the kinds and the number of each atom.

    Masses are rounded as phonopy rounds them in its files, so that all files of a crystal give the same.
    """
    keys = [(symbol, round(float(mass), 6)) for symbol, mass in zip(symbols, masses, strict=True)]
    numbers = {key: k + 1 for k, key in enumerate(sorted(set(keys)))}
    return {number: key for key, number in numbers.items()}, [numbers[key] for key in keys]


def _kinds(crystal: Crystal, symbols: tuple[str, ...] | list[str], masses: ArrayLike | None) -> list[str]:
    """Name the species of atoms: the symbol, with the mass where the crystal holds isotopes of the element."""
    isotopes: dict[str, set[float]] = {}
    for symbol, mass in zip(crystal.symbols, crystal.masses, strict=True):
        isotopes.setdefault(symbol, set()).add(float(mass))
    given = np.zeros(len(symbols)) if masses is None else np.asarray(masses, dtype=float)
    names = []
    for symbol, own in zip(symbols, given, strict=True):
        nearest = min(isotopes.get(symbol, {0.0}), key=lambda mass: abs(mass - own))
        names.append(f"{symbol}({nearest:g})" if len(isotopes.get(symbol, ())) > 1 else symbol)
    return names


def _same_composition(crystal: Crystal, symbols: list[str], name: str) -> None:
    wanted, given = Counter(_kinds(crystal, crystal.symbols, crystal.masses)), Counter(symbols)
    if wanted != given:
        text = [" ".join(f"{s}{n}" for s, n in sorted(c.items())) for c in (given, wanted)]
        raise InputError(
            f"{name} is another crystal than {crystal.describe()}",
            f"its primitive cell holds {text[0]} and not {text[1]}",
            "give the structure and the data of one crystal",
        )


def _lattice_matches(source: FloatArray, target: FloatArray) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Find all bases of the lattice ``source`` that equal the basis ``target`` up to a rotation and strain.

    Both are Niggli reduced, so entries of -1, 0 and 1 suffice. Returns (basis, rotation, three principal
    strains) each, the rotation nearest to the identity first: it wins among the equivalent ones.
    """
    integers = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    integers = integers[np.abs(np.abs(np.linalg.det(integers)) - 1) < 1e-6]
    bases = integers @ source
    # bases = target @ F: F^T F is the right Cauchy-Green tensor, its eigenvalues the squared stretches.
    deformation = np.linalg.inv(target) @ bases
    stretches = np.sqrt(np.linalg.eigvalsh(np.swapaxes(deformation, 1, 2) @ deformation))
    matches = []
    for k in np.flatnonzero(np.abs(stretches - 1).max(axis=1) < STRAIN_TOLERANCE):
        # Polar decomposition: target rows = basis rows @ rotation^T up to strain.
        u, _, vt = np.linalg.svd(np.linalg.inv(bases[k]) @ target)
        matches.append((bases[k], (u @ vt).T, stretches[k] - 1))
    return sorted(matches, key=lambda match: -np.trace(match[1]))


def _match_sites(
    crystal: Crystal, fractions: FloatArray, kinds: list[str]
) -> tuple[float, IntArray, IntArray] | None:
    """Shift the origin so that atoms at ``fractions`` fall on sites; return rms distance, sites, offsets."""
    wanted = _kinds(crystal, crystal.symbols, crystal.masses)
    anchor = kinds.index(min(wanted, key=wanted.count))
    same = np.array([[a == b for b in wanted] for a in kinds])
    best: tuple[float, IntArray, IntArray] | None = None
    for site in np.flatnonzero(same[anchor]):
        shift = crystal.positions[site] - fractions[anchor]
        difference = (fractions + shift)[:, None, :] - crystal.positions[None, :, :]
        residual = difference - np.rint(difference)
        distance = np.where(same, np.linalg.norm(residual @ crystal.lattice, axis=2), np.inf)
        sites = distance.argmin(axis=1)
        # The anchor atom is not better placed than the others: remove the mean displacement.
        chosen = residual[np.arange(len(sites)), sites]
        chosen = (chosen - chosen.mean(axis=0)) @ crystal.lattice
        distances = np.linalg.norm(chosen, axis=1)
        balanced = len(set(Counter(sites.tolist()).values())) == 1 and len(set(sites)) == crystal.n_sites
        rms = float(np.sqrt((distances**2).mean()))
        if balanced and distances.max() < SITE_TOLERANCE and (best is None or rms < best[0] - 1e-9):
            offsets = np.rint(difference[np.arange(len(sites)), sites]).astype(np.int64)
            best = rms, sites.astype(np.int64), offsets
    return best


def _cell_parameters(lattice: FloatArray) -> tuple[float, float, float, float, float, float]:
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = (lattice / lengths[:, None]) @ (lattice / lengths[:, None]).T
    alpha, beta, gamma = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    return (*(float(x) for x in lengths), float(alpha), float(beta), float(gamma))  # type: ignore[return-value]


def _parameters_text(lattice: FloatArray) -> str:
    a, b, c, alpha, beta, gamma = _cell_parameters(lattice)
    return f"{a:.3f} {b:.3f} {c:.3f} Å {alpha:.1f} {beta:.1f} {gamma:.1f}°"
