"""Powder lines: rings of constant |Q| at the elastic line, from aluminium or anything else in the beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.checking.elastic_map import ElasticBackground, ElasticMap
from fcinv_core.checking.geometry import Geometry
from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.verdict import Finding, Status

#: Lattice spacings of aluminium's lines 111, 200, 220, 311, 222, 400, 331, 420 (a = 4.0496 Å, ICDD 4-787).
ALUMINIUM = tuple(
    (label, 4.0496 / np.sqrt(square))
    for label, square in (
        ("111", 3), ("200", 4), ("220", 8), ("311", 11), ("222", 12), ("400", 16), ("331", 19), ("420", 20)
    )
)  # fmt: skip
#: Width of the bins in |Q|, 1/Å, and number of groups by direction.
_BIN, _N_DIRECTIONS, _N_GROUPS = 0.01, 72, 6
#: Half widths, 1/Å: of the window of a line, and of the neighbourhood that gives its background.
_LINE, _NEIGHBOURS = 0.03, 0.18
#: Significance, contrast and share of directions that make a line.
_SIGNIFICANT, _CONTRAST, _EVEN = 6.0, 1.2, 0.6
#: Relative variation of efficiency along |Q| that is no line.
_UNEVEN_EFFICIENCY = 0.03


@dataclass(frozen=True)
class PowderLine:
    """A ring of elastic intensity.

    Attributes
    ----------
    q, q_error
        Centre, 1/Å.
    width
        Rms half width, 1/Å.
    significance
        Excess over its standard deviation.
    contrast
        Rate in the line over that beside it.
    evenness
        Share of the directions that show it.
    name
        "Al 111", or empty.
    """

    q: float
    q_error: float
    width: float
    significance: float
    contrast: float
    evenness: float
    name: str

    @property
    def mask(self) -> tuple[float, float]:
        """Range of |Q| that is better left out, 1/Å."""
        half = max(3 * self.width, 0.03)
        return self.q - half, self.q + half


@dataclass(frozen=True, eq=False)
class PowderPattern:
    """Elastic intensity outside Bragg peaks against |Q|.

    Attributes
    ----------
    q
        Shape (b,): centres of the bins, 1/Å.
    rate, rate_error
        Shape (b,): weight over exposure; NaN without coverage.
    lines
        Rings that were found.
    """

    q: FloatArray
    rate: FloatArray
    rate_error: FloatArray
    lines: tuple[PowderLine, ...]


class PowderHistogram:
    """Sums over |Q| and direction of elastic events and exposure, outside Bragg peaks."""

    def __init__(self, elastic: ElasticMap, background: ElasticBackground, geometry: Geometry) -> None:
        self._elastic, self._masked = elastic, background.masked
        self.n_bins = int(np.ceil(2 * float(geometry.incident.max()) / _BIN)) + 1
        shape = (self.n_bins, _N_DIRECTIONS)
        self.signal, self.variance, self.exposure = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for _, q, weight in geometry.elastic_exposure():
            use, key = self._keys(q)
            self.exposure += np.bincount(key, weight[use], minlength=self.signal.size).reshape(shape)

    def add(self, q: FloatArray, signal: FloatArray, variance: FloatArray) -> None:
        """Add elastic events: Q_sample at zero energy (n, 3), weights and variances (n,)."""
        use, key = self._keys(q)
        size, shape = self.signal.size, self.signal.shape
        self.signal += np.bincount(key, signal[use], minlength=size).reshape(shape)
        self.variance += np.bincount(key, variance[use], minlength=size).reshape(shape)

    def _keys(self, q: FloatArray) -> tuple[IntArray, IntArray]:
        use = np.flatnonzero(~self._masked[self._elastic.grid.index(q)])
        one = q[use]
        length = (np.linalg.norm(one, axis=1) / _BIN).astype(np.int64)
        # Longitude about the vertical, upper and lower half apart.
        turn = np.arctan2(one[:, 0], one[:, 2]) / (2 * np.pi) + 0.5
        half = _N_DIRECTIONS // 2
        direction = np.minimum((turn * half).astype(np.int64), half - 1) + half * (one[:, 1] > 0)
        return use, np.minimum(length, self.n_bins - 1) * _N_DIRECTIONS + direction

    def analyse(self) -> PowderPattern:
        """Find the rings."""
        q = np.asarray((np.arange(self.n_bins) + 0.5) * _BIN, dtype=float)
        signal, variance, exposure = (one.sum(axis=1) for one in (self.signal, self.variance, self.exposure))
        covered = exposure > 0
        rate = np.where(covered, signal / np.where(covered, exposure, 1.0), np.nan)
        gain = float(variance.sum() / signal.sum()) if signal.sum() > 0 else 1.0
        error = np.sqrt(np.where(covered, variance + gain, np.nan)) / np.where(covered, exposure, 1.0)
        lines = []
        scores = np.array([self._score(k, q, rate, exposure, signal, gain) for k in range(self.n_bins)])
        for k in range(self.n_bins):
            near = scores[max(0, k - 5) : k + 6, 0]
            if scores[k, 0] > _SIGNIFICANT and scores[k, 0] == near.max() and scores[k, 1] > _CONTRAST:
                line = self._line(k, q, scores[k], gain)
                if line is not None:
                    lines.append(line)
        return PowderPattern(q, rate, error, tuple(lines))

    def _score(
        self, k: int, q: FloatArray, rate: FloatArray, exposure: FloatArray, signal: FloatArray, gain: float
    ) -> tuple[float, float, float]:
        """Significance, contrast and background rate of a line at bin k."""
        distance = np.abs(q - q[k])
        line = distance < _LINE
        beside = (distance > 2 * _LINE) & (distance < _NEIGHBOURS) & (exposure > 0)
        left, right = beside & (q < q[k]), beside & (q > q[k])
        if left.sum() < 4 or right.sum() < 4 or exposure[line].sum() <= 0:
            return 0.0, 0.0, 0.0
        # Medians of both sides: a neighbouring line or a step does not make one here. Coarse pixels fill bins
        # unevenly, so rates are those of whole lines' widths.
        sides = []
        for side in (left, right):
            sums = [
                (signal[part].sum(), exposure[part].sum())
                for part in np.array_split(np.flatnonzero(side), max(2, int(side.sum() * _BIN / (2 * _LINE))))
            ]
            sides.append(float(np.median([a / b for a, b in sums if b > 0])))
        level = max(sides)
        expected = level * exposure[line].sum()
        floor = gain + gain * expected + (_UNEVEN_EFFICIENCY * expected) ** 2
        floor += gain * expected * exposure[line].sum() / exposure[beside].sum()
        total = float(signal[line].sum())
        return (total - expected) / float(np.sqrt(floor)), total / max(expected, gain), level

    def _line(self, k: int, q: FloatArray, score: FloatArray, gain: float) -> PowderLine | None:
        level = score[2]
        window = np.abs(q - q[k]) < _LINE + 2 * _BIN
        excess = (self.signal - level * self.exposure)[window].sum(axis=1)
        total = excess.sum()
        if total <= 0:
            return None
        centre = float((excess * q[window]).sum() / total)
        width = float(np.sqrt(max((excess * (q[window] - centre) ** 2).sum() / total, _BIN**2 / 12)))
        error = float(np.sqrt(gain * self.signal[window].sum() * (_LINE**2) / 3) / total)
        line = np.abs(q - q[k]) < _LINE
        exposure, signal = self.exposure[line].sum(axis=0), self.signal[line].sum(axis=0)
        share = np.cumsum(exposure) / exposure.sum()
        group = np.minimum((share * _N_GROUPS - 1e-9).astype(np.int64), _N_GROUPS - 1)
        sums = np.bincount(group, exposure, minlength=_N_GROUPS)
        found = np.bincount(group, signal, minlength=_N_GROUPS)
        there = sums > 0
        over = found[there] / sums[there] - level
        mean = float(signal.sum() / exposure.sum()) - level
        noise = np.sqrt(gain * np.maximum(found[there], gain)) / sums[there]
        evenness = float(np.mean(over + noise > mean / 3))
        # A single direction that is bright is a tail of a Bragg peak, not a ring.
        if evenness < _EVEN or np.median(over) <= 0:
            return None
        return PowderLine(centre, error, width, float(score[0]), float(score[1]), evenness, _name(centre))


def _name(q: float) -> str:
    for label, spacing in ALUMINIUM:
        if abs(q - 2 * np.pi / spacing) < 0.015 + 0.006 * q:
            return f"Al {label}"
    return ""


def judge_powder_lines(pattern: PowderPattern) -> Finding:
    """Say which rings there are and propose masks."""
    numbers = {
        "lines": [
            {
                "q_per_angstrom": line.q,
                "q_error_per_angstrom": line.q_error,
                "spacing_angstrom": 2 * np.pi / line.q,
                "rms_width_per_angstrom": line.width,
                "significance": line.significance,
                "contrast": line.contrast,
                "share_of_directions": line.evenness,
                "name": line.name,
            }
            for line in pattern.lines
        ],
        "masks_q_per_angstrom": [list(line.mask) for line in pattern.lines],
    }
    if not np.isfinite(pattern.rate).any():
        return Finding("powder lines", Status.LOOK, "there is no elastic intensity to look for rings in.", numbers)
    if not pattern.lines:
        return Finding("powder lines", Status.OK, "no ring stands out at the elastic line.", numbers)
    strongest = sorted(pattern.lines, key=lambda line: -line.significance)
    listed = ", ".join(
        f"{line.q:.3f} 1/Å{f' ({line.name})' if line.name else ''}"
        for line in sorted(strongest[:6], key=lambda line: line.q)
    )
    masks = ", ".join(f"{low:.2f}-{high:.2f}" for low, high in (line.mask for line in pattern.lines[:6]))
    return Finding(
        "powder lines",
        Status.LOOK,
        f"{len(pattern.lines)} ring{'s' * (len(pattern.lines) > 1)} at |Q| = {listed}: subtract an empty-can run, "
        f"or leave out |Q| = {masks} 1/Å near the elastic line (and the acoustic phonons of the ring).",
        numbers,
    )
