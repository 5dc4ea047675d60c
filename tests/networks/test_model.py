"""Models answer measurements, and folders that are not what they seem are refused."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcinv_core.errors import InputError
from fcinv_core.files import sha256
from fcinv_core.networks import Model, load_model
from fcinv_core.networks.architectures import ARCHITECTURES, Problem, build, default_parameters
from fcinv_core.networks.layers import ImageShape
from fcinv_core.networks.model_folder import FEATURES, PRIOR, WEIGHTS
from fcinv_core.networks.spot import Spot
from fcinv_core.prior import prior_from_members
from fcinv_core.prior_hdf5 import write_prior
from fcinv_core.qpath import standard_path
from fcinv_core.shipped import CARD
from fcinv_core.spectrum import SpectralGrid, render
from fcinv_core.training_set import TrainingSet
from tests.ensembles import aluminium_ensemble


def no_spot() -> Spot:
    return Spot(0.0, 0, 0)


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Model:
    return load_model(model_folder)


def measurement(training: TrainingSet, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    spectrum = render(training.energies(slice(number, number + 1))[0], training.grid, training.resolution)
    exposure = np.full(spectrum.shape, 200.0)
    return np.random.default_rng(number).poisson(spectrum * exposure).astype(float), exposure


def test_draws_are_all_force_constants_and_follow_the_seed(model: Model, training: TrainingSet) -> None:
    counts, exposure = measurement(training)
    answers = [
        model.answer(counts, exposure, 50, seed, path=training.qpath, grid=training.grid) for seed in (1, 1, 2)
    ]
    assert answers[0].draws.shape == (50, training.prior.n_force_constants)
    np.testing.assert_array_equal(answers[0].draws, answers[1].draws)
    assert not np.array_equal(answers[0].draws, answers[2].draws)
    np.testing.assert_array_equal(answers[0].retained, training.retained)
    assert answers[0].latent is not None
    assert answers[0].latent.shape == (50, 20)
    assert answers[0].reconstructed is not None
    assert answers[0].reconstructed.shape == answers[0].input.shape == answers[0].covered.shape == (31, 40)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_answer_costs_one_pass_of_the_encoder_and_its_draws_can_be_had_alone(
    model: Model, training: TrainingSet, architecture: str
) -> None:
    taught = model.card["targets"]
    problem = Problem(ImageShape(**model.card["image"]), tuple(taught["retained"]), len(taught["numbers"]))
    network = build(architecture, problem, default_parameters(architecture)).eval()
    other = replace(model, network=network, features=None)
    passes = []
    encoder = network.get_submodule("backbone" if architecture.startswith("resnet") else "encoder")
    encoder.register_forward_hook(lambda *_: passes.append(1))
    counts, exposure = measurement(training)
    answer = other.answer(counts, exposure, 7, 3, path=training.qpath, grid=training.grid)
    assert len(passes) == 1
    drawn = other.draw(counts, exposure, 7, 3, path=training.qpath, grid=training.grid)
    assert len(passes) == 2
    np.testing.assert_array_equal(drawn.draws, answer.draws)
    np.testing.assert_array_equal(drawn.retained, answer.retained)


def test_an_answer_does_not_depend_on_the_sampling_of_the_measurement(model: Model, training: TrainingSet) -> None:
    fine, grid = standard_path(training.prior.crystal, 31), SpectralGrid(0.0, training.grid.maximum, 80)
    spectrum = render(training.energies(slice(0, 1))[0], grid, training.resolution)
    exposure = np.full(spectrum.shape, 1e3)
    one = model.answer(spectrum * exposure, exposure, 5, 0, path=fine, grid=grid)
    summed = [x.reshape(31, 40, 2).sum(axis=2) for x in (spectrum * exposure, exposure)]
    other = model.answer(*summed, 5, 0, path=training.qpath, grid=training.grid)
    np.testing.assert_allclose(one.draws, other.draws, rtol=1e-3, atol=1e-4)


def test_a_model_loads_in_under_a_second(model_folder: Path) -> None:
    load_model(model_folder)
    started = time.process_time()
    load_model(model_folder)
    assert time.process_time() - started < 1.0


def test_force_constants_out_of_range_are_flagged(model: Model) -> None:
    mean = model.prior.in_range(np.full(model.prior.n_force_constants, 0.5))
    assert model._out_of_range(mean) == ()
    first = int(model.retained[0])
    mean[first] = model.prior.in_range(np.full(len(mean), 1.6))[first]
    assert model._out_of_range(mean) == (first,)
    none = dict.fromkeys(model.largest, 0.0)
    assert model._flags((), none, no_spot) == ()
    assert f"FC{first}" in model._flags((first,), none, no_spot)[0]


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ("misfit", "unlike those"),
        ("spread", "next to nothing"),
        ("feature_distance", "no such spectrum"),
        ("spot", "may be a spurion"),
    ],
)
def test_a_sign_beyond_its_threshold_is_flagged_in_one_sentence(model: Model, sign: str, words: str) -> None:
    none = dict.fromkeys(model.largest, 0.0)
    (flag,) = model._flags((), {**none, sign: model.largest[sign] + 0.1}, no_spot)
    assert words in flag


@pytest.mark.parametrize("name", [WEIGHTS, PRIOR, FEATURES])
def test_damaged_files_are_told_by_their_checksum(model_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"{name} is damaged"):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"lacks {name}"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 99}, "of schema 99"),
        ({"format": "a poem"}, "calls itself 'a poem'"),
        ({"architecture": "oracle"}, "no architecture 'oracle'"),
        ({"parameters": {"latents": 3}}, "cannot be put together"),
        ({"grid": None}, "cannot be put together"),
    ],
)
def test_cards_that_do_not_fit_are_refused(
    model_folder: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **change}))
    with pytest.raises(InputError, match=words):
        load_model(folder)


def test_a_broken_card_and_an_empty_folder_are_refused(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a model"):
        load_model(tmp_path)
    folder = shutil.copytree(model_folder, tmp_path / "model")
    (folder / CARD).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        load_model(folder)


def test_a_prior_of_another_crystal_is_refused(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    other = prior_from_members(aluminium_ensemble()[:2])
    with h5py.File(folder / PRIOR, "w") as file:
        write_prior(file.create_group("prior"), other)
        lattice = file["prior/crystal/lattice"]
        lattice[...] = 1.1 * lattice[()]
    card = json.loads((folder / CARD).read_text())
    card["sha256"][PRIOR] = sha256(folder / PRIOR)
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="belongs to another crystal"):
        load_model(folder)
