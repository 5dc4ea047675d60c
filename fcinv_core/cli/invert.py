"""fcinv invert: from a folded measurement to force constants, with a verdict and a report."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.terminal import tell
from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.folding.folded import Folded
    from fcinv_core.inversion.inversion import Inversion
    from fcinv_core.inversion.invert import InversionSettings
    from fcinv_core.spectrum import Resolution

DESCRIPTION = """\
Find the force constants that a folded measurement says a crystal has. A trained network gives a first answer; a
refinement through the lattice dynamics takes it to what the counting statistics allow, with background, scale,
resolution and energy offset free, and every amplitude too where the counts carry that. Both answers are reported,
with covariance, what follows from them, and a verdict on whether the measurement can carry the answer.

Files in the folder DIR, which appears whole or not at all:
  report.html           everything for people, in one file
  result.json           verdict, force constants with sigma and prior, fit, derived quantities, provenance
  posterior.h5          covariance, draws, prior, spectra, bands
  phonopy_params.yaml   the inverted force constants; phonopy loads it as it is
  per_run.csv, .json    with --per-run: what each orientation says alone, and the first 1, 2, 4, 8 ... together"""

EPILOG = """\
examples:
  fcinv invert folded.nxs --model ge --out result/
  fcinv invert folded.nxs --model models/mycrystal --fwhm 1.0 -0.02 --window 3 36 --out result/
  fcinv invert folded.nxs --zone zone.nxs --model ge --refine coherent --out result/
  fcinv invert folded.nxs --model ge --per-run --out result/
  fcinv invert folded.nxs --model ge --method fit --out without_network/"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv invert`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "invert",
        help="a folded measurement to force constants, with uncertainties and a report",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("folded", type=Path, metavar="FOLDED.nxs", help="what `fcinv fold` wrote")
    parser.add_argument(
        "--zone",
        type=Path,
        metavar="ZONE.nxs",
        help="the same measurement folded with --grid: the refinement uses it in place of the path, and with it "
        "all counts",
    )
    add_method_options(parser)
    parts = parser.add_argument_group("about single orientations")
    parts.add_argument(
        "--per-run",
        action="store_true",
        help="invert each run alone too, and the first 2, 4, 8 ... together; with --zone over the zone",
    )
    parts.add_argument(
        "--threads", type=int, metavar="N", help="runs at a time (default: one for each processor core)"
    )
    parts.add_argument("--dask", metavar="ADDRESS", help="spread runs over the Dask scheduler at this address")
    add_measurement_options(parser)


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --out, and how to invert."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="MODEL",
        help="folder of a trained model, or the name of a shipped one: ge or nb",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    parser.add_argument(
        "--method",
        choices=["refine", "network", "fit"],
        default="refine",
        help="refine: network, then refinement (default); network: the network alone; fit: refinement from the "
        "prior, without a network",
    )
    parser.add_argument(
        "--refine",
        choices=["auto", "free", "unit", "coherent"],
        default="auto",
        help="weights of the modes in the refinement: free (each an unknown), coherent (one-phonon structure "
        "factors), unit (spectra in which every mode weighs the same), or auto: free where there are thirty counts "
        "for each mode of each point of the path, coherent below and over the zone (default)",
    )
    parser.add_argument("--draws", type=int, default=300, help="draws from the posterior (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same result (default: %(default)s)"
    )


def add_measurement_options(parser: argparse.ArgumentParser) -> None:
    """Add what is known of a measurement beside its file."""
    measured = parser.add_argument_group("about the measurement")
    measured.add_argument(
        "--temperature", type=float, metavar="K", help="of the sample (default: that of the runs)"
    )
    measured.add_argument(
        "--elastic", type=float, metavar="E", help="leave out |E| below E, meV (default: three FWHM)"
    )
    measured.add_argument("--window", type=float, nargs=2, metavar=("MIN", "MAX"), help="energies to use, meV")
    measured.add_argument(
        "--fwhm",
        type=float,
        nargs="+",
        metavar="C",
        help="expected resolution FWHM(E) = C0 + C1 E + C2 E² ..., meV; width and slope are refined",
    )
    measured.add_argument(
        "--instrument", metavar="NAME", help="take the expected resolution of this spectrometer, such as ARCS"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.files import check_replaceable, sha256
    from fcinv_core.folding.folded_file import read_folded
    from fcinv_core.inversion.content import RESULT
    from fcinv_core.inversion.invert import invert
    from fcinv_core.inversion.per_run import invert_per_run
    from fcinv_core.inversion.results import write_result
    from fcinv_core.networks.model import load_model
    from fcinv_core.shipped import find_model

    check_replaceable(arguments.out, RESULT)
    folder = find_model(arguments.model)
    folded, keep = read_folded(arguments.folded)
    settings = inversion_settings(arguments, folded)
    provenance = inversion_provenance(arguments, arguments.folded, folded, folder)
    model = load_model(folder)
    zone = None
    if arguments.zone is not None:
        zone = read_folded(arguments.zone)
        provenance["zone"] = f"{arguments.zone.name}, sha256 {sha256(arguments.zone)}"
    inversion = invert(folded, keep, model, settings, provenance=provenance, zone=zone, say=tell)
    per_run = None
    if arguments.per_run:
        threads = arguments.threads or os.cpu_count() or 1
        per_run = invert_per_run(inversion, model, settings, threads=threads, dask=arguments.dask, say=tell)
    write_result(inversion, arguments.out, per_run=per_run)
    print(summary(inversion))
    print(f"written to {arguments.out}: open {arguments.out / 'report.html'} in a browser")
    return 0


def inversion_settings(arguments: argparse.Namespace, folded: Folded) -> InversionSettings:
    """Return what the options say about the inversion of a measurement."""
    from fcinv_core.inversion.invert import InversionSettings

    return InversionSettings(
        method=arguments.method,
        amplitudes=arguments.refine,
        n_draws=arguments.draws,
        seed=arguments.seed,
        temperature=arguments.temperature,
        elastic_cut=arguments.elastic,
        window=None if arguments.window is None else tuple(arguments.window),
        resolution=_resolution(arguments, folded),
    )


def inversion_provenance(
    arguments: argparse.Namespace, path: Path, folded: Folded, model_folder: Path
) -> dict[str, Any]:
    """Return where an inversion of a folded file by a model comes from, as plain content for JSON."""
    from fcinv_core.files import sha256
    from fcinv_core.shipped import describe_model

    return {
        "command": arguments.command_line,
        "measurement": f"{path.name}, sha256 {sha256(path)}",
        "model": describe_model(model_folder),
        "fold": dict(folded.provenance),
    }


def summary(inversion: Inversion) -> str:
    """Return the verdict and the leading force constants as lines for people."""
    from fcinv_core.inversion.content import force_constant_rows

    rows = force_constant_rows(inversion)[:8]
    width = max(len(row["label"]) for row in rows)
    lines = [inversion.crystal.describe(), inversion.headline]
    lines += [f"  {one.status.value:4} {one.name}: {one.sentence}" for one in inversion.findings]
    lines.append(f"  {'':5}{'':{width}}  {'value':>8} {'sigma':>8}    {'prior':>8} {'sigma':>8}  eV/Å², decided by")
    lines += [
        f"  FC{row['index']:<3}{row['label']:{width}}  {row['value']:8.4f} {row['sigma']:8.4f}    "
        f"{row['prior_mean']:8.4f} {row['prior_sigma']:8.4f}  {row['decided_by']}"
        for row in rows
    ]
    lines.append(f"  and {len(inversion.values) - len(rows)} more in result.json")
    return "\n".join(lines)


def _resolution(arguments: argparse.Namespace, folded: Folded) -> Resolution | None:
    """Return the resolution that --fwhm or --instrument say; None if neither is given."""
    from fcinv_core.cli.options import resolution
    from fcinv_core.inversion.invert import expected_resolution

    if arguments.fwhm is not None and arguments.instrument is not None:
        raise InputError("--fwhm and --instrument", "both say the resolution", "give one of them")
    if arguments.instrument is None:
        return resolution(arguments)
    return expected_resolution(folded, arguments.instrument)
