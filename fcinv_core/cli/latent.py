"""fcinv latent: what the latent space of a variational autoencoder holds, and where spectra fall in it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.terminal import tell
from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.latent.study import LatentStudy

DESCRIPTION = """\
Look into the latent space of a variational autoencoder (`fcinv train --architecture vae`) with spectra that it has
not seen: which dimensions it uses, how force constants lie in it, what its decoder paints where one of them
changes, and where the same spectra fall when they are noisy, measured in a single orientation, or measured with all
that simulated measurements have; and folded measurements, whole and run by run.

Files in the folder DIR, which appears whole or not at all:
  latent.json            all numbers
  activity.png           variance of the mean of each dimension, and the encoder's σ
  force_constants.png    clean spectra in a plane (UMAP if umap-learn is installed, else principal components),
                         coloured by force constants
  measurements.png       where measurements of the same spectra fall in that plane
  ray_FC0.png ...        decoded spectra where a force constant changes, over the true ones"""

EPILOG = """\
example:
  fcinv latent --model models/ge_vae --training training.h5 --folded folded.nxs --out latent/"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv latent`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "latent",
        help="look into the latent space of a variational autoencoder",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--model",
        required=True,
        metavar="MODEL",
        help="folder of a trained vae, or the name of a shipped one: ge_vae",
    )
    parser.add_argument(
        "--training", type=Path, required=True, metavar="TRAINING.h5", help="the training set of its crystal"
    )
    parser.add_argument(
        "--folded",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDED.nxs",
        help="folded measurements whose place is asked for",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for numbers and pictures")
    parser.add_argument(
        "--samples", type=int, default=1000, help="spectra of the test part at most (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same result (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.files import check_replaceable, sha256
    from fcinv_core.folding.folded_file import read_folded
    from fcinv_core.latent.encoding import autoencoder_of
    from fcinv_core.latent.measurements import FoldedImages, folded_images
    from fcinv_core.latent.study import study_latent_space
    from fcinv_core.latent.writing import LATENT, write_latent
    from fcinv_core.networks.model import load_model
    from fcinv_core.shipped import describe_model, find_model
    from fcinv_core.training_set import TrainingSet

    check_replaceable(arguments.out, LATENT)
    folder = find_model(arguments.model)
    model, training = load_model(folder), TrainingSet.open(arguments.training)
    autoencoder_of(model)
    folded: list[FoldedImages] = []
    for path in arguments.folded:
        if any(path.stem == one.name for one in folded):
            raise InputError(
                f"two folded files are called {path.stem!r}", "results go by these names", "rename one"
            )
        tell(f"reading {path}")
        folded.append(folded_images(model, *read_folded(path), path.stem))
    study = study_latent_space(model, training, folded, n=arguments.samples, seed=arguments.seed, say=tell)
    provenance = {
        "command": arguments.command_line,
        "model": describe_model(folder),
        "training_set": f"{arguments.training.name}, sha256 {sha256(arguments.training)}",
        "folded": [f"{path.name}, sha256 {sha256(path)}" for path in arguments.folded],
    }
    write_latent(study, arguments.out, provenance)
    print(summary(study))
    print(f"written to {arguments.out}")
    return 0


def summary(study: LatentStudy) -> str:
    """Return the leading numbers as lines for people."""
    from fcinv_core.latent.writing import latent_content

    content = latent_content(study, {})
    r2 = "  ".join(f"{name} {value:.2f}" for name, value in content["linear_r2"].items())
    rays = "  ".join(
        f"{name} {ray['share_of_change_encoded_and_decoded']:.0%}, {ray['share_of_change_on_straight_line']:.0%}"
        for name, ray in content["rays"].items()
    )
    lines = [
        f"{content['active']} of {content['dimensions']} latent dimensions are active",
        f"R² of linear functions of them: {r2}",
        f"share of the change of spectra that is decoded where they are encoded, and on a straight line: {rays}",
        f"distance from the cloud of clean spectra, 95 % of which lie within {study.border:.2f}:",
    ]
    places = dict(content["measurements"])
    for name, folded in content["folded"].items():
        places[f"{name}, all runs"] = folded["whole"]
        if folded["single_runs"] is not None:
            places[f"{name}, single runs"] = folded["single_runs"]
    width = max(map(len, places))
    lines += [
        f"  {name:{width}}  {place['median_distance']:5.2f}, σ of the encoder {place['median_encoder_sigma']:.2f}"
        for name, place in places.items()
    ]
    return "\n".join(lines)
