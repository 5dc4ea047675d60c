"""Virtual single-crystal experiments: what a spectrometer would count on a crystal of known force constants."""

from fcinv_core.virtual_experiment.experiment import ExpectedCounts, VirtualExperiment, draw, expected
from fcinv_core.virtual_experiment.peaks import BraggPeaks, Spurion
from fcinv_core.virtual_experiment.planning import plan, scaled_to
from fcinv_core.virtual_experiment.sample import Sample, make_sample
from fcinv_core.virtual_experiment.writing import write_experiment

__all__ = [
    "BraggPeaks",
    "ExpectedCounts",
    "Sample",
    "Spurion",
    "VirtualExperiment",
    "draw",
    "expected",
    "make_sample",
    "plan",
    "scaled_to",
    "write_experiment",
]
