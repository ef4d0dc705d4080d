"""Layer by layer against onnx.reference.ReferenceEvaluator, every layer fed with the evaluator's own codes.

The evaluator requantizes in double precision and adds the zero point before it rounds (scheme ``onnx_reference``). Where that
is its whole rule no code differs. Its QLinearMatMul does not saturate, which is told apart by name below.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from accelsim.arch import arithmetic_named
from accelsim.graph import Graph, HostPort, MacLayer
from accelsim.importers import load_graph
from accelsim.quant import dequantize, requant_from_scales
from tests.importers.onnx.integer_models import IntegerNet
from tests.importers.onnx.models import Net
from tests.importers.onnx.runtime import run_graph, save
from tests.importers.onnx.test_transpose_conv import FORMS, finished, net_of

pytestmark = pytest.mark.oracle
REFERENCE = arithmetic_named("onnxruntime").with_overrides(
    dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), "onnx_reference")
)
SCALES = pytest.mark.parametrize("pot", [False, True], ids=["any", "power-of-two"])
KINDS = pytest.mark.parametrize("kind", ["uint8", "int8"])
Values = dict[str, NDArray[Any]]


def evaluated(model: Any, feed: Values) -> Values:
    """Every tensor of the evaluator's, by name."""
    session = ReferenceEvaluator(model)
    names = [name for name in session.output_names if name]
    return {**feed, **dict(zip(names, session.run(names, feed), strict=True))}


def alone(graph: Graph, layer: MacLayer) -> Graph:
    """The graph that has ``layer`` and nothing else."""
    names = (*layer.inputs, layer.output)
    return replace(
        graph, layers=(layer,), tensors={name: graph.tensors[name] for name in names}, approximations={}, source=(),
        inputs=tuple(HostPort(name, name) for name in layer.inputs), outputs=(HostPort(layer.output, layer.output),),
    )  # fmt: skip


def teacher_forced(model: Any, feed: Values, folder: Path) -> tuple[dict[str, NDArray[np.bool_]], Values, Graph]:
    """Per layer whose operands the evaluator knows: where our codes differ."""
    graph = load_graph(save(model, folder), arithmetic=REFERENCE)
    theirs = evaluated(model, feed)
    wrong = {}
    for layer in graph.layers:
        if isinstance(layer, MacLayer) and {*layer.inputs, layer.output} <= theirs.keys():
            ours = run_graph(alone(graph, layer), {name: theirs[name] for name in layer.inputs})[layer.output]
            assert ours.shape == theirs[layer.output].shape
            wrong[layer.output] = ours.astype(np.int64) != theirs[layer.output].astype(np.int64)
    return wrong, theirs, graph


class OddNet(Net):
    """Zero points are odd, where ties to the even code and to the even multiple part, and keep codes off their bounds."""

    def zero(self) -> int:
        """Within 20 of the middle of the codes."""
        middle = 128 if self.kind == "uint8" else 0
        return middle + int(self.rng.integers(-10, 10)) * 2 + 1


@KINDS
@SCALES
@pytest.mark.parametrize("seed", range(4))
def test_convolutions(seed: int, pot: bool, kind: str, tmp_path: Path) -> None:
    """QLinearConv: three in a row, dense, grouped and depthwise, weights per tensor and per channel."""
    net = OddNet(np.random.default_rng(seed), kind=kind, weight_kind="uint8" if seed % 2 else "int8", pot=pot)
    rng = net.rng
    x = net.input((1, 4, *(int(v) for v in rng.integers(6, 10, 2))))
    first = net.conv(x, 8, 3, pads=[1, 0, 2, 1], per_channel=seed % 2 == 0)
    wide = net.conv(first, 8, 3, groups=8, strides=[2, 1], pads=[1, 1, 1, 1], per_channel=seed % 3 == 0)
    net.conv(wide, 6, 2, groups=2, dilations=[1, 2], pads=[0, 1, 1, 1], bias=False)
    wrong, theirs, _ = teacher_forced(net.model(), net.random_feeds()[0], tmp_path)
    assert len(wrong) == 3
    assert sum(theirs[name].size for name in wrong) > 600
    assert {name: int(where.sum()) for name, where in wrong.items() if where.any()} == {}


@KINDS
@SCALES
@pytest.mark.parametrize("seed", range(4))
def test_products(seed: int, pot: bool, kind: str, tmp_path: Path) -> None:
    """QLinearMatMul: equal but where the evaluator's code lies outside its type and wraps, as ours saturates."""
    net = OddNet(np.random.default_rng(seed), kind=kind, weight_kind=kind, pot=pot)
    x = net.input((3, 20, int(net.rng.integers(8, 40))))
    hidden = net.dense(x, 11, op="MatMul", per_channel=seed % 2 == 0)
    net.dense(hidden, 9, op="MatMul", per_channel=seed % 2 == 1)
    wrong, theirs, graph = teacher_forced(net.model(), net.random_feeds()[0], tmp_path)
    assert len(wrong) == 2
    info = np.iinfo(kind)
    for layer in graph.layers:
        assert isinstance(layer, MacLayer)
        real = unclamped(layer, theirs[layer.inputs[0]])
        outside = (real < info.min) | (real > info.max)
        assert not (wrong[layer.output] & ~outside).any()
        assert outside.mean() < 0.6
        assert np.unique(theirs[layer.output][~outside]).size > 40


def unclamped(layer: MacLayer, codes: NDArray[Any]) -> NDArray[np.float64]:
    """``rint(sum * scale + zero_point)`` of a dense layer."""
    requant, weights = layer.requant, layer.weights
    assert requant is not None
    assert weights is not None
    sums = (codes.astype(np.int64) - layer.input_zero_point) @ weights[:, 0, 0, :].astype(np.int64).T
    real: NDArray[np.float64] = np.rint(sums * requant.multiplier + requant.zero_point)  # type: ignore[union-attr]
    return real


@pytest.mark.parametrize("scheme", ["float32_half_even", "shift_half_even"])
def test_the_scheme_matters(scheme: str, tmp_path: Path) -> None:
    """With power-of-two scales and an odd zero point other rules take ties to the other side: the comparison can fail."""
    net = OddNet(np.random.default_rng(1), pot=True)
    net.conv(net.input((1, 4, 30, 30)), 8, 1, per_channel=False)
    model, (feed,) = net.model(), net.random_feeds()
    wrong, theirs, graph = teacher_forced(model, feed, tmp_path)
    (layer,) = graph.layers
    assert isinstance(layer, MacLayer)
    assert not wrong[layer.output].any()
    requant = layer.requant
    assert requant is not None
    other = requant_from_scales(
        scheme, s_in=float(requant.multiplier[0]), s_w=1.0, s_out=1.0, zero_point=requant.zero_point,  # type: ignore[union-attr]
        clamp_min=0, clamp_max=255,
    )  # fmt: skip
    ours = run_graph(alone(graph, replace(layer, requant=other)), {"x0": feed["x0"]})[layer.output]
    assert requant.zero_point % 2 == 1  # type: ignore[union-attr]
    assert (ours != theirs[layer.output]).any()


@pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
@pytest.mark.parametrize(("kind", "weight_kind"), [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
@pytest.mark.parametrize("seed", range(3))
def test_integer_sums(seed: int, op: str, kind: str, weight_kind: str, tmp_path: Path) -> None:
    """ConvInteger and MatMulInteger: no rounding, no difference; zero points per tensor and per output channel."""
    net = IntegerNet(np.random.default_rng(seed), kind=kind, weight_kind=weight_kind)
    channels = 5 * (seed % 2)
    if op == "MatMulInteger":
        sums = net.sums(net.input((2, 9, 14)), *net.random_weights((14, 5), channels))
    else:
        weights = net.random_weights((5, 3, 3, 2), channels)
        sums = net.sums(net.input((2, 3, 6, 7)), *weights, op=op, auto_pad="SAME_UPPER", strides=[1, 2])
    wrong, theirs, _ = teacher_forced(net.with_outputs(**{sums: "int32"}), net.random_feeds()[0], tmp_path)
    assert theirs[sums].dtype == np.int32
    assert not wrong[sums].any()


@KINDS
@pytest.mark.parametrize("form", [name for name in FORMS if name != "output_shape"])
def test_transposed_convolutions(form: str, kind: str, tmp_path: Path) -> None:
    """Float products of power-of-two scales are exact. The evaluator cannot do all: it gives every group the first one's bias,
    and takes pads for 0 where there is an output_shape without auto_pad; ONNX Runtime is the oracle of both.
    """
    for options in ({}, {"per_channel": True, "bias": True}, {"weight_kind": "uint8"}):
        net, name = net_of(7, FORMS[form], kind, **options)
        wrong, theirs, _ = teacher_forced(finished(net, name), net.random_feeds()[0], tmp_path)
        ((made, where),) = wrong.items()
        assert np.unique(theirs[made]).size > 40
        assert not where.any()


@KINDS
@SCALES
def test_quantization_and_its_inverse(kind: str, pot: bool, tmp_path: Path) -> None:
    """QuantizeLinear of float inputs, ties among them; from one quantization to another; DequantizeLinear at the end."""
    compared = 0
    for seed in range(12):
        net = OddNet(np.random.default_rng(seed), kind=kind, pot=pot, qdq=True)
        x = net.input((400,), real=True)
        y = net.quantized(net.real(x), net.act((400,)))
        net.real_outputs.append(net.real(y))
        (feed,) = net.random_feeds()
        feed["x0"][::2] = np.float32(x.scale) * (net.rng.integers(-300, 300, 200) + 0.5).astype(np.float32)
        model = net.model()
        theirs = evaluated(model, feed)
        graph = load_graph(save(model, tmp_path), arithmetic=REFERENCE)
        ours = run_graph(graph, feed)
        for name in (x.name, y.name):
            assert np.array_equal(ours[name], theirs[name]), (seed, name)
        real = dequantize(ours[y.name], scale=y.scale, zero_point=y.zero)
        assert np.array_equal(real, theirs[net.real_outputs[0]])
        compared += 3 * 400
    assert compared == 14_400
