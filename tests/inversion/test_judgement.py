"""The verdict says what the data can't carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fcinv_core.inversion.inversion import Inversion
from fcinv_core.inversion.judgement import explained_share, judge_inversion
from fcinv_core.refinement.refined import Fit
from fcinv_core.verdict import Finding, Status
from tests.inversion.standin import StandInModel, all_of, measurement, prior


def finding(inversion: Inversion, name: str) -> Finding:
    [found] = [one for one in judge_inversion(inversion) if one.name == name]
    return found


def test_a_good_measurement_is_good_in_every_respect(inversion: Inversion) -> None:
    assert {one.status for one in inversion.findings} == {Status.OK}, [one.sentence for one in inversion.findings]
    assert "supports this answer" in inversion.headline
    assert inversion.status is Status.OK


def test_posterior_as_wide_as_the_prior_is_no_answer(inversion: Inversion) -> None:
    derived = replace(inversion.derived, energies=inversion.prior_energies)
    found = finding(replace(inversion, derived=derived), "dispersion")
    assert found.status is Status.BAD
    assert "hardly narrow" in found.sentence
    bad = replace(inversion, findings=(found,))
    assert "does not support" in bad.headline


def test_who_decided_follows_the_variances(inversion: Inversion) -> None:
    sigma = inversion.prior.sigma.copy()
    sigma[0], sigma[1] = 0.01 * sigma[0], 0.7 * sigma[1]
    covariance = np.diag(sigma**2)
    changed = replace(inversion, sigma=sigma, covariance=covariance)
    assert changed.decided_by[:3] == ("data", "both", "prior")
    found = finding(changed, "force constants")
    assert (found.numbers["by_data"], found.numbers["by_both"]) == (1, 1)


def test_fit_is_judged_by_what_it_explains_and_by_chi2(inversion: Inversion) -> None:
    refined = inversion.refined
    assert refined is not None
    mean, _ = refined.expected_chi2
    for factor, status in ((1.02, Status.OK), (1.5, Status.LOOK)):
        changed = replace(inversion, refined=replace(refined, chi2=factor * mean))
        assert finding(changed, "fit").status is status
    assert explained_share(inversion) > 0.9
    # A fit whose lines lie elsewhere, and one without lines.
    for fitted in (np.roll(refined.fitted, 7, axis=1), np.full_like(refined.fitted, np.nanmean(refined.fitted))):
        wrong = np.where(refined.covered, np.nan_to_num(fitted), np.nan)
        changed = replace(inversion, refined=replace(refined, fitted=wrong))
        assert explained_share(changed) < 0.3
        assert finding(changed, "fit").status is Status.BAD


def test_without_a_refinement_nothing_is_said_of_the_fit(inversion: Inversion) -> None:
    found = finding(replace(inversion, refined=None), "fit")
    assert found.status is Status.LOOK
    assert "not known" in found.sentence


def test_another_answer_that_fits_as_well(inversion: Inversion) -> None:
    assert inversion.refined is not None
    [best] = inversion.refined.fits
    far = Fit(best.start, 1.2 * best.mode, best.deviance, best.objective + 2, True)
    worse = replace(far, objective=best.objective + 500)
    assert finding(replace(inversion, refined=replace(inversion.refined, fits=(best, far))), "starts").status is (
        Status.BAD
    )
    found = finding(replace(inversion, refined=replace(inversion.refined, fits=(best, worse))), "starts")
    assert found.status is Status.OK
    assert found.numbers["same_answer"] == 1


def test_conflict_of_data_and_prior_is_named(inversion: Inversion) -> None:
    values = inversion.prior.mean.copy()
    values[2] += 4.2 * inversion.prior.sigma[2]
    found = finding(replace(inversion, values=values), "prior")
    assert found.status is Status.LOOK
    assert "FC2 (+4.2)" in found.sentence
    everywhere = replace(inversion, values=inversion.prior.mean - 5 * inversion.prior.sigma)
    assert finding(everywhere, "prior").status is Status.BAD


def test_imaginary_modes(inversion: Inversion) -> None:
    for share, lowest, status in ((0.1, 0.0, Status.LOOK), (0.7, 0.0, Status.BAD), (0.0, -1.0, Status.BAD)):
        derived = replace(inversion.derived, imaginary_share=share, lowest=lowest)
        assert finding(replace(inversion, derived=derived), "stability").status is status


def test_poor_coverage(inversion: Inversion) -> None:
    for covered, status in ((0.3, Status.LOOK), (0.03, Status.BAD)):
        folded = measurement(inversion.crystal, covered=covered)
        refined = inversion.refined
        assert refined is not None
        part = replace(refined, covered=refined.covered & (folded.intensity().exposure > 0))
        changed = replace(inversion, folded=folded, keep=all_of(folded), refined=part)
        assert finding(changed, "coverage").status is status


def test_modes_above_the_measured_energies_are_said(inversion: Inversion) -> None:
    energies = replace(inversion.derived.energies, value=2 * inversion.derived.energies.value)
    found = finding(replace(inversion, derived=replace(inversion.derived, energies=energies)), "coverage")
    assert found.status is Status.LOOK
    assert "above the highest energy measured, 42 meV" in found.sentence


def test_few_draws_left_by_their_weights(inversion: Inversion) -> None:
    assert inversion.refined is not None
    changed = replace(inversion, refined=replace(inversion.refined, effective_sample_size=3.0))
    assert finding(changed, "posterior").status is Status.LOOK


def test_flags_of_the_network_are_passed_on(inversion: Inversion) -> None:
    assert inversion.network is not None
    answer = StandInModel(flags=("It is unlike anything.",)).answer(
        inversion.intensity.counts,
        inversion.intensity.exposure_in_counts,
        5,
        0,
        path=inversion.path,
        grid=inversion.folded.grid,
    )
    found = finding(replace(inversion, network=replace(inversion.network, answer=answer)), "network")
    assert found.status is Status.LOOK
    assert found.sentence.startswith("It is unlike anything.")


def test_prior_band_is_wider_than_the_answer(inversion: Inversion) -> None:
    assert np.median(inversion.prior_energies.sigma) > 3 * np.median(inversion.derived.energies.sigma)
    assert len(inversion.values) == prior().n_force_constants
