"""Bound scattering lengths and cross-sections of the elements."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import periodictable

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.errors import InputError

#: Beyond this ratio of imaginary to real part an element absorbs through a resonance near thermal energies, and
#: its scattering length depends on the neutron's energy (Cd, Sm, Eu, Gd ...).
_RESONANCE = 0.1
#: The table is loaded at the first look at it: a second thread would see half of it.
_LOOKING = threading.Lock()
#: 1 fm² in barn.
_SQUARE_FM_TO_BARN = 0.01


@dataclass(frozen=True, eq=False)
class ScatteringLengths:
    """What the nuclei of each site scatter.

    Attributes
    ----------
    coherent
        Shape (s,): bound coherent scattering length b of each site, fm.
    incoherent_cross_section
        Shape (s,): bound incoherent cross-section of each site, barn.
    """

    coherent: FloatArray
    incoherent_cross_section: FloatArray

    @property
    def coherent_cross_section(self) -> FloatArray:
        """Bound coherent cross-section 4 pi b², shape (s,), barn."""
        return np.asarray(4 * np.pi * self.coherent**2 * _SQUARE_FM_TO_BARN)

    @property
    def total_cross_section(self) -> FloatArray:
        """Bound scattering cross-section, coherent and incoherent, shape (s,), barn."""
        return self.coherent_cross_section + self.incoherent_cross_section


def natural_scattering_lengths(crystal: Crystal) -> ScatteringLengths:
    """Look up the natural isotope mixtures (and "D") of a crystal's sites.

    The values are those of Sears, Neutron News 3, 26 (1992), with the later measurements that Rauch and
    Waschkowski (2003) and the package periodictable, which holds the table, list.

    Raises
    ------
    InputError
        If an element has no measured values, or a scattering length that depends on energy (Cd, Gd ...); make
        the `ScatteringLengths` from your own values then.
    """
    values = {symbol: _element(symbol) for symbol in set(crystal.symbols)}
    return ScatteringLengths(
        coherent=np.array([values[symbol][0] for symbol in crystal.symbols]),
        incoherent_cross_section=np.array([values[symbol][1] for symbol in crystal.symbols]),
    )


def _element(symbol: str) -> tuple[float, float]:
    with _LOOKING:
        neutron = getattr(periodictable.elements.symbol(symbol), "neutron", None)
    if neutron is None or neutron.b_c is None or neutron.incoherent is None:
        raise InputError(
            f"{symbol} has no neutron scattering length", "the tables hold none", "give the values yourself"
        )
    imaginary = abs(complex(neutron.b_c_complex).imag)
    if imaginary > _RESONANCE * abs(neutron.b_c):
        raise InputError(
            f"the scattering length of {symbol} depends on the neutron's energy",
            f"it absorbs through a resonance ({neutron.b_c:.2f} - {imaginary:.2f}i fm at 25 meV)",
            "give the value at your incident energy yourself",
        )
    return float(neutron.b_c), float(neutron.incoherent)
