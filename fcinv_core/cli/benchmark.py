"""fcinv benchmark: how good networks and refinement are, measured on spectra whose truth is known."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Measure how good networks and refinement are, on simulated spectra of the test part of a training set, whose force
constants are known: over a grid of 5 constant backgrounds (0 to 0.4 of the maximum) and 5 levels of Poisson noise
(1000 to 10 counts at the maximum)."""

NOISE_DESCRIPTION = """\
Compare networks over the grid of background and noise, with each other and with the Cramér-Rao bound: R² and mean
absolute error of each retained force constant with bootstrap intervals over spectra, errors of the mode energies;
whether their intervals hold what they say (coverage, ranks, TARP) on clean, noisy and partly covered spectra; and
whether they tell when a measurement is none of what they were trained for.

Files in the folder DIR, which appears whole or not at all:
  noise.json       all numbers
  table.md         R² of each force constant by network, clean and noisy, as a table
  grid_r2.png, grid_mae.png, grid_energies.png
                   heat maps over the grid: a column for each network and for the bound
  parity_<MODEL>.png
                   true against predicted force constants, clean spectra
  calibration.png  ranks, coverage and expected coverage
  roc.png          detection of measurements that are none of the kind trained for"""


LIMIT_DESCRIPTION = """\
Compare the refinement, from draws of a network, with the Cramér-Rao bound over the grid of background and noise:
root-mean-square error of each retained force constant over its bound, with bootstrap intervals; how often its
intervals hold the truth; how often it ends in another maximum than the one next to the truth; processor time.

Files in the folder DIR, which appears whole or not at all:
  limit.json       all numbers
  ratio.png, coverage.png
                   heat maps over the grid
  ratio_by_fc.png  ratio of each force constant in all cells"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv benchmark`` and its subcommands to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "benchmark",
        help="how good networks and refinement are, on spectra with known truth",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    _add_noise(kinds)
    _add_limit(kinds)


def _add_noise(kinds: Any) -> None:
    parser: argparse.ArgumentParser = kinds.add_parser(
        "noise",
        help="networks over the grid of background and noise",
        description=NOISE_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_noise)
    add = parser.add_argument
    add(
        "--model",
        required=True,
        action="append",
        metavar="DIR",
        help="a model by its folder, or by the name of one that comes with fcinv; give it once for each model",
    )
    add("--training", type=Path, required=True, metavar="TRAINING.h5", help="what `fcinv generate` wrote")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    add("--samples", type=int, default=300, metavar="N", help="test spectra of each cell (default: %(default)s)")
    add("--draws", type=int, default=100, metavar="N", help="draws of each spectrum (default: %(default)s)")
    add("--seed", type=int, default=0, help="of noise and draws (default: %(default)s)")
    add("--threads", type=int, metavar="N", help="threads to use (default: all cores)")


def _add_limit(kinds: Any) -> None:
    parser: argparse.ArgumentParser = kinds.add_parser(
        "limit",
        help="refinement against the bound of its errors",
        description=LIMIT_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_limit)
    add = parser.add_argument
    add(
        "--model",
        required=True,
        metavar="DIR",
        help="a model by its folder, or the name of one that comes with fcinv",
    )
    add("--training", type=Path, required=True, metavar="TRAINING.h5", help="what `fcinv generate` wrote")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    add("--samples", type=int, default=10, metavar="N", help="test spectra of each cell (default: %(default)s)")
    add("--seed", type=int, default=0, help="of noise and draws (default: %(default)s)")
    add("--dask", metavar="ADDRESS", help="spread spectra over the Dask scheduler at this address")


def run_noise(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.errors import InputError
    from fcinv_core.training_set import TrainingSet

    for name, least in (("samples", 2), ("draws", 20), ("threads", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InputError(f"--{name} {value} makes no sense", f"at least {least} was expected", "give more")
    training = TrainingSet.open(arguments.training)

    import torch

    from fcinv_core.benchmark.noise import NUMBERS, benchmark_noise, table, write_noise
    from fcinv_core.files import check_replaceable
    from fcinv_core.shipped import find_model

    check_replaceable(arguments.out, NUMBERS)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    result = benchmark_noise(
        [find_model(name) for name in arguments.model],
        training,
        samples=arguments.samples,
        draws=arguments.draws,
        seed=arguments.seed,
        say=_say,
    )
    write_noise(result, arguments.out, {"command": arguments.command_line})
    print(table(result), end="")
    for flow, by_cell in result.comparisons.items():
        held = sum(one.holds for one in by_cell)
        print(f"{flow} is at least as good as the better of the others in {held} of {len(by_cell)} cells")
    print(f"written to {arguments.out}")
    return 0


def run_limit(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.training_set import TrainingSet

    training = TrainingSet.open(arguments.training)

    from fcinv_core.benchmark.limit import benchmark_limit
    from fcinv_core.benchmark.limit_files import NUMBERS, write_limit
    from fcinv_core.files import check_replaceable
    from fcinv_core.shipped import find_model
    from fcinv_core.work_units import unit_map

    check_replaceable(arguments.out, NUMBERS)
    with unit_map(arguments.dask) as map_units:
        result = benchmark_limit(
            training,
            find_model(arguments.model),
            samples=arguments.samples,
            seed=arguments.seed,
            map_units=map_units,
            say=_say,
        )
    pooled = write_limit(result, arguments.out, {"command": arguments.command_line})["pooled"]
    print(f"error / bound        {pooled['median_ratio']:.3f}, median over cells and force constants")
    print(f"  next to the truth  {pooled['median_ratio_next_to_truth']:.3f}")
    for level, coverage in pooled["coverage"].items():
        print(f"truths in {float(level):4.0%}       {coverage['share']:.1%} +- {coverage['standard_error']:.1%}")
    print(f"other maximum        {pooled['other_maximum']:.1%} of the spectra")
    print(
        f"processor time       {pooled['seconds']:.2f} s a spectrum, "
        f"{pooled['evaluations_of_dynamics']:.0f} evaluations of the dispersion"
    )
    print(f"written to {arguments.out}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
