"""A small virtual measurement of germanium in files that Mantid loads."""

from __future__ import annotations

from pathlib import Path

from fcinv_core.crystal import Crystal
from fcinv_core.events import write_mdevent
from fcinv_core.events.source import EventSource
from fcinv_core.virtual_experiment.planning import definition_of
from tests.folding.measurement import constant_scattering, detectors, make_runs

#: Scattering of every point, counts per unit exposure.
LEVEL = 100.0
#: What makes a fold of it quick, in properties of FoldToIQE and in words of `fcinv fold`.
QUICK = {"QStep": 0.2, "TransverseWidths": [0.25], "EnergyBinning": [2.0, 2.0, 24.0]}
QUICK_WORDS = ("--points", "27", "--widths", "0.25", "--energies", "2", "24", "2")

POSCAR = """Ge
1.0
5.658 0 0
0 5.658 0
0 0 5.658
Ge
8
direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
0.25 0.25 0.25
0.25 0.75 0.75
0.75 0.25 0.75
0.75 0.75 0.25
"""


def measure(crystal: Crystal, n_runs: int = 3, first: int = 10, seed: int = 0, level: float = LEVEL) -> EventSource:
    """True events of constant scattering in ``n_runs`` orientations."""
    return constant_scattering(make_runs(crystal, n_runs, first), detectors(30, 8), level, seed)


def write(path: Path, source: EventSource) -> Path:
    """Write a measurement as SaveMD would have."""
    pixels = source.detectors[0]
    write_mdevent(
        path,
        source.chunks(),
        source.runs,
        pixels,
        instrument_name="toy",
        instrument_xml=definition_of(pixels, "toy"),
    )
    return path
