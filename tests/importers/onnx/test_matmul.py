"""Products of two activations: every code equals ONNX Runtime's, on whole layers and through a Program; what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import UnsupportedOperatorError
from accelsim.graph import Dense, MatMul, Transpose
from accelsim.importers import load_graph
from tests.importers.onnx.building import Building, differing
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import differences, runtime, save

SHAPES = [
    ((7, 12), (12, 9)),
    ((3, 7, 12), (3, 12, 9)),
    ((2, 3, 7, 12), (2, 3, 12, 9)),
    ((1, 4, 6, 8), (1, 4, 8, 6)),
    ((2, 1, 5, 4), (2, 1, 4, 3)),
    ((2, 3, 5, 1), (2, 3, 1, 4)),
    ((3, 7, 12), (12, 9)),
    ((2, 3, 7, 12), (12, 9)),
    ((2, 3, 7, 12), (1, 1, 12, 9)),
    ((2, 2, 1, 3, 4), (2, 2, 1, 4, 5)),
]
KINDS = pytest.mark.parametrize("kinds", [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")], ids="x".join)
FORMS = pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
SCALES = pytest.mark.parametrize("pot", [False, True], ids=["any", "power-of-two"])


@dataclass
class Products(Net):
    """Networks whose operands have types of their own; with ``central``, zero points near the middle of their range."""

    kinds: dict[str, str] = field(default_factory=dict)
    central: bool = False

    def operand(self, shape: tuple[int, ...], kind: str) -> Act:
        """A graph input of codes of ``kind``; its zero point is any code."""
        before, self.kind = self.kind, kind
        x = self.input(shape)
        self.kind = before
        self.kinds[x.name] = kind
        return x

    def zero(self) -> int:
        info = np.iinfo(self.kind)
        return (info.min + info.max) // 2 + int(self.rng.integers(-9, 10)) if self.central else super().zero()

    def params(self, act: Act) -> list[str]:
        kind = self.kinds.get(act.name, self.kind)
        return [self.const(act.scale, np.float32), self.const(act.zero, kind)]

    def matmul(self, a: Act, b: Act, shape: tuple[int, ...] | None = None) -> Act:
        """A product of two activations."""
        shape = (*a.shape[:-1], b.shape[-1]) if shape is None else shape
        wanted = a.scale * b.scale * 74 * 74 * np.sqrt(a.shape[-1]) * 1.5 / 60
        y = self.act(shape, scale=float(np.float32(2.0 ** round(np.log2(wanted)) if self.pot else wanted)))
        if self.qdq:
            self.node("MatMul", [self.real(a), self.real(b)], f"{y.name}_m")
            return self.quantized(f"{y.name}_m", y)
        self.node("QLinearMatMul", [a.name, *self.params(a), b.name, *self.params(b), *self.params(y)], y.name)
        return y

    def codes(self, name: str, reach: int) -> Any:
        """Codes of a graph input, within ``reach`` of 0 where they are signed."""
        shape, kind = self.feeds[name]
        info = np.iinfo(kind)
        low, high = (-reach, reach) if kind == "int8" else (0, info.max + 1)
        return self.rng.integers(low, high, shape).astype(kind)


@pytest.mark.oracle
@FORMS
@KINDS
@SCALES
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_of_two_activations(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], pot: bool, kinds: tuple[str, str], qdq: bool, tmp_path: Path
) -> None:
    """int8 codes beside uint8 ones stay within 7 bits: MLAS adds pairs of such products in 16 bits (see test_oracle.py)."""
    for seed in range(3):
        net = Products(np.random.default_rng(seed), kind=kinds[0], qdq=qdq, pot=pot)
        a, b = net.operand(shapes[0], kinds[0]), net.operand(shapes[1], kinds[1])
        net.matmul(a, b)
        reach = 64 if kinds == ("uint8", "int8") else 128
        feeds = [{name: net.codes(name, reach) for name in net.feeds} for _ in range(2)]
        wrong, compared = differences(net.model(), feeds, tmp_path, int8=kinds[0] == "int8")
        assert (
            compared == 2 * np.prod(np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])) * shapes[0][-2] * shapes[1][-1]
        )
        assert wrong == {}, (seed, wrong)


def attention(*, seed: int, heads: int, kind: str) -> Products:
    """softmax(c * Q K^T) V in QDQ form, Q, K and V with a leading batch and as many heads; K is transposed in the model."""
    net = Products(np.random.default_rng(seed), kind=kind, qdq=True, opset=17, central=True)
    rows, depth = 9, 16
    q, k, v = (replace(net.input((2, heads, rows, depth)), scale=0.017) for _ in range(3))
    turned = net.move("Transpose", k, (2, heads, depth, rows), perm=[0, 1, 3, 2])
    scores = net.matmul(q, turned, (2, heads, rows, rows))
    scaled = net.act(scores.shape, scale=scores.scale * 0.267)
    net.node("Mul", [net.real(scores), net.const(0.25, np.float32)], "logits")
    net.quantized("logits", scaled)
    shares = replace(net.act(scores.shape, scale=1 / 256), zero=np.iinfo(kind).min)
    net.node("Softmax", [net.real(scaled)], "probabilities", axis=-1)
    net.quantized("probabilities", shares)
    net.matmul(shares, v, (2, heads, rows, depth))
    return net


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_an_attention_block_on_a_machine(seed: int, heads: int, kind: str, tmp_path: Path) -> None:
    """Every tensor of the Program's own inference equals ONNX Runtime's."""
    net = attention(seed=seed, heads=heads, kind=kind)
    (feed,) = net.random_feeds()
    session = runtime(net.model(), int8=kind == "int8")
    graph = load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")
    ports = {port.host_name: port.tensor for port in graph.outputs}
    made = accelsim.run(graph, arch="edge_16x16", arithmetic="onnxruntime", inputs=feed, keep="all")
    assert made.result.total.macs == graph.macs == 2 * (2 * heads * 9 * 9 * 16)
    names = [output.name for output in session.get_outputs()]
    assert len(names) == 5
    for name, theirs in zip(names, session.run(names, feed), strict=True):
        np.testing.assert_array_equal(made.tensors[ports[name]], theirs, err_msg=name)
        assert len(np.unique(theirs)) > 3


def layers_of(net: Net, folder: Path) -> list[str]:
    return [type(layer).__name__ for layer in load_graph(save(net.model(), folder), arithmetic="onnxruntime").layers]


def test_one_transposition_takes_each_operand_from_the_stored_order_to_its_own(tmp_path: Path) -> None:
    """Four axes are stored channels last; that and the product's own order are undone in one step."""
    net = Products(np.random.default_rng(0), qdq=True)
    net.matmul(net.input((2, 3, 7, 12)), net.input((2, 3, 12, 9)))
    assert layers_of(net, tmp_path) == ["Transpose", "Transpose", "MatMul", "Transpose"]


def test_what_moves_nothing_is_left_out(tmp_path: Path) -> None:
    """A single row times a single column of three matrices: no operand has two axes to exchange."""
    net = Products(np.random.default_rng(0))
    net.matmul(net.input((3, 1, 5)), net.input((3, 5, 1)))
    assert layers_of(net, tmp_path) == ["MatMul"]


def test_a_constant_matrix_still_makes_a_dense_layer(tmp_path: Path) -> None:
    for qdq in (False, True):
        net = Net(np.random.default_rng(0), qdq=qdq)
        net.dense(net.input((2, 5)), 3, op="MatMul")
        graph = load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")
        assert [type(layer) for layer in graph.layers] == [Dense]


def test_the_layer_of_two_matrices(tmp_path: Path) -> None:
    net = Products(np.random.default_rng(0))
    a, b = net.operand((7, 12), "uint8"), net.operand((12, 9), "int8")
    net.matmul(a, b)
    graph = load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")
    turned, layer = graph.layers
    assert isinstance(turned, Transpose)
    assert isinstance(layer, MatMul)
    assert layer.inputs == ("x0", turned.output)
    assert (layer.input_zero_point, layer.right_zero_point) == (a.zero, b.zero)
    assert (str(layer.weight_format), layer.weights, layer.bias) == ("int8", None, None)
    assert (layer.geometry.oh, layer.geometry.oc, layer.geometry.ic, layer.geometry.groups) == (7, 9, 12, 1)
    assert graph.weight_bytes == 0


SPREAD = {
    "right": ((2, 3, 4, 5), (1, 3, 5, 6)),
    "left": ((2, 1, 7, 12), (2, 3, 12, 9)),
    "both": ((2, 1, 3, 4, 5), (1, 3, 3, 5, 6)),
    "a further axis of the right one": ((7, 12), (3, 12, 9)),
    "fewer axes": ((3, 7, 12), (1, 3, 12, 9)),
    "a matrix on the left": ((4, 5), (2, 3, 5, 6)),
    "shared alone": ((3, 4, 5), (3, 5, 2)),
}


@pytest.mark.parametrize("constant", ["none", "right", "left"])
@pytest.mark.parametrize("spread", SPREAD)
@FORMS
def test_leading_axes_that_broadcast(spread: str, constant: str, qdq: bool, tmp_path: Path) -> None:
    net, shapes = Products(np.random.default_rng(0), qdq=qdq), SPREAD[spread]
    sides = [
        Act(net.const(net.rng.integers(0, 256, shape), "uint8"), shape, 0.0625, 9)
        if constant == side
        else net.input(shape)
        for side, shape in zip(("left", "right"), shapes, strict=True)
    ]
    net.matmul(sides[0], sides[1], np.matmul(*(np.zeros(shape) for shape in shapes)).shape)
    wrong, compared = differences(net.model(), net.random_feeds(3), tmp_path)
    assert not wrong
    assert compared


@pytest.mark.parametrize(
    ("shapes", "out"), [(((7, 12), (12,)), (7,)), (((12,), (12, 9)), (9,)), (((2, 3, 4), (3, 4, 2)), (2, 3, 2))]
)
@FORMS
def test_vectors_and_axes_that_do_not_broadcast_are_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], out: tuple[int, ...], qdq: bool, tmp_path: Path
) -> None:
    net = Products(np.random.default_rng(0), qdq=qdq)
    net.matmul(net.input(shapes[0]), net.input(shapes[1]), out)
    message = rf"it multiplies \[{shapes[0][0]}.* with \[.*accepted: matrices \(\.\.\., m, k\) and \(\.\.\., k, n\)"
    with pytest.raises(UnsupportedOperatorError, match=message):
        load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")


@pytest.mark.parametrize("turned", [(1, 0), (1, 1)])
@pytest.mark.parametrize("qdq", [False, True])
def test_a_turned_first_operand(turned: tuple[int, int], qdq: bool, tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1))
    codes, parameters = b.input(8, 6)
    w, given = b.codes(*((5, 8) if turned[1] else (8, 5))), {"transA": turned[0], "transB": turned[1]}
    if qdq:
        weights = b.node("DequantizeLinear", b.constant(w), b.constant(np.float32(0.01)), b.constant(np.int8(0)))
        b.requantized(b.node("Gemm", b.node("DequantizeLinear", codes, *parameters), weights, **given), 0.2)
    else:
        constants = b.constant(w), b.constant(np.float32(0.01)), b.constant(np.int8(0))
        b.outputs.append(b.node("QGemm", codes, *parameters, *constants, "", *b.parameters(0.2), ms=True, **given))
    assert differing(b.model(), tmp_path, count=10) == (0, 0)


def test_scales_per_column_of_a_batch_of_constants(tmp_path: Path) -> None:
    b = Building(np.random.default_rng(1))
    b.requantized(b.node("MatMul", b.real(2, 3, 4, 8), b.weights(3, 8, 5, axis=2)), 0.2)
    wrong, worst = differing(b.model(), tmp_path, count=10)
    assert wrong <= worst <= 1


def test_scales_per_column_of_a_computed_operand_are_refused(tmp_path: Path) -> None:
    net = Products(np.random.default_rng(0))
    a, b, y = net.input((4, 5)), net.input((5, 6)), net.act((4, 6))
    scales = [net.const([0.5] * 6, np.float32), net.const([3] * 6, "uint8")]
    net.node("QLinearMatMul", [a.name, *net.params(a), b.name, *scales, *net.params(y)], y.name)
    with pytest.raises(UnsupportedOperatorError, match="it has 6 scales and 6 zero points; accepted: one per tensor"):
        load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")
