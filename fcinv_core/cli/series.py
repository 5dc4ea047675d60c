"""fcinv series: measurements at several temperatures or pressures to force constants against them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.terminal import tell
from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.inversion.series import Series, SeriesPart

DESCRIPTION = """\
Invert folded measurements of one crystal at different temperatures or pressures, one after the other as
`fcinv invert` does, and put force constants and mode energies against temperature or pressure, with errors.

All take the same prior. The answer of one is one more start for the refinement of the next, and no prior: answers
stay independent, and counts of one measurement say nothing about another. What the prior decides is common to all
of them and shows no change. Lattices may differ by thermal expansion; the strain is reported.

Files in the folder DIR, which appears whole or not at all:
  series.csv      a line for each measurement: verdict, strain, force constants and mode energies with sigma
  series.json     the same, with who decided each force constant
  series.png      the largest force constants, and modes at zone centre and zone boundary
  10K/, 100K/ ... the result of each measurement, as `fcinv invert` writes it"""

EPILOG = """\
examples:
  fcinv series cold.nxs warm.nxs hot.nxs --model ge --out series/
  fcinv series a.nxs b.nxs --at 10 300 --model ge --out series/
  fcinv series a.nxs b.nxs c.nxs --at 0 2.5 5 --unit GPa --model ge --out series/"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv series`` to the command line."""
    from fcinv_core.cli.invert import add_measurement_options, add_method_options

    parser: argparse.ArgumentParser = subparsers.add_parser(
        "series",
        help="measurements at several temperatures or pressures to force constants against them",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("folded", type=Path, nargs="+", metavar="FOLDED.nxs", help="what `fcinv fold` wrote")
    parser.add_argument(
        "--at",
        type=float,
        nargs="+",
        metavar="X",
        help="temperature or pressure of each file, in their order (default: the temperatures of the runs)",
    )
    parser.add_argument(
        "--unit", choices=["K", "GPa", "kbar"], default="K", help="of --at (default: %(default)s, temperatures)"
    )
    add_method_options(parser)
    add_measurement_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.files import check_replaceable
    from fcinv_core.inversion.series import invert_series
    from fcinv_core.inversion.series_files import CONTENT, PICTURE, TABLE, write_series
    from fcinv_core.networks.model import load_model
    from fcinv_core.shipped import find_model

    check_replaceable(arguments.out, CONTENT)
    _check(arguments)
    folder = find_model(arguments.model)
    parts = [_part(arguments, k, folder) for k in range(len(arguments.folded))]
    series = invert_series(parts, load_model(folder), arguments.unit, say=tell)
    write_series(series, arguments.out, {"command": arguments.command_line})
    print(summary(series))
    print(f"written to {arguments.out}: {TABLE}, {CONTENT}, {PICTURE} and a folder for each measurement")
    return 0


def summary(series: Series) -> str:
    """Return the leading force constants and the verdict of each measurement as lines for people."""
    from fcinv_core.inversion.series import INDEPENDENCE

    shown = range(min(4, len(series.labels)))
    lines = [series.answers[0].inversion.crystal.describe(), INDEPENDENCE]
    lines += [f"  FC{k}: {series.labels[k]}" for k in shown]
    heads = "".join(f"{f'FC{k}':>18}" for k in shown)
    lines.append(f"  {series.unit:>8} {'strain':>8} {'verdict':>8}{heads}  eV/Å²")
    for one in series.answers:
        found = one.inversion
        numbers = "".join(f"{f'{found.values[k]:.4f} ± {found.sigma[k]:.4f}':>18}" for k in shown)
        lines.append(f"  {one.at:8g} {100 * one.strain:6.3f} % {found.status.value:>8}{numbers}")
    return "\n".join(lines)


def _check(arguments: argparse.Namespace) -> None:
    """Raise InputError where options contradict each other."""
    n = len(arguments.folded)
    if arguments.at is None and arguments.unit != "K":
        raise InputError(f"--unit {arguments.unit}", "no run says its pressure", "give all of them with --at")
    if arguments.at is not None and len(arguments.at) != n:
        raise InputError(
            f"--at says {len(arguments.at)} numbers for {n} files", "each file has one", "give them in their order"
        )
    if arguments.unit == "K" and arguments.temperature is not None:
        raise InputError(
            "--temperature", "the temperatures of a series differ", "give them with --at, in the order of the files"
        )


def _part(arguments: argparse.Namespace, k: int, model_folder: Path) -> SeriesPart:
    from fcinv_core.cli.invert import inversion_provenance, inversion_settings
    from fcinv_core.folding.folded_file import read_folded
    from fcinv_core.inversion.series import SeriesPart, temperature_of

    path = arguments.folded[k]
    folded, keep = read_folded(path)
    return SeriesPart(
        name=path.name,
        at=temperature_of(folded, path.name) if arguments.at is None else arguments.at[k],
        folded=folded,
        keep=keep,
        settings=inversion_settings(arguments, folded),
        provenance=inversion_provenance(arguments, path, folded, model_folder),
    )
