"""fcinv plan: which orientations to measure next, and when to stop."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcinv_core.cli.terminal import tell
from fcinv_core.errors import InputError

if TYPE_CHECKING:
    from fcinv_core.planning.candidates import Geometry
    from fcinv_core.planning.knowledge import Knowledge
    from fcinv_core.planning.plan import Plan
    from fcinv_core.planning.wanted import Wanted

DESCRIPTION = """\
Say which orientations and incident energies would tell most about what is asked for, given what is known: the
result of an inversion, or nothing but the prior of a model. Every candidate run is laid through the detectors as a
fold would lay it; its expected counts and their Fisher information follow from the one-phonon structure factors,
and what is known before is added. Resolution, scale, backgrounds and energy offset are taken as unknown.

Files in the folder DIR, which appears whole or not at all:
  plan.json   order of runs, expected error after each, ranking of all candidates, assumptions
  plan.png    the ranking by angle, and expected error against counting time"""

EPILOG = """\
examples:
  fcinv plan result/ --instrument ARCS --ei 40 --psi 0 119 1 --u 1 1 0 --v 0 0 1 --out plan/
  fcinv plan result/ --instrument ARCS --events events.nxs --want FC0 FC1 --precision 0.01 --out plan/
  fcinv plan --model ge --instrument ARCS --ei 30 45 --temperature 5 --counts 3000 --want-energy X 3 --out plan/"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv plan`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "plan",
        help="which orientations to measure next, and when to stop",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("result", type=Path, nargs="?", metavar="RESULT_DIR", help="what `fcinv invert` wrote")
    add("--model", metavar="MODEL", help="without a result: a trained model, for its prior")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the plan")

    asked = parser.add_argument_group("what is asked for")
    asked.add_argument(
        "--want",
        nargs="+",
        metavar="FC",
        help="force constants, such as FC0 FC1; all (default); or dispersion: mode energies over the zone",
    )
    asked.add_argument(
        "--want-energy",
        nargs=2,
        metavar=("POINT", "BRANCH"),
        help="energy of a mode: a high-symmetry point or q1,q2,q3, and the branch, from 1 upwards",
    )
    asked.add_argument("--precision", type=float, metavar="SIGMA", help="error to reach, eV/Å² or meV; then stop")
    asked.add_argument("--runs", type=int, default=20, metavar="N", help="runs at most (default: %(default)s)")

    made = parser.add_argument_group("what can be measured")
    made.add_argument(
        "--instrument", required=True, metavar="NAME", help="ARCS, SEQUOIA, CNCS, HYSPEC, MERLIN or LET"
    )
    made.add_argument(
        "--events",
        type=Path,
        metavar="FILE",
        help="take detectors, UB matrix and incident energy of this measurement",
    )
    made.add_argument("--ei", type=float, nargs="+", metavar="MEV", help="incident energies, meV")
    made.add_argument(
        "--relative-counts",
        type=float,
        nargs="+",
        metavar="F",
        help="counts of a run at each incident energy, as a factor of --counts (default: 1)",
    )
    made.add_argument(
        "--psi",
        type=float,
        nargs=3,
        default=(0.0, 179.0, 1.0),
        metavar=("FIRST", "LAST", "STEP"),
        help="angles about the vertical, degrees (default: 0 179 1)",
    )
    hkl = ("H", "K", "L")
    made.add_argument(
        "--u", type=float, nargs=3, metavar=hkl, help="reciprocal vector along the beam at psi = 0 (default: 1 0 0)"
    )
    made.add_argument(
        "--v", type=float, nargs=3, metavar=hkl, help="reciprocal vector in the horizontal plane (default: 0 1 0)"
    )
    made.add_argument("--bank-angle", type=float, metavar="DEG", help="of a detector bank that turns (HYSPEC)")
    made.add_argument(
        "--pixel-spacing", type=float, default=3.0, metavar="DEG", help="size of a pixel (default: %(default)s)"
    )
    made.add_argument("--elastic-fwhm", type=float, metavar="MEV", help="width of the elastic line")
    made.add_argument("--temperature", type=float, metavar="K", help="of the sample (default: as measured)")
    made.add_argument(
        "--counts",
        type=float,
        metavar="N",
        help="counts of a run along the path, above the elastic line (default: as measured)",
    )
    made.add_argument(
        "--background",
        type=float,
        default=0.15,
        metavar="FRACTION",
        help="flat background, fraction of the phonons' counts (default: %(default)s)",
    )
    made.add_argument(
        "--minutes", type=float, default=1.0, metavar="T", help="counting time of a run (default: %(default)s)"
    )
    made.add_argument("--points", type=int, default=51, help="points along the path (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.files import check_replaceable
    from fcinv_core.instrument import find_instrument, resolution
    from fcinv_core.planning.plan import PlanSettings, make_plan
    from fcinv_core.planning.writing import PLAN, write_plan

    check_replaceable(arguments.out, PLAN)
    instrument = find_instrument(arguments.instrument)
    knowledge = _knowledge(arguments)
    wanted = _wanted(arguments, knowledge)
    geometry, energies = _geometry(arguments, knowledge)
    settings = PlanSettings(
        psi=tuple(arguments.psi),
        n_runs=arguments.runs,
        precision=arguments.precision,
        counts=arguments.counts,
        background=arguments.background,
        relative_counts=None if arguments.relative_counts is None else tuple(arguments.relative_counts),
        minutes=arguments.minutes,
        temperature=arguments.temperature,
        points=arguments.points,
    )
    resolutions = [(energy, resolution(instrument, energy, arguments.elastic_fwhm)) for energy in energies]
    plan = make_plan(knowledge, geometry, resolutions, wanted, settings, say=tell)
    write_plan(plan, arguments.out, {"command": arguments.command_line})
    print(summary(plan))
    print(f"written to {arguments.out}: plan.json, plan.png")
    return 0


def summary(plan: Plan) -> str:
    """Return the plan as lines for people."""
    unit, minutes = plan.wanted.unit, plan.settings.minutes
    lines = [
        plan.headline,
        f"  {'minutes':>8} {'Ei':>6} {'psi':>7} {'error':>9} {'spread':>9} {'sweep':>9}  {unit}",
    ]
    lines.append(f"  {0:8g} {'':6} {'':7} {plan.errors[0]:9.4g}")
    for order, k in enumerate(plan.sequence, 1):
        one = plan.candidates[k]
        lines.append(
            f"  {order * minutes:8g} {one.incident_energy:6g} {one.psi:7g} {plan.errors[order]:9.4g} "
            f"{plan.spread[order]:9.4g} {plan.sweep[order]:9.4g}"
        )
    return "\n".join([*lines, *(f"  {sentence}" for sentence in plan.assumptions)])


def _knowledge(arguments: argparse.Namespace) -> Knowledge:
    from fcinv_core.planning.knowledge import knowledge_of_prior, knowledge_of_result

    if (arguments.result is None) == (arguments.model is None):
        raise InputError(
            "what is known is not clear",
            "a result or a model was expected",
            "give RESULT_DIR or --model, one of them",
        )
    if arguments.result is not None:
        return knowledge_of_result(arguments.result)
    from fcinv_core.networks.model import load_model
    from fcinv_core.shipped import find_model

    return knowledge_of_prior(load_model(find_model(arguments.model)).prior)


def _wanted(arguments: argparse.Namespace, knowledge: Knowledge) -> Wanted:
    from fcinv_core.planning.wanted import asked_for, mode_energy

    prior, draws = knowledge.prior, knowledge.draws
    if arguments.want is not None and arguments.want_energy is not None:
        raise InputError("--want and --want-energy", "both say what is asked for", "give one of them")
    if arguments.want_energy is not None:
        point, branch = arguments.want_energy
        if not branch.isdigit():
            raise InputError(
                f"{branch!r} is no branch", "a number from 1 was expected", "such as --want-energy X 3"
            )
        return mode_energy(prior, draws, point, int(branch))
    return asked_for(prior, draws, arguments.want or ["all"])


def _geometry(arguments: argparse.Namespace, knowledge: Knowledge) -> tuple[Geometry, list[float]]:
    """Where crystal and detectors stand, and the incident energies."""
    from fcinv_core.events.opening import open_events
    from fcinv_core.instrument import find_instrument
    from fcinv_core.planning.candidates import Geometry, instrument_geometry

    oriented = arguments.u is not None or arguments.v is not None
    if arguments.events is not None:
        if oriented:
            raise InputError("--events with --u or --v", "both say the orientation", "give one of them")
        source = open_events(arguments.events)
        first = source.require_runs()[0]
        energies = arguments.ei or sorted({one.incident_energy for one in source.runs})
        return Geometry(source.detectors[0], first.ub), energies
    if arguments.ei is None:
        raise InputError("no incident energy is given", "nothing measured tells it", "give --ei or --events")
    geometry = instrument_geometry(
        knowledge.crystal,
        find_instrument(arguments.instrument),
        arguments.u,
        arguments.v,
        arguments.pixel_spacing,
        arguments.bank_angle,
    )
    return geometry, arguments.ei
