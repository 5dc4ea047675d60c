"""Paths through the Brillouin zone: the standard one of a crystal, or one that the user names."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fcinv_core.crystal import Crystal, FloatArray, IntArray, check_readable
from fcinv_core.errors import InputError

#: Number of points along a path unless asked otherwise.
DEFAULT_POINTS = 201
#: Number of points along a path for folding: bins about as long as they are wide, with more counts in each.
FOLD_POINTS = 101

#: More points along a path than this are a mistake.
_MOST_POINTS = 10_000

#: A labelled q-point, in fractions of the primitive reciprocal basis.
Point = tuple[str, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class QPath:
    """Points along straight segments in reciprocal space, spread evenly in 1/Å.

    A corner that two joined segments share is one point and counts to the segment that it begins.

    Attributes
    ----------
    q
        Shape (n, 3): fractions of the primitive reciprocal basis.
    distance
        Shape (n,): length along the path, 1/Å; it does not grow over a break.
    segment
        Shape (n,): number of the segment, from 0.
    direction
        Shape (n, 3): direction of that segment, same basis as ``q``; Γ of a polar crystal is approached along it.
    ticks
        (point index, label) of each end of a segment, in order.
    """

    q: FloatArray
    distance: FloatArray
    segment: IntArray
    direction: FloatArray
    ticks: tuple[tuple[int, str], ...]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.q)

    @cached_property
    def pieces(self) -> tuple[slice, ...]:
        """Unbroken stretches of the path, as slices of the points."""
        ends = [index for index, _ in self.ticks]
        breaks = [b for a, b in itertools.pairwise(ends) if b == a + 1 and self._is_break(a)]
        edges = [0, *breaks, self.n_points]
        return tuple(slice(a, b) for a, b in itertools.pairwise(edges))

    def _is_break(self, index: int) -> bool:
        return bool(np.isclose(self.distance[index], self.distance[index + 1]))

    @cached_property
    def tick_labels(self) -> tuple[tuple[int, str], ...]:
        """Ticks for an axis: the two ends of a break are one label ("U|K") at the first of them."""
        labels: list[tuple[int, str]] = []
        for index, label in self.ticks:
            if labels and index == labels[-1][0] + 1 and self._is_break(labels[-1][0]):
                labels[-1] = (labels[-1][0], f"{labels[-1][1]}|{label}")
            else:
                labels.append((index, label))
        return tuple(labels)

    def to_dict(self) -> dict[str, Any]:
        """Plain content for JSON; `from_dict` reads it back."""
        return {
            "q": self.q.tolist(),
            "distance": self.distance.tolist(),
            "segment": self.segment.tolist(),
            "direction": self.direction.tolist(),
            "ticks": [[index, label] for index, label in self.ticks],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> QPath:
        """Rebuild a path from `to_dict`."""
        return cls(
            q=np.array(content["q"], dtype=float),
            distance=np.array(content["distance"], dtype=float),
            segment=np.array(content["segment"], dtype=np.int64),
            direction=np.array(content["direction"], dtype=float),
            ticks=tuple((int(index), str(label)) for index, label in content["ticks"]),
        )


def standard_path(crystal: Crystal, n_points: int = DEFAULT_POINTS) -> QPath:
    """Return the path of Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), for a crystal.

    Raises
    ------
    InputError
        If ``n_points`` is too small for the segments.
    """
    points = crystal.high_symmetry_points
    return _path(crystal, [((a, points[a]), (b, points[b])) for a, b in crystal.high_symmetry_path], n_points)


def named_path(crystal: Crystal, text: str, n_points: int = DEFAULT_POINTS) -> QPath:
    """Return the path that a user names, such as "Γ-X-U|K-Γ-L" ("G" or "GAMMA" stand for "Γ").

    Raises
    ------
    InputError
        If a label is not one of the crystal's high-symmetry points.
    """
    points = crystal.high_symmetry_points
    segments: list[tuple[Point, Point]] = []
    for piece in text.split("|"):
        # A body-centred tetragonal crystal has a point G of its own.
        labels = [a if a in points else _canonical(a) for a in re.split(r"[\s,;–—-]+", piece.strip()) if a]
        unknown = [label for label in labels if label not in points]
        if unknown or len(labels) < 2:
            raise InputError(
                f"the path {text!r} cannot be followed",
                f"{unknown[0]!r} is not a high-symmetry point of {crystal.space_group_symbol}"
                if unknown
                else f"the piece {piece.strip()!r} has no two points",
                f"use the points {' '.join(points)}, joined by '-', with '|' for a break",
            )
        segments += itertools.pairwise([(label, points[label]) for label in labels])
    return _path(crystal, segments, n_points)


def path_from_file(crystal: Crystal, path: Path, n_points: int = DEFAULT_POINTS) -> QPath:
    """Return the path that a JSON file describes, see `path_from_json`.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold a path.
    """
    check_readable(path, "a path in JSON")
    return path_from_json(crystal, path.read_text(encoding="utf-8"), n_points, name=str(path))


def path_from_json(crystal: Crystal, text: str, n_points: int = DEFAULT_POINTS, *, name: str = "the JSON") -> QPath:
    """Return the path that JSON describes.

    It is a list of pieces, each a list of two or more [label, [q1, q2, q3]] with q in fractions of the
    primitive reciprocal basis: [[["Γ", [0, 0, 0]], ["X", [0.5, 0, 0.5]]], ...]. One label may stand for several
    points, such as Γ in several zones.

    Parameters
    ----------
    crystal
        The crystal.
    text
        The JSON.
    n_points
        Number of points.
    name
        How error messages call it.

    Raises
    ------
    InputError
        If it is no such list.
    """
    segments: list[tuple[Point, Point]] = []
    try:
        for piece in json.loads(text):
            points: list[Point] = []
            for label, (q1, q2, q3) in piece:
                q = (float(q1), float(q2), float(q3))
                if not np.isfinite(q).all():
                    raise ValueError(f"{label} lies at {q}")
                points.append((str(label), q))
            if len(points) < 2:
                raise ValueError(f"the piece {piece} has no two points")
            segments += itertools.pairwise(points)
        if not segments:
            raise ValueError("it is empty")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(
            f"{name} does not describe a path", str(error), 'write [[["Γ", [0, 0, 0]], ["X", [0.5, 0, 0.5]]]]'
        ) from error
    return _path(crystal, segments, n_points)


def chosen_path(crystal: Crystal, text: str | None = None, n_points: int = DEFAULT_POINTS) -> QPath:
    """Return the path that a user asks for in any of the ways there are.

    Parameters
    ----------
    crystal
        The crystal.
    text
        None for the standard path; labels ("Γ-X-U|K-Γ"); the name of a .json file; or JSON itself.
    n_points
        Number of points.

    Raises
    ------
    InputError
        If it cannot be followed.
    """
    if text is None:
        return standard_path(crystal, n_points)
    if text.lower().endswith(".json"):
        return path_from_file(crystal, Path(text), n_points)
    if text.lstrip().startswith("["):
        return path_from_json(crystal, text, n_points)
    return named_path(crystal, text, n_points)


def points_for_step(path: QPath, step: float) -> int:
    """Return the number of points with which a path has about ``step`` (1/Å) between them.

    Raises
    ------
    InputError
        If the step is not positive, or so small that there were more than 10 000 points.
    """
    if not 0 < step < np.inf or path.distance[-1] / step > _MOST_POINTS:
        raise InputError(
            f"{step:g} 1/Å between points of a path of {path.distance[-1]:.3g} 1/Å",
            f"1 to {_MOST_POINTS} points were expected",
            "choose a step such as 0.05 1/Å",
        )
    n_segments = int(path.segment[-1]) + 1
    return len(path.pieces) + max(n_segments, round(float(path.distance[-1]) / step))


def _canonical(label: str) -> str:
    return "Γ" if label.upper() in ("G", "GAMMA", "Γ") else label


def _path(crystal: Crystal, segments: list[tuple[Point, Point]], n_points: int) -> QPath:
    ends = np.array([[a[1], b[1]] for a, b in segments])
    lengths = np.linalg.norm((ends[:, 1] - ends[:, 0]) @ crystal.reciprocal_lattice, axis=1)
    joined = [k > 0 and segments[k - 1][1] == segments[k][0] for k in range(len(segments))]
    if not lengths.all():
        start, end = segments[int(lengths.argmin())]
        raise InputError(
            f"the segment {start[0]}-{end[0]} has no length",
            f"both ends lie at {start[1]}",
            "name two different ends",
        )
    # Each piece needs one point more than it has intervals.
    n_intervals = n_points - joined.count(False)
    if n_intervals < len(segments):
        raise InputError(
            f"{n_points} points are too few for {len(segments)} segments",
            f"each segment needs its two ends, {len(segments) + joined.count(False)} points in all",
            "ask for more points",
        )
    steps = _share(lengths, n_intervals)

    q: list[FloatArray] = []
    distance: list[float] = []
    segment: list[int] = []
    direction: list[FloatArray] = []
    ticks: list[tuple[int, str]] = []
    total = 0.0
    for k, (start, end) in enumerate(ends):
        last = k + 1 == len(segments) or not joined[k + 1]
        fractions = np.arange(steps[k] + last) / steps[k]
        ticks.append((len(q), segments[k][0][0]))
        q += list(start + fractions[:, None] * (end - start))
        distance += list(total + fractions * lengths[k])
        segment += [k] * len(fractions)
        direction += [end - start] * len(fractions)
        total += lengths[k]
        if last:
            ticks.append((len(q) - 1, segments[k][1][0]))
    return QPath(np.array(q), np.array(distance), np.array(segment), np.array(direction), tuple(ticks))


def _share(lengths: FloatArray, n_intervals: int) -> IntArray:
    """Share intervals among segments by length: at least one each, the sum exact."""
    wanted = lengths / lengths.sum() * n_intervals
    steps: IntArray = np.maximum(np.floor(wanted), 1).astype(np.int64)
    while steps.sum() != n_intervals:
        # Give to the segment whose step is coarsest, take from the one whose step is finest.
        if steps.sum() < n_intervals:
            steps[(lengths / steps).argmax()] += 1
        else:
            spare = np.where(steps > 1, lengths / steps, np.inf)
            steps[spare.argmin()] -= 1
    return steps
