"""Forms that are refused by name, with a remedy that works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import ModelError, UnsupportedOperatorError
from accelsim.graph import Reshape
from accelsim.importers import load_graph
from tests.importers.onnx.runtime import save


def chosen(*, quantized: bool = True) -> onnx.ModelProto:
    """As torch exports ``x.squeeze(1)`` of an open size: Squeeze where that axis is 1."""
    branches = {
        "then_branch": helper.make_node("Squeeze", ["d", "axis"], ["t"]),
        "else_branch": helper.make_node("Identity", ["d"], ["t"]),
    }
    graphs = {
        name: helper.make_graph([node], name, [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])
        for name, node in branches.items()
    }
    scale = ["s", "z"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *scale], ["q"]),
        helper.make_node("DequantizeLinear", ["q", *scale], ["d"]),
        helper.make_node("Shape", ["d"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["size"]),
        helper.make_node("Equal", ["size", "one"], ["condition"]),
        helper.make_node("If", ["condition"], ["r"], **graphs),
        helper.make_node("QuantizeLinear", ["r", *scale], ["y"]),
    ]
    if not quantized:
        nodes = [helper.make_node("Identity", ["x"], ["d"]), *nodes[2:-1]]
    held = {"s": np.float32(0.05), "z": np.uint8(3), "axis": np.array([1]), "one": np.array(1)}
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])
    y = helper.make_tensor_value_info(*(("y", TensorProto.UINT8) if quantized else ("r", TensorProto.FLOAT)), None)
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_an_if_is_refused_and_read_once_folded(tmp_path: Path) -> None:
    path, folded = save(chosen(), tmp_path), tmp_path / "folded.onnx"
    with pytest.raises(
        UnsupportedOperatorError, match=r"node 5 If \(output 'r'\): it chooses between two graphs.*ORT_ENABLE_BASIC"
    ):
        load_graph(path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert [type(layer) for layer in load_graph(folded).layers] == [Reshape]


def test_a_float_network_with_an_if_is_not_taken_for_a_quantized_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model is not quantized"):
        load_graph(save(chosen(quantized=False), tmp_path))


def test_scales_of_float16_are_refused(tmp_path: Path) -> None:
    scale = [numpy_helper.from_array(np.float16(0.05), "s"), numpy_helper.from_array(np.uint8(3), "z")]
    node = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT16, [1, 4])
    codes = helper.make_tensor_value_info("q", TensorProto.UINT8, [1, 4])
    model = helper.make_model(
        helper.make_graph([node], "g", [codes], [y], scale), opset_imports=[helper.make_opsetid("", 19)], ir_version=9
    )
    with pytest.raises(UnsupportedOperatorError, match="quantize the network before it is converted to float16"):
        load_graph(save(model, tmp_path))
