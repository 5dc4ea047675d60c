"""Energy bins that fit a measurement, or a user's wish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.events.source import EventSource
from fcinv_core.folding.energy_bins import energy_bins, stepped_bins
from fcinv_core.spectrum import SpectralGrid
from tests.folding.measurement import constant_scattering, detectors, make_runs


@pytest.fixture(scope="module")
def source(germanium: Crystal) -> EventSource:
    """True events of three runs, from 1 to 25.0, 25.1 and 25.2 meV."""
    return constant_scattering(make_runs(germanium, 3), detectors(10, 4), 3.0, seed=0)


def test_all_runs_cover_the_default(source: EventSource) -> None:
    assert energy_bins(source) == SpectralGrid(1.0, 25.0, 100)
    assert energy_bins(replace(source, energy_bin_width=0.5)) == SpectralGrid(1.0, 25.0, 48)


def test_a_step_alone_takes_as_many_whole_bins_as_there_are(source: EventSource) -> None:
    assert energy_bins(source, step=2.0) == SpectralGrid(1.0, 25.0, 12)
    assert energy_bins(source, step=5.0) == SpectralGrid(1.0, 21.0, 4)


def test_limits_and_step_are_taken_as_they_are(source: EventSource) -> None:
    assert energy_bins(source, (-2.0, 40.0), 0.5) == SpectralGrid(-2.0, 40.0, 84)


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0.0, 1.0, 0.3), (0.0, 1.0, -0.5), (1.0, 0.0, 0.5), (0.0, 1.0, 0.0)]
)
def test_what_is_no_whole_number_of_steps_is_refused(low: float, high: float, step: float) -> None:
    with pytest.raises(InputError, match="not a whole number of steps"):
        stepped_bins(low, high, step)
