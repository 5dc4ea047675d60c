"""Verdicts: ok, look or bad, with one sentence that says the number and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How something came out, from best to worst."""

    OK = "ok"
    LOOK = "look"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What one look at a measurement or at a result found.

    Attributes
    ----------
    name
        What was checked, such as "orientation".
    status
        ok, look (a person should), or bad (do not go on before it is mended).
    sentence
        The number, and what to do.
    numbers
        What the sentence rests on, JSON types, units in the keys.
    """

    name: str
    status: Status
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


def worst(findings: tuple[Finding, ...]) -> Status:
    """Return the worst status of several findings."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
