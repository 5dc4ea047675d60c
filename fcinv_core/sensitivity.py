"""Which force constants shape the dispersion: how far the mode energies move over the range of each one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.qpath import QPath

#: `--retain auto` keeps the force constants that move the dispersion by more than this, meV rms.
AUTO_THRESHOLD = 0.1


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Change of the dispersion along a path when one force constant goes over its observed range.

    All others stay at the reference; modes are compared in order of energy.

    Attributes
    ----------
    rms, largest
        Shape (n,): root mean square and largest change over all modes and points, meV, in FC order.
    """

    rms: FloatArray
    largest: FloatArray


def sensitivity(prior: Prior, path: QPath) -> Sensitivity:
    """Compute the change of the mode energies from the lower to the upper end of each force constant's range."""
    model = prior.dynamics(path.q, path.direction)
    rms, largest = [], []
    for k in range(prior.n_force_constants):
        ends = np.tile(prior.mean, (2, 1))
        ends[:, k] = prior.lower[k], prior.upper[k]
        low, high = model.energies(ends)
        rms.append(float(np.sqrt(((high - low) ** 2).mean())))
        largest.append(float(np.abs(high - low).max()))
    return Sensitivity(np.array(rms), np.array(largest))


def retained(prior: Prior, choice: str, found: Sensitivity) -> IntArray:
    """Return the FC numbers that are sampled over their ranges.

    Parameters
    ----------
    choice
        A number: that many of the largest magnitude in the reference; "all"; "auto": those whose range moves
        the dispersion by more than `AUTO_THRESHOLD`.

    Raises
    ------
    InputError
        If the choice is none of these.
    """
    n = prior.n_force_constants
    if choice == "all":
        return np.arange(n)
    if choice == "auto":
        return np.flatnonzero(found.rms > AUTO_THRESHOLD)
    if choice.isdecimal() and 1 <= int(choice) <= n:
        return np.arange(int(choice))
    raise InputError(
        f"{choice!r} is not a choice of force constants to retain",
        f"there are {n} of them",
        f"give a number from 1 to {n}, all, or auto",
    )
