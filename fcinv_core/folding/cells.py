"""Sums over runs for every cell of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray

if TYPE_CHECKING:
    from fcinv_core.folding.folded import FoldedRun


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums over runs for every cell that was covered or holds events.

    Attributes
    ----------
    cell, row, bin, energy
        Shape (k,): number of the cell, ascending, and its zone class, bin and energy bin.
    signal, variance, counts
        Shape (k,): see `FoldedRun`; 0 where there are no events.
    exposure
        Shape (k,): 0 where events lie outside of the coverage.
    exposure_in_counts
        Shape (k,): exposure over the weight of one count, so that counts are Poisson with mean I times this.
    offset, covariance
        Shapes (k, 3) in 1/Å and (k, 6) in 1/Å²: exposure-weighted mean and covariance (`PRODUCTS`) of Q in the bin.
    """

    cell: IntArray
    row: IntArray
    bin: IntArray
    energy: IntArray
    signal: FloatArray
    variance: FloatArray
    counts: FloatArray
    exposure: FloatArray
    exposure_in_counts: FloatArray
    offset: FloatArray
    covariance: FloatArray


def sum_runs(runs: Sequence[tuple[FoldedRun, FloatArray]], n_bins: int, n_energies: int) -> Cells:
    """Sum runs, in the order given.

    Parameters
    ----------
    runs
        Each with the weight of one count in every energy bin, shape (n_energies,).
    n_bins, n_energies
        Number of bins and of energy bins.
    """
    cell = np.unique(np.concatenate([part for run, _ in runs for part in (run.data_cells, run.exposure_cells)]))
    n = len(cell)
    signal, variance, counts, exposure, expected = (np.zeros(n) for _ in range(5))
    first, second = np.zeros((n, 3)), np.zeros((n, 6))
    for run, weights in runs:
        at = np.searchsorted(cell, run.data_cells)
        signal[at] += run.signal
        variance[at] += run.variance
        counts[at] += run.counts
        at = np.searchsorted(cell, run.exposure_cells)
        exposure[at] += run.exposure
        weight = weights[run.exposure_cells % n_energies]
        # At E = 0 a susceptibility has no weight, and says nothing about counts.
        expected[at] += np.where(weight != 0, run.exposure / np.where(weight != 0, weight, 1.0), 0.0)
        first[at] += run.exposure[:, None] * run.offset
        second[at] += run.exposure[:, None] * run.square
    safe = np.where(exposure > 0, exposure, 1.0)[:, None]
    mean = first / safe
    i, j = np.triu_indices(3)  # the order of `PRODUCTS`
    return Cells(
        cell=cell,
        row=cell // (n_bins * n_energies),
        bin=cell // n_energies % n_bins,
        energy=cell % n_energies,
        signal=signal,
        variance=variance,
        counts=counts,
        exposure=exposure,
        exposure_in_counts=expected,
        offset=mean,
        covariance=second / safe - mean[:, i] * mean[:, j],
    )
