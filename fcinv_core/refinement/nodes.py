"""Nodes in each bin at which modes are solved for, and what lies between them.

The wavevectors that a cell averages over have a mean and a covariance (the fold stores them): detector pixels are
often wider than the resolution of a steep branch. That distribution is a mixture of Gaussians, one about each node
of its bin, moved and stretched as the cell lies and as wide as it is: nodes carry a share of the variance along
each axis of the bin, the Gaussians the rest. Near a node each branch is the parabola through its energies at the
nodes, so that a Gaussian of wavevectors is a line that the slope broadens and the curvature shifts.

Seven nodes, the centre and two along each axis, are enough for most measurements. Many counts tell them from the
truth where a branch bends within a bin, as at the zone boundary: 27 nodes follow that, at four times the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fcinv_core.crystal import FloatArray

#: Weight of each of the six outer of seven nodes; the centre has the rest.
_OUTER = 1 / 8
#: Shares of the variance along each axis that seven and 27 nodes carry.
_CARRIED_BY_7, _CARRIED_BY_27 = 0.5, 0.75
#: The Gauss-Legendre rule of three points: pixels and bins are boxes rather than Gaussians.
_WEIGHTS = np.array([5, 8, 5]) / 18
#: Smallest variance along an axis, 1/Å².
_LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of n_bins bins, k of them in each.

    Attributes
    ----------
    offsets
        Shape (n_bins, k, 3): Q - bin centre in the bin's local frame, 1/Å.
    shares
        Shape (k,): weights; the sum is 1.
    sigma
        Shape (n_bins, 3): standard deviation along each axis of all of a bin, 1/Å.
    carried
        Share of the variance along each axis that the nodes carry.
    slopes, curves
        Shape (n_bins, k, 3, k): first and second derivative of a branch along each axis, at each node, from its
        energies at the nodes, Å and Å².
    """

    offsets: FloatArray
    shares: FloatArray
    sigma: FloatArray
    carried: float
    slopes: FloatArray
    curves: FloatArray

    @property
    def per_bin(self) -> int:
        """Number of nodes in a bin."""
        return len(self.shares)


def single_nodes(n_bins: int) -> Nodes:
    """Return one node at the centre of each bin, for spectra at sharp wavevectors."""
    none = np.zeros((n_bins, 1, 3, 1))
    return Nodes(np.zeros((n_bins, 1, 3)), np.ones(1), np.ones((n_bins, 3)), 0.0, none, none)


def seven_nodes(mean: FloatArray, variance: FloatArray) -> Nodes:
    """Place seven nodes in each bin: the middle, and two along each axis.

    Parameters
    ----------
    mean
        Shape (n_bins, 3): mean of Q - bin centre in the local frame, 1/Å.
    variance
        Shape (n_bins, 3): variance along its axes, 1/Å².
    """
    outer = [sign * axis for axis in np.eye(3, dtype=np.int64) for sign in (1, -1)]
    shares = np.array([1 - 6 * _OUTER, *[_OUTER] * 6])
    return _placed(mean, variance, np.array([[0, 0, 0], *outer]), shares, _CARRIED_BY_7)


def lattice_nodes(mean: FloatArray, variance: FloatArray) -> Nodes:
    """Place 27 nodes in each bin, three along each axis; parameters are those of `seven_nodes`."""
    places = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    return _placed(mean, variance, places, _WEIGHTS[places + 1].prod(axis=1), _CARRIED_BY_27)


def joined_nodes(sets: Sequence[Nodes]) -> Nodes:
    """Return the nodes of several sets of bins as one, one set after the other; all of one kind."""
    return replace(
        sets[0],
        offsets=np.concatenate([one.offsets for one in sets]),
        sigma=np.concatenate([one.sigma for one in sets]),
        slopes=np.concatenate([one.slopes for one in sets]),
        curves=np.concatenate([one.curves for one in sets]),
    )


def _placed(
    mean: FloatArray, variance: FloatArray, places: FloatArray, shares: FloatArray, carried: float
) -> Nodes:
    """Put nodes at places (k, 3) of -1, 0 and 1 in units in which they carry their share of the variance."""
    sigma = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    step = sigma * np.sqrt(carried / (shares @ places**2))
    slopes, curves = np.zeros((2, len(mean), len(places), 3, len(places)))
    number = {tuple(place): k for k, place in enumerate(places.tolist())}
    for k, place in enumerate(places.tolist()):
        for axis in range(3):
            # The parabola through three nodes; where only one stands, the slope is that of the middle.
            line = [(*place[:axis], at, *place[axis + 1 :]) for at in (-1, 0, 1)]
            whole = all(node in number for node in line)
            at = place[axis] if whole else 0
            for node, first, second in zip(line, (at - 0.5, -2.0 * at, at + 0.5), (1, -2, 1), strict=True):
                other = number[node if whole else tuple(node[axis] * (one == axis) for one in range(3))]
                slopes[:, k, axis, other] += first / step[:, axis]
                curves[:, k, axis, other] += second / step[:, axis] ** 2
    return Nodes(mean[:, None] + places * step[:, None], shares, sigma, carried, slopes, curves)
