"""The verdict on an inversion: what the data can carry, and what they cannot."""

from __future__ import annotations

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.inversion.inversion import FEW_DRAWS, Inversion
from fcinv_core.stability import TOLERANCE
from fcinv_core.verdict import Finding, Status

#: The dispersion counts as measured when its half width is below this share of what the prior leaves, ...
_NARROWER, _HARDLY_NARROWER = 0.25, 0.7
#: ... and as well known below this, meV.
_SHARP = 0.5
#: chi2 over its expectation beyond which a person should look: intensities inside of a bin may differ by more than
#: a model of it can say, so this alone does not make an answer wrong.
_CHI2_LOOK = 1.1
#: Share of the structure in the counts that a fit accounts for: less is worth a look, or is no description at all.
_EXPLAINED_LOOK, _EXPLAINED_BAD = 0.85, 0.6
#: Mean counts of a cell below which most are empty; least expected counts.
_FEW_COUNTS, _LEAST = 1.0, 1e-9
#: chi2 within this many standard deviations of its expectation is as expected.
_CHI2_SIGMA = 4.0
#: Distance from the prior mean in its standard deviations that counts as a conflict, and how many make it bad.
CONFLICT = 3.0
_CONFLICTS_BAD = 0.2
#: Share of draws with imaginary modes.
_IMAGINARY_LOOK, _IMAGINARY_BAD = 0.02, 0.5
#: Share of the cells between elastic line and highest mode that are covered.
_COVERED_LOOK, _COVERED_BAD = 0.5, 0.1
#: Another answer counts when its objective is within this of the best, its dispersion this far off (meV rms).
_AS_GOOD, _ANOTHER = 10.0, 0.3


def judge_inversion(inversion: Inversion) -> tuple[Finding, ...]:
    """Look at an inversion from all sides; one sentence each, the most telling first."""
    findings = [_dispersion(inversion), _force_constants(inversion), _coverage(inversion)]
    if inversion.refined is None:
        sentence = "The network's answer was not refined: how well it describes the data is not known."
        findings.append(Finding("fit", Status.LOOK, sentence))
    else:
        findings += [_fit(inversion), _starts(inversion), _shape(inversion)]
    findings += [_conflict(inversion), _stability(inversion)]
    if inversion.network is not None:
        findings.append(_network(inversion))
    if inversion.strain > 1e-4:
        findings.append(_strain(inversion))
    return tuple(findings)


def _dispersion(inversion: Inversion) -> Finding:
    sigma = inversion.derived.energies.sigma
    median, worst = float(np.median(sigma)), float(np.quantile(sigma, 0.95))
    share = median / float(np.median(inversion.prior_energies.sigma))
    numbers = {"median_sigma_mev": median, "sigma95_mev": worst, "sigma_over_prior": share}
    width = f"±{median:.2f} meV in the median of the modes, ±{worst:.2f} meV for the worst twentieth"
    if share > _HARDLY_NARROWER:
        sentence = f"The data hardly narrow the dispersion: {width}, {100 * share:.0f} % of what the prior leaves."
        return Finding("dispersion", Status.BAD, f"{sentence} Measure longer or at more orientations.", numbers)
    good = share < _NARROWER and median < _SHARP
    sentence = f"The dispersion is known to {width} (68 %), {100 * share:.0f} % of what the prior leaves."
    return Finding("dispersion", Status.OK if good else Status.LOOK, sentence, numbers)


def _force_constants(inversion: Inversion) -> Finding:
    decided = inversion.decided_by
    n_data, n_both, n_prior = (decided.count(who) for who in ("data", "both", "prior"))
    determined = float(
        inversion.prior.n_force_constants - np.sum(np.diag(inversion.covariance) / inversion.prior.sigma**2)
    )
    sentence = (
        f"Of {len(decided)} force constants the data decide {n_data}, data and prior together {n_both}, the prior "
        f"{n_prior}; energies fix combinations of them better than each alone, so use the covariance."
    )
    numbers = {"by_data": n_data, "by_both": n_both, "by_prior": n_prior, "determined": determined}
    return Finding("force constants", Status.OK if n_data else Status.LOOK, sentence, numbers)


def covered_share(inversion: Inversion) -> float:
    """Share of the cells between the elastic line and the highest mode that took part."""
    grid = inversion.folded.grid
    exposure = inversion.intensity.exposure
    top = float(inversion.derived.energies.value.max())
    lowest = grid.centres > 0
    if inversion.along_path is not None and inversion.along_path.covered.any():
        # What the fit left out about the elastic line was left out on purpose.
        lowest = grid.centres >= grid.centres[inversion.along_path.covered.any(axis=0)].min()
    inside = lowest & (grid.centres <= top)
    return float((exposure[:, inside] > 0).mean()) if inside.any() else 0.0


def _coverage(inversion: Inversion) -> Finding:
    share = covered_share(inversion)
    found = inversion.intensity
    counts = float(found.counts[:, inversion.folded.grid.centres > 0].sum())
    top = float(inversion.derived.energies.value.max())
    highest = inversion.folded.grid.maximum
    sentence = f"{100 * share:.0f} % of the cells along the path up to the highest mode are covered"
    numbers = {"covered_share": share, "counts": counts, "highest_mode_mev": top, "highest_energy_mev": highest}
    status = Status.BAD if share < _COVERED_BAD else Status.LOOK if share < _COVERED_LOOK else Status.OK
    if top > highest:
        beyond = float((inversion.derived.energies.value > highest).mean())
        sentence += f"; {100 * beyond:.0f} % of the modes lie above the highest energy measured, {highest:g} meV"
        numbers["modes_beyond"] = beyond
        status = max(status, Status.LOOK, key=list(Status).index)
    return Finding("coverage", status, f"{sentence}.", numbers)


def explained_share(inversion: Inversion) -> float:
    """Share of the structure in the counts, beyond their noise, that the fit accounts for; 0 without structure.

    Structure is what a constant intensity leaves. Counts are compared as 2 sqrt(n + 1/4), whose variance is 1
    whatever their mean (Anscombe, Biometrika 35, 246 (1948)), so that bright cells do not decide alone. That does
    not hold of cells most of which are empty: of these it is the gain in log likelihood over a constant intensity,
    as a share of what the fit promises.
    """
    refined = inversion.along_path
    assert refined is not None
    found = inversion.intensity
    used = refined.covered & (found.exposure_in_counts > 0)
    counts, exposure = found.counts[used], found.exposure_in_counts[used]

    def excess(expected: FloatArray) -> float:
        difference = np.sqrt(np.maximum(counts, 0) + 0.25) - np.sqrt(np.maximum(expected, 0) + 0.25)
        return max(float((4 * difference**2).sum()) - len(counts), 0.0)

    flat, fitted = counts.sum() / exposure.sum() * exposure, np.maximum(refined.fitted[used] * exposure, _LEAST)
    if counts.mean() < _FEW_COUNTS:
        gain = float((counts * np.log(fitted / flat) - fitted + flat).sum())
        promised = float((fitted * np.log(fitted / flat) - fitted + flat).sum())
        return float(np.clip(gain / promised, 0, 1)) if promised > 0 else 0.0
    structure = excess(flat)
    return 1 - excess(refined.fitted[used] * exposure) / structure if structure > 0 else 0.0


def _fit(inversion: Inversion) -> Finding:
    refined = inversion.refined
    assert refined is not None
    mean, deviation = refined.expected_chi2
    ratio, distance = refined.chi2 / mean, (refined.chi2 - mean) / deviation
    share = explained_share(inversion)
    numbers = {
        "chi2": refined.chi2,
        "expected": mean,
        "expected_sigma": deviation,
        "cells": refined.n_data,
        "explained_share": share,
    }
    text = (
        f"it accounts for {100 * share:.0f} % of the structure in the counts; chi2 is {refined.chi2:.0f} where "
        f"{mean:.0f} ± {deviation:.0f} is expected of {refined.scatter}"
    )
    if share < _EXPLAINED_BAD:
        sentence = f"The fit does not describe the data: {text}. Look at the residuals for spurions and background."
        return Finding("fit", Status.BAD, sentence, numbers)
    if refined.overdispersion > 1.005:
        text += f"; errors are enlarged by {np.sqrt(refined.overdispersion):.2f} for it"
    if share > _EXPLAINED_LOOK and (ratio < _CHI2_LOOK or distance < _CHI2_SIGMA):
        return Finding("fit", Status.OK, f"The fit describes the data: {text}.", numbers)
    return Finding("fit", Status.LOOK, f"The fit leaves something unexplained: {text}.", numbers)


def _starts(inversion: Inversion) -> Finding:
    refined = inversion.refined
    assert refined is not None
    path = inversion.path
    modes = np.array([fit.mode for fit in refined.fits])
    energies = inversion.prior.dynamics(path.q, path.direction).energies(modes)
    apart = np.sqrt(((energies - energies[0]) ** 2).mean(axis=(1, 2)))
    near = np.array([fit.objective - refined.fits[0].objective < _AS_GOOD for fit in refined.fits])
    other = near & (apart > _ANOTHER)
    n_starts = np.array([fit.n_starts for fit in refined.fits])
    same = int(n_starts[apart <= _ANOTHER].sum())
    numbers = {"starts": int(n_starts.sum()), "same_answer": same, "other_answers": int(other.sum())}
    if other.any():
        sentence = (
            f"Another answer fits nearly as well: its dispersion is {apart[other].max():.1f} meV rms away. "
            "The measurement does not tell them apart."
        )
        return Finding("starts", Status.BAD, sentence, numbers)
    sentence = f"{same} of {n_starts.sum()} starts end in this answer, none in another that fits as well."
    return Finding("starts", Status.OK, sentence, numbers)


def _shape(inversion: Inversion) -> Finding:
    refined = inversion.refined
    assert refined is not None
    share = refined.effective_sample_size / len(refined.draws)
    numbers = {"effective_share": share}
    if share < FEW_DRAWS:
        sentence = (
            f"The posterior is not Gaussian: reweighted, the draws are worth {100 * share:.0f} % of them. Bands "
            "and sigma are those of its Gaussian approximation."
        )
        return Finding("posterior", Status.LOOK, sentence, numbers)
    sentence = f"The posterior is close to Gaussian: reweighted, the draws are worth {100 * share:.0f} % of them."
    return Finding("posterior", Status.OK, sentence, numbers)


def _conflict(inversion: Inversion) -> Finding:
    distance = inversion.conflict
    far = np.flatnonzero(np.abs(distance) > CONFLICT)
    numbers = {"in_conflict": [int(k) for k in far]}
    if not len(far):
        worst = float(np.abs(distance).max())
        sentence = f"No force constant is farther than {worst:.1f} prior standard deviations from the force fields."
        return Finding("prior", Status.OK, sentence, numbers)
    farthest = far[np.argsort(-np.abs(distance[far]))][:4]
    names = ", ".join(f"FC{k} ({distance[k]:+.1f})" for k in farthest)
    sentence = (
        f"Data and force fields disagree on {len(far)} force constant{'s' * (len(far) > 1)} by more than "
        f"{CONFLICT:g} prior standard deviations: {names}."
    )
    bad = len(far) > _CONFLICTS_BAD * len(distance)
    return Finding("prior", Status.BAD if bad else Status.LOOK, sentence, numbers)


def _stability(inversion: Inversion) -> Finding:
    derived = inversion.derived
    numbers = {"imaginary_share": derived.imaginary_share, "lowest_mev": derived.lowest}
    if derived.lowest < -TOLERANCE:
        sentence = f"The answer has imaginary modes, down to {-derived.lowest:.2f} meV: it is no stable crystal."
        return Finding("stability", Status.BAD, sentence, numbers)
    if derived.imaginary_share > _IMAGINARY_LOOK:
        sentence = (
            f"{100 * derived.imaginary_share:.0f} % of the draws have imaginary modes; they are left out of all "
            "quantities but the dispersion."
        )
        bad = derived.imaginary_share > _IMAGINARY_BAD
        return Finding("stability", Status.BAD if bad else Status.LOOK, sentence, numbers)
    share = derived.imaginary_share
    draws = f"nor any of {100 * (1 - share):.1f} % of the draws" if share else "nor any of the draws"
    return Finding("stability", Status.OK, f"No mode of the answer is imaginary, {draws}.", numbers)


def _network(inversion: Inversion) -> Finding:
    network = inversion.network
    assert network is not None
    answer = network.answer
    numbers: dict[str, object] = {
        "out_of_range": list(answer.out_of_range),
        "distance": answer.distance,
        "threshold": answer.threshold,
    }
    sentences = list(answer.flags)
    if inversion.refined is not None:
        shift = _rms(network.energies.value, inversion.derived.energies.value)
        numbers["shift_mev"] = shift
        sentences.append(f"Refinement moves the network's dispersion by {shift:.2f} meV rms.")
    status = Status.LOOK if answer.flags else Status.OK
    return Finding(
        "network", status, " ".join(sentences) or "The measurement looks like its training set.", numbers
    )


def _strain(inversion: Inversion) -> Finding:
    sentence = (
        f"The lattice of the measurement differs by {100 * inversion.strain:.2f} % from that of the force fields, "
        "as by thermal expansion: taken as the same crystal."
    )
    return Finding("crystal", Status.OK, sentence, {"strain": inversion.strain})


def _rms(one: FloatArray, other: FloatArray) -> float:
    return float(np.sqrt(((one - other) ** 2).mean()))
