"""Points that carry their own exposure, such as the voxels of a histogram: data and exposure in one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.source import EventChunk, EventSource
from fcinv_core.folding.accumulate import add_points
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.event_sums import CellSums, split_sets
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.spectrum import SpectralGrid

_N_DATA, _N_EXPOSURE = 3, 10
#: |Q| of stored coordinates may lie so much, relatively, beyond what the incident energy reaches.
_ROUNDING = 1e-5


def fold_points(
    chunks: Iterable[EventChunk], transforms: FloatArray, sets: IntArray, binning: Binning, grid: SpectralGrid
) -> tuple[list[CellSums], list[CellSums]]:
    """Fold points: each puts its signal and its exposure into the bins that hold it, and nowhere else.

    A voxel counts whole in the bins that hold its centre; the distribution of Q in a bin is that of the centres.

    Parameters
    ----------
    chunks
        Points with their exposure, and runs that are indices of ``transforms``.
    transforms
        Shape (n_runs, 3, 3): Q_sample to fractions of the primitive reciprocal basis.
    sets
        Shape (n_runs,): the set, from 0 on, that each run is summed into.
    binning, grid
        What the cells are.

    Returns
    -------
    For each set, cells (row n_bins + bin) n_energies + energy bin and sums (k, 3) of signal, variance and counts;
    and again cells, with sums (k, 10) of exposure as of `lay_exposure`.

    Raises
    ------
    InputError
        If a point lies beyond the |Q| of the binning.
    """
    sums = SparseSums(_N_DATA + _N_EXPOSURE)
    for chunk in chunks:
        q = np.ascontiguousarray(chunk.q_sample, dtype=float)
        assert chunk.exposure is not None
        columns = [
            np.ascontiguousarray(column, dtype=float)
            for column in (chunk.energy, chunk.signal, chunk.error_squared, chunk.exposure)
        ]
        _check_reach(q[(columns[0] >= grid.minimum) & (columns[0] < grid.maximum)], binning.q_max)
        run = np.ascontiguousarray(chunk.run, dtype=np.int64)

        def add(
            start: int,
            cells: IntArray,
            values: FloatArray,
            filled: int,
            q: FloatArray = q,
            run: IntArray = run,
            columns: list[FloatArray] = columns,
        ) -> tuple[int, int]:
            energy, signal, variance, exposure = columns
            return add_points(  # type: ignore[no-any-return]
                q,
                energy,
                run,
                signal,
                variance,
                exposure,
                transforms,
                sets,
                (grid.minimum, 1 / grid.width, grid.n_bins),
                len(binning.classes.zones),
                len(binning.bins),
                binning.lookup,
                start,
                cells,
                values,
                filled,
            )

        sums.fill(add, len(chunk))
    cells, values = sums.content()
    covered = values[:, _N_DATA] > 0
    return (
        split_sets(cells, values[:, :_N_DATA], sets, binning, grid),
        split_sets(cells[covered], values[covered, _N_DATA:], sets, binning, grid),
    )


def _check_reach(q: FloatArray, q_max: float) -> None:
    longest = float(np.linalg.norm(q, axis=1).max(initial=0.0))
    if longest > q_max * (1 + _ROUNDING):
        raise InputError(
            f"there are intensities at |Q| = {longest:.3g} 1/Å",
            f"neutrons of this incident energy reach {q_max:.3g} 1/Å",
            "set what was not measured to NaN, and check incident energy and UB matrix",
        )


def coverage_notes(source: EventSource, binning: Binning, grid: SpectralGrid) -> list[str]:
    """Say where the exposure of points is from, and what their size means for the bins, one sentence each."""
    assert source.coverage is not None
    notes = [source.coverage.origin]
    lengths = np.linalg.norm(source.coverage.edges, axis=1)
    if not lengths.any():
        return notes
    notes.append("voxels are taken as points at their centres, without the width of a voxel")
    smallest, energy = float(binning.bins.widths.min()), source.energy_bin_width or 0.0
    if lengths.max() > smallest * (1 + _ROUNDING):
        notes.append(
            f"voxels of {' × '.join(f'{length:.3g}' for length in lengths)} 1/Å are larger than the smallest width "
            f"of the bins, {smallest:.3g} 1/Å: Q is known less well than the bins say, and bins between voxels are "
            "empty"
        )
    if energy > grid.width * (1 + _ROUNDING):
        notes.append(
            f"voxels of {energy:.3g} meV are larger than the energy bins, {grid.width:.3g} meV: bins between them "
            "are empty"
        )
    return notes
