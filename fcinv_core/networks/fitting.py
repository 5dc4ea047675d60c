"""The optimisation: stages, epochs, steps, early stopping, and a checkpoint after every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fcinv_core.crystal import IntArray
from fcinv_core.networks.architectures import Batch, Network, Stage
from fcinv_core.networks.batches import TRAINING, VALIDATION, Samples
from fcinv_core.networks.checkpoint import Progress, read_progress, restore, save_checkpoint
from fcinv_core.networks.processes import Processes

_Item = TypeVar("_Item")
#: Share of the steps of a stage in which the learning rate rises.
_WARM_UP = 0.1
_LARGEST_GRADIENT = 1.0
_WEIGHT_DECAY = 1e-2
#: Epoch number of the measurements of the validation part, which are drawn once: no training comes so far.
_VALIDATION_EPOCH = 2**31


@dataclass(frozen=True)
class Optimisation:
    """How the weights are sought.

    Attributes
    ----------
    epochs
        Passes over the training part, all stages together.
    batch
        Samples in a step.
    rate
        Highest learning rate.
    patience
        Epochs without improvement on the validation part after which a stage ends.
    half_precision
        Compute with bfloat16 where torch sees fit.
    seed
        Of the noise in the losses, and of the order where samples are passed over several times.
    """

    epochs: int
    batch: int
    rate: float
    patience: int
    half_precision: bool
    seed: int


@dataclass(frozen=True, eq=False)
class Fitting:
    """One training of a network.

    Attributes
    ----------
    network
        Its weights change.
    samples
        What it learns from.
    optimisation
        How.
    checkpoint
        File that is written after every epoch.
    say
        Called with a line for each epoch.
    progress
        Called with the batches that are done in an epoch, and their number.
    between
        Called before every batch.
    processes
        Who trains it together. The losses are the same however many they are, but for rounding; only batch
        normalisation on ordinary processors sees each process's share of a batch alone.
    """

    network: Network
    samples: Samples
    optimisation: Optimisation
    checkpoint: Path
    say: Callable[[str], None]
    progress: Callable[[int, int], None]
    between: Callable[[], None]
    processes: Processes

    def run(self, key: Mapping[str, Any], *, resume: bool) -> tuple[Mapping[str, Any], ...]:
        """Train all stages and return a row for each epoch; the network is left on the ordinary processor.

        Parameters
        ----------
        key
            What decides the result: a checkpoint of another key is refused.
        resume
            Go on from the checkpoint if there is one.

        Raises
        ------
        InputError
            If the checkpoint is damaged or belongs to another training.
        """
        state = Progress(key)
        resumed = resume and self.checkpoint.is_file()
        if resumed:
            state = read_progress(self.checkpoint, key)
            self.say(f"going on after {len(state.history)} epochs")
        # None goes on before all have read how far it has come.
        self.processes.wait()
        self.network.to(self.processes.device)
        if self.processes.number > 1 and self.processes.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)  # type: ignore[no-untyped-call]
        stages = self.network.stages()
        if resumed and state.stage == len(stages):
            restore(self.checkpoint, self.network, None)
        for number, stage in enumerate(stages):
            if number == state.stage:
                state = self._stage(stage, state, resumed)
                resumed = False
        self.network.cpu()
        return state.history

    def _stage(self, stage: Stage, state: Progress, resumed: bool) -> Progress:
        chosen = self.optimisation
        trained = [parameter for module in stage.modules for parameter in module.parameters()]
        optimiser = torch.optim.AdamW(trained, lr=chosen.rate, weight_decay=_WEIGHT_DECAY, fused=True)
        if resumed:
            best = restore(self.checkpoint, self.network, optimiser if state.epoch else None)
        else:
            best = _copy(self.network)
        # What is frozen answers as it will: batch normalisation by what it has seen, not by the batch.
        self.network.eval()
        epochs = max(1, round(stage.share * chosen.epochs))
        part, held = self.samples.part(TRAINING), self.samples.part(VALIDATION)
        validation = [_seen_by(stage, batch) for batch in self._measured(held, _VALIDATION_EPOCH, shuffle=False)]
        loss_of: nn.Module = _StageLoss(stage)
        if self.processes.number > 1:
            loss_of = DistributedDataParallel(loss_of)
        while state.epoch < epochs and state.since < chosen.patience:
            started = time.monotonic()
            number = len(state.history)
            noise = torch.Generator().manual_seed(1_000_003 * chosen.seed + number)
            losses = []
            for share, batch in self._batches(stage, number):
                rate = chosen.rate * _schedule((state.epoch + share) / epochs)
                drawn = self._noise(stage, batch, noise)
                losses.append((self._step(loss_of, batch, drawn, optimiser, trained, rate), batch.whole))
            loss, found = _mean(losses), self._validate(stage, validation)
            improved = found < state.best
            if improved:
                best = _copy(self.network)
            row = {
                "stage": stage.name,
                "epoch": state.epoch + 1,
                "loss": round(loss, 6),
                "validation": round(found, 6),
                "samples_per_second": round(len(part) / (time.monotonic() - started), 1),
            }
            state = replace(
                state,
                epoch=state.epoch + 1,
                best=min(found, state.best),
                since=0 if improved else state.since + 1,
                history=(*state.history, row),
            )
            self.say(
                f"{stage.name} {state.epoch} of {epochs}: loss {loss:.4f}, validation {found:.4f}"
                f"{' *' if improved else ''}, {row['samples_per_second']:.0f} samples/s"
            )
            self._save(state, best, optimiser)
        self.network.load_state_dict(best)
        state = replace(state, stage=state.stage + 1, epoch=0, best=math.inf, since=0)
        self._save(state, best, torch.optim.AdamW(trained))
        return state

    def _save(self, state: Progress, best: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> None:
        if self.processes.rank == 0:
            save_checkpoint(self.checkpoint, state, self.network, best, optimiser)

    def _measured(self, part: IntArray, epoch: int, *, shuffle: bool = True) -> Iterator[Batch]:
        """Yield this process's share of the batches of a part."""
        batches = self.samples.epoch(
            part, epoch, self.optimisation.batch, shuffle=shuffle, processes=self.processes
        )
        for batch in self._watched(batches):
            yield batch.to(self.processes.device)

    def _noise(self, stage: Stage, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the noise of this process's samples: the same for a sample whoever has it."""
        noise = torch.randn(batch.whole, stage.noise, generator=generator)
        return noise[self.processes.rows(batch.whole)].to(self.processes.device)

    def _batches(self, stage: Stage, epoch: int) -> Iterator[tuple[float, Batch]]:
        """Yield the share of the epoch that is done, and a batch as the stage wants it."""
        part, size = self.samples.part(TRAINING), self.optimisation.batch
        n_batches = math.ceil(len(part) / size)
        kept = []
        for k, measured in enumerate(self._measured(part, epoch)):
            if stage.frozen is None:
                yield (k + 0.5) / n_batches, measured
            else:
                kept.append(_seen_by(stage, measured))
            self.progress(k + 1, n_batches)
        if stage.frozen is None:
            return
        images, clean, targets = (
            torch.cat([self.processes.gathered(getattr(batch, name), batch.whole) for batch in kept])
            for name in ("images", "clean", "targets")
        )
        generator = np.random.default_rng([self.optimisation.seed, epoch])
        for number in range(stage.passes):
            order = torch.from_numpy(generator.permutation(len(targets)))
            # Even parts: no process is left without a sample in the last.
            for k, chosen in enumerate(self._watched(torch.tensor_split(order, n_batches))):
                share = (number + (k + 0.5) / n_batches) / stage.passes
                own = chosen[self.processes.rows(len(chosen))].to(images.device)
                yield share, Batch(images[own], clean[own], targets[own], len(chosen))

    def _step(
        self,
        loss_of: nn.Module,
        batch: Batch,
        noise: Tensor,
        optimiser: torch.optim.Optimizer,
        trained: list[nn.Parameter],
        rate: float,
    ) -> float:
        self.network.train()
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.optimisation.half_precision):
            loss = loss_of(batch, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, _LARGEST_GRADIENT)
        optimiser.step()
        return float(loss.item())

    @torch.no_grad()
    def _validate(self, stage: Stage, batches: list[Batch]) -> float:
        self.network.eval()
        generator = torch.Generator().manual_seed(self.optimisation.seed)
        losses = [
            (float(stage.loss(batch, self._noise(stage, batch, generator))), batch.whole)
            for batch in self._watched(batches)
        ]
        return _mean(losses)

    def _watched(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield items, `between` called before each."""
        for item in items:
            self.between()
            yield item


class _StageLoss(nn.Module):
    """The loss of a stage as a module that holds what is trained, whose gradients can be averaged."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.trained = nn.ModuleList(stage.modules)
        self.loss = stage.loss

    def forward(self, batch: Batch, noise: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.loss(batch, noise)


@torch.no_grad()
def _seen_by(stage: Stage, batch: Batch) -> Batch:
    """Return a batch whose images are what the frozen part of the network makes of them."""
    if stage.frozen is None:
        return batch
    # All of an epoch are kept: without the clean spectra, which would take gigabytes.
    return replace(batch, images=stage.frozen(batch.images), clean=batch.clean[:, :0].clone())


def _mean(losses: list[tuple[float, int]]) -> float:
    return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)


def _schedule(share: float) -> float:
    """Learning rate relative to its highest at a share of the steps: a rise, then a cosine down to zero."""
    if share < _WARM_UP:
        return share / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
