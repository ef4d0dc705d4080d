"""The column ``inputs`` of a layer table: which row reads what which row made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.errors import ModelError
from accelsim.graph import Graph
from accelsim.hardware import Engine
from accelsim.importers import load_graph, resolve_model
from accelsim.mapper import map_graph
from accelsim.program import check_program

HEADER = "name,op,h,w,c,oc,inputs\n"
WORKLOADS = sorted(path.stem for path in (Path(__file__).parents[2] / "workloads").glob("*.csv"))


def table(tmp_path: Path, rows: str) -> Graph:
    path = tmp_path / "net.csv"
    path.write_text(HEADER + rows)
    return load_graph(path)


def test_rows_read_what_rows_above_made(tmp_path: Path) -> None:
    graph = table(tmp_path, "a,conv2d,4,4,3,8,\nb,conv2d,4,4,8,8,a\nc,add,4,4,8,8,b a\nd,dense,1,1,128,10,c\n")
    made = {layer.name: layer for layer in graph.layers}
    assert made["b"].inputs == ("a.out",)
    assert made["c"].inputs == ("b.out", "a.out")
    assert made["d"].inputs == ("c.out",)
    assert [port.tensor for port in graph.inputs] == ["a.in"]
    assert [port.tensor for port in graph.outputs] == ["d.out"]


def test_a_dash_is_an_operand_from_outside(tmp_path: Path) -> None:
    graph = table(tmp_path, "a,conv2d,4,4,3,8,\nb,add,4,4,8,8,- a\nc,add,4,4,8,8,b\n")
    assert [layer.inputs for layer in graph.layers[1:]] == [("b.left", "a.out"), ("b.out", "c.right")]
    assert [port.tensor for port in graph.inputs] == ["a.in", "b.left", "c.right"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("aa", "expected names of rows above, or '-' for an operand from outside, got aa"),
        ("b", "expected names of rows above, or '-' for an operand from outside, got b"),
        ("a a", "expected at most 1 names, the operands of CONV_2D, got a a"),
        ("w", "expected a result of 128 elements of 8 bits, as this row reads, got w, which makes 256 of 8 bits"),
    ],
)
def test_refusals_name_line_and_remedy(tmp_path: Path, inputs: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        table(tmp_path, f"a,conv2d,4,4,3,8,\nw,conv2d,4,4,3,16,\nb,conv2d,4,4,8,8,{inputs}\n")
    assert str(caught.value) == f"{tmp_path / 'net.csv'}:4: column 'inputs': {message}"


def test_a_result_of_other_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text("name,op,h,w,c,activation_bits,inputs\na,lut,4,4,8,8,\nb,lut,4,4,8,4,a\n")
    with pytest.raises(ModelError, match="of 4 bits, as this row reads, got a, which makes 128 of 8 bits"):
        load_graph(path)


@pytest.mark.parametrize("name", WORKLOADS)
def test_packaged_tables_are_connected(name: str) -> None:
    """All but a few operands (the network's input, caches, selected rows) come from a row of the table."""
    graph = load_graph(resolve_model(name))
    operands = sum(len(layer.inputs) for layer in graph.layers)
    outside = len(graph.inputs)
    cached = 24 if name == "gpt2_small_decode" else 0
    assert outside <= cached + 6
    assert operands > outside or len(graph.layers) == 1


def test_connected_tables_keep_their_activations_on_chip() -> None:
    """In a memory that holds them, only the first layer's input and the last one's output pass through DRAM."""
    edits = {"activation_buffer.size_bytes": 2**24, "activation_buffer.resident_bytes": 2**23}
    arch = load_arch("edge_16x16").with_(edits)
    graph = load_graph(resolve_model("mobilenet_v2"))
    program = build_program(graph, arch=arch, mappings=map_graph(graph, arch=arch))
    check_program(program)
    loads = np.unique(program.layer[program.of_engine(Engine.LOAD_ACTIVATIONS)])
    stores = np.unique(program.layer[program.of_engine(Engine.STORE)])
    assert (loads.tolist(), stores.tolist()) == ([0], [len(graph.layers) - 1])
