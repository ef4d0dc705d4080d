"""Fronts, volumes, knees and distances against their definitions, written down as slowly as they read; and against pymoo."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import accelsim
from accelsim.errors import ConfigError
from accelsim.explore import costs_of, distance, front, hypervolume, knee, reference_of

Costs = NDArray[np.float64]
many = settings(max_examples=150, deadline=None)
SIDE = 6
"""Cells along a grid of integers, on which a volume is a count."""


@st.composite
def grids(draw: st.DrawFn, *, broken: bool = False) -> Costs:
    """Points of small integers, so that ties and duplicates abound; some hold what is no number where ``broken``."""
    m, n = draw(st.integers(2, 4)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, draw(st.integers(1, SIDE)), (n, m)).astype(float)
    if broken:
        costs[rng.random((n, m)) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    return costs


def dominates(a: Costs, b: Costs) -> bool:
    return bool((a <= b).all() and (a < b).any())


def brute_front(costs: Costs) -> list[int]:
    points = [i for i in range(len(costs)) if np.isfinite(costs[i]).all()]
    return [i for i in points if not any(dominates(costs[j], costs[i]) for j in points)]


@given(costs=grids(broken=True))
@many
def test_the_front_is_what_nothing_dominates(costs: Costs) -> None:
    rows = front(costs)
    assert sorted(rows.tolist()) == brute_front(costs)
    keys = [(*costs[row].tolist(), int(row)) for row in rows]
    assert keys == sorted(keys)


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("kind", ["uniform", "sphere", "ties"])
def test_large_fronts(m: int, kind: str) -> None:
    rng = np.random.default_rng(m)
    costs = rng.random((3000, m))
    if kind == "sphere":  # all of them, but for the last hundred
        costs = 1 - np.abs(rng.normal(size=(3000, m)))
        costs = 1 - (1 - costs) / np.linalg.norm(1 - costs, axis=1, keepdims=True)
        costs[-100:] = costs[:100] + 0.01
    if kind == "ties":
        costs = np.round(costs, 1)
    worse = (costs[None] <= costs[:, None]).all(-1) & (costs[None] < costs[:, None]).any(-1)
    assert sorted(front(costs).tolist()) == np.flatnonzero(~worse.any(axis=1)).tolist()


@given(costs=grids())
@many
def test_the_volume_is_that_of_all_cells_that_some_point_reaches(costs: Costs) -> None:
    m = costs.shape[1]
    for corner in (SIDE, 3):
        reached = np.zeros((corner,) * m, dtype=bool)
        for point in costs:
            reached[tuple(slice(int(x), None) for x in point)] = True
        assert hypervolume(costs, [corner] * m) == pytest.approx(reached.sum(), abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(2, 4), n=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_volume_by_inclusion_and_exclusion(seed: int, m: int, n: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(n, m))
    corner, total = np.full(m, 1.0), 0.0
    boxes = costs[(costs < corner).all(axis=1)]
    for k in range(1, len(boxes) + 1):
        for some in itertools.combinations(boxes, k):
            total += (-1) ** (k + 1) * float(np.prod(corner - np.max(some, axis=0)))
    assert hypervolume(costs, corner) == pytest.approx(total, rel=1e-9, abs=1e-12)


@given(costs=grids())
@many
def test_more_points_never_dominate_less_and_dominated_ones_nothing_more(costs: Costs) -> None:
    corner = np.full(costs.shape[1], float(SIDE))
    whole = hypervolume(costs, corner)
    assert whole == pytest.approx(hypervolume(costs[front(costs)], corner), abs=1e-9)
    assert hypervolume(costs[:-1], corner) <= whole + 1e-9 if len(costs) > 1 else True
    assert hypervolume(costs * 3.0, corner * 3.0) == pytest.approx(whole * 3.0 ** len(corner))
    assert hypervolume(costs, reference_of(costs)) <= whole


@given(costs=grids(broken=True))
@many
def test_the_distance_is_how_much_better_a_row_must_get_in_everything(costs: Costs) -> None:
    rows, valid = front(costs), np.isfinite(costs).all(axis=1)
    if not len(rows):
        return
    found, best = distance(costs), costs[rows]
    assert np.isnan(found[~valid]).all()
    assert (found[rows] == 0).all()
    span = best.max(axis=0) - best.min(axis=0)
    span = np.where(span > 0, span, np.where(best.min(axis=0) == 0, 1.0, best.min(axis=0)))
    for row in np.flatnonzero(valid):
        slow = min(max(0.0, *((costs[row] - other) / span)) for other in best)
        assert found[row] == pytest.approx(slow)
        moved = costs[row] - (found[row] + 1e-9) * span
        assert not any((other <= moved).all() for other in best), (
            "better by so much, and nothing is as good in everything"
        )
    assert distance(costs, to=best)[valid] == pytest.approx(found[valid])


def test_the_knee_of_a_bent_front_is_its_corner() -> None:
    costs = np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0], [4.0, 0.9], [5.0, 5.0]])
    assert knee(costs) == 1
    assert knee(costs * [1e-12, 1e6] + [5, 7]) == 1
    assert knee(np.array([[0.0, 1.0], [1.0, 0.0]])) == 0
    assert knee(np.array([[3.0, 4.0], [3.0, 4.0]])) == 0


@given(costs=grids())
@many
def test_the_knee_is_the_farthest_from_the_chord(costs: Costs) -> None:
    two = costs[:, :2]
    rows, row = front(two), knee(two)
    start, end = two[rows[0]], two[rows[-1]]
    x, y = (end - start).tolist()
    below = [y * (p[0] - start[0]) - x * (p[1] - start[1]) for p in two[rows].tolist()]
    assert below[rows.tolist().index(row)] == pytest.approx(max(below))


def test_names_signs_and_rows_that_are_no_points() -> None:
    table: dict[str, Any] = {
        "latency_s": [1.0, 2.0, 3.0, 0.1, 0.1, np.nan],
        "accuracy": [0.5, 0.9, 0.8, 1.0, 1.0, 0.9],
        "feasible": [True, True, True, False, True, True],
        "error": [None, "", float("nan"), "", "does not fit", ""],
    }
    costs = costs_of(table, ["latency_s", "accuracy"], maximise=["accuracy"])
    assert front(costs).tolist() == [0, 1]
    assert costs[1].tolist() == [2.0, -0.9]
    assert np.isnan(costs[3:]).all()
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(
        costs_of(pandas.DataFrame(table), ["latency_s", "accuracy"], maximise=["accuracy"]), costs
    )


def test_the_table_of_evaluate_is_one() -> None:
    edits: list[dict[str, object]] = [{"array.rows": rows} for rows in (4, 8, 16)] + [{"array.rows": 0}]
    table = accelsim.evaluate("alexnet_conv1_scalesim", arch="edge_16x16", edits=edits)
    costs = costs_of(table, ["latency_s", "area_um2"])
    assert np.isfinite(costs).all(axis=1).tolist() == [True, True, True, False]
    assert sorted(front(costs).tolist()) == brute_front(costs)


@pytest.mark.parametrize(
    ("objectives", "maximise", "said"),
    [
        (["a", "c"], [], "objective 'c': no such column; there are a, b, t"),
        (["a", "a"], [], "objective 'a': given twice"),
        (["a", "b"], ["t"], "maximise 't': is none of the objectives, which are a, b"),
        (["a", "t"], [], "objective 't': holds texts"),
        (["a"], [], "expected points in rows and 2 to 4 objectives"),
    ],
)
def test_what_is_no_set_of_objectives(objectives: list[str], maximise: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        costs_of({"a": [1.0], "b": [2.0], "t": ["x"]}, objectives, maximise=maximise)


def test_where_there_is_no_point_there_is_no_front() -> None:
    nothing = np.full((3, 2), np.nan)
    assert front(nothing).tolist() == []
    assert hypervolume(nothing, [1, 1]) == 0
    for ask in (knee, distance, reference_of):
        with pytest.raises(ConfigError, match="no point has finite objectives"):
            ask(nothing)
    with pytest.raises(ConfigError, match="reference: expected 2 finite numbers"):
        hypervolume(nothing, [1, 1, 1])


@pytest.mark.oracle
@pytest.mark.parametrize("m", [2, 3, 4])
def test_pymoo_finds_the_same(m: int) -> None:
    absent = "pymoo, an oracle that no extra brings, is absent"
    sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting", reason=absent)
    indicator = pytest.importorskip("pymoo.indicators.hv", reason=absent)
    for seed in range(20):
        costs = np.random.default_rng(seed).random((200, m)).round(2 if seed % 2 else 12)
        theirs = sorting.NonDominatedSorting().do(costs, only_non_dominated_front=True)
        assert sorted(front(costs).tolist()) == sorted(theirs.tolist())
        assert hypervolume(costs, np.ones(m)) == pytest.approx(
            float(indicator.HV(ref_point=np.ones(m))(costs)), rel=1e-9
        )
