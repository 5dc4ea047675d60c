"""Agreement of regions of Q that the Laue class makes equivalent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.checking.bragg import shortest_vector
from fcinv_core.crystal import Crystal, FloatArray, IntArray
from fcinv_core.verdict import Finding, Status

#: Distance between centres of regions to aim at, 1/Å.
_SPACING = 0.45
#: Number of energy windows, and most (region, window) cells.
_N_WINDOWS, _MOST_CELLS = 8, 20_000_000
#: Effective counts that a region is expected to have at least.
_FEWEST = 10.0
#: Misfit beyond statistics that a person should look at: chi2 for each degree of freedom, and relative rms.
_LOOK_CHI2, _LOOK_RMS = 1.5, 0.2
#: Equivalent regions that differ by more than this share of what inequivalent ones do are not equivalent.
_BAD_SHARE = 0.5
_FEWEST_PAIRS = 10
#: Points of trajectories that a region holds at least: fewer do not tell the mean of it.
_FEWEST_POINTS = 20


@dataclass(frozen=True, eq=False)
class Agreement:
    """How regions that should be equal agree.

    Attributes
    ----------
    chi2_per_freedom
        Of equivalent regions around their common mean, with Poisson variance.
    n_freedom
        Degrees of freedom.
    rms
        Relative difference of equivalent regions beyond statistics.
    rms_inequivalent
        The same of regions of equal |Q| that are not equivalent: what a wrong symmetry would give.
    pulls
        Shape (p,): (rate - mean) over its standard deviation, of all regions compared.
    rates
        Shape (p, 2): rate of a region and mean of its class, weight per exposure.
    worst
        The two regions that differ most: (h, k, l) twice, energy (meV), rates and how many standard deviations;
        None if there are none.
    radius
        Radius of the regions, 1/Å.
    """

    chi2_per_freedom: float
    n_freedom: int
    rms: float
    rms_inequivalent: float
    pulls: FloatArray
    rates: FloatArray
    worst: tuple[FloatArray, FloatArray, float, float, float, float] | None
    radius: float


class RegionSums:
    """Sums over spheres around the points of a lattice n times finer than the reciprocal lattice.

    Spheres around such points are mapped onto each other by the Laue class exactly; Γ points are left out, for
    Bragg tails and acoustic phonons near them depend on where in the sphere a pixel happened to look.
    """

    def __init__(
        self, crystal: Crystal, to_fraction: FloatArray, largest_q: float, low: float, high: float
    ) -> None:
        self.crystal = crystal
        self.to_fraction = to_fraction
        primitive = np.asarray(np.linalg.inv(to_fraction), dtype=float)
        stretch = np.linalg.norm(to_fraction, axis=1)
        self.n = max(2, round(shortest_vector(primitive) / _SPACING))
        extent = np.ceil(largest_q * self.n * stretch).astype(np.int64) + 1
        while self.n > 2 and np.prod(2 * extent + 1) * _N_WINDOWS > _MOST_CELLS:
            self.n -= 1
            extent = np.ceil(largest_q * self.n * stretch).astype(np.int64) + 1
        self.extent = extent
        # Within this distance rounding of fractions finds the nearest point for sure, skewed basis or not.
        self.radius = 0.49 / (self.n * float(stretch.max()))
        self.edges = np.linspace(low, high, _N_WINDOWS + 1)
        self.size = int(np.prod(2 * extent + 1)) * _N_WINDOWS
        self.signal, self.variance = np.zeros(self.size), np.zeros(self.size)
        self.exposure, self.points = np.zeros(self.size), np.zeros(self.size, dtype=np.int32)

    def cells(self, q: FloatArray, energy: FloatArray | float) -> tuple[IntArray, IntArray]:
        """Return which of the points (n, 3) fall into regions, and into which (flat)."""
        finer = self.n * (q @ self.to_fraction.T)
        node = np.rint(finer)
        offset = (finer - node) @ (np.linalg.inv(self.to_fraction).T / self.n)
        window = np.searchsorted(self.edges, energy, side="right") - 1
        whole = node.astype(np.int64)
        inside = (
            ((offset**2).sum(axis=1) < self.radius**2)
            & (np.abs(whole) <= self.extent).all(axis=1)
            & (window >= 0)
            & (window < _N_WINDOWS)
            & (whole % self.n != 0).any(axis=1)
        )
        use = np.flatnonzero(inside)
        i = whole[use] + self.extent
        span = 2 * self.extent + 1
        flat = (i[:, 0] * span[1] + i[:, 1]) * span[2] + i[:, 2]
        return use, flat * _N_WINDOWS + np.broadcast_to(window, inside.shape)[use]

    def add(self, q: FloatArray, energy: FloatArray, signal: FloatArray, variance: FloatArray) -> None:
        """Add events."""
        use, cell = self.cells(q, energy)
        np.add.at(self.signal, cell, signal[use])
        np.add.at(self.variance, cell, variance[use])

    def expose(self, q: FloatArray, energy: float, weight: FloatArray) -> None:
        """Add points of trajectories at one energy."""
        use, cell = self.cells(q, energy)
        np.add.at(self.exposure, cell, weight[use])
        np.add.at(self.points, cell, 1)

    def compare(self, operations: IntArray, sampled: bool) -> Agreement:
        """Compare equivalent regions.

        Parameters
        ----------
        operations
            Shape (g, 3, 3): the Laue class, on fractions of the primitive reciprocal basis.
        sampled
            Whether exposure is that of some pixels drawn at random, so that it has an error of its own.
        """
        cell = np.flatnonzero((self.exposure > 0) & (self.points >= _FEWEST_POINTS))
        flat, window = np.divmod(cell, _N_WINDOWS)
        node = np.stack(np.unravel_index(flat, 2 * self.extent + 1), axis=1) - self.extent
        base = 4 * int(self.extent.max()) + 1
        code = np.full(len(node), np.iinfo(np.int64).min)
        for operation in operations:
            image = node @ operation.T
            code = np.maximum(code, (image[:, 0] * base + image[:, 1]) * base + image[:, 2])
        length = np.linalg.norm(node @ np.linalg.inv(self.to_fraction).T / self.n, axis=1)
        shell = (length / 0.1).astype(np.int64)
        signal, variance, exposure = self.signal[cell], self.variance[cell], self.exposure[cell]
        blur = 1 / np.maximum(self.points[cell], 1) if sampled else np.zeros(len(cell))
        _, orbit = np.unique(code * _N_WINDOWS + window, return_inverse=True)
        chosen, mean, expected, gain = _common(orbit, signal, variance, exposure)
        if chosen.sum() < 2:
            return Agreement(np.nan, 0, 0.0, 0.0, np.empty(0), np.empty((0, 2)), None, self.radius)
        s, x, o = signal[chosen], exposure[chosen], orbit[chosen]
        noise = gain * expected + blur[chosen] * expected**2
        pull = (s - expected) / np.sqrt(noise)
        freedom = int(chosen.sum() - len(np.unique(o)))
        chi2 = float((pull**2).sum()) / freedom
        worst = self._worst(o, pull, node[chosen], window[chosen], s / x)
        return Agreement(
            chi2_per_freedom=chi2,
            n_freedom=freedom,
            rms=_excess(o, s, expected, noise),
            rms_inequivalent=_inequivalent(shell * _N_WINDOWS + window, signal, variance, exposure),
            pulls=pull,
            rates=np.stack([s / x, mean], axis=1),
            worst=worst,
            radius=self.radius,
        )

    def _worst(
        self, orbit: IntArray, pull: FloatArray, node: IntArray, window: IntArray, rate: FloatArray
    ) -> tuple[FloatArray, FloatArray, float, float, float, float]:
        order = np.lexsort((pull, orbit))
        first = np.flatnonzero(np.r_[True, np.diff(orbit[order]) > 0])
        last = np.r_[first[1:], len(order)] - 1
        low, high = order[first], order[last]
        k = int((pull[high] - pull[low]).argmax())
        a, b = int(high[k]), int(low[k])
        hkl = node @ self.crystal.conventional.T / self.n
        energy = float((self.edges[window[a]] + self.edges[window[a] + 1]) / 2)
        difference = float((pull[a] - pull[b]) / np.sqrt(2))
        return hkl[a], hkl[b], energy, float(rate[a]), float(rate[b]), difference


def _common(
    group: IntArray, signal: FloatArray, variance: FloatArray, exposure: FloatArray
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], FloatArray, FloatArray, FloatArray]:
    """Choose members with enough counts; return which, and mean rate, expected weight and gain of each chosen."""
    n = int(group.max(initial=-1)) + 1
    chosen = np.ones(len(group), dtype=bool)
    mean = gain = np.zeros(n)
    for _ in range(3):
        sums = [np.bincount(group[chosen], one[chosen], minlength=n) for one in (signal, variance, exposure)]
        mean = sums[0] / np.maximum(sums[2], 1e-300)
        gain = np.where(sums[0] > 0, sums[1] / np.maximum(sums[0], 1e-300), 1.0)
        enough = mean[group] * exposure >= _FEWEST * gain[group]
        members = np.bincount(group[enough], minlength=n)
        chosen = enough & (members[group] > 1)
    sums = [np.bincount(group[chosen], one[chosen], minlength=n) for one in (signal, variance, exposure)]
    mean = sums[0] / np.maximum(sums[2], 1e-300)
    gain = np.where(sums[0] > 0, sums[1] / np.maximum(sums[0], 1e-300), 1.0)
    own = group[chosen]
    return chosen, mean[own], mean[own] * exposure[chosen], gain[own]


def _excess(group: IntArray, signal: FloatArray, expected: FloatArray, noise: FloatArray) -> float:
    """Relative rms of members around their mean beyond noise; each group loses one degree of freedom."""
    members = np.bincount(group)[group]
    over = (signal - expected) ** 2 * members / (members - 1) - noise
    return float(np.sqrt(max(float(over.sum()), 0.0) / max(float((expected**2).sum()), 1e-300)))


def _inequivalent(shell: IntArray, signal: FloatArray, variance: FloatArray, exposure: FloatArray) -> float:
    _, group = np.unique(shell, return_inverse=True)
    chosen, _, expected, gain = _common(group, signal, variance, exposure)
    if chosen.sum() < 2:
        return 0.0
    return _excess(group[chosen], signal[chosen], expected, gain * expected)


def judge_agreement(agreement: Agreement | None, reason: str = "") -> Finding:
    """Say whether data have the symmetry of the structure."""
    name = "symmetry"
    if agreement is None:
        return Finding(name, Status.LOOK, f"equivalent regions cannot be compared: {reason}.")
    if agreement.n_freedom < _FEWEST_PAIRS:
        return Finding(
            name,
            Status.LOOK,
            f"only {agreement.n_freedom} pairs of equivalent regions have counts enough to compare: the "
            "symmetry is not tested by these data.",
            {"n_freedom": agreement.n_freedom},
        )
    assert agreement.worst is not None
    first, second, energy, one, other, sigma = agreement.worst
    numbers = {
        "chi2_per_freedom": agreement.chi2_per_freedom,
        "n_freedom": agreement.n_freedom,
        "relative_rms_beyond_statistics": agreement.rms,
        "relative_rms_of_inequivalent_regions": agreement.rms_inequivalent,
        "region_radius_per_angstrom": agreement.radius,
        "worst_pair": {
            "hkl": [first.tolist(), second.tolist()],
            "energy_mev": energy,
            "weight_per_exposure": [one, other],
            "standard_deviations": sigma,
        },
    }
    pair = " and ".join(f"({', '.join(f'{x:.2f}' for x in hkl)})" for hkl in (first, second))
    said = (
        f"equivalent regions differ by {100 * agreement.rms:.0f} % beyond statistics "
        f"(chi2 {agreement.chi2_per_freedom:.2f} for each of {agreement.n_freedom} degrees of freedom)"
    )
    where = f"most {pair} at {energy:.1f} meV by {sigma:.1f} standard deviations"
    if agreement.chi2_per_freedom < _LOOK_CHI2 or agreement.rms < _LOOK_RMS:
        return Finding(name, Status.OK, f"{said}: the symmetry holds.", numbers)
    share = agreement.rms / max(agreement.rms_inequivalent, 1e-300)
    if share > _BAD_SHARE:
        return Finding(
            name,
            Status.BAD,
            f"{said}, {100 * share:.0f} % of what inequivalent ones do, {where}: the symmetry or the UB matrix "
            "is wrong (domains? another setting?).",
            numbers,
        )
    return Finding(
        name,
        Status.LOOK,
        f"{said}, {where}: look for shadows, spurions or absorption there.",
        numbers,
    )
