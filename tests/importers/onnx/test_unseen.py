"""No attribute goes unseen: every one of every operator's schema, with a value that matters, is computed as by ONNX Runtime or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import ModelError, UnsupportedOperatorError
from accelsim.importers import load_graph
from accelsim.importers.onnx.asked import need_all_seen
from accelsim.importers.onnx.file.records import OnnxNode
from accelsim.importers.onnx.registry import LOWERINGS
from accelsim.importers.refusal import RefusalError
from tests.importers.onnx.runtime import run_graph, runtime, save

OPSET = 21
RNG = np.random.default_rng(16)
IMAGE = (2, 4, 4, 4)
Input = str | np.ndarray
"""``x``: a dequantized activation; ``q``: its codes; ``s``, ``z``: its scale and zero point; else constants, ``w:`` dequantized."""


class Weights(np.ndarray):
    """Codes that a DequantizeLinear makes real."""


def codes(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def weights(*shape: int) -> np.ndarray:
    return codes(*shape).view(Weights)


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


Q, S, Z = "q", np.float32(0.25), np.uint8(7)
W = codes(4, 4, 3, 3)
FORMS: Mapping[str, tuple[Sequence[Any], Mapping[str, Any]]] = {
    "QLinearConv": ((Q, "s", "z", W, np.float32(0.02), np.int8(0), np.float32(2.5), np.uint8(100)), {}),
    "QGemm": ((Q, "s", "z", codes(4, 4), np.float32(0.02), np.int8(0), "", S, Z), {}),
    "QLinearAveragePool": ((Q, "s", "z", S, Z), {"kernel_shape": [2, 2]}),
    "QLinearGlobalAveragePool": ((Q, "s", "z", S, Z), {}),
    "QLinearConcat": ((S, Z, Q, "s", "z", Q, "s", "z"), {"axis": 1}),
    "QLinearLeakyRelu": ((Q, "s", "z", S, Z), {}),
    "QLinearSoftmax": ((Q, "s", "z", np.float32(1 / 256), np.uint8(0)), {"opset": 13}),
    "ConvInteger": ((Q, W, "z"), {}),
    "Cast": (("i",), {"to": TensorProto.FLOAT}),
    "Conv": (("x", weights(4, 4, 3, 3)), {}),
    "ConvTranspose": (("x", weights(4, 4, 3, 3)), {}),
    "Gemm": (("x", weights(4, 4)), {}),
    "BatchNormalization": (("c", floats(4), floats(4), floats(4), floats(4)), {}),
    "AveragePool": (("x",), {"kernel_shape": [2, 2]}),
    "LeakyRelu": (("x",), {}),
    "HardSigmoid": (("x",), {}),
    "Celu": (("x",), {}),
    "Elu": (("x",), {}),
    "Gelu": (("x",), {}),
    "Selu": (("x",), {}),
    "Softmax": (("x",), {}),
    "LayerNormalization": (("x", np.ones((4, 4), np.float32)), {"axis": 2}),
    "ReduceMean": (("x", np.array([2])), {}),
    "ReduceSum": (("x", np.array([2])), {}),
    "ReduceMax": (("x", np.array([2])), {}),
    "ReduceMin": (("x", np.array([2])), {}),
    "ArgMax": (("x",), {}),
    "ArgMin": (("x",), {}),
    "Resize": (("x", "", np.array([1, 1, 2, 1.5], np.float32)), {}),
    "Concat": (("x", "x"), {"axis": 1}),
    "MaxPool": (("x",), {"kernel_shape": [2, 2]}),
    "Reshape": (("x", np.array([0, 16, 4])), {}),
    "Flatten": (("x",), {}),
    "Transpose": (("x",), {}),
    "Pad": (("x", np.array([0, 0, 1, 1, 0, 0, 1, 1])), {}),
    "Split": (("x",), {"num_outputs": 2}),
    "Dropout": (("x",), {}),
    "Gather": (("x", np.array([1, 0])), {}),
    "DepthToSpace": (("x",), {"blocksize": 2}),
    "SpaceToDepth": (("x",), {"blocksize": 2}),
    "QuantizeLinear": (("x", S, Z), {}),
    "DequantizeLinear": ((Q, S, Z), {}),
}
"""Every operator with attributes in its smallest accepted form: inputs and attributes."""

ODD: Mapping[str, Sequence[Any]] = {
    "blocksize": [1, 4], "group": [2], "pads": [[1, 0, 2, 1], [0, 0, 0, 1]], "strides": [[2, 1]], "dilations": [[1, 1], [2, 1]],
    "kernel_shape": [[3, 3], [3, 2]], "auto_pad": ["SAME_LOWER", "SAME_UPPER", "VALID"], "channels_last": [1],
    "transA": [1], "transB": [1], "alpha": [0.5], "beta": [0.5], "gamma": [0.5], "ceil_mode": [1], "count_include_pad": [1],
    "axis": [0, 1, 2, -1], "opset": [11], "saturate": [0], "round_mode": ["down"], "to": [TensorProto.DOUBLE], "epsilon": [0.5],
    "momentum": [0.5], "training_mode": [1], "approximate": ["tanh"], "stash_type": [0, 10], "keepdims": [0],
    "noop_with_empty_axes": [1], "axes": [[2, 3, 0, 1]], "mode": ["CRD", "reflect", "edge", "wrap", "linear", "cubic"], "antialias": [1],
    "coordinate_transformation_mode": ["asymmetric", "align_corners", "tf_crop_and_resize", "half_pixel_symmetric"],
    "cubic_coeff_a": [-0.5], "exclude_outside": [1], "extrapolation_value": [3.0], "keep_aspect_ratio_policy": ["not_larger"],
    "nearest_mode": ["floor", "ceil", "round_prefer_ceil"], "storage_order": [1], "allowzero": [1], "perm": [[0, 2, 1, 3]],
    "num_outputs": [3], "seed": [5], "block_size": [2], "output_dtype": [TensorProto.INT8, TensorProto.FLOAT16],
    "select_last_index": [1], "output_padding": [[1, 0]], "output_shape": [[7, 7]],
}  # fmt: skip
"""Values that say something else than the default, of every attribute."""


def contrib() -> dict[str, set[str]]:
    """Operators of com.microsoft and the names of their attributes, from ONNX Runtime itself."""
    schemas = onnxruntime.capi.onnxruntime_pybind11_state.get_all_operator_schema()
    return {schema.name: set(schema.attributes) for schema in schemas if schema.domain == "com.microsoft"}


def attributes_of(op: str) -> set[str]:
    """All of the operator's schemas: ONNX's own at the opset, and ONNX Runtime's."""
    names = contrib().get(op, set())
    return names | (set(onnx.defs.get_schema(op, OPSET, "").attributes) if onnx.defs.has(op) else set())


CASES = [
    pytest.param(op, name, value, id=f"{op}-{name}-{value}")
    for op in LOWERINGS
    if op in FORMS
    for name in sorted(attributes_of(op))
    for value in ODD.get(name, ())
]


def model_of(op: str, change: Mapping[str, Any]) -> onnx.ModelProto:
    """``op`` in its smallest form with some attributes changed."""
    inputs, attributes = FORMS[op]
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), f"k{len(constants)}"))
        return constants[-1].name

    def node(kind: str, names: Sequence[str], **given: Any) -> str:
        nodes.append(helper.make_node(kind, names, [f"t{len(nodes)}"], **given))
        return f"t{len(nodes) - 1}"

    s, z = constant(np.float32(0.05)), constant(np.uint8(120))
    quantized = node("QuantizeLinear", ["x", s, z])
    real = node("DequantizeLinear", [quantized, s, z])

    def name(given: Any) -> str:
        if isinstance(given, Weights):
            parameters = constant(np.float32(0.02)), constant(np.int8(0))
            return node("DequantizeLinear", [constant(np.asarray(given)), *parameters])
        if not isinstance(given, str):
            return constant(given)
        if given in ("c", "i"):
            kind = "Conv" if given == "c" else "ConvInteger"
            return node(kind, [name("x"), name(weights(4, 4, 3, 3))] if given == "c" else [quantized, constant(W), z])
        return {"x": real, "q": quantized, "s": s, "z": z, "": ""}[given]

    names = [name(given) for given in inputs]
    domain = (
        "com.microsoft" if op in contrib() and (op not in ("QLinearConv", "Gelu") or "channels_last" in change) else ""
    )
    domain = "" if op in ("QuantizeLinear", "DequantizeLinear", "Pad") else domain
    count = {**attributes, **change}.get("num_outputs", 1)
    result = [f"r{i}" for i in range(count)]
    nodes.append(helper.make_node(op, names, result, domain=domain, **{**attributes, **change}))
    end = result[0]
    if not op.startswith(("QLinear", "QGemm", "ConvInteger", "QuantizeLinear", "ArgM")):
        end = node("QuantizeLinear", [end, constant(np.float32(0.1)), z])
    ends = [onnx.ValueInfoProto(name=end)]
    start = helper.make_tensor_value_info("x", TensorProto.FLOAT, (4, 4) if op in ("Gemm", "QGemm") else IMAGE)
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [start], ends, constants), opset_imports=imports, ir_version=10
    )


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession | None:
    """None where ONNX Runtime does not load the model."""
    try:
        return runtime(model, int8=False)
    except Exception:  # its errors share no base of their own
        return None


def differing(model: onnx.ModelProto, session: onnxruntime.InferenceSession, folder: Path) -> int:
    """The largest difference of a code; ModelError where the model is refused."""
    graph = load_graph(save(model, folder))
    (feed,) = graph.inputs
    shape = session.get_inputs()[0].shape
    x = np.random.default_rng(3).normal(0, 4, shape).astype(np.float32)
    (theirs,) = session.run(None, {feed.host_name: x})
    ours = run_graph(graph, {feed.host_name: x})[graph.outputs[0].tensor]
    assert ours.shape == theirs.shape
    worst = int(np.abs(ours.astype(np.int64) - theirs.astype(np.int64)).max())
    return worst if worst > 1 or not graph.approximations else 0


@pytest.mark.parametrize("op", FORMS)
def test_the_smallest_form_is_accepted(op: str, tmp_path: Path) -> None:
    model = model_of(op, {})
    session = session_of(model)
    assert session is not None
    assert differing(model, session, tmp_path) == 0


@pytest.mark.parametrize(("op", "name", "value"), CASES)
def test_an_attribute_is_computed_or_refused(op: str, name: str, value: Any, tmp_path: Path) -> None:
    model = model_of(op, {name: value})
    session = session_of(model)
    if session is None:
        return  # the runtime does not take it either: nothing can be misread
    try:
        worst = differing(model, session, tmp_path)
    except ModelError as error:
        worst = 0 if f" {op} " in str(error) else 1
    assert worst == 0


def test_every_attribute_of_every_operator_is_tried() -> None:
    asked = {op: attributes_of(op) for op in LOWERINGS}
    assert not {op for op, names in asked.items() if names and op not in FORMS}
    odd = {name for names in asked.values() for name in names} - ODD.keys()
    assert not odd


def test_what_a_lowering_did_not_ask_for_is_refused() -> None:
    def seen(attributes: Mapping[str, Any], *, inputs: Sequence[str] = ("x",)) -> str:
        node = OnnxNode(index=0, op="Softmax", inputs=tuple(inputs), outputs=("y",), attributes=attributes)
        try:
            need_all_seen(node, OPSET, attributes=set(), inputs={0})
        except RefusalError as refusal:
            return refusal.reason
        return ""

    assert seen({"axis": -1}) == ""
    assert seen({"axis": 1}) == "its attribute axis is 1"
    assert seen({"exis": 1}) == "it has an attribute exis, which is not read"
    assert seen({}, inputs=("x", "")) == ""
    assert seen({}, inputs=("x", "y")) == "its input 1, 'y', is not read"


def test_an_unknown_attribute_and_a_further_input_are_refused(tmp_path: Path) -> None:
    model = model_of("Softmax", {})
    (node,) = (each for each in model.graph.node if each.op_type == "Softmax")
    node.attribute.append(helper.make_attribute("temperature", 2.0))
    with pytest.raises(UnsupportedOperatorError, match="Softmax.*an attribute temperature, which is not read"):
        load_graph(save(model, tmp_path))
    del node.attribute[:]
    node.input.append("x")
    with pytest.raises(UnsupportedOperatorError, match="Softmax.*its input 1, 'x', is not read"):
        load_graph(save(model, tmp_path))


@pytest.mark.parametrize("shape", [(1, 1), (4, 1, 1, 1)])
def test_scales_of_other_shapes_than_vectors_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    model = model_of("Conv", {})
    scale = next(each for each in model.graph.initializer if each.name == "k2")
    assert scale.dims == []
    scale.CopyFrom(numpy_helper.from_array(floats(*shape), "k2"))
    session = session_of(model)
    assert session is not None
    with pytest.raises(Exception, match="shape invalid|must be 1D"):  # as the runtime does, once it runs
        session.run(None, {"x": np.zeros(IMAGE, np.float32)})
    with pytest.raises(ModelError, match="its scales .input 1. have shape"):
        load_graph(save(model, tmp_path))
