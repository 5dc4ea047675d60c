"""What one run puts into the cells of a fold, or all runs together where they are not kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import Run
from fcinv_core.folding.event_sums import CellSums
from fcinv_core.folding.folded import FoldedRun
from fcinv_core.folding.sparse_sums import SparseSums

#: Incident energies of runs that are one set may differ by this share.
_SAME_ENERGY = 0.01


def folded_run(run: Run, data: CellSums, exposure: CellSums) -> FoldedRun:
    """Put together what a run counted and what it covered.

    Parameters
    ----------
    run
        The run.
    data
        Sums (k, 3) of signal, variance and counts.
    exposure
        Sums (k, 10) of `lay_exposure`.
    """
    cells, sums = data
    covered, laid = exposure
    total = laid[:, :1]
    return FoldedRun(
        number=run.number,
        incident_energy=run.incident_energy,
        proton_charge=run.proton_charge,
        goniometer=np.asarray(run.goniometer, dtype=float),
        temperature=run.temperature,
        data_cells=cells,
        signal=sums[:, 0].copy(),
        variance=sums[:, 1].copy(),
        counts=sums[:, 2].copy(),
        exposure_cells=covered,
        exposure=laid[:, 0].copy(),
        # Single precision: 1e-7 of a bin is far below what any model resolves, and there are many cells.
        offset=(laid[:, 1:4] / total).astype(np.float32),
        square=(laid[:, 4:] / total).astype(np.float32),
    )


def joined_run(runs: Sequence[Run]) -> Run:
    """Return the run that stands for all: the first, with the charge of all and their mean incident energy.

    Raises
    ------
    InputError
        If the incident energies differ by more than 1 %.
    """
    energies = np.array([run.incident_energy for run in runs])
    if np.ptp(energies) > _SAME_ENERGY * energies.mean():
        raise InputError(
            "runs of several incident energies cannot be one set",
            f"{energies.min():g} to {energies.max():g} meV",
            "keep the runs apart",
        )
    return replace(
        runs[0], incident_energy=float(energies.mean()), proton_charge=sum(run.proton_charge for run in runs)
    )


def add_cells(parts: Iterable[CellSums], n_columns: int) -> CellSums:
    """Add sums (k, n_columns) of cells, holding one part at a time."""
    sums = SparseSums(n_columns)
    for cells, values in parts:
        sums.add(cells, values)
    return sums.content()
