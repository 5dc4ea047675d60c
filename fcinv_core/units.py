"""Unit conversions: Å, amu, eV/Å² and meV inside; THz only where phonopy is met."""

from __future__ import annotations

from phonopy.physical_units import get_physical_units
from scipy import constants

#: Planck constant: meV per THz (CODATA).
THZ_TO_MEV = constants.h / constants.e * 1e15
#: sqrt(eV/Å²/amu) to THz: phonopy's own factor, so that energies and files agree with it to all digits
#: (CODATA 2018 would give 1.2e-7 more).
ROOT_TO_THZ = float(get_physical_units().DefaultToTHz)
#: sqrt(eV/Å²/amu), the unit in which eigenvalues of the dynamical matrix come, to meV.
ROOT_TO_MEV = ROOT_TO_THZ * THZ_TO_MEV
