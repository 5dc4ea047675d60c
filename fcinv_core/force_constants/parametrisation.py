"""Symmetry-reduced force constants: the independent tensor elements of each orbit of bonds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array, hstack, vstack
from scipy.sparse.linalg import splu

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.force_constants.bonds import Bonds, shells, ten_thousandths
from fcinv_core.force_constants.pairs import ComplexArray, ForceConstants, fourier_sum

_COMPONENTS = ("xx", "xy", "xz", "yx", "yy", "yz", "zx", "zy", "zz")


@dataclass(frozen=True)
class Element:
    """One independent force constant.

    Attributes
    ----------
    label
        Unique name: site pair, bond vector in fractions of the conventional axes, component.
    orbit
        Number of the orbit of bonds, by length, from 0.
    shell
        Number of the distinct bond length, from 1.
    distance
        Bond length, Å.
    component
        Which element of the representative bond's tensor, "xx" ... "zz", in the crystal's Cartesian frame.
    """

    label: str
    orbit: int
    shell: int
    distance: float
    component: str


@dataclass(frozen=True, eq=False)
class Parametrisation:
    """Linear map from independent force constants to the tensors of all pairs.

    Each parameter is the value of one tensor element, in eV/Å², of the bond that represents its orbit; the
    space group, the exchange of the two atoms, the acoustic sum rule and symmetric on-site tensors hold for
    every choice of values.

    Attributes
    ----------
    bonds
        The bonds.
    elements
        The n parameters, shell by shell.
    tensors
        Sparse, shape (9 (p + s), n): row-major tensors of the p images of bonds, then of the s on-site pairs,
        for unit parameters.
    """

    bonds: Bonds
    elements: tuple[Element, ...]
    tensors: csr_array

    @classmethod
    def from_bonds(cls, bonds: Bonds) -> Parametrisation:
        """Find the independent elements of bonds that are closed under the space group."""
        columns, elements = [], []
        rotations = bonds.crystal.cartesian_rotations[bonds.operations]
        lengths = np.linalg.norm(bonds.vectors, axis=1)[bonds.representatives]
        shell = shells(lengths)
        for orbit, representative in enumerate(bonds.representatives):
            basis, pivots = _invariant_tensors(bonds, rotations, int(representative))
            columns.append(_spread(bonds, rotations, int(representative), basis))
            elements += [
                Element(
                    label=f"{_bond_label(bonds, int(representative))} {_COMPONENTS[pivot]}",
                    orbit=orbit,
                    shell=int(shell[orbit]),
                    distance=float(lengths[orbit]),
                    component=_COMPONENTS[pivot],
                )
                for pivot in pivots
            ]
        tensors = hstack(columns, format="csr")
        tensors = vstack([tensors, _on_site(bonds, tensors)], format="csr")
        tensors, kept = _symmetric_on_site(tensors, bonds.crystal.n_sites)
        names = [elements[k].label for k in kept]
        assert len(set(names)) == len(names), "labels of force constants are not unique"
        return cls(bonds, tuple(elements[k] for k in kept), tensors)

    @property
    def crystal(self) -> Crystal:
        """The crystal."""
        return self.bonds.crystal

    @property
    def n_parameters(self) -> int:
        """Number of independent force constants."""
        return len(self.elements)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Unique names of the parameters."""
        return tuple(element.label for element in self.elements)

    @cached_property
    def first(self) -> IntArray:
        """First site of each of the p + s pairs."""
        return np.concatenate([self.bonds.first, np.arange(self.crystal.n_sites)])

    @cached_property
    def second(self) -> IntArray:
        """Second site of each of the p + s pairs."""
        return np.concatenate([self.bonds.second, np.arange(self.crystal.n_sites)])

    @cached_property
    def cells(self) -> IntArray:
        """Lattice translation of the second atom of each of the p + s pairs, shape (p + s, 3)."""
        return np.concatenate([self.bonds.cells, np.zeros((self.crystal.n_sites, 3), dtype=np.int64)])

    def force_constants(self, values: FloatArray, like: ForceConstants, source: str) -> ForceConstants:
        """Return the full pair list for parameter values (n,), eV/Å².

        The supercell and the non-analytic term are those of ``like``.
        """
        return replace(
            like,
            first=self.first,
            second=self.second,
            cells=self.cells,
            tensors=(self.tensors @ values).reshape(-1, 3, 3),
            source=source,
        )

    def dynamical_matrices(self, q: FloatArray, select: IntArray | None = None) -> ComplexArray:
        """Return B_k(q) = dD(q) / dφ_k, shape (n, n_q, 3 s, 3 s), 1/amu.

        Parameters
        ----------
        q
            Shape (n_q, 3): fractions of the primitive reciprocal basis.
        select
            Indices of the parameters that are wanted; all by default.
        """
        chosen = self.tensors if select is None else self.tensors[:, select]
        return fourier_sum(q, self.crystal, self.first, self.second, self.cells, chosen.tocoo())

    def project(self, fcs: ForceConstants) -> Projection:
        """Find the parameters of a set of force constants by orthogonal projection.

        For a symmetric set within reach the projection is exact; a raw finite-difference set loses its breach
        of symmetry, a longer-ranged set its tail.

        Raises
        ------
        InputError
            If the set belongs to another crystal object.
        """
        if fcs.crystal is not self.crystal:
            raise InputError(
                f"{fcs.source} is expressed in another crystal",
                "projection needs one frame",
                "read it with it",
            )
        target, missed = self._tensors_at(fcs)
        # Frobenius norm over supercell pairs: an image of an m-fold bond holds Φ/m, m times.
        weight = np.concatenate([self.bonds.multiplicity[self.bonds.bond], np.ones(self.crystal.n_sites)])
        weight = np.repeat(weight.astype(float), 9)
        weighted = self.tensors.multiply(weight[:, None]).tocsr()
        values = splu((weighted.T @ self.tensors).tocsc()).solve(weighted.T @ target)
        rest = target - self.tensors @ values
        norm = float(np.sqrt(weight @ target**2 + missed**2))
        return Projection(
            values=values,
            asymmetry=float(np.sqrt(weight @ rest**2)) / norm,
            tail=missed / norm,
        )

    def _tensors_at(self, fcs: ForceConstants) -> tuple[FloatArray, float]:
        """Tensors of ``fcs`` at our pairs, flat, and the norm of those that lie beyond."""
        index = {
            (int(i), int(j), *map(int, cell)): row
            for row, (i, j, cell) in enumerate(zip(self.first, self.second, self.cells, strict=True))
        }
        target = np.zeros((len(self.first), 3, 3))
        missed = 0.0
        for i, j, cell, tensor in zip(fcs.first, fcs.second, fcs.cells, fcs.tensors, strict=True):
            row = index.get((int(i), int(j), *map(int, cell)))
            if row is None:
                missed += float((tensor**2).sum())
            else:
                target[row] += tensor
        return target.ravel(), float(np.sqrt(missed))


@dataclass(frozen=True, eq=False)
class Projection:
    """Parameters of a set of force constants, and what the projection removed.

    Attributes
    ----------
    values
        Shape (n,): eV/Å².
    asymmetry
        Norm of what breaks the symmetry or the sum rule, relative to the norm of the set.
    tail
        Norm of the pairs beyond the reach of the parametrisation, relative to the norm of the set.
    """

    values: FloatArray
    asymmetry: float
    tail: float


def _invariant_tensors(bonds: Bonds, rotations: FloatArray, representative: int) -> tuple[FloatArray, list[int]]:
    """Find the tensors that the stabiliser of a bond leaves alone.

    Returns a basis (m, 3, 3) in reduced row echelon form and the component at which each of its tensors is 1
    while the others are 0.
    """
    own = np.flatnonzero(bonds.bond == bonds.bond[representative])
    stabiliser = np.argwhere(bonds.bond[bonds.images[:, own[:1]]] == bonds.bond[representative])[:, 0]
    projector = np.zeros((9, 9))
    for row in stabiliser:
        projector += _action(rotations[row // 2], exchange=bool(row % 2))
    projector /= len(stabiliser)
    values, vectors = np.linalg.eigh((projector + projector.T) / 2)
    echelon, pivots = _reduced_row_echelon(vectors[:, values > 0.5].T)
    return np.asarray(echelon.reshape(-1, 3, 3), dtype=float), pivots


def _action(rotation: FloatArray, *, exchange: bool) -> FloatArray:
    """9 x 9 matrix of Φ -> R Φ R^T on row-major tensors; exchange of the atoms transposes Φ first."""
    matrix: FloatArray = np.asarray(np.kron(rotation, rotation), dtype=float)
    return matrix.reshape(9, 3, 3).swapaxes(1, 2).reshape(9, 9) if exchange else matrix


def _reduced_row_echelon(rows: FloatArray) -> tuple[FloatArray, list[int]]:
    """Reduce orthonormal rows so that each has a 1 where all others have 0; leftmost well-conditioned pivots win.

    Pivots follow from the space that the rows span, not from the basis that an eigensolver happens to give.
    """
    rest = rows.T @ rows
    pivots: list[int] = []
    for _ in range(len(rows)):
        size = np.diagonal(rest)
        # A component within a factor two of the best keeps the basis well conditioned; 0.23 is no ratio of
        # symmetry, so that rounding noise does not decide.
        column = int(np.flatnonzero(size > 0.23 * size.max())[0])
        rest = rest - np.outer(rest[:, column], rest[column]) / rest[column, column]
        pivots.append(column)
    pivots.sort()
    reduced = np.asarray(np.linalg.solve(rows[:, pivots], rows), dtype=float)
    reduced[np.abs(reduced) < 1e-12] = 0
    return reduced, pivots


def _spread(bonds: Bonds, rotations: FloatArray, representative: int, basis: FloatArray) -> csr_array:
    """Carry a representative's tensors (m, 3, 3) to every image of its orbit: sparse, shape (9 p, m)."""
    orbit = np.flatnonzero(bonds.orbits[bonds.bond] == bonds.orbits[bonds.bond[representative]])
    own = orbit[bonds.bond[orbit] == bonds.bond[representative]][:1]
    spread = np.zeros((len(orbit), 9, len(basis)))
    done = np.zeros(bonds.n_bonds, dtype=bool)
    for row, target in enumerate(bonds.bond[bonds.images[:, own]].ravel()):
        if not done[target]:
            # Every image of the target bond shares its tensor.
            action = _action(rotations[row // 2], exchange=bool(row % 2))
            spread[bonds.bond[orbit] == target] = action @ basis.reshape(-1, 9).T
            done[target] = True
    spread /= bonds.multiplicity[bonds.bond[orbit]][:, None, None]
    rows = (9 * orbit[:, None] + np.arange(9)).ravel()
    placed = coo_array(spread.reshape(-1, len(basis)))
    return coo_array(
        (placed.data, (rows[placed.row], placed.col)), shape=(9 * len(bonds.first), len(basis))
    ).tocsr()


def _on_site(bonds: Bonds, tensors: csr_array) -> csr_array:
    """On-site tensors from the acoustic sum rule: minus the sum over all bonds of a site, shape (9 s, n)."""
    n_pairs, n_sites = len(bonds.first), bonds.crystal.n_sites
    rows = (9 * bonds.first[:, None] + np.arange(9)).ravel()
    minus_sum = coo_array((-np.ones(9 * n_pairs), (rows, np.arange(9 * n_pairs))), (9 * n_sites, 9 * n_pairs))
    return minus_sum.tocsr() @ tensors


def _symmetric_on_site(tensors: csr_array, n_sites: int) -> tuple[csr_array, list[int]]:
    """Eliminate as many parameters as symmetric on-site tensors demand; return the map and those kept."""
    n = tensors.shape[1]
    on_site = tensors[-9 * n_sites :].toarray().reshape(n_sites, 3, 3, n)
    skew = (on_site - on_site.swapaxes(1, 2)).reshape(-1, n)
    _, singular, rows = np.linalg.svd(skew, full_matrices=False)
    rank = int((singular > 1e-8 * max(1.0, singular[0])).sum())
    if rank == 0:
        return tensors, list(range(n))
    # Far bonds come last: eliminate among them first, so that the near ones stay parameters.
    echelon, pivots = _reduced_row_echelon(rows[:rank, ::-1])
    echelon, dependent = echelon[:, ::-1], [n - 1 - pivot for pivot in pivots]
    kept = [k for k in range(n) if k not in dependent]
    reduced = tensors[:, kept] - tensors[:, dependent] @ csr_array(echelon[:, kept])
    reduced.data[np.abs(reduced.data) < 1e-12] = 0
    reduced.eliminate_zeros()
    return reduced, kept


def _bond_label(bonds: Bonds, image: int) -> str:
    names = bonds.crystal.site_names
    fractions = bonds.vectors[image] @ np.linalg.inv(bonds.crystal.conventional_lattice)
    text = " ".join(f"{x:.4g}" for x in ten_thousandths(fractions) / 1e4)
    return f"{names[bonds.first[image]]}-{names[bonds.second[image]]} ({text})"
