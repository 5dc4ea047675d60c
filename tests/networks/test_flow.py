"""Posterior networks are densities, draw from them, and learn the posteriors that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import norm

from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Batch, Problem, build, default_parameters
from fcinv_core.networks.flow import PosteriorFlow
from fcinv_core.networks.layers import ImageShape
from fcinv_core.networks.resnet_flow import ResNetFlow

SHAPE = ImageShape(2, 20, 24)
#: The same networks in small.
SMALL: dict[str, dict[str, Any]] = {
    "flow": {"widths": [8, 8, 8], "embedding": 32, "hidden": [32, 32], "rest": 32},
    "resnet_flow": {"widths": [8, 16], "hidden": 32},
}
#: Number of images and a source -> images (m, 1, 16, 16) and targets (m, k).
Draw = Callable[[int, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
PATTERNS = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(3))
#: Standard deviations of the noise of two targets that are 1 themselves.
NOISE = torch.tensor([0.5, 1.0])


def network_of(architecture: str, problem: Problem) -> PosteriorFlow | ResNetFlow:
    torch.manual_seed(1)
    network = build(architecture, problem, {**default_parameters(architecture), **SMALL[architecture]})
    assert isinstance(network, PosteriorFlow | ResNetFlow)
    return network


def random_network(architecture: str, retained: tuple[int, ...], n_targets: int) -> PosteriorFlow | ResNetFlow:
    network = network_of(architecture, Problem(SHAPE, retained, n_targets))
    # Random weights are close to a standard normal density: move away from it.
    for name, parameter in network.named_parameters():
        if name.startswith(("flow", "rest", "regressor", "context")):
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def fitted(architecture: str, retained: tuple[int, ...], n_targets: int, draw: Draw) -> PosteriorFlow | ResNetFlow:
    """Train each stage for some steps."""
    network = network_of(architecture, Problem(ImageShape(1, 16, 16), retained, n_targets))
    generator, steps, m = torch.Generator().manual_seed(1), 150, 100
    for stage in network.stages():
        optimiser = torch.optim.Adam([p for module in stage.modules for p in module.parameters()], 5e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            images, targets = draw(m, generator)
            optimiser.zero_grad()
            stage.loss(Batch(images, images[:, 0], targets, m), torch.empty(m, 0)).backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def two_patterns(m: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two patterns as strong as a target each, with noise: a Gaussian posterior."""
    targets = torch.randn(m, 2, generator=generator)
    strength = targets + NOISE * torch.randn(m, 2, generator=generator)
    return torch.einsum("mk,kij->mij", strength, PATTERNS)[:, None], targets


def without_sign(m: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A pattern as strong as the absolute value of the target: a posterior of two points."""
    targets = torch.randn(m, 1, generator=generator)
    return targets.abs()[:, :, None, None] * PATTERNS[:1], targets


@pytest.mark.parametrize("architecture", SMALL)
@torch.no_grad()
def test_the_density_of_two_force_constants_integrates_to_one(architecture: str) -> None:
    network = random_network(architecture, (1,), 2)
    line = torch.linspace(-12, 12, 241)
    grid = torch.cartesian_prod(line, line)
    image = torch.rand(1, 2, 20, 24)
    density = torch.cat(
        [network.log_density(image.expand(len(part), -1, -1, -1), part).exp() for part in grid.split(4000)]
    )
    assert float(density.sum() * 0.1**2) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("architecture", SMALL)
@torch.no_grad()
def test_draws_have_the_entropy_of_the_density(architecture: str) -> None:
    network = random_network(architecture, (0, 2, 3), 5)
    image = torch.rand(1, 2, 20, 24)
    draws = network.draw(network.embedding(image), 4000, torch.Generator().manual_seed(0))[0]
    assert draws.shape == (4000, 5)
    # Densities at draws of q exceed those at draws of any other density, by the divergence of the two.
    own = network.log_density(image.expand(4000, -1, -1, -1), draws)
    moved = network.log_density(image.expand(4000, -1, -1, -1), draws + 0.3 * draws.std(dim=0))
    assert float(own.mean()) > float(moved.mean())
    # E_q[p(x + d) / p(x)] = 1 for a density p that x is drawn from.
    shift = 0.05 * draws.std(dim=0)
    ratio = (network.log_density(image.expand(4000, -1, -1, -1), draws + shift) - own).exp()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=5 * float(ratio.std()) / 4000**0.5 + 1e-3)


@pytest.mark.parametrize("architecture", SMALL)
def test_a_gaussian_posterior_is_learned_and_its_intervals_hold(architecture: str) -> None:
    network = fitted(architecture, (0,), 2, two_patterns)
    images, truth = two_patterns(1000, torch.Generator().manual_seed(2))
    strength = np.linalg.lstsq(PATTERNS.reshape(2, -1).T.numpy(), images.reshape(1000, -1).T.numpy())[0].T
    variance = NOISE.numpy() ** 2 / (1 + NOISE.numpy() ** 2)
    exact = norm(strength / (1 + NOISE.numpy() ** 2), np.sqrt(variance))
    with torch.no_grad():
        lost = exact.logpdf(truth.numpy()).sum(axis=1).mean() - float(network.log_density(images, truth).mean())
        draws = network.draw(network.embedding(images), 200, torch.Generator().manual_seed(3)).numpy()
    # The divergence from the posterior, nats; of a network that knows nothing it is 1.15.
    assert -0.02 < lost < 0.06
    assert np.sqrt(((draws.mean(axis=1) - exact.mean()) ** 2 / variance).mean()) < 0.2
    ends = np.quantile(draws, [0.16, 0.84], axis=1)
    held = ((truth.numpy() > ends[0]) & (truth.numpy() < ends[1])).mean()
    assert held == pytest.approx(0.68, abs=0.05)


@pytest.mark.parametrize("architecture", SMALL)
def test_a_posterior_of_two_points_is_learned(architecture: str) -> None:
    network = fitted(architecture, (0,), 1, without_sign)
    images, truth = without_sign(300, torch.Generator().manual_seed(2))
    with torch.no_grad():
        draws = network.draw(network.embedding(images), 200, torch.Generator().manual_seed(3))[..., 0]
    assert float((draws > 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    # A Gaussian would lay a quarter of its draws between.
    assert float((draws.abs() < 0.3 * truth.abs()).float().mean()) < 0.1
    assert float((draws.abs() - truth.abs()).abs().median()) < 0.15


def test_means_come_first_and_weigh_force_constants_alike() -> None:
    network = network_of("resnet_flow", Problem(SHAPE, (0,), 2))
    assert isinstance(network, ResNetFlow)
    mean, density = network.stages()
    assert (mean.name, density.name) == ("mean", "density")
    images = torch.rand(1, 2, 20, 24)
    features = network.embedding(images).detach()
    with torch.no_grad():
        network.regressor.spread.bias[:2] = torch.tensor([-4.0, 0.0])  # what is known well, and what is not
        found = network.regressor.mean(network.regressor.hidden(features))

    def pull(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """How much more the loss wants to mend the first of two equal errors."""
        values = (found + 0.1).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(features, values).sum(), values)
        return gradient[0, 0] / gradient[0, 1]

    assert float(pull(network.regressor.log_density_alike)) == pytest.approx(1.0, rel=1e-4)
    assert float(pull(network.regressor.log_density)) > 5


def test_every_weight_takes_part_in_the_density() -> None:
    network = network_of("resnet_flow", Problem(SHAPE, (0, 1), 3))
    density = network.stages()[-1]
    images, targets = torch.rand(4, 2, 20, 24), torch.randn(4, 3)
    density.loss(Batch(images, images[:, 0], targets, 4), torch.empty(4, 0)).backward()
    trained = [parameter for module in density.modules for parameter in module.parameters()]
    assert {id(p) for p in trained} == {id(p) for p in network.parameters()}
    assert all(parameter.grad is not None for parameter in trained)


def test_it_begins_from_the_encoder_of_an_autoencoder(tmp_path: Path) -> None:
    torch.manual_seed(2)
    problem = Problem(SHAPE, (0, 1), 4)
    autoencoder = build("vae", problem, default_parameters("vae"))
    save_file(autoencoder.state_dict(), tmp_path / "weights.safetensors")
    network = build("flow", problem, default_parameters("flow"))
    network.load_pretrained(tmp_path / "weights.safetensors")
    image = torch.rand(3, 2, 20, 24)
    assert torch.equal(network.encoder(image), autoencoder.get_submodule("encoder")(image))
    larger = build("flow", Problem(ImageShape(2, 40, 24), (0, 1), 4), default_parameters("flow"))
    with pytest.raises(InputError, match="does not hold an encoder of this size"):
        larger.load_pretrained(tmp_path / "weights.safetensors")
