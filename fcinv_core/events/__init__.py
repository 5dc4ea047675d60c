"""Neutron events of single-crystal inelastic measurements: reading, streaming, writing."""

from fcinv_core.events.arrays import events_from_arrays
from fcinv_core.events.experiment import (
    NEUTRON_ENERGY,
    Detectors,
    Run,
    axis_rotation,
    momentum_length,
    momentum_transfer,
    ub_from_vectors,
)
from fcinv_core.events.instrument_definition import instrument_definition, with_shapes
from fcinv_core.events.mdevent_file import open_mdevent
from fcinv_core.events.mdevent_writer import write_mdevent
from fcinv_core.events.mdhisto_file import open_mdhisto
from fcinv_core.events.nxspe_file import open_nxspe
from fcinv_core.events.opening import open_events
from fcinv_core.events.source import EventChunk, EventSource, join_sources, q_from_detectors

__all__ = [
    "NEUTRON_ENERGY",
    "Detectors",
    "EventChunk",
    "EventSource",
    "Run",
    "axis_rotation",
    "events_from_arrays",
    "instrument_definition",
    "join_sources",
    "momentum_length",
    "momentum_transfer",
    "open_events",
    "open_mdevent",
    "open_mdhisto",
    "open_nxspe",
    "q_from_detectors",
    "ub_from_vectors",
    "with_shapes",
    "write_mdevent",
]
