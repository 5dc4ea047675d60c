"""Measurements drawn of clean spectra have the statistics that they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcinv_core.networks.amplitudes import AmplitudeRanges, random_amplitudes, random_functions
from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.coverage import CoverageRanges, random_coverage
from fcinv_core.networks.inputs import NOISE_FREE
from fcinv_core.spectrum import render
from fcinv_core.training_set import TrainingSet

#: Nothing but counting noise.
NOISE_ONLY = MeasurementRanges(
    amplitudes=AmplitudeRanges(equal=1.0),
    coverage=CoverageRanges(full=1.0),
    width=(1.0, 1.0),
    width_slope=(0.0, 0.0),
    smearing=0.0,
    offset=0.0,
    background=(0.0, 0.0),
    incoherent=(0.0, 0.0),
    tail=(0.0, 0.0),
    counts=(50.0, 50.0),
    noise_free=0.0,
)


def spectrometer(training: TrainingSet, ranges: MeasurementRanges | None) -> Spectrometer:
    return Spectrometer(training.qpath, training.grid, training.resolution, ranges)


def test_counts_are_poisson_about_intensity_times_exposure(training: TrainingSet) -> None:
    energies, generator = training.energies(slice(0, 1))[0], np.random.default_rng(1)
    drawn = [spectrometer(training, NOISE_ONLY).measure(energies, generator) for _ in range(400)]
    counts = np.array([one for one, _ in drawn])
    clean = render(energies, training.grid, training.resolution).astype(float)
    expected = counts.mean() * clean / clean.mean()
    # 50 counts at the 99th percentile of the intensity.
    assert np.quantile(expected, 0.99) == pytest.approx(50, rel=0.05)
    bright = expected > 2
    deviation = (counts - expected)[:, bright]
    # Variance over mean of Poisson counts is 1; the standard error over n values is about sqrt(2 / n).
    n = deviation.size
    assert (deviation**2 / expected[bright]).mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / n) + 0.005)
    assert counts.min() >= 0
    assert np.array_equal(counts, counts.round())


def test_without_noise_intensities_are_those_of_the_renderer(training: TrainingSet) -> None:
    energies = training.energies(slice(0, 1))[0]
    quiet = replace(NOISE_ONLY, noise_free=1.0)
    clean = render(energies, training.grid, training.resolution)
    for ranges in (None, quiet):
        counts, exposure = spectrometer(training, ranges).measure(energies, np.random.default_rng(0))
        shape = (counts / exposure) / (counts / exposure).max()
        np.testing.assert_allclose(shape, clean / clean.max(), atol=1e-6)
        assert exposure.mean() == pytest.approx(NOISE_FREE)


def test_ideal_spectra_are_those_of_the_renderer_on_a_constant_background(training: TrainingSet) -> None:
    energies, levels = training.energies(slice(0, 1))[0], []
    clean = render(energies, training.grid, training.resolution).astype(float)
    ideal = MeasurementRanges(ideal=1.0, noise_free=1.0)
    for seed in range(40):
        counts, exposure = spectrometer(training, ideal).measure(energies, np.random.default_rng(seed))
        assert np.ptp(exposure) == 0
        intensity = counts / exposure
        level = float(intensity.min() - clean.min() / clean.max())
        np.testing.assert_allclose(intensity - level, clean / clean.max(), atol=1e-6)
        levels.append(level)
    # Three in ten have none, the others up to 0.4 of the maximum.
    assert 0.1 < np.mean(np.abs(levels) < 1e-6) < 0.5
    assert 0.3 < max(levels) < 0.4


def test_ideal_spectra_are_as_many_as_asked_for_and_their_counts_are_poisson(training: TrainingSet) -> None:
    energies = training.energies(slice(0, 1))[0]
    half = replace(NOISE_ONLY, ideal=0.5, amplitudes=AmplitudeRanges(equal=0.0))
    clean = render(energies, training.grid, training.resolution).astype(float)
    ratios = []
    for seed in range(200):
        counts, _ = spectrometer(training, half).measure(energies, np.random.default_rng(seed))
        expected = 50 * clean / clean.max()
        bright = expected > 2
        ratios.append(((counts - expected)[bright] ** 2 / expected[bright]).mean())
    like_poisson = np.abs(np.array(ratios) - 1) < 5 * np.sqrt(2 / bright.sum())
    assert like_poisson.mean() == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / 200))


def test_background_is_flat_in_counts_whatever_ki_over_kf(training: TrainingSet) -> None:
    energies = training.energies(slice(0, 1))[0]
    flat = replace(NOISE_ONLY, background=(0.4, 1.0), noise_free=1.0)
    levels = []
    for seed in range(20):
        counts, exposure = spectrometer(training, flat).measure(energies, np.random.default_rng(seed))
        intensity = counts / exposure
        # Above the modes there is nothing but background; full coverage has the incident energy of the grid's end.
        incident = training.grid.maximum / 0.95
        above = training.grid.centres > 1.1 * energies.max()
        kikf = np.sqrt(incident / (incident - training.grid.centres[above]))
        in_counts = intensity[:, above] / kikf
        np.testing.assert_allclose(in_counts, in_counts[:, :1] * np.ones(above.sum()), rtol=1e-3)
        levels.append(in_counts.mean())
    assert min(levels) < 0.1
    assert 0.2 < max(levels) < 0.8


def test_coverage_ranges_from_everything_to_a_few_bands(training: TrainingSet) -> None:
    generator = np.random.default_rng(0)
    share = np.array(
        [
            (random_coverage(generator, training.qpath, training.grid, CoverageRanges())[0] > 0).mean()
            for _ in range(400)
        ]
    )
    assert share.min() > 0
    assert 0.15 < (share == 1).mean() < 0.35
    assert (share < 0.2).mean() > 0.1


def test_missing_pixels_hold_no_counts(training: TrainingSet) -> None:
    generator = np.random.default_rng(4)
    for energies in training.energies(slice(0, 30)):
        counts, exposure = spectrometer(training, MeasurementRanges()).measure(energies, generator)
        assert not counts[exposure == 0].any()
        assert np.isfinite(counts).all()
        assert exposure.min() >= 0


def test_random_functions_are_standard_and_smooth(training: TrainingSet) -> None:
    functions = random_functions(np.random.default_rng(2), training.qpath, 20_000)
    np.testing.assert_allclose(functions.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(functions.std(axis=0), 1, atol=0.04)
    step = np.diff(functions, axis=1) / np.maximum(np.diff(training.qpath.distance), 1e-3)
    length = training.qpath.distance[-1]
    assert np.sqrt((step**2).mean()) * length < 6 * np.pi


def test_amplitudes_are_positive_and_some_modes_vanish(training: TrainingSet) -> None:
    generator, ranges = np.random.default_rng(5), AmplitudeRanges(equal=0.0, hidden=1.0, occupation=0.0)
    smallest = []
    for energies in training.energies(slice(0, 40)):
        amplitudes = random_amplitudes(generator, energies, training.qpath, training.grid.maximum, ranges)
        assert (amplitudes > 0).all()
        smallest.append((amplitudes / amplitudes.max(axis=0)).min())
    assert min(smallest) < 0.02


def test_occupation_favours_low_energies_as_detailed_balance_says(training: TrainingSet) -> None:
    energies = training.energies(slice(0, 1))[0]
    cold = AmplitudeRanges(equal=0.0, branch=0.0, hidden=0.0, occupation=1.0, temperature=(1.0, 1.0001))
    amplitudes = random_amplitudes(np.random.default_rng(0), energies, training.qpath, training.grid.maximum, cold)
    # One common function of q stays; without thermal occupation the rest is 1 / E.
    lit = (energies > 0.05 * training.grid.maximum).all(axis=1)
    product = (amplitudes * energies)[lit]
    assert len(product) > 10
    np.testing.assert_allclose(product, product[:, :1] * np.ones(energies.shape[1]), rtol=1e-6)
