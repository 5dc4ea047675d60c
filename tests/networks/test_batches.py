"""Batches hold what they say, whatever their size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcinv_core.networks.augmentation import MeasurementRanges, Spectrometer
from fcinv_core.networks.batches import TEST, TRAINING, VALIDATION, Samples, Standardisation, unit_spectra
from fcinv_core.networks.inputs import InputScaling
from fcinv_core.training_set import TrainingSet


@pytest.fixture(scope="module")
def samples(training: TrainingSet) -> Samples:
    spectrometer = Spectrometer(training.qpath, training.grid, training.resolution, MeasurementRanges())
    values = training.force_constants()
    targets = Standardisation.of(values).apply(values)
    return Samples(training, training.energies(), targets, spectrometer, InputScaling("coverage", 3.0), seed=5)


def test_measurements_do_not_depend_on_how_they_are_batched(samples: Samples) -> None:
    part = samples.part(TRAINING)
    small, large = (list(samples.epoch(part, 3, size, shuffle=False)) for size in (5, 40))
    for name in ("images", "clean", "targets"):
        one, other = (torch.cat([getattr(batch, name) for batch in batches]) for batches in (small, large))
        assert torch.equal(one, other)


def test_every_epoch_measures_anew(samples: Samples) -> None:
    part = samples.part(TRAINING)[:4]
    images = [samples.batch(part, epoch).images for epoch in (0, 0, 1)]
    assert torch.equal(images[0], images[1])
    assert all(not torch.equal(one, other) for one, other in zip(images[0], images[2], strict=True))


def test_an_epoch_is_every_sample_once_in_another_order(samples: Samples) -> None:
    part = samples.part(TRAINING)
    seen = [torch.cat([batch.targets for batch in samples.epoch(part, epoch, 16)]).numpy() for epoch in (0, 1)]
    expected = samples.targets[part]
    for targets in seen:
        np.testing.assert_array_equal(np.sort(targets[:, 0]), np.sort(expected[:, 0]))
    assert not np.array_equal(seen[0], seen[1])


def test_parts_are_those_of_the_file(samples: Samples) -> None:
    parts = [samples.part(number) for number in (TRAINING, VALIDATION, TEST)]
    assert [len(part) for part in parts] == [51, 3, 10]
    assert len(np.unique(np.concatenate(parts))) == 64


def test_standardised_targets_go_there_and_back(training: TrainingSet) -> None:
    values = training.force_constants()
    standard = Standardisation.of(values)
    targets = standard.apply(values)
    np.testing.assert_allclose(targets.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(targets.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(standard.complete(targets, values), values, rtol=1e-5, atol=1e-6)
    values[:, 1] = 0.1  # whose standard deviation is not 0 in floating-point numbers
    assert np.std(np.full(len(values), 0.1)) > 0
    assert 1 not in Standardisation.of(values).targets


def test_one_line_alone_has_the_area_of_a_gaussian_of_height_one(training: TrainingSet) -> None:
    energies = np.full((1, training.qpath.n_points, 1), training.grid.centres[20])
    area = unit_spectra(energies, training.grid, training.resolution).sum(axis=2) * training.grid.width
    sigma = training.resolution.sigma(np.zeros(1))[0]
    np.testing.assert_allclose(area, np.sqrt(2 * np.pi) * sigma, rtol=1e-4)
