"""Activity, planes and rays are what they say of latents that are known, and of the model that ships."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fcinv_core.cli.latent import summary
from fcinv_core.crystal import read_structure
from fcinv_core.errors import InputError
from fcinv_core.events.opening import open_events
from fcinv_core.folding.energy_bins import energy_bins
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.latent.activity import Activity, linear_r2
from fcinv_core.latent.encoding import Latents, autoencoder_of, encode
from fcinv_core.latent.measurements import NOISE, folded_images, images_of, kinds
from fcinv_core.latent.plane import principal_plane
from fcinv_core.latent.study import LatentStudy, study_latent_space
from fcinv_core.latent.writing import write_latent
from fcinv_core.networks import Model, load_model
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import shipped_models, virtual_experiment
from fcinv_core.training_set import TrainingSet


def test_a_dimension_is_active_where_its_mean_follows_the_spectra() -> None:
    generator = np.random.default_rng(0)
    mean = generator.standard_normal((4000, 3)) * [1.0, 0.05, 0.2]
    log_variance = np.log(np.full((4000, 3), [0.01, 1.0, 0.5]))
    activity = Activity.of(Latents(mean, log_variance))
    np.testing.assert_allclose(activity.variance, [1.0, 0.0025, 0.04], rtol=0.1)
    assert activity.active.tolist() == [True, False, True]
    # Divergence from the standard normal, by torch's own formula.
    own = torch.distributions.Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).mean(dim=0)
    np.testing.assert_allclose(activity.divergence, expected.numpy(), rtol=1e-6)


def test_linear_r2_is_one_for_a_linear_function_and_none_for_noise() -> None:
    generator = np.random.default_rng(1)
    mean = generator.standard_normal((600, 5))
    values = np.column_stack([mean @ [1.0, -2.0, 0.5, 0.0, 3.0] + 7, generator.standard_normal(600)])
    one, none = linear_r2(Latents(mean, np.zeros_like(mean)), values)
    assert one == pytest.approx(1.0)
    assert -0.1 < none < 0.05


def test_principal_components_keep_the_distances_in_a_plane() -> None:
    generator = np.random.default_rng(2)
    flat = generator.standard_normal((50, 2)) * [3.0, 1.0]
    turned = np.linalg.qr(generator.standard_normal((6, 6)))[0][:, :2]
    plane = principal_plane(flat @ turned.T + 5.0)
    assert plane.axes[0].startswith("component 1 (")
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(plane.place(flat @ turned.T + 5.0), axis=0), axis=1),
        np.linalg.norm(np.diff(flat, axis=0), axis=1),
    )


def test_one_orientation_is_the_noisy_spectrum_with_most_of_it_missing(training: TrainingSet) -> None:
    energies = training.energies(np.arange(6))
    for one in energies:
        measured = {name: measure(one, np.random.default_rng(3)) for name, measure in kinds(training).items()}
        counts, exposure = measured["noisy"]
        some, covered = measured["single orientation"]
        assert (exposure > 0).all()
        inside = covered > 0
        assert 0.02 < inside.mean() < 0.7
        np.testing.assert_array_equal(some[inside], counts[inside])
        assert not some[~inside].any()
        # Far from lines only the background counts.
        assert np.quantile(counts, 0.2) == pytest.approx(NOISE.background * NOISE.peak_counts, rel=0.5)


def test_the_ray_touches_the_curve_of_encoded_spectra_in_its_middle(study: LatentStudy) -> None:
    for ray in study.rays:
        middle = len(ray.values) // 2
        np.testing.assert_allclose(ray.straight[middle], ray.encoded[middle], rtol=1e-4, atol=1e-5)
        assert ray.explained(ray.true) == 1.0
        assert ray.explained(np.broadcast_to(ray.true.mean(axis=0), ray.true.shape)) == pytest.approx(0.0, abs=1e-5)
    assert [ray.number for ray in study.rays] == sorted(study.model.retained)[:4]


def test_noise_moves_latents_less_than_missing_coverage(study: LatentStudy) -> None:
    assert not study.shift("clean").any()
    shifts = [np.median(study.shift(kind)) for kind in ("noisy", "single orientation")]
    assert 0 < shifts[0] < shifts[1]
    inside = study.distance(study.clean) <= study.border
    assert inside.mean() == pytest.approx(0.95, abs=0.03)
    # The mean square of Mahalanobis distances of the cloud from itself is its number of dimensions.
    assert (study.distance(study.clean) ** 2).mean() == pytest.approx(1.0, abs=0.05)


def test_the_folder_holds_numbers_and_pictures(study: LatentStudy, tmp_path: Path) -> None:
    write_latent(replace(study, rays=study.rays[:2]), tmp_path / "latent", {"command": "test"})
    content = json.loads((tmp_path / "latent" / "latent.json").read_text(encoding="utf-8"))
    assert content["dimensions"] == 20
    assert content["active"] == sum(value > 0.01 for value in content["activity"]["clean"]["variance_of_mean"])
    assert set(content["measurements"]) == {"clean", "noisy", "single orientation", "simulated measurement"}
    assert set(content["rays"]) == {"FC0", "FC1"}
    assert set(content["linear_r2"]) == {f"FC{k}" for k in study.model.retained}
    pictures = sorted(path.name for path in (tmp_path / "latent").glob("*.png"))
    assert pictures == ["activity.png", "force_constants.png", "measurements.png", "ray_FC0.png", "ray_FC1.png"]


def test_the_summary_says_how_many_are_active_and_where_measurements_fall(study: LatentStudy) -> None:
    first, *rest = summary(study).splitlines()
    assert first == "20 of 20 latent dimensions are active"
    assert [line.split(",")[0].split() for line in rest[-4:]] == [
        [*kind.split(), f"{np.median(study.distance(latents)):.2f}"] for kind, latents in study.latents.items()
    ]


def test_a_model_without_a_latent_space_is_refused(training: TrainingSet) -> None:
    with pytest.raises(InputError, match="a flow has no latent space"):
        study_latent_space(load_model(shipped_models()["ge"]), training)


def test_another_crystal_and_too_few_spectra_are_refused(model: Model, training: TrainingSet) -> None:
    other = replace(model, card={**model.card, "basis": "that of another crystal"})
    with pytest.raises(InputError, match="does not belong to the crystal"):
        study_latent_space(other, training)
    with pytest.raises(InputError, match="12 spectra of the test part"):
        study_latent_space(model, training, n=12)


def test_images_are_those_that_the_model_answers_to(model: Model) -> None:
    files = virtual_experiment()
    source, crystal = open_events([files / "ge_small.nxs"]), read_structure(files / "POSCAR")
    folded = fold(source, crystal, standard_path(crystal, 61), FoldSettings(grid=energy_bins(source)))
    found = folded_images(model, folded, folded.cells.exposure > 0, "small")
    assert list(found.numbers) == [run.number for run in folded.runs]
    assert len(found.runs) == len(found.numbers)
    network = autoencoder_of(model)
    assert folded.bins.path is not None
    for numbers, image in [(found.numbers, found.whole), ([found.numbers[4]], found.runs[4])]:
        measured = folded.only_runs(numbers).intensity()
        answer = model.answer(
            measured.counts, measured.exposure_in_counts, 4000, 0, path=folded.bins.path, grid=folded.grid
        )
        np.testing.assert_allclose(image[0], answer.input, rtol=1e-6)
        latents = encode(network, image[None])
        assert answer.latent is not None
        scatter = np.exp(latents.log_variance[0] / 2)
        np.testing.assert_allclose(answer.latent.mean(axis=0), latents.mean[0], atol=0.1 * scatter.max())
        np.testing.assert_allclose(answer.latent.std(axis=0), scatter, rtol=0.05)


def test_what_is_encoded_depends_on_the_seed_only(study: LatentStudy, training: TrainingSet) -> None:
    measure = kinds(training)["simulated measurement"]
    energies = training.energies(np.arange(3))
    images = [images_of(study.model, training, energies, measure, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()
    fewer = images_of(study.model, training, energies[:1], measure, 0)
    np.testing.assert_array_equal(fewer[0], images[0][0])


def test_linear_maps_do_not_change_distances(study: LatentStudy) -> None:
    # No dimension becomes active or ceases to be.
    mixed = np.random.default_rng(4).uniform(1.0, 2.0, study.clean.mean.shape[1])
    assert Activity.of(study.clean).active.all()
    stretched = {
        kind: Latents(latents.mean * mixed, latents.log_variance) for kind, latents in study.latents.items()
    }
    other = replace(study, latents=stretched)
    for kind in study.latents:
        one, two = study.distance(study.latents[kind]), other.distance(stretched[kind])
        np.testing.assert_allclose(two, one, rtol=1e-6)
