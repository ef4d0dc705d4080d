"""Models as users have them: a float network through ONNX Runtime's own quantizer, float in and float out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import accelsim
from accelsim.arch import load_arch
from accelsim.simulation import run
from tests.importers.onnx.runtime import runtime
from tests.importers.onnx.static import quantize_static

pytestmark = pytest.mark.oracle
SHAPE = (1, 3, 16, 16)


def float_model() -> onnx.ModelProto:
    """conv-relu, depthwise-clip, max pool, conv with a shortcut, global pool, flatten, gemm; batch size open."""
    rng = np.random.default_rng(7)
    inits: list[Any] = []

    def const(name: str, *shape: int) -> str:
        values = rng.normal(0, 0.3, shape).astype(np.float32)
        inits.append(numpy_helper.from_array(values, name))
        return name

    bounds = [numpy_helper.from_array(np.float32(v), name) for name, v in (("lo", 0), ("hi", 6))]
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", const("w0", 8, 3, 3, 3), const("b0", 8)], ["c0"], **pads),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", const("w1", 8, 1, 3, 3), const("b1", 8)], ["c1"], group=8, **pads),
        helper.make_node("Clip", ["c1", "lo", "hi"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", const("w2", 8, 8, 1, 1), const("b2", 8)], ["c2"]),
        helper.make_node("Add", ["c2", "p1"], ["a2"]),
        helper.make_node("GlobalAveragePool", ["a2"], ["g2"]),
        helper.make_node("Flatten", ["g2"], ["f2"]),
        helper.make_node("Gemm", ["f2", const("w3", 10, 8), const("b3", 10)], ["y"], transB=1),
    ]
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, ["batch", 10])], inits + bounds)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model


def quantized(folder: Path, form: str, activation: str, weight: str, per_channel: bool) -> Path:
    """The model that ``quantize_static`` makes."""
    from onnxruntime.quantization import QuantFormat

    source, target = folder / "float.onnx", folder / "quantized.onnx"
    source.write_bytes(float_model().SerializeToString())
    return quantize_static(
        source, target, SHAPE, count=4, activation=activation, weight=weight, quant_format=getattr(QuantFormat, form),
        per_channel=per_channel, reduce_range=True,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize(("activation", "weight"), [("QUInt8", "QInt8"), ("QUInt8", "QUInt8"), ("QInt8", "QInt8")])
@pytest.mark.parametrize("per_channel", [False, True])
def test_float_in_float_out(form: str, activation: str, weight: str, per_channel: bool, tmp_path: Path) -> None:
    path = quantized(tmp_path, form, activation, weight, per_channel)
    session = runtime(onnx.load(path), int8=activation == "QInt8")
    x = np.random.default_rng(3).normal(0, 1.2, (5, *SHAPE[1:])).astype(np.float32)
    expected = np.concatenate([session.run(["y"], {"x": one[None]})[0] for one in x])
    simulation = run(path, arch=load_arch("edge_16x16"), arithmetic="onnxruntime", inputs={"x": x}, keep="all")
    assert simulation.tensors is not None
    assert simulation.tensors["y"].dtype == np.float32
    assert np.array_equal(simulation.tensors["y"], expected)
    assert simulation.result.values is not None
    assert simulation.result.values.program_checked == 1


def test_operators_are_listed() -> None:
    listed = {entry.operator for entry in accelsim.supported_operators() if entry.source == ".onnx"}
    assert {"QLinearConv", "QGemm", "Conv", "QuantizeLinear", "Slice"} <= listed
