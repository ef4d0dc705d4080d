"""The table of ``accelsim import``."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import onnx
from rich.console import Console

from accelsim.graph import Outcome
from accelsim.importers import load_graph, resolve_model
from accelsim.report.imported import TITLES, import_facts, import_rows, import_table, import_width
from accelsim.report.terminal import MOST_ROWS
from tests.importers.onnx.networks import cnn


def test_rows_of_a_packaged_model() -> None:
    graph = load_graph(resolve_model("digits_cnn"))
    rows = list(import_rows(graph))
    assert len(rows) == len(graph.layers)
    assert dict(zip(TITLES, rows[0], strict=True)) == {
        "": "0",
        "operator": "CONV_2D",
        "becomes": "Conv2D",
        "reads": "int8 1×8×8×1",
        "weights": "int8 16×3×3×1",
        "gives": "int8 1×8×8×16",
        "requantization": "tflite_double, per channel",
        "MACs": "9,216",
        "layer": "conv1",
    }
    assert import_width(graph) >= sum(map(len, rows[0]))
    facts = dict(import_facts(graph))
    assert facts["arithmetic"] == "tflite-micro"
    assert facts["approximate"] == "nothing"
    assert facts["output"].endswith("int8 codes 1×10, scale 0.00390625, zero point -128")


def test_operators_without_layers_say_where_they_went(tmp_path: Path) -> None:
    path = tmp_path / "cnn.onnx"
    onnx.save(cnn(1, qdq=True).model(), path)
    graph = load_graph(path)
    rows = list(import_rows(graph))
    assert len(rows) == len(graph.layers) + sum(operator.outcome is not Outcome.LAYER for operator in graph.source)
    texts = {row[2] for row in rows}
    assert {"done by the host", "a constant", "nothing: the codes stay"} <= texts
    convolution = next(row for row in rows if row[1] == "Conv")
    assert rows[rows.index(convolution) + 1][2] == f"part of {convolution[-1]}"


def test_approximations_are_named_and_marked() -> None:
    graph = load_graph(resolve_model("digits_cnn"))
    layer = graph.layers[2].name
    rough = replace(graph, approximations={layer: ("its bias is rounded", "its scale too")})
    assert [row[2] for row in import_rows(rough)][2] == "Conv2D ≈"
    facts = import_facts(rough)
    assert facts[-2:] == [
        ("approximate ≈", "pointwise: its bias is rounded"),
        ("approximate ≈", "pointwise: its scale too"),
    ]
    quantizer = replace(graph, approximations={"the/input/Quant": ("ties are broken earlier",)})
    assert import_facts(quantizer)[-1] == ("approximate ≈", "the/input/Quant: ties are broken earlier")


def test_a_layer_table_has_a_row_per_layer() -> None:
    graph = load_graph(resolve_model("bert_base"))
    rows = list(import_rows(graph))
    assert [row[1] for row in rows] == [layer.operator for layer in graph.layers]
    product = rows[3]
    assert (product[2], product[4], product[6]) == ("MatMul", "—", "—")


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("name,op,h,w,c\n" + "".join(f"l{i},lut,1,1,8\n" for i in range(MOST_ROWS + 7)))
    graph = load_graph(path)
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(import_table(graph, heading="h"))
    text = console.export_text()
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines if line[1:2] == ["LUT"]] == [str(i) for i in range(MOST_ROWS)]
    assert text.count("… and 7 more") == 3, "rows, inputs, outputs"
    assert ["MACs", "0"] in lines
