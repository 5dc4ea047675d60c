"""Lattice dynamics at fixed q-points as a function of the force constants: energies, modes, derivatives."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.force_constants.pairs import ComplexArray, ForceConstants
from fcinv_core.force_constants.parametrisation import Parametrisation
from fcinv_core.units import ROOT_TO_MEV

#: Memory for the dynamical matrices of one chunk, bytes: what a processor's cache holds.
_CHUNK_BYTES = 2 << 20
#: The same on a device, which wants large batches.
_DEVICE_CHUNK_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class BornVonKarman:
    """Dynamical matrices at fixed q-points, linear in the force constants that vary.

    D(q; φ) = D_ref(q) + sum_k (φ_k - φ_ref,k) B_k(q): the coefficients are summed once, so a batch of force
    constants costs one matrix product and its eigenvalues.

    Attributes
    ----------
    q
        Shape (n_q, 3): fractions of the primitive reciprocal basis.
    reference
        Shape (n_q, m, m): D_ref, eV/Å²/amu, with the non-analytic term of a polar crystal; m = 3 sites.
    derivatives
        Shape (k, n_q, m, m): B_k, 1/amu.
    reference_values
        Shape (k,): φ_ref, eV/Å².
    real_basis
        Shape (n_q, m, m): columns of a basis in which D is real, or None where the crystal has no centre of
        inversion; see `real_basis`.
    """

    q: FloatArray
    reference: ComplexArray
    derivatives: ComplexArray
    reference_values: FloatArray
    real_basis: ComplexArray | None = None

    @classmethod
    def at(
        cls,
        q: FloatArray,
        reference: ForceConstants,
        parametrisation: Parametrisation,
        values: FloatArray,
        select: IntArray | None = None,
        directions: FloatArray | None = None,
    ) -> BornVonKarman:
        """Sum the coefficients at q-points.

        Parameters
        ----------
        q
            Shape (n_q, 3): fractions of the primitive reciprocal basis.
        reference
            The full reference force constants, which fix everything that does not vary.
        parametrisation
            What can vary.
        values
            Shape (n,): parameters of the reference, eV/Å².
        select
            Indices of the k parameters that vary; all by default.
        directions
            Shape (n_q, 3): direction from which Γ of a polar crystal is approached.
        """
        chosen = np.arange(parametrisation.n_parameters) if select is None else np.asarray(select)
        return cls(
            q=np.asarray(q, dtype=float),
            reference=reference.dynamical_matrices(q, directions),
            derivatives=parametrisation.dynamical_matrices(q, chosen),
            reference_values=np.asarray(values)[chosen],
            real_basis=real_basis(reference.crystal, np.asarray(q, dtype=float)),
        )

    def at_points(self, points: slice | IntArray) -> BornVonKarman:
        """Return the same dynamics at some of the q-points."""
        return BornVonKarman(
            self.q[points],
            self.reference[points],
            np.ascontiguousarray(self.derivatives[:, points]),
            self.reference_values,
            None if self.real_basis is None else self.real_basis[points],
        )

    @property
    def n_modes(self) -> int:
        """Number of modes at each q-point."""
        return int(self.reference.shape[-1])

    def matrices(self, values: FloatArray) -> ComplexArray:
        """Return D for one set (k,) or a batch (n, k) of force constants: shape (n_q, m, m) or (n, n_q, m, m)."""
        shift = np.atleast_2d(values) - self.reference_values
        flat = self.reference.ravel() + shift @ self.derivatives.reshape(len(self.derivatives), -1)
        batch: ComplexArray = flat.reshape(len(shift), *self.reference.shape)
        return np.asarray(batch[0]) if np.ndim(values) == 1 else batch

    @cached_property
    def _coefficients(self) -> tuple[FloatArray, bool]:
        """Reference and derivatives as real rows, shape (1 + k, ...), and whether D itself is real.

        They turn the sum over force constants into one real matrix product. Where the crystal has a centre of
        inversion, D is turned into a real symmetric matrix of the same eigenvalues, which solvers do faster;
        else real and imaginary parts stand side by side.
        """
        stacked = np.concatenate([self.reference[None], self.derivatives])
        if self.real_basis is not None:
            turned = self.real_basis.conj().swapaxes(1, 2) @ stacked @ self.real_basis
            # A raw set that breaks the inversion is not real in this basis.
            if np.abs(turned.imag).max() < 1e-10 * np.abs(turned.real).max():
                return np.ascontiguousarray(turned.real.reshape(len(stacked), -1)), True
        return np.asarray(stacked.reshape(len(stacked), -1).view(float)), False

    def energies(self, values: FloatArray, threads: int | None = None, device: str | None = None) -> FloatArray:
        """Return mode energies of one set (k,) or a batch (n, k): shape (n_q, m) or (n, n_q, m), meV, ascending.

        Imaginary energies are returned as negative numbers. Chunks go to threads (all cores by default), whose
        number does not change the result. With a torch device ("cuda") the work is done there.
        """
        batch = np.atleast_2d(values)
        energies = np.empty((len(batch), len(self.q), self.n_modes))
        if device is None:
            size = max(1, _CHUNK_BYTES // max(1, self.reference.nbytes))
            eigenvalues = self._eigenvalues
        else:
            size = max(1, _DEVICE_CHUNK_BYTES // max(1, self.reference.nbytes))
            eigenvalues = _OnDevice(self, device)

        def run(start: int) -> None:
            part = slice(start, start + size)
            energies[part] = to_energies(eigenvalues(batch[part]))

        # Chunks are the parallel units: BLAS threads inside them would only get in each other's way.
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(1 if device else threads or os.cpu_count()) as pool,
        ):
            list(pool.map(run, range(0, len(batch), size)))
        return energies[0] if np.ndim(values) == 1 else energies

    def _solvable(self, batch: FloatArray) -> ComplexArray | FloatArray:
        """Matrices of a batch (n, k), real where that can be: shape (n, n_q, m, m)."""
        coefficients, is_real = self._coefficients
        flat = np.column_stack([np.ones(len(batch)), batch - self.reference_values]) @ coefficients
        return (flat if is_real else flat.view(complex)).reshape(len(batch), *self.reference.shape)

    def _eigenvalues(self, batch: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.eigvalsh(self._solvable(batch)), dtype=float)

    def modes(self, values: FloatArray) -> tuple[FloatArray, ComplexArray]:
        """Return energies, meV, and eigenvectors in columns of one set (k,) or a batch (n, k).

        Shapes (n_q, m) and (n_q, m, m), or (n, n_q, m) and (n, n_q, m, m).
        """
        eigenvalues, vectors = np.linalg.eigh(self._solvable(np.atleast_2d(values)))
        if not np.iscomplexobj(vectors):
            assert self.real_basis is not None  # in which they are real
            vectors = self.real_basis @ vectors
        energies = to_energies(np.asarray(eigenvalues, dtype=float))
        return (energies[0], vectors[0]) if np.ndim(values) == 1 else (energies, vectors)

    def energy_derivatives(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return energies (n_q, m), meV, and their derivatives (n_q, m, k), meV per eV/Å², of one set (k,).

        Hellmann-Feynman: dω/dφ_k = <e|B_k|e> / (2 ω). Sums over a degenerate set are well defined; single modes
        of it depend on the choice of eigenvectors. Modes of zero energy (acoustic at Γ) have derivative 0 here,
        because ω is not differentiable there.
        """
        energies, vectors = self.modes(values)
        root = energies / ROOT_TO_MEV
        quadratic = np.einsum("qis,kqij,qjs->qsk", vectors.conj(), self.derivatives, vectors, optimize=True).real
        # Below a micro-eV the energy is rounding noise of an acoustic mode at Γ.
        safe = np.abs(energies) > 1e-3
        slope = np.where(safe, 0.5 / np.where(safe, np.abs(root), 1.0), 0.0)
        return energies, ROOT_TO_MEV * slope[..., None] * quadratic


def real_basis(crystal: Crystal, q: FloatArray) -> ComplexArray | None:
    """Return a basis in which dynamical matrices of a centrosymmetric crystal are real, or None for others.

    Inversion takes site i to site ī in the cell o_i, so that D_īj̄ = conj(D_ij) exp(2 pi i q.(o_j - o_i)): D
    commutes with the antiunitary A, (A v)_ī = exp(-2 pi i q.o_i) conj(v_i), A² = 1. Vectors that A leaves alone
    are a basis.

    Parameters
    ----------
    crystal
        The crystal.
    q
        Shape (n_q, 3): fractions of the primitive reciprocal basis.

    Returns
    -------
    Shape (n_q, 3 s, 3 s), unitary, basis vectors in columns.
    """
    inversions = np.flatnonzero(np.all(crystal.rotations == -np.eye(3, dtype=int), axis=(1, 2)))
    if not len(inversions):
        return None
    site, offset = crystal.sites_of(crystal.translations[inversions[0]] - crystal.positions)
    phase = np.exp(-2j * np.pi * q @ offset.T)
    sites = np.zeros((len(q), crystal.n_sites, crystal.n_sites), dtype=complex)
    for i, image in enumerate(site):
        if i == image:
            sites[:, i, i] = np.sqrt(phase[:, i])
        elif i < image:
            sites[:, i, i], sites[:, image, i] = np.sqrt(0.5), np.sqrt(0.5) * phase[:, i]
            sites[:, i, image], sites[:, image, image] = np.sqrt(0.5) * 1j, np.sqrt(0.5) * -1j * phase[:, i]
    return np.asarray(np.einsum("qij,ab->qiajb", sites, np.eye(3)).reshape(len(q), 3 * len(site), 3 * len(site)))


class _OnDevice:
    """Eigenvalues of batches of dynamical matrices on a torch device, whose memory holds the coefficients."""

    def __init__(self, model: BornVonKarman, device: str) -> None:
        import torch

        self._shape = model.reference.shape
        self._device = torch.device(device)
        self._derivatives = torch.from_numpy(model.derivatives.reshape(len(model.derivatives), -1)).to(device)
        self._reference = torch.from_numpy(model.reference.ravel()).to(device)
        self._reference_values = model.reference_values

    def __call__(self, batch: FloatArray) -> FloatArray:
        import torch

        shift = torch.from_numpy(batch - self._reference_values).to(self._device, torch.complex128)
        matrices = torch.addmm(self._reference, shift, self._derivatives).reshape(len(batch), *self._shape)
        return np.asarray(torch.linalg.eigvalsh(matrices).cpu().numpy(), dtype=float)


def gpu() -> str | None:
    """Return the torch device of a graphics processor, "cuda", or None where torch sees none."""
    import torch

    return "cuda" if torch.cuda.is_available() else None


def to_energies(eigenvalues: FloatArray) -> FloatArray:
    """Turn eigenvalues of the dynamical matrix (eV/Å²/amu) into energies (meV), negative where imaginary."""
    return np.asarray(np.copysign(np.sqrt(np.abs(eigenvalues)), eigenvalues) * ROOT_TO_MEV)


def mode_energies(fcs: ForceConstants, q: FloatArray, directions: FloatArray | None = None) -> FloatArray:
    """Return the mode energies of one set of force constants, shape (n_q, m), meV, ascending."""
    return to_energies(np.asarray(np.linalg.eigvalsh(fcs.dynamical_matrices(q, directions)), dtype=float))
