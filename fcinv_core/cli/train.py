"""fcinv train: from a training set to a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Train a network on a training set of `fcinv generate` and write it as a model: a folder with the weights, the
prior, and a card that says what it was trained on and how good it is.

Each spectrum is measured anew in every epoch: background, counting noise, resolution, missing coverage and
amplitudes are drawn at random. The folder appears when the training is complete; until then a checkpoint beside it
lets an interrupted training go on with --resume.

A GPU is used where PyTorch sees one. Several GPUs, or processes, train one network together:
  torchrun --nproc-per-node N -m fcinv_core train TRAINING.h5 --out MODEL_DIR"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv train`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a network on a training set",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("training", type=Path, metavar="TRAINING.h5", help="what `fcinv generate` wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL_DIR", help="the model to write")
    parser.add_argument(
        "--architecture",
        default="vae",
        metavar="NAME",
        help="kind of network: vae, flow, resnet or resnet_flow (default: %(default)s)",
    )
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        metavar="N",
        help="channels at each resolution, from fine to coarse (default: those of the architecture)",
    )
    parser.add_argument(
        "--epochs", type=int, default=40, help="passes over the training part (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights, order and measurements (default: %(default)s)"
    )
    parser.add_argument(
        "--augment",
        choices=["measured", "mixed", "none"],
        default="measured",
        help="train on simulated measurements, on these and as many ideal spectra with background and counting "
        "noise, or on clean spectra only (default: %(default)s)",
    )
    parser.add_argument(
        "--scaling",
        choices=["coverage", "minmax"],
        default="coverage",
        help="intensity scaled by its 99th percentile, with the coverage; or plain min-max (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="weights to begin from: of a vae for a flow, of torchvision's resnet18 for a resnet, of either kind "
        "of resnet for a resnet_flow",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use (default: all cores)")
    parser.add_argument(
        "--half-precision",
        action="store_true",
        help="compute in bfloat16: twice as fast on processors with units for it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.errors import InputError
    from fcinv_core.training_set import TrainingSet

    for name in ("epochs", "threads"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value} makes no sense", "at least 1 was expected", "give a larger number")
    training = TrainingSet.open(arguments.training)

    from fcinv_core.networks import TrainSettings, train
    from fcinv_core.networks.processes import speaks

    model = train(
        training,
        arguments.out,
        TrainSettings(
            architecture=arguments.architecture,
            epochs=arguments.epochs,
            seed=arguments.seed,
            augment=arguments.augment,
            scaling=arguments.scaling,
            threads=arguments.threads,
            half_precision=arguments.half_precision,
            resume=arguments.resume,
            pretrained=arguments.pretrained,
            widths=None if arguments.widths is None else tuple(arguments.widths),
        ),
        say=lambda line: print(line, flush=True),
        progress=_show_progress,
    )
    if not speaks():
        return 0
    tests, places = model.card["tests"], model.card["targets"]["retained"]
    for kind in ("clean", "measured"):
        r2 = [tests[kind]["r2"][place] for place in places]
        scores = "  ".join(f"FC{number} {score:.2f}" for number, score in zip(model.retained, r2, strict=True))
        print(f"R² on the test part, {kind}: {scores}")
        off = tests[kind]["dispersion_mev"]["median"]
        print(f"mode energies on the test part, {kind}: {off:.2f} meV rms off, median over spectra")
    print(f"written to {arguments.out}")
    return 0


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r  {done} of {total} steps", end="\r", file=sys.stderr, flush=True)
