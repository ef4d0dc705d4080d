"""Constant weights of 4 and 2 bits: unpacked as onnx does, and computed as the same codes in 8 bits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from accelsim.errors import ModelError, ModelFileError
from accelsim.graph import Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import IntFormat
from tests.importers.onnx.runtime import run_graph, runtime, save

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
        weights.raw_data = bytes(
            pair & 0xFF for pair in weights.int32_data
        )  # as from_array does, which before onnx 1.17 loses the type
        weights.ClearField("int32_data")
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


ROWS = 900
UNIT = Fraction(2, 100) * Fraction(11, 100) / Fraction(7, 100)
"""s_in * s_w / s_out of :func:`matmul` as the decimal numbers that its float32 scales stand for: 11/350."""


def many_rows(kind: str, zero: int, **scales: float) -> tuple[onnx.ModelProto, dict[str, np.ndarray[Any, Any]]]:
    """:func:`matmul` over many rows, with other scales where given, and its input."""
    model = matmul(kind, zero, codes_as=kind)
    model.ir_version = 10
    for port in (model.graph.input[0], model.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_value = ROWS
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, (), [scales[tensor.name]]))
    return model, {"x": np.random.default_rng(5).integers(0, 256, (ROWS, DEPTH)).astype(np.uint8)}


def oracles(model: onnx.ModelProto, feed: dict[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """ONNX Runtime without graph optimization (optimized, it has no 2-bit types), and the reference evaluator."""
    session = runtime(model, int8=False, optimize=False)
    return [run(None, feed)[0].astype(np.int64) for run in (session.run, ReferenceEvaluator(model).run)]


@pytest.mark.oracle
@pytest.mark.parametrize("zero", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_powers_of_two_leave_no_difference(kind: str, zero: int, tmp_path: Path) -> None:
    """Ties included: sums that are exact in float32 have one rounding."""
    model, feed = many_rows(kind, zero, xs=2.0**-5, ws=2.0**-3, ys=2.0**-3)
    ours = run_graph(load(model, tmp_path), feed)["y"]
    sums = (feed["x"].astype(np.int64) - 120) @ (codes_of(kind) - zero)
    assert int((sums % 32 == 16).sum()) > ROWS * UNITS // 100
    for theirs in oracles(model, feed):
        assert np.array_equal(ours, theirs)


@pytest.mark.oracle
@pytest.mark.parametrize("zero", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_other_scales_differ_at_decimal_ties_alone(kind: str, zero: int, tmp_path: Path) -> None:
    """0.02 * 0.11 / 0.07 = 11/350: a sum of -175 stands for -5.5, which none of the float32 scales can say.

    Neither runtime has an integer product of 4 or 2 bits. Both add float32 products of dequantized numbers and divide by the
    output's scale, and their rounding errors take the tie to one side; ours, one float32 multiplier on the exact sum, to its own.
    """
    model, feed = many_rows(kind, zero)
    ours = run_graph(load(model, tmp_path), feed)["y"].astype(np.int64)
    sums = (feed["x"].astype(np.int64) - 120) @ (codes_of(kind) - zero)
    tie = (sums * UNIT.numerator * 2) % UNIT.denominator == 0
    tie &= (sums * UNIT.numerator * 2 // UNIT.denominator) % 2 == 1
    first, second = oracles(model, feed)
    for theirs in (first, second):
        wrong = ours != theirs
        assert tie[wrong].all()
        assert np.abs(ours - theirs).max() <= 1
        assert 0 < wrong.sum() <= 7
    assert np.array_equal(first[~tie], second[~tie])
