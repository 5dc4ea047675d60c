"""Values with the intervals that posterior draws give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray

#: Quantiles of the ends of the central 68 % and 95 % intervals: those of one and two standard deviations.
_ENDS = (0.022750131948179195, 0.15865525393145707, 0.8413447460685429, 0.9772498680518208)


@dataclass(frozen=True, eq=False)
class Band:
    """A quantity of any shape with its central 68 % and 95 % intervals.

    Attributes
    ----------
    value
        At the most probable force constants.
    lower95, lower68, upper68, upper95
        Ends of the intervals, of the same shape; NaN where there are none.
    """

    value: FloatArray
    lower95: FloatArray
    lower68: FloatArray
    upper68: FloatArray
    upper95: FloatArray

    @property
    def sigma(self) -> FloatArray:
        """Half the width of the 68 % interval."""
        return np.asarray((self.upper68 - self.lower68) / 2)


def band(value: FloatArray, samples: FloatArray) -> Band:
    """Return a value with the intervals of samples (d, ...) of it; NaN where a sample is, or without samples."""
    known = np.asarray(samples, dtype=float)
    ends = np.quantile(known, _ENDS, axis=0) if len(known) else np.full((4, *known.shape[1:]), np.nan)
    return Band(np.asarray(value, dtype=float), *(np.asarray(end) for end in ends))
