"""Incoherent one-phonon and multiphonon scattering in the incoherent approximation, as S(|Q|, E)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import erf

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError
from fcinv_core.spectrum import Resolution, SpectralGrid
from fcinv_core.structure_factor.debye_waller import bose_occupation, displacements_of
from fcinv_core.structure_factor.modes import LOWEST_ENERGY, MeshModes, site_images
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths

#: 1 barn in mb.
_BARN_TO_MB = 1e3
#: Orders whose share of the scattering stays below this are left out.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True, eq=False)
class IncoherentScattering:
    """Phonon expansion of the incoherent scattering of a crystal, for wavevectors up to some length.

    S(Q, E) = 1/N sum_j σ_j / 4 pi exp(-2 W_j) sum_n (2 W_j)^n / n! T_jn(E), with T_j1 the normalised one-phonon
    spectrum of site j, T_jn its n-fold convolution, and 2 W_j = Q² U_j, U_j isotropic (Sjölander, Ark. Fys. 14,
    315 (1958); Squires, Introduction to the Theory of Thermal Neutron Scattering, section 3.10). σ is the
    incoherent cross-section for n = 0 and 1; from n = 2 on it is the total one, which is the incoherent
    approximation: interference between atoms averages out. One-phonon and Bragg scattering of the coherent
    cross-section are not in it.

    Attributes
    ----------
    crystal
        The crystal.
    temperature
        K.
    lengths
        Cross-sections of the sites.
    displacements
        Shape (s,): isotropic mean-square displacements U_j, Å².
    energies
        Shape (k,): uniform, symmetric about 0, meV; energy loss of the neutron is positive.
    orders
        Shape (s, n_orders, k): probability at each energy of T_j1, T_j2 ...; each sums to 1.
    longest
        Largest |Q|, 1/Å, for which the orders suffice.
    """

    crystal: Crystal
    temperature: float
    lengths: ScatteringLengths
    displacements: FloatArray
    energies: FloatArray
    orders: FloatArray
    longest: float

    @property
    def step(self) -> float:
        """Distance of neighbouring energies, meV."""
        return float(self.energies[1] - self.energies[0])

    def elastic(self, q: FloatArray) -> FloatArray:
        """Return the incoherent elastic scattering at lengths |Q| (1/Å), same shape as ``q``, mb/sr per atom."""
        return np.asarray(self._order_weights(q, 0).sum(axis=-1))

    def one_phonon(self, q: FloatArray, grid: SpectralGrid, resolution: Resolution) -> FloatArray:
        """Return the incoherent one-phonon spectra at lengths |Q|.

        Parameters
        ----------
        q
            Shape (n,): |Q|, 1/Å.
        grid, resolution
            Energy bins and the width of the lines.

        Returns
        -------
        Shape (n, n_bins): d²σ/dΩdE / (kf/ki), mb/sr/meV per atom, averaged over each bin.
        """
        broadened = self.orders[:, 0] @ _broadening(self.energies, grid, resolution)
        return np.asarray(self._order_weights(q, 1) @ broadened)

    def multiphonon(self, q: FloatArray, grid: SpectralGrid, resolution: Resolution) -> FloatArray:
        """Return the scattering of two and more phonons at lengths |Q|; parameters and result as `one_phonon`.

        Raises
        ------
        InputError
            If |Q| is longer than the orders suffice for.
        """
        if np.size(q) and np.max(q) > self.longest * (1 + 1e-9):
            raise InputError(
                f"|Q| = {np.max(q):.3g} 1/Å is too long for this phonon expansion",
                f"its {self.orders.shape[1]} orders suffice up to {self.longest:.3g} 1/Å",
                "expand to the longest |Q|",
            )
        broadening = _broadening(self.energies, grid, resolution)
        spectra = np.zeros((len(q), grid.n_bins))
        for n in range(2, self.orders.shape[1] + 1):
            spectra += self._order_weights(q, n) @ (self.orders[:, n - 1] @ broadening)
        return spectra

    def _order_weights(self, q: FloatArray, order: int) -> FloatArray:
        """Scattering of n phonons per site, all energies together, shape (*q.shape, s), mb/sr per atom."""
        sigma = self.lengths.incoherent_cross_section if order < 2 else self.lengths.total_cross_section
        exponent = np.asarray(q, dtype=float)[..., None] ** 2 * self.displacements
        share = np.exp(-exponent) * exponent**order / math.factorial(order)
        return np.asarray(_BARN_TO_MB * sigma / (4 * np.pi * self.crystal.n_sites) * share)


def incoherent_scattering(
    mesh: MeshModes,
    temperature: float,
    lengths: ScatteringLengths,
    longest: float,
    step: float = 0.25,
) -> IncoherentScattering:
    """Expand the incoherent scattering in phonons.

    Each mode of the mesh is shared between its two neighbouring energies so that its mean energy is kept:
    the moments of the expansion (total probability, recoil energy) hold exactly whatever the step is. Below the
    lowest energy on the mesh (about 2 meV for germanium at 0.1 1/Å) there is a hole, under the elastic line.

    Parameters
    ----------
    mesh
        Modes on a mesh over the Brillouin zone.
    temperature
        K.
    lengths
        Cross-sections of the sites.
    longest
        Largest |Q| that will be asked for, 1/Å.
    step
        Distance of neighbouring energies, meV.

    Raises
    ------
    InputError
        If the temperature is negative, or the step or the length not positive.
    """
    if not (step > 0 and longest > 0):
        raise InputError(
            f"a phonon expansion to {longest} 1/Å in steps of {step} meV cannot be made",
            "both must be positive",
            "check the range of |Q| and the energy step",
        )
    displacements = displacements_of(mesh, temperature).isotropic
    n_orders = _sufficient_orders(longest**2 * float(displacements.max()))
    first = _one_phonon_probability(mesh, temperature, step)
    reach = (first.shape[1] - 1) // 2
    size = 2 * n_orders * reach + 1
    orders = np.zeros((len(first), n_orders, size))
    current = first
    for n in range(1, n_orders + 1):
        if n > 1:
            current = np.maximum(fftconvolve(current, first, axes=1), 0.0)
        centre = n_orders * reach
        orders[:, n - 1, centre - n * reach : centre + n * reach + 1] = current
    energies = step * np.arange(-n_orders * reach, n_orders * reach + 1)
    return IncoherentScattering(
        mesh.crystal, float(temperature), lengths, displacements, energies, orders, float(longest)
    )


def _sufficient_orders(exponent: float) -> int:
    """Smallest n, at least 2, beyond which a Poisson distribution of this mean holds a negligible rest."""
    share = rest = math.exp(-exponent)
    n = 0
    while 1 - rest > _NEGLIGIBLE or n < 2:
        n += 1
        share *= exponent / n
        rest += share
    return n


def _one_phonon_probability(mesh: MeshModes, temperature: float, step: float) -> FloatArray:
    """Normalised one-phonon spectrum of each site on multiples of ``step``, shape (s, 2 reach + 1).

    T_1(E) is proportional to g_j(|E|) / E / (1 - exp(-E / kT)), g_j the density of states projected on site j.
    """
    modes, n_sites = mesh.modes, mesh.crystal.n_sites
    counted = modes.energies > LOWEST_ENERGY
    energies = np.where(counted, modes.energies, 1.0)
    occupation = bose_occupation(energies, temperature)
    shares = (np.abs(modes.vectors.reshape(len(energies), n_sites, 3, -1)) ** 2).sum(axis=2)
    weights = np.where(counted, mesh.weights[:, None] / energies, 0.0)
    reach = int(np.ceil(energies.max() / step)) + 1

    place = energies / step
    lower = np.floor(place).astype(np.int64)
    upper_share = place - lower
    spectrum = np.zeros((n_sites, 2 * reach + 1))
    for site in range(n_sites):
        strength = weights * shares[:, site]
        for sign, factor in ((1, occupation + 1), (-1, occupation)):
            for shift, share in ((0, 1 - upper_share), (1, upper_share)):
                bins = reach + sign * (lower + shift)
                spectrum[site] += np.bincount(
                    bins.ravel(), (strength * factor * share).ravel(), minlength=2 * reach + 1
                )
    # Sites that the space group maps onto each other have one spectrum, but a mesh need not be symmetric.
    images = site_images(mesh.crystal)
    average = np.zeros_like(spectrum)
    np.add.at(average, images, np.broadcast_to(spectrum, (len(images), *spectrum.shape)))
    return np.asarray(average / average.sum(axis=1, keepdims=True))


def _broadening(energies: FloatArray, grid: SpectralGrid, resolution: Resolution) -> FloatArray:
    """Share of a line at each energy that falls into each bin, per meV, shape (k, n_bins)."""
    # Lines outside of the grid reach into it with the width at its edge, where the polynomial is still meant.
    sigma = resolution.sigma(np.clip(energies, grid.minimum, grid.maximum))[:, None]
    cumulative = 0.5 * erf((grid.edges[None, :] - energies[:, None]) / (sigma * math.sqrt(2)))
    return np.asarray(np.diff(cumulative, axis=1) / grid.width)
