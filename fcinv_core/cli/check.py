"""fcinv check: what to look at in a measurement before believing anything."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcinv_core.checking import Check

DESCRIPTION = """\
Look at a measurement before folding it: UB matrix against Bragg peaks, Ei and T0 against the elastic line, powder
lines, tails of Bragg peaks, agreement of equivalent regions, coverage. Each check ends in ok, look or bad, with
one sentence that gives the number and what to do.

Files in the folder DIR:
  check.png   a page of pictures
  check.json  the numbers, with the refined UB matrix and the proposed masks"""

EPILOG = """\
The exit code is 0 whatever the verdict is; `status` in check.json holds it for scripts.

examples:
  fcinv check events.nxs --structure POSCAR
  fcinv check night1.nxs night2.nxs --structure crystal.cif --solid-angle vanadium.nxs --out check/"""

#: Width of a line of the printed verdict.
_WIDTH = 100


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv check`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="UB, elastic line, powder lines, symmetry and coverage of a measurement: verdict and pictures",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "events", type=Path, nargs="+", metavar="EVENTS", help="files of SaveMD (MDEvent, full), or .nxspe"
    )
    parser.add_argument(
        "--structure", type=Path, required=True, metavar="STRUCTURE", help="the crystal: POSCAR, CIF, phonopy yaml"
    )
    parser.add_argument(
        "--solid-angle",
        type=Path,
        metavar="FILE",
        help="a vanadium run, SaveNexusProcessed (default: geometric solid angles)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for check.png and check.json")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.checking import check_events, write_check
    from fcinv_core.crystal import read_structure
    from fcinv_core.events import open_events
    from fcinv_core.files import sha256

    crystal = read_structure(arguments.structure)
    solid_angle = None
    if arguments.solid_angle is not None:
        from fcinv_core.folding.normalisation import read_solid_angles

        solid_angle = read_solid_angles(arguments.solid_angle)
    source = open_events(arguments.events)
    check = check_events(source, crystal, solid_angle=solid_angle, progress=_progress())
    files: tuple[Path, ...] = ()
    if arguments.out is not None:
        read = [*arguments.events, arguments.structure]
        read += [] if arguments.solid_angle is None else [arguments.solid_angle]
        provenance = {
            "command": arguments.command_line,
            "files_sha256": {file.name: sha256(file) for file in read},
        }
        files = write_check(check, arguments.out, provenance)
    print(summary(check))
    if files:
        print(f"written to {arguments.out}: {', '.join(file.name for file in files)}")
    return 0


def summary(check: Check) -> str:
    """Return the verdict as lines for people."""
    import textwrap

    lines = [check.description, check.crystal.describe(), ""]
    for one in check.findings:
        head = f"{one.status.value:<5} {one.name:<13} "
        wrapped = textwrap.wrap(one.sentence, _WIDTH - len(head))
        lines += [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]
    bad = [one.name for one in check.findings if one.status.value == "bad"]
    look = [one.name for one in check.findings if one.status.value == "look"]
    if bad:
        lines += ["", f"Do not fold before this is mended: {', '.join(bad)}."]
    elif look:
        lines += ["", f"Look at: {', '.join(look)}."]
    else:
        lines += ["", "Nothing speaks against these data."]
    return "\n".join(lines)


def _progress() -> Any:
    """Return what shows progress on a terminal, at most ten times a second; None elsewhere."""
    if not sys.stderr.isatty():
        return None
    import time

    last = [0.0]

    def show(what: str, share: float) -> None:
        now = time.monotonic()
        if now - last[0] > 0.1 or share >= 1:
            last[0] = now
            end = "\n" if share >= 1 else ""
            print(f"\r  {what}: {100 * min(share, 1.0):3.0f} %\x1b[K", end=end, file=sys.stderr, flush=True)

    return show
