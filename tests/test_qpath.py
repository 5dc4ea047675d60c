"""Paths through the Brillouin zone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcinv_core.errors import InputError
from fcinv_core.qpath import QPath, chosen_path, named_path, path_from_file, points_for_step, standard_path
from tests.crystals import CELLS, crystal

NAMES = sorted(CELLS)


def assert_same(a: QPath, b: QPath) -> None:
    for name in ("q", "distance", "segment", "direction"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.ticks == b.ticks


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(NAMES), st.integers(60, 500))
def test_a_path_has_exactly_the_points_asked_for_spread_evenly(name: str, n_points: int) -> None:
    one = crystal(name)
    path = standard_path(one, n_points)
    assert (
        path.n_points == len(path.q) == len(path.distance) == len(path.segment) == len(path.direction) == n_points
    )
    even = path.distance[-1] / (n_points - len(path.pieces))
    for piece in path.pieces:
        steps = np.diff(path.q[piece], axis=0) @ one.reciprocal_lattice
        np.testing.assert_allclose(np.linalg.norm(steps, axis=1), np.diff(path.distance[piece]), atol=1e-12)
        # A segment holds a whole number of steps, which are even within each and rounded between segments.
        for segment in np.unique(path.segment[piece]):
            start = path.distance[path.segment == segment][0]
            after = path.distance[path.distance > start + 1e-9]
            own = np.flatnonzero(path.segment == segment)
            length = path.distance[min(own[-1] + 1, n_points - 1)] - start
            steps_within = np.diff(path.distance[own])
            assert np.ptp(steps_within) < 1e-12 if len(steps_within) else True
            assert after.size
            # At least half and at most twice the mean step, unless the segment is shorter than one step.
            if len(steps_within) and length > 3 * even:
                assert 0.6 * even < steps_within[0] < 1.5 * even


@pytest.mark.parametrize("name", NAMES)
def test_ticks_stand_at_the_points_of_seekpath(name: str) -> None:
    one = crystal(name)
    path = standard_path(one, 150)
    for index, label in path.ticks:
        np.testing.assert_allclose(path.q[index], one.high_symmetry_points[label], atol=1e-12)
    labels = [label for _, label in path.ticks]
    pairs = set(itertools.pairwise(labels))
    assert set(one.high_symmetry_path) <= pairs
    assert path.segment[-1] + 1 == len(one.high_symmetry_path)


def test_germanium_follows_the_standard_path() -> None:
    path = standard_path(crystal("Ge"), 201)
    assert [label for _, label in path.tick_labels] == ["Γ", "X", "U|K", "Γ", "L", "W", "X"]
    a = 5.658
    gamma_x, x_u, k_gamma, gamma_l, l_w, w_x = 1, 8**-0.5, 0.75 * 2**0.5, 0.75**0.5, 0.5**0.5, 0.5
    length = 2 * np.pi / a * (gamma_x + x_u + k_gamma + gamma_l + l_w + w_x)
    assert path.distance[-1] == pytest.approx(length)
    step = length / 199
    assert np.diff(path.distance).max() < 1.06 * step
    # The break costs no distance; on either side of it are the two names of one star of points.
    first = next(k for k, label in path.tick_labels if label == "U|K")
    assert path.distance[first] == path.distance[first + 1]
    assert not np.allclose(path.q[first], path.q[first + 1])
    assert [len(range(*piece.indices(201))) for piece in path.pieces] == [first + 1, 200 - first]


def test_directions_point_along_the_segment_that_a_point_begins() -> None:
    one = crystal("NaCl")
    path = standard_path(one, 120)
    for index, label in path.ticks:
        if label == "Γ" and index + 1 < path.n_points and path.segment[index] == path.segment[index + 1]:
            step = path.q[index + 1] - path.q[index]
            np.testing.assert_allclose(np.cross(step, path.direction[index]), 0, atol=1e-12)
    gamma = [k for k, q in enumerate(path.q) if np.allclose(q, 0)]
    assert all(np.linalg.norm(path.direction[k]) > 0.1 for k in gamma)


def test_named_paths_follow_the_names() -> None:
    one = crystal("Ge")
    path = named_path(one, "Γ-X-U|K-Γ-L", 101)
    assert path.n_points == 101
    assert [label for _, label in path.tick_labels] == ["Γ", "X", "U|K", "Γ", "L"]
    np.testing.assert_allclose(path.q[0], 0)
    np.testing.assert_allclose(path.q[-1], [0.5, 0.5, 0.5])


@pytest.mark.parametrize("text", ["G X W", "gamma-X-W", "Γ,X;W", "GAMMA – X — W", " Γ-X - W "])
def test_gamma_and_separators_can_be_written_in_the_usual_ways(text: str) -> None:
    assert_same(named_path(crystal("Ge"), text, 50), named_path(crystal("Ge"), "Γ-X-W", 50))


def test_the_point_g_of_a_body_centred_tetragonal_crystal_can_be_named() -> None:
    one = crystal("white Sn")
    if "G" not in one.high_symmetry_points:  # axes longer than wide have it
        frame, fractions, symbols = CELLS["white Sn"]
        one = type(one).from_cell(frame * [[1], [1], [4]], fractions, symbols)
    path = named_path(one, "Γ-G", 20)
    np.testing.assert_allclose(path.q[-1], one.high_symmetry_points["G"])


@pytest.mark.parametrize("name", NAMES)
def test_json_round_trip_is_exact(name: str) -> None:
    path = standard_path(crystal(name), 120)
    assert_same(path, QPath.from_dict(json.loads(json.dumps(path.to_dict()))))


def test_a_path_from_a_file_visits_its_points(tmp_path: Path) -> None:
    content = [
        [["Γ", [0, 0, 0]], ["X", [0.5, 0, 0.5]], ["P", [0.1, 0.2, 0.3]]],
        [["A", [0, 0, 0]], ["B", [0, 0, 1]]],
    ]
    (tmp_path / "path.json").write_text(json.dumps(content))
    path = path_from_file(crystal("Ge"), tmp_path / "path.json", 77)
    assert path.n_points == 77
    assert [label for _, label in path.tick_labels] == ["Γ", "X", "P|A", "B"]
    visited = [path.q[k].tolist() for k, _ in path.ticks]
    np.testing.assert_allclose(visited, [q for piece in content for _, q in piece])


def test_one_label_may_stand_for_points_of_several_zones(tmp_path: Path) -> None:
    """Along Γ (0 0 0) - X - Γ (1 0 1) the second Γ is another point than the first."""
    content = [[["Γ", [0, 0, 0]], ["X", [0.5, 0, 0.5]], ["Γ", [1, 0, 1]]]]
    (tmp_path / "path.json").write_text(json.dumps(content))
    path = path_from_file(crystal("Ge"), tmp_path / "path.json", 41)
    np.testing.assert_allclose(path.q[[0, 20, 40]], [[0, 0, 0], [0.5, 0, 0.5], [1, 0, 1]])


def test_a_name_repeated_at_another_place_is_a_break(tmp_path: Path) -> None:
    content = [[["Γ", [0, 0, 0]], ["X", [0.5, 0, 0.5]]], [["X", [0.5, 0.5, 1]], ["Γ", [0, 0, 0]]]]
    (tmp_path / "path.json").write_text(json.dumps(content))
    path = path_from_file(crystal("Ge"), tmp_path / "path.json", 40)
    assert len(path.pieces) == 2
    assert [label for _, label in path.tick_labels] == ["Γ", "X|X", "Γ"]


def test_a_wrong_label_is_refused_with_the_list_of_right_ones() -> None:
    one = crystal("Ge")
    with pytest.raises(InputError, match="'Q' is not a high-symmetry point of Fd-3m") as caught:
        named_path(one, "Γ-X-Q")
    for label in one.high_symmetry_points:
        assert label in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"), [("Γ", "no two points"), ("Γ-X|", "no two points"), ("Γ-Γ", "no length")]
)
def test_paths_that_lead_nowhere_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        named_path(crystal("Ge"), text)


def test_too_few_points_are_refused_with_the_number_needed() -> None:
    with pytest.raises(InputError, match=r"7 points are too few for 6 segments: .* 8 points in all"):
        standard_path(crystal("Ge"), 7)
    assert standard_path(crystal("Ge"), 8).n_points == 8


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "{}",
        "[]",
        '[[["A", [0, 0, 0]]]]',
        '[[["A", [0, 0]], ["B", [1, 0, 0]]]]',
        '[[["A", "x"]]]',
        "3",
        "[3]",
        '[[["A", [0, 0, NaN]], ["B", [1, 0, 0]]]]',
    ],
)
def test_files_that_describe_no_path_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "path.json").write_text(content)
    with pytest.raises(InputError, match=r"does not describe a path|is empty"):
        path_from_file(crystal("Ge"), tmp_path / "path.json")


@pytest.mark.parametrize("step", [0.5, 0.1, 0.05, 0.003])
def test_points_for_a_step_are_about_that_far_apart(step: float) -> None:
    one = crystal("Ge")
    path = standard_path(one, points_for_step(standard_path(one), step))
    n_segments = int(path.segment[-1]) + 1
    spacing = path.distance[-1] / (path.n_points - len(path.pieces))
    assert spacing == pytest.approx(min(step, path.distance[-1] / n_segments), rel=0.15)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf"), 1e-4])
def test_steps_that_make_no_sense_are_refused(step: float) -> None:
    with pytest.raises(InputError, match="choose a step such as"):
        points_for_step(standard_path(crystal("Ge")), step)


def test_a_path_can_be_asked_for_in_every_way(tmp_path: Path) -> None:
    one = crystal("Ge")
    text = '[[["G", [0, 0, 0]], ["X", [0.5, 0, 0.5]]]]'
    (tmp_path / "path.JSON").write_text(text)
    wanted = named_path(one, "Γ-X", 11)
    for way in ("G-X", text, f" {text}", str(tmp_path / "path.JSON")):
        np.testing.assert_allclose(chosen_path(one, way, 11).q, wanted.q, atol=1e-12)
    np.testing.assert_array_equal(chosen_path(one, None, 50).q, standard_path(one, 50).q)
