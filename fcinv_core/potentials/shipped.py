"""The ensembles that come with fcinv, computed once by scripts/ship_ensembles.py."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fcinv_core.errors import InputError


def shipped_ensembles() -> tuple[str, ...]:
    """Return the names of the crystals whose ensembles come with fcinv ("ge", "nb")."""
    return tuple(sorted(path.parent.name for path in _folder().glob("*/ensemble.json")))


def shipped_ensemble(crystal: str) -> tuple[Path, ...]:
    """Return the phonopy_params files of a shipped ensemble, one a member, sorted by name.

    Beside them lie POSCAR (the structure) and ensemble.json (versions, settings, residuals, verdicts).

    Raises
    ------
    InputError
        If no ensemble of that crystal comes with fcinv.
    """
    names = shipped_ensembles()
    if crystal not in names:
        raise InputError(
            f"no ensemble of {crystal!r} comes with fcinv",
            f"those that do are {', '.join(names) or 'none'}",
            "compute one with `fcinv ensemble`",
        )
    return tuple(sorted((_folder() / crystal).glob("phonopy_params_*.yaml.xz")))


def _folder() -> Path:
    # Installed packages are folders here: the data are read by phonopy, which wants paths.
    return Path(str(resources.files("fcinv_core") / "data" / "ensembles"))
