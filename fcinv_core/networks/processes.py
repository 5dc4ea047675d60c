"""The processes that train a network together: one alone, or those that torchrun starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from fcinv_core.dynamics import gpu
from fcinv_core.errors import InputError

#: How long a process waits for another, as all do while the first judges the network. One that died need not be
#: waited for: torchrun ends all.
_LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """Several processes as one of them sees them; each takes some rows of every batch.

    Attributes
    ----------
    rank
        Number of this process; 0 is the one that writes files.
    number
        How many there are.
    device
        Where this process computes.
    """

    rank: int
    number: int
    device: torch.device

    def rows(self, n: int) -> slice:
        """Return the rows of a batch of n that this process takes."""
        return slice(n * self.rank // self.number, n * (self.rank + 1) // self.number)

    def gathered(self, own: Tensor, n: int) -> Tensor:
        """Return all n rows of a tensor of which this process holds its own."""
        if self.number == 1:
            return own
        together = own.new_zeros(n, *own.shape[1:])
        together[self.rows(n)] = own
        distributed.all_reduce(together)
        return together

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.number > 1:
            distributed.barrier()


#: A process that has no others, on an ordinary processor.
ALONE = Processes(0, 1, torch.device("cpu"))


def speaks() -> bool:
    """Return whether this process is the one that tells the user what happens: the first, or the only one."""
    return not _under_torchrun() or os.environ["RANK"] == "0"


@contextmanager
def training_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, each on a graphics processor of its own where there are any.

    Started in any other way, a process trains alone.

    Raises
    ------
    InputError
        If there are graphics processors, but fewer than processes.
    """
    number = int(os.environ["WORLD_SIZE"]) if _under_torchrun() else 1
    device = gpu()
    if number == 1:
        yield ALONE if device is None else Processes(0, 1, torch.device(device))
        return
    local = int(os.environ["LOCAL_RANK"])
    if device is not None:
        if local >= torch.cuda.device_count():
            raise InputError(
                f"{os.environ['LOCAL_WORLD_SIZE']} processes on a machine",
                f"it has {torch.cuda.device_count()} graphics processors, and each process wants one",
                "start fewer with --nproc-per-node",
            )
        torch.cuda.set_device(local)
        device = f"{device}:{local}"
    distributed.init_process_group("gloo" if device is None else "nccl", timeout=_LONGEST_WAIT)
    try:
        yield Processes(distributed.get_rank(), number, torch.device(device or "cpu"))
    finally:
        distributed.destroy_process_group()


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ
