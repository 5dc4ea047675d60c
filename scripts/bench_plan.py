"""Print how much counting time a plan saves, against equally spread angles and a sweep in steps of 1 degree.

    python scripts/bench_plan.py [--counts 3000] [--repeats 20] [--instrument ARCS] [--ei 45]
        [--experiments N]

A measurement of germanium that is not made, one minute a run. Errors are expected ones (Fisher information of
counts, and the prior) at the force constants of the virtual experiment that ships, which the plan does not know:
its first runs are chosen with the prior of the shipped force fields, the rest with draws of the posterior that
these leave. Baselines start at a random angle in each repeat. Times are those in which each reaches the errors that
equally spread angles reach, on average, after the minutes in the first column.

With --experiments N, virtual experiments of eight minutes are also made N times for each way of choosing angles,
and refined with `coherent` from the truth on: rms error of mode energies over the zone.
"""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from fcinv_core.crystal import FloatArray, read_structure
from fcinv_core.events import EventSource, axis_rotation, ub_from_vectors
from fcinv_core.folding.fold import FoldSettings, fold
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.instrument import Instrument, find_instrument, resolution
from fcinv_core.planning.candidates import Geometry
from fcinv_core.planning.information import RunInformation
from fcinv_core.planning.knowledge import Knowledge, knowledge_of_prior
from fcinv_core.planning.plan import PlanSettings, information_at, together
from fcinv_core.planning.sequence import errors_along, errors_spread, greedy_sequence, runs_needed
from fcinv_core.planning.wanted import (
    Wanted,
    all_force_constants,
    dispersion,
    mode_energy,
    named_force_constants,
)
from fcinv_core.potentials import shipped_ensemble
from fcinv_core.prior import Prior, prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.refinement.measurement import data_of_folded
from fcinv_core.refinement.refine import refine
from fcinv_core.refinement.settings import RefineSettings
from fcinv_core.shipped import virtual_experiment
from fcinv_core.spectrum import Resolution
from fcinv_core.virtual_experiment import draw, scaled_to
from fcinv_core.virtual_experiment import plan as plan_experiment
from fcinv_core.virtual_experiment.planning import pixels

TEMPERATURE, PIXEL_SPACING = 10.0, 4.0
#: Angles of the baselines, degrees, and how many of them lie between candidates of the plan.
ANGLES, STEP = np.arange(0.0, 180.0), 3
#: Runs that are planned with the prior alone, for all force constants; sets that the rest is planned with.
FIRST, N_DRAWS = 2, 3
#: Minutes whose errors are to be reached; longest measurement.
TARGETS, LONGEST = (4, 8, 16, 32), 48
#: Minutes of virtual experiments, and phonons that they count for each count on the path above the elastic line.
MINUTES, _PHONONS = 8, 9.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=float, default=3000.0, help="of a run")
    parser.add_argument("--repeats", type=int, default=20, help="of the baselines")
    parser.add_argument("--instrument", default="ARCS")
    parser.add_argument("--bank-angle", type=float, help="of HYSPEC's detectors, degrees")
    parser.add_argument("--ei", type=float, default=45.0, help="incident energy, meV")
    parser.add_argument("--experiments", type=int, default=0, metavar="N")
    options = parser.parse_args()
    settings = PlanSettings(psi=(0.0, 179.0, 1.0), counts=options.counts)
    before, truth = knowledge()
    print(f"{platform.machine()}, numpy {np.__version__}")
    print(f"{options.instrument}, Ei {options.ei:g} meV, {options.counts:g} counts a run")
    instrument = find_instrument(options.instrument)
    ub = ub_from_vectors(before.crystal.cell_parameters, (1, 1, 0), (0, 0, 1))
    geometry = Geometry(pixels(instrument, PIXEL_SPACING, options.bank_angle)[0], ub)
    width = resolution(instrument, options.ei)

    def information(known: Knowledge, angles: FloatArray) -> RunInformation:
        """Return what runs at some angles say at the sets that are known, with the counts that are asked for."""
        found = information_at(known, geometry, options.ei, width, angles, settings, TEMPERATURE)
        return found.scaled(options.counts / found.counts.mean(axis=1))

    start, of_prior = together(before.precision, [information(before, ANGLES[::STEP])])
    _, of_truth = together(before.precision, [information(replace(before, draws=truth[None]), ANGLES)])
    rng = np.random.default_rng(0)
    prior = before.prior
    first = STEP * greedy_sequence(start, of_prior, all_force_constants(prior), FIRST)[0]
    known = start + of_truth[0][first].sum(axis=0)
    covariance = np.linalg.inv(known)[: len(truth), : len(truth)]
    after = replace(before, draws=rng.multivariate_normal(truth, covariance, N_DRAWS))
    _, later = together(before.precision, [information(after, ANGLES[::STEP])])
    print(f"{'asked for':28} {'minutes':>7} {'error':>9} {'plan':>7} {'plan/spread':>15} {'plan/sweep':>15}")
    for planned, judged in zip(wants(prior, after.draws), wants(prior, truth[None]), strict=True):
        rest, _ = greedy_sequence(known, later, planned, LONGEST - FIRST)
        sequence = [*first, *(STEP * rest)]
        report(start, of_truth, judged, sequence, options.repeats, rng)
        if judged.name == dispersion(prior, truth[None]).name:
            chosen = ANGLES[sequence[:MINUTES]]
    if options.experiments:
        experiments(prior, truth, instrument, options, width, chosen)


def report(
    start: FloatArray,
    information: FloatArray,
    wanted: Wanted,
    sequence: list[int],
    repeats: int,
    rng: np.random.Generator,
) -> None:
    """Print the times of one thing that is asked for."""
    plan = errors_along(start, information, wanted, sequence)
    spread, sweep = [], []
    for _ in range(repeats):
        turn = int(rng.integers(len(ANGLES)))
        turned = np.roll(information, -turn, axis=1)
        spread.append(errors_spread(start, turned, wanted, ANGLES, LONGEST, float(len(ANGLES))))
        sweep.append(errors_along(start, turned, wanted, range(3 * LONGEST)))
    for minutes in TARGETS:
        error = float(np.exp(np.mean([np.log(one[minutes]) for one in spread])))
        needed = runs_needed(plan, error)
        ratios = []
        for others in (spread, sweep):
            times = [runs_needed(one, error) for one in others]
            found = np.array([needed / time for time in times if needed is not None and time is not None])
            ratios.append(f"{found.mean():6.2f} +- {found.std():.2f}" if len(found) == repeats else "not reached")
        print(
            f"{wanted.name:28} {minutes:7d} {error:9.4g} {needed or np.nan:7.2f} {ratios[0]:>15} {ratios[1]:>15}",
            flush=True,
        )


def experiments(
    prior: Prior,
    truth: FloatArray,
    instrument: Instrument,
    options: argparse.Namespace,
    width: Resolution,
    chosen: FloatArray,
) -> None:
    """Print the errors of virtual experiments at chosen, equally spread and neighbouring angles."""
    fcs = prior.force_constants(truth, "truth")
    made = plan_experiment(
        fcs, instrument, options.ei, TEMPERATURE, ANGLES.tolist(), u=(1, 1, 0), v=(0, 0, 1),
        pixel_spacing=PIXEL_SPACING, bank_angle=options.bank_angle,
    )  # fmt: skip
    made = scaled_to(made, _PHONONS * options.counts * len(ANGLES), background=0.15)
    q = np.random.default_rng(1).uniform(-0.5, 0.5, (300, 3))
    dynamics = prior.dynamics(q)
    energies = dynamics.energies(truth)
    path = standard_path(prior.crystal, 51)
    rng = np.random.default_rng(2)
    found: dict[str, list[float]] = {"plan": [], "equally spread": [], "sweep": []}
    for repeat in range(options.experiments):
        turn = rng.uniform(0, 180)
        angles = {
            "plan": chosen,
            "equally spread": (turn + 180 / MINUTES * np.arange(MINUTES)) % 180,
            "sweep": (turn + np.arange(MINUTES)) % 180,
        }
        for name, psi in angles.items():
            runs = tuple(
                replace(made.runs[0], number=k, goniometer=axis_rotation((0, 1, 0), float(angle)))
                for k, angle in enumerate(psi)
            )
            one = replace(made, runs=runs, seed=repeat)
            source = EventSource(
                "virtual", runs, (one.detectors,) * MINUTES, 0, False, one.grid.width,
                lambda size, one=one: (part for k in range(MINUTES) for part in draw(one, k)),
            )  # fmt: skip
            folded = fold(source, prior.crystal, path, FoldSettings(one.grid))
            data = data_of_folded(folded, folded.cells.exposure > 0, width)
            settings = RefineSettings("coherent", max_starts=1, far=False, n_draws=0, reweight=False)
            values = refine(data, prior, truth, settings).values
            found[name].append(float(np.sqrt(np.mean((dynamics.energies(values) - energies) ** 2))))
            print(
                f"  {name:15} {data.counts.sum() / MINUTES:6.0f} counts a run, {found[name][-1]:.4f} meV",
                flush=True,
            )
    for name, errors in found.items():
        mean = np.sqrt(np.mean(np.square(errors)))
        print(f"{name:15} {mean:.4f} meV rms after {MINUTES} minutes, scatter {np.std(errors):.4f}")


def wants(prior: Prior, draws: FloatArray) -> tuple[Wanted, ...]:
    """Return what is asked for, differentiated at some sets of force constants (d, n)."""
    return (
        all_force_constants(prior),
        dispersion(prior, draws),
        named_force_constants(prior, ["FC0", "FC1"], len(draws)),
        mode_energy(prior, draws, "X", 3),
        mode_energy(prior, draws, "L", 1),
    )


def knowledge() -> tuple[Knowledge, FloatArray]:
    """Return the prior of the shipped force fields, and the truth (n,)."""
    paths = shipped_ensemble("ge")
    crystal = read_structure(paths[0].parent / "POSCAR")
    prior = prior_from_members([read_force_constants(path, crystal) for path in paths])
    made = read_force_constants(virtual_experiment() / "phonopy_params_truth.yaml.xz", crystal)
    return knowledge_of_prior(prior), prior.parametrisation.project(made).values[prior.order]


if __name__ == "__main__":
    main()
