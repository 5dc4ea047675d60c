"""Where the models, Mantid algorithms and virtual experiment of fcinv lie, in a checkout or installed."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from fcinv_core.errors import InputError
from fcinv_core.files import sha256

#: The file that makes a folder a trained model.
CARD = "card.json"
#: The file that makes a folder that of the Mantid algorithms.
_ALGORITHM = "FoldToIQE.py"


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that come with fcinv by name ("ge")."""
    found: dict[str, Path] = {}
    for folder in _folders("models"):
        for card in sorted(folder.glob(f"*/{CARD}")):
            found.setdefault(card.parent.name, card.parent)
    return found


def find_model(name: str | Path) -> Path:
    """Return the folder of a model: a folder that is there, or the name of a model that comes with fcinv.

    Raises
    ------
    InputError
        If there is neither.
    """
    given = Path(name)
    if given.is_dir():
        return given
    models = shipped_models()
    if str(name) in models:
        return models[str(name)]
    raise InputError(
        f"there is no model {str(name)!r}",
        f"it is no folder, and the models that come with fcinv are {', '.join(models) or 'none'}",
        "name the folder that `fcinv train` wrote",
    )


def card_of(folder: Path) -> Path:
    """Return the card of a model.

    Raises
    ------
    InputError
        If the folder has none.
    """
    card = folder / CARD
    if not card.is_file():
        raise InputError(
            f"{folder} is not a model", f"there is no {CARD} in it", "name a folder that `fcinv train` wrote"
        )
    return card


def describe_model(folder: Path) -> str:
    """Return the name of a model with the checksum of its card."""
    return f"{folder.name}, card sha256 {sha256(card_of(folder))}"


def virtual_experiment() -> Path:
    """Return the folder of the virtual experiment on germanium.

    It holds ge_small.nxs (events), POSCAR, phonopy_params_truth.yaml.xz (the force constants it was made with) and
    ge_small.json (how it was made).
    """
    return Path(str(resources.files("fcinv_core") / "data" / "virtual"))


def core_folder() -> Path:
    """Return the folder that ``fcinv_core`` is imported from."""
    return _package().parent


def plugin_folder() -> Path:
    """Return the folder of the Mantid algorithms, which holds nothing else.

    Raises
    ------
    InputError
        If this installation has none.
    """
    for folder in _folders("plugins"):
        if (folder / _ALGORITHM).is_file():
            return folder
    raise InputError(
        "the Mantid algorithms are not there",
        f"no folder plugins belongs to the fcinv in {core_folder()}",
        "install fcinv with pip or CMake",
    )


def _package() -> Path:
    return Path(str(resources.files("fcinv_core"))).resolve()


def _folders(name: str) -> list[Path]:
    """Folders that may hold what comes with fcinv, the checkout's or that beside an installed core first.

    A wheel puts share/fcinv into the prefix, several levels above its site-packages, or beside the package where it
    was installed into a folder (``pip install --target``); CMake puts it beside lib, and the algorithms there too.
    """
    package = _package()
    prefixes = dict.fromkeys((*package.parents[:4], Path(sys.prefix)))
    return [
        package.parent / name,
        package.parent.parent / name,
        *(prefix / "share" / "fcinv" / name for prefix in prefixes),
    ]
