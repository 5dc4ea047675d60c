"""Which algorithms of Mantid a script calls, and with which properties."""

from __future__ import annotations

import ast
from pathlib import Path


def algorithm_calls(script: Path) -> list[tuple[str, set[str]]]:
    """Return each algorithm that a script calls, with the properties that it sets by name."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "mantid.simpleapi"
        for alias in node.names
    } - {"mtd"}
    found = [
        (node.func.id, {word.arg for word in node.keywords if word.arg is not None})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported
    ]
    assert imported == {name for name, _ in found}
    return found
