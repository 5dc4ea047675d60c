"""fcinv fold: from the events of a measurement to I(q, E) along a path, or over the irreducible zone."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.crystal import Crystal
    from fcinv_core.qpath import QPath

DESCRIPTION = """\
Fold the events of a measurement into one Brillouin zone, normalised by what every detector covered: I(q, E) along
the standard path of the crystal, or over the irreducible zone. Data and exposure are kept apart for each zone class
and run, so that zones can be selected later, and runs be added without loss.

Files:
  FILE.nxs   the folded measurement; Mantid opens it with Load or LoadMD
  with --pictures DIR: intensity, coverage, counts, zone classes as pictures and a table; runs, counts, coverage
  and what was left out as folded.json"""

EPILOG = """\
examples:
  fcinv fold events.nxs --structure POSCAR --out folded.nxs
  fcinv fold night1.nxs night2.nxs --structure POSCAR --solid-angle vanadium.nxs --energies -2 70 0.5 --out f.nxs
  fcinv fold run3.nxs --structure POSCAR --add folded.nxs --out folded.nxs
  fcinv fold events.nxs --structure POSCAR --grid 16 --background can.nxs --out zone.nxs"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv fold`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "fold",
        help="events to I(q, E) in one Brillouin zone",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "events",
        type=Path,
        nargs="+",
        metavar="EVENTS",
        help="files of SaveMD, or .nxspe; 4D histograms (MDHisto) are taken as normalised",
    )
    parser.add_argument(
        "--structure", type=Path, required=True, metavar="STRUCTURE", help="the crystal: POSCAR, CIF, phonopy yaml"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.nxs", help="the folded measurement")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder for pictures, a table, a summary")
    parser.add_argument("--add", type=Path, metavar="FILE.nxs", help="folded measurement to add these runs to")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="with --add: these runs take the place of earlier ones of their number",
    )

    where = parser.add_argument_group("bins")
    where.add_argument(
        "--path",
        metavar="PATH",
        help='points joined by "-", breaks as "|", such as "Γ-X-U|K-Γ" (G for Γ), or a .json file '
        "[[[label, [q1, q2, q3]], ...], ...] (default: the standard path)",
    )
    where.add_argument("--points", type=int, default=101, help="points along the path (default: %(default)s)")
    where.add_argument(
        "--grid", type=int, metavar="N", help="fold into the irreducible zone, N divisions, and not on a path"
    )
    where.add_argument(
        "--widths",
        type=float,
        nargs="+",
        default=[0.1],
        metavar="W",
        help="full widths across the path, 1/Å, one or two (default: 0.1)",
    )
    where.add_argument(
        "--energies",
        type=float,
        nargs=3,
        metavar=("MIN", "MAX", "STEP"),
        help="energy bins, meV (default: limits and bins of the runs; 100 bins for true events)",
    )
    where.add_argument(
        "--symmetry",
        metavar="OPERATIONS",
        help='as MDNorm takes it: "x,y,z;-x,-y,z" or a symbol (default: Laue class of the structure)',
    )

    measured = parser.add_argument_group("measurement")
    measured.add_argument("--solid-angle", type=Path, metavar="FILE", help="vanadium run, SaveNexusProcessed")
    measured.add_argument(
        "--normalisation",
        type=Path,
        metavar="FILE",
        help="MDNorm's OutputNormalizationWorkspace, where EVENTS is its OutputDataWorkspace",
    )
    measured.add_argument("--background", type=Path, nargs="+", metavar="FILE", help="events of a background")
    measured.add_argument(
        "--background-frame",
        choices=("lab", "sample"),
        default="lab",
        help="whether the background stands still or turns with the sample (default: %(default)s)",
    )
    measured.add_argument("--background-scale", type=float, default=1.0, help="its factor (default: %(default)s)")
    measured.add_argument(
        "--pixel",
        type=float,
        nargs=2,
        metavar=("WIDTH", "HEIGHT"),
        help="detector size, degrees, for the spread of Q in the bins (default: from the shapes of the pixels)",
    )
    measured.add_argument("--without-kikf", action="store_true", help="signals do not hold the factor ki/kf")
    measured.add_argument(
        "--bose", choices=("None", "Chi", "SED"), default="None", help="Bose correction (default: %(default)s)"
    )
    measured.add_argument("--temperature", type=float, help="K, for --bose (default: that of the runs)")
    measured.add_argument("--ub", type=float, nargs=9, metavar="U", help="UB matrix by rows, 1/Å without 2 pi")
    measured.add_argument("--ei", type=float, help="incident energy, meV, for files without it")
    measured.add_argument("--psi", type=float, nargs="+", help="psi of .nxspe files, degrees, one for all or each")

    shown = parser.add_argument_group("what I(q, E) sums (everything is kept in the file)")
    shown.add_argument("--elastic-cut", type=float, default=0.0, metavar="E", help="blank |E| below E, meV")
    shown.add_argument("--window", type=float, nargs=2, metavar=("MIN", "MAX"), help="energies to keep, meV")
    shown.add_argument(
        "--zone", type=int, nargs=3, action="append", metavar=("H", "K", "L"), help="zone to keep; repeat for more"
    )
    shown.add_argument("--q-range", type=float, nargs=2, metavar=("MIN", "MAX"), help="|Q| to keep, 1/Å")
    shown.add_argument(
        "--minimum-exposure", type=float, default=0.0, metavar="SHARE", help="of the median exposure of a cell"
    )
    shown.add_argument(
        "--keep-outliers",
        action="store_true",
        help="do not reject zones that disagree with all others (never done in normalised histograms)",
    )
    parser.add_argument("--threads", type=int, help="number of threads (default: all processors)")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.crystal import read_structure
    from fcinv_core.events.opening import open_events
    from fcinv_core.folding.energy_bins import energy_bins
    from fcinv_core.folding.fold import FoldSettings, fold
    from fcinv_core.folding.folded_file import merge_folded, read_folded, write_folded
    from fcinv_core.folding.normalisation import PixelSize, read_solid_angles
    from fcinv_core.folding.orientation import cell_of_file
    from fcinv_core.folding.selection import select_cells, summarise, summary_content

    crystal = read_structure(arguments.structure)
    ub = None if arguments.ub is None else np.reshape(arguments.ub, (3, 3))
    psi = arguments.psi[0] if arguments.psi and len(arguments.psi) == 1 else arguments.psi
    source = open_events(
        arguments.events, ub=ub, incident_energy=arguments.ei, psi=psi, normalisation=arguments.normalisation
    )
    background = None if arguments.background is None else open_events(arguments.background)
    earlier = None if arguments.add is None else read_folded(arguments.add)[0]
    low, high, step = (None, None, None) if arguments.energies is None else arguments.energies
    limits = None if low is None or high is None else (low, high)
    settings = FoldSettings(
        grid=energy_bins(source, limits, step) if earlier is None else earlier.grid,
        widths=_widths(arguments),
        symmetry_operations=arguments.symmetry,
        kikf_applied=not arguments.without_kikf,
        bose=arguments.bose,
        temperature=arguments.temperature,
        pixel=None if arguments.pixel is None else PixelSize(*np.radians(arguments.pixel).tolist()),
        background_frame=arguments.background_frame,
        background_scale=arguments.background_scale,
        threads=arguments.threads,
    )
    folded = fold(
        source,
        crystal,
        _target(arguments, crystal),
        settings,
        solid_angles=None if arguments.solid_angle is None else read_solid_angles(arguments.solid_angle),
        background=background,
        file_cell=cell_of_file(crystal, arguments.structure),
        progress=_progress(),
    )
    if earlier is not None and arguments.replace:
        new = {run.number for run in folded.runs}
        others = [run.number for run in earlier.runs if run.number not in new]
        earlier = earlier.only_runs(others) if others else None
    if earlier is not None:
        folded = merge_folded({str(arguments.add): earlier, source.description: folded})
    keep, rejected = select_cells(
        folded,
        hkl=None if arguments.zone is None else [tuple(zone) for zone in arguments.zone],
        q_range=None if arguments.q_range is None else tuple(arguments.q_range),
        minimum_exposure=arguments.minimum_exposure,
        elastic=arguments.elastic_cut,
        window=None if arguments.window is None else tuple(arguments.window),
        keep_outliers=arguments.keep_outliers,
    )
    write_folded(arguments.out, folded, keep=keep, event_file=arguments.events[0])
    print(summarise(folded, rejected))
    print(f"written to {arguments.out}")
    if arguments.pictures is not None:
        from fcinv_core.files import write_text
        from fcinv_core.folding.figures import write_figures

        files = write_figures(folded, arguments.pictures, keep=keep)
        summary = arguments.pictures / "folded.json"
        content = json.dumps(summary_content(folded, keep, rejected), indent=1, ensure_ascii=False)
        write_text(summary, f"{content}\n")
        print(f"written to {arguments.pictures}: {', '.join(file.name for file in (*files, summary))}")
    return 0


def _widths(arguments: argparse.Namespace) -> tuple[float, float]:
    widths = arguments.widths * 2 if len(arguments.widths) == 1 else arguments.widths
    if len(widths) != 2:
        raise InputError(f"{len(widths)} widths", "one or two were expected", "give --widths W or --widths W1 W2")
    return widths[0], widths[1]


def _target(arguments: argparse.Namespace, crystal: Crystal) -> QPath | int:
    from fcinv_core.qpath import chosen_path

    if arguments.grid is not None:
        if arguments.path is not None:
            raise InputError(
                "--grid and --path together", "a fold is over the zone or along a path", "leave one of them out"
            )
        return int(arguments.grid)
    return chosen_path(crystal, arguments.path, arguments.points)


def _progress() -> Any:
    """Return what shows progress on a terminal, at most ten times a second; None elsewhere."""
    if not sys.stderr.isatty():
        return None
    import time

    last = [0.0]

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] > 0.1 or done >= total:
            last[0] = now
            end = "\n" if done >= total else ""
            print(f"\r  {what}: {done} of {total}\x1b[K", end=end, file=sys.stderr, flush=True)

    return show
