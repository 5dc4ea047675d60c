"""A training that was interrupted: all that it needs to go on as if it had not been."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fcinv_core.errors import InputError
from fcinv_core.files import replace_when_complete


@dataclass(frozen=True, eq=False)
class Progress:
    """State of a training between two epochs.

    Attributes
    ----------
    key
        What the training was started with; another one cannot go on from it.
    stage, epoch
        The next epoch of that stage; stages that are done count before it.
    best, since
        Least validation loss of the stage, and epochs since then.
    history
        A row for each epoch that is done.
    """

    key: Mapping[str, Any]
    stage: int = 0
    epoch: int = 0
    best: float = float("inf")
    since: int = 0
    history: tuple[Mapping[str, Any], ...] = ()


def checkpoint_path(out: Path) -> Path:
    """Return where the checkpoint of the model folder ``out`` lies: beside it."""
    return out.with_name(f"{out.name}.checkpoint.safetensors")


def save_checkpoint(
    path: Path, progress: Progress, network: nn.Module, best: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> None:
    """Write a checkpoint; a training that is killed meanwhile leaves the one before."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
    content = {name: getattr(progress, name) for name in ("key", "stage", "epoch", "best", "since", "history")}
    with replace_when_complete(path) as temporary:
        save_file(
            {name: value.detach().contiguous().clone() for name, value in tensors.items()},
            temporary,
            metadata={"progress": json.dumps(content)},
        )


def read_progress(path: Path, key: Mapping[str, Any]) -> Progress:
    """Read how far a training has come.

    Raises
    ------
    InputError
        If the file is damaged, or belongs to a training with other settings or data.
    """
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()["progress"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a checkpoint", str(error), "remove it and train from the beginning"
        ) from error
    wanted = json.loads(json.dumps(key))
    for name in wanted:
        if content["key"].get(name) != wanted[name]:
            raise InputError(
                f"{path} belongs to another training",
                f"its {name} is {content['key'].get(name)}, here {wanted[name]}",
                "give the same settings, or leave --resume out to begin anew",
            )
    content["history"] = tuple(content["history"])
    return Progress(**content)


def restore(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """Put weights, and the optimiser's state if one is given, back; return the best weights of the stage."""
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # safe_open is no mapping
            group, _, rest = name.partition(".")
            groups[group][rest] = file.get_tensor(name)
    network.load_state_dict(groups["network"])
    if optimiser is not None:
        content = optimiser.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in groups["optimiser"].items():
            index, _, quantity = name.partition(".")
            states.setdefault(int(index), {})[quantity] = value
        content["state"] = states
        optimiser.load_state_dict(content)
    return groups["best"]
