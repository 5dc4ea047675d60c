"""Measure training: samples a second and peak memory of each architecture, and what drawing measurements costs.

    python scripts/bench_train.py [--architectures vae flow resnet resnet_flow] [--sets 800] [--threads N]
        [--half-precision] [--score R2 --of 10000 --epochs 20]

Germanium around the ensemble that comes with fcinv, 101 path points by 100 energies, steps of 64; on the processor,
and on a GPU where torch sees one. The peer is the bare step, forward, backward and optimiser, on a batch that is
there already; the rest is augmentation and rendering, which go on beside the steps: drawing. Rates are those of the
clock, on a machine whose load is printed; processor times hardly depend on the load. With --score, a vae is trained
on clean spectra until the mean R² of FC0 to FC3 on the validation part reaches the score.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from fcinv_core.crystal import read_structure
from fcinv_core.dynamics import gpu
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.networks import TrainSettings
from fcinv_core.networks.architectures import ARCHITECTURES, Network, build, embeddings
from fcinv_core.networks.batches import TRAINING, VALIDATION, Samples
from fcinv_core.networks.calibration import answer, scores
from fcinv_core.networks.fitting import Fitting, Optimisation
from fcinv_core.networks.processes import ALONE, Processes
from fcinv_core.networks.training import problem_of, samples_of
from fcinv_core.potentials import shipped_ensemble
from fcinv_core.prior import prior_from_members
from fcinv_core.qpath import standard_path
from fcinv_core.sensitivity import retained, sensitivity
from fcinv_core.training_set import TrainingSet, generate

#: Epochs of a training that is measured; the first, which compiles, does not count.
EPOCHS = 3
#: Repeats of the bare step; the median counts.
STEPS = 7
#: Force constants whose score is asked for, and draws of each answer.
SCORED, DRAWS = 4, 100


#: Of the clock, and of the processor.
Seconds = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """Cost of one architecture on one device.

    Attributes
    ----------
    training, bare, drawing
        Seconds of the clock and of the processor for a sample: of a training, of the bare step, and of drawing
        measurements alone.
    memory, gpu_memory
        Peaks of the process, and of tensors on the GPU, GB.
    """

    training: Seconds
    bare: Seconds
    drawing: Seconds
    memory: float
    gpu_memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--sets", type=int, default=800)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--half-precision", action="store_true")
    parser.add_argument("--score", type=float, metavar="R2")
    parser.add_argument("--of", type=int, default=10_000, metavar="SETS")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    processor = f"{platform.machine()}, {options.threads} threads of {os.cpu_count()} cores"
    print(f"{processor}, torch {torch.__version__}, load before {os.getloadavg()[0]:.1f}")
    devices = [device for device in ("cpu", gpu()) if device is not None]
    settings = TrainSettings(half_precision=options.half_precision, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "germanium.h5"
        germanium(path, options.sets)
        row = "{:11} {:6} {:>21} {:>21} {:>21} {:>14} {:>9} {:>9}"
        print(row.format("", "", "training", "bare step", "drawing", "training/bare", "memory", "of GPU"))
        for device in devices:
            for architecture in options.architectures:
                chosen = replace(settings, architecture=architecture)
                # A process of its own: peak memory is that of a process.
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    found = pool.submit(measured, path, chosen, device).result()
                print(
                    row.format(
                        architecture,
                        device,
                        *(cost(part) for part in (found.training, found.bare, found.drawing)),
                        f"{found.training[1] / found.bare[1]:.2f} x CPU",
                        f"{found.memory:.2f} GB",
                        f"{found.gpu_memory:.2f} GB",
                    ),
                    flush=True,
                )
        if options.score is not None:
            germanium(path, options.of)
            for device in devices:
                seconds_to_score(path, replace(settings, epochs=options.epochs), device, options.score)
    print(f"load after {os.getloadavg()[0]:.1f}")


def cost(seconds: Seconds) -> str:
    """Return samples a second of the clock, and processor time of a sample."""
    return f"{1 / seconds[0]:.0f}/s, {1e3 * seconds[1]:.1f} ms CPU"


def now() -> Seconds:
    """Return the time of the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def each(times: Sequence[Seconds], n: int) -> Seconds:
    """Return the median of the differences of times, for each of n samples."""
    clock, processor = np.median(np.diff(times, axis=0), axis=0) / n
    return float(clock), float(processor)


def germanium(out: Path, n: int) -> None:
    """Write a training set."""
    paths = shipped_ensemble("ge")
    crystal = read_structure(paths[0].parent / "POSCAR")
    prior = prior_from_members([read_force_constants(path, crystal) for path in paths])
    path = standard_path(crystal, 101)
    found = sensitivity(prior, path)
    generate(out, prior, path, retained(prior, "8", found), found, n, others="reference", device=gpu())


def prepared(path: Path, settings: TrainSettings) -> tuple[Network, Samples]:
    """Return a network with random weights and what it learns from."""
    assert settings.threads is not None
    torch.set_num_threads(settings.threads)
    samples, standardisation = samples_of(TrainingSet.open(path), settings)
    torch.manual_seed(settings.seed)
    return build(settings.architecture, problem_of(samples, standardisation), settings.parameters), samples


def optimisation_of(settings: TrainSettings) -> Optimisation:
    """Return how it learns, without early end."""
    return Optimisation(
        settings.epochs, settings.batch, settings.rate, settings.epochs, settings.half_precision, settings.seed
    )


def measured(path: Path, settings: TrainSettings, device: str) -> Measured:
    """Train the first stage for a few epochs; then take the bare step, and draw measurements alone."""
    network, samples = prepared(path, settings)
    processes = replace(ALONE, device=torch.device(device))
    share = network.stages()[0].share
    part, stamps = samples.part(TRAINING), list[Seconds]()
    optimisation = optimisation_of(replace(settings, epochs=round(EPOCHS / share)))
    _fit(network, samples, optimisation, processes, path, lambda line: stamps.append(now()))
    drawn = [now()]
    for epoch in range(EPOCHS):
        for _ in samples.epoch(part, epoch, settings.batch):
            pass
        drawn.append(now())
    return Measured(
        each(stamps[:EPOCHS], len(part)),
        bare_step(network, samples, settings, processes.device),
        each(drawn, len(part)),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        torch.cuda.max_memory_allocated() / 1024**3 if processes.device.type == "cuda" else 0.0,
    )


def bare_step(network: Network, samples: Samples, settings: TrainSettings, device: torch.device) -> Seconds:
    """Return the time of a sample in forward, backward and optimiser on one batch that is there already."""
    network.to(device).train()
    stage = network.stages()[0]
    optimiser = torch.optim.AdamW(
        [parameter for module in stage.modules for parameter in module.parameters()], fused=True
    )
    batch = samples.batch(samples.part(TRAINING)[: settings.batch], 0).to(device)
    noise = torch.randn(batch.whole, stage.noise, device=device)
    times = list[Seconds]()
    for _ in range(STEPS + 2):
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.half_precision):
            loss = stage.loss(batch, noise)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss.item()  # waits for a GPU
        times.append(now())
    return each(times[1:], batch.whole)


def seconds_to_score(path: Path, settings: TrainSettings, device: str, score: float) -> None:
    """Print when a vae that is trained on clean spectra reaches a score on the validation part."""
    network, samples = prepared(path, replace(settings, augment="none"))
    held = samples.batch(samples.part(VALIDATION), 0)
    begin, found = time.perf_counter(), list[tuple[float, float]]()

    def look(line: str) -> None:
        print(f"  {line}", flush=True)
        if line.startswith("regressor"):
            network.eval().cpu()
            r2, _ = scores(answer(network, embeddings(network, held.images), held.targets, DRAWS, 0))
            network.to(device)
            found.append((time.perf_counter() - begin, float(np.mean(r2[:SCORED]))))
            print(f"    {found[-1][0]:.0f} s: R² of FC0 to FC{SCORED - 1} {found[-1][1]:.3f}", flush=True)

    _fit(network, samples, optimisation_of(settings), replace(ALONE, device=torch.device(device)), path, look)
    reached = [seconds for seconds, r2 in found if r2 >= score]
    when = f"after {reached[0]:.0f} s" if reached else f"not reached in {settings.epochs} epochs"
    print(f"vae on {device}, clean spectra of {len(samples.part(TRAINING))} sets: R² {score:g} {when}")


def _fit(
    network: Network,
    samples: Samples,
    optimisation: Optimisation,
    processes: Processes,
    path: Path,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train it; the checkpoint lies beside the training set."""
    checkpoint = path.with_suffix(".checkpoint")
    fitting = Fitting(
        network, samples, optimisation, checkpoint, say, lambda done, total: None, lambda: None, processes
    )
    fitting.run({}, resume=False)


if __name__ == "__main__":
    main()
