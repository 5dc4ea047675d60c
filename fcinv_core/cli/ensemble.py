"""fcinv ensemble: force constants of a crystal from an ensemble of universal force fields."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.potentials.configuration import EnsembleConfig

DESCRIPTION = """\
Compute the force constants of a crystal with many universal machine-learned force fields. Their spread says
how far the force constants of this crystal can be from any one of them; `fcinv generate` samples around it.

Each family of force fields runs in a Python environment of its own, made once:

    fcinv ensemble --setup chgnet sevennet

and then, for any crystal:

    fcinv ensemble POSCAR --out fcs/

Results in fcs/: phonopy_params_<member>.yaml and <member>.json of each member, ensemble.csv (table),
dispersions.png (picture). A run that was interrupted goes on where it stopped; members that are finished are
kept. A member that cannot run is left out, and the reason is said."""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv ensemble`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ensemble",
        help="force constants of a crystal from an ensemble of universal force fields",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "structure",
        nargs="?",
        type=Path,
        metavar="STRUCTURE",
        help="the crystal: POSCAR, CIF or phonopy yaml; any cell of it will do",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="ensemble.toml that lists the force fields (default: the one that comes with fcinv)",
    )
    parser.add_argument(
        "--members", nargs="+", metavar="NAME", help="run only these members; --list shows their names"
    )
    parser.add_argument(
        "--displacement", type=float, metavar="Å", help="length of the finite displacements (default: 0.02)"
    )
    parser.add_argument(
        "--min-length",
        type=float,
        metavar="Å",
        help="smallest distance between opposite faces of the supercell (default: 12)",
    )
    parser.add_argument(
        "--relax",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let every member relax the lattice first, symmetry held (default: all share the lattice given)",
    )
    parser.add_argument(
        "--convergence",
        nargs="*",
        type=float,
        metavar="Å",
        help="displacements at which force constants are compared (default: 0.005 0.01 0.02 0.03); "
        "without a value: no comparison",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], help="where the force fields run (default: cpu)")
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="spread the members over the Dask cluster at this address (tcp://host:port); its workers must see "
        "the folder of the results and the environments",
    )
    parser.add_argument("--list", action="store_true", help="show the members and whether each can run, then stop")
    parser.add_argument(
        "--setup",
        nargs="+",
        metavar="FAMILY",
        help="make the environments of these families, such as chgnet sevennet; needs the network. They go into "
        "$FCINV_ENVIRONMENTS, or the user's data directory. On a machine without a GPU, "
        "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu spares gigabytes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code.

    Raises
    ------
    InputError
        If an input cannot be used.
    """
    from fcinv_core.crystal import read_structure
    from fcinv_core.potentials.ensemble import run_ensemble
    from fcinv_core.potentials.environments import set_up_environments
    from fcinv_core.work_units import unit_map

    if arguments.setup:
        set_up_environments(arguments.setup, say)
        if arguments.structure is None and not arguments.list:
            return 0
    config = configuration(arguments)
    if arguments.list:
        list_members(config)
        return 0
    if arguments.structure is None:
        raise InputError(
            "no structure is given",
            "an ensemble is computed for a crystal",
            "name its POSCAR, CIF or phonopy yaml: fcinv ensemble STRUCTURE --out DIR",
        )
    if arguments.out is None:
        raise InputError("no folder for the results is given", "many files are written", "add --out DIR")
    with progress_on_stderr(), unit_map(arguments.dask) as map_units:
        summary = run_ensemble(
            read_structure(arguments.structure), config, arguments.out, map_units=map_units, report=say
        )
    print(summary.table())
    print(f"results are in {summary.out}")
    return 0


def configuration(arguments: argparse.Namespace) -> EnsembleConfig:
    """Return the configuration of the file that is named, or the shipped one, changed as the options say."""
    from fcinv_core.potentials.configuration import check_config, read_ensemble_config, shipped_config

    config = shipped_config() if arguments.config is None else read_ensemble_config(arguments.config)
    if arguments.members:
        config = config.select(arguments.members)
    names = ("displacement", "min_length", "relax", "convergence", "device")
    changes = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if "convergence" in changes:
        changes["convergence"] = tuple(changes["convergence"])
    return check_config(replace(config, **changes), "the command line")


def list_members(config: EnsembleConfig) -> None:
    """Print the members of an ensemble and whether each can run."""
    from fcinv_core.potentials.job import obstacle

    print(f"the shipped configuration is {resources.files('fcinv_core.potentials') / 'ensemble.toml'}")
    width = max(len(member.label) for member in config.members)
    for member in config.members:
        print(f"{member.label.ljust(width)}  {obstacle(member) or 'ready'}")


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_on_stderr() -> Iterator[None]:
    """Show what the worker processes say of their progress."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger("fcinv_core.potentials")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
