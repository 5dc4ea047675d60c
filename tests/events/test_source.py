"""Chunks, arrays as events, joined sources, and telling bins from true events."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.events import EventChunk, EventSource, events_from_arrays, join_sources, q_from_detectors
from fcinv_core.events.source import histogram_bin_width


def columns(events: EventChunk) -> tuple[np.ndarray, ...]:
    return events.q_sample, events.energy, events.signal, events.error_squared


def test_arrays_come_back_in_chunks(measurement) -> None:
    events = measurement.events
    source = events_from_arrays(
        *columns(events),
        run=events.run,
        detector=events.detector,
        runs=measurement.runs,
        detectors=measurement.detectors,
    )
    chunks = list(source.chunks(999))
    assert [len(chunk) for chunk in chunks] == [999] * 20 + [20]
    assert np.array_equal(np.concatenate([chunk.q_sample for chunk in chunks]), events.q_sample)
    assert source.detectors == (measurement.detectors,) * 3
    assert not source.lean
    assert source.energy_bin_width is None


def test_lean_arrays_have_no_runs_and_say_so_when_asked() -> None:
    source = events_from_arrays(np.ones((4, 3)), np.arange(4.0), np.ones(4), np.ones(4))
    assert source.lean
    assert next(source.chunks()).run.tolist() == [-1] * 4
    with pytest.raises(InputError, match=r"lean event file without experiment info.*give --ub"):
        source.require_runs()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((np.ones((4, 2)), np.ones(4), np.ones(4), np.ones(4)), "do not fit"),
        ((np.ones((4, 3)), np.ones(4), np.ones(3), np.ones(4)), "do not fit"),
        ((np.ones((0, 3)), np.ones(0), np.ones(0), np.ones(0)), "no events"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, word) -> None:
    with pytest.raises(InputError, match=word):
        events_from_arrays(*arguments)


def test_a_run_index_without_a_run_is_refused() -> None:
    with pytest.raises(InputError, match="0 runs"):
        events_from_arrays(np.ones((2, 3)), np.ones(2), np.ones(2), np.ones(2), run=[0, 1])


def test_joined_sources_shift_runs_and_share_equal_detectors(measurement) -> None:
    events = measurement.events
    options = {"run": events.run, "detector": events.detector, "runs": measurement.runs}
    first = events_from_arrays(*columns(events), detectors=measurement.detectors, **options)
    equal = replace(measurement.detectors, ids=measurement.detectors.ids.copy())
    second = events_from_arrays(*columns(events), detectors=equal, **options)
    both = join_sources([first, second])
    assert len(both.runs) == 6
    assert len({id(one) for one in both.detectors}) == 1
    assert both.n_events == 40_000
    runs = np.concatenate([chunk.run for chunk in both.chunks(3000)])
    assert np.array_equal(runs, np.r_[events.run, events.run + 3])
    other = replace(equal, masked=~equal.masked)
    third = events_from_arrays(*columns(events), detectors=other, **options)
    assert len({id(one) for one in join_sources([first, third]).detectors}) == 2


def test_bins_and_true_events_are_not_joined(measurement, histogrammed) -> None:
    sources = [
        events_from_arrays(
            *columns(one.events), run=one.events.run, runs=one.runs, detectors=one.detectors, name=name
        )
        for one, name in ((measurement, "true"), (histogrammed, "bins"))
    ]
    assert sources[1].energy_bin_width == pytest.approx(0.5)
    with pytest.raises(InputError, match=r"true, .* holds true events"):
        join_sources(sources)


def test_bin_width_is_told_from_the_energies() -> None:
    rng = np.random.default_rng(2)
    edges = np.arange(-4, 38.25, 0.25)
    centres = (edges[1:] + edges[:-1]) / 2
    binned = rng.choice(centres, 3000).astype(np.float32).astype(float)
    assert histogram_bin_width(binned, edges) == pytest.approx(0.25)
    assert histogram_bin_width(binned, None) == pytest.approx(0.25, rel=1e-4)
    assert histogram_bin_width(rng.uniform(-4, 38, 3000), edges) is None
    assert histogram_bin_width(rng.uniform(-4, 38, 3000), None) is None
    # A true event at a centre by chance does not make the rest bins.
    assert histogram_bin_width(np.r_[binned[:100], 1.01], edges) is None
    uneven = np.array([-1.0, 0.0, 0.5, 2.5])
    assert histogram_bin_width(np.array([-0.5, 0.25, 1.5]), uneven) == 2.0


def test_streaming_memory_does_not_grow_with_the_number_of_events() -> None:
    def source(n: int) -> EventSource:
        def read(size: int) -> Iterator[EventChunk]:
            rng = np.random.default_rng(0)
            for start in range(0, n, size):
                m = min(size, n - start)
                zeros = np.zeros(m, dtype=np.int64)
                yield EventChunk(rng.normal(size=(m, 3)), rng.uniform(size=m), np.ones(m), np.ones(m), zeros, zeros)

        return EventSource("generated", (), (), n, True, None, read)

    def peak(n: int) -> int:
        tracemalloc.start()
        total = sum(float(chunk.signal.sum()) for chunk in join_sources([source(n), source(n)]).chunks(20_000))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total == 2 * n
        return most

    assert peak(800_000) < 1.1 * peak(200_000)


def test_q_from_detectors_tells_what_does_not_belong_together(measurement) -> None:
    events = measurement.events
    options = {"run": events.run, "detector": events.detector, "detectors": measurement.detectors}
    source = events_from_arrays(*columns(events), runs=measurement.runs, **options)
    np.testing.assert_allclose(q_from_detectors(events, source), events.q_sample, atol=2e-6)
    wrong = [measurement.runs[0], replace(measurement.runs[1], incident_energy=29.0), measurement.runs[2]]
    off = np.abs(q_from_detectors(events, replace(source, runs=tuple(wrong))) - events.q_sample).max(axis=1)
    assert off[events.run == 1].max() > 0.01
    assert off[events.run != 1].max() < 2e-6
    unknown = replace(events, detector=np.full(len(events), 5))
    assert np.isnan(q_from_detectors(unknown, source)).all()
