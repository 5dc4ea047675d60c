"""A refinement over the irreducible zone: its answer, the fit along the path with it, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.folding.folded import Folded
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, invert
from fcinv_core.qpath import QPath
from tests.inversion.standin import StandInModel, all_of, measurement, prior, truth


def over_the_zone(n: int = 60) -> Folded:
    """The measurement at points all over the zone."""
    q = np.random.default_rng(3).uniform(-0.5, 0.5, (n, 3))
    points = QPath(
        q=q,
        distance=np.arange(n, dtype=float),
        segment=np.zeros(n, dtype=np.int64),
        direction=np.repeat([[1.0, 0.0, 0.0]], n, axis=0),
        ticks=((0, "A"), (n - 1, "B")),
    )
    folded = measurement(path=points)
    return replace(folded, bins=replace(folded.bins, path=None))


def refined(zone: Folded | None) -> Inversion:
    folded = measurement()
    settings = InversionSettings(amplitudes="unit", n_draws=20)
    return invert(
        folded, all_of(folded), StandInModel(), settings, zone=None if zone is None else (zone, all_of(zone))
    )


def test_the_zone_decides_the_answer_and_the_path_shows_it() -> None:
    path, zone = refined(None), refined(over_the_zone())
    assert path.along_path is path.refined
    assert zone.refined is not None
    assert zone.along_path is not None
    np.testing.assert_array_equal(zone.values, zone.refined.values)
    assert (np.abs(zone.values - truth()) < 4 * zone.sigma).all()
    # Sixty points all over the zone say more than twenty-four along lines.
    assert np.linalg.slogdet(zone.covariance)[1] < np.linalg.slogdet(path.covariance)[1] - 1
    np.testing.assert_allclose(zone.along_path.values, zone.values, atol=1e-4)
    assert zone.along_path.fitted.shape == zone.intensity.intensity.shape
    assert any("irreducible zone" in sentence for sentence in zone.assumptions)
    known = prior().dynamics(zone.path.q).energies(truth())
    assert np.sqrt(((zone.derived.energies.value - known) ** 2).mean()) < 0.2


def test_what_is_no_zone_of_this_measurement_is_refused() -> None:
    zone = over_the_zone()
    with pytest.raises(InputError, match="folded along a path"):
        refined(measurement())
    with pytest.raises(InputError, match="not of one measurement"):
        refined(replace(zone, runs=(replace(zone.runs[0], number=8),)))
    folded = measurement()
    with pytest.raises(InputError, match="network answers from the path"):
        invert(folded, all_of(folded), StandInModel(), InversionSettings("network"), zone=(zone, all_of(zone)))
