"""Energy bins for a fold: those that a user asks for, or those that fit a measurement."""

from __future__ import annotations

import math

from fcinv_core.errors import InputError
from fcinv_core.events.source import EventSource
from fcinv_core.spectrum import DEFAULT_BINS, SpectralGrid


def energy_bins(
    source: EventSource, limits: tuple[float, float] | None = None, step: float | None = None
) -> SpectralGrid:
    """Return energy bins for a measurement.

    Parameters
    ----------
    source
        The measurement.
    limits
        Outer edges, meV; by default what all runs cover.
    step
        Width of a bin, meV; by default that of histogrammed input, and a hundredth of the range for true events.

    Raises
    ------
    InputError
        If given limits are no whole number of steps apart, or there are no runs.
    """
    if limits is None:
        runs = source.require_runs()
        low, high = max(run.energy_limits[0] for run in runs), min(run.energy_limits[1] for run in runs)
        width = source.energy_bin_width if step is None else step
        if width is None:
            return SpectralGrid(low, high, DEFAULT_BINS)
        if step is not None and width > 0:
            high = low + max(1, math.floor((high - low) / width + 1e-6)) * width
        return stepped_bins(low, high, width)
    low, high = limits
    return SpectralGrid(low, high, DEFAULT_BINS) if step is None else stepped_bins(low, high, step)


def stepped_bins(low: float, high: float, step: float) -> SpectralGrid:
    """Return bins of a width between two edges, meV.

    Raises
    ------
    InputError
        If the edges are no whole number of steps apart.
    """
    n = round((high - low) / step) if step > 0 else 0
    if n < 1 or abs(low + n * step - high) > 1e-6 * abs(step):
        raise InputError(
            f"energies from {low:g} to {high:g} meV in steps of {step:g} meV",
            "the range is not a whole number of steps",
            "choose a maximum that is a multiple of the step above the minimum",
        )
    return SpectralGrid(low, high, n)
