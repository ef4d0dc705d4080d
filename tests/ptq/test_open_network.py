"""Float networks that leave sizes open, and say their shapes by arithmetic on them, as they are exported in opset 11."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.importers import sized
from accelsim.ptq import quantize_network
from accelsim.verification import verify


def network(folder: Path) -> Path:
    """A convolution; rows by Reshape with a computed shape; their shape asked for again; Softmax of the last axis, before opset 13."""
    rng = np.random.default_rng(4)

    def constant(name: str, values: object, kind: type = np.int64) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values, kind), name)

    constants = [
        constant("w", rng.normal(0, 1, (6, 3, 3, 3)), np.float32), constant("k", rng.normal(0, 1, (6, 5)), np.float32),
        constant("zero", [0]), constant("one", [1]), constant("two", [2]), constant("rest", [-1]), constant("six", [6]),
    ]  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[0, 2, 3, 1]), node("Shape", ["t"], ["s"]),
        node("Slice", ["s", "zero", "one"], ["n"]), node("Concat", ["n", "rest", "six"], ["to"], axis=0),
        node("Reshape", ["t", "to"], ["rows"]), node("Shape", ["rows"], ["of"]), node("Slice", ["of", "zero", "two"], ["front"]),
        node("Concat", ["front", "rest"], ["again"], axis=0), node("MatMul", ["rows", "k"], ["m"]),
        node("Reshape", ["m", "again"], ["p"]), node("Softmax", ["p"], ["y"], axis=2),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, None, None])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.save(model, folder / "open.onnx")
    return folder / "open.onnx"


@pytest.mark.oracle
def test_it_is_quantized_with_the_sizes_that_are_given(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(0, 1, (3, 3, 8, 4)).astype(np.float32)
    made = quantize_network(sized(network(tmp_path), {"x": (1, 3, 8, 4)}), {"x": x})
    assert {node.op for node in made.source.nodes} == {
        "Conv",
        "Relu",
        "Transpose",
        "Reshape",
        "MatMul",
        "Softmax",
        "Flatten",
    }
    path = tmp_path / "quantized.onnx"
    path.write_bytes(made.to_bytes())
    report = verify(path, oracle="onnxruntime", inputs={"x": x})
    assert (report.complete, report.differing) == (True, 0)
    assert report.elements > 3 * (6 * 32 + 2 * 5 * 32)
