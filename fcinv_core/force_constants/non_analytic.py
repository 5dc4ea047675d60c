"""The dipole-dipole part of a polar crystal's dynamical matrix: a fixed addition, computed by phonopy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from phonopy.harmonic.dynamical_matrix import DynamicalMatrixGL, DynamicalMatrixWang, get_dynamical_matrix
from phonopy.structure.cells import Primitive, get_supercell

from fcinv_core.crystal import CellMapping, Crystal, FloatArray, IntArray

if TYPE_CHECKING:
    from phonopy.harmonic.dynamical_matrix import NacParams

#: Of a converged sum: the Gaussian at its cut-off, and the argument of erfc(x) half-way through the supercell.
_SMALLEST_TERM = 1e-14
_SMEARING_REACH = 5.0


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
    cutoff, smearing
        What phonopy calls G_cutoff and Lambda, 1/Å without the 2 pi: the sphere of reciprocal lattice vectors that
        are summed, and the width of the Gaussian that makes their sum converge. Without them phonopy's defaults,
        which leave it some 1e-5 meV off; see `converged`.
    """

    crystal: Crystal
    supercell: IntArray
    born: FloatArray
    dielectric: FloatArray
    factor: float
    method: Literal["gonze", "wang"] = "gonze"
    cutoff: float | None = None
    smearing: float | None = None

    @classmethod
    def of_cell(
        cls,
        crystal: Crystal,
        mapping: CellMapping,
        supercell: IntArray,
        born: FloatArray,
        dielectric: FloatArray,
        factor: float,
        **choices: Any,
    ) -> NonAnalyticTerm:
        """Turn the tensors of any cell of the crystal into its standard frame.

        Parameters
        ----------
        crystal, supercell, factor, choices
            As the attributes; choices are method, cutoff and smearing.
        mapping
            How the atoms of the cell lie in the crystal.
        born, dielectric
            Shapes (m, 3, 3) and (3, 3): of the m atoms of that cell, in its own Cartesian frame. Atoms that are the
            same site are averaged.
        """
        charges = np.zeros((crystal.n_sites, 3, 3))
        np.add.at(charges, mapping.sites, mapping.rotation @ born @ mapping.rotation.T)
        counts = np.bincount(mapping.sites, minlength=crystal.n_sites)
        turned = mapping.rotation @ dielectric @ mapping.rotation.T
        return cls(crystal, supercell, charges / counts[:, None, None], turned, factor, **choices)

    def converged(self) -> NonAnalyticTerm:
        """Return the term with its sum over reciprocal lattice vectors converged to rounding.

        phonopy leaves out the direct-space part of the Ewald sum. That changes nothing where this part ends inside
        the supercell, because it is then among the pairs whose constants take up what the dipoles do not give. So
        the Gaussian is made as wide as the supercell asks, and the cut-off follows. The term then equals a full
        Ewald sum, such as CASTEP's and Euphonic's.
        """
        strengths = np.linalg.eigvalsh((self.dielectric + self.dielectric.T) / 2)
        shells = np.array([n for n in itertools.product(range(-2, 3), repeat=3) if any(n)])
        shortest = np.linalg.norm(shells @ (self.supercell @ self.crystal.lattice), axis=1).min()
        smearing = _SMEARING_REACH * np.sqrt(strengths[-1]) / (np.pi * shortest)
        reach = 2 * smearing * np.sqrt(-np.log(_SMALLEST_TERM) / strengths[0])
        # The sphere is about zero, the Gaussian about -q.
        corners = np.array(list(itertools.product((-1, 1), repeat=3)))
        farthest = np.linalg.norm(corners @ np.linalg.inv(self.crystal.lattice).T, axis=1).max()
        return replace(self, cutoff=float(reach + farthest), smearing=float(smearing))

    def phonopy_parameters(self) -> NacParams:
        """Return what phonopy calls nac_params."""
        parameters: NacParams = {
            "born": self.born,
            "dielectric": self.dielectric,
            "factor": self.factor,
            "method": self.method,
        }
        if self.cutoff is not None:
            parameters["G_cutoff"] = self.cutoff
        if self.smearing is not None:
            parameters["Lambda"] = self.smearing
        return parameters

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
            nac_params=self.phonopy_parameters(),
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
        q = _within_reach_of_sum(np.asarray(q, dtype=float))
        matrices = np.empty((len(q), size, size), dtype=complex)
        for k, point in enumerate(q):
            direction = directions[k] if directions is not None and not point.any() else None
            if direction is not None and np.allclose(direction, 0):
                direction = None
            self._matrix.run(point, q_direction=direction)
            matrices[k] = self._matrix.dynamical_matrix
        # phonopy's phases contain the positions of the atoms, ours only lattice translations.
        phases = np.repeat(np.exp(2j * np.pi * q @ self.crystal.positions.T), 3, axis=1)
        return np.asarray(phases[:, :, None] * matrices * phases.conj()[:, None, :])


def _within_reach_of_sum(q: FloatArray) -> FloatArray:
    """Move q-points (n, 3) by reciprocal lattice vectors to where phonopy's sum over these holds.

    The sum is cut off at a sphere around zero: for NaCl it is off by 7e-3 THz at most at fractions up to 1, where
    we leave q alone so as to agree with phonopy, but by 6 THz at 2. All lattice points are Γ.
    """
    nearest = np.rint(q)
    at_gamma = np.abs(q - nearest).max(axis=1, keepdims=True) < 1e-9
    far = np.abs(q).max(axis=1, keepdims=True) > 1
    return np.where(at_gamma, 0.0, np.where(far, q - nearest, q))
