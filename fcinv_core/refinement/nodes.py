"""Nodes in each bin at which modes are solved for, and what lies between them.

The wavevectors that a cell averages over have a mean and a covariance (the fold stores them): detector pixels are
often wider than the resolution of a steep branch. That distribution is a mixture of Gaussians, one about each of
seven nodes, the centre and two along each axis of the bin. Between nodes each branch is taken as quadratic, so that
a Gaussian of wavevectors is a line at the branch's energy, broadened by its slope. A cell that is narrower than
what the nodes of its bin carry (half of the bin's variance) is taken as wide as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcinv_core.crystal import FloatArray

#: Weight of each of the six outer nodes; the centre has the rest.
_OUTER = 1 / 8
#: Share of the variance along each axis that the nodes carry; the Gaussians about them have the rest.
_CARRIED = 0.5


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of n_bins bins, k of them in each.

    Attributes
    ----------
    offsets
        Shape (n_bins, k, 3): Q - bin centre in the bin's local frame, 1/Å; the middle one first.
    shares
        Shape (k,): weights; the sum is 1.
    variance
        Shape (n_bins, 3): variance along each axis that the nodes carry, 1/Å².
    slopes
        Shape (n_bins, k, 3, k): gradient of a branch at each node from its energies at the nodes, Å.
    """

    offsets: FloatArray
    shares: FloatArray
    variance: FloatArray
    slopes: FloatArray

    @property
    def per_bin(self) -> int:
        """Number of nodes in a bin."""
        return len(self.shares)


def single_nodes(n_bins: int) -> Nodes:
    """Return one node at the centre of each bin, for spectra at sharp wavevectors."""
    return Nodes(np.zeros((n_bins, 1, 3)), np.ones(1), np.zeros((n_bins, 3)), np.zeros((n_bins, 1, 3, 1)))


def spread_nodes(mean: FloatArray, variance: FloatArray) -> Nodes:
    """Place seven nodes in each bin.

    Parameters
    ----------
    mean
        Shape (n_bins, 3): mean of Q - bin centre in the local frame, 1/Å.
    variance
        Shape (n_bins, 3): variance along its axes, 1/Å².
    """
    reach = np.sqrt(_CARRIED * np.maximum(variance, 1e-8) / (2 * _OUTER))
    n_bins = len(mean)
    offsets = np.repeat(mean[:, None], 7, axis=1)
    slopes = np.zeros((n_bins, 7, 3, 7))
    for axis in range(3):
        up, down, step = 1 + 2 * axis, 2 + 2 * axis, reach[:, axis]
        offsets[:, up, axis] += step
        offsets[:, down, axis] -= step
        # The parabola through three nodes; at nodes of the other axes the slope is that of the middle.
        slopes[:, :, axis, up], slopes[:, :, axis, down] = (0.5 / step)[:, None], (-0.5 / step)[:, None]
        for node, sign in ((up, 1.0), (down, -1.0)):
            slopes[:, node, axis, up] += sign / step
            slopes[:, node, axis, down] += sign / step
            slopes[:, node, axis, 0] -= 2 * sign / step
    shares = np.array([1 - 6 * _OUTER, *[_OUTER] * 6])
    return Nodes(offsets, shares, 2 * _OUTER * reach**2, slopes)
