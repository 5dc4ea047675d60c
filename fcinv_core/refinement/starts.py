"""Where refinements start: sets of force constants whose dispersions lie apart, the most promising first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.scoring import Model

#: Factors that are tried on every start that may be far off: force fields are soft together.
FAR_SCALES = np.array([0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0])
#: Starts closer than this share of the prior's sd (root mean square) are one.
_SAME_START = 0.05


class Start(NamedTuple):
    """Force constants (n,) that were given, what parameters (p,) they came to, and how many starts came there."""

    values: FloatArray
    parameters: FloatArray
    n_starts: int = 1


def ranked_starts(
    model: Model,
    starts: FloatArray,
    rest: FloatArray,
    scales: FloatArray,
    broadening: float,
    between: Callable[[], None],
) -> list[Start]:
    """Return all starts (k, n), each scaled as a whole by all scales, likeliest first.

    Parameters
    ----------
    model
        What compares them.
    starts
        Force constants in FC order, eV/Å².
    rest
        The other parameters.
    scales
        Factors.
    broadening
        Standard deviation (meV) that is added to all lines.
    between
        Called between evaluations; what it raises ends it.
    """
    found = []
    for values in starts:
        for scaled in scales[:, None] * values:
            between()
            parameters = np.append(scaled, rest)
            found.append((model.loss(parameters, broadening), Start(values, parameters)))
    found.sort(key=lambda pair: pair[0])
    return [start for _, start in found]


def first_apart(model: Model, starts: list[Start], distance: float, most: int) -> list[Start]:
    """Pick the first starts whose dispersions lie apart (rms over modes, meV), ``most`` of them at most."""
    chosen: list[Start] = []
    energies: list[FloatArray] = []
    for start in starts:
        own = model.energies(start.parameters[: len(start.values)])
        if all(np.sqrt(np.mean((own - other) ** 2)) > distance for other in energies):
            chosen.append(start)
            energies.append(own)
        if len(chosen) == most:
            break
    return chosen


def farthest_apart(starts: FloatArray, sigma: FloatArray, most: int) -> FloatArray:
    """Pick up to ``most`` starts (k, n) that lie far from each other in units of sigma (n,), from the first on."""
    scaled = starts / sigma
    chosen = [0]
    distance = np.sqrt(((scaled - scaled[0]) ** 2).mean(axis=1))
    while len(chosen) < most and distance.max() > _SAME_START:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.sqrt(((scaled - scaled[chosen[-1]]) ** 2).mean(axis=1)))
    return np.asarray(starts[chosen])
