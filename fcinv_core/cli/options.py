"""Options of the command line that several commands share, turned into objects of the core."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fcinv_core.crystal import IntArray
    from fcinv_core.spectrum import Resolution


def add_force_constant_options(parser: argparse.ArgumentParser) -> None:
    """Add --supercell and --born, for files of force constants that do not say everything."""
    parser.add_argument(
        "--supercell",
        type=int,
        nargs="+",
        metavar="N",
        help="phonopy's DIM for STRUCTURE, 3 or 9 integers, where the files do not say it and it is not n n n",
    )
    parser.add_argument(
        "--born",
        type=Path,
        metavar="FILE",
        help="BORN file of a polar crystal (default: BORN beside the force constants)",
    )


def add_spectrum_options(parser: argparse.ArgumentParser) -> None:
    """Add --points, --energy-range, --energy-bins and --fwhm: on what spectra are computed."""
    parser.add_argument("--points", type=int, default=201, help="points along the path (default: %(default)s)")
    parser.add_argument(
        "--energy-range",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="energies of the spectrum, meV (default: 0 to the highest mode + 3 %%, rounded up to 5 meV)",
    )
    parser.add_argument("--energy-bins", type=int, default=100, help="number of energy bins (default: %(default)s)")
    parser.add_argument(
        "--fwhm",
        type=float,
        nargs="+",
        metavar="C",
        help="resolution FWHM(E) = C0 + C1 E + C2 E² ..., meV (default: constant, 3 %% of the highest energy)",
    )


def energy_range(arguments: argparse.Namespace) -> tuple[float, float] | None:
    """Return the ends of --energy-range, meV; None if it is not given."""
    return None if arguments.energy_range is None else tuple(arguments.energy_range)


def resolution(arguments: argparse.Namespace) -> Resolution | None:
    """Return the resolution of --fwhm; None if it is not given."""
    from fcinv_core.spectrum import Resolution

    return None if arguments.fwhm is None else Resolution(tuple(arguments.fwhm))


def supercell(arguments: argparse.Namespace) -> IntArray | None:
    """Return phonopy's DIM of --supercell, shape (3, 3); None if it is not given."""
    from fcinv_core.force_constants.phonopy_files import supercell_matrix

    if arguments.supercell is None:
        return None
    return supercell_matrix(arguments.supercell, "--supercell")
