"""Elastic constants and sound velocities from long acoustic waves.

At small q the acoustic modes obey ρ v² e_α = Ā_αβ(n) e_β with Ā(n) = ρ D_eff(q) / q², where D_eff is the dynamical
matrix with the optic displacements eliminated: it holds the relaxation of the sites in a strained cell (internal
strain; Born and Huang, Dynamical Theory of Crystal Lattices, sections 26 and 27). The elastic constants are those
whose Christoffel matrix C_αγβλ n_γ n_λ comes nearest to Ā(n) in many directions; no stress is assumed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import constants

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.force_constants.pairs import ComplexArray

#: eV/Å³ in GPa, and sqrt(eV/amu) in m/s.
EV_PER_A3_TO_GPA = constants.e * 1e21
ROOT_EV_PER_AMU_TO_MS = float(np.sqrt(constants.e / constants.atomic_mass))
#: Length (1/Å) of the waves: dispersion changes their velocity by less than 1e-5, rounding by less.
_LENGTH = 2e-3
#: Tensor axes of Voigt's indices 1 to 6.
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_PAIRS = tuple(itertools.combinations_with_replacement(range(6), 2))


@dataclass(frozen=True, eq=False)
class ElasticBasis:
    """The independent elastic constants that a crystal class leaves.

    Attributes
    ----------
    names
        Such as ("C11", "C12", "C44"): Voigt's indices in the crystal's Cartesian frame, by which all others follow.
    tensors
        Shape (k, 3, 3, 3, 3): the elastic tensor for one unit of each.
    """

    names: tuple[str, ...]
    tensors: FloatArray

    def christoffel(self, directions: FloatArray) -> FloatArray:
        """Return C_αγβλ n_γ n_λ of each basis tensor, shape (n, 3, 3, k), at unit vectors n of shape (n, 3)."""
        return np.asarray(
            np.einsum("kacbd,nc,nd->nabk", self.tensors, directions, directions, optimize=True), dtype=float
        )


def elastic_basis(crystal: Crystal) -> ElasticBasis:
    """Find the independent elastic constants of a crystal from its point group."""
    rotations = crystal.cartesian_rotations
    images = []
    for i, j in _PAIRS:
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        tensor = _from_voigt(unit)
        turned = np.einsum("gai,gbj,gck,gdl,ijkl->abcd", *[rotations] * 4, tensor, optimize=True)
        images.append([_to_voigt(turned / len(rotations))[a, b] for a, b in _PAIRS])
    # Rows span the invariant tensors; reduced to echelon form, each begins with the constant that names it.
    rows, pivots = _echelon(np.array(images))
    tensors = []
    for row in rows:
        voigt = np.zeros((6, 6))
        for value, (i, j) in zip(row, _PAIRS, strict=True):
            voigt[i, j] = voigt[j, i] = value
        tensors.append(_from_voigt(voigt))
    names = tuple(f"C{_PAIRS[p][0] + 1}{_PAIRS[p][1] + 1}" for p in pivots)
    return ElasticBasis(names, np.array(tensors))


def long_waves(crystal: Crystal) -> FloatArray:
    """Return the wave vectors at which `elastic_constants` wants dynamical matrices, shape (13, 3), fractions."""
    return np.asarray(_directions() * _LENGTH @ np.linalg.inv(crystal.reciprocal_lattice))


def elastic_constants(
    crystal: Crystal, basis: ElasticBasis, matrices: ComplexArray
) -> tuple[FloatArray, FloatArray]:
    """Fit elastic constants to long acoustic waves.

    Parameters
    ----------
    crystal
        The crystal, with the lattice at which Å and density are counted.
    basis
        Of the crystal.
    matrices
        Shape (d, 13, m, m): dynamical matrices of d sets at `long_waves`, eV/Å²/amu.

    Returns
    -------
    Constants (d, k), GPa, in the order of ``basis.names``; and the relative norm (d,) of what of Ā no elastic
    tensor gives: 0 in cubic crystals, in others a breach of the Born-Huang conditions, which hold without stress.
    """
    directions = _directions()
    measured = density(crystal) * acoustic_matrices(crystal, matrices) / _LENGTH**2
    design = basis.christoffel(directions).reshape(-1, len(basis.names))
    right = measured.reshape(len(measured), -1)
    solution = right @ np.linalg.pinv(design).T
    rest = np.linalg.norm(right - solution @ design.T, axis=1) / np.linalg.norm(right, axis=1)
    return solution * EV_PER_A3_TO_GPA, rest


def acoustic_matrices(crystal: Crystal, matrices: ComplexArray) -> FloatArray:
    """Eliminate the optic displacements from dynamical matrices (..., m, m) near Γ: (..., 3, 3), eV/Å²/amu.

    D_eff = D_aa - D_ao D_oo^-1 D_oa, right to second order in q.
    """
    amplitudes = np.sqrt(crystal.masses / crystal.masses.sum())
    acoustic = np.kron(amplitudes[:, None], np.eye(3))
    optic = np.linalg.svd(acoustic)[0][:, 3:]
    effective = acoustic.T @ matrices @ acoustic
    if optic.shape[1]:
        mixed = acoustic.T @ matrices @ optic
        inner = optic.T @ matrices @ optic
        effective = effective - mixed @ np.linalg.solve(inner, mixed.conj().swapaxes(-1, -2))
    return np.asarray(effective.real)


def density(crystal: Crystal) -> float:
    """Return the mass density, amu/Å³."""
    return float(crystal.masses.sum() / abs(np.linalg.det(crystal.lattice)))


def sound_velocities(
    crystal: Crystal, basis: ElasticBasis, constants_gpa: FloatArray, directions: FloatArray
) -> FloatArray:
    """Return the three sound velocities of d sets in n directions, shape (d, n, 3), ascending, m/s.

    Parameters
    ----------
    crystal
        The crystal, whose density is used.
    basis
        Of the crystal.
    constants_gpa
        Shape (d, k): elastic constants.
    directions
        Shape (n, 3): Cartesian unit vectors.

    Returns
    -------
    NaN for waves of which there are none, in sets that no crystal could have.
    """
    christoffel = np.einsum("nabk,dk->dnab", basis.christoffel(directions), constants_gpa / EV_PER_A3_TO_GPA)
    squares = np.linalg.eigvalsh(christoffel) / density(crystal)
    return np.asarray(np.sqrt(np.where(squares > 0, squares, np.nan)) * ROOT_EV_PER_AMU_TO_MS)


def debye_temperature(crystal: Crystal, basis: ElasticBasis, constants_gpa: FloatArray) -> FloatArray:
    """Return the Debye temperature of the low-temperature limit, shape (d,), K, of elastic constants (d, k), GPa.

    k θ = hbar v (6 π² N/V)^(1/3) with 3 / v³ the mean over directions of the sum of 1 / v_s³ (Born and Huang,
    eq. 6.6), which is what the T³ law of the heat capacity depends on.
    """
    directions, weights = _sphere()
    velocities = sound_velocities(crystal, basis, constants_gpa, directions)
    mean = np.einsum("n,dns->d", weights, velocities**-3.0) / 3
    atoms = crystal.n_sites / abs(np.linalg.det(crystal.lattice)) * 1e30
    wave = (6 * np.pi**2 * atoms) ** (1 / 3)
    return np.asarray(constants.hbar * mean ** (-1 / 3) * wave / constants.k)


def _directions() -> FloatArray:
    """Unit vectors towards faces, edges and corners of a cube, one of each pair, shape (13, 3)."""
    corners = np.array(list(itertools.product((1, 0, -1), repeat=3)))[:13]
    return np.asarray(corners / np.linalg.norm(corners, axis=1, keepdims=True))


def _sphere() -> tuple[FloatArray, FloatArray]:
    """Quadrature of a half sphere for functions that are even: directions (n, 3), weights (n,) of sum 1."""
    cosines, shares = np.polynomial.legendre.leggauss(24)
    cosines, shares = cosines[12:], shares[12:]
    angles = 2 * np.pi * (np.arange(36) + 0.5) / 36
    sines = np.sqrt(1 - cosines**2)
    x, y = np.outer(sines, np.cos(angles)), np.outer(sines, np.sin(angles))
    directions = np.stack([x, y, np.repeat(cosines[:, None], 36, axis=1)], axis=-1).reshape(-1, 3)
    return directions, np.repeat(shares / 36, 36)


def _to_voigt(tensor: FloatArray) -> FloatArray:
    return np.array([[tensor[a][b] for b in _VOIGT] for a in _VOIGT])


def _from_voigt(voigt: FloatArray) -> FloatArray:
    index = np.zeros((3, 3), dtype=np.int64)
    for number, (a, b) in enumerate(_VOIGT):
        index[a, b] = index[b, a] = number
    return np.asarray(voigt[index[:, :, None, None], index[None, None]])


def _echelon(rows: FloatArray) -> tuple[FloatArray, list[int]]:
    """Reduce rows to echelon form: those left, and the column in which each begins with 1."""
    left, pivots = rows.copy(), list[int]()
    for column in range(left.shape[1]):
        done = len(pivots)
        if done == len(left):
            break
        best = done + int(np.abs(left[done:, column]).argmax())
        if abs(left[best, column]) < 1e-8:
            continue
        left[[done, best]] = left[[best, done]]
        left[done] /= left[done, column]
        others = np.arange(len(left)) != done
        left[others] -= np.outer(left[others, column], left[done])
        pivots.append(column)
    return left[: len(pivots)], pivots
