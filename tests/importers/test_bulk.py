"""Tables that compiled loops read at once: the Graph and the refusals of the rows read one by one, which define them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import ModelError
from accelsim.graph import Graph
from accelsim.importers import load_graph
from accelsim.importers.tables import _scan, bulk, wiring
from accelsim.importers.tables.drawn import Table
from tests.importers.test_table_rows import content, relaxed, tables, written

HEADER = "name,op,h,w,c,oc,inputs\n"


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LEAST_BYTES", 0)
    monkeypatch.setattr(bulk, "LEAST_FIRST", 0)


def at_once(path: Path) -> Graph:
    """The Graph of a table that must be read at once."""

    def only(*_: object) -> Table:
        raise AssertionError("read row by row")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "_table", only)
        return load_graph(path)


def row_by_row(path: Path) -> Graph:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "bulk_table", lambda *_, **__: None)
        return load_graph(path)


def refusal(load: Callable[[Path], Graph], path: Path) -> tuple[str, list[str]]:
    with pytest.raises(ModelError) as caught:
        load(path)
    return str(caught.value), [str(error) for error in caught.value.exceptions]


@given(rows=tables(), loose=st.booleans())
@relaxed
def test_rows_read_at_once_are_those_read_one_by_one(tmp_path: Path, rows: list[dict[str, str]], loose: bool) -> None:
    path = written(tmp_path / "net.csv", rows)
    if loose:
        text = path.read_text(encoding="utf-8")
        text = "# first\n\n" + text.replace("\n", "\r\n \r\n\t#, \r\n").replace(",", " ,\t")
        path.write_bytes(text.encode("utf-8-sig"))
    assert content(at_once(path)) == content(row_by_row(path))


@given(
    rows=tables(),
    at=st.integers(0, 7),
    wrong=st.sampled_from(
        [("c", "x"), ("op", "conv3d"), ("name", ""), ("inputs", "no"), ("inputs", "- - -"), ("name", "twice")]
    ),
)
@relaxed
def test_so_are_refusals(tmp_path: Path, rows: list[dict[str, str]], at: int, wrong: tuple[str, str]) -> None:
    rows = [row | ({wrong[0]: wrong[1]} if i >= at % len(rows) else {"inputs": ""}) for i, row in enumerate(rows)]
    path = written(tmp_path / "net.csv", [rows[0] | {"name": "twice", "inputs": ""}, *rows])
    assert refusal(load_graph, path) == refusal(row_by_row, path)


@pytest.mark.parametrize(
    "rows",
    [
        "a,conv2d,4,4,3,8,\nw,conv2d,4,4,3,16,\nb,conv2d,4,4,8,8,w\n",
        "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8,a a\n",
        "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8,a -\n",
        "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8,b\n",
        "a,add,4,4,3,,- - -\n",
        "a,conv2d,4,4,3,8,c\nb,conv2d,4,4,8,8,a\nc,conv2d,4,4,8,3,\n",
        "a,conv2d,4,4,3,8,\na,conv2d,4,4,3,8,\n",
        "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8\n",
        "a,conv2d,4,4,3,8,\nb\n",
        "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8,a,a\n",
    ],
)
def test_what_a_row_cannot_read_is_refused_alike(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "net.csv"
    path.write_text(HEADER + rows)
    assert refusal(load_graph, path) == refusal(row_by_row, path)


def test_results_too_large_to_compare_at_once_are_compared(tmp_path: Path) -> None:
    path, side = tmp_path / "net.csv", 2**31 - 1
    path.write_text(
        f"name,op,n,h,w,c,inputs\na,lut,{side},{side},{side},{side},\nb,lut,{side},{side},{side},{side},a\n"
    )
    assert [layer.inputs for layer in load_graph(path).layers] == [("a.in",), ("a.out",)]
    path.write_text(path.read_text().replace(f"{side},a", f"{side - 1},a"))
    assert "expected a result of" in refusal(load_graph, path)[0]


def test_results_of_other_widths_are_refused_alike(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text("name,op,h,w,c,activation_bits,inputs\na,lut,4,4,8,8,\nb,lut,4,4,8,4,a\n")
    assert refusal(load_graph, path) == refusal(row_by_row, path)


def test_white_space_and_ends_of_lines_of_other_alphabets_are_left_to_python(tmp_path: Path) -> None:
    letters = map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1)))
    strange = [c for c in letters if c not in " \t\n" and (c.isspace() or len(f"a{c}b".splitlines()) > 1)]
    assert len(strange) > 25
    for letter in strange:
        assert not understood(f"a{letter}b")
    assert not understood('"')
    assert understood("a\r\n\tb é 中 € °\r\n")
    assert understood("\r\n")


def understood(text: str) -> bool:
    data = np.frombuffer(text.encode(), np.uint8)
    return not _scan.unclear(data) or bool(_scan.clear(data))


@pytest.mark.parametrize("name", ["é", "a b", "…", "a\u00a0b", "\u3000a", "a\x1cb", "a\x0bb", "a\rb", "#a", "-"])
def test_any_name_is_read_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.csv"
    path.write_bytes(f"{HEADER}first,conv2d,4,4,3,8,\n{name},conv2d,4,4,8,8,first\n".encode())
    assert told(load_graph, path) == told(row_by_row, path)


def told(load: Callable[[Path], Graph], path: Path) -> Any:
    try:
        return content(load(path))
    except ModelError as error:
        return str(error)


def long_table(path: Path, rows: int) -> Path:
    """Rows of many shapes of 16 elements that read one or two of those above, near and far."""
    rng, lines = random.Random(5), []
    for i in range(rows):
        operation, operands = rng.choice([("lut", 1), ("add", 2)])
        reads = [rng.choice(["-", f"row{rng.randrange(i)}"]) for _ in range(operands) if i]
        lines.append(f"row{i},{operation},{rng.choice(['2,8,1', '4,4,1', '8,2,1', '1,1,16'])},,{' '.join(reads)}")
    path.write_text(HEADER + "\n".join(lines))
    return path


def test_rows_far_apart_find_each_other(tmp_path: Path) -> None:
    path = long_table(tmp_path / "net.csv", 3 * _scan._BLOCK + 7)
    assert content(at_once(path)) == content(row_by_row(path))


def test_kinds_that_are_not_kept_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "REMEMBERED", 2)
    path = tmp_path / "net.csv"
    path.write_text("name,op,h,w,c\n" + "\n".join(f"l{i},lut,{1 + i % 7},4,8" for i in range(50)))
    assert content(at_once(path)) == content(row_by_row(path))


TOPOLOGY = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"


def test_topologies_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text(TOPOLOGY + "\n".join(f"Conv{i}, {8 + i % 3}, 8, 3, 3, 4, 8, 1," for i in range(20)))
    assert content(at_once(path)) == content(row_by_row(path))
    path.write_text(TOPOLOGY + "Conv, 8, 8, 3, 3, 4, 8, 1,\nConvDP, 8, 8, 3, 3, 4, 8, 1,\n")
    assert refusal(load_graph, path) == refusal(row_by_row, path)


def test_the_header_may_stand_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_bytes("\ufeff# é\n\n\n  \n# more\nname,op,h,w,c\n\na,lut,4,4,8".encode())
    assert content(at_once(path)) == content(row_by_row(path))
    path.write_text("#\n" * 40000 + "name,op,h,w,c\na,lut,4,4,8\nb,lut,4,x,8\n")
    assert refusal(load_graph, path)[0].startswith(f"{path}:40003: column 'w'")


@pytest.fixture
def names() -> bulk.Names:
    return bulk.Names("é,a,b".encode(), np.array([0, 3, 5]), np.array([2, 4, 6]))


def test_names_are_a_sequence(names: bulk.Names) -> None:
    assert list(names) == [*names[:]] == ["é", "a", "b"]
    assert (names[-1], list(names[1:]), len(names)) == ("b", ["a", "b"], 3)
    with pytest.raises(IndexError):
        names[3]
