"""Histories in files, as text."""

from __future__ import annotations

import re
from typing import Any

from mantid._nexus.text import new_group, read_text, write_text
from mantid.api._history import AlgorithmHistory, WorkspaceHistory
from mantid.kernel._date_and_time import DateAndTime
from mantid.kernel._property_manager import PropertyHistory

_HEAD = re.compile(r"Algorithm: (\S+)\s+v(\d+)")
_PROPERTY = re.compile(
    r"  Name: (.*?), Value: (.*?), Default\?: (Yes|No), Direction: (Input|Output|InOut)(?=\n|$)", re.DOTALL
)
_DIRECTIONS = ("Input", "Output", "InOut")


def write_history(entry: Any, history: WorkspaceHistory) -> None:
    """Write a history as the group ``process``."""
    process = new_group(entry, "process", "NXprocess")
    environment = new_group(process, "MantidEnvironment", "NXnote")
    write_text(environment, "data", "Framework Version: 3.13\n")
    for number, algorithm in enumerate(history.getAlgorithmHistories(), 1):
        _write_algorithm(process, f"MantidAlgorithm_{number}", algorithm)


def _write_algorithm(parent: Any, name: str, algorithm: AlgorithmHistory) -> None:
    note = new_group(parent, name, "NXnote")
    date = str(algorithm.executionDate()).replace("T", " ")
    lines = [
        f"Algorithm: {algorithm.name()} v{algorithm.version()}",
        f"Execution Date: {date}",
        f"Execution Duration: {algorithm.executionDuration():g} seconds",
        f"UUID: {algorithm._uuid}",
        "Parameters:",
    ]
    for known in algorithm.getProperties():
        default, direction = "Yes" if known.isDefault() else "No", _DIRECTIONS[known.direction()]
        lines.append(f"  Name: {known.name()}, Value: {known.value()}, Default?: {default}, Direction: {direction}")
    write_text(note, "data", "\n".join(lines) + "\n")
    write_text(note, "author", "mantid")
    write_text(note, "description", "Mantid Algorithm data")
    for number, child in enumerate(algorithm.getChildHistories(), 1):
        _write_algorithm(note, f"MantidAlgorithm_{number}", child)


def read_history(entry: Any) -> WorkspaceHistory:
    """Return the history of a file."""
    history = WorkspaceHistory()
    for algorithm in _read_algorithms(entry["process"]) if "process" in entry else []:
        history._add(algorithm)
    return history


def _read_algorithms(parent: Any) -> list[AlgorithmHistory]:
    names = sorted(
        (name for name in parent if name.startswith("MantidAlgorithm_")), key=lambda name: int(name.split("_")[1])
    )
    return [_read_algorithm(parent[name], index) for index, name in enumerate(names)]


def _read_algorithm(note: Any, index: int) -> AlgorithmHistory:
    text = read_text(note, "data")
    head = _HEAD.search(text)
    if head is None:
        raise RuntimeError("Could not parse the history of the file")
    date = re.search(r"Execution Date: ([^\n]+)", text)
    duration = re.search(r"Execution Duration: (\S+)", text)
    number = re.search(r"UUID: (\S+)", text)
    properties = [
        PropertyHistory(name, value, "", default == "Yes", _DIRECTIONS.index(direction))
        for name, value, default, direction in _PROPERTY.findall(text)
    ]
    algorithm = AlgorithmHistory(
        head[1],
        int(head[2]),
        DateAndTime(date[1] if date else "1990-01-01T00:00:00"),
        float(duration[1]) if duration else 0.0,
        index,
        properties,
        _read_algorithms(note),
    )
    if number:
        algorithm._uuid = number[1]
    return algorithm
