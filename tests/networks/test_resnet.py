"""The residual network is ResNet-18, begins from weights of torchvision's layout, and refuses other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fcinv_core.errors import InputError
from fcinv_core.networks.architectures import Batch, Problem
from fcinv_core.networks.layers import ImageShape
from fcinv_core.networks.resnet import DEFAULTS, Conv3x3, ResNet, build
from fcinv_core.networks.resnet_flow import DEFAULTS as FLOW_DEFAULTS
from fcinv_core.networks.resnet_flow import build as build_flow

PROBLEM = Problem(ImageShape(1, 64, 64), (0, 1), 3)


def photograph_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights as torchvision names and shapes those of resnet18: three colours, 1000 classes."""
    torch.manual_seed(seed)
    weights = {
        name: torch.rand_like(value.float())
        for name, value in build(PROBLEM, **DEFAULTS).backbone.state_dict().items()
    }
    weights["conv1.weight"] = torch.randn(64, 3, 7, 7)
    weights |= {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    return weights


def test_it_has_the_layers_and_the_size_of_resnet_18() -> None:
    backbone = build(PROBLEM, **DEFAULTS).backbone
    # torchvision's resnet18 has 11 689 512 parameters: 513 000 in its last layer, 3 * 3136 in its first.
    assert sum(p.numel() for p in backbone.parameters()) == 11_689_512 - 513_000 - 2 * 3136
    names = set(backbone.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer2.0.downsample.0.weight"} <= names
    assert "layer4.1.bn2.num_batches_tracked" in names
    assert "layer1.0.downsample.0.weight" not in names


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 3), (3, 7)])
def test_images_that_are_convolved_side_by_side_do_not_see_each_other(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, images = Conv3x3(3, 5), torch.rand(6, 3, *size, requires_grad=True)
    expected = torch.nn.functional.conv2d(images, layer.weight, padding=1)
    torch.testing.assert_close(layer(images), expected)
    some, of = torch.rand_like(expected), (images, layer.weight)
    wanted = torch.autograd.grad(expected, of, some)
    for gradient, right in zip(torch.autograd.grad(layer(images), of, some), wanted, strict=True):
        torch.testing.assert_close(gradient, right)


def test_every_weight_is_trained_in_one_stage_and_takes_part_in_its_loss() -> None:
    network, trained = build(PROBLEM, **DEFAULTS), list[torch.nn.Parameter]()
    images, targets = torch.rand(4, 1, 64, 64), torch.randn(4, 3)
    for stage in network.stages():
        seen = images if stage.frozen is None else stage.frozen(images).detach()
        network.zero_grad()
        stage.loss(Batch(seen, images[:, 0], targets, 4), torch.empty(4, 0)).backward()
        own = [parameter for module in stage.modules for parameter in module.parameters()]
        assert all(parameter.grad is not None for parameter in own)
        trained += own
    assert {id(p) for p in trained} == {id(p) for p in network.parameters()}
    assert len(trained) == len(list(network.parameters()))


def test_a_flow_begins_from_the_resnet_of_another_scaling(tmp_path: Path) -> None:
    small, problem = {"widths": [4, 8], "hidden": 16}, Problem(ImageShape(2, 64, 64), (0, 1), 3)
    torch.manual_seed(0)
    resnet = build(PROBLEM, **DEFAULTS | small)
    torch.nn.init.normal_(resnet.regressor.mean.weight)
    save_file(resnet.state_dict(), tmp_path / "weights.safetensors")
    flow = build_flow(problem, **FLOW_DEFAULTS | small)
    spread = flow.regressor.spread.weight.clone()
    flow.load_pretrained(tmp_path / "weights.safetensors")
    first = flow.backbone.conv1.weight
    assert torch.equal(first[:, :1], resnet.backbone.conv1.weight)
    assert not first[:, 1:].any()
    for name in ("backbone.layer2.1.conv2.weight", "compress.weight", "regressor.mean.weight"):
        assert torch.equal(flow.get_parameter(name), resnet.get_parameter(name))
    assert torch.equal(flow.regressor.spread.weight, spread)
    wider = build_flow(problem, **FLOW_DEFAULTS | {"widths": [8, 8]})
    with pytest.raises(InputError, match=r"conv1.weight is missing or of another shape.*with the same widths"):
        wider.load_pretrained(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_for_photographs_see_a_grey_image_as_a_photograph(tmp_path: Path, suffix: str) -> None:
    weights, path = photograph_weights(), tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    network = build(PROBLEM, **DEFAULTS)
    network.load_pretrained(path)
    grey = torch.rand(1, 1, 64, 64)
    colours = torch.nn.functional.conv2d(grey.expand(1, 3, 64, 64), weights["conv1.weight"], stride=2, padding=3)
    torch.testing.assert_close(network.backbone.conv1(grey), colours, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        network.backbone.get_parameter("layer3.1.conv1.weight"), weights["layer3.1.conv1.weight"]
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    network: ResNet = build(PROBLEM, **DEFAULTS)
    weights = photograph_weights()
    del weights["layer4.0.conv1.weight"]
    save_file(weights, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match=r"layer4.0.conv1.weight is missing"):
        network.load_pretrained(tmp_path / "part.safetensors")
    torch.save(np.zeros(3), tmp_path / "code.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        network.load_pretrained(tmp_path / "code.pth")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as weights"):
        network.load_pretrained(tmp_path / "text.safetensors")
