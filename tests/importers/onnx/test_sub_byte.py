"""Constant weights of 4 and 2 bits: unpacked as onnx does, and computed as the same codes in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import ModelError, ModelFileError
from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import IntFormat
from tests.importers.onnx.runtime import run_graph, save

RANGES = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}
KINDS = [kind for kind in RANGES if hasattr(TensorProto, kind)]
DEPTH, UNITS = 7, 5


def codes_of(kind: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    low, high = RANGES[kind]
    codes = np.random.default_rng(3).integers(low, high + 1, (DEPTH, UNITS))
    codes.flat[:2] = low, high
    return codes


def matmul(kind: str, zero: int, *, codes_as: str, raw: bool = False) -> onnx.ModelProto:
    """DequantizeLinear -> MatMul -> QuantizeLinear, the weights of ``kind``'s range held as ``codes_as``."""
    held = getattr(TensorProto, codes_as)
    weights = helper.make_tensor("w", held, (DEPTH, UNITS), codes_of(kind).reshape(-1).tolist())
    if raw:
        weights = numpy_helper.from_array(numpy_helper.to_array(weights), "w")
    constants = [
        weights,
        helper.make_tensor("wz", held, (), [zero]),
        *(helper.make_tensor(n, TensorProto.FLOAT, (), [v]) for n, v in (("xs", 0.02), ("ws", 0.11), ("ys", 0.07))),
        helper.make_tensor("xz", TensorProto.UINT8, (), [120]),
        helper.make_tensor("yz", TensorProto.UINT8, (), [131]),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
        helper.make_node("MatMul", ["xf", "wf"], ["yf"]),
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.UINT8, s) for n, s in (("x", (9, DEPTH)), ("y", (9, UNITS)))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25 if "2" in kind else 21)])


def load(model: onnx.ModelProto, folder: Path) -> Graph:
    return load_graph(save(model, folder), arithmetic="onnxruntime")


def mac(graph: Graph) -> MacLayer:
    (layer,) = (layer for layer in graph.layers if isinstance(layer, MacLayer))
    return layer


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("zero", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_as_the_same_codes_in_8_bits(kind: str, zero: int, raw: bool, tmp_path: Path) -> None:
    narrow = load(matmul(kind, zero, codes_as=kind, raw=raw), tmp_path)
    wide = load(matmul(kind, zero, codes_as="UINT8" if kind[0] == "U" else "INT8"), tmp_path)
    np.testing.assert_array_equal(mac(narrow).weights, mac(wide).weights)
    np.testing.assert_array_equal(mac(narrow).weights[:, 0, 0, :], codes_of(kind).T - zero)
    feed = {"x": np.random.default_rng(5).integers(0, 256, (9, DEPTH)).astype(np.uint8)}
    np.testing.assert_array_equal(run_graph(narrow, feed)["y"], run_graph(wide, feed)["y"])


@pytest.mark.parametrize(
    ("kind", "zero", "bits"), [("INT4", 0, 4), ("INT4", 1, 5), ("UINT4", 8, 4), ("UINT4", 0, 5), ("INT2", 0, 2)]
)
def test_the_format_follows_the_width(kind: str, zero: int, bits: int, tmp_path: Path) -> None:
    if kind not in KINDS:
        pytest.skip(f"the installed onnx has no {kind}")
    assert mac(load(matmul(kind, zero, codes_as=kind), tmp_path)).weight_format == IntFormat(bits)


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_byte_counts(change: int, tmp_path: Path) -> None:
    model = matmul("INT4", 0, codes_as="INT4", raw=True)
    weights = model.graph.initializer[0]
    weights.raw_data = weights.raw_data[:-1] if change < 0 else weights.raw_data + b"\0"
    with pytest.raises(ModelFileError, match="bytes for 35 values of INT4"):
        load(model, tmp_path)


def test_a_zero_point_of_another_type(tmp_path: Path) -> None:
    model = matmul("INT4", 0, codes_as="INT4")
    model.graph.initializer[1].CopyFrom(helper.make_tensor("wz", TensorProto.INT8, (), [0]))
    with pytest.raises(ModelError, match="of the type of the codes"):
        load(model, tmp_path)
