"""Operators of the vector unit against ONNX Runtime: no code differs, or the differences are counted and explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.graph import FloatLayerNorm, FloatTableSoftmax, LayerNorm, Lut, ReduceMax, StridedSlice
from accelsim.importers import load_graph
from accelsim.importers.onnx.lower.resize import NEAREST, PLACES
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import run_graph, runtime, save
from tests.importers.onnx.vector_models import (
    average_to_the_ceiling,
    compared,
    net_of,
    normalization,
    operator,
    reduction,
    resize,
    softmax,
    split,
)

pytestmark = pytest.mark.oracle
KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
FORMS = pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
IMAGE = (2, 5, 7, 9)


@FORMS
@KINDS
def test_softmax(kind: str, qdq: bool, tmp_path: Path) -> None:
    """ONNX Runtime turns the QDQ form into QLinearSoftmax; shares of 1 saturate at the highest code."""
    low = int(np.iinfo(kind).min)
    rows = [
        ((4, 100), -1),
        (IMAGE, 1),
        (IMAGE, -1),
        (IMAGE, 2),
        ((3, 4, 5), 0),
        ((3, 700), 1),
        ((7,), 0),
        ((9, 1), 1),
        ((9000, 2), 1),
    ]
    nets = [
        softmax(
            net_of(seed, kind, qdq=qdq), shape, axis, [1 / 256, 1 / 255, 0.0057][seed % 3], low + [0, 128][seed % 2]
        )
        for seed in range(6)
        for shape, axis in rows
    ]
    result = compared(nets, tmp_path)
    assert result.compared > 15_000
    assert result.differing == 0
    assert result.graph is not None
    assert not result.graph.approximations
    assert {type(layer) for layer in result.graph.layers} == {FloatTableSoftmax}


@KINDS
def test_softmax_of_old_opsets_takes_all_axes_from_its_own_on(kind: str, tmp_path: Path) -> None:
    low = int(np.iinfo(kind).min)
    nets = [softmax(net_of(2, kind, qdq=False), IMAGE, axis, 1 / 256, low, opset=11) for axis in (1, 2, 3)]
    assert compared(nets, tmp_path).differing == 0


FUNCTIONS = {
    "Abs": {}, "Celu": {"alpha": 0.7}, "Elu": {"alpha": 0.8}, "Erf": {}, "Exp": {}, "Gelu": {}, "Log": {}, "Mish": {}, "Neg": {},
    "Reciprocal": {}, "Selu": {}, "Softplus": {}, "Softsign": {}, "Sqrt": {}, "Gelu tanh": {"approximate": "tanh"},
    "FastGelu microsoft": {}, "Gelu microsoft": {},
}  # fmt: skip


@KINDS
@pytest.mark.parametrize("pot", [False, True], ids=["any", "power-of-two"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_all_codes(name: str, pot: bool, kind: str, tmp_path: Path) -> None:
    """256 codes under 8 random pairs of scales; roots and logarithms of negative numbers become the lowest code."""
    op, low = name.split()[0], np.iinfo(kind).min
    nets = []
    for seed in range(8):
        net = net_of(seed, kind, pot=pot)
        x = net.input((256,))
        nets.append(operator(net, op, x, net.act(x.shape), ms="microsoft" in name, **FUNCTIONS[name]))
    result = compared(nets, tmp_path, feeds=[{"x0": np.arange(low, low + 256).astype(kind)}])
    assert (result.compared, result.differing) == (8 * 256, 0)


@KINDS
@pytest.mark.parametrize("op", ["Sub", "Sum", "Div", "Min", "Max", "Pow", "PRelu"])
def test_operators_of_two_tensors(op: str, kind: str, tmp_path: Path) -> None:
    """All 65,536 pairs of codes; quotients by zero and powers of negative numbers among them."""
    low = np.iinfo(kind).min
    codes = np.arange(low, low + 256).astype(kind)
    pairs = {"x0": codes[:, None], "x1": codes[None]}
    nets = []
    for seed in range(3):
        nets.append(net_of(seed, kind, pot=seed == 2))
        nets[-1].binary(op, nets[-1].input((256, 1)), nets[-1].input((1, 256)))
    if op == "PRelu":  # its slope may not enlarge the first operand
        nets = [_prelu(net_of(seed, kind)) for seed in range(3)]
        pairs = {"x0": np.broadcast_to(codes[:, None], (256, 256)).copy(), "x1": codes[None]}
    result = compared(nets, tmp_path, feeds=[pairs])
    assert (result.compared, result.differing) == (3 * 65536, 0)


def _prelu(net: Net) -> Net:
    net.binary("PRelu", net.input((256, 256)), net.input((1, 256)))
    return net


@KINDS
@pytest.mark.parametrize("plain", [False, True], ids=["quantized", "float"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Sum", "Mul", "Div", "Min", "Max", "Pow", "PRelu"])
def test_constant_operands(op: str, plain: bool, kind: str, tmp_path: Path) -> None:
    """A number, one per channel, a whole tensor; on either side; behind a DequantizeLinear or plain float32."""
    nets = []
    for seed in range(3):
        for first in (False, True) if op != "PRelu" else (False,):
            for shape in ((), (6, 1, 1), (1, 6, 4, 5)):
                nets.append(net_of(seed, kind, pot=seed == 2))
                _with_constant(nets[-1], op, shape, first=first, plain=plain)
    assert compared(nets, tmp_path).differing == 0


def _with_constant(net: Net, op: str, shape: tuple[int, ...], *, first: bool, plain: bool) -> None:
    x = net.input((2, 6, 4, 5))
    if not plain:
        net.with_number(op, x, first=first, shape=shape)
        return
    pair = [net.real(x), net.const(net.rng.normal(size=shape), np.float32)]
    net.node(op, pair[::-1] if first else pair, "o")
    net.quantized("o", net.act(x.shape))


@KINDS
def test_a_layer_normalization_is_onnxruntimes_own(kind: str, tmp_path: Path) -> None:
    """Rows of whole vectors and of every rest, shorter ones, over several axes."""
    cases = [((16, 64), -1), ((2, 50, 192), -1), ((2, 6, 7, 8), -1), ((2, 6, 7, 8), 1), ((4, 768), -1), ((5, 3), 1)]
    cases += [((40, size), -1) for size in range(1, 25)]
    nets = [
        normalization(net_of(seed, kind), shape, axis, quantized=seed % 3 == 0, bias=seed % 4 > 0)
        for seed in range(6)
        for shape, axis in cases
    ]
    result = compared(nets, tmp_path)
    assert result.compared > 100_000
    assert result.differing == 0
    assert result.graph is not None
    assert [type(layer) for layer in result.graph.layers] == [FloatLayerNorm]
    assert not result.graph.approximations


def test_a_layer_normalization_in_integers_differs_next_to_ties_only(tmp_path: Path) -> None:
    """By an arithmetic of the TFLite family: float64 puts the value within 2^-9 codes of a half where it is not the runtime's."""
    for seed in range(4):
        net = net_of(seed, "int8")
        x, y = net.input((64, 384)), net.act((64, 384), scale=1 / 32)
        gamma = net.rng.normal(1, 0.3, 384).astype(np.float32)
        operator(net, "LayerNormalization", x, y, [net.const(gamma, np.float32)], axis=-1)
        (feed,) = net.random_feeds()
        (theirs,) = runtime(net.model(), int8=True).run(None, feed)
        graph = load_graph(save(net.model(), tmp_path), arithmetic="litert-reference")
        assert [type(layer) for layer in graph.layers] == [LayerNorm]
        assert list(graph.approximations) == [graph.layers[0].name]
        ours = run_graph(graph, feed)[y.name]
        real = (feed["x0"].astype(np.float64) - x.zero) * x.scale
        centred = real - real.mean(axis=1, keepdims=True)
        exact = (
            centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-5)) * gamma / y.scale + y.zero
        )
        from_tie = np.abs(exact - np.floor(exact) - 0.5)
        assert (from_tie[ours != theirs] < 2**-9).all()
        clear = from_tie > 2**-12
        assert np.array_equal(ours[clear], np.clip(np.rint(exact), -128, 127)[clear])


REDUCED = [
    ((8, 32, 7, 9), [2, 3]),
    (IMAGE, [1]),
    ((16, 8, 64), [-1]),
    (IMAGE, None),
    ((2, 3, 4, 5), [3]),
    ((3, 8), [0]),
]


@KINDS
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
def test_reductions(op: str, kind: str, tmp_path: Path) -> None:
    """Means and sums are named approximations, because the runtime sums in float32: of 512,000 codes none differed."""
    nets = [
        reduction(net_of(seed, kind, opset=[13, 18, 20][seed % 3]), op, shape, axes, keep)
        for seed in range(6)
        for shape, axes in REDUCED
        for keep in (0, 1)
    ]
    result = compared(nets, tmp_path)
    assert result.compared > 5_000
    assert result.differing == 0
    assert result.graph is not None
    assert bool(result.graph.approximations) == (op in ("ReduceMean", "ReduceSum"))


@KINDS
def test_means_on_exact_ties_may_differ_by_one(kind: str, tmp_path: Path) -> None:
    """Scales that are powers of two make the mean of 63 codes an exact half now and then; the runtime's quotient stays on it
    and goes to the even code, the product with a rounded 1/63 does not. Measured: 12 of 10,240 codes, by one."""
    nets = [reduction(net_of(seed, kind, pot=True), "ReduceMean", (8, 32, 7, 9), [2, 3], 0) for seed in range(8)]
    result = compared(nets, tmp_path)
    assert result.most <= 1
    assert result.differing <= 0.005 * result.compared


@FORMS
@KINDS
@pytest.mark.parametrize("nearest", NEAREST)
@pytest.mark.parametrize("place", PLACES)
def test_resize(place: str, nearest: str, kind: str, qdq: bool, tmp_path: Path) -> None:
    nets = [
        resize(net_of(seed, kind, qdq=qdq, opset=[13, 18, 20][seed % 3]), place, nearest, sizes=seed % 2 == 0)
        for seed in range(8)
    ]
    assert compared(nets, tmp_path).differing == 0


@FORMS
@KINDS
@pytest.mark.parametrize("opset", [13, 18])
def test_split(opset: int, kind: str, qdq: bool, tmp_path: Path) -> None:
    options = {"qdq": qdq, "opset": opset}
    nets = [split(net_of(axis, kind, **options), axis, [1, 3, 2], named=True) for axis in range(4)]
    nets += [split(net_of(axis, kind, **options), axis, [3, 3], named=False) for axis in range(4)]
    if opset >= 18:  # unequal pieces: the last one is the smallest
        nets += [split(net_of(axis, kind, **options), axis, [3, 3, 1], named=False) for axis in range(4)]
    result = compared(nets, tmp_path)
    assert (result.compared > 3000, result.differing) == (True, 0)
    assert result.graph is not None
    assert {type(layer) for layer in result.graph.layers} == {StridedSlice}


@FORMS
@KINDS
@pytest.mark.parametrize("include", [0, 1])
def test_average_pools_to_the_ceiling(include: int, kind: str, qdq: bool, tmp_path: Path) -> None:
    """With count_include_pad the runtime divides by the whole window, cells beyond the padding included, at every opset."""
    nets = [
        average_to_the_ceiling(net_of(seed, kind, qdq=qdq, opset=opset), include)
        for seed in range(8)
        for opset in (13, 19, 22)
    ]
    assert compared(nets, tmp_path).differing == 0


@KINDS
def test_global_max_pool_and_dropout(kind: str, tmp_path: Path) -> None:
    net = net_of(0, kind)
    x = net.input(IMAGE)
    net.move("GlobalMaxPool", x, (2, 5, 1, 1))
    net.move("Dropout", x, IMAGE)
    other = Act(net.act(IMAGE).name, IMAGE, x.scale * 1.5, x.zero)
    operator(net, "Dropout", x, other, [net.const(0.3, np.float32), net.const(False, np.bool_)])
    assert compared([net], tmp_path).differing == 0


@KINDS
def test_a_rectifier_after_a_new_operator_is_fused(kind: str, tmp_path: Path) -> None:
    net = net_of(4, kind)
    x = net.input((3, 40))
    for op in ("Erf", "Gelu", "ReduceMax"):
        y = net.act((3, 1) if op == "ReduceMax" else x.shape)
        net.node(op, [net.real(x), *([net.const([1], np.int64)] if op == "ReduceMax" else [])], f"{y.name}_u")
        net.node("Relu", [f"{y.name}_u"], f"{y.name}_r")
        net.quantized(f"{y.name}_r", y)
    result = compared([net], tmp_path)
    assert result.differing == 0
    assert result.graph is not None
    assert [type(layer) for layer in result.graph.layers] == [Lut, Lut, ReduceMax, Lut]


@KINDS
def test_a_softmax_that_the_runtime_keeps_in_float_is_a_named_approximation(kind: str, tmp_path: Path) -> None:
    """A Clip before the QuantizeLinear prevents QLinearSoftmax; then 1 / scale keeps its fraction: none of 48,000 differed."""
    nets = []
    for seed in range(6):
        nets.append(net_of(seed, kind))
        x = nets[-1].input((40, 50))
        y = Act("t0", x.shape, float(np.float32(1 / 255)), int(np.iinfo(kind).min))
        nets[-1].made[y.name] = y.shape
        nets[-1].node("Softmax", [nets[-1].real(x)], "u")
        nets[-1].node("Clip", ["u", nets[-1].const(0.01, np.float32), nets[-1].const(0.6, np.float32)], "r")
        nets[-1].quantized("r", y)
    result = compared(nets, tmp_path)
    assert (result.compared, result.differing) == (12_000, 0)
    assert result.graph is not None
    assert list(result.graph.approximations) == [result.graph.layers[0].name]
