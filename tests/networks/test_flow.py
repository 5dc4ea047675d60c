"""The posterior flow is a density, and draws from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Problem, build, default_parameters
from fcinv_core.networks.flow import PosteriorFlow
from fcinv_core.networks.layers import ImageShape

SHAPE = ImageShape(2, 20, 24)


def flow(retained: tuple[int, ...], n_targets: int) -> PosteriorFlow:
    torch.manual_seed(1)
    network = build("flow", Problem(SHAPE, retained, n_targets), default_parameters("flow"))
    assert isinstance(network, PosteriorFlow)
    # Random weights are close to a standard normal density: move away from it.
    for parameter in (*network.flow.parameters(), *(network.rest.parameters() if network.rest else ())):
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@torch.no_grad()
def test_the_density_of_two_force_constants_integrates_to_one() -> None:
    network = flow((1,), 2)
    line = torch.linspace(-12, 12, 241)
    grid = torch.cartesian_prod(line, line)
    image = torch.rand(1, 2, 20, 24)
    density = torch.cat(
        [network.log_density(image.expand(len(part), -1, -1, -1), part).exp() for part in grid.split(4000)]
    )
    assert float(density.sum() * 0.1**2) == pytest.approx(1.0, abs=0.01)


@torch.no_grad()
def test_draws_have_the_entropy_of_the_density() -> None:
    network = flow((0, 2, 3), 5)
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
