"""A small spectrometer, two runs of a crystal, and events that obey its kinematics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fcinv_core.events import (
    Detectors,
    EventChunk,
    Run,
    axis_rotation,
    instrument_definition,
    momentum_transfer,
    ub_from_vectors,
    write_mdevent,
)

EDGES = np.linspace(-5.0, 25.0, 61)


@dataclass(frozen=True)
class Measurement:
    """Runs, their detectors and all events of a made-up measurement."""

    runs: tuple[Run, ...]
    detectors: Detectors
    definition: str
    events: EventChunk

    def write(self, path: Path, **options: object) -> Path:
        write_mdevent(
            path,
            [self.events],
            self.runs,
            self.detectors,
            instrument_name="SMALL",
            instrument_xml=self.definition,
            **options,
        )
        return path


def draw_events(runs: tuple[Run, ...], detectors: Detectors, n: int, seed: int = 1) -> EventChunk:
    """Random events of single precision, Q from the angles of their detectors and their energies."""
    rng = np.random.default_rng(seed)
    run = rng.integers(0, len(runs), n)
    row = rng.choice(np.flatnonzero(~detectors.masked), n)
    energy = rng.uniform(-5, 25, n).astype(np.float32).astype(float)
    q = np.empty((n, 3))
    for k, one in enumerate(runs):
        mine = run == k
        lab = momentum_transfer(
            one.incident_energy, detectors.two_theta[row[mine]], detectors.azimuth[row[mine]], energy[mine]
        )
        q[mine] = lab @ one.goniometer
    signal = rng.uniform(0.5, 2, n).astype(np.float32).astype(float)
    return EventChunk(
        q_sample=q.astype(np.float32).astype(float),
        energy=energy,
        signal=signal,
        error_squared=(signal**2).astype(np.float32).astype(float),
        run=run,
        detector=detectors.ids[row],
    )


@pytest.fixture(scope="session")
def measurement() -> Measurement:
    """Three runs on 60 pixels, two of them masked, 20 000 true events."""
    polar, around = np.meshgrid(np.radians(np.linspace(8, 120, 15)), np.radians([-170.0, -20.0, 15.0, 160.0]))
    n = polar.size
    detectors = Detectors(
        ids=np.arange(100, 100 + n),
        two_theta=polar.ravel(),
        azimuth=around.ravel(),
        distance=np.linspace(3.0, 3.5, n),
        masked=np.isin(np.arange(n), [3, 17]),
    )
    ub = ub_from_vectors((4.1, 4.9, 5.7, 80.0, 95.0, 103.0), (1, 0, 0), (0, 1, 1))
    runs = tuple(
        Run(
            number=500 + k,
            incident_energy=30.0,
            goniometer=axis_rotation((0.0, 1.0, 0.0), psi) @ axis_rotation((0.3, 0.1, 1.0), tilt),
            ub=ub,
            proton_charge=1.0 + k,
            energy_limits=(-5.0, 25.0),
            energy_edges=EDGES,
            temperature=5.0 + k,
            title=f"psi {psi:g} Å",
            logs={"magnetfield": 0.5, "vmode": "fixed"},
        )
        for k, (psi, tilt) in enumerate([(0.0, 0.0), (-40.0, 3.0), (130.0, 0.0)])
    )
    definition = instrument_definition(
        "SMALL", detectors, source_distance=13.6, pixel_width=0.025, pixel_height=0.1
    )
    return Measurement(runs, detectors, definition, draw_events(runs, detectors, 20_000))


@pytest.fixture(scope="session")
def event_file(measurement: Measurement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The measurement, written in SaveMD's layout."""
    return measurement.write(tmp_path_factory.mktemp("events") / "small.nxs")


@pytest.fixture(scope="session")
def histogrammed(measurement: Measurement) -> Measurement:
    """The same with all energies moved to the centres of their bins."""
    events = measurement.events
    energy = np.floor((events.energy + 5) * 2) / 2 - 4.75
    q = np.empty_like(events.q_sample)
    for k, run in enumerate(measurement.runs):
        mine = events.run == k
        row = measurement.detectors.rows(events.detector[mine])
        angles = measurement.detectors.two_theta[row], measurement.detectors.azimuth[row]
        q[mine] = momentum_transfer(run.incident_energy, *angles, energy[mine]) @ run.goniometer
    return replace(measurement, events=replace(events, energy=energy, q_sample=q))
