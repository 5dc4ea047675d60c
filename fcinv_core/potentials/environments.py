"""The Python environments that run the force fields: one for each family, made once, found by its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from fcinv_core.errors import InputError
from fcinv_core.potentials.configuration import FAMILIES, Member


def environments_folder() -> Path:
    """Return the folder of the environments: ``$FCINV_ENVIRONMENTS``, or one in the user's data directory."""
    chosen = os.environ.get("FCINV_ENVIRONMENTS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "fcinv" / "environments"


def interpreter_of(member: Member) -> Path:
    """Return the Python that runs a member; nothing says that it exists.

    It is the one the member names, else that of the family's environment; calculators of the family "ase" run
    in the Python that runs fcinv.
    """
    if member.interpreter is not None:
        return member.interpreter
    if not FAMILIES[member.family].own_environment:
        return Path(sys.executable)
    return _python_in(environments_folder() / member.family)


def requirements(family: str) -> str:
    """Return the pinned requirements of a family's environment, as pip reads them."""
    return (resources.files(__package__) / "requirements" / f"{family}.txt").read_text(encoding="utf-8")


def set_up_environments(families: Sequence[str], report: Callable[[str], None]) -> None:
    """Make the environments of some families, or bring existing ones to the pinned versions.

    Needs pip's package index. Every package is pinned, so that an ensemble can be computed again.

    Parameters
    ----------
    families
        Keys of ``FAMILIES`` with an environment of their own.
    report
        Called with one line for each step.

    Raises
    ------
    InputError
        If a family is unknown or has no environment, or if pip fails; the sentence ends pip's own last line.
    """
    made = [name for name, family in FAMILIES.items() if family.own_environment]
    for family in families:
        if family not in made:
            raise InputError(
                f"there is no environment for {family!r}",
                f"the families are {', '.join(made)}",
                "name some of these",
            )
    for family in families:
        folder = environments_folder() / family
        python = _python_in(folder)
        report(f"{family}: {'updating' if python.exists() else 'making'} {folder}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder.parent} cannot be made",
                str(error.strerror),
                "set FCINV_ENVIRONMENTS to a folder you can write to",
            ) from error
        _make_venv(folder, family)
        with resources.as_file(resources.files(__package__) / "requirements" / f"{family}.txt") as pins:
            report(f"{family}: installing the pinned packages, this takes minutes")
            _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(pins)], family)
        report(f"{family}: ready")


def _python_in(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _make_venv(folder: Path, family: str) -> None:
    _run([sys.executable, "-I", "-m", "venv", str(folder)], family)


def _run(command: list[str], family: str) -> None:
    # A PYTHONPATH (Mantid sets one) would let pip see packages that the environment does not have.
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        program = command[command.index("-m") + 1]
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InputError(
            f"the environment of {family} cannot be made",
            f"{program} ended with {said[-1].strip().rstrip('.') if said else 'no message'}",
            "check the network and the disk, then run the same command again: it goes on where it stopped",
        )
