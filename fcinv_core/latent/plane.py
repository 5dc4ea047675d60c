"""A plane to look at latent vectors in: UMAP where it is installed, principal components else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from fcinv_core.crystal import FloatArray


@dataclass(frozen=True, eq=False)
class Plane:
    """A map from latent vectors to a plane.

    Attributes
    ----------
    method
        What it is, in a few words.
    axes
        Names of its two axes.
    place
        Vectors (m, d) to places (m, 2).
    """

    method: str
    axes: tuple[str, str]
    place: Callable[[FloatArray], FloatArray]


def plane_of(vectors: FloatArray, seed: int) -> Plane:
    """Return the plane of latent vectors (m, d)."""
    if find_spec("umap") is None:
        return principal_plane(vectors)
    # One thread: with several the seed decides nothing.
    reducer = import_module("umap").UMAP(random_state=seed, n_jobs=1).fit(vectors)
    return Plane(
        "UMAP of the clean spectra", ("UMAP 1", "UMAP 2"), lambda others: np.asarray(reducer.transform(others))
    )


def principal_plane(vectors: FloatArray) -> Plane:
    """Return the plane of the first two principal components of vectors (m, d)."""
    centre = vectors.mean(axis=0)
    _, scale, directions = np.linalg.svd(vectors - centre, full_matrices=False)
    share = scale[:2] ** 2 / (scale**2).sum()
    return Plane(
        "principal components of the clean spectra (UMAP is not installed)",
        (f"component 1 ({share[0]:.0%} of the variance)", f"component 2 ({share[1]:.0%})"),
        lambda others: np.asarray((others - centre) @ directions[:2].T),
    )
