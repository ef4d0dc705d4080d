"""ConvInteger and MatMulInteger: int32 sums equal ONNX Runtime's, and so does the tail that scales them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import ModelError, UnsupportedOperatorError
from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, MacLayer, Outcome
from accelsim.importers import load_graph
from accelsim.importers.onnx.registry import LOWERINGS, REFUSED
from accelsim.simulation import run
from tests.importers.onnx.integer_models import IntegerNet
from tests.importers.onnx.runtime import differences, run_graph, runtime, save
from tests.importers.onnx.test_malformed import mutate

pytestmark = pytest.mark.oracle
OPS = pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
KINDS = pytest.mark.parametrize(("kind", "weight_kind"), [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")])
BIAS = "its floating-point bias is rounded to a multiple of s_in * s_w"
FOLDED = "the float32 operators after it are folded into one multiplier and a bias per channel"


def layer_of(op: str, seed: int, *, zeros: int = 7, **options: Any) -> tuple[IntegerNet, str, tuple[int, ...]]:
    """A network, the name of its sums and their shape; 7 channels."""
    net = IntegerNet(np.random.default_rng(seed), **options)
    if op == "MatMulInteger":
        x = net.input((3, 40, 12))
        return net, net.sums(x, *net.random_weights((12, 7), zeros)), (3, 40, 7)
    x = net.input((2, 4, 9, 11))
    sums = net.sums(x, *net.random_weights((7, 4, 3, 3)), op=op, pads=[1, 0, 2, 1], strides=[1, 2])
    return net, sums, (2, 7, 10, 5)


def column(values: Any, op: str) -> np.ndarray[Any, Any]:
    """One number per channel, in the shape that spreads over the channels."""
    return np.asarray(values, np.float32).reshape((-1,) if op == "MatMulInteger" else (-1, 1, 1))


@OPS
@KINDS
@pytest.mark.parametrize("optimize", [False, True])
def test_sums(op: str, kind: str, weight_kind: str, optimize: bool, tmp_path: Path) -> None:
    """As graph outputs: no scale, no rounding."""
    for seed in range(3):
        net, sums, shape = layer_of(op, seed, kind=kind, weight_kind=weight_kind, zeros=7 * (seed % 2))
        model = net.with_outputs(**{sums: "int32"})
        wrong, compared = differences(model, net.random_feeds(2), tmp_path, optimize=optimize)
        assert compared == 2 * np.prod(shape)
        assert wrong == {}
        assert load_graph(save(model, tmp_path)).approximations == {}


@pytest.mark.parametrize("group", [1, 2, 4])
def test_sums_of_groups(group: int, tmp_path: Path) -> None:
    net = IntegerNet(np.random.default_rng(group), weight_kind="uint8")
    x = net.input((1, 4, 8, 9))
    weights, zero = net.random_weights((8, 4 // group, 3, 2))
    sums = net.sums(x, weights, zero, op="ConvInteger", group=group, auto_pad="SAME_LOWER", strides=[2, 1])
    model = net.with_outputs(**{sums: "int32"})
    wrong, compared = differences(model, net.random_feeds(), tmp_path)
    assert (wrong, compared) == ({}, 8 * 4 * 9)
    (layer,) = load_graph(save(model, tmp_path)).layers
    assert type(layer) is (DepthwiseConv2D if group == 4 else Conv2D)


def test_absent_zero_points_are_0(tmp_path: Path) -> None:
    net = IntegerNet(np.random.default_rng(0))
    x = net.input((5, 6))
    net.node("MatMulInteger", [x.name, net.const(net.rng.integers(-64, 64, (6, 4)), "int8")], "s")
    wrong, compared = differences(net.with_outputs(s="int32"), net.random_feeds(), tmp_path)
    assert (wrong, compared) == ({}, 20)


Tail = Callable[[str, np.random.Generator], tuple[tuple[str, Any], ...]]
TAILS: dict[str, Tail] = {
    "scale": lambda op, rng: (("Mul", 2.0**-8),),
    "scale per channel": lambda op, rng: (("Mul", column(2.0 ** rng.integers(-10, -7, 7), op)),),
    "quotient": lambda op, rng: (("Div", 2.0**8),),
    "bias": lambda op, rng: (("Mul", 2.0**-8), ("Add", column(rng.integers(-9999, 9999, 7) * 2.0**-8, op))),
    "relu": lambda op, rng: (("Mul", 2.0**-9), ("Sub", column(rng.integers(-19, 19, 7), op)), ("Relu", None)),
    "clip": lambda op, rng: (("Mul", column(2.0 ** rng.integers(-10, -7, 7), op)), ("Clip", (-20.0, 60.0))),
}


@OPS
@KINDS
@pytest.mark.parametrize("tail", TAILS)
def test_exact_tails(tail: str, op: str, kind: str, weight_kind: str, tmp_path: Path) -> None:
    """Powers of two, biases that are multiples of the unit: one layer, 0 differing codes, nothing approximate."""
    for seed in range(2):
        net, sums, shape = layer_of(op, seed, kind=kind, weight_kind=weight_kind)
        net.tail(sums, shape, TAILS[tail](op, net.rng), scale=1.0)
        model = net.with_outputs()
        graph = load_graph(save(model, tmp_path))
        assert [type(layer) for layer in graph.layers] == [Dense if op == "MatMulInteger" else Conv2D]
        assert graph.approximations == {}
        codes = runtime(model, int8=False).run(None, net.random_feeds()[0])[0]
        assert np.unique(codes).size > 30
        for optimize in (False, True):
            wrong, compared = differences(model, net.random_feeds(), tmp_path, optimize=optimize)
            assert compared == np.prod(shape)
            assert wrong == {}


def any_tails(op: str, seed: int) -> IntegerNet:
    """Three tails of one layer with any scales; the last two have a bias of any size."""
    net, sums, shape = layer_of(op, seed, kind="int8" if seed % 2 else "uint8")
    bias, scales = column(net.rng.uniform(-5, 5, 7), op), column(net.rng.uniform(0.001, 0.003, 7), op)
    net.tail(sums, shape, (("Mul", scales), ("Clip", (-13.0, 24.0))), scale=0.3713)
    net.tail(sums, shape, (("Mul", 0.00231), ("Add", bias), ("Relu", None)), scale=0.413)
    net.tail(sums, shape, (("Mul", scales), ("Add", bias)), scale=0.3713)
    return net


@OPS
@pytest.mark.parametrize("seed", range(4))
def test_any_tail_is_exact_in_thresholds(seed: int, op: str, tmp_path: Path) -> None:
    net = any_tails(op, seed)
    for optimize in (False, True):
        wrong, compared = differences(
            net.with_outputs(), net.random_feeds(2), tmp_path, optimize=optimize, arithmetic="finn"
        )
        assert compared > 4000
        assert wrong == {}


@OPS
def test_a_rounded_bias_moves_codes_by_one_near_ties(op: str, tmp_path: Path) -> None:
    """With one multiplier: only codes whose exact value lies within half a unit of a tie differ, and those by 1."""
    compared = near = 0
    for seed in range(6):
        net = any_tails(op, seed)
        graph = load_graph(save(net.with_outputs(), tmp_path), arithmetic="onnxruntime")
        exact = load_graph(save(net.with_outputs(), tmp_path), arithmetic="finn")
        (feed,) = net.random_feeds()
        session = runtime(net.with_outputs(), int8=False)
        ours, theirs = run_graph(graph, feed), session.run(["t0", "t1", "t2"], feed)
        for layer, name, codes in zip(graph.layers, ("t0", "t1", "t2"), theirs, strict=True):
            assert isinstance(layer, MacLayer)
            off = ours[name].astype(int) - codes.astype(int)
            assert np.abs(off).max() <= 1
            assert near_a_step(exact, name, feed, layer)[off != 0].all()
            near += int((off != 0).sum()) if name != "t0" else 0
            assert name != "t0" or not off.any()
            compared += codes.size
        assert set(graph.approximations.values()) == {(FOLDED,), (BIAS, FOLDED)}
    assert compared > 10_000
    assert 0 < near < compared // 200


def near_a_step(exact: Any, name: str, feed: dict[str, Any], layer: MacLayer) -> np.ndarray[Any, Any]:
    """Where the sum is at most one unit away from a sum at which the exact code changes."""
    at = next(made for made in exact.layers if made.output == name)
    levels = np.broadcast_to(at.requant.levels, (at.geometry.oc, at.requant.levels.shape[-1]))
    image = feed["x0"].astype(np.int64) - layer.input_zero_point
    if image.ndim == 3:
        sums = image @ layer.weights[:, 0, 0, :].astype(np.int64).T
    else:
        g = layer.geometry
        padded = np.pad(image, ((0, 0), (0, 0), (1, 2), (0, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[
            :, :, :: g.stride_h, :: g.stride_w
        ]
        sums = np.einsum("ncyxij,oijc->nyxo", windows, layer.weights.astype(np.int64))
    distance = np.abs(sums[..., None] - levels).min(axis=-1)
    return (distance <= 1) if image.ndim == 3 else (distance <= 1).transpose(0, 3, 1, 2)


@OPS
def test_sums_that_are_also_read_as_codes(op: str, tmp_path: Path) -> None:
    """A graph output and two tails: three layers, every operator accounted for."""
    net, sums, shape = layer_of(op, 5)
    for scale in (1.0, 0.5):
        net.tail(sums, shape, (("Mul", 2.0**-9),), scale=scale)
    model = net.with_outputs(**{sums: "int32"})
    wrong, compared = differences(model, net.random_feeds(), tmp_path)
    assert (wrong, compared) == ({}, 3 * np.prod(shape))
    graph = load_graph(save(model, tmp_path))
    base = model.graph.node[0].name or model.graph.node[0].output[0]
    assert [layer.name for layer in graph.layers] == [base, f"{base} 2", f"{base} 3"]
    outcomes = [(record.operator, record.outcome) for record in graph.source]
    tail = [("Cast", Outcome.FUSED), ("Mul", Outcome.FUSED), ("QuantizeLinear", Outcome.FUSED)]
    assert outcomes == [(op, Outcome.LAYER), *tail, *tail]


def test_four_axes(tmp_path: Path) -> None:
    """Columns of a product are its last axis, also where another has their number."""
    net = IntegerNet(np.random.default_rng(2))
    x = net.input((2, 7, 5, 12))
    sums = net.sums(x, *net.random_weights((12, 7), 7))
    net.tail(sums, (2, 7, 5, 7), (("Mul", column(2.0 ** net.rng.integers(-10, -7, 7), "MatMulInteger")),), scale=1.0)
    wrong, compared = differences(net.with_outputs(**{sums: "int32"}), net.random_feeds(), tmp_path)
    assert (wrong, compared) == ({}, 2 * 490)


@OPS
def test_through_a_program(op: str, tmp_path: Path) -> None:
    """Tiled on the array as on whole layers: 32-bit sums are stored and moved like any codes."""
    net, sums, shape = layer_of(op, 3)
    net.tail(sums, shape, (("Mul", 2.0**-8),), scale=1.0)
    model, (feed,) = net.with_outputs(**{sums: "int32"}), net.random_feeds()
    made = run(
        save(model, tmp_path), arch="edge_16x16", arithmetic="onnxruntime", inputs={"x0": feed["x0"]},
        check_inputs=None,
    )  # fmt: skip
    assert made.tensors is not None
    for name, theirs in zip(("t0", sums), runtime(model, int8=False).run(["t0", sums], feed), strict=True):
        assert np.array_equal(made.tensors[name], theirs)


def two_activations(net: IntegerNet) -> None:
    a, b = net.input((3, 4)), net.input((4, 5))
    net.node("MatMulInteger", [a.name, b.name], "s")


def zero_points_of_rows(net: IntegerNet) -> None:
    zeros = net.const([1, 2, 3], "uint8")
    net.node("MatMulInteger", [net.input((3, 4)).name, net.const(np.ones((4, 5)), "int8"), zeros], "s")


def other_type(net: IntegerNet) -> None:
    zero = net.const(1, "int8")
    net.node("MatMulInteger", [net.input((3, 4)).name, net.const(np.ones((4, 5)), "int8"), zero], "s")


def weight_zero_points(net: IntegerNet) -> None:
    zeros = net.const([1, 2, 3], "int8")
    net.node("MatMulInteger", [net.input((3, 4)).name, net.const(np.ones((4, 5)), "int8"), "", zeros], "s")


def weight_zero_point_type(net: IntegerNet) -> None:
    zero = net.const(1, "uint8")
    net.node("MatMulInteger", [net.input((3, 4)).name, net.const(np.ones((4, 5)), "int8"), "", zero], "s")


def float_weights(net: IntegerNet) -> None:
    net.node("MatMulInteger", [net.input((3, 4)).name, net.const(np.ones((4, 5)), "float32")], "s")


def wide_input(net: IntegerNet) -> None:
    net.inputs.append(helper.make_tensor_value_info("x0", TensorProto.INT16, (3, 4)))
    net.node("MatMulInteger", ["x0", net.const(np.ones((4, 5)), "int8")], "s")


def dequantized_input(net: IntegerNet) -> None:
    net.node("MatMulInteger", [net.real(net.input((3, 4))), net.const(np.ones((4, 5)), "int8")], "s")


def inner_sizes(net: IntegerNet) -> None:
    net.node("MatMulInteger", [net.input((3, 6)).name, net.const(np.ones((4, 5)), "int8")], "s")


def cast_to_half(net: IntegerNet) -> None:
    net.node("Cast", [net.sums(net.input((3, 4)), np.ones((4, 5)), None)], "s", to=TensorProto.FLOAT16)


def cast_of_codes(net: IntegerNet) -> None:
    net.node("Cast", [net.input((3, 4)).name], "s", to=TensorProto.FLOAT)


def wide_sums(net: IntegerNet) -> None:
    sums = net.sums(replace(net.input((1, 70_000)), zero=0), np.full((70_000, 1), 127), None)
    net.made[sums] = (1, 1)


def tensor_operand(net: IntegerNet) -> None:
    net.tail(net.sums(net.input((3, 4)), np.ones((4, 5)), None), (3, 5), (("Mul", np.ones((3, 5))),))


def never_quantized(net: IntegerNet) -> None:
    net.node("Cast", [net.sums(net.input((3, 4)), np.ones((4, 5)), None)], "s", to=TensorProto.FLOAT)
    net.real_outputs.append("s")


def dynamic(net: IntegerNet) -> None:
    net.inputs.append(helper.make_tensor_value_info("x0", TensorProto.FLOAT, (3, 4)))
    net.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x0"], ["q", "qs", "qz"]))
    net.node("MatMulInteger", ["q", net.const(np.ones((4, 5)), "int8"), "qz"], "s")


MALFORMED: dict[Callable[[IntegerNet], Any], str] = {
    two_activations: "its weights (input 1) are codes; accepted: weights that are constant",
    zero_points_of_rows: "its input has 3 zero points of uint8; accepted: one of uint8",
    other_type: "its input has 1 zero points of int8; accepted: one of uint8",
    weight_zero_points: "its weights have 3 zero points along axis 0 for 5 output channels",
    weight_zero_point_type: "the zero points of its weights are uint8 of shape [], its weights int8",
    float_weights: "its weights are float32; accepted: int8 or uint8",
    wide_input: "its input is int16; accepted: int8 or uint8",
    dequantized_input: "its input is dequantized; accepted: codes",
    inner_sizes: "it multiplies [3, 6] with 4 x 5 weights; accepted: equal inner sizes",
    cast_to_half: "it casts to FLOAT16; accepted: FLOAT",
    cast_of_codes: "the model computes nothing on integers",
    wide_sums: "its sums reach 2266950000; accepted: sums of at most 32 bits",
    tensor_operand: "its constant operand has shape [3, 5], the other [3, 5]; accepted: one number, or one per channel",
    never_quantized: "graph output 's' is not quantized",
    dynamic: "depend on the data of each inference, which fixed hardware does not compute; accepted: QuantizeLinear with "
    "constant scales: onnxruntime.quantization.quantize_static",
}


@pytest.mark.parametrize("build", MALFORMED, ids=lambda build: build.__name__)
def test_refusals(build: Callable[[IntegerNet], Any], tmp_path: Path) -> None:
    net = IntegerNet(np.random.default_rng(0))
    build(net)
    if build is not never_quantized:
        net.made = net.made or {"s": ()}
    with pytest.raises(ModelError) as caught:
        load_graph(save(net.model(), tmp_path), arithmetic="onnxruntime")
    assert MALFORMED[build] in str(caught.value)
    assert "\n" not in str(caught.value)
    if build is dynamic:
        assert isinstance(caught.value, UnsupportedOperatorError)
        assert caught.value.data["operator"] == "DynamicQuantizeLinear"


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_recurrent_operators_are_refused_with_what_to_do(op: str, tmp_path: Path) -> None:
    gates, value = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], helper.make_tensor_value_info
    weights = {"W": np.ones((1, gates * 2, 3)), "R": np.ones((1, gates * 2, 2)), "s": np.float32(0.5)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["d"]),
        helper.make_node(op, ["d", "W", "R"], ["r"], hidden_size=2, name="recurrent"),
        helper.make_node("QuantizeLinear", ["r", "s"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s"], ["y"]),
    ]
    initializers = [numpy_helper.from_array(np.asarray(data, np.float32), name) for name, data in weights.items()]
    ends = value("x", TensorProto.FLOAT, (4, 1, 3)), value("y", TensorProto.FLOAT, (4, 1, 1, 2))
    graph = helper.make_graph(nodes, "net", [ends[0]], [ends[1]], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        UnsupportedOperatorError, match=rf"2 {op} .*accepted: steps unrolled before the network is quantized"
    ):
        load_graph(tmp_path / "net.onnx")


def test_the_registry_says_what_is_made(tmp_path: Path) -> None:
    """Layers of the entries are those that appear; refused operators have no entry."""
    assert not REFUSED.keys() & LOWERINGS.keys()
    for op, layers in {"MatMulInteger": Dense, "ConvInteger": Conv2D}.items():
        net, sums, _ = layer_of(op, 0)
        graph = load_graph(save(net.with_outputs(**{sums: "int32"}), tmp_path))
        assert {type(layer) for layer in graph.layers} == {layers}
        assert layers in LOWERINGS[op].layers
        assert str(graph.tensors[sums].format) in LOWERINGS[op].formats


@pytest.mark.parametrize("kind", ["one byte", "many bytes", "cut out"])
def test_mutations(kind: str, tmp_path: Path) -> None:
    """A damaged file loads or is refused in one line; no other exception leaks."""
    net, sums, shape = layer_of("ConvInteger", 0)
    net.tail(sums, shape, TAILS["clip"]("ConvInteger", net.rng))
    net.quantized(net.transposed(net.input((1, 3, 4, 4)), 2, (3, 3), strides=[2, 2], bias=True), net.act((1, 2, 9, 9)))
    blob, rng = net.with_outputs(**{sums: "int32"}).SerializeToString(), np.random.default_rng(3)
    messages = []
    for _ in range(60):
        (tmp_path / "model.onnx").write_bytes(mutate(blob, kind, rng))
        try:
            load_graph(tmp_path / "model.onnx", arithmetic="onnxruntime")
        except ModelError as error:
            messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)
