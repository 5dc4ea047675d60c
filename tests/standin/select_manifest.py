"""Take from the full manifest of a real Mantid what the stand-in uses.

    python tests/standin/select_manifest.py ../shared/mantid-manifest.json.gz

The full manifest is what introspection of a real Mantid gave: classes with their members, algorithms with their
properties. ``manifest.json`` beside this file holds the classes and algorithms that the stand-in has.
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SELECTION = HERE / "manifest.json"
MODULES = ("mantid.api", "mantid.dataobjects", "mantid.geometry", "mantid.kernel")


def offered_classes() -> dict[str, type]:
    """Return the classes that the stand-in offers, by their full names."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            if inspect.isclass(value) and not name.startswith("_"):
                found[f"{module_name}.{name}"] = value
    return found


def selection(full: dict[str, Any]) -> dict[str, Any]:
    """Return names of members of the classes, and properties of the algorithms, that the stand-in has."""
    from mantid.api._native_algorithm import NATIVE

    classes = {name: sorted(full["classes"][name]) for name in sorted(offered_classes()) if name in full["classes"]}
    algorithms = {name: full["algorithms"][name] for name in sorted(NATIVE) if name in full["algorithms"]}
    names = sorted(name for name in full["classes"] if name.startswith(MODULES))
    return {"algorithms": algorithms, "classes": classes, "names": names}


def main(path: str) -> None:
    """Write the selection."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        full = json.load(stream)
    SELECTION.write_text(json.dumps(selection(full), indent=0, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main(sys.argv[1])
