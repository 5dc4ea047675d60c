"""A model on disk: weights, prior, features of usual measurements, card, README and training log in one folder."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from fcinv_core.errors import InputError
from fcinv_core.files import replace_folder_when_complete, sha256
from fcinv_core.networks.features import FeatureDistribution
from fcinv_core.prior import Prior
from fcinv_core.prior_hdf5 import read_prior, write_prior
from fcinv_core.shipped import CARD, card_of

#: Mark and version of the card; a reader refuses newer versions.
FORMAT, SCHEMA = "fcinv model", 1
WEIGHTS, PRIOR, README, LOG = "weights.safetensors", "prior.h5", "README.md", "training_log.csv"
#: Older models lack it.
FEATURES = "usual_features.safetensors"


def basis_hash(prior: Prior) -> str:
    """Return a SHA-256 of the crystal and of the order and meaning of its force constants."""
    crystal = prior.crystal
    content = {
        "lattice": np.round(crystal.lattice, 6).tolist(),
        "positions": np.round(crystal.positions, 6).tolist(),
        "symbols": list(crystal.symbols),
        "labels": list(prior.labels),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_model(
    folder: Path,
    weights: Mapping[str, Tensor],
    prior: Prior,
    features: FeatureDistribution,
    card: Mapping[str, Any],
    readme: str,
    log: Sequence[Mapping[str, Any]],
) -> None:
    """Write a model folder, whole or not at all; a model that stood there is replaced.

    Raises
    ------
    InputError
        If something else stands there or the place cannot be written to.
    """
    with replace_folder_when_complete(folder, CARD) as temporary:
        _write_tensors(temporary / WEIGHTS, weights)
        with h5py.File(temporary / PRIOR, "w") as file:
            write_prior(file.create_group("prior"), prior)
        with open(temporary / LOG, "w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, list(log[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(log)
        _write_judgement(temporary, features, {"basis": basis_hash(prior), **card}, readme)


def rewrite_judgement(folder: Path, features: FeatureDistribution, card: Mapping[str, Any], readme: str) -> None:
    """Write card, README and usual features of a model that is there anew, all or none; all else stays as it is.

    Raises
    ------
    InputError
        If there is no model, or the place cannot be written to.
    """
    read_card(folder)
    with replace_folder_when_complete(folder, CARD) as temporary:
        for name in (WEIGHTS, PRIOR, LOG):
            shutil.copy(folder / name, temporary)
        _write_judgement(temporary, features, card, readme)


def _write_judgement(folder: Path, features: FeatureDistribution, card: Mapping[str, Any], readme: str) -> None:
    _write_tensors(folder / FEATURES, features.tensors())
    head = {
        "format": FORMAT,
        "schema": SCHEMA,
        "sha256": {name: sha256(folder / name) for name in (WEIGHTS, PRIOR, FEATURES)},
    }
    content = json.dumps({**head, **card, **head}, indent=1, ensure_ascii=False)
    (folder / CARD).write_text(f"{content}\n", encoding="utf-8")
    (folder / README).write_text(readme, encoding="utf-8")
    read_model(folder)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # `save_file` would make it readable for its owner only.
    path.write_bytes(save({name: value.detach().contiguous() for name, value in tensors.items()}))


def read_model(
    folder: Path,
) -> tuple[dict[str, Any], dict[str, Tensor], Prior, FeatureDistribution | None]:
    """Read card, weights, prior and features of usual measurements, which older models lack, of a model folder.

    Raises
    ------
    InputError
        If a file is missing, damaged or of a newer schema, or does not belong to the others.
    """
    card = read_card(folder)
    for name, expected in card["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"the model {folder} lacks {name}", "its card names it", "copy the whole folder again")
        if sha256(path) != expected:
            raise InputError(
                f"{path} is damaged",
                "its checksum is not the one in the model's card",
                "copy the folder again, or train the model anew",
            )
    try:
        weights = load_file(folder / WEIGHTS)
        with h5py.File(folder / PRIOR) as file:
            prior = read_prior(file["prior"])
        features = None
        if FEATURES in card["sha256"]:
            features = FeatureDistribution.from_tensors(load_file(folder / FEATURES))
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(
            f"the model {folder} cannot be read", str(error).strip("'\""), "copy the folder again"
        ) from error
    if basis_hash(prior) != card["basis"]:
        raise InputError(
            f"the model {folder} belongs to another crystal than its prior",
            "force constants of the two have other meanings",
            "train the model anew",
        )
    return card, weights, prior, features


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check card.json alone.

    Raises
    ------
    InputError
        If it is missing, not a model's card, or of a newer schema.
    """
    path = card_of(folder)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        kind, schema = card["format"], int(card["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged", str(error), "copy the folder again") from error
    if kind != FORMAT:
        raise InputError(f"{path} is not the card of a model", f"it calls itself {kind!r}", "name another folder")
    if schema > SCHEMA:
        raise InputError(
            f"the model {folder} is of schema {schema}",
            f"this version reads up to schema {SCHEMA}",
            "update fcinv, or train the model with this version",
        )
    return dict(card)
