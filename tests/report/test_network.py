"""The picture of a network: where nodes stand, where lines begin and end, what colour a figure has."""

from __future__ import annotations

import math
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.report.pages.colours import _CHANGES, _CIVIDIS, EMPTY, Metric, blend, ink_on
from accelsim.report.pages.network import (
    GAP,
    GUTTER,
    HEIGHT,
    WIDTH,
    Edge,
    Node,
    Place,
    network_html,
    places_of,
    ranks_of,
)


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, tuple[Edge, ...]]:
    """Nodes, and edges that go forward."""
    count = draw(st.integers(1, 60))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    found = draw(st.lists(pairs, max_size=80)) if count > 1 else []
    chain = [(k, k + 1) for k in range(count - 1)] if draw(st.booleans()) else []
    return count, tuple(dict.fromkeys([*chain, *(tuple(sorted(pair)) for pair in found)]))  # type: ignore[arg-type]


@given(networks())
def test_a_rank_is_the_longest_way_there(network: tuple[int, tuple[Edge, ...]]) -> None:
    count, edges = network
    ranks = ranks_of(count, edges)
    for k in range(count):
        assert ranks[k] == max((ranks[a] + 1 for a, b in edges if b == k), default=0)


@given(networks())
def test_nodes_stand_apart_and_columns_side_by_side(network: tuple[int, tuple[Edge, ...]]) -> None:
    count, edges = network
    places = places_of(count, edges)
    for a, b in combinations(places, 2):
        assert abs(a.x - b.x) >= WIDTH + GAP or abs(a.y - b.y) >= HEIGHT + GAP
    ranks = ranks_of(count, edges)
    rows = 1 + max((place.y - GAP) // (HEIGHT + GAP) for place in places)
    for place, rank in zip(places, ranks, strict=True):
        assert (place.y - GAP) % (HEIGHT + GAP) == 0
        assert (place.y - GAP) // (HEIGHT + GAP) == rank % max(rows, 10)
    columns: dict[int, list[int]] = {}
    for place, rank in zip(places, ranks, strict=True):
        columns.setdefault(rank // max(rows, 10), []).append(place.x)
    assert min(columns[0]) == GUTTER
    for left, right in zip(sorted(columns), sorted(columns)[1:], strict=False):
        assert min(columns[right]) == max(columns[left]) + WIDTH + GUTTER


@given(networks())
def test_lines_begin_and_end_at_the_sides_of_their_nodes_and_all_is_inside(
    network: tuple[int, tuple[Edge, ...]],
) -> None:
    count, edges = network
    places = places_of(count, edges)
    text = network_html([Node(k, f"n{k}", "ADD") for k in range(count)], edges, [Metric("m", [1.0] * count, str)])
    found = re.search(r'<svg width="(\d+)" height="(\d+)" viewBox="0 0 (\d+) (\d+)"', text)
    assert found is not None
    width, height, *view = map(int, found.groups())
    assert [width, height] == view
    assert width == max(place.x for place in places) + WIDTH + GUTTER
    assert height == max(place.y for place in places) + HEIGHT + GAP
    boxes = re.findall(r'<rect x="(\d+)" y="(\d+)"', text)
    assert [Place(int(x), int(y)) for x, y in boxes] == places
    lines = re.findall('<path d="([^"]*)"', text)
    assert len(lines) == len(edges)
    for (a, b), line in zip(edges, lines, strict=True):
        numbers = list(map(int, re.findall(r"-?\d+", line)))
        end = (numbers[0], numbers[1] + numbers[2]) if "v" in line else tuple(numbers[-2:])
        assert on_side((numbers[0], numbers[1]), places[a])
        assert on_side(end, places[b])  # type: ignore[arg-type]
        assert all(0 <= x <= width for x in numbers[: None if "C" in line else 1 : 2])


def on_side(at: tuple[int, int], place: Place) -> bool:
    """Whether a point is the middle of a side of a node."""
    middle_x, middle_y = place.x + WIDTH // 2, place.y + HEIGHT // 2
    sides = [(middle_x, place.y), (middle_x, place.y + HEIGHT), (place.x, middle_y), (place.x + WIDTH, middle_y)]
    return at in sides


def test_of_nothing_there_is_no_picture() -> None:
    assert network_html([], [], [Metric("m", [], str)]) == ""
    assert network_html([Node(0, "a", "ADD")], [], []) == ""


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([1.0, 3.0, 5.0], [0, 0.5, 1]),
        ([2.0, 2.0], [0.5, 0.5]),
        ([1.0, 10.0, 100.0], [0, 0.5, 1]),
        ([0.0, 50.0, 100.0], [0, 0.5, 1]),
        ([1.0, 9.0, 5.0], [0, 1, 0.5]),
    ],
)
def test_amounts_are_coloured_from_the_least_to_the_most(values: list[float], places: list[float]) -> None:
    """By decades where they span one, and none is 0."""
    for low_is_bad in (False, True):
        metric = Metric("m", [*values, None, math.inf], str, low_is_bad=low_is_bad)
        by_decades = values == [1.0, 10.0, 100.0] and not low_is_bad
        scale = _CIVIDIS[::-1] if low_is_bad else _CIVIDIS
        if low_is_bad and values[-1] == 100.0 and values[0]:
            places = [0, 1 / 11, 1]
        assert metric.by_decades == by_decades
        assert metric.colours() == [*(blend(scale, place) for place in places), EMPTY, EMPTY]
        assert metric.ends() == (str(min(values)), str(max(values)))


def test_changes_are_coloured_around_none() -> None:
    metric = Metric("m", [-4.0, 0.0, 4.0, 0.04, -0.04], str, signed=True)
    least, none, most, little, less = metric.colours()
    assert (least, none, most) == (_CHANGES[0], _CHANGES[2], _CHANGES[-1])
    share = math.log(2) / math.log(101) / 2
    assert (little, less) == (blend(_CHANGES, 0.5 + share), blend(_CHANGES, 0.5 - share))
    assert metric.ends() == ("-4.0", "4.0")
    assert Metric("m", [0.0, 0.0], str, signed=True).colours() == [_CHANGES[2]] * 2


def test_what_has_no_figure_is_grey_and_has_no_scale() -> None:
    metric = Metric("m", [None, math.nan], str)
    assert metric.colours() == [EMPTY, EMPTY]
    assert metric.ends() == ("", "")


@pytest.mark.parametrize(
    ("place", "colour"),
    [(0, "#000000"), (0.25, "#800000"), (0.5, "#ff0000"), (1, "#ff00ff"), (-1, "#000000"), (2, "#ff00ff")],
)
def test_colours_between_two_are_mixed(place: float, colour: str) -> None:
    assert blend(("#000000", "#ff0000", "#ff00ff"), place) == colour


@pytest.mark.parametrize(
    ("colour", "ink"),
    [("#ffffff", "#000"), ("#000000", "#fff"), ("#00ff00", "#000"), ("#ff0000", "#fff"), ("#0000ff", "#fff")],
)
def test_letters_are_dark_on_light_and_light_on_dark(colour: str, ink: str) -> None:
    assert ink_on(colour) == ink
