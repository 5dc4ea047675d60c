"""Corrections of a summed I(q, E)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fcinv_core.folding.bose import BoseCorrection, bose_factor
from fcinv_core.folding.folded import Intensity
from fcinv_core.spectrum import SpectralGrid


def correct_bose(result: Intensity, grid: SpectralGrid, temperature: float, kind: BoseCorrection) -> Intensity:
    """Multiply intensity and error by `bose_factor` at the middle of each energy bin."""
    factor = bose_factor(grid.centres, temperature, kind)
    return replace(result, intensity=result.intensity * factor, sigma=result.sigma * np.abs(factor))
