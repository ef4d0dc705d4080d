"""What ONNX Runtime computes of 16-bit codes in float32: exact, in its own order of operations, or named as an approximation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.graph import FloatBinary, Graph
from accelsim.importers import load_graph
from tests.importers.onnx.runtime import run_graph, runtime, save

pytestmark = pytest.mark.oracle
KINDS = [("uint16", "uint16"), ("int16", "int16"), ("uint16", "uint8"), ("int8", "int16")]


class Wide:
    """A QDQ graph of opset 21; input ``x`` and one operator between its quantizers."""

    def __init__(self, seed: int, shape: Sequence[int]) -> None:
        self.rng, self.shape = np.random.default_rng(seed), tuple(shape)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values), f"k{len(self.constants)}"))
        return self.constants[-1].name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [f"t{len(self.nodes)}"], **attributes))
        return f"t{len(self.nodes) - 1}"

    def parameters(self, kind: str) -> tuple[str, str]:
        info, bits = np.iinfo(kind), np.iinfo(kind).bits
        zero = int(self.rng.integers(info.min, info.max)) if kind.startswith("u") else int(self.rng.integers(-9, 9))
        scale = np.float32(self.rng.uniform(2, 6) / 2**bits)
        return self.constant(scale), self.constant(np.array(zero if kind != "int16" else 0, kind))

    def quantized(self, x: str, kind: str) -> str:
        """Codes and real numbers again."""
        parameters = self.parameters(kind)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *parameters), *parameters)

    def codes(self, kind: str, *shape: int) -> str:
        """A constant of many codes, dequantized."""
        info = np.iinfo(kind)
        held = self.constant(self.rng.integers(info.min, info.max + 1, shape).astype(kind))
        return self.node("DequantizeLinear", held, *self.parameters(kind))

    def model(self, y: str, kind: str) -> onnx.ModelProto:
        end = self.node("QuantizeLinear", y, *self.parameters(kind))
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        graph = helper.make_graph(self.nodes, "g", [x], [onnx.ValueInfoProto(name=end)], self.constants)
        imports = [helper.make_opsetid("", 21)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def differing(model: onnx.ModelProto, folder: Path, count: int = 6) -> tuple[Graph, int, int, int]:
    """The Graph; codes that differ, the largest difference, and codes compared."""
    graph, session = load_graph(save(model, folder), arithmetic="onnxruntime"), runtime(model, int8=True)
    shape, rng, wrong, most, compared = session.get_inputs()[0].shape, np.random.default_rng(5), 0, 0, 0
    for _ in range(count):
        x = rng.normal(0, 1.5, shape).astype(np.float32)
        (theirs,) = session.run(None, {"x": x})
        off = np.abs(run_graph(graph, {"x": x})[graph.outputs[0].tensor].astype(np.int64) - theirs.astype(np.int64))
        wrong, most, compared = wrong + int((off > 0).sum()), max(most, int(off.max())), compared + off.size
    return graph, wrong, most, compared


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu"])
@pytest.mark.parametrize("kinds", KINDS, ids="x".join)
@pytest.mark.parametrize("other", [(2, 5, 6, 7), (1, 5, 1, 1), (1, 1, 1, 7)], ids=str)
def test_an_operator_of_two_wide_tensors_is_onnxruntimes(
    op: str, kinds: tuple[str, str], other: tuple[int, ...], tmp_path: Path
) -> None:
    for seed, rectified in ((0, False), (1, op != "Div")):  # a quotient of zeros is no number, behind a rectifier too
        net = Wide(seed, (2, 5, 6, 7))
        left = net.quantized("x", kinds[0])
        right = net.quantized(net.node("Abs", net.quantized("x", kinds[1])), kinds[1])
        if other != net.shape:  # a slice that broadcasts
            ends = net.constant(np.array(other))
            right = net.quantized(net.node("Slice", right, net.constant(np.zeros(4, np.int64)), ends), kinds[1])
        y = net.node(op, left, right)
        graph, wrong, _, compared = differing(net.model(net.node("Relu", y) if rectified else y, kinds[0]), tmp_path)
        assert (wrong, compared) == (0, 6 * 420)
        assert isinstance(graph.layers[-1], FloatBinary)
        assert graph.layers[-1].name not in graph.approximations


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Min"])
@pytest.mark.parametrize("kinds", [*KINDS[:3], ("int16", "uint16")], ids="x".join)
@pytest.mark.parametrize("first", [False, True])
def test_a_constant_of_many_codes_meets_wide_codes(
    op: str, kinds: tuple[str, str], first: bool, tmp_path: Path
) -> None:
    net = Wide(3, (2, 5, 6, 7))
    pair = [net.quantized("x", kinds[0]), net.codes(kinds[1], 5, 6, 7)]
    graph, wrong, _, compared = differing(net.model(net.node(op, *(pair[::-1] if first else pair)), kinds[0]), tmp_path)
    assert (wrong, compared) == (0, 6 * 420)
    assert not graph.approximations


WINDOWS: list[dict[str, Any]] = [
    {"kernel_shape": [2, 2]},
    {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 2], "count_include_pad": 1},
    {"kernel_shape": [2, 4], "strides": [3, 3]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [9, 7]},
    {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 1]},
]


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint8"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_an_average_of_wide_codes_is_onnxruntimes(kind: str, window: dict[str, Any], tmp_path: Path) -> None:
    """Of 8 bits behind a rectifier that cuts codes off, which keeps the runtime from its integer operator."""
    net = Wide(4, (2, 6, 9, 7))
    y = net.node("AveragePool", net.quantized("x", kind), **window)
    graph, wrong, _, compared = differing(net.model(net.node("Relu", y) if kind == "uint8" else y, kind), tmp_path)
    assert wrong == 0
    assert compared >= 72
    assert not graph.approximations


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint8"])
@pytest.mark.parametrize("shape", [(2, 6, 4, 4), (2, 6, 7, 7), (3, 5, 1, 3), (1, 9, 5, 3), (2, 4, 13)], ids=str)
def test_a_global_average_of_wide_codes_is_onnxruntimes(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Wide(4, shape)
    y = net.node("GlobalAveragePool", net.quantized("x", kind))
    made = net.model(net.node("Relu", y) if kind == "uint8" else y, kind)
    graph, wrong, _, compared = differing(made, tmp_path, count=60)
    assert wrong == 0
    assert compared >= 480
    assert not graph.approximations


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_a_softmax_of_wide_codes_is_off_by_one_at_most(kind: str, tmp_path: Path) -> None:
    """Measured: 40 of 1,022,400 codes."""
    net = Wide(6, (4, 3, 50))
    graph, wrong, most, compared = differing(
        net.model(net.node("Softmax", net.quantized("x", kind)), kind), tmp_path, 40
    )
    assert most <= 1
    assert wrong <= 1e-3 * compared
    assert list(graph.approximations) == [layer.name for layer in graph.layers if layer.name in graph.approximations]
    assert any("16 bits" in text for texts in graph.approximations.values() for text in texts)


@pytest.mark.parametrize("op", ["Exp", "Softplus", "Elu"])
@pytest.mark.parametrize("kinds", [("uint16", "uint16"), ("uint8", "uint16"), ("uint16", "uint8")], ids="x".join)
def test_a_function_of_wide_codes_is_off_by_one_at_most(op: str, kinds: tuple[str, str], tmp_path: Path) -> None:
    """Measured, of 16 bits in and out: 3 to 69 of 192,000 codes."""
    net = Wide(1, (40, 300))
    graph, wrong, most, compared = differing(net.model(net.node(op, net.quantized("x", kinds[0])), kinds[1]), tmp_path)
    assert most <= 1
    assert wrong <= 1e-3 * compared
    assert [graph.layers[-1].name] == list(graph.approximations)


@pytest.mark.parametrize(
    "op",
    ["LeakyRelu", "HardSigmoid", "HardSwish", "Abs", "Neg", "Sqrt", "Reciprocal", "Sigmoid", "Tanh", "Erf", "Gelu"],
)
def test_a_function_whose_operations_are_known_is_exact(op: str, tmp_path: Path) -> None:
    net = Wide(2, (40, 300))
    x = net.quantized("x", "uint16")
    x = net.quantized(net.node("Abs", x), "uint16") if op == "Sqrt" else x
    graph, wrong, _, _ = differing(net.model(net.node(op, x), "uint16"), tmp_path)
    assert wrong == 0
    assert not graph.approximations
