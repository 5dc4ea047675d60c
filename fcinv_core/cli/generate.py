"""fcinv generate: from an ensemble of force constants to a training set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from fcinv_core.cli.options import (
    add_force_constant_options,
    add_spectrum_options,
    energy_range,
    resolution,
    supercell,
)

DESCRIPTION = """\
Draw sets of force constants around an ensemble, keep the dynamically stable ones, and write them with their
mode energies along the standard q-path: the training set of `fcinv train`.

Give one file a force field (phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS), or the
folder that `fcinv ensemble` made. The force constants of largest magnitude are drawn uniformly from -25 % to
+150 % of the range that the ensemble spans (100 % is the largest magnitude: force fields are too soft); the
others from the Gaussian prior. Beside the .h5 come a table (CSV) and pictures."""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv generate`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "generate",
        help="draw a training set around an ensemble of force constants",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "structure", type=Path, metavar="STRUCTURE", help="the crystal: POSCAR, CIF or phonopy yaml"
    )
    parser.add_argument(
        "--force-constants",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="sets of force constants, one file each, or a folder of phonopy_params files",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.h5", help="the training set to write")
    parser.add_argument("--n", type=int, default=10_000, help="number of samples (default: %(default)s)")
    parser.add_argument(
        "--retain",
        default="8",
        metavar="N|all|auto",
        help="force constants drawn over their ranges: the N of largest magnitude, all, or auto: those that move "
        "the dispersion by more than 0.1 meV rms (default: %(default)s)",
    )
    parser.add_argument(
        "--others",
        choices=["prior", "reference"],
        default="prior",
        help="the rest is drawn from the prior, or held at the reference (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same set (default: %(default)s)"
    )
    add_force_constant_options(parser)
    add_spectrum_options(parser)
    parser.add_argument(
        "--spread", type=float, help="relative half-width of the ranges when only one set is given, such as 0.3"
    )
    parser.add_argument("--store-spectra", action="store_true", help="write the spectra too, for other programs")
    parser.add_argument("--dask", metavar="ADDRESS", help="spread the work over the Dask scheduler at this address")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.generation import GenerationSettings, generate_training_set

    settings = GenerationSettings(
        n=arguments.n,
        retain=arguments.retain,
        others=arguments.others,
        seed=arguments.seed,
        n_points=arguments.points,
        energy_range=energy_range(arguments),
        n_bins=arguments.energy_bins,
        resolution=resolution(arguments),
        supercell=supercell(arguments),
        born=arguments.born,
        spread=arguments.spread,
        store_spectra=arguments.store_spectra,
        dask=arguments.dask,
    )
    training = generate_training_set(
        arguments.structure, arguments.force_constants, arguments.out, settings, progress=_show_progress
    )
    acceptance = training.content["acceptance"]
    print(
        f"{len(training)} stable sets in {arguments.out}; {100 * acceptance:.1f} % of the candidates were stable; "
        f"energies from {training.grid.minimum:g} to {training.grid.maximum:g} meV in {training.grid.n_bins} bins"
    )
    return 0


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r  {done} of {total} sets", end="\n" if done == total else "", file=sys.stderr, flush=True)
