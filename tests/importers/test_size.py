"""Memory that loading takes: a small multiple of the file's own bytes, whatever is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.flat import Op, T, tflite_bytes
from tests.measured import printed

MIB = 2**20
SIDE = 4096
LAYERS = 6

LOAD = """
from accelsim import load_graph
small, large = sys.argv[1:]
load_graph(small)
before = peak()
graph = load_graph(large)
print(peak() - before, len(graph.layers), graph.weight_bytes)
"""


def tflite(path: Path, side: int) -> Path:
    tensors, operators = [T("y0", (1, side), "INT8", 0.1)], []
    rng = np.random.default_rng(0)
    for i in range(LAYERS):
        tensors.append(T(f"w{i}", (side, side), "INT8", 0.01, data=rng.integers(-127, 128, (side, side), np.int8)))
        tensors.append(T(f"y{i + 1}", (1, side), "INT8", 0.1))
        operators.append(Op("FULLY_CONNECTED", [f"y{i}", f"w{i}"], [f"y{i + 1}"]))
    path.write_bytes(tflite_bytes(tensors, operators, ["y0"], [f"y{LAYERS}"]))
    return path


def onnx(path: Path, side: int, kind: type[np.integer], zero: int) -> Path:
    from onnx import TensorProto, helper, numpy_helper

    rng, low = np.random.default_rng(0), np.iinfo(kind).min
    constants = {"s": np.float32(0.1), "z": np.int8(0), "ws": np.float32(0.01), "wz": kind(zero)}
    constants |= {f"w{i}": rng.integers(low + 1, low + 256, (side, side)).astype(kind) for i in range(LAYERS)}
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q0"])]
    nodes.append(helper.make_node("DequantizeLinear", ["q0", "s", "z"], ["y0"]))
    for i in range(LAYERS):
        nodes.append(helper.make_node("DequantizeLinear", [f"w{i}", "ws", "wz"], [f"r{i}"]))
        nodes.append(helper.make_node("MatMul", [f"y{i}", f"r{i}"], [f"m{i}"]))
        nodes.append(helper.make_node("QuantizeLinear", [f"m{i}", "s", "z"], [f"q{i + 1}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"q{i + 1}", "s", "z"], [f"y{i + 1}"]))
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, side])] for name in ("x", f"y{LAYERS}")]
    made = helper.make_graph(
        nodes, "g", *ports, [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    )
    path.write_bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def qonnx(path: Path, side: int) -> Path:
    """Its weights are float numbers in the file."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {"s": np.float32(0.1), "z": np.float32(0), "b": np.float32(8)}
    constants |= {f"w{i}": rng.integers(-127, 128, (side, side)).astype(np.float32) for i in range(LAYERS)}

    def quant(source: str, output: str) -> Any:
        options = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", "domain": "qonnx.custom_op.general"}
        return helper.make_node("Quant", [source, "s", "z", "b"], [output], **options)

    nodes = [quant("x", "y0")]
    for i in range(LAYERS):
        nodes.append(quant(f"w{i}", f"r{i}"))
        nodes.append(helper.make_node("MatMul", [f"y{i}", f"r{i}"], [f"m{i}"]))
        nodes.append(quant(f"m{i}", f"y{i + 1}"))
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, side])] for name in ("x", f"y{LAYERS}")]
    made = helper.make_graph(
        nodes, "g", *ports, [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    path.write_bytes(helper.make_model(made, opset_imports=opsets).SerializeToString())
    return path


@pytest.mark.parametrize("how", ["tflite", "int8", "uint8", "qonnx"])
def test_weights_are_held_at_most_twice(tmp_path: Path, how: str) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    sides = ((small, 4), (large, SIDE // 2 if how == "qonnx" else SIDE))
    if how == "qonnx":
        files = [qonnx(path.with_suffix(".onnx"), side) for path, side in sides]
    elif how == "tflite":
        files = [tflite(path.with_suffix(".tflite"), side) for path, side in sides]
    else:
        kind, zero = (np.int8, 0) if how == "int8" else (np.uint8, 128)
        files = [onnx(path.with_suffix(".onnx"), side, kind, zero) for path, side in sides]
    more, layers, weight_bytes = map(int, printed(LOAD, *files).split())
    assert (layers, weight_bytes) == (LAYERS, LAYERS * sides[1][1] ** 2)
    assert weight_bytes <= more + 32 * MIB, "what was loaded is counted"
    assert more <= 2 * files[1].stat().st_size + (16 if how == "qonnx" else 64) * MIB


def test_a_row_of_a_table_takes_half_a_kilobyte(tmp_path: Path) -> None:
    header, rows = "name,op,h,w,c,kh,kw,oc,padding", 40_000
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text(f"{header}\nl,conv2d,8,8,4,3,3,8,same\n")
    lines = [f"layer{i},conv2d,{7 * (1 + i % 4)},28,{8 * (1 + i % 3)},3,3,16,same" for i in range(rows)]
    large.write_text("\n".join([header, *lines]))
    more, layers, _ = map(int, printed(LOAD, small, large).split())
    assert layers == rows
    assert more <= 0.5 * 1024 * rows + 8 * MIB


MANY = """
from accelsim import load_graph
load_graph(sys.argv[1])
before = peak()
graph = load_graph(sys.argv[2])
print(peak() - before, len(graph.layers), graph.layers[-1].inputs[0], len(graph.inputs), len(graph.outputs))
"""


def test_a_million_rows_take_their_bytes_twice_and_what_compiled_code_does(tmp_path: Path) -> None:
    small, large, rows = tmp_path / "small.csv", tmp_path / "large.csv", 10**6
    header = "name,op,h,w,c,kh,kw,oc,padding,inputs\n"
    small.write_text(f"{header}l0,conv2d,28,28,8,3,3,8,same,\n")
    joined = (f"l{i},conv2d,28,28,8,3,3,8,same,l{i - 1}" for i in range(1, rows))
    large.write_text(small.read_text() + "\n".join(joined))
    more, *found = printed(MANY, small, large).split()
    assert found == [str(rows), f"l{rows - 2}.out", "1", "1"]
    assert int(more) <= 2 * large.stat().st_size + 256 * MIB


SHORT = """
import accelsim
accelsim.load_graph(sys.argv[1])
limit(16 * 2**20)
try:
    accelsim.load_graph(sys.argv[2])
except accelsim.AccelsimError as error:
    print(type(error).__name__, error)
"""


def test_a_file_that_is_not_held_is_refused_by_name(tmp_path: Path) -> None:
    small, large = tflite(tmp_path / "small.tflite", 4), tflite(tmp_path / "large.tflite", SIDE)
    assert printed(SHORT, small, large).startswith(f"CapacityError not enough memory for the model {large}")
