"""The dipole-dipole part of a polar crystal's dynamical matrix: a fixed addition, computed by phonopy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from phonopy.harmonic.dynamical_matrix import DynamicalMatrixGL, DynamicalMatrixWang, get_dynamical_matrix
from phonopy.structure.cells import Primitive, get_supercell

from fcinv_core.crystal import Crystal, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class NonAnalyticTerm:
    """Born charges and dielectric tensor of a polar crystal, and the term that they add to D(q).

    The term is that of Gonze and Lee, Phys. Rev. B 55, 10355 (1997), as phonopy computes it. It does not
    depend on the force constants, only on the supercell in which they were computed.

    Attributes
    ----------
    crystal
        The crystal, in whose Cartesian frame the tensors are.
    supercell
        Shape (3, 3) integers: rows in primitive vectors.
    born
        Shape (s, 3, 3): Born effective charges of the s sites, elementary charges; axis 1 is the field.
    dielectric
        Shape (3, 3): electronic dielectric tensor.
    factor
        Unit conversion of the Coulomb term, eV Å.
    method
        "gonze" or "wang", phonopy's names.
    """

    crystal: Crystal
    supercell: IntArray
    born: FloatArray
    dielectric: FloatArray
    factor: float
    method: str = "gonze"

    @cached_property
    def _matrix(self) -> DynamicalMatrixGL | DynamicalMatrixWang:
        """phonopy's dynamical matrix for force constants of zero: the bare non-analytic term."""
        supercell = get_supercell(self.crystal.to_phonopy(), self.supercell.T)
        primitive = Primitive(supercell, np.linalg.inv(self.supercell.T))
        order = [int(np.flatnonzero(primitive.p2s_map == index)[0]) for index in supercell.u2s_map]
        assert order == list(range(self.crystal.n_sites))  # phonopy keeps our order of sites
        matrix = get_dynamical_matrix(
            np.zeros((self.crystal.n_sites, len(supercell), 3, 3)),
            supercell,
            primitive,
            nac_params={
                "born": self.born,
                "dielectric": self.dielectric,
                "factor": self.factor,
                "method": self.method,
            },
        )
        assert isinstance(matrix, DynamicalMatrixGL | DynamicalMatrixWang)
        return matrix

    def dynamical_matrices(self, q: FloatArray, directions: FloatArray | None = None) -> NDArray[np.complex128]:
        """Return the term at n q-points.

        Parameters
        ----------
        q
            Shape (n, 3): fractions of the primitive reciprocal basis.
        directions
            Shape (n, 3): direction from which Γ is approached, same basis; without it Γ gets no
            LO-TO splitting.

        Returns
        -------
        Shape (n, 3 s, 3 s), eV/Å²/amu, in the lattice phase convention of `ForceConstants`.
        """
        size = 3 * self.crystal.n_sites
        matrices = np.empty((len(q), size, size), dtype=complex)
        for k, point in enumerate(q):
            at_gamma = np.allclose(point, 0, atol=1e-9)
            direction = directions[k] if directions is not None and at_gamma else None
            if direction is not None and np.allclose(direction, 0):
                direction = None
            self._matrix.run(point, q_direction=direction)
            matrices[k] = self._matrix.dynamical_matrix
        # phonopy's phases contain the positions of the atoms, ours only lattice translations.
        phases = np.repeat(np.exp(2j * np.pi * q @ self.crystal.positions.T), 3, axis=1)
        return phases[:, :, None] * matrices * phases.conj()[:, None, :]
