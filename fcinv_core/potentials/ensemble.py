"""An ensemble of force fields: its members run one by one, resumed where finished, and summed up."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase.data import atomic_numbers

import fcinv_core
from fcinv_core import files
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.force_constants.phonopy_files import from_phonopy, read_force_constants
from fcinv_core.potentials.configuration import FAMILIES, EnsembleConfig, Member
from fcinv_core.potentials.environments import requirements
from fcinv_core.potentials.finite_displacements import (
    displaced_positions,
    force_constants_of,
    make_phonopy,
    set_force_constants,
    supercell_multiples,
)
from fcinv_core.potentials.job import (
    MemberLeftOutError,
    WorkerResult,
    checkpoint_files,
    obstacle,
    run_worker,
)
from fcinv_core.qpath import standard_path
from fcinv_core.stability import TOLERANCE, Stability, judge, stability_points
from fcinv_core.work_units import MapUnits, map_in_process

#: Changes when the same inputs give other numbers or other files, so that old results are computed again.
FORMAT = 2
#: A member whose force constants change by more than this part of their norm between the displacements of the
#: convergence check is flagged.
CONVERGENCE_TOLERANCE = 0.02
#: Where the relaxation of a lattice ends, eV/Å.
RELAXATION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Convergence:
    """How the force constants at another displacement differ from those of the member.

    Attributes
    ----------
    displacement
        Å.
    change
        Norm of the difference over the norm of the member's force constants, dimensionless.
    energy_change
        Largest change of an energy on the mesh, meV.
    """

    displacement: float
    change: float
    energy_change: float


@dataclass(frozen=True)
class MemberRecord:
    """What is known of a finished member; the contents of <label>.json.

    Attributes
    ----------
    label, family, name, modal
        Which force field.
    checkpoint
        Name of the checkpoint's file, None where the package holds the model.
    supercell
        Multiples of the conventional cell.
    n_atoms
        In the supercell.
    n_displacements
        Displaced supercells for one displacement length.
    displacement
        Å.
    relaxed
        Whether the member relaxed the lattice first.
    lattice
        Conventional basis vectors in rows, Å.
    residual_force
        Largest force component in the perfect supercell, eV/Å; it was subtracted.
    removed
        Norm that the projection on the symmetric space took away, over the norm before.
    stability
        Verdict.
    convergence
        Against displacement; empty if it was not asked for.
    versions
        Of Python and the packages in the member's environment, and of fcinv, phonopy and symfc here.
    seconds
        Wall time to load the model, to relax, to compute forces, and in total, all else included.
    inputs
        SHA-256 of all that decides the numbers.
    sha256
        Of the member's phonopy_params file.
    """

    label: str
    family: str
    name: str
    modal: str | None
    checkpoint: str | None
    supercell: tuple[int, int, int]
    n_atoms: int
    n_displacements: int
    displacement: float
    relaxed: bool
    lattice: tuple[tuple[float, ...], ...]
    residual_force: float
    removed: float
    stability: Stability
    convergence: tuple[Convergence, ...]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    inputs: str
    sha256: str

    @property
    def change(self) -> float | None:
        """Largest change of the force constants with displacement, None if it was not looked at."""
        return max((c.change for c in self.convergence), default=None)

    @property
    def depends_on_displacement(self) -> bool:
        """Whether the force constants change by more than ``CONVERGENCE_TOLERANCE``."""
        return self.change is not None and self.change > CONVERGENCE_TOLERANCE

    @classmethod
    def from_json(cls, text: str) -> MemberRecord:
        """Read back a record; raises ValueError, KeyError or TypeError if ``text`` is something else."""
        content = json.loads(text)
        content.pop("depends_on_displacement")
        worst = content["stability"]
        content["stability"] = Stability(**{**worst, "worst_q": tuple(worst["worst_q"])})
        content["convergence"] = tuple(Convergence(**c) for c in content["convergence"])
        content["supercell"] = tuple(content["supercell"])
        content["lattice"] = tuple(tuple(row) for row in content["lattice"])
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON knows it, with the flag that follows from it."""
        return asdict(self) | {"depends_on_displacement": self.depends_on_displacement}


@dataclass(frozen=True)
class MemberJob:
    """All that ``run_member`` needs: plain values, so that it can run in another process or machine.

    Attributes
    ----------
    crystal
        The crystal.
    member
        The force field.
    config
        How its force constants are computed.
    out
        Folder of the ensemble; other machines must see the same folder.
    """

    crystal: Crystal
    member: Member
    config: EnsembleConfig
    out: Path

    @property
    def force_constants_path(self) -> Path:
        """Where the member's phonopy_params file goes."""
        return self.out / f"phonopy_params_{self.member.label}.yaml"

    @property
    def record_path(self) -> Path:
        """Where its record goes."""
        return self.out / f"{self.member.label}.json"


@dataclass(frozen=True)
class MemberOutcome:
    """What became of a member.

    Attributes
    ----------
    label
        Which.
    state
        "made", "kept" from an earlier run, or "left out".
    reason
        Why it was left out, else empty.
    record
        None if it was left out.
    """

    label: str
    state: Literal["made", "kept", "left out"]
    reason: str
    record: MemberRecord | None

    def describe(self) -> str:
        """One line for people."""
        if self.record is None:
            return f"{self.label}: {self.state}, {self.reason}"
        verdict = self.record.stability
        text = f"{self.label}: {self.state}"
        if self.state == "made":
            text += f" in {self.record.seconds['total']:.0f} s"
        if verdict.stable:
            text += f", stable, energies up to {verdict.highest:.1f} meV"
        else:
            q = " ".join(f"{x:.3g}" for x in verdict.worst_q)
            text += f", unstable: {-verdict.lowest:.2f} meV imaginary at q = ({q})"
            if verdict.lowest_commensurate >= -TOLERANCE:
                text += ", none where waves fit into the supercell"
        text += f", {100 * self.record.removed:.2g} % removed by symmetry"
        if self.record.change is not None and self.record.depends_on_displacement:
            text += f", depends on the displacement ({100 * self.record.change:.2g} %)"
        return text


@dataclass(frozen=True)
class EnsembleSummary:
    """What became of an ensemble.

    Attributes
    ----------
    outcomes
        One a member, in the order of the configuration.
    out
        Folder with phonopy_params_<label>.yaml and <label>.json of each member, ensemble.csv, ensemble.json,
        dispersions.png, and jobs/ with what the workers were given and said.
    """

    outcomes: tuple[MemberOutcome, ...]
    out: Path

    @property
    def taken(self) -> tuple[MemberRecord, ...]:
        """Records of the members that have force constants."""
        return tuple(outcome.record for outcome in self.outcomes if outcome.record is not None)

    @property
    def force_constants_paths(self) -> tuple[Path, ...]:
        """Their phonopy_params files."""
        return tuple(self.out / f"phonopy_params_{record.label}.yaml" for record in self.taken)

    def rows(self) -> list[dict[str, str]]:
        """One row a member, as in ensemble.csv."""
        return [_row(outcome) for outcome in self.outcomes]

    def table(self) -> str:
        """The rows as text in columns, and how many members took part."""
        columns = {
            "member": "member",
            "stable": "stable",
            "lowest_meV": "lowest/meV",
            "at": "at q",
            "highest_meV": "highest/meV",
            "removed": "removed",
            "change": "change",
            "seconds": "time/s",
        }
        lines = [list(columns.values())]
        for row in self.rows():
            row["at"] = " ".join(f"{float(row[k]):.3g}" for k in ("q1", "q2", "q3")) if row["q1"] else ""
            lines.append(
                [row[key] for key in columns] if row["state"] != "left out" else [row["member"], "left out"]
            )
        widths = [max(len(line[k]) for line in lines if k < len(line)) for k in range(len(columns))]
        text = [
            "  ".join(
                c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=False))
            )
            for line in lines
        ]
        stable = sum(record.stability.stable for record in self.taken)
        text.append(f"{len(self.taken)} of {len(self.outcomes)} members took part, {stable} of them stable")
        flagged = [record.label for record in self.taken if record.depends_on_displacement]
        if flagged:
            text.append(f"force constants depend on the displacement: {', '.join(flagged)}")
        return "\n".join(line.rstrip() for line in text)


def run_ensemble(
    crystal: Crystal,
    config: EnsembleConfig,
    out: Path,
    *,
    map_units: MapUnits = map_in_process,
    report: Callable[[str], None],
) -> EnsembleSummary:
    """Compute the force constants of a crystal with every member, and sum them up.

    Members that were finished before with the same inputs are kept.

    Parameters
    ----------
    crystal
        The crystal.
    config
        Members and settings.
    out
        Folder for the results, made if need be; see ``EnsembleSummary.out``.
    map_units
        How members are spread; in this process, one after the other, by default.
    report
        Called with one line for each member.

    Raises
    ------
    InputError
        If no member could run, or if ``out`` cannot be written to.
    """
    out = Path(out)
    # Absolute, because other processes may have another working directory.
    jobs = [MemberJob(crystal, member, config, out.absolute()) for member in config.members]
    multiples = supercell_multiples(crystal.conventional_lattice, config.min_length)
    report(f"{crystal.describe()}; supercell {'x'.join(map(str, multiples))} of the conventional cell")
    outcomes = []
    for number, outcome in enumerate(map_units(_run_unit, None, jobs), start=1):
        report(f"{number}/{len(jobs)} {outcome.describe()}")
        outcomes.append(outcome)
    summary = EnsembleSummary(tuple(outcomes), out)
    if not summary.taken:
        raise InputError(
            f"none of the {len(jobs)} members could compute force constants",
            f"{outcomes[0].label} was left out, {outcomes[0].reason}" if outcomes else "it is empty",
            "mend that, and run the same command again",
        )
    _write_summary(crystal, config, summary)
    return summary


def _run_unit(shared: None, job: MemberJob) -> MemberOutcome:
    """Members share nothing that is worth sending apart."""
    return run_member(job)


def run_member(job: MemberJob) -> MemberOutcome:
    """Compute the force constants of one member, or keep those that are there.

    Raises
    ------
    InputError
        If the folder cannot be written to. A member that fails does not raise: its outcome says why.
    """
    inputs = _inputs(job)
    kept = _finished(job, inputs)
    if kept is not None:
        return MemberOutcome(job.member.label, "kept", "", kept)
    # Looked at before the supercell is made: members without a checkpoint are common and should cost nothing.
    reason = obstacle(job.member)
    if reason is not None:
        return MemberOutcome(job.member.label, "left out", reason, None)
    try:
        record = _compute(job, inputs)
    except MemberLeftOutError as error:
        return MemberOutcome(job.member.label, "left out", str(error), None)
    files.write_text(job.record_path, json.dumps(record.to_dict(), indent=1) + "\n")
    return MemberOutcome(job.member.label, "made", "", record)


def _compute(job: MemberJob, inputs: str) -> MemberRecord:
    crystal, config = job.crystal, job.config
    # All members share one supercell, whatever their relaxed lattices are.
    multiples = supercell_multiples(crystal.conventional_lattice, config.min_length)
    begin = time.perf_counter()
    seconds: dict[str, float] = {}
    if config.relax:
        crystal, relaxation = _relaxed(job)
        seconds["relax"] = relaxation.seconds["load"] + relaxation.seconds["relax"]

    phonon = make_phonopy(crystal, multiples)
    lengths = list(dict.fromkeys([config.displacement, *config.convergence]))
    positions = displaced_positions(phonon, lengths)
    result = _run(job, "forces", phonon.supercell.cell, list(phonon.supercell.symbols), positions)
    seconds |= result.seconds
    residual = result.arrays["forces"][0]
    # What the perfect cell feels is no response to a displacement.
    responses = (result.arrays["forces"][1:] - residual).reshape(len(lengths), -1, *residual.shape)
    forces = dict(zip(lengths, responses, strict=True))

    removed = set_force_constants(phonon, config.displacement, forces[config.displacement])
    reference = force_constants_of(phonon)
    found = from_phonopy(phonon, crystal, source=job.member.label)
    points = stability_points(crystal)
    energies = mode_energies(found, points)
    convergence = []
    other = make_phonopy(crystal, multiples)
    for length in config.convergence:
        set_force_constants(other, length, forces[length])
        difference = np.linalg.norm(force_constants_of(other) - reference)
        others = mode_energies(from_phonopy(other, crystal, source=job.member.label), points)
        convergence.append(
            Convergence(
                length,
                float(difference / np.linalg.norm(reference)),
                float(np.abs(others - energies).max()),
            )
        )
    with files.replace_when_complete(job.force_constants_path) as path:
        phonon.save(path, settings={"force_constants": True})
    seconds["total"] = round(time.perf_counter() - begin, 2)
    return MemberRecord(
        label=job.member.label,
        family=job.member.family,
        name=job.member.name,
        modal=job.member.modal,
        checkpoint=None if job.member.checkpoint is None else job.member.checkpoint.name,
        supercell=multiples,
        n_atoms=len(phonon.supercell),
        n_displacements=len(forces[config.displacement]),
        displacement=config.displacement,
        relaxed=config.relax,
        lattice=tuple(tuple(round(float(x), 8) for x in row) for row in crystal.conventional_lattice),
        residual_force=float(np.abs(residual).max()),
        removed=removed,
        stability=judge(found, points),
        convergence=tuple(convergence),
        versions={**result.versions, **_own_versions()},
        seconds=seconds,
        inputs=inputs,
        sha256=files.sha256(job.force_constants_path),
    )


def _relaxed(job: MemberJob) -> tuple[Crystal, WorkerResult]:
    """Let the member relax the conventional cell; return the crystal at its minimum."""
    lattice, fractions, symbols = job.crystal.conventional_cell()
    result = _run(job, "relax", lattice, list(symbols), (fractions @ lattice)[None])
    relaxed = result.arrays["lattice"]
    masses = np.repeat(job.crystal.masses, len(symbols) // job.crystal.n_sites)
    crystal = Crystal.from_cell(
        relaxed,
        result.arrays["positions"][0] @ np.linalg.inv(relaxed),
        symbols,
        masses,
        name=f"the cell relaxed by {job.member.label}",
    )
    if crystal.space_group_number != job.crystal.space_group_number:
        raise MemberLeftOutError(
            "its relaxation turned the space group "
            f"{job.crystal.space_group_symbol} into {crystal.space_group_symbol}"
        )
    return crystal, result


def _run(
    job: MemberJob, task: Literal["forces", "relax"], lattice: Any, symbols: list[str], positions: Any
) -> WorkerResult:
    return run_worker(
        job.member,
        task,
        lattice,
        [atomic_numbers[symbol] for symbol in symbols],
        positions,
        device=job.config.device,
        force_tolerance=RELAXATION_TOLERANCE,
        folder=job.out / "jobs" / job.member.label / task,
    )


def _inputs(job: MemberJob) -> str:
    """Return the SHA-256 of all that decides a member's numbers."""
    crystal, member = job.crystal, job.member
    own = FAMILIES[member.family].own_environment and member.interpreter is None
    content = {
        "format": FORMAT,
        # Rounded, so that the last digit of a standardised cell does not count as another crystal.
        "crystal": [
            np.round(crystal.lattice, 6).tolist(),
            np.round(crystal.positions, 6).tolist(),
            list(crystal.symbols),
            np.round(crystal.masses, 6).tolist(),
        ],
        "member": [member.family, member.name, member.modal, dict(member.options)],
        "checkpoint": [files.sha256(path) for path in checkpoint_files(member)],
        "environment": requirements(member.family) if own else str(member.interpreter),
        "settings": _settings(job.config),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _settings(config: EnsembleConfig) -> dict[str, Any]:
    """Return the configuration without its members."""
    return {f.name: getattr(config, f.name) for f in fields(config) if f.name != "members"}


def _finished(job: MemberJob, inputs: str) -> MemberRecord | None:
    """Return the record of an earlier run with the same inputs, if its files are whole."""
    try:
        record = MemberRecord.from_json(job.record_path.read_text(encoding="utf-8"))
        same = record.inputs == inputs and record.sha256 == files.sha256(job.force_constants_path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if same else None


def _own_versions() -> dict[str, str]:
    import phonopy
    import symfc

    return {"fcinv": fcinv_core.__version__, "phonopy": phonopy.__version__, "symfc": symfc.__version__}


def _row(outcome: MemberOutcome) -> dict[str, str]:
    row = dict.fromkeys(
        (
            "member",
            "state",
            "family",
            "name",
            "modal",
            "stable",
            "lowest_meV",
            "q1",
            "q2",
            "q3",
            "lowest_commensurate_meV",
            "highest_meV",
            "residual_force_eV_per_A",
            "removed",
            "change",
            "depends_on_displacement",
            "seconds",
            "reason",
        ),
        "",
    )
    row |= {"member": outcome.label, "state": outcome.state, "reason": outcome.reason}
    record = outcome.record
    if record is None:
        return row
    verdict = record.stability
    return (
        row
        | dict(zip(("q1", "q2", "q3"), map(str, verdict.worst_q), strict=True))
        | {
            "family": record.family,
            "name": record.name,
            "modal": record.modal or "",
            "stable": "yes" if verdict.stable else "no",
            "lowest_meV": f"{verdict.lowest:.3f}",
            "lowest_commensurate_meV": f"{verdict.lowest_commensurate:.3f}",
            "highest_meV": f"{verdict.highest:.3f}",
            "residual_force_eV_per_A": f"{record.residual_force:.2e}",
            "removed": f"{record.removed:.2e}",
            "change": "" if record.change is None else f"{record.change:.4f}",
            "depends_on_displacement": "yes" if record.depends_on_displacement else "no",
            "seconds": f"{record.seconds['total']:.1f}",
        }
    )


def _write_summary(crystal: Crystal, config: EnsembleConfig, summary: EnsembleSummary) -> None:
    rows = summary.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(summary.out / "ensemble.csv", text.getvalue())

    content = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "crystal": crystal.describe(),
        "settings": _settings(config) | {"convergence_tolerance": CONVERGENCE_TOLERANCE},
        "members": [record.to_dict() for record in summary.taken],
        "left_out": {o.label: o.reason for o in summary.outcomes if o.record is None},
    }
    files.write_text(summary.out / "ensemble.json", json.dumps(content, indent=1) + "\n")
    # Drawing brings in compiled code, which the command line's --help does not need.
    from fcinv_core.plotting import material_title, plot_dispersions

    path = standard_path(crystal)
    dispersions = []
    for record, file in zip(summary.taken, summary.force_constants_paths, strict=True):
        # In its own lattice: a member that relaxed it may have left the given one behind.
        found = read_force_constants(file, read_structure(file))
        dispersions.append((record.label, mode_energies(found, path.q, path.direction)))
    plot_dispersions(
        summary.out / "dispersions.png",
        path,
        dispersions,
        title=material_title(crystal, f"{len(summary.taken)} force fields"),
    )
