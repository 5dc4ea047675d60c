"""A background measurement folded into the same cells as the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.events.experiment import Detectors, Run
from fcinv_core.events.source import EventSource
from fcinv_core.folding.accumulate import add_turned_events
from fcinv_core.folding.binning import Binning
from fcinv_core.folding.folded import Background
from fcinv_core.folding.normalisation import expose_run, trajectories
from fcinv_core.folding.sparse_sums import SparseSums
from fcinv_core.spectrum import SpectralGrid

FRAMES = ("lab", "sample")


def fold_background(
    background: EventSource,
    runs: Sequence[Run],
    transforms: FloatArray,
    binning: Binning,
    grid: SpectralGrid,
    solid_angles: Mapping[int, FloatArray],
    frame: str,
    scale: float,
) -> Background:
    """Fold a background.

    In the laboratory frame ("lab") the background stands still while the sample turns: every background event is
    folded with the goniometer of every data run, weighted by that run's proton charge. An event that so comes into
    one cell several times counts with its whole weight there, squared for the variance, so errors are not too
    small. In the frame of the sample ("sample") it is folded like data, with its own goniometers.

    Parameters
    ----------
    background
        Events of the background, with runs and detectors.
    runs, transforms
        The data runs, and Q_sample to fractions of each, shape (n_runs, 3, 3).
    binning, grid
        What the cells are.
    solid_angles
        id() of the background's detectors to solid angles (m,).
    frame, scale
        "lab" or "sample"; factor by which the background is to be subtracted.

    Raises
    ------
    InputError
        If the frame is unknown or the background has no runs.
    """
    if frame not in FRAMES:
        raise InputError(f"background frame {frame!r}", "it is not known", f"choose {' or '.join(FRAMES)}")
    own = background.require_runs()
    groups = _alike(background)
    charge = sum(run.proton_charge for run in own)
    if frame == "lab":
        settings = [
            (np.asarray(run.goniometer, dtype=float), transforms[k], run.proton_charge / charge)
            for k, run in enumerate(runs)
        ]
    else:
        # The sample's own orientations: each background run with the setting of the data run it was made for.
        settings = []
    smallest = float(binning.bins.widths.min())
    n_bins = len(binning.bins)

    sums = SparseSums(2)
    turn = np.array([t @ r.T for r, t, _ in settings]).reshape(-1, 3, 3)
    weight = np.array([w for _, _, w in settings])
    for chunk in background.chunks():
        if len(chunk) and (chunk.run.min() < 0 or chunk.run.max() >= len(own)):
            raise InputError(
                f"{background.description} holds events of runs that it does not describe",
                "their goniometer is not known",
                "save it again with its experiment info",
            )
        q = np.asarray(chunk.q_sample, dtype=float)
        if frame == "lab":
            lab = np.einsum("nij,nj->ni", np.array([run.goniometer for run in own])[chunk.run], q)
            matrices, weights = turn, weight
        else:
            lab, matrices, weights = q, transforms[:1], np.ones(1)
        lab = np.ascontiguousarray(lab)
        columns = [np.ascontiguousarray(c, dtype=float) for c in (chunk.energy, chunk.signal, chunk.error_squared)]

        def add(
            start: int,
            cells: IntArray,
            values: FloatArray,
            filled: int,
            lab: FloatArray = lab,
            columns: list[FloatArray] = columns,
            matrices: FloatArray = matrices,
            weights: FloatArray = weights,
        ) -> tuple[int, int]:
            energy, signal, variance = columns
            return add_turned_events(  # type: ignore[no-any-return]
                lab,
                energy,
                signal,
                variance,
                matrices,
                weights,
                (grid.minimum, 1 / grid.width, grid.n_bins),
                n_bins,
                binning.lookup,
                start,
                cells,
                values,
                filled,
            )

        sums.fill(add, len(chunk))
    cells, values = sums.content()

    parts = []
    for run, detectors, members in groups:
        points = trajectories(run, grid, background.energy_bin_width, smallest)
        group_charge = sum(own[k].proton_charge for k in members)
        if frame == "lab":
            for goniometer, transform, share in settings:
                turned = replace(run, goniometer=goniometer, proton_charge=share * group_charge)
                parts.append(
                    expose_run(turned, detectors, solid_angles[id(detectors)], transform, points, grid, binning)
                )
        else:
            for k in members:
                parts.append(
                    expose_run(own[k], detectors, solid_angles[id(detectors)], transforms[0], points, grid, binning)
                )
    covered = np.unique(np.concatenate([part[0] for part in parts] + [cells]))
    exposure, signal, variance = np.zeros(len(covered)), np.zeros(len(covered)), np.zeros(len(covered))
    for part, sums_of_part in parts:
        exposure[np.searchsorted(covered, part)] += sums_of_part[:, 0]
    at = np.searchsorted(covered, cells)
    signal[at], variance[at] = values[:, 0], values[:, 1]
    keep = exposure > 0
    return Background(
        description=f"{background.description} ({frame} frame)",
        runs=tuple(run.number for run in runs) if frame == "lab" else (),
        scale=scale,
        cells=covered[keep],
        signal=signal[keep],
        variance=variance[keep],
        exposure=exposure[keep],
    )


def _alike(background: EventSource) -> list[tuple[Run, Detectors, list[int]]]:
    """Group background runs that differ in their charge and goniometer only: in the laboratory they are one."""
    groups: dict[tuple[object, ...], tuple[Run, Detectors, list[int]]] = {}
    for k, (run, detectors) in enumerate(zip(background.runs, background.detectors, strict=True)):
        edges = None if run.energy_edges is None else run.energy_edges.tobytes()
        key = (run.incident_energy, run.energy_limits, edges, id(detectors))
        groups.setdefault(key, (run, detectors, []))[2].append(k)
    return list(groups.values())
