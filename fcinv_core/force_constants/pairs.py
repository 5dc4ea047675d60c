"""Force constants of a crystal as a list of atom pairs: the form every file and every fit goes through."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

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
        matrices = fourier_sum(
            q, self.crystal, self.first, self.second, self.cells, self.tensors.reshape(-1, 9, 1)
        )[..., 0]
        if self.non_analytic is not None:
            matrices = matrices + self.non_analytic.dynamical_matrices(q, directions)
        return matrices


def fourier_sum(
    q: FloatArray,
    crystal: Crystal,
    first: IntArray,
    second: IntArray,
    cells: IntArray,
    tensors: FloatArray,
) -> ComplexArray:
    """Sum k sets of pair tensors to Hermitian dynamical matrices at n q-points.

    Parameters
    ----------
    q
        Shape (n, 3): fractions of the primitive reciprocal basis.
    first, second, cells
        Shapes (p,), (p,), (p, 3): the pairs.
    tensors
        Shape (p, 9, k): tensors of each set, row-major components.

    Returns
    -------
    Shape (n, 3 s, 3 s, k) for s sites: (D + D†)/2 in units of the tensors per amu.
    """
    n_sites, n_sets = crystal.n_sites, tensors.shape[2]
    # Pairs of one lattice translation share a phase: sum over distinct translations only.
    distinct, inverse = np.unique(cells, axis=0, return_inverse=True)
    block = (inverse.ravel() * n_sites + first) * n_sites + second
    gather = csr_array(
        (np.ones(len(block)), (block, np.arange(len(block)))), (len(distinct) * n_sites**2, len(block))
    )
    flat = (gather @ tensors.reshape(len(block), -1)).reshape(len(distinct), -1)
    phases = np.exp(2j * np.pi * (q @ distinct.T))
    blocks = phases.real @ flat + 1j * (phases.imag @ flat)
    matrices = blocks.reshape(len(q), n_sites, n_sites, 3, 3, n_sets).transpose(0, 1, 3, 2, 4, 5)
    matrices = matrices.reshape(len(q), 3 * n_sites, 3 * n_sites, n_sets)
    roots = np.sqrt(np.repeat(crystal.masses, 3))
    matrices = matrices / (roots[:, None] * roots[None, :])[None, :, :, None]
    return np.asarray((matrices + matrices.conj().swapaxes(1, 2)) / 2)
