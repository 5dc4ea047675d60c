"""fcinv virtual: the events that a spectrometer would have counted on a crystal of known force constants."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.options import add_force_constant_options, supercell
from fcinv_core.cli.terminal import tell
from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcinv_core.virtual_experiment import VirtualExperiment

DESCRIPTION = """\
Make a virtual single-crystal experiment: for every goniometer angle, detector pixel and energy bin the expected
counts (coherent one-phonon scattering, incoherent and multiphonon scattering in the incoherent approximation,
elastic line, flat background) with the resolution of the instrument, and Poisson counts drawn from them.

EVENTS.nxs has the layout of Mantid's SaveMD (Q_sample and energy transfer); signals are counts times ki/kf."""

EPILOG = """\
examples:
  fcinv virtual --structure POSCAR --force-constants phonopy_params.yaml --instrument ARCS --ei 40 \\
      --temperature 5 --psi 0,119,1 --out events.nxs
  fcinv virtual --structure POSCAR --force-constants FORCE_CONSTANTS --instrument HYSPEC --bank-angle 60 \\
      --ei 25 --temperature 300 --psi 0,60,2 --counts 50000 --background 0.3 --seed 7 --out noisy.nxs"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv virtual`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "virtual",
        help="a virtual experiment: the event file a spectrometer would have given",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("--structure", type=Path, required=True, metavar="STRUCTURE", help="POSCAR, CIF or phonopy yaml")
    add(
        "--force-constants",
        type=Path,
        required=True,
        metavar="FILE",
        help="phonopy_params.yaml, FORCE_CONSTANTS, force_constants.hdf5 or FORCE_SETS",
    )
    add_force_constant_options(parser)
    add("--instrument", required=True, metavar="NAME", help="ARCS, SEQUOIA, CNCS, HYSPEC, MERLIN or LET")
    add("--ei", type=float, required=True, metavar="MEV", help="incident energy, meV")
    add("--temperature", type=float, required=True, metavar="K", help="temperature of the sample, K")
    add("--psi", required=True, metavar="FIRST,LAST,STEP", help="goniometer angles, degrees; or one angle")
    add("--out", type=Path, required=True, metavar="EVENTS.nxs", help="file to write")
    hkl = ("H", "K", "L")
    add(
        "--u",
        type=float,
        nargs=3,
        default=(1, 0, 0),
        metavar=hkl,
        help="reciprocal vector along the beam at psi = 0, conventional cell (default: 1 0 0)",
    )
    add(
        "--v",
        type=float,
        nargs=3,
        default=(0, 1, 0),
        metavar=hkl,
        help="reciprocal vector in the horizontal plane (default: 0 1 0)",
    )
    add("--bank-angle", type=float, metavar="DEG", help="middle of a detector bank that turns (HYSPEC)")
    add("--pixel-spacing", type=float, default=3.0, metavar="DEG", help="size of a pixel (default: %(default)s)")
    add(
        "--energy-bins",
        metavar="MIN,STEP,MAX",
        help="energy transfer, meV (default: from -0.1 to 0.95 Ei in steps of Ei/80)",
    )
    add("--elastic-fwhm", type=float, metavar="MEV", help="width of the elastic line (default: the instrument's)")
    add(
        "--counts",
        type=float,
        default=1e6,
        metavar="N",
        help="expected counts of phonons in the whole experiment (default: 1000000)",
    )
    add(
        "--background",
        type=float,
        default=0.15,
        metavar="FRACTION",
        help="flat background, fraction of these counts (default: %(default)s)",
    )
    add("--coherent-only", action="store_true", help="leave incoherent and multiphonon scattering out")
    add("--mosaic", type=float, metavar="DEG", help="put Bragg peaks of this mosaic spread (FWHM) in")
    add(
        "--spurion",
        type=float,
        nargs=5,
        action="append",
        default=[],
        metavar=("H", "K", "L", "E", "HEIGHT"),
        help="put a spurion in, at (h, k, l) and E (meV), HEIGHT in mb/sr/meV per atom; may be repeated",
    )
    add("--points", type=int, default=1, metavar="N", help="random points in each pixel and bin (default: 1)")
    add(
        "--event-mode",
        action="store_true",
        help="every count an event of its own energy (default: one event for each filled pixel and bin)",
    )
    add("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    add("--threads", type=int, metavar="N", help="number of threads, which changes nothing else (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    import json

    from fcinv_core.files import sha256
    from fcinv_core.virtual_experiment import write_experiment

    experiment = _planned(arguments)
    tell(f"{len(experiment.runs)} runs, {len(experiment.detectors.ids)} pixels, {experiment.n_reachable} bins")
    read = [arguments.structure, arguments.force_constants, *([arguments.born] if arguments.born else [])]
    provenance = {
        "virtual_experiment": json.dumps(
            {
                "command": arguments.command_line,
                "files_sha256": {file.name: sha256(file) for file in read},
                "resolution_fwhm_mev": experiment.resolution.fwhm_coefficients,
                "pixel_size_degrees": experiment.pixel_size,
                "scale": experiment.scale,
                "background": experiment.background,
                "seed": experiment.seed,
            }
        )
    }
    n_events = write_experiment(
        arguments.out,
        experiment,
        instrument_name=arguments.instrument.strip().upper(),
        provenance=provenance,
        threads=arguments.threads,
        progress=_progress(),
    )
    kind = "true events" if experiment.true_events else "filled pixels and bins"
    print(experiment.sample.crystal.describe())
    print(
        f"{len(experiment.runs)} runs on {arguments.instrument.strip().upper()}, Ei {arguments.ei:g} meV, "
        f"{arguments.temperature:g} K, |Q| up to {experiment.longest:.2f} 1/Å"
    )
    print(f"written to {arguments.out}: {n_events} {kind}")
    return 0


def _planned(arguments: argparse.Namespace) -> VirtualExperiment:
    from dataclasses import replace

    from fcinv_core.crystal import read_structure
    from fcinv_core.force_constants.phonopy_files import read_force_constants
    from fcinv_core.instrument import find_instrument
    from fcinv_core.spectrum import SpectralGrid
    from fcinv_core.virtual_experiment import BraggPeaks, Spurion, plan, scaled_to

    psi = _steps(arguments.psi, "--psi")
    grid = None
    if arguments.energy_bins is not None:
        low, step, high = _three(arguments.energy_bins, "--energy-bins", "MIN,STEP,MAX")
        if not (step > 0 and high - low >= step):
            raise InputError(f"--energy-bins {arguments.energy_bins}", "no bin fits in", "give MIN,STEP,MAX in meV")
        n_bins = int((high - low) / step + 1e-6)
        grid = SpectralGrid(low, low + n_bins * step, n_bins)
    instrument = find_instrument(arguments.instrument)
    crystal = read_structure(arguments.structure)
    force_constants = read_force_constants(
        arguments.force_constants,
        crystal,
        structure=arguments.structure,
        supercell=supercell(arguments),
        born=arguments.born,
    )
    planned = plan(
        force_constants,
        instrument,
        arguments.ei,
        arguments.temperature,
        psi,
        u=arguments.u,
        v=arguments.v,
        grid=grid,
        pixel_spacing=arguments.pixel_spacing,
        bank_angle=arguments.bank_angle,
        elastic_fwhm=arguments.elastic_fwhm,
    )
    planned = replace(
        planned,
        incoherent=not arguments.coherent_only,
        bragg=None if arguments.mosaic is None else BraggPeaks(mosaic=arguments.mosaic),
        spurions=tuple(Spurion((one[0], one[1], one[2]), one[3], one[4]) for one in arguments.spurion),
        points=arguments.points,
        true_events=arguments.event_mode,
        seed=arguments.seed,
    )
    tell("counting in a few runs")
    return scaled_to(planned, arguments.counts, arguments.background)


def _steps(text: str, option: str) -> list[float]:
    """Angles of FIRST,LAST,STEP, both ends in, or the one that is given."""
    if "," not in text:
        text = f"{text},{text},1"
    first, last, step = _three(text, option, "FIRST,LAST,STEP")
    if not (step > 0 and last >= first):
        raise InputError(f"{option} {text} holds no angle", "LAST < FIRST, or STEP not positive", "check them")
    return [first + k * step for k in range(int((last - first) / step + 1e-6) + 1)]


def _three(text: str, option: str, form: str) -> tuple[float, float, float]:
    try:
        one, two, three = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text} cannot be read", f"{form} was expected", "give three numbers") from error
    return one, two, three


def _progress() -> Callable[[int, int], None] | None:
    """Return what shows progress on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r  runs: {done} of {total}\x1b[K", end=end, file=sys.stderr, flush=True)

    return show
