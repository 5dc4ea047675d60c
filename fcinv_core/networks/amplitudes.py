"""Random amplitudes of modes along a path: what polarisation, occupation and folded zones may do to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.folding.bose import bose_factor
from fcinv_core.qpath import QPath

#: Waves of a random function along the whole path, and how their power falls with the number of half periods.
_WAVES, _DECAY = 12, 4.0
#: Energies below this share of the grid's end are taken for it in 1/E: acoustic modes end at zero.
_LEAST_ENERGY = 0.02


@dataclass(frozen=True)
class AmplitudeRanges:
    """How far amplitudes may stray from the same for all modes.

    Attributes
    ----------
    equal
        Share of samples whose modes all weigh 1.
    branch
        Largest standard deviation of the logarithm of a mode's amplitude along the path.
    hidden
        Probability that a mode is all but extinct in a part of the path, as transverse modes can be.
    occupation
        Share of the others that carry 1/E and the Bose factor.
    temperature
        Range of the temperature, K.
    """

    equal: float = 0.2
    branch: float = 1.3
    hidden: float = 0.15
    occupation: float = 0.8
    temperature: tuple[float, float] = (4.0, 600.0)


def random_functions(generator: np.random.Generator, path: QPath, n: int) -> FloatArray:
    """Return n smooth random functions along a path, shape (n, n_points), mean 0 and variance 1.

    They are continuous over breaks, whose two ends are equivalent points.
    """
    half_periods = np.arange(1, _WAVES + 1)
    power = np.exp(-((half_periods / _DECAY) ** 2) / 2)
    phase = np.pi * half_periods[:, None] * path.distance / path.distance[-1]
    waves = np.sqrt(power / power.sum())[:, None] * np.stack([np.cos(phase), np.sin(phase)])
    return np.asarray(generator.standard_normal((n, 2 * _WAVES)) @ waves.reshape(2 * _WAVES, -1))


def random_amplitudes(
    generator: np.random.Generator, energies: FloatArray, path: QPath, highest: float, ranges: AmplitudeRanges
) -> FloatArray:
    """Return amplitudes of modes, shape (n_q, s), for mode energies (n_q, s) in meV.

    Parameters
    ----------
    generator
        Source of randomness.
    energies
        Of one sample along the path.
    path
        The path.
    highest
        End of the energy grid, meV.
    ranges
        How far they stray.
    """
    if generator.random() < ranges.equal:
        return np.ones_like(energies)
    n_modes = energies.shape[1]
    spread = ranges.branch * generator.random()
    common, *each = random_functions(generator, path, n_modes + 1)
    amplitudes = np.exp(0.3 * common + spread * np.array(each)).T
    for mode in np.flatnonzero(generator.random(n_modes) < ranges.hidden):
        level, place = random_functions(generator, path, 2)
        amplitudes[:, mode] *= np.exp(-5 * generator.random() / (1 + np.exp(-4 * (place + level.mean()))))
    if generator.random() < ranges.occupation:
        energy = np.maximum(energies, _LEAST_ENERGY * highest)
        kelvin = float(np.exp(generator.uniform(*np.log(ranges.temperature))))
        amplitudes = amplitudes / bose_factor(energy, kelvin, "SED")
    return np.asarray(amplitudes)
