"""Coherent one-phonon scattering at full wavevectors: structure factors, Bose factors, spectra."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.force_constants.pairs import ComplexArray, ForceConstants
from fcinv_core.spectrum import Resolution, SpectralGrid, render
from fcinv_core.structure_factor.debye_waller import HBAR2_PER_AMU, ThermalDisplacements, bose_occupation
from fcinv_core.structure_factor.modes import LOWEST_ENERGY, Modes, phonon_modes
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths

#: 1 fm² in mb.
_SQUARE_FM_TO_MB = 10.0
#: Matrix elements of one chunk and thread: a few ten MB with eigenvectors and phases.
_CHUNK_ELEMENTS = 400_000


@dataclass(frozen=True, eq=False)
class OnePhonon:
    """Coherent one-phonon scattering at wavevectors Q, mode by mode, before the Bose factor.

    The cross-section per atom is d²σ/dΩdE = (kf/ki) sum_s S_s [(n_s + 1) δ(E - E_s) + n_s δ(E + E_s)] with the
    neutron's energy loss E = Ei - Ef.

    Attributes
    ----------
    energies
        Shape (n, m): mode energies E_s, meV, negative where imaginary.
    strengths
        Shape (n, m): S_s(Q), mb/sr per atom; 0 for modes at or below 0.01 meV (acoustic at Γ, imaginary).
    """

    energies: FloatArray
    strengths: FloatArray


def amplitudes(
    crystal: Crystal,
    q: FloatArray,
    modes: Modes,
    lengths: ScatteringLengths,
    displacements: ThermalDisplacements | None = None,
) -> ComplexArray:
    """Return the one-phonon structure factors F_s(Q), shape (n, m), fm / (Å amu^½).

    F_s(Q) = sum_j b_j / sqrt(m_j) (Q.e_js) exp(-i Q.τ_j) exp(-W_j(Q)) (Squires, eq. 3.120), with polarisation
    vectors in the phase convention of `Modes`, therefore the full Q in the phase.

    Parameters
    ----------
    crystal
        The crystal, which gives the positions τ_j and the masses m_j.
    q
        Shape (n, 3): full wavevectors Q, fractions of the primitive reciprocal basis.
    modes
        Modes at these wavevectors.
    lengths
        Scattering lengths b_j.
    displacements
        Give the Debye-Waller exponents W_j; left out where None.
    """
    cartesian = q @ crystal.reciprocal_lattice
    factors = np.exp(-2j * np.pi * (q @ crystal.positions.T)) * (lengths.coherent / np.sqrt(crystal.masses))
    if displacements is not None:
        factors *= np.exp(-displacements.exponents(cartesian))
    rows = (factors[:, :, None] * cartesian[:, None, :]).reshape(len(q), 1, -1)
    return np.asarray((rows @ modes.vectors)[:, 0])


def one_phonon(
    crystal: Crystal,
    q: FloatArray,
    modes: Modes,
    lengths: ScatteringLengths,
    displacements: ThermalDisplacements | None = None,
) -> OnePhonon:
    """Return the scattering S_s(Q) = hbar² / (2 E_s N) |F_s(Q)|² of given modes, N the sites of the cell.

    Sums over degenerate modes do not depend on the choice of polarisation vectors; single modes of them do.
    Parameters as for `amplitudes`.
    """
    squared = np.abs(amplitudes(crystal, q, modes, lengths, displacements)) ** 2
    counted = modes.energies > LOWEST_ENERGY
    energies = np.where(counted, modes.energies, 1.0)
    scale = _SQUARE_FM_TO_MB * HBAR2_PER_AMU / (2 * crystal.n_sites)
    return OnePhonon(modes.energies, np.where(counted, scale * squared / energies, 0.0))


def coherent_one_phonon(
    fcs: ForceConstants,
    q: FloatArray,
    lengths: ScatteringLengths,
    displacements: ThermalDisplacements | None = None,
    directions: FloatArray | None = None,
    threads: int | None = None,
) -> OnePhonon:
    """Solve for the modes and return their scattering at many wavevectors, in chunks on threads.

    Parameters
    ----------
    fcs
        Force constants.
    q
        Shape (n, 3): full wavevectors Q, fractions of the primitive reciprocal basis.
    lengths
        Scattering lengths.
    displacements
        For the Debye-Waller factors; left out where None.
    directions
        Shape (n, 3): direction from which zone centres of a polar crystal are approached, same basis as ``q``.
    threads
        Number of threads, all cores by default; it does not change the result.

    Raises
    ------
    InputError
        If the displacements are those of another crystal.
    """
    crystal = fcs.crystal
    if displacements is not None and displacements.crystal is not crystal:
        raise InputError(
            f"the thermal displacements are not those of {crystal.describe()}",
            "they were made for another crystal object",
            "make them from the same force constants",
        )
    q = np.asarray(q, dtype=float)
    n_modes = 3 * crystal.n_sites
    energies, strengths = np.empty((len(q), n_modes)), np.empty((len(q), n_modes))
    size = max(1, _CHUNK_ELEMENTS // n_modes**2)

    def run(start: int) -> None:
        part = slice(start, start + size)
        approach = None if directions is None else directions[part]
        found = one_phonon(crystal, q[part], phonon_modes(fcs, q[part], approach), lengths, displacements)
        energies[part], strengths[part] = found.energies, found.strengths

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        list(pool.map(run, range(0, len(q), size)))
    return OnePhonon(energies, strengths)


def one_phonon_spectra(
    lines: OnePhonon, temperature: float, grid: SpectralGrid, resolution: Resolution
) -> NDArray[np.float32]:
    """Broaden the lines of energy loss (n + 1) and energy gain (n) into spectra.

    Parameters
    ----------
    lines
        Modes and their strengths at n wavevectors.
    temperature
        K, for the Bose factors.
    grid, resolution
        Energy bins and the width of the lines.

    Returns
    -------
    Shape (n, n_bins), single precision: d²σ/dΩdE / (kf/ki), mb/sr/meV per atom.
    """
    counted = lines.energies > LOWEST_ENERGY
    energies = np.where(counted, lines.energies, -1.0)  # `render` leaves negative energies out
    occupation = np.where(counted, bose_occupation(np.where(counted, energies, 1.0), temperature), 0.0)
    spectra = render(energies, grid, resolution, lines.strengths * (occupation + 1))
    if temperature > 0:
        # Energy gain is energy loss on the mirrored axis; its lines reach into a grid that begins above 0 too.
        mirrored = SpectralGrid(-grid.maximum, -grid.minimum, grid.n_bins)
        odd_signs = tuple(c * (-1) ** k for k, c in enumerate(resolution.fwhm_coefficients))
        spectra += render(energies, mirrored, Resolution(odd_signs), lines.strengths * occupation)[..., ::-1]
    return spectra
