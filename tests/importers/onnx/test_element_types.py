"""Activations and weights of 2 to 16 bits in QDQ form, against the onnx reference evaluator and ONNX Runtime.

Both compute in float32 between QuantizeLinear and DequantizeLinear. With power-of-two scales and sums below 2^24 that is exact,
so every code must agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from accelsim.graph import Add, FloatBinary, Graph, MacLayer
from accelsim.importers import load_graph
from accelsim.numerics import IntFormat
from tests.importers.onnx.runtime import run_graph, runtime, save

KINDS = [k for k in ("INT2", "UINT2", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16") if hasattr(TensorProto, k)]
RUNTIME_KINDS = [kind for kind in KINDS if "2" not in kind]
"""Types that ONNX Runtime knows."""
IMAGES = 3


@dataclass
class Chain:
    """Q -> DQ -> Conv -> Relu -> Q -> DQ -> MaxPool -> Q -> DQ -> Flatten -> Gemm -> Q, one element type for each tensor."""

    rng: np.random.Generator
    kinds: tuple[str, str, str]
    weight_kinds: tuple[str, str]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def tensor(self, name: str, kind: str, shape: tuple[int, ...], values: Any) -> str:
        flat = np.asarray(values).reshape(-1).tolist()
        self.constants.append(helper.make_tensor(name, getattr(TensorProto, kind), shape, flat))
        return name

    def parameters(self, name: str, kind: str, scale: float, zero: int) -> list[str]:
        return [self.tensor(f"{name}_s", "FLOAT", (), [scale]), self.tensor(f"{name}_z", kind, (), [zero])]

    def zero(self, kind: str) -> int:
        fmt = IntFormat.parse(kind.lower())
        return int(self.rng.integers(fmt.min, fmt.max + 1)) if fmt.bits < 16 else int(fmt.min / 4)

    def through(self, source: str, name: str, kind: str, scale: float, zero: int) -> str:
        """Real again behind QuantizeLinear and DequantizeLinear; the codes are called ``name``."""
        known = self.parameters(name, kind, scale, zero)
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [source, *known], name), *known], f"{name}_f")

    def weights(self, name: str, kind: str, shape: tuple[int, ...]) -> str:
        fmt = IntFormat.parse(kind.lower())
        reach = max(fmt.min, -100), min(fmt.max, 100) + 1
        codes = self.tensor(name, kind, shape, self.rng.integers(*reach, shape))
        return self.node("DequantizeLinear", [codes, *self.parameters(name, kind, 2.0**-6, 0)], f"{name}_f")

    def bias(self, name: str, count: int, scale: float) -> str:
        self.tensor(name, "INT32", (count,), self.rng.integers(-500, 500, count))
        return self.node("DequantizeLinear", [name, *self.parameters(name, "INT32", scale, 0)], f"{name}_f")

    def model(self) -> onnx.ModelProto:
        first, second, third = self.kinds
        scale = {kind: 2.0 ** (2 - IntFormat.parse(kind.lower()).bits) for kind in self.kinds}
        x = self.through("image", "x", first, scale[first], self.zero(first))
        known = [x, self.weights("w", self.weight_kinds[0], (4, 1, 3, 3)), self.bias("b", 4, scale[first] * 2.0**-6)]
        y = self.node("Relu", [self.node("Conv", known, "c", pads=[1] * 4)], "r")
        zero = self.zero(second)
        y = self.through(y, "y", second, scale[second], zero)
        p = self.through(
            self.node("MaxPool", [y], "m", kernel_shape=[2, 2], strides=[2, 2]), "p", second, scale[second], zero
        )
        flat = self.node("Flatten", [p], "flat")
        known = [flat, self.weights("v", self.weight_kinds[1], (36, 5)), self.bias("d", 5, scale[second] * 2.0**-6)]
        g = self.node("Gemm", known, "g")
        self.node("QuantizeLinear", [g, *self.parameters("z", third, scale[third] * 4, self.zero(third))], "z")
        ports = [(name, kind, shape) for name, kind, shape in zip(
            ("x", "y", "p", "z"), (first, second, second, third), ((1, 1, 6, 6), (1, 4, 6, 6), (1, 4, 3, 3), (1, 5)), strict=True
        )]  # fmt: skip
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 1, 6, 6))]
        outputs = [
            helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape) for name, kind, shape in ports
        ]
        graph = helper.make_graph(self.nodes, "chain", inputs, outputs, self.constants)
        opset = 25 if any("2" in kind for kind in (*self.kinds, *self.weight_kinds)) else 21
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10 if opset == 21 else 13
        )


def chain(seed: int, kinds: list[str]) -> tuple[Chain, onnx.ModelProto]:
    """Wide activations meet narrow weights, so that sums stay below 2^24."""
    rng = np.random.default_rng(seed)
    picked = tuple(str(kind) for kind in rng.choice(kinds, 3))
    narrow = [kind for kind in kinds if IntFormat.parse(kind.lower()).bits <= 4]
    weights = tuple(
        str(rng.choice(narrow if IntFormat.parse(kind.lower()).bits > 8 else [k for k in kinds if "16" not in k]))
        for kind in picked[:2]
    )
    made = Chain(rng, picked, weights)
    return made, made.model()


def images(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.uniform(-2, 2, (1, 1, 6, 6)).astype(np.float32) for _ in range(IMAGES)]


def load(model: onnx.ModelProto, folder: Path) -> Graph:
    return load_graph(save(model, folder))


def differing(graph: Graph, feed: np.ndarray, theirs: dict[str, np.ndarray]) -> dict[str, int]:
    ours = run_graph(graph, {"image": feed})
    ports = {port.host_name: port.tensor for port in graph.outputs}
    wrong = {name: int((ours[ports[name]].astype(int) != codes.astype(int)).sum()) for name, codes in theirs.items()}
    return {name: count for name, count in wrong.items() if count}


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(25))
def test_against_the_reference_evaluator(seed: int, tmp_path: Path) -> None:
    made, model = chain(seed, KINDS)
    evaluator, graph = ReferenceEvaluator(model), load(model, tmp_path)
    for feed in images(made.rng):
        theirs = dict(zip(evaluator.output_names, evaluator.run(None, {"image": feed}), strict=True))
        assert not differing(graph, feed, theirs), (made.kinds, made.weight_kinds)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(25))
def test_against_onnx_runtime(seed: int, tmp_path: Path) -> None:
    made, model = chain(seed, RUNTIME_KINDS)
    packed = {
        name for name, kind in zip("xypz", (*made.kinds[:2], made.kinds[1], made.kinds[2]), strict=True) if "4" in kind
    }
    for name in packed:  # the Python binding returns no 4-bit tensors
        model.graph.node.append(helper.make_node("Cast", [name], [f"{name}_wide"], to=TensorProto.INT8))
    names = {name: f"{name}_wide" if name in packed else name for name in "xypz"}
    graph = load(made_of(model, "xypz"), tmp_path)
    session = runtime(made_of(model, names.values()), int8=False, optimize=False)
    for feed in images(made.rng):
        theirs = dict(zip(names, session.run(list(names.values()), {"image": feed}), strict=True))
        assert not differing(graph, feed, theirs), (made.kinds, made.weight_kinds)


def made_of(model: onnx.ModelProto, outputs: Any) -> onnx.ModelProto:
    """``model`` with just these outputs, and the nodes that they need."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    wanted = list(outputs)
    known = {output.name: output for output in model.graph.output}
    del copy.graph.output[:]
    copy.graph.output.extend(
        known.get(name) or helper.make_tensor_value_info(name, TensorProto.INT8, None) for name in wanted
    )
    casts = [node for node in copy.graph.node if node.op_type == "Cast" and node.output[0] not in wanted]
    for node in casts:
        copy.graph.node.remove(node)
    return copy


@pytest.mark.parametrize("seed", range(4))
def test_widths_arrive(seed: int, tmp_path: Path) -> None:
    made, model = chain(seed, KINDS)
    graph = load(model, tmp_path)
    first, second, third = (IntFormat.parse(kind.lower()) for kind in made.kinds)
    assert [graph.tensors[name].format for name in ("x", "y", "p", "z")] == [first, second, second, third]
    layers = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    for layer, kind in zip(layers, made.weight_kinds, strict=True):
        declared = IntFormat.parse(kind.lower())
        assert layer.weight_format.bits in (declared.bits, declared.bits + (not declared.signed))


@pytest.mark.parametrize("seed", range(12))
def test_what_onnx_runtime_computes_in_float_is_named(seed: int, tmp_path: Path) -> None:
    made, model = chain(seed, ["INT8", "UINT8", "INT4", "INT16"])
    graph = load(model, tmp_path)
    layers = [layer for layer in graph.layers if isinstance(layer, MacLayer)]
    for layer, kinds in zip(layers, zip(made.kinds, made.kinds[1:], made.weight_kinds, strict=False), strict=True):
        output = graph.tensors[layer.output].format
        cut = (layer.requant.clamp_min, layer.requant.clamp_max) != (output.min, output.max)
        named = any("float32" in reason for reason in graph.approximations.get(layer.name, ()))
        assert named == (cut or any("8" not in kind for kind in kinds)), (layer.name, kinds)


def test_output_dtype_stands_for_a_zero_point(tmp_path: Path) -> None:
    nodes = [helper.make_node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=TensorProto.INT16)]
    nodes.append(helper.make_node("Transpose", ["y"], ["z"]))
    ports = [
        helper.make_tensor_value_info(n, k, (2, 3)) for n, k in (("x", TensorProto.FLOAT), ("y", TensorProto.INT16))
    ]
    ports.append(helper.make_tensor_value_info("z", TensorProto.INT16, (3, 2)))
    scale = helper.make_tensor("s", TensorProto.FLOAT, (), [0.5])
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [scale])
    made = load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)
    assert made.tensors["y"].format == IntFormat(16)


def wide_sum(kind: str) -> onnx.ModelProto:
    constants = [
        helper.make_tensor("s", TensorProto.FLOAT, (), [0.01]),
        helper.make_tensor("z", getattr(TensorProto, kind), (), [3]),
    ]
    nodes = [helper.make_node("DequantizeLinear", [n, "s", "z"], [f"{n}f"]) for n in "ab"]
    nodes += [helper.make_node("Add", ["af", "bf"], ["c"]), helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"])]
    ports = [helper.make_tensor_value_info(n, getattr(TensorProto, kind), (4,)) for n in "abd"]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_wide_sums_have_an_integer_rule_too(tmp_path: Path) -> None:
    path = save(wide_sum("INT16"), tmp_path)
    assert [type(layer) for layer in load_graph(path).layers] == [FloatBinary]
    graph = load_graph(path, arithmetic="tflite-micro")
    assert [type(layer) for layer in graph.layers] == [Add]
    codes = np.random.default_rng(0).integers(-9000, 9000, (2, 4)).astype(np.int16)
    made = run_graph(graph, {"a": codes[0], "b": codes[1]})["d"]
    assert np.abs(made - (codes.astype(int).sum(axis=0) - 3)).max() <= 1
