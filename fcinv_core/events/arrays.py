"""Events from plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.errors import InputError
from fcinv_core.events.experiment import NO_DETECTORS, Detectors, FloatArray, Run
from fcinv_core.events.source import (
    NORMALISED,
    EventChunk,
    EventSource,
    PointCoverage,
    histogram_bin_width,
    shared,
)

#: Energies looked at to tell bins from true events.
SAMPLE_SIZE = 100_000


def events_from_arrays(
    q_sample: ArrayLike,
    energy: ArrayLike,
    signal: ArrayLike,
    error_squared: ArrayLike,
    *,
    run: ArrayLike | None = None,
    detector: ArrayLike | None = None,
    runs: Sequence[Run] = (),
    detectors: Sequence[Detectors] | Detectors = (),
    exposure: ArrayLike | None = None,
    name: str = "arrays",
) -> EventSource:
    """Make an event source of arrays.

    Parameters
    ----------
    q_sample
        Shape (n, 3): ki - kf in the frame of the sample, 1/Å with the 2 pi.
    energy, signal, error_squared
        Shape (n,): energy transfer in meV, weight, and variance of the weight.
    run, detector
        Shape (n,) integers: index into ``runs``, and detector id; left out if not known (with a single
        run, all events are of that run).
    runs, detectors
        What is known of the measurement; one set of detectors, or one for each run (none with ``exposure``).
    exposure
        For signals that were measured at these points and nowhere else (a histogram's): exposure of each point,
        shape (n,), or one for all; 1 for intensities. Points whose signal or variance is NaN are left out. By
        default the signals are counts, whose coverage follows from the detectors.
    name
        How error messages and the description call the arrays.

    Raises
    ------
    InputError
        If the arrays do not fit each other or are empty, a run index points nowhere or an exposure is negative.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    e, s, s2 = (np.asarray(column, dtype=np.float64) for column in (energy, signal, error_squared))
    n = len(q)
    if q.ndim != 2 or q.shape[1] != 3 or any(column.shape != (n,) for column in (e, s, s2)):
        raise InputError(
            f"{name}: shapes {q.shape}, {e.shape}, {s.shape}, {s2.shape} do not fit",
            "(n, 3) for Q and (n,) for energy, signal and squared error were expected",
            "give one row for each event",
        )
    if n == 0:
        raise InputError(f"{name} hold no events", "at least one was expected", "check the selection")
    single = 0 if len(runs) == 1 else -1
    run_index = np.full(n, single) if run is None else np.asarray(run, dtype=np.int64)
    ids = np.full(n, -1) if detector is None else np.asarray(detector, dtype=np.int64)
    if run_index.shape != (n,) or ids.shape != (n,) or run_index.min() < -1 or run_index.max() >= len(runs):
        raise InputError(
            f"{name}: run indices and detector ids do not fit {n} events of {len(runs)} runs",
            "one index and one id for each event were expected",
            "give runs and detectors together with their events",
        )
    each = (detectors,) * len(runs) if isinstance(detectors, Detectors) else tuple(detectors)
    if exposure is not None and not each:
        each = (NO_DETECTORS,) * len(runs)
    if len(each) != len(runs):
        raise InputError(
            f"{name}: {len(each)} sets of detectors for {len(runs)} runs",
            "one set for each run was expected",
            "give one set of detectors, or one for each run",
        )
    exposures: FloatArray | None = None
    coverage = None
    if exposure is not None:
        exposures = _exposures(exposure, n, name)
        known = np.isfinite(s) & np.isfinite(s2)
        q, e, s, s2, exposures = (column[known] for column in (q, e, s, s2, exposures))
        run_index, ids, n = run_index[known], ids[known], len(q)
        origin = NORMALISED if np.all(exposures == 1) else "coverage is that of the points, with exposure as given"
        coverage = PointCoverage(origin, np.zeros((3, 3)))
    whole = EventChunk(q, e, s, s2, run_index, ids, exposures)

    def read(size: int) -> Iterator[EventChunk]:
        for start in range(0, n, size):
            yield whole.between(start, start + size)

    sample = whole.energy[:: max(1, n // SAMPLE_SIZE)]
    edges = [one.energy_edges for one in runs]
    return EventSource(
        description=f"{name}, {n} events",
        runs=tuple(runs),
        detectors=shared(each),
        n_events=n,
        lean=detector is None,
        energy_bin_width=histogram_bin_width(sample, edges[0] if edges else None),
        reader=read,
        coverage=coverage,
    )


def _exposures(exposure: ArrayLike, n: int, name: str) -> FloatArray:
    values = np.asarray(exposure, dtype=np.float64)
    if values.shape not in ((), (n,)) or not np.all(np.isfinite(values) & (values >= 0)):
        raise InputError(
            f"{name}: the exposure does not fit {n} points",
            "one number that is not negative for each point, or one for all, was expected",
            "give 1 for intensities",
        )
    return np.broadcast_to(values, (n,))
