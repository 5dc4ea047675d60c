"""Which force fields make up an ensemble, and how each is to be run: the contents of ensemble.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from fcinv_core.crystal import check_readable
from fcinv_core.errors import InputError


@dataclass(frozen=True)
class Family:
    """What the ensemble must know of a family of force fields before it starts one.

    Attributes
    ----------
    ships_models
        Its package holds models, loaded by name; otherwise every member needs a checkpoint.
    own_environment
        It runs in a Python environment of its own, made by ``fcinv ensemble --setup``.
    """

    ships_models: bool
    own_environment: bool


FAMILIES: Mapping[str, Family] = {
    "chgnet": Family(ships_models=True, own_environment=True),
    "sevennet": Family(ships_models=True, own_environment=True),
    "mace": Family(ships_models=False, own_environment=True),
    "m3gnet": Family(ships_models=False, own_environment=True),
    # Any calculator with ase's interface, by "module:callable": a user's own potential.
    "ase": Family(ships_models=True, own_environment=False),
}


@dataclass(frozen=True)
class Member:
    """One force field of an ensemble.

    Attributes
    ----------
    family
        A key of ``FAMILIES``.
    name
        Name of the model in its package, or "module:callable" in the family "ase".
    checkpoint
        File (or, for m3gnet, folder) with the model, where the package does not hold it.
    modal
        Level of theory of a multi-fidelity model ("PBE", "R2SCAN").
    interpreter
        Python that runs it; the environment of the family by default.
    options
        Keyword arguments of its calculator.
    """

    family: str
    name: str
    checkpoint: Path | None = None
    modal: str | None = None
    interpreter: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How files and tables call the member: "chgnet-0.2.0", "sevennet-7net-mf-0-PBE"."""
        parts = [self.family, self.name, *([self.modal] if self.modal else [])]
        return re.sub(r"[^\w.+-]+", "-", "-".join(parts))


@dataclass(frozen=True)
class EnsembleConfig:
    """The members of an ensemble and how their force constants are computed.

    Attributes
    ----------
    members
        Their labels differ.
    displacement
        Length of a finite displacement, Å.
    min_length
        Smallest distance between opposite faces of the supercell, Å.
    relax
        Let every member relax the lattice first, with the space group held; otherwise all members share the
        lattice that was given.
    convergence
        Displacements (Å) at which the force constants are computed again, to see which members depend on it;
        none: no check.
    device
        "cpu" or "cuda".
    """

    members: tuple[Member, ...]
    displacement: float = 0.02
    min_length: float = 12.0
    relax: bool = False
    convergence: tuple[float, ...] = (0.005, 0.01, 0.02, 0.03)
    device: str = "cpu"

    def select(self, labels: Sequence[str]) -> EnsembleConfig:
        """Return the same configuration with only the members so labelled.

        Raises
        ------
        InputError
            If no member has one of the labels.
        """
        known = [member.label for member in self.members]
        for label in labels:
            if label not in known:
                raise InputError(
                    f"there is no member {label!r} in the ensemble",
                    f"its members are {', '.join(known)}",
                    "name some of these",
                )
        return replace(self, members=tuple(m for m in self.members if m.label in labels))


def shipped_config() -> EnsembleConfig:
    """Return the ensemble that comes with fcinv: 14 submodels of four families."""
    with resources.as_file(resources.files(__package__) / "ensemble.toml") as path:
        return read_ensemble_config(path)


def read_ensemble_config(path: Path | str) -> EnsembleConfig:
    """Read an ensemble.toml; relative paths in it start from its folder.

    Raises
    ------
    InputError
        If the file is missing, is not TOML, or holds something that does not fit; the sentence names the
        member and the key.
    """
    path = Path(path)
    check_readable(path, "an ensemble.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file", str(error), "mend that line") from error

    tables = content.pop("member", None)
    if not isinstance(tables, list) or not tables:
        raise InputError(
            f"{path} names no members",
            "an ensemble has one [[member]] table for each force field",
            "copy the shipped ensemble.toml (fcinv ensemble --list shows where it is) and change it",
        )
    members = tuple(_read_member(table, number, path) for number, table in enumerate(tables, start=1))
    labels = [member.label for member in members]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(
                f"{path} names the member {label} {labels.count(label)} times",
                "results are kept by that name",
                "leave one of them",
            )
    known = {f.name for f in fields(EnsembleConfig)} - {"members"}
    _refuse_unknown(content, known, str(path))
    if isinstance(content.get("convergence"), list):
        content["convergence"] = tuple(content["convergence"])
    return check_config(EnsembleConfig(members=members, **content), str(path))


def check_config(config: EnsembleConfig, source: str) -> EnsembleConfig:
    """Return ``config`` if its values can be used; ``source`` is how the sentence calls their origin.

    Raises
    ------
    InputError
        Naming the value that cannot be used.
    """
    lengths = {"displacement": [config.displacement], "convergence": list(config.convergence)}
    for key, values in lengths.items():
        for value in values:
            if not (_is_number(value) and 1e-4 <= value <= 0.2):
                raise InputError(
                    f"{source}: {key} = {value!r} cannot be used",
                    "finite displacements are lengths of 0.0001 to 0.2 Å",
                    "0.02 serves most crystals",
                )
    if not (_is_number(config.min_length) and 0 < config.min_length <= 60):
        raise InputError(
            f"{source}: min_length = {config.min_length!r} cannot be used",
            "it is a length of at most 60 Å",
            "12 serves most crystals",
        )
    if not isinstance(config.relax, bool):
        raise InputError(
            f"{source}: relax = {config.relax!r} cannot be used", "it is yes or no", "write true or false"
        )
    if config.device not in ("cpu", "cuda"):
        raise InputError(
            f"{source}: device = {config.device!r} cannot be used",
            "force fields run on a processor or a GPU",
            'write "cpu" or "cuda"',
        )
    return config


def _read_member(table: dict[str, Any], number: int, path: Path) -> Member:
    where = f"{path}, member {number}"
    _refuse_unknown(table, {f.name for f in fields(Member)}, where)
    for key in ("family", "name"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise InputError(
                f"{where} has no {key}", f"the value seen is {table.get(key)!r}", f'write {key} = "..."'
            )
    if table["family"] not in FAMILIES:
        raise InputError(
            f"{where} ({table['name']}) is of the unknown family {table['family']!r}",
            f"the families are {', '.join(FAMILIES)}",
            'name one of them, or give any calculator of ase as family = "ase", name = "module:callable"',
        )
    if table["family"] == "ase" and not re.fullmatch(r"[\w.]+:\w+", table["name"]):
        raise InputError(
            f"{where} has the name {table['name']!r}",
            "in the family ase a name says what makes the calculator",
            'write name = "module:callable", for example "ase.calculators.emt:EMT"',
        )
    values = dict(table)
    for key in ("checkpoint", "interpreter"):
        if key in values:
            # Not resolved: an environment's python is a link, and following it would leave the environment.
            values[key] = path.parent.absolute() / Path(str(values[key])).expanduser()
    return Member(**values)


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(
                f"{where} holds the unknown key {key!r}",
                f"the keys are {', '.join(sorted(known))}",
                "correct or remove it",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
