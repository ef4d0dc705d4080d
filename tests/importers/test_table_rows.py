"""However a layer table is written, its rows are the same; and its Graph, made when it is asked for, keeps the rules of every Graph."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.errors import GraphError, ModelError
from accelsim.graph import Graph, HostPort
from accelsim.importers import load_graph

relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
OPERATIONS = (
    "conv2d",
    "depthwise_conv2d",
    "dense",
    "add",
    "mul",
    "scale",
    "max_pool",
    "mean",
    "softmax",
    "lut",
    "matmul",
)
HEADER = ("name", "op", "h", "w", "c", "oc", "padding", "inputs")


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of which some are alike, some read what rows above made, one operand or two."""
    rows: list[dict[str, str]] = []
    for i in range(draw(st.integers(1, 8))):
        op = draw(st.sampled_from(OPERATIONS))
        flat = op in ("dense", "matmul")
        row = {"name": draw(st.sampled_from(["l", "a.out", "x/y", "é"])) + str(i), "op": op, "h": "4"}
        row |= {
            "w": "1" if flat else "4",
            "c": draw(st.sampled_from(["8", "16"])),
            "oc": "",
            "padding": "",
            "inputs": "",
        }
        if op in ("conv2d", "dense"):
            row["oc"] = draw(st.sampled_from(["", "8", "16"]))
        if op in ("conv2d", "max_pool"):
            row["padding"] = draw(st.sampled_from(["", "same", "valid"]))
        operands = 2 if op in ("add", "mul", "scale", "matmul") else 1
        able = ["-", *(other["name"] for other in rows if fits(other, row))]
        if op not in ("scale", "matmul"):
            row["inputs"] = " ".join(draw(st.lists(st.sampled_from(able), max_size=operands)))
        rows.append(row)
    return rows


def fits(other: dict[str, str], row: dict[str, str]) -> bool:
    """Whether the result of one row has the elements that another reads."""
    made = 1 if other["op"] == "mean" else int(other["h"]) * int(other["w"])
    return made * int(other["oc"] or other["c"]) == int(row["h"]) * int(row["w"]) * int(row["c"])


def written(
    path: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = HEADER, quoting: Any = csv.QUOTE_MINIMAL
) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, quoting=quoting, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def eager(graph: Graph) -> Graph:
    """Everything that ``graph`` makes when it is asked, as a Graph that checks itself."""
    return Graph(
        name=graph.name, arithmetic=graph.arithmetic, tensors=dict(graph.tensors), layers=tuple(graph.layers),
        inputs=tuple(graph.inputs), outputs=tuple(graph.outputs), shape_only=True,
    )  # fmt: skip


def content(graph: Graph) -> tuple[object, ...]:
    layers = [(type(layer), *map(str, vars(layer).items())) for layer in graph.layers]
    return layers, list(graph.tensors.items()), list(graph.inputs), list(graph.outputs)


@given(rows=tables())
@relaxed
def test_a_graph_of_rows_keeps_the_rules(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    graph = load_graph(written(tmp_path / "net.csv", rows))
    whole = eager(graph)
    assert content(whole) == content(graph)
    assert [layer.name for layer in graph.layers] == [row["name"] for row in rows]
    assert len(graph.tensors) == len(whole.tensors)
    used = {name for layer in whole.layers for name in (*layer.inputs, layer.output)}
    assert used == set(whole.tensors), "no tensor that no layer has"
    made = {layer.output for layer in whole.layers}
    assert [port.tensor for port in graph.inputs] == [name for name in whole.tensors if name not in made]
    read = {name for layer in whole.layers for name in layer.inputs}
    assert [port.tensor for port in graph.outputs] == [name for name in whole.tensors if name in made - read]


@given(rows=tables(), order=st.permutations(HEADER), spaces=st.booleans())
@relaxed
def test_rows_are_the_same_however_they_are_written(
    tmp_path: Path, rows: list[dict[str, str]], order: list[str], spaces: bool
) -> None:
    plain = content(load_graph(written(tmp_path / "plain.csv", rows)))
    assert content(load_graph(written(tmp_path / "order.csv", rows, tuple(order)))) == plain
    assert content(load_graph(written(tmp_path / "quoted.csv", rows, quoting=csv.QUOTE_ALL))) == plain
    text = (tmp_path / "plain.csv").read_text(encoding="utf-8")
    loose = "# first\n\n" + text.replace("\n", "\r\n \r\n#, \r\n").replace(",", " , " if spaces else ",")
    (tmp_path / "loose.csv").write_bytes(loose.encode("utf-8-sig"))
    assert content(load_graph(tmp_path / "loose.csv")) == plain


@given(
    rows=tables(),
    at=st.integers(0, 7),
    wrong=st.sampled_from([("c", "x"), ("op", "conv3d"), ("name", ""), ("inputs", "no")]),
)
@relaxed
def test_a_wrong_row_is_named_however_it_is_written(
    tmp_path: Path, rows: list[dict[str, str]], at: int, wrong: tuple[str, str]
) -> None:
    at %= len(rows)
    rows = [row | {wrong[0]: wrong[1]} if i == at else row | {"inputs": ""} for i, row in enumerate(rows)]
    said = set()
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        with pytest.raises(ModelError) as caught:
            load_graph(written(tmp_path / "net.csv", rows, quoting=quoting))
        said.add(str(caught.value))
    (message,) = said
    assert message.startswith(f"{tmp_path / 'net.csv'}:{at + 2}: column '{wrong[0]}'")


def test_layers_and_ports_are_sequences(tmp_path: Path) -> None:
    rows = [dict(zip(HEADER, (f"l{i}", "add", "4", "4", "8", "", "", ""), strict=True)) for i in range(5)]
    graph = load_graph(written(tmp_path / "net.csv", rows))
    assert graph.layers[-1] is graph.layers[4] is graph.layer("l4")
    assert [layer.name for layer in graph.layers[1:4:2]] == ["l1", "l3"]
    assert graph.inputs[-1] == HostPort("l4.right", "l4.right") == graph.inputs[8:][1]
    assert [port.tensor for port in graph.outputs[:2]] == ["l0.out", "l1.out"]
    for sequence in (graph.layers, graph.inputs, graph.outputs):
        with pytest.raises(IndexError):
            sequence[len(sequence)]
    assert "l0.in" not in graph.tensors
    assert "nothing" not in graph.tensors


def test_an_edited_copy_is_checked(tmp_path: Path) -> None:
    row = dict(zip(HEADER, ("l", "dense", "4", "1", "8", "", "", ""), strict=True))
    graph = load_graph(written(tmp_path / "net.csv", [row]))
    assert content(replace(graph, name="other")) == content(graph)
    with pytest.raises(GraphError, match=r"tensor 'l\.in' is not in the graph"):
        replace(graph, tensors={})
