"""Thresholds let through all but the share of false alarms, however many signs there are."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.networks.signs import FALSE_ALARMS, SIGNS, exceeding, levels, thresholds


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_one_sample_in_twenty_exceeds_a_threshold_in_one_sign_or_another(together: float) -> None:
    generator = np.random.default_rng(0)
    common = generator.standard_normal(4000)
    usual = {sign: together * common + (1 - together) * generator.standard_normal(4000) for sign in SIGNS}
    usual["spread"] = np.exp(usual["spread"])
    above = exceeding(usual, thresholds(usual))
    assert 0.045 < np.any(list(above.values()), axis=0).mean() <= FALSE_ALARMS
    # No sign is favoured.
    alarms = [above[sign].mean() for sign in SIGNS]
    np.testing.assert_allclose(alarms, alarms[0], atol=0.001)


def test_one_sign_alone_has_its_quantile() -> None:
    values = np.random.default_rng(1).random(1000)
    assert thresholds({"misfit": values})["misfit"] == pytest.approx(np.quantile(values, 0.95), abs=0.002)


def test_a_level_is_that_of_the_sign_that_shows_most() -> None:
    usual = {sign: np.arange(100.0) for sign in SIGNS}
    signs = {sign: np.array([50.0, 50.0, 0.0]) for sign in SIGNS}
    signs["misfit"] = np.array([50.0, 90.0, 100.0])
    np.testing.assert_allclose(levels(usual, signs), [0.5, 0.1, 0.0])
