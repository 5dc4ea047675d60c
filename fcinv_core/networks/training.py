"""Training a network on a training set, and writing it as a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fcinv_core.crystal import check_readable
from fcinv_core.errors import InputError
from fcinv_core.files import check_replaceable, sha256
from fcinv_core.networks.architectures import Problem, build, default_parameters
from fcinv_core.networks.augmentation import Augmentation, Spectrometer, ranges_of
from fcinv_core.networks.batches import TEST, TRAINING, VALIDATION, Samples, Standardisation
from fcinv_core.networks.checkpoint import checkpoint_path
from fcinv_core.networks.evaluation import evaluate
from fcinv_core.networks.fitting import Fitting, Optimisation
from fcinv_core.networks.inputs import InputScaling, Scaling
from fcinv_core.networks.layers import ImageShape
from fcinv_core.networks.model import Model, load_model
from fcinv_core.networks.model_card import model_card, readme
from fcinv_core.networks.model_folder import write_model
from fcinv_core.networks.processes import Processes, training_processes
from fcinv_core.shipped import CARD
from fcinv_core.training_set import TrainingSet

#: Energies below this many FWHM are taken for the elastic line.
_ELASTIC_WIDTHS = 1.5


@dataclass(frozen=True)
class TrainSettings:
    """What a user can choose about a training; see `fcinv train --help`.

    Attributes
    ----------
    architecture
        A name of `ARCHITECTURES`.
    epochs
        Passes over the training part, all stages together.
    seed
        Of weights, order and measurements.
    augment, scaling
        What the network is shown.
    batch
        Samples in a step, of all processes together.
    rate
        Highest learning rate.
    patience
        Epochs without improvement on the validation part after which a stage ends.
    threads
        Threads of torch; None for its own choice.
    half_precision
        Compute with bfloat16 where torch sees fit; faster on processors with units for it.
    resume
        Go on from the checkpoint of an interrupted training if there is one.
    pretrained
        File of weights to begin from, for architectures that take them.
    widths
        Channels of the convolutions at each resolution, from fine to coarse; None for those of the architecture.
    """

    architecture: str = "vae"
    epochs: int = 40
    seed: int = 0
    augment: Augmentation = "measured"
    scaling: Scaling = "coverage"
    batch: int = 64
    rate: float = 1.5e-3
    patience: int = 10
    threads: int | None = None
    half_precision: bool = False
    resume: bool = False
    pretrained: Path | None = None
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.widths is not None and not (self.widths and min(self.widths) > 0):
            raise InputError(
                f"widths {', '.join(map(str, self.widths)) or 'without any number'} make no network",
                "at least 1 channel was expected at each resolution",
                "give larger numbers, or none for those of the architecture",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the choices that decide the result, plain content for JSON."""
        content = asdict(self)
        for name in ("threads", "resume"):
            del content[name]
        content["widths"] = None if self.widths is None else list(self.widths)
        if self.pretrained is not None:
            content["pretrained"] = {"name": self.pretrained.name, "sha256": sha256(self.pretrained)}
        return content

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the architecture."""
        parameters = default_parameters(self.architecture)
        return parameters if self.widths is None else {**parameters, "widths": list(self.widths)}


def train(
    training: TrainingSet,
    out: Path,
    settings: TrainSettings,
    *,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    between: Callable[[], None] = lambda: None,
) -> Model:
    """Train a network and write it as a model folder.

    The checkpoint beside ``out`` is written after every epoch and removed at the end. Processes that torchrun
    started train one network together, and the first of them says and writes what there is; they must see the same
    files.

    Parameters
    ----------
    training
        The training set.
    out
        The folder to write, whole or not at all.
    settings
        What was chosen.
    say
        Called with a line for each epoch.
    progress
        Called with the steps that are done in an epoch, and their number.
    between
        Called between steps of any kind, a fraction of a second apart; what it raises ends the training.

    Raises
    ------
    InputError
        If the training set is too small, ``out`` is something else than a model, or a checkpoint does not fit.
    """
    check_replaceable(out, CARD)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    with training_processes() as processes:
        if processes.rank == 0:
            _train(training, out, settings, processes, say, progress, between)
        else:
            _train(training, out, settings, processes, lambda line: None, lambda done, total: None, between)
        processes.wait()
    return load_model(out)


def _train(
    training: TrainingSet,
    out: Path,
    settings: TrainSettings,
    processes: Processes,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
    between: Callable[[], None],
) -> None:
    """Train, and let the first process write the model."""
    samples, standardisation = samples_of(training, settings, processes.number)
    problem = problem_of(samples, standardisation)
    parameters = settings.parameters
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = build(settings.architecture, problem, parameters)
    if settings.pretrained is not None:
        check_readable(settings.pretrained, "weights to begin from")
        network.load_pretrained(settings.pretrained)
    optimisation = Optimisation(
        settings.epochs,
        settings.batch,
        settings.rate,
        settings.patience,
        settings.half_precision,
        settings.seed,
    )
    fitting = Fitting(network, samples, optimisation, checkpoint_path(out), say, progress, between, processes)
    started = time.monotonic()
    history = fitting.run({"training set": sha256(training.path), **settings.to_dict()}, resume=settings.resume)
    if processes.rank > 0:
        return
    network.eval()
    say("judging it on the validation and test parts")
    evaluation = evaluate(network, samples, standardisation, between)
    card = model_card(
        training,
        settings.to_dict(),
        problem,
        parameters,
        standardisation,
        samples,
        evaluation,
        {"epochs": len(history), "seconds_of_last_run": round(time.monotonic() - started, 1)},
    )
    text = readme(card, training)
    write_model(out, network.state_dict(), training.prior, evaluation.features, card, text, history)
    checkpoint_path(out).unlink(missing_ok=True)


def problem_of(samples: Samples, standardisation: Standardisation) -> Problem:
    """Return what a network is to learn from samples."""
    training = samples.training
    shape = ImageShape(samples.scaling.n_channels, training.qpath.n_points, training.grid.n_bins)
    taught = np.flatnonzero(np.isin(standardisation.targets, training.retained))
    return Problem(shape, tuple(int(k) for k in taught), len(standardisation.targets))


def samples_of(
    training: TrainingSet, settings: TrainSettings, n_processes: int = 1
) -> tuple[Samples, Standardisation]:
    """Return the samples that a network is shown, and what its targets are.

    Raises
    ------
    InputError
        If there are too few samples, or too few in a step for so many processes.
    """
    for name, number in (("training", TRAINING), ("validation", VALIDATION), ("test", TEST)):
        if (training.split == number).sum() < max(2, n_processes):
            raise InputError(
                f"{training.path} is too small to train on",
                f"its {name} part holds {int((training.split == number).sum())} of {len(training)} samples",
                f"generate at least {40 * n_processes} sets; networks want thousands",
            )
    if settings.batch < 2 * n_processes:
        raise InputError(
            f"{settings.batch} samples in a step of {n_processes} processes",
            "each takes at least two",
            "start fewer with --nproc-per-node",
        )
    values = training.force_constants()
    standardisation = Standardisation.of(values[training.split == TRAINING])
    elastic = _ELASTIC_WIDTHS * float(training.resolution.fwhm(np.zeros(1))[0])
    ranges = ranges_of(settings.augment)
    samples = Samples(
        training=training,
        energies=training.energies(),
        targets=standardisation.apply(values),
        spectrometer=Spectrometer(training.qpath, training.grid, training.resolution, ranges),
        scaling=InputScaling(settings.scaling, elastic if settings.scaling == "coverage" else 0.0),
        seed=settings.seed,
    )
    return samples, standardisation
