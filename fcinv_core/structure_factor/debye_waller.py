"""Thermal displacements of the atoms, and the Debye-Waller factors that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.structure_factor.modes import LOWEST_ENERGY, MESH_SPACING, MeshModes, mesh_modes, site_images

#: hbar² / amu, meV Å².
HBAR2_PER_AMU = constants.hbar**2 / constants.atomic_mass / constants.e * 1e23
#: Boltzmann constant, meV/K.
BOLTZMANN = constants.k / constants.e * 1e3


@dataclass(frozen=True, eq=False)
class ThermalDisplacements:
    """Mean-square displacements of the sites of a crystal.

    The Debye-Waller factor of an amplitude is exp(-W_j), that of an intensity exp(-2 W_j), with
    W_j(Q) = Q.U_j.Q / 2 (Squires, Introduction to the Theory of Thermal Neutron Scattering, eq. 3.74).

    Attributes
    ----------
    crystal
        The crystal.
    temperature
        K.
    tensors
        Shape (s, 3, 3): U_j = <u u^T> in the crystal's Cartesian frame, Å².
    """

    crystal: Crystal
    temperature: float
    tensors: FloatArray

    @property
    def isotropic(self) -> FloatArray:
        """Mean-square displacement along one direction, averaged over directions, shape (s,), Å²."""
        return np.asarray(np.trace(self.tensors, axis1=1, axis2=2) / 3)

    def exponents(self, q: FloatArray) -> FloatArray:
        """Return W_j(Q), shape (n, s), for Q of shape (n, 3), Cartesian, 1/Å."""
        return np.asarray(0.5 * np.einsum("na,jab,nb->nj", q, self.tensors, q, optimize=True))


def thermal_displacements(
    fcs: ForceConstants, temperature: float, spacing: float = MESH_SPACING
) -> ThermalDisplacements:
    """Sum the mean-square displacements over a mesh of modes.

    Parameters
    ----------
    fcs
        Force constants.
    temperature
        K; 0 gives the zero-point motion.
    spacing
        Largest distance of mesh points, 1/Å.

    Raises
    ------
    InputError
        If the temperature is negative or the crystal unstable.
    """
    return displacements_of(mesh_modes(fcs, spacing), temperature)


def displacements_of(mesh: MeshModes, temperature: float) -> ThermalDisplacements:
    """Sum the mean-square displacements over given modes.

    U_j = hbar² / (2 m_j) sum_qs w_q (2 n_qs + 1) / E_qs Re(e_j e_j^†) (Squires, eq. 3.71 ff.), averaged over the
    space group, because a mesh need not have all of its symmetry.

    Raises
    ------
    InputError
        If the temperature is negative.
    """
    crystal, modes = mesh.crystal, mesh.modes
    counted = modes.energies > LOWEST_ENERGY
    energies = np.where(counted, modes.energies, 1.0)
    occupation = np.where(counted, 1 + 2 * bose_occupation(energies, temperature), 0.0)
    weights = mesh.weights[:, None] * occupation / energies
    vectors = modes.vectors.reshape(len(energies), crystal.n_sites, 3, -1)
    weighted = vectors * weights[:, None, None, :]
    tensors = np.einsum("njas,njbs->jab", weighted, vectors.conj(), optimize=True).real
    tensors *= 0.5 * HBAR2_PER_AMU / crystal.masses[:, None, None]
    return ThermalDisplacements(crystal, float(temperature), symmetrised(crystal, tensors))


def bose_occupation(energies: FloatArray, temperature: float) -> FloatArray:
    """Return n(E) = 1 / (exp(E / kT) - 1) at positive energies (meV), any shape; 0 at 0 K.

    Raises
    ------
    InputError
        If the temperature is negative.
    """
    if not temperature >= 0:
        raise InputError(f"{temperature} K is not a temperature", "it must not be negative", "give it in kelvin")
    if temperature == 0:
        return np.zeros(np.shape(energies))
    # Beyond exp(700) the number overflows, and the occupation is 0 to all digits.
    return np.asarray(1 / np.expm1(np.minimum(np.asarray(energies) / (BOLTZMANN * temperature), 700.0)))


def symmetrised(crystal: Crystal, tensors: FloatArray) -> FloatArray:
    """Average one tensor per site, shape (s, 3, 3), over the space group."""
    rotations = crystal.cartesian_rotations
    carried = rotations[:, None] @ tensors[None] @ np.swapaxes(rotations, 1, 2)[:, None]
    average = np.zeros_like(tensors)
    np.add.at(average, site_images(crystal), carried)
    return average / len(rotations)
