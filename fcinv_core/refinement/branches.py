"""Mode energies and their derivatives at the nodes of a measurement, fast enough for every step of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.dynamics import BornVonKarman, to_energies
from fcinv_core.force_constants.pairs import ComplexArray
from fcinv_core.units import ROOT_TO_MEV

#: Modes closer than this (meV) are one degenerate set: only the sum of their energies has a derivative.
DEGENERATE = 1e-3
#: Energies below this (meV) have the derivative of a mode of this energy: that of an acoustic mode at Γ diverges.
_SOFTEST = 0.05


@dataclass(frozen=True, eq=False)
class Branches:
    """Dynamical matrices as real vectors whose scalar product is the trace of the product of matrices.

    Where the crystal has a centre of inversion, matrices are real in a basis of its own (`dynamics.real_basis`)
    and need half of the components.

    Attributes
    ----------
    n_modes
        Modes at each of the n nodes.
    reference
        Shape (n, p): packed D_ref, eV/Å²/amu.
    derivatives
        Shape (n, p, k): packed dD/dφ, 1/amu.
    reference_values
        Shape (k,): φ of the reference, eV/Å².
    basis
        Shape (n, m, m): columns of the basis in which matrices are packed; None for the Cartesian one.
    is_real
        Whether matrices are real in that basis.
    """

    n_modes: int
    reference: FloatArray
    derivatives: FloatArray
    reference_values: FloatArray
    basis: ComplexArray | None
    is_real: bool

    @classmethod
    def of(cls, dynamics: BornVonKarman) -> Branches:
        """Pack the dynamics at fixed q-points."""
        stacked = np.concatenate([dynamics.reference[None], dynamics.derivatives])
        basis, is_real = dynamics.real_basis, False
        if basis is not None:
            turned = basis.conj().swapaxes(1, 2) @ stacked @ basis
            # A raw set that breaks the inversion is not real in this basis.
            is_real = bool(np.abs(turned.imag).max() < 1e-10 * np.abs(turned.real).max())
            stacked = turned.real if is_real else stacked
        packed = pack(stacked, is_real)
        return cls(
            n_modes=dynamics.n_modes,
            reference=packed[0],
            derivatives=np.ascontiguousarray(np.moveaxis(packed[1:], 0, -1)),
            reference_values=dynamics.reference_values,
            basis=basis if is_real else None,
            is_real=is_real,
        )

    def matrices(self, values: FloatArray) -> ComplexArray | FloatArray:
        """Return D in the packed basis, shape (n, m, m), for one set of force constants (k,)."""
        packed = self.reference + self.derivatives @ (values - self.reference_values)
        return unpack(packed, self.n_modes, self.is_real)

    def energies(self, values: FloatArray) -> FloatArray:
        """Return mode energies (n, m), meV, ascending, negative where imaginary, for one set (k,)."""
        return to_energies(np.asarray(np.linalg.eigvalsh(self.matrices(values)), dtype=float))

    def energies_and_derivatives(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return energies (n, m), meV, and their derivatives (n, m, k), meV per eV/Å², for one set (k,).

        Hellmann-Feynman; the modes of a degenerate set share the derivative of their sum equally.
        """
        eigenvalues, vectors = np.linalg.eigh(self.matrices(values))
        energies = to_energies(np.asarray(eigenvalues, dtype=float))
        return energies, self.energy_derivatives(energies, vectors)

    def energy_derivatives(self, energies: FloatArray, vectors: ComplexArray | FloatArray) -> FloatArray:
        """Return dω/dφ, shape (n, m, k), from energies and eigenvectors (columns) in the packed basis."""
        modes = np.arange(self.n_modes)
        elements = self._products(vectors, modes, modes)[:, :, 0] @ self.derivatives
        slope = ROOT_TO_MEV**2 / (2 * np.maximum(np.abs(energies), _SOFTEST))
        return _shared(energies, slope[..., None] * elements)

    def mixing_derivatives(self, vectors: ComplexArray | FloatArray) -> FloatArray:
        """Return the derivatives of the matrix elements e_s† D e_t of modes s < t, 1/amu.

        Shape (n, n_pairs, parts, k): real parts, and imaginary parts where matrices are not real.
        """
        products = self._products(vectors, *np.triu_indices(self.n_modes, 1))
        n, n_pairs, parts, p = products.shape
        return np.asarray((products.reshape(n, -1, p) @ self.derivatives).reshape(n, n_pairs, parts, -1))

    def _products(self, vectors: ComplexArray | FloatArray, first: IntArray, second: IntArray) -> FloatArray:
        """Packed Hermitian parts of e_s e_t† for pairs of modes, shape (n, n_pairs, parts, p)."""
        rows, columns = np.triu_indices(self.n_modes, 1)
        modes = np.moveaxis(vectors, 2, 1)
        one, other = modes[:, first], modes[:, second].conj()
        diagonal = one * other
        upper, lower = one[..., rows] * other[..., columns], one[..., columns] * other[..., rows]
        if self.is_real:
            return np.concatenate([diagonal, (upper + lower) / np.sqrt(2)], axis=-1)[:, :, None]
        plus, minus = (upper + lower.conj()) / np.sqrt(2), (upper - lower.conj()) / np.sqrt(2)
        real = np.concatenate([diagonal.real, plus.real, plus.imag], axis=-1)
        # Of -i times the anti-Hermitian part.
        imaginary = np.concatenate([diagonal.imag, minus.imag, -minus.real], axis=-1)
        return np.stack([real, imaginary], axis=2)


def _shared(energies: FloatArray, derivatives: FloatArray) -> FloatArray:
    """Give every mode of a degenerate set the mean derivative of the set."""
    close = np.diff(energies, axis=1) < DEGENERATE
    nodes = np.flatnonzero(close.any(axis=1))
    if len(nodes):
        number = np.concatenate([np.zeros((len(nodes), 1), int), np.cumsum(~close[nodes], axis=1)], axis=1)
        same = (number[:, :, None] == number[:, None, :]).astype(float)
        derivatives[nodes] = (same / same.sum(axis=2, keepdims=True)) @ derivatives[nodes]
    return derivatives


def pack(matrices: ComplexArray | FloatArray, is_real: bool) -> FloatArray:
    """Turn Hermitian matrices (..., m, m) into real vectors (..., p), p = m (m + 1) / 2 if real and m² if not."""
    upper = np.triu_indices(matrices.shape[-1], 1)
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1).real
    rest = np.sqrt(2) * matrices[..., upper[0], upper[1]]
    parts = [diagonal, rest.real] if is_real else [diagonal, rest.real, rest.imag]
    return np.concatenate(parts, axis=-1)


def unpack(packed: FloatArray, n_modes: int, is_real: bool) -> ComplexArray | FloatArray:
    """Turn vectors of `pack` (..., p) into the lower triangles of matrices (..., m, m), which eigensolvers read."""
    rows, columns = np.triu_indices(n_modes, 1)
    n_upper = len(rows)
    matrices = np.zeros((*packed.shape[:-1], n_modes, n_modes), dtype=float if is_real else complex)
    matrices[..., np.arange(n_modes), np.arange(n_modes)] = packed[..., :n_modes]
    lower = packed[..., n_modes : n_modes + n_upper] / np.sqrt(2)
    if not is_real:
        lower = lower - 1j * packed[..., n_modes + n_upper :] / np.sqrt(2)
    matrices[..., columns, rows] = lower
    return matrices
