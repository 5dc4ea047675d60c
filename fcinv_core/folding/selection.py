"""What a folded measurement shows of what it holds: the cells that I(q, E) sums, and a summary for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fcinv_core.events.source import NORMALISED
from fcinv_core.folding.folded import BoolArray, Folded
from fcinv_core.folding.outliers import LARGEST_COMPARED, Rejected, reject_outliers


def select_cells(
    folded: Folded,
    *,
    hkl: Sequence[tuple[int, int, int]] | None = None,
    q_range: tuple[float, float] | None = None,
    minimum_exposure: float = 0.0,
    elastic: float = 0.0,
    window: tuple[float, float] | None = None,
    keep_outliers: bool = False,
) -> tuple[BoolArray, Rejected | None]:
    """Choose the cells that I(q, E) sums: by the limits of `Folded.select`, and without zones that hold a spurion.

    Parameters
    ----------
    folded
        The folded measurement.
    hkl, q_range, minimum_exposure, elastic, window
        As `Folded.select` takes them.
    keep_outliers
        Do not look for zones that disagree with all others.

    Returns
    -------
    Shape (k,): cells to keep, and what was rejected; None where it was not looked for.

    Raises
    ------
    InputError
        If a zone is not among the classes or nothing is left.
    """
    # Where all voxels weigh the same, exposure does not tell how many counts to expect.
    judged = folded.coverage != NORMALISED and math.prod(folded.shape) <= LARGEST_COMPARED and not keep_outliers
    rejected = reject_outliers(folded, elastic=elastic) if judged else None
    keep = folded.select(
        hkl=hkl,
        q_range=q_range,
        minimum_exposure=minimum_exposure,
        rejected=None if rejected is None else rejected.mask,
        elastic=elastic,
        window=window,
    )
    return keep, rejected


def summarise(folded: Folded, rejected: Rejected | None) -> str:
    """Return what was folded as lines for people."""
    result = folded.intensity()
    n_rows, n_bins, n_energies = folded.shape
    covered = float(np.mean(result.exposure > 0))
    empty = float(np.mean(result.counts[result.exposure > 0] == 0))
    outside, share = folded.uncovered
    lines = [
        folded.bins.crystal.describe(),
        f"{len(folded.runs)} runs in {n_rows} zone classes, {n_bins} bins, {n_energies} energies; "
        f"{100 * covered:.1f} % of the bins are covered, {100 * empty:.1f} % of those hold no count",
    ]
    lines += folded.notes
    if outside:
        lines.append(
            f"{outside:.0f} counts ({100 * share:.2g} %) lie where their run covers nothing; they are left out"
            + ("" if share < 1e-3 else ": detectors, goniometer or limits do not belong to these events")
        )
    if folded.overlaps:
        n = len({pair[:2] for pair in folded.overlaps})
        lines.append(f"{n // 2} pairs of bins share events (star arms, corners); the file lists them")
    if rejected is not None and rejected.table:
        lines.append(
            f"{len(rejected.table)} stretches of zone classes are left out, as no other zone shows what they do:"
        )
        lines += [
            f"  zone {line.hkl[0]} {line.hkl[1]} {line.hkl[2]}, bins {line.bins[0]}-{line.bins[1]}: {line.reason}"
            for line in rejected.table
        ]
    return "\n".join(lines)


def summary_content(folded: Folded, keep: BoolArray, rejected: Rejected | None) -> dict[str, Any]:
    """Return how much was measured, as plain content for JSON.

    Parameters
    ----------
    folded, rejected
        The folded measurement, and what `select_cells` rejected.
    keep
        Shape (k,): cells that I(q, E) sums.
    """
    shown = folded.intensity(keep)
    return {
        "crystal": folded.bins.crystal.describe(),
        "runs": [run.number for run in folded.runs],
        "zone_classes": len(folded.zones),
        "covered_share": float(np.mean(shown.exposure > 0)),
        "counts": float(shown.counts.sum()),
        "notes": list(folded.notes),
        "left_out": [
            {"zone": list(line.hkl), "bins": list(line.bins), "reason": line.reason}
            for line in (() if rejected is None else rejected.table)
        ],
    }
