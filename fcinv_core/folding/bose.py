"""The Bose factor: from S(q, E) to the dynamic susceptibility."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import constants

from fcinv_core.crystal import FloatArray
from fcinv_core.errors import InputError

#: meV per K (CODATA).
BOLTZMANN = constants.k / constants.e * 1e3
BoseCorrection = Literal["None", "Chi", "SED"]


def bose_factor(energy: FloatArray, temperature: float, kind: BoseCorrection) -> FloatArray:
    """Return the factor by which S(q, E) is multiplied.

    "Chi" gives the dynamic susceptibility, χ''(q, E) = (1 - exp(-E / kT)) S(q, E) (fluctuation-dissipation
    theorem; Squires, Introduction to the Theory of Thermal Neutron Scattering, 4.2), which is odd in E. "SED" gives
    E χ''(q, E): one-phonon scattering without thermal occupation and without 1 / E, so that optical branches
    are as strong as acoustic ones.

    Parameters
    ----------
    energy
        Energy transfers, meV, any shape.
    temperature
        K.
    kind
        "None", "Chi" or "SED".

    Raises
    ------
    InputError
        If the temperature is not positive or the kind unknown.
    """
    if kind == "None":
        return np.ones_like(energy)
    if kind not in ("Chi", "SED"):
        raise InputError(f"Bose correction {kind!r}", "it is not known", "choose None, Chi or SED")
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(
            f"a temperature of {temperature} K",
            "the Bose factor needs a positive one",
            "give the sample's temperature",
        )
    # Far on the energy-gain side nothing is scattered; the factor must not overflow there.
    chi = -np.expm1(np.minimum(-np.asarray(energy) / (BOLTZMANN * temperature), 700.0))
    return np.asarray(chi if kind == "Chi" else chi * energy)
