"""Force constants of a crystal as a list of atom pairs: the form every file and every fit goes through."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.force_constants.non_analytic import NonAnalyticTerm

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """Harmonic force constants Φ(0i, Rj) of a crystal, on-site terms included.

    A supercell pair that has m equidistant images is held as m pairs of Φ/m each, as phonopy shares it.

    Attributes
    ----------
    crystal
        The crystal whose standard primitive cell and Cartesian frame are used.
    first, second
        Shape (p,): sites i and j.
    cells
        Shape (p, 3) integers: lattice translation R of the second atom, primitive basis.
    tensors
        Shape (p, 3, 3): Φ in eV/Å²; axis 1 belongs to the first atom.
    supercell
        Shape (3, 3) integers: basis of the supercell the set was computed in, rows in primitive vectors.
    non_analytic
        Dipole-dipole term of a polar crystal, or None.
    source
        Where the set comes from, for people.
    """

    crystal: Crystal
    first: IntArray
    second: IntArray
    cells: IntArray
    tensors: FloatArray
    supercell: IntArray
    non_analytic: NonAnalyticTerm | None
    source: str

    @property
    def bond_vectors(self) -> FloatArray:
        """Vectors from the first to the second atom, shape (p, 3), Å."""
        fractions = self.cells + self.crystal.positions[self.second] - self.crystal.positions[self.first]
        return np.asarray(fractions @ self.crystal.lattice)

    def with_tensors(self, tensors: FloatArray, source: str) -> ForceConstants:
        """Return the same pairs with other tensors, shape (p, 3, 3), eV/Å²."""
        return replace(self, tensors=tensors, source=source)

    def dynamical_matrices(self, q: FloatArray, directions: FloatArray | None = None) -> ComplexArray:
        """Sum the force constants to dynamical matrices.

        D_ij(q) = sum_R Φ(0i, Rj) exp(2 pi i q.R) / sqrt(m_i m_j), made Hermitian, plus the non-analytic term.

        Parameters
        ----------
        q
            Shape (n, 3): fractions of the primitive reciprocal basis.
        directions
            Shape (n, 3): direction from which Γ is approached in a polar crystal, same basis.

        Returns
        -------
        Shape (n, 3 s, 3 s) for s sites, eV/Å²/amu.
        """
        tensors = coo_array(self.tensors.reshape(-1, 1))
        matrices = fourier_sum(q, self.crystal, self.first, self.second, self.cells, tensors)[0]
        if self.non_analytic is not None:
            matrices = matrices + self.non_analytic.dynamical_matrices(q, directions)
        return np.asarray(matrices)


def fourier_sum(
    q: FloatArray,
    crystal: Crystal,
    first: IntArray,
    second: IntArray,
    cells: IntArray,
    tensors: coo_array,
) -> ComplexArray:
    """Sum k sets of pair tensors to Hermitian dynamical matrices at n q-points.

    Parameters
    ----------
    q
        Shape (n, 3): fractions of the primitive reciprocal basis.
    first, second, cells
        Shapes (p,), (p,), (p, 3): the pairs.
    tensors
        Sparse, shape (9 p, k): row-major tensors of each set.

    Returns
    -------
    Shape (k, n, 3 s, 3 s) for s sites: (D + D†)/2 in units of the tensors per amu.
    """
    n_modes, n_sets = 3 * crystal.n_sites, tensors.shape[1]
    # Pairs of one lattice translation share a phase: sum over distinct translations only.
    distinct, inverse = np.unique(cells, axis=0, return_inverse=True)
    pair, component = np.divmod(tensors.row, 9)
    row, column = 3 * first[pair] + component // 3, 3 * second[pair] + component % 3
    roots = np.sqrt(np.repeat(crystal.masses, 3))
    values = tensors.data / (2 * roots[row] * roots[column])
    cell = inverse.ravel()[pair]

    def gathered(sign: int) -> csr_array:
        """Sum of each matrix element and its transposed, which D† has with the opposite phase."""
        places = [(tensors.col * n_modes + i) * n_modes + j for i, j in ((row, column), (column, row))]
        where = np.concatenate(places), np.concatenate([cell, cell])
        return csr_array(
            (np.concatenate([values, sign * values]), where), shape=(n_sets * n_modes**2, len(distinct))
        )

    angles = 2 * np.pi * (distinct @ np.asarray(q).T)
    matrices = np.empty((n_sets, len(q), n_modes, n_modes), dtype=complex)
    for part, phases, sign in ((matrices.real, np.cos(angles), 1), (matrices.imag, np.sin(angles), -1)):
        part[:] = np.moveaxis((gathered(sign) @ phases).reshape(n_sets, n_modes, n_modes, len(q)), -1, 1)
    return matrices
