"""Whether answers spread as much as they err: coverage of intervals, and split-conformal correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fcinv_core.crystal import FloatArray
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


@torch.no_grad()
def answer(
    network: Network,
    images: torch.Tensor,
    truth: torch.Tensor,
    n: int,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> Answers:
    """Draw n answers to each image; ``between`` is called between batches."""
    generator = torch.Generator().manual_seed(seed)
    draws = []
    for part in torch.split(images, _TOGETHER):
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
    low, high = np.quantile(answers.draws, [(1 - _CORRECTED_AT) / 2, (1 + _CORRECTED_AT) / 2], axis=1)
    ratio = np.sort(np.abs(answers.truth - centre) / np.maximum((high - low) / 2, 1e-6), axis=0)
    rank = min(len(ratio), int(np.ceil((len(ratio) + 1) * _CORRECTED_AT))) - 1
    return np.asarray(ratio[rank], dtype=float)


def corrected(draws: FloatArray32, factor: FloatArray) -> FloatArray32:
    """Return draws (..., n, k) whose deviations from their mean are multiplied by ``factor`` (k,)."""
    centre = draws.mean(axis=-2, keepdims=True)
    return np.asarray(centre + factor * (draws - centre), dtype=np.float32)


def coverage_table(answers: Answers, factor: FloatArray) -> dict[str, list[float]]:
    """Return the share of truths inside the central intervals of `LEVELS`: for each target, by level."""
    draws = corrected(answers.draws, factor)
    table = {}
    for level in LEVELS:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1)
        inside = (answers.truth >= low) & (answers.truth <= high)
        table[f"{level:.2f}"] = inside.mean(axis=0).tolist()
    return table


def scores(answers: Answers) -> tuple[FloatArray, FloatArray]:
    """Return R² and mean absolute error of the mean of the draws, shape (k,) each, the latter in target units."""
    error = answers.draws.mean(axis=1) - answers.truth
    variance = answers.truth.var(axis=0)
    r2 = 1 - (error**2).mean(axis=0) / np.where(variance > 0, variance, 1.0)
    return np.asarray(r2, dtype=float), np.asarray(np.abs(error).mean(axis=0), dtype=float)
