"""One job for a worker process: what is handed over, how it runs, what comes back."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fcinv_core.crystal import FloatArray
from fcinv_core.potentials import worker
from fcinv_core.potentials.configuration import FAMILIES, Member
from fcinv_core.potentials.environments import interpreter_of

logger = logging.getLogger(__name__)


class MemberLeftOutError(Exception):
    """A member that cannot take part; the text is the reason, a clause that follows "left out,"."""


@dataclass(frozen=True)
class WorkerResult:
    """What a worker process hands back.

    Attributes
    ----------
    arrays
        forces and energies, or lattice and positions, as worker.py says.
    versions
        Of Python and of the packages that decide the numbers.
    seconds
        Wall time to load the model and to do the task.
    """

    arrays: Mapping[str, FloatArray]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]


def run_worker(
    member: Member,
    task: Literal["forces", "relax"],
    lattice: FloatArray,
    numbers: list[int],
    positions: FloatArray,
    *,
    device: str,
    force_tolerance: float,
    folder: Path,
) -> WorkerResult:
    """Run one task of a member in its own interpreter and wait for it.

    Parameters
    ----------
    member
        The force field.
    task
        "forces" of every set of positions, or "relax" the one cell.
    lattice, numbers, positions
        Shapes (3, 3) rows, Å; (n,); (m, n, 3) Cartesian, Å.
    device
        "cpu" or "cuda".
    force_tolerance
        eV/Å, where a relaxation ends.
    folder
        Is emptied; ends with the files of the job and worker.log, all that the worker printed.

    Raises
    ------
    MemberLeftOutError
        If there is no checkpoint or environment, or if the worker fails.
    """
    reason = obstacle(member)
    if reason is not None:
        raise MemberLeftOutError(reason)
    interpreter = interpreter_of(member)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = {
        "family": member.family,
        "name": member.name,
        "checkpoint": None if member.checkpoint is None else str(member.checkpoint),
        "modal": member.modal,
        "options": dict(member.options),
        "device": device,
        "task": task,
        "force_tolerance": force_tolerance,
    }
    (folder / "job.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
    np.savez(folder / "cells.npz", lattice=lattice, numbers=np.array(numbers), positions=positions)

    command = [str(interpreter), "-I", worker.__file__, str(folder.absolute())]
    code = _run_process(command, member.label, folder)
    if code != 0 or not (folder / "result.npz").exists():
        raise MemberLeftOutError(_reason(folder, code))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    with np.load(folder / "result.npz", allow_pickle=False) as arrays:
        return WorkerResult(dict(arrays), report["versions"], report["seconds"])


def obstacle(member: Member) -> str | None:
    """Return what keeps a member from running that can be seen without starting it, or None."""
    if member.checkpoint is None and not FAMILIES[member.family].ships_models:
        return 'no checkpoint given (checkpoint = "path" in ensemble.toml)'
    if member.checkpoint is not None and not member.checkpoint.exists():
        return f"its checkpoint {member.checkpoint} does not exist"
    interpreter = interpreter_of(member)
    if interpreter.exists():
        return None
    if member.interpreter is not None:
        return f"its interpreter {interpreter} does not exist"
    return f"there is no {interpreter} (make it with `fcinv ensemble --setup {member.family}`)"


def _run_process(command: list[str], label: str, folder: Path) -> int:
    """Run a worker, pass its progress on and keep the rest of what it prints; return its exit code."""
    # -I keeps our PYTHONPATH (Mantid sets one) and this package's folder out of the other interpreter.
    with (
        open(folder / "worker.log", "w", encoding="utf-8") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if line.startswith(worker.PROGRESS_MARK):
                    logger.info("%s: %s", label, line.removeprefix(worker.PROGRESS_MARK).strip())
                else:
                    log.write(line)
                    log.flush()
        except BaseException:
            # Interrupted: leaving the block waits for the worker, which must not go on alone.
            process.kill()
            raise
    return process.returncode


def _reason(folder: Path, code: int) -> str:
    """Find the shortest true account of why a worker failed."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        said = json.loads((folder / "failure.json").read_text(encoding="utf-8"))["reason"]
        return f"{said.rstrip('.')} (all it said is in {folder / 'worker.log'})"
    lines = (folder / "worker.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1].strip().rstrip(".") if lines else "it said nothing"
    return f"its process ended with code {code}: {last} (all it said is in {folder / 'worker.log'})"


def checkpoint_files(member: Member) -> list[Path]:
    """Return the files of a member's checkpoint, sorted; M3GNet's is a folder."""
    if member.checkpoint is None or not member.checkpoint.exists():
        return []
    if member.checkpoint.is_dir():
        return sorted(path for path in member.checkpoint.rglob("*") if path.is_file())
    return [member.checkpoint]
