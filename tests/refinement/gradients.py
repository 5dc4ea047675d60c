"""The gradient of a model against differences of its loss."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.crystal import FloatArray
from fcinv_core.refinement.scoring import Model


def check_gradient(model: Model, parameters: FloatArray, share: float) -> None:
    """Assert that every derivative is met within 0.5 %, or a share of the score's standard deviation."""
    at = model.linearised(parameters)
    assert at.loss == pytest.approx(model.loss(parameters))
    size = np.sqrt(np.diag(at.information))
    assert (size > 0).any()
    for k in range(len(parameters)):
        step = np.zeros(len(parameters))
        step[k] = 1e-3 / max(size[k], 1.0)
        difference = (model.loss(parameters + step) - model.loss(parameters - step)) / (2 * step[k])
        assert at.gradient[k] == pytest.approx(difference, rel=5e-3, abs=share * size[k] + 1e-6)
