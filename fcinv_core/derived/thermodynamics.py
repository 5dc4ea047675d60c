"""Density of states, heat capacity and Debye temperature from mode energies on a mesh."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import constants

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.spectrum import Resolution, SpectralGrid, render
from fcinv_core.structure_factor.debye_waller import BOLTZMANN
from fcinv_core.structure_factor.modes import LOWEST_ENERGY


def density_of_states(energies: FloatArray, weights: FloatArray, grid: SpectralGrid, fwhm: float) -> FloatArray:
    """Return the density of states of d sets, shape (d, n_bins), modes per meV and primitive cell.

    Its integral is the number of modes, 3 for each atom; every mode is a Gaussian, averaged over each energy bin.

    Parameters
    ----------
    energies
        Shape (d, n_q, m): meV; imaginary ones, negative, are left out.
    weights
        Shape (n_q,): share of the zone that each wave vector stands for.
    grid
        Energy bins.
    fwhm
        Full width at half maximum of the broadening, meV.
    """
    flat = energies.reshape(len(energies), -1)
    shares = np.broadcast_to(np.repeat(weights, energies.shape[2]), flat.shape)
    return np.asarray(render(flat, grid, Resolution((fwhm,)), shares), dtype=float)


def heat_capacity(
    crystal: Crystal, energies: FloatArray, weights: FloatArray, temperature: FloatArray
) -> FloatArray:
    """Return the harmonic heat capacity at constant volume, shape (d, n_t), J/(mol K) per mole of formula units.

    C_V = k sum x² e^x / (e^x - 1)², x = E / kT.

    Parameters
    ----------
    crystal
        The crystal, whose formula is meant.
    energies
        Shape (d, n_q, m): meV; modes below 0.01 meV are left out.
    weights
        Shape (n_q,): share of the zone that each wave vector stands for.
    temperature
        Shape (n_t,): K, positive.
    """
    counted = energies > LOWEST_ENERGY
    result = np.empty((len(energies), len(temperature)))
    for k, kelvin in enumerate(temperature):
        # sinh overflows beyond 700, where the mode is frozen to all digits.
        half = np.minimum(np.where(counted, energies, 1.0) / (2 * BOLTZMANN * kelvin), 350.0)
        result[:, k] = np.einsum("dqm,q->d", np.where(counted, (half / np.sinh(half)) ** 2, 0.0), weights)
    return np.asarray(result * constants.R / formula_units(crystal))


def debye_temperature_of_second_moment(energies: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the Debye temperature whose spectrum has the second moment of the modes, shape (d,), K.

    k θ = sqrt(5/3 <E²>): what the heat capacity tends to at high temperature.
    """
    square = np.einsum("dqm,q->d", np.sign(energies) * energies**2, weights) / energies.shape[2]
    return np.asarray(np.sqrt(np.where(square > 0, 5 / 3 * square, np.nan)) / BOLTZMANN)


def formula_units(crystal: Crystal) -> int:
    """Return the number of formula units in the primitive cell."""
    return int(np.gcd.reduce(list(Counter(crystal.symbols).values())))
