"""Weights that were trained on something else, for a network to begin from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from fcinv_core.errors import InputError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a .safetensors file, or from torchvision's format without running code in it.

    Raises
    ------
    InputError
        If the file holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            content: Mapping[str, Any] = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    except Exception as error:  # torch.load raises errors of pickle, zipfile and its own
        raise InputError(
            f"{path} cannot be read as weights",
            str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            "give a .safetensors file, or torchvision's .pth",
        ) from error
    return tensors
