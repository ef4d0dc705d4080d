"""ONNX's own backend tests of quantized operators: what is integer arithmetic is exact, the rest is refused by name.

Scales, zero points and weights, which these tests feed as inputs, are constants of the model that is read here; a quantizer or
dequantizer alone is followed, or preceded, by a Reshape, so that something is left to compute.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from accelsim.errors import ModelError
from accelsim.importers import load_graph
from tests.importers.onnx.runtime import run_graph, save

REFUSED = {
    "e4m3fn": "FLOAT8E4M3FN", "e5m2": "FLOAT8E5M2", "float4": "FLOAT4E2M1", "blocked": "in blocks",
    "dynamic": "depend on the data of each inference", "axis": "it has 3 scales and 3 zero points",
    "quantizelinear_(u?int[24])": "it has 3 scales and 3 zero points",
}  # fmt: skip
"""Part of a test's name -> why it is refused: float codes, and scales that differ within an activation."""


@cache
def cases() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of casts that the package's own cases make
        from onnx.backend.test.case.node import collect_testcases

        every = collect_testcases(None)
    named = {case.name: case for case in every if not case.name.endswith("_expanded")}
    return {name: case for name, case in named.items() if re.search("quant|qlinear|integer", name)}


def reason(name: str) -> str:
    """Why the case is refused, or nothing."""
    return next((why for part, why in REFUSED.items() if re.search(f"(^test_{part})|_{part}", name)), "")


def array(value: Any) -> NDArray[Any]:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def pinned(case: Any) -> tuple[onnx.ModelProto, str, NDArray[Any], NDArray[Any]]:
    """The model of one input, its name, what is fed, and what comes of it."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    ((inputs, outputs),) = case.data_sets
    names = [value.name for value in model.graph.input]
    for name, value in zip(names[1:], inputs[1:], strict=True):
        tensor = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value))
        model.graph.initializer.append(tensor)
        model.graph.initializer[-1].name = name
    del model.graph.input[1:]
    (node,) = model.graph.node
    wanted = array(outputs[0])
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        _keep_something_to_compute(model, node)
        wanted = wanted.reshape(-1)
    return model, names[0], array(inputs[0]), wanted


def _keep_something_to_compute(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    before = node.op_type == "DequantizeLinear"
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "flat"))
    if before:
        reshape = helper.make_node("Reshape", [node.input[0], "flat"], ["reshaped"])
        node.input[0] = "reshaped"
        model.graph.node.insert(0, reshape)
    else:
        model.graph.node.append(helper.make_node("Reshape", [node.output[0], "flat"], ["reshaped"]))
        model.graph.output[0].name = "reshaped"


def test_there_are_as_many_as_ever() -> None:
    assert len(cases()) >= 42
    assert sum(not reason(name) for name in cases()) >= 22


@pytest.mark.parametrize("name", sorted(name for name in cases() if not reason(name)))
def test_integer_arithmetic_is_exact(name: str, tmp_path: Path) -> None:
    model, fed, x, wanted = pinned(cases()[name])
    graph = load_graph(save(model, tmp_path))
    (port,) = graph.outputs
    x = x.astype(np.int8 if name.endswith(("_int2", "_int4")) else np.uint8) if "int2" in name or "int4" in name else x
    got, tensor = run_graph(graph, {fed: x})[port.tensor], graph.tensors[port.tensor]
    if port.real:
        got = (got.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale or 0)
    np.testing.assert_array_equal(got.astype(np.float64), wanted.astype(np.float64))


@pytest.mark.parametrize("name", sorted(name for name in cases() if reason(name)))
def test_everything_else_is_refused_by_name(name: str, tmp_path: Path) -> None:
    model, *_ = pinned(cases()[name])
    with pytest.raises(ModelError, match=reason(name)):
        load_graph(save(model, tmp_path))
