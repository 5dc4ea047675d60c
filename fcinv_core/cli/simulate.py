"""fcinv simulate: the dispersion and the spectrum I(q, E) of one set of force constants."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.options import (
    add_force_constant_options,
    add_spectrum_options,
    energy_range,
    resolution,
    supercell,
)

if TYPE_CHECKING:
    from fcinv_core.crystal import Crystal
    from fcinv_core.qpath import QPath
    from fcinv_core.simulation import Simulation

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
    from fcinv_core.simulation import simulate, write_simulation

    crystal = read_structure(arguments.structure)
    force_constants = read_force_constants(
        arguments.force_constants,
        crystal,
        structure=arguments.structure,
        supercell=supercell(arguments),
        born=arguments.born,
    )
    path = _path(arguments, crystal)
    _show(f"{path.n_points} q-points, {3 * crystal.n_sites} branches")
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
    _show("writing files")
    files = write_simulation(simulation, arguments.out, provenance)
    print(summary(simulation))
    print(f"written to {arguments.out}: {', '.join(file.name for file in files)}")
    return 0


def summary(simulation: Simulation) -> str:
    """Return what was computed as lines for people, imaginary modes with the worst wave vector."""
    from fcinv_core.simulation import gamma_energies
    from fcinv_core.stability import TOLERANCE, judge

    force_constants, grid = simulation.force_constants, simulation.grid
    energies, direction = gamma_energies(force_constants)
    at_gamma = " ".join(f"{abs(x) if abs(x) < TOLERANCE else x:.2f}" for x in energies)
    powers = ("", " E", *(f" E^{k}" for k in range(2, 99)))
    fwhm = " + ".join(f"{c:g}{e}" for c, e in zip(simulation.resolution.fwhm_coefficients, powers, strict=False))
    lines = [
        simulation.crystal.describe(),
        f"{len(force_constants.first)} pairs of atoms from {force_constants.source}, "
        + ("without Born charges" if force_constants.non_analytic is None else "with Born charges"),
        f"energies at Γ{f' (along {direction})' if direction else ''}: {at_gamma} meV; "
        f"highest on the path {simulation.energies.max():.2f} meV",
        f"spectrum from {grid.minimum:g} to {grid.maximum:g} meV in {grid.n_bins} bins, FWHM {fwhm} meV",
    ]
    zone = judge(force_constants)
    where, worst = ("in the zone", (zone.lowest, zone.worst_q))
    if simulation.lowest[0] < zone.lowest:
        where, worst = ("on the path", simulation.lowest)
    if worst[0] < -TOLERANCE:
        q = " ".join(f"{x:.4f}" for x in worst[1])
        lines.append(f"WARNING: imaginary modes; the worst {where} is {-worst[0]:.2f} i meV at q = ({q})")
    return "\n".join(lines)


def _path(arguments: argparse.Namespace, crystal: Crystal) -> QPath:
    from fcinv_core.qpath import named_path, path_from_file, standard_path

    if arguments.path is None:
        return standard_path(crystal, arguments.points)
    if arguments.path.lower().endswith(".json"):
        return path_from_file(crystal, Path(arguments.path), arguments.points)
    return named_path(crystal, arguments.path, arguments.points)


def _show(line: str) -> None:
    if sys.stderr.isatty():
        print(f"  {line}", file=sys.stderr, flush=True)
