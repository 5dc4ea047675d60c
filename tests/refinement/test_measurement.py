"""What is taken from counts is what was counted, and what cannot be fitted is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.prior import Prior
from fcinv_core.refinement.measurement import data_of_spectrum
from fcinv_core.spectrum import Resolution, SpectralGrid
from tests.refinement.test_coherent import in_zones
from tests.refinement.test_lines import CENTRES, measurement

GRID = SpectralGrid(0.0, 10.0, 5)


def test_merging_keeps_counts_and_moments(aluminium_prior: Prior) -> None:
    data = in_zones(measurement(aluminium_prior, sharp=False), np.random.default_rng(4))
    merged = data.merged()
    np.testing.assert_array_equal(merged.summed(merged.counts), data.summed(data.counts))
    strength = data.exposure * data.q_squared
    np.testing.assert_allclose(merged.summed(merged.exposure * merged.q_squared), data.summed(strength), rtol=1e-12)
    for axis in range(3):
        np.testing.assert_allclose(
            merged.summed(merged.exposure * merged.q_squared * merged.mean[:, axis]),
            data.summed(strength * data.mean[:, axis]),
            atol=1e-12,
        )
    # Four zone classes of three looks each, of unequal exposure.
    assert (merged.looks < 12).all()
    assert (merged.looks > 6).all()


def test_what_only_counts_still_only_counts_when_merged(aluminium_prior: Prior) -> None:
    counts = np.ones((3, 5))
    data = data_of_spectrum(aluminium_prior.crystal, CENTRES, GRID, Resolution((1.0,)), counts, 1e6)
    assert np.isinf(data.merged().looks).all()


def test_cells_without_counts_or_exposure_take_no_part(aluminium_prior: Prior) -> None:
    counts = np.ones((3, 5))
    counts[0, 0] = np.nan
    exposure = np.full((3, 5), 2.0)
    exposure[1] = 0.0
    data = data_of_spectrum(aluminium_prior.crystal, CENTRES, GRID, Resolution((1.0,)), counts, exposure)
    assert len(data.counts) == 9
    assert data.cut_bin.tolist() == [0, 2]
    assert data.summed(data.exposure)[1].sum() == 0


@pytest.mark.parametrize(
    ("counts", "exposure"), [(np.full((3, 5), -1.0), 1.0), (np.full((3, 5), np.nan), 1.0), (np.ones((3, 5)), 0.0)]
)
def test_what_cannot_be_fitted_is_refused(aluminium_prior: Prior, counts: np.ndarray, exposure: float) -> None:
    with pytest.raises(InputError, match="fitted"):
        data_of_spectrum(aluminium_prior.crystal, CENTRES, GRID, Resolution((1.0,)), counts, exposure)
