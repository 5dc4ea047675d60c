"""The command line, `fcinv COMMAND ...`: one module for each command, errors as one sentence and exit code 2."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Sequence

from fcinv_core import __version__
from fcinv_core.errors import InputError

DESCRIPTION = """\
Find the harmonic interatomic force constants of a crystal, each with its uncertainty, from inelastic neutron
scattering on a single crystal.

Start with a structure file (POSCAR, CIF or phonopy yaml). Energies are in meV, wave vectors in fractions of the
primitive reciprocal basis, force constants in eV/Å²."""

EPILOG = """\
The usual order of work:

    fcinv simulate POSCAR FORCE_CONSTANTS --out bands/      look at force constants that you have
    fcinv ensemble POSCAR --out fcs/                        how far force fields disagree on the crystal
    fcinv generate POSCAR --force-constants fcs/ --out training.h5
                                                            spectra that a network learns the inversion from
    fcinv train training.h5 --out MODEL_DIR                 the network
    fcinv benchmark noise --model MODEL_DIR --training training.h5 --out DIR
                                                            how good it is, next to what the counts allow
    fcinv latent --model VAE_DIR --training training.h5 --out DIR
                                                            what its latent space holds
    fcinv virtual --structure POSCAR --force-constants FILE --instrument ARCS ... --out EVENTS.nxs
                                                            try a measurement before it is made
    fcinv check EVENTS.nxs --structure POSCAR               orientation, elastic line, powder lines, coverage
    fcinv fold EVENTS.nxs --structure POSCAR --out folded.nxs
                                                            I(q, E) in one Brillouin zone, errors, zone classes
    fcinv invert folded.nxs --model MODEL_DIR --out RESULT_DIR
                                                            force constants with uncertainties, a verdict, a report
    fcinv series 10K.nxs 100K.nxs 300K.nxs --model MODEL_DIR --out SERIES_DIR
                                                            force constants against temperature or pressure
    fcinv plan RESULT_DIR --instrument ARCS --ei 40 --out PLAN_DIR
                                                            which orientations to measure next, and when to stop

`fcinv mantid-setup` makes Mantid load all of this as algorithms.
`fcinv demo --out DIR` goes through all of it on germanium, with what comes with fcinv.
`fcinv COMMAND --help` says what a command reads, writes and can be told."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    0 if all went well, 2 if an input cannot be used, 130 if the user interrupted.

    Raises
    ------
    SystemExit
        With code 2 if the arguments make no sense, 0 after --help and --version.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without Å and Γ gets a question mark, not a traceback.
            stream.reconfigure(errors="replace")
    given = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    arguments = parser.parse_args(given)
    if not hasattr(arguments, "run"):
        parser.print_help(sys.stderr)
        return 2
    arguments.command_line = shlex.join(["fcinv", *given])
    try:
        return int(arguments.run(arguments))
    except InputError as error:
        print(f"fcinv: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fcinv: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    from fcinv_core.cli import (
        benchmark,
        check,
        demo,
        ensemble,
        fold,
        generate,
        invert,
        latent,
        mantid_setup,
        plan,
        series,
        simulate,
        train,
        virtual,
    )

    parser = argparse.ArgumentParser(
        prog="fcinv",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fcinv {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (
        simulate,
        ensemble,
        generate,
        train,
        benchmark,
        latent,
        virtual,
        check,
        fold,
        invert,
        series,
        plan,
        demo,
        mantid_setup,
    ):
        command.add_parser(subparsers)
    return parser
