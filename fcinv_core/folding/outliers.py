"""Zone classes that disagree with all others where they lie: spurions, found by their counts.

Zones differ in structure factor, so a class may well be brighter than the others; but a mode of the crystal is at
the same energy in all of them. A peak that one class shows several times as bright as any other class, at a place
in (q, E) where those were measured too, is not a mode. In a cell of the irreducible zone few classes meet; there a
peak may be as bright, too, as the same class is a little farther on: a mode goes on in q, a spurion ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.folding.binning import find_bins_of
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.zone_volume import zone_volume

#: Counts that the mean of the other classes is worth when the rate of one class is estimated.
_PRIOR_COUNTS = 3.0
_MAX_ROUNDS = 10
#: Cells (zone classes × bins × energies, covered or not) that can be compared: some 100 bytes each.
LARGEST_COMPARED = 30_000_000


@dataclass(frozen=True)
class Rejection:
    """A zone class that was left out of some bins.

    Attributes
    ----------
    hkl
        Canonical zone of the class, conventional basis.
    bins
        First and last bin.
    energy
        Middle of the worst energy bin, meV.
    counts, expected
        Effective counts seen in the worst neighbourhood, and the most that the other classes allow.
    deviance
        Poisson deviance between the two.
    """

    hkl: tuple[int, int, int]
    bins: tuple[int, int]
    energy: float
    counts: float
    expected: float
    deviance: float

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        return (
            f"{self.counts:.0f} counts near {self.energy:g} meV where the other zones allow {self.expected:.1f} "
            f"(deviance {self.deviance:.0f})"
        )


@dataclass(frozen=True, eq=False)
class Rejected:
    """What was rejected.

    Attributes
    ----------
    mask
        Shape (n_rows, n_bins) bool: True where a class is left out; give it to `Folded.select`.
    table
        One line for each class and stretch of bins, the worst first.
    threshold
        Deviance beyond which a neighbourhood is rejected.
    n_tests
        Number of neighbourhoods that were compared.
    n_alone
        Number that only one class covers, where nothing can be said.
    """

    mask: NDArray[np.bool_]
    table: tuple[Rejection, ...]
    threshold: float
    n_tests: int
    n_alone: int


def reject_outliers(
    folded: Folded, *, contrast: float = 4.0, chance: float = 1e-3, reach: int = 1, elastic: float = 0.0
) -> Rejected:
    """Find zone classes that hold a spurion.

    In every neighbourhood (bin ± reach, energy bin ± reach) the counts of a class are compared with those of all
    others, itself left out: allowed is ``contrast`` times the rate of the brightest other class there or one
    neighbourhood beside, each rate being drawn to the mean of the others where counts are few. The class is
    rejected, in the bins of the neighbourhood and at all energies, so that what is left stays one measured
    spectrum, if the Poisson deviance exceeds what ``chance`` allows for the number of neighbourhoods. Repeated
    until nothing more is found, so that one spurion does not excuse another.

    On a path, neighbouring bins steady the comparison. A cell of a grid stands alone, and few classes cover it; the
    rate of the same class two cells away, in any direction, is allowed there too, so that a spurion is found if it
    is less than four cells wide. Where nothing was measured that far, a structure factor that vanishes in the other
    classes still looks like a spurion.

    Parameters
    ----------
    folded
        The fold, with its classes.
    contrast
        How many times brighter than all others a class may be.
    chance
        Probability of rejecting anything at all where nothing is wrong.
    reach
        Half size of a neighbourhood, in bins.
    elastic
        Energies (meV) about zero that are not compared.
    """
    cells = folded.cells
    n_rows, n_bins, n_energies = folded.shape
    mask = np.zeros((n_rows, n_bins), dtype=bool)
    used = np.abs(folded.grid.centres) >= elastic
    keep = (cells.exposure_in_counts > 0) & used[cells.energy]
    counts, exposure = np.zeros((n_rows, n_bins, n_energies)), np.zeros((n_rows, n_bins, n_energies))
    at = (cells.row[keep], cells.bin[keep], cells.energy[keep])
    counts[at], exposure[at] = cells.counts[keep], cells.exposure_in_counts[keep]
    pieces = [slice(0, n_bins)] if folded.bins.path is None else list(folded.bins.path.pieces)
    bin_reach = 0 if folded.bins.path is None else reach
    seen = _neighbourhoods(counts, pieces, bin_reach, reach)
    laid = _neighbourhoods(exposure, pieces, bin_reach, reach)
    # A neighbourhood belongs to a class only where the class covers its middle.
    laid[exposure == 0] = 0.0
    seen[exposure == 0] = 0.0
    n_tests = int((laid > 0).sum())
    n_alone = int(((laid > 0).sum(axis=0) == 1).sum())
    threshold = float(stats.chi2.isf(2 * chance / max(n_tests, 1), 1))

    going_on = None if folded.bins.path is not None else _two_cells_away(folded, np.any(laid > 0, axis=2))

    found: list[tuple[float, int, int, int, float, float]] = []
    for _ in range(_MAX_ROUNDS):
        live = np.where(mask[:, :, None], 0.0, laid)
        observed = np.where(live > 0, seen, 0.0)
        rates = _rates(observed, live, pieces, (2 * bin_reach, 2 * reach))
        allowed = _brightest_other(rates, live)
        if going_on is not None:
            allowed = np.maximum(allowed, _brightest_beside(rates, going_on))
        expected = contrast * live * allowed
        with np.errstate(divide="ignore", invalid="ignore"):
            deviance = 2 * (observed * np.log(observed / expected) - (observed - expected))
        deviance = np.where((observed > expected) & np.isfinite(expected) & (live > 0), deviance, 0.0)
        new = deviance > threshold
        if not new.any():
            break
        # The brightest first: what else looked odd beside it may be all right without it.
        worst = new & (deviance == deviance.max(axis=0, keepdims=True))
        for row, one, energy in np.argwhere(worst):
            found.append(
                (
                    float(deviance[row, one, energy]),
                    int(row),
                    int(one),
                    int(energy),
                    float(observed[row, one, energy]),
                    float(expected[row, one, energy]),
                )
            )
            piece = next(p for p in pieces if p.start <= one < p.stop)
            mask[row, max(piece.start, one - bin_reach) : min(piece.stop, one + bin_reach + 1)] = True
    return Rejected(mask, _table(folded, mask, found), threshold, n_tests, n_alone)


def _neighbourhoods(values: FloatArray, pieces: list[slice], bin_reach: int, reach: int) -> FloatArray:
    """Sums over neighbouring bins of one piece of the path, and neighbouring energies, shape of ``values``."""
    summed = np.zeros_like(values)
    n_energies = values.shape[2]
    for piece in pieces:
        part = values[:, piece]
        along = np.zeros_like(part)
        n = part.shape[1]
        for shift in range(-bin_reach, bin_reach + 1):
            to, of = slice(max(0, shift), min(n, n + shift)), slice(max(0, -shift), min(n, n - shift))
            along[:, to] += part[:, of]
        for shift in range(-reach, reach + 1):
            to = slice(max(0, shift), min(n_energies, n_energies + shift))
            of = slice(max(0, -shift), min(n_energies, n_energies - shift))
            summed[:, piece, to] += along[:, :, of]
    return summed


def _rates(seen: FloatArray, laid: FloatArray, pieces: list[slice], look: tuple[int, int]) -> FloatArray:
    """Largest rate of each class within some bins and energies, -inf where it is not known, shape of ``seen``."""
    total_seen, total_laid = seen.sum(axis=0), laid.sum(axis=0)
    rates = np.full(seen.shape, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The mean of the other classes, itself left out, steadies a rate that few counts give.
        mean = (total_seen - seen) / (total_laid - laid)
        shrunk = (seen + _PRIOR_COUNTS) / (laid + _PRIOR_COUNTS / mean)
    usable = (laid > 0) & np.isfinite(shrunk)
    rates[usable] = shrunk[usable]
    # A steep branch passes a little beside in another class, whose Q lie elsewhere in the bin: look around.
    for piece in pieces:
        rates[:, piece] = ndimage.maximum_filter(
            rates[:, piece], size=(1, *(2 * r + 1 for r in look)), mode="nearest"
        )
    return rates


def _brightest_other(rates: FloatArray, laid: FloatArray) -> FloatArray:
    """Rate of the brightest class other than each one, NaN where there is no other, shape (n_rows, n_bins, n_e)."""
    order: IntArray = np.argsort(rates, axis=0)
    best = np.take_along_axis(rates, order[-1:], axis=0)
    second = np.take_along_axis(rates, order[-2:-1], axis=0) if len(rates) > 1 else np.full_like(best, -np.inf)
    other = np.where(np.arange(len(rates))[:, None, None] == order[-1:], second, best)
    # A rate of nothing at all still allows the fraction of a count that was not seen.
    rest = laid.sum(axis=0) - laid
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = 1.0 / rest
    other = np.maximum(other, np.where(np.isfinite(floor), floor, np.inf))
    return np.where(rest > 0, other, np.nan)


def _brightest_beside(rates: FloatArray, beside: IntArray) -> FloatArray:
    """Largest rate at the places (n_rows, n_bins, m) beside each class and bin, -inf where there is none."""
    flat = np.concatenate([rates.reshape(-1, rates.shape[2]), np.full((1, rates.shape[2]), -np.inf)])
    largest = np.full(rates.shape, -np.inf)
    for k in range(beside.shape[2]):
        np.maximum(largest, flat[beside[:, :, k]], out=largest)
    return largest


def _two_cells_away(folded: Folded, covered: BoolArray) -> IntArray:
    """Where each class goes on two cells from each bin of a grid, in 26 directions.

    Returns
    -------
    Shape (n_rows, n_bins, 26): row n_bins + bin of what holds Q there; -1 where nothing covers it.
    """
    bins, n_bins = folded.bins, len(folded.bins)
    assert bins.divisions is not None
    steps = np.array([step for step in itertools.product((-2, 0, 2), repeat=3) if any(step)]) / bins.divisions
    row, one = np.nonzero(covered)
    q = folded.zones[row] + bins.q[one]
    reciprocal = bins.crystal.reciprocal_lattice
    q_max = float(np.linalg.norm(q @ reciprocal, axis=1).max() + np.linalg.norm(steps @ reciprocal, axis=1).max())
    binning = zone_volume(bins.crystal, bins.divisions, bins.group, q_max)
    place = {tuple(zone): k for k, zone in enumerate(folded.zones.tolist())}
    row_of = np.array([place.get(tuple(zone), -1) for zone in binning.classes.zones.tolist()])
    beside = np.full((*covered.shape, len(steps)), -1, dtype=np.int64)
    for k, step in enumerate(steps):
        counts, found, rows = find_bins_of(binning.lookup, q + step)
        other = np.where(counts > 0, row_of[rows[:, 0]], -1)
        known = (other >= 0) & covered[other, found[:, 0]]
        # A cell on a boundary of the zone may be its own neighbour's image.
        known &= (other != row) | (found[:, 0] != one)
        beside[row, one, k] = np.where(known, other * n_bins + found[:, 0], -1)
    return beside


def _table(
    folded: Folded, mask: NDArray[np.bool_], found: list[tuple[float, int, int, int, float, float]]
) -> tuple[Rejection, ...]:
    lines = []
    for row in np.flatnonzero(mask.any(axis=1)):
        inside = np.flatnonzero(mask[row])
        for stretch in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
            mine = [one for one in found if one[1] == row and stretch[0] <= one[2] <= stretch[-1]]
            deviance, _, _, energy, counts, expected = max(mine)
            h, k, l = (int(i) for i in folded.hkl[row])  # noqa: E741
            lines.append(
                Rejection(
                    (h, k, l),
                    (int(stretch[0]), int(stretch[-1])),
                    float(folded.grid.centres[energy]),
                    counts,
                    expected,
                    deviance,
                )
            )
    return tuple(sorted(lines, key=lambda line: -line.deviance))
