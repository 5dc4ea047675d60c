"""fcinv simulate: the dispersion and the spectrum I(q, E) of one set of force constants."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fcinv_core.cli.options import (
    add_force_constant_options,
    add_spectrum_options,
    energy_range,
    resolution,
    supercell,
)
from fcinv_core.cli.terminal import tell

DESCRIPTION = """\
Compute the phonon dispersion of a set of force constants along a path through the Brillouin zone, and the
spectrum I(q, E) in which every mode weighs the same, broadened by a resolution.

Files in the folder DIR:
  bands.csv   distance along the path (1/Å), q1 q2 q3 (fractions of the primitive reciprocal basis), one energy
              (meV) for each branch, sorted at each q-point, imaginary ones negative; label of the point
  bands.png   the dispersion
  iqe.nxs     the spectrum; Mantid opens it with Load or LoadMD
  iqe.png     the spectrum with the dispersion over it"""

EPILOG = """\
examples:
  fcinv simulate POSCAR phonopy_params.yaml --out bands/
  fcinv simulate POSCAR FORCE_SETS --supercell 2 2 2 --born BORN --path "Γ-X-U|K-Γ-L" --out bands/
  fcinv simulate crystal.cif force_constants.hdf5 --energy-range 0 70 --fwhm 2.0 -0.02 --out bands/"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv simulate`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "simulate",
        help="dispersion and spectrum of a set of force constants: table, pictures, Mantid file",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "structure", type=Path, metavar="STRUCTURE", help="the crystal: POSCAR, CIF or phonopy yaml"
    )
    parser.add_argument(
        "force_constants",
        type=Path,
        metavar="FORCE_CONSTANTS",
        help="phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    add_force_constant_options(parser)
    parser.add_argument(
        "--path",
        metavar="PATH",
        help='points joined by "-", breaks as "|", such as "Γ-X-U|K-Γ" (G for Γ), or a .json file '
        "[[[label, [q1, q2, q3]], ...], ...] (default: the standard path of the crystal)",
    )
    add_spectrum_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.crystal import read_structure
    from fcinv_core.files import sha256
    from fcinv_core.force_constants.phonopy_files import read_force_constants
    from fcinv_core.qpath import chosen_path
    from fcinv_core.simulation import simulate, summarise, write_simulation

    crystal = read_structure(arguments.structure)
    force_constants = read_force_constants(
        arguments.force_constants,
        crystal,
        structure=arguments.structure,
        supercell=supercell(arguments),
        born=arguments.born,
    )
    path = chosen_path(crystal, arguments.path, arguments.points)
    tell(f"{path.n_points} q-points, {3 * crystal.n_sites} branches")
    simulation = simulate(
        force_constants,
        path,
        energy_range=energy_range(arguments),
        n_bins=arguments.energy_bins,
        resolution=resolution(arguments),
    )
    read = [arguments.structure, arguments.force_constants, *([arguments.born] if arguments.born else [])]
    provenance = {
        "command": arguments.command_line,
        "files_sha256": {file.name: sha256(file) for file in read},
    }
    tell("writing files")
    files = write_simulation(simulation, arguments.out, provenance)
    print(summarise(simulation))
    print(f"written to {arguments.out}: {', '.join(file.name for file in files)}")
    return 0
