"""Crystals with force constants of all symmetries, and Euphonic as the judge of what they scatter."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from euphonic import ForceConstants as EuphonicForceConstants
from euphonic import ureg

from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.force_constants.phonopy_files import from_phonopy, write_phonopy_params
from fcinv_core.structure_factor.scattering_lengths import ScatteringLengths
from tests.crystals import CELLS, stable_phonopy


@functools.cache
def stable(name: str, n_cells: int) -> ForceConstants:
    """Stable random force constants of one of `CELLS` in a supercell of n x n x n cells."""
    cell = CELLS[name]
    return from_phonopy(stable_phonopy(cell, [n_cells] * 3), Crystal.from_cell(*cell), source=name)


def in_euphonic(fcs: ForceConstants) -> EuphonicForceConstants:
    """Hand force constants to Euphonic through a phonopy file."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_phonopy_params(fcs, Path(folder) / "phonopy_params.yaml")
        return EuphonicForceConstants.from_phonopy(path=folder, summary_name="phonopy_params.yaml")


def euphonic_structure_factors(
    judge: EuphonicForceConstants, q: FloatArray, crystal: Crystal, lengths: ScatteringLengths, thermal: Any = None
) -> tuple[FloatArray, FloatArray]:
    """Energies, meV, and structure factors, mb per atom, at wavevectors in fractions of our primitive basis."""
    by_symbol = {s: b * ureg("fm") for s, b in zip(crystal.symbols, lengths.coherent, strict=True)}
    modes = judge.calculate_qpoint_phonon_modes(q, asr=None, use_c=False)
    found = modes.calculate_structure_factor(scattering_lengths=by_symbol, dw=thermal)
    return found.frequencies.to("meV").magnitude, found.structure_factors.to("mbarn").magnitude


def sums_over_degenerate(energies: FloatArray, strengths: FloatArray, gap: float = 0.05) -> FloatArray:
    """Sum strengths, shape (n, m), over modes closer than ``gap``, meV; the sum stands at the first of them."""
    starts = np.diff(energies, axis=1, prepend=-np.inf) > gap
    sets = np.cumsum(starts, axis=1) - 1
    sums = np.zeros_like(strengths)
    np.add.at(sums, (np.arange(len(sets))[:, None], sets), strengths)
    return sums


def relative_difference(
    energies: FloatArray, ours: FloatArray, theirs: FloatArray, gap: float = 0.05
) -> FloatArray:
    """Largest difference of sums over degenerate modes at each wavevector, relative to its whole scattering."""
    difference = sums_over_degenerate(energies, ours, gap) - sums_over_degenerate(energies, theirs, gap)
    return np.asarray(np.abs(difference).max(axis=1) / theirs.sum(axis=1))
