"""Whether answers spread as much as they err: scores, coverage, ranks, and split-conformal correction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import chisquare

from fcinv_core.crystal import FloatArray, IntArray
from fcinv_core.networks.architectures import Network
from fcinv_core.networks.inputs import FloatArray32

#: Nominal coverages that are tabulated.
LEVELS = (0.50, 0.68, 0.95)
#: The coverage at which the split-conformal correction is made.
_CORRECTED_AT = 0.68
#: Images that are answered in one go.
_TOGETHER = 20


@dataclass(frozen=True, eq=False)
class Answers:
    """Draws of a network for images whose truth is known, in units of the targets.

    Attributes
    ----------
    draws
        Shape (m, n, k).
    truth
        Shape (m, k).
    """

    draws: FloatArray32
    truth: FloatArray32

    def of(self, places: Sequence[int] | IntArray) -> Answers:
        """Return the answers for some of the targets."""
        return Answers(self.draws[:, :, places], self.truth[:, places])


@torch.no_grad()
def answer(
    network: Network,
    embedded: torch.Tensor,
    truth: torch.Tensor,
    n: int,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> Answers:
    """Draw n answers to each of m images.

    Parameters
    ----------
    network
        The network.
    embedded
        Shape (m, e): its embeddings of the images.
    truth
        Shape (m, k): what is to be answered, in units of the targets.
    n, seed
        Number of draws of each, and their source.
    between
        Called between batches.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = []
    for part in torch.split(embedded, _TOGETHER):
        between()
        draws.append(network.draw(part, n, generator))
    return Answers(torch.cat(draws).numpy(), truth.numpy())


def conformal_factor(answers: Answers) -> FloatArray:
    """Return the factor by which deviations of draws from their mean are multiplied, shape (k,).

    Split-conformal: of the errors in units of the half-width of the drawn interval, the ⌈(m + 1) level⌉-th
    smallest makes the interval hold its level on data like these, whatever their distribution (Lei et al.,
    J. Am. Stat. Assoc. 113, 1094 (2018)).
    """
    centre = answers.draws.mean(axis=1)
    low, high = central_interval(answers.draws, _CORRECTED_AT)
    ratio = np.sort(np.abs(answers.truth - centre) / np.maximum((high - low) / 2, 1e-6), axis=0)
    rank = min(len(ratio), int(np.ceil((len(ratio) + 1) * _CORRECTED_AT))) - 1
    return np.asarray(ratio[rank], dtype=float)


def corrected(draws: FloatArray32, factor: FloatArray) -> FloatArray32:
    """Return draws (..., n, k) whose deviations from their mean are multiplied by ``factor`` (k,)."""
    centre = draws.mean(axis=-2, keepdims=True)
    return np.asarray(centre + factor * (draws - centre), dtype=np.float32)


def central_interval(draws: FloatArray32, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends, shape (m, k) each, of the intervals that hold the share ``level`` of draws (m, n, k).

    The quantile p lies at the place (n + 1) p among the ordered draws, so that an interval of right draws holds
    the truth with its nominal probability, however few they are.
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")
    return low, high


def inside(answers: Answers, level: float) -> FloatArray:
    """Return 1 where a truth lies in the central interval of its draws, else 0, shape (m, k)."""
    low, high = central_interval(answers.draws, level)
    return np.asarray((answers.truth >= low) & (answers.truth <= high), dtype=float)


def coverage_table(answers: Answers, factor: FloatArray) -> dict[str, list[float]]:
    """Return the share of truths inside the central intervals of `LEVELS`: for each target, by level."""
    right = Answers(corrected(answers.draws, factor), answers.truth)
    return {f"{level:.2f}": inside(right, level).mean(axis=0).tolist() for level in LEVELS}


def scores(answers: Answers, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Return R² and mean absolute error of the mean of the draws, shape (..., k) each, the latter in target units.

    Parameters
    ----------
    answers
        Draws and truth of m samples.
    weights
        Shape (..., m): how often each sample counts; once by default.
    """
    truth = answers.truth.astype(float)
    error = answers.draws.mean(axis=1) - truth
    share = np.ones(len(truth)) if weights is None else weights
    share = share / share.sum(axis=-1, keepdims=True)
    # About the mean of all samples first: differences of large numbers are not exact.
    truth -= truth.mean(axis=0)
    variance = np.maximum(share @ truth**2 - (share @ truth) ** 2, 0.0)
    r2 = 1 - (share @ error**2) / np.where(variance > 0, variance, 1.0)
    return np.asarray(r2), np.asarray(share @ np.abs(error))


def ranks(answers: Answers) -> IntArray:
    """Return how many of its n draws lie below each truth, shape (m, k), 0 to n.

    If the draws are right, all ranks are equally likely (simulation-based calibration: Talts et al.,
    arXiv:1804.06788 (2018)).
    """
    return np.asarray((answers.draws < answers.truth[:, None]).sum(axis=1))


def distance_ranks(answers: Answers, references: FloatArray) -> IntArray:
    """Return how many of its n draws lie nearer to a reference point than each truth does, shape (m,), 0 to n.

    If the draws are right, jointly over all targets, all ranks are equally likely wherever the points lie that are
    chosen without the truth; the share of ranks up to n c is the expected coverage of regions of credibility c
    (TARP: Lemos, Coogan, Hezaveh and Perreault-Levasseur, ICML 2023).

    Parameters
    ----------
    answers
        Draws and truth of m samples.
    references
        Shape (m, k): one point for each sample.
    """
    to_draws = np.linalg.norm(answers.draws - references[:, None], axis=2)
    to_truth = np.linalg.norm(answers.truth - references, axis=1)
    return np.asarray((to_draws < to_truth[:, None]).sum(axis=1))


def random_references(truth: FloatArray32, generator: np.random.Generator) -> FloatArray:
    """Return points drawn uniformly over the box that holds all truths (m, k), of the same shape."""
    return generator.uniform(truth.min(axis=0), truth.max(axis=0), truth.shape)


def rank_histogram(found: IntArray, n: int, bins: int) -> tuple[IntArray, float]:
    """Return the histogram of ranks, shape (bins,), and the p-value of their being equally likely.

    Parameters
    ----------
    found
        Shape (m,): ranks from 0 to n of independent samples.
    n
        Number of draws.
    bins
        Number of bins; n + 1 ranks need not be a multiple of it.
    """
    of_rank = np.arange(n + 1) * bins // (n + 1)
    counts = np.bincount(of_rank[found], minlength=bins)
    expected = len(found) * np.bincount(of_rank, minlength=bins) / (n + 1)
    return np.asarray(counts), float(chisquare(counts, expected).pvalue)
