"""The main job on stand-ins: which answer it gives, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fcinv_core.crystal import Crystal
from fcinv_core.errors import InputError
from fcinv_core.events.source import NORMALISED
from fcinv_core.folding.folded import Folded
from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.invert import InversionSettings, invert
from fcinv_core.inversion.matching import strain_between
from fcinv_core.qpath import named_path
from fcinv_core.verdict import Status
from tests.crystals import crystal
from tests.inversion.standin import GRID, StandInModel, all_of, damaged, measurement, prior, strained, truth


def run(folded: Folded, method: Any = "refine", **settings: Any) -> Inversion:
    return invert(folded, all_of(folded), StandInModel(), InversionSettings(method=method, n_draws=40, **settings))


def test_refined_answer_is_the_refinement_and_both_are_kept(inversion: Inversion) -> None:
    assert inversion.refined is not None
    assert inversion.network is not None
    np.testing.assert_array_equal(inversion.values, inversion.refined.values)
    assert np.abs(inversion.network.values - 0.95 * truth()).max() < 0.05
    assert inversion.draws.shape == (60, prior().n_force_constants)
    np.testing.assert_allclose(inversion.sigma**2, np.diag(inversion.covariance))


def test_network_alone_and_refinement_alone(refinement: None) -> None:
    folded = measurement()
    alone = run(folded, "network")
    assert alone.refined is None
    assert alone.network is not None
    np.testing.assert_array_equal(alone.values, alone.network.answer.draws.mean(axis=0))
    fitted = run(folded, "fit")
    assert fitted.network is None
    assert fitted.refined is not None
    np.testing.assert_array_equal(fitted.refined.fits[0].start, prior().mean)


def test_same_crystal_at_another_lattice_parameter_is_accepted_and_said(inversion: Inversion) -> None:
    assert inversion.strain == pytest.approx(0.01, rel=1e-3)
    assert any("1.00 %" in sentence for sentence in inversion.assumptions)
    [said] = [one for one in inversion.findings if one.name == "crystal"]
    assert said.status is Status.OK
    assert "same crystal" in said.sentence
    # Elastic constants are energy densities of the measured cell: they scale as 1 / a.
    unstrained = strain_between(prior().crystal, prior().crystal)
    assert unstrained == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_three_per_cent_are_still_the_same_crystal(factor: float) -> None:
    assert strain_between(strained(factor), prior().crystal) == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("other", [crystal("Nb"), crystal("Ge"), strained(1.08)], ids=["Nb", "Ge", "8 %"])
def test_another_crystal_is_refused(other: Crystal) -> None:
    with pytest.raises(InputError, match="another crystal"):
        strain_between(other, prior().crystal)


def test_another_path_is_refused(refinement: None) -> None:
    folded = measurement(path=named_path(prior().crystal, "Γ-X-W", 24))
    with pytest.raises(InputError, match="Γ-X-W"):
        run(folded)


def test_bad_measurements_are_refused_with_a_reason(refinement: None) -> None:
    good = measurement()
    [one] = good.runs
    no_exposure = damaged(good, exposure=np.zeros_like(one.exposure))
    with pytest.raises(InputError, match="covers nothing"):
        run(no_exposure)
    with pytest.raises(InputError, match="negative counts"):
        run(damaged(good, counts=-one.counts))
    with pytest.raises(InputError, match="NaN"):
        run(damaged(good, signal=np.full_like(one.signal, np.nan)))
    with pytest.raises(InputError, match="intensities, not counts"):
        run(replace(good, coverage=NORMALISED))
    with pytest.raises(InputError, match="irreducible zone"):
        run(replace(good, bins=replace(good.bins, path=None, divisions=4)))
    with pytest.raises(InputError, match="covers nothing"):
        run(good, window=(GRID.maximum + 1, GRID.maximum + 2))
    with pytest.raises(InputError, match="1 draws"):
        invert(good, all_of(good), StandInModel(), InversionSettings(n_draws=1))


def test_the_same_seed_gives_the_same_answer(refinement: None) -> None:
    folded = measurement()
    one, again = run(folded, seed=4), run(folded, seed=4)
    np.testing.assert_array_equal(one.draws, again.draws)
    np.testing.assert_array_equal(one.derived.energies.lower95, again.derived.energies.lower95)


def test_temperature_is_that_of_the_runs_unless_told(refinement: None) -> None:
    folded = measurement()
    assert run(folded, "network").derived.temperature == 20.0
    assert run(folded, "network", temperature=80.0).derived.temperature == 80.0
    unknown = run(damaged(folded, temperature=None), "network")
    assert unknown.derived.temperature == 300.0
    assert any("not known" in sentence for sentence in unknown.assumptions)
