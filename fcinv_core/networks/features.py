"""How far a network's features of an image lie from those of measurements of the kind that it was trained for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from fcinv_core.crystal import FloatArray
from fcinv_core.networks.inputs import FloatArray32

#: Variance that is added in every direction, in units of its mean over directions: few measurements do not say how
#: little features vary where they hardly do.
_SHRINKAGE = 1e-5


@dataclass(frozen=True, eq=False)
class FeatureDistribution:
    """Mean and covariance of the features of usual measurements.

    Attributes
    ----------
    mean
        Shape (d,).
    covariance
        Shape (d, d), invertible.
    """

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, features: FloatArray32) -> FeatureDistribution:
        """Take it from the features (m, d) of usual measurements."""
        mean = features.mean(axis=0, dtype=float)
        deviations = features - mean
        covariance = deviations.T @ deviations / len(features)
        added = max(_SHRINKAGE * float(np.trace(covariance)) / len(covariance), 1e-12)
        covariance[np.diag_indices_from(covariance)] += added
        return cls(mean, covariance)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> FeatureDistribution:
        """Take it from what `tensors` returned."""
        return cls(tensors["mean"].numpy(), tensors["covariance"].numpy())

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return its arrays by name."""
        return {"mean": torch.from_numpy(self.mean), "covariance": torch.from_numpy(self.covariance)}

    def distance(self, features: FloatArray32) -> FloatArray:
        """Return the Mahalanobis distance of features (m, d), shape (m,), over √d: about 1 if usual.

        Lee, Lee, Lee and Shin, NeurIPS 2018.
        """
        deviations = (features - self.mean).T
        squares = (deviations * np.linalg.solve(self.covariance, deviations)).mean(axis=0)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
