"""fcinv demo: the whole method on germanium, from shipped force fields and a virtual experiment, in minutes."""

from __future__ import annotations

import argparse
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.folding.folded import BoolArray, Folded
    from fcinv_core.inversion.inversion import Inversion
    from fcinv_core.training_set import TrainingSet

DESCRIPTION = """\
Go through the whole method on germanium, in two to three minutes on two cores, with what comes with fcinv:

  1. force constants of eight universal force fields -> a training set of stable sets around them
  2. a small network is trained on it, to show how; the shipped model, trained longer, does the inversion
  3. events of a virtual experiment -> I(q, E) in one Brillouin zone
  4. inversion: network, refinement, uncertainties, verdict, report
  5. comparison with the force constants that the experiment was made with

The folder DIR then holds training/, small_model/, folded.nxs, fold/ and result/report.html."""

#: Sets in the training set of the demonstration, and passes over it.
_SETS, _EPOCHS = 2_500, 5
_WIDTH = 100


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv demo`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="the whole method on germanium, in minutes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for everything that is made")
    parser.add_argument("--model", default="ge", help="model that does the inversion (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.shipped import find_model

    out: Path = arguments.out
    model = find_model(arguments.model)
    if out.is_file():
        raise InputError(f"{out} cannot be written", "it is a file", "name a folder")
    started = time.monotonic()
    training = _training_set(out)
    _small_network(training, out)
    folded, keep = _fold(out)
    inversion = _invert(folded, keep, model, out, arguments.command_line)
    _compare(inversion)
    print(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes. Open {out / 'result' / 'report.html'}")
    return 0


def _training_set(out: Path) -> TrainingSet:
    from fcinv_core.generation import GenerationSettings, generate_training_set
    from fcinv_core.potentials.shipped import shipped_ensemble

    _step(
        1,
        "Training set",
        "Eight universal force fields disagree on the force constants of germanium. Over the range they span, "
        f"and beyond it because all of them are too soft, {_SETS} dynamically stable sets are drawn, each with "
        "its mode energies along the standard path.",
    )
    members = shipped_ensemble("ge")
    return generate_training_set(
        members[0].parent / "POSCAR",
        members,
        out / "training" / "training.h5",
        GenerationSettings(n=_SETS),
        say=_say,
    )


def _small_network(training: TrainingSet, out: Path) -> None:
    from fcinv_core.networks import TrainSettings, train

    _step(
        2,
        "A network, trained live",
        "A variational autoencoder learns to compress spectra, and a regressor to read force constants from its 20 "
        f"latent variables; noise, background, resolution and missing coverage are drawn anew in each of {_EPOCHS} "
        "passes. This small one shows the training only; the inversion below uses the shipped model.",
    )
    train(training, out / "small_model", TrainSettings(epochs=_EPOCHS), say=_say)


def _fold(out: Path) -> tuple[Folded, BoolArray]:
    from fcinv_core.crystal import read_structure
    from fcinv_core.events.opening import open_events
    from fcinv_core.folding.energy_bins import energy_bins
    from fcinv_core.folding.figures import write_figures
    from fcinv_core.folding.fold import FoldSettings, fold
    from fcinv_core.folding.folded_file import write_folded
    from fcinv_core.folding.selection import select_cells, summarise
    from fcinv_core.qpath import FOLD_POINTS, standard_path
    from fcinv_core.shipped import virtual_experiment

    folder = virtual_experiment()
    events = folder / "ge_small.nxs"
    _step(
        3,
        "Fold a virtual experiment",
        "Events of germanium on ARCS (Ei 45 meV, 10 K, 23 orientations), computed from force constants that no "
        "force field has, are brought into one Brillouin zone together with what every detector covered.",
    )
    source = open_events([events])
    crystal = read_structure(folder / "POSCAR")
    folded = fold(source, crystal, standard_path(crystal, FOLD_POINTS), FoldSettings(grid=energy_bins(source)))
    keep, rejected = select_cells(folded)
    write_folded(out / "folded.nxs", folded, keep=keep, event_file=events)
    write_figures(folded, out / "fold", keep=keep)
    print(summarise(folded, rejected))
    return folded, keep


def _invert(folded: Folded, keep: BoolArray, model: Path, out: Path, command: str) -> Inversion:
    from fcinv_core.cli.invert import summary
    from fcinv_core.inversion.invert import invert
    from fcinv_core.inversion.results import write_result
    from fcinv_core.networks.model import load_model

    _step(
        4,
        "Invert",
        "The shipped network looks at the folded spectrum and draws force constants; from them a refinement "
        "through the lattice dynamics goes to what the counting statistics allow, with amplitudes, background, "
        "resolution and energy offset free.",
    )
    provenance = {"command": command, "measurement": "ge_small.nxs", "model": model.name}
    inversion = invert(folded, keep, load_model(model), provenance=provenance, say=_say)
    write_result(inversion, out / "result")
    print(summary(inversion))
    return inversion


def _compare(inversion: Inversion) -> None:
    from fcinv_core.force_constants.phonopy_files import read_force_constants
    from fcinv_core.inversion.truth import compare
    from fcinv_core.shipped import virtual_experiment

    _step(5, "Compare with the truth", "In a virtual experiment the answer is known; nothing above has seen it.")
    truth = read_force_constants(virtual_experiment() / "phonopy_params_truth.yaml.xz", inversion.prior.crystal)
    found = compare(inversion, truth)
    print("\n".join(textwrap.wrap(found.describe(), _WIDTH)))


def _say(line: str) -> None:
    print(line, flush=True)


def _step(number: int, title: str, meaning: str) -> None:
    text = "\n".join(textwrap.wrap(meaning, _WIDTH))
    print(f"\n{number}. {title}\n{text}\n", flush=True)
