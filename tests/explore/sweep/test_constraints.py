"""Conditions over columns: what they say, and what is never evaluated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import ConfigError
from accelsim.explore.sweep.space import Kind, read_constraint

KINDS: dict[str, Kind] = {
    "array.rows": "whole",
    "array.cols": "whole",
    "area_um2": "real",
    "bound": "text",
    "layers.conv/1.weights.bits": "whole",
    "dma.on": "truth",
}
COLUMNS = {
    "array.rows": np.array([4, 8, 2**40]),
    "array.cols": np.array([16, 128, 2**40]),
    "area_um2": np.array([1e6, 3e6, np.nan]),
    "bound": np.array(["array", "vector", None], dtype=object),
    "layers.conv/1.weights.bits": np.array([2, 4, 8]),
    "dma.on": np.array([True, False, True]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("area_um2 < 2e6", [True, False, False]),
        ("not area_um2 < 2e6", [False, True, True]),
        ("array.rows * array.cols <= 1024", [True, True, False]),
        ('"array.rows" * "array.cols" <= 1024', [True, True, False]),
        ("4 <= array.rows < 8 or bound == 'vector'", [True, True, False]),
        ("bound != 'array' and array.rows > 0", [False, True, True]),
        ("'layers.conv/1.weights.bits' % 4 == 0", [False, True, True]),
        ("log2(array.rows) == 2", [True, False, False]),
        ("min(array.rows, array.cols, 5) > 4", [False, True, True]),
        ("-array.rows + abs(-1) // 1 < -(3 ** 1)", [False, True, True]),
        ("array.rows / (array.cols - 16) < 1", [False, True, False]),
        ("dma.on", [True, False, True]),
        ("dma.on == True", [True, False, True]),
        ("array.rows * array.cols * array.rows > 1e30", [False, False, True]),
    ],
)
def test_conditions(text: str, expected: list[bool]) -> None:
    constraint = read_constraint(text, KINDS)
    assert constraint.holds(COLUMNS).tolist() == expected
    assert constraint.names <= KINDS.keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("area_um3 < 2", "character 1: unknown column 'area_um3'; did you mean 'area_um2'?"),
        ("array.row < 2", "unknown column 'array.row'; did you mean 'array.rows'?"),
        ("2 < 3", "names no column"),
        ("area_um2", "is no condition"),
        ("area_um2 +", "character"),
        ("area_um2 < 'x'", "character 12: 'x' is a text, compared with a number"),
        ("bound < 'x'", "which only == and != compare"),
        ("area_um2 and dma.on", "area_um2 is a number, expected a condition"),
        ("__import__('os').system('x') < 1", "is not understood"),
        ("area_um2.__class__ < 1", "unknown column 'area_um2.__class__'"),
        ("(lambda: 1)() < area_um2", "is not understood"),
        ("[x for x in (1,)] == area_um2", "is not understood"),
        ("area_um2[0] < 1", "is not understood"),
        ("area_um2 in (1, 2)", "character 1"),
        ("abs(area_um2, 1) < 1", "abs takes one number"),
        ("abs(x=area_um2) < 1", "is not understood"),
        ("open('x') < area_um2", "is not understood"),
        ("area_um2 < 1 if dma.on else dma.on", "is not understood"),
        ("f'{area_um2}' == bound", "is not understood"),
        ("(" * 300 + "1" + ")" * 300, "expected at most 500 characters"),
        ("1" + "+1" * 200 + " < area_um2 &", "character"),
        ("area_um2 < 1\x00", "null bytes"),
        (7, "expected a condition"),
    ],
)
def test_what_is_refused(text: object, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_constraint(text, KINDS)
    assert says in str(error.value)


@given(st.text(alphabet="0a+-*/%<>=!()[]{}.,:;'\" \n\\xbndorit_", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        constraint = read_constraint(text, {"a": "real", "b": "whole", "x": "text"})
    except ConfigError:
        return
    columns = {"a": np.array([1.5, np.nan]), "b": np.array([0, 3]), "x": np.array(["a", None], dtype=object)}
    assert constraint.holds(columns).shape == (2,)


@given(
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.sampled_from(["+", "-", "*"]),
    st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
)
def test_arithmetic_is_pythons(a: int, b: int, operator: str, comparison: str) -> None:
    text = f"a {operator} b {comparison} b * 2 - 1"
    holds = read_constraint(text, {"a": "whole", "b": "whole"}).holds({"a": np.array([a]), "b": np.array([b])})
    assert holds.tolist() == [eval(text, {"a": a, "b": b})]
