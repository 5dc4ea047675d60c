"""Phonon modes with their polarisation vectors, at many wavevectors or on a mesh over the Brillouin zone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.dynamics import to_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.pairs import ComplexArray, ForceConstants

#: Modes below this energy, meV, are left out of sums that divide by it: the acoustic modes at Γ, whose energy is
#: rounding noise, and imaginary ones.
LOWEST_ENERGY = 0.01
#: Spacing of a mesh over the Brillouin zone unless asked otherwise, 1/Å: mean-square displacements within 1 %.
MESH_SPACING = 0.1
#: A larger fraction of imaginary modes on a mesh means an unstable crystal, not numerical noise near Γ.
_IMAGINARY_FRACTION = 0.005


@dataclass(frozen=True, eq=False)
class Modes:
    """Phonon modes at wavevectors.

    Attributes
    ----------
    energies
        Shape (n, m): meV, ascending, negative where imaginary; m = 3 sites.
    vectors
        Shape (n, m, m): polarisation vectors e in columns, normalised to 1, Cartesian components of each site in
        turn. Their phases are those of the displacements u(R, j) = e_j exp(2 pi i q.R) / sqrt(m_j): lattice
        translations only, not the positions of the sites within the cell.
    """

    energies: FloatArray
    vectors: ComplexArray


@dataclass(frozen=True, eq=False)
class MeshModes:
    """Phonon modes on a mesh over the Brillouin zone.

    Attributes
    ----------
    crystal
        The crystal.
    weights
        Shape (n,): share of the zone that each wavevector stands for; the sum is 1.
    modes
        Modes at the n wavevectors.
    """

    crystal: Crystal
    weights: FloatArray
    modes: Modes


def phonon_modes(fcs: ForceConstants, q: FloatArray, directions: FloatArray | None = None) -> Modes:
    """Solve for the modes at wavevectors anywhere in reciprocal space.

    Parameters
    ----------
    fcs
        Force constants.
    q
        Shape (n, 3): fractions of the primitive reciprocal basis; any zone.
    directions
        Shape (n, 3): direction from which the zone centres of a polar crystal are approached, same basis.
    """
    # The dynamical matrix is periodic in this phase convention; the sum of the non-analytic term over
    # reciprocal vectors is only so within its cutoff, and Γ must be met exactly.
    reduced = q - np.rint(q)
    eigenvalues, vectors = np.linalg.eigh(fcs.dynamical_matrices(reduced, directions))
    return Modes(to_energies(eigenvalues), vectors)


def mesh_modes(fcs: ForceConstants, spacing: float = MESH_SPACING) -> MeshModes:
    """Solve for the modes on a mesh that is shifted off Γ (Monkhorst and Pack, Phys. Rev. B 13, 5188 (1976)).

    Points q and -q have the same energies and conjugate vectors, so one of them is kept.

    Parameters
    ----------
    fcs
        Force constants.
    spacing
        Largest distance of mesh points along each reciprocal basis vector, 1/Å.

    Raises
    ------
    InputError
        If the spacing is not positive, or the crystal is unstable: more than 0.5 % of the modes are imaginary.
    """
    crystal = fcs.crystal
    points = shifted_mesh(crystal, spacing)
    weights = np.full(len(points), 1 / len(points))

    size = max(1, 2_000_000 // (3 * crystal.n_sites) ** 2)
    parts = [phonon_modes(fcs, points[start : start + size]) for start in range(0, len(points), size)]
    modes = Modes(
        np.concatenate([part.energies for part in parts]), np.concatenate([part.vectors for part in parts])
    )
    imaginary = float(weights @ (modes.energies < -LOWEST_ENERGY).mean(axis=1))
    if imaginary > _IMAGINARY_FRACTION:
        raise InputError(
            f"the force constants of {fcs.source} do not hold the crystal together",
            f"{100 * imaginary:.1f} % of the modes are imaginary, down to {modes.energies.min():.2f} meV",
            "thermal displacements exist for a stable crystal only: use other force constants",
        )
    return MeshModes(crystal, weights, modes)


def shifted_mesh(crystal: Crystal, spacing: float) -> FloatArray:
    """Return one of each pair q, -q of an even mesh half a step off Γ, shape (n, 3), fractions in (-1/2, 1/2).

    Parameters
    ----------
    crystal
        The crystal.
    spacing
        Largest distance of mesh points along each reciprocal basis vector, 1/Å.

    Raises
    ------
    InputError
        If the spacing is not positive.
    """
    if not spacing > 0:
        raise InputError(f"{spacing} 1/Å is not a mesh spacing", "it must be positive", "try 0.1")
    lengths = np.linalg.norm(crystal.reciprocal_lattice, axis=1)
    # With an even number of points, half a step off 0, the mesh misses Γ and is its own mirror image.
    axes = [(np.arange(n) + 0.5) / n - 0.5 for n in 2 * np.ceil(lengths / (2 * spacing)).astype(int)]
    points = np.array(list(itertools.product(*axes)))
    return points[: len(points) // 2]  # the second half is minus the first, backwards


def site_images(crystal: Crystal) -> IntArray:
    """Return the site onto which each operation of the space group carries each site, shape (g, s)."""
    moved = np.swapaxes(crystal.rotations @ crystal.positions.T, 1, 2) + crystal.translations[:, None, :]
    difference = moved[:, :, None, :] - crystal.positions[None, None, :, :]
    distance = np.linalg.norm((difference - np.rint(difference)) @ crystal.lattice, axis=3)
    return np.asarray(distance.argmin(axis=2))
