"""What the importer makes of a model: layers, layouts, names, weights, arithmetics; and what it will not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from accelsim.arch import arithmetic_named, load_arch
from accelsim.errors import ModelError
from accelsim.execute import WholeReader
from accelsim.graph import (
    Add,
    AveragePool2D,
    BinaryLut,
    Boxes,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    Mean,
    Mul,
    Reshape,
    Tensor,
    Transpose,
)
from accelsim.importers import load_graph
from accelsim.kernels.mac import accumulate
from accelsim.kernels.vector import evaluate
from accelsim.numerics import INT8, UINT8, IntFormat, Requant, Rounding, requantize_int
from accelsim.simulation import run
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.networks import cnn
from tests.importers.onnx.runtime import run_graph, save
from tests.windows import slices

EDGE = load_arch("edge_16x16")


def graph_of(net: Net, folder: Path, arithmetic: str = "onnxruntime") -> Graph:
    return load_graph(save(net.model(), folder), arithmetic=arithmetic)


def net(seed: int = 0, **options: Any) -> Net:
    return Net(np.random.default_rng(seed), **options)


def test_images_are_stored_channels_last_and_seen_channels_first(tmp_path: Path) -> None:
    n = net()
    y = n.conv(n.input((2, 3, 8, 7)), 5)
    graph = graph_of(n, tmp_path)
    tensor = graph.tensors[y.name]
    assert (tensor.shape, tensor.host_shape, tensor.host_axes) == ((2, 6, 5, 5), (2, 5, 6, 5), (0, 3, 1, 2))
    assert [type(layer) for layer in graph.layers] == [Conv2D]


def test_flatten_transposes_only_where_the_order_differs(tmp_path: Path) -> None:
    n = net()
    x = n.conv(n.input((1, 3, 8, 8)), 6)
    n.move("Flatten", x, (1, 6 * 36))
    n.move("Flatten", n.global_pool(x), (1, 6))
    kinds = [type(layer) for layer in graph_of(n, tmp_path).layers]
    assert kinds == [Conv2D, Transpose, Reshape, Mean, Reshape]


def test_one_transposition_serves_every_reader(tmp_path: Path) -> None:
    n = net()
    x = n.input((1, 3, 8, 8))
    n.move("Flatten", x, (1, 192))
    n.move("Reshape", x, (3, 64), [n.const([3, 64], np.int64)])
    assert [type(layer) for layer in graph_of(n, tmp_path).layers].count(Transpose) == 1


@pytest.mark.parametrize("qdq", [False, True])
def test_layers_of_a_network(qdq: bool, tmp_path: Path) -> None:
    n = cnn(2, qdq=qdq)
    graph = graph_of(n, tmp_path)
    kinds = [type(layer) for layer in graph.layers]
    assert kinds.count(Conv2D) == 5
    assert kinds.count(DepthwiseConv2D) == 1
    assert kinds.count(Dense) == 2
    assert {BinaryLut, AveragePool2D, Mean} <= set(kinds)
    assert len({layer.name for layer in graph.layers}) == len(graph.layers)
    assert set(n.made) <= set(graph.tensors)
    for name, shape in n.made.items():
        assert graph.tensors[name].host_shape == shape


def test_float_ports_round_half_even(tmp_path: Path) -> None:
    n = net(qdq=True, pot=True)
    x = n.input((1, 2, 4, 4), real=True)
    y = n.conv(x, 3, 1)
    n.real_outputs.append(n.real(y))
    graph = graph_of(n, tmp_path)
    (port,) = graph.inputs
    assert (port.tensor, port.host_name, port.real, port.rounding) == (x.name, "x0", True, Rounding.HALF_EVEN)
    assert [p.real for p in graph.outputs] == [False, False, True]
    ties = (np.arange(32).reshape(1, 2, 4, 4) - 16 + 0.5) * x.scale
    simulation = run(graph, arch=EDGE.with_({"arithmetic": "onnxruntime"}), inputs=ties.astype(np.float32), keep="all")
    assert simulation.tensors is not None
    expected = np.clip(np.rint(np.arange(32) - 15.5) + x.zero, 0, 255).reshape(1, 2, 4, 4)
    assert np.array_equal(simulation.tensors[x.name], expected)
    assert simulation.tensors[n.real_outputs[0]].dtype == np.float32


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("qdq", [False, True])
def test_the_program_computes_what_the_layers_do(seed: int, qdq: bool, tmp_path: Path) -> None:
    """Tiles through the machine's buffers; ``run`` itself compares the two and gives arrays in ONNX's order."""
    n = cnn(seed, qdq=qdq)
    graph = graph_of(n, tmp_path)
    (feed,) = n.random_feeds()
    simulation = run(graph, arch=EDGE.with_({"arithmetic": "onnxruntime"}), inputs=feed, keep="all")
    assert simulation.tensors is not None
    expected = run_graph(graph, feed)
    for name, shape in n.made.items():
        assert simulation.tensors[name].shape == shape
        assert np.array_equal(simulation.tensors[name], expected[name])


@pytest.mark.parametrize(
    ("kind", "zero", "codes", "expected"),
    [
        ("uint8", 128, (0, 256), INT8),
        ("uint8", 100, (0, 256), IntFormat(9)),
        ("uint8", 100, (50, 150), INT8),
        ("int8", 0, (-128, 128), INT8),
        ("int8", 3, (-128, 128), IntFormat(9)),
    ],
)
def test_weight_zero_points_are_subtracted(
    kind: str, zero: int, codes: tuple[int, int], expected: IntFormat, tmp_path: Path
) -> None:
    class Given(Net):
        def weights(self, shape: tuple[int, ...], axis: int, per_channel: bool) -> Any:
            values = np.resize(np.arange(*codes), shape).astype(kind)
            return values, np.full(shape[axis], 0.01, np.float32), np.full(shape[axis], zero, kind)

    n = Given(np.random.default_rng(0), weight_kind=kind)
    n.conv(n.input((1, 40, 4, 4)), 3, 2)
    (layer,) = graph_of(n, tmp_path).layers
    assert isinstance(layer, Conv2D)
    assert layer.weight_format == expected
    first = np.resize(np.arange(*codes), (3, 40, 2, 2)).astype(np.int64) - zero
    assert np.array_equal(layer.weights, first.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("arithmetic", ["tflite-micro", "litert-reference", "litert-optimized"])
def test_other_arithmetics_requantize_in_their_own_way(arithmetic: str, tmp_path: Path) -> None:
    """The same integers up to the sum; then the scheme of the arithmetic's own table."""
    n = net(3)
    x = n.input((1, 4, 6, 6))
    y = n.conv(x, 8)
    n.dense(n.move("Flatten", y, (1, 128)), 5)
    graph = graph_of(n, tmp_path, arithmetic)
    (feed,) = n.random_feeds()
    values = WholeReader(graph).run({"x0": graph.tensors["x0"].from_host(feed["x0"])}, keep="all")
    rules = arithmetic_named(arithmetic)
    for layer in graph.layers:
        if isinstance(layer, Conv2D | Dense):
            assert layer.requant is not None
            assert layer.requant.scheme == rules.scheme(layer.operator)
            sums = accumulate(layer, values[layer.inputs[0]].reshape(layer.geometry.input_shape))
            codes = values[layer.output].reshape(sums.shape)
            for at in np.ndindex(1, 1, 1, layer.geometry.oc):
                assert codes[at] == requantize_int(int(sums[at]), layer.requant, at[3])


def test_sums_and_products_in_integers_stay_within_one_step(tmp_path: Path) -> None:
    n = net(4)
    a, b = n.input((1, 4, 9, 9)), n.input((1, 4, 9, 9))
    total, product, mean = n.binary("Add", a, b), n.binary("Mul", a, b), n.global_pool(a)
    (feed,) = n.random_feeds()
    integer, real = graph_of(n, tmp_path, "tflite-micro"), graph_of(n, tmp_path)
    assert [type(layer) for layer in integer.layers] == [Add, Mul, Mean]
    ours, theirs = run_graph(integer, feed), run_graph(real, feed)
    for act in (total, product, mean):
        off = np.abs(ours[act.name].astype(int) - theirs[act.name].astype(int))
        assert off.max() <= 1


def test_an_identical_requantization_is_no_layer(tmp_path: Path) -> None:
    n = net(qdq=True)
    x = n.conv(n.input((1, 3, 6, 6)), 4)
    again = n.act(x.shape, like=x)
    n.quantized(n.real(x), again)
    graph = graph_of(n, tmp_path)
    assert len(graph.layers) == 1
    assert {p.host_name: p.tensor for p in graph.outputs}[again.name] == x.name


def test_constants_are_quantized_at_import(tmp_path: Path) -> None:
    """QuantizeLinear of float weights, as some exporters write them."""
    n = net(qdq=True)
    x = n.input((1, 2, 4, 4))
    real = np.linspace(-1, 1, 3 * 2).astype(np.float32).reshape(3, 2, 1, 1)
    scales = [n.const([0.01, 0.02, 0.005], np.float32), n.const([0, 0, 0], np.int8)]
    n.node("QuantizeLinear", [n.const(real, np.float32), *scales], "wq", axis=0)
    n.node("DequantizeLinear", ["wq", *scales], "w", axis=0)
    n.node("Conv", [n.real(x), "w"], "c")
    n.quantized("c", n.act((1, 3, 4, 4)))
    (layer,) = graph_of(n, tmp_path).layers
    expected = np.clip(np.rint(real / np.array([0.01, 0.02, 0.005], np.float32).reshape(3, 1, 1, 1)), -128, 127)
    assert np.array_equal(layer.weights, expected.transpose(0, 2, 3, 1))  # type: ignore[attr-defined]


shapes = st.lists(st.integers(1, 4), min_size=4, max_size=4).map(tuple)


@given(shape=shapes, axes=st.permutations(range(4)), front=st.lists(st.integers(1, 3), max_size=2))
def test_from_host_undoes_to_host(shape: tuple[int, ...], axes: list[int], front: list[int]) -> None:
    tensor = Tensor("t", shape, UINT8, host_axes=tuple(axes))
    values = np.arange(tensor.elements).reshape(shape)
    seen = tensor.to_host(values)
    assert seen.shape == tensor.host_shape
    assert np.array_equal(tensor.from_host(seen), values)
    many = np.broadcast_to(seen, (*front, *seen.shape))
    assert np.array_equal(tensor.from_host(many), np.broadcast_to(values, (*front, *shape)))


@given(data=st.data())
def test_any_tile_of_an_average_pool_equals_the_whole(data: st.DataObject) -> None:
    whole, layer, x = pool(data)
    lo = [data.draw(st.integers(0, size - 1)) for size in layer.shape]
    hi = [data.draw(st.integers(a + 1, size)) for a, size in zip(lo, layer.shape, strict=True)]
    (boxes,) = layer.reads(Boxes(np.array([lo]), np.array([hi])))
    source = tuple(boxes.lo[0].tolist()), tuple(boxes.hi[0].tolist())
    tile = evaluate(layer, [x[slices(boxes, 0)]], [source], (tuple(lo), tuple(hi)))
    assert np.array_equal(tile, whole[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))])


@given(data=st.data())
def test_average_pools_are_means_of_dequantized_codes(data: st.DataObject) -> None:
    """Against float64 on the definition: equal but for values within float32's reach of a tie."""
    whole, layer, x = pool(data)
    for at in np.ndindex(*layer.shape):
        n, oy, ox, c = at
        top, left = oy * layer.stride[0] - layer.pad[0], ox * layer.stride[1] - layer.pad[1]
        rows, columns = range(max(top, 0), top + layer.kernel[0]), range(max(left, 0), left + layer.kernel[1])
        cells = [
            float(x[n, i, j, c]) - layer.input_zero_point
            for i in rows
            for j in columns
            if i < x.shape[1] and j < x.shape[2]
        ]
        count = layer.kernel[0] * layer.kernel[1] if layer.count_include_pad else len(cells)
        exact = layer.input_scale * sum(cells) / count / layer.output_scale + layer.output_zero_point
        assert abs(np.clip(exact, 0, 255) - whole[at]) <= 0.5 + 1e-3


def pool(data: st.DataObject) -> tuple[Any, AveragePool2D, Any]:
    """A random pool, its input, and its whole output."""
    small = st.integers(1, 3)
    n, c, kh, kw, sh, sw = (data.draw(small) for _ in range(6))
    h, w = data.draw(st.integers(kh, 7)), data.draw(st.integers(kw, 7))
    pad = data.draw(st.integers(0, kh - 1)), data.draw(st.integers(0, kw - 1))
    shape = n, (h + pad[0] - kh) // sh + 1, (w + pad[1] - kw) // sw + 1, c
    scales = st.sampled_from([0.25, 0.0371, 0.5, 0.013])
    layer = AveragePool2D(
        rule="float32",
        name="p", inputs=("x",), output="y", shapes=((n, h, w, c),), shape=shape, kernel=(kh, kw), stride=(sh, sw), pad=pad,
        clamp_min=0, clamp_max=255, input_scale=data.draw(scales), output_scale=data.draw(scales),
        input_zero_point=data.draw(st.integers(0, 255)), output_zero_point=data.draw(st.integers(0, 255)),
        count_include_pad=data.draw(st.booleans()),
    )  # fmt: skip
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, (n, h, w, c)).astype(np.uint8)
    zero = (0,) * 4
    return evaluate(layer, [x], [(zero, x.shape)], (zero, shape)), layer, x


@given(data=st.data())
def test_binary_tables_are_looked_up_pair_by_pair(data: st.DataObject) -> None:
    table = np.random.default_rng(data.draw(st.integers(0, 9))).integers(-128, 128, (256, 256)).astype(np.int8)
    rows = data.draw(st.integers(1, 5))
    layer = BinaryLut(
        name="b", inputs=("a", "b"), output="c", shapes=((rows, 3), (1, 3)), shape=(rows, 3), table=table, left_min=-128,
    )  # fmt: skip
    rng = np.random.default_rng(rows)
    a, b = rng.integers(-128, 128, (rows, 3)), rng.integers(0, 256, (1, 3))
    codes = evaluate(layer, [a, b], [((0, 0), a.shape), ((0, 0), b.shape)], ((0, 0), a.shape))
    assert codes.tolist() == [[int(table[a[i, j] + 128, b[0, j]]) for j in range(3)] for i in range(rows)]


def unquantized(n: Net) -> None:
    n.inputs.append(helper.make_tensor_value_info("x0", TensorProto.FLOAT, (1, 4)))
    n.made["t0"] = (1, 4)
    n.node("Relu", ["x0"], "t0")


def unknown_operator(n: Net) -> None:
    n.unary("Hardmax", n.input((1, 4)))


def misspelled_operator(n: Net) -> None:
    n.qdq = False
    n.node("QLinearConvv", [n.input((1, 4)).name], n.act((1, 4)).name)


def float_result(n: Net) -> None:
    x = n.real(n.input((1, 4)))
    n.node("Sigmoid", [x], "f")
    n.real_outputs.append("f")


def float_between(n: Net) -> None:
    x = n.input((1, 4, 4, 4))
    n.node("Sigmoid", [n.real(x)], "f")
    n.node("Softmax", ["f"], "g")
    n.quantized("g", n.act((1, 4, 4, 4)))


def float_weights(n: Net) -> None:
    x = n.input((1, 4, 4, 4))
    n.node("Conv", [n.real(x), n.const(np.ones((2, 4, 1, 1)), np.float32)], "c")
    n.quantized("c", n.act((1, 2, 4, 4)))


def weights_at_run_time(n: Net) -> None:
    a, b = n.input((1, 3, 5, 5)), n.input((4, 3, 1, 1))
    n.node("Conv", [n.real(a), n.real(b)], "m")
    n.quantized("m", n.act((1, 4, 5, 5)))


def open_size(n: Net) -> None:
    n.conv(n.input((1, 3, 8, 8)), 4)
    n.inputs[0].type.tensor_type.shape.dim[2].dim_param = "height"


def old_opset(n: Net) -> None:
    n.opset = 5
    n.conv(n.input((1, 3, 8, 8)), 4)


def wide_codes(n: Net) -> None:
    x = n.input((1, 4))
    n.node("QuantizeLinear", [n.real(x), n.const(0.1, np.float32), n.const(0, np.int32)], n.act((1, 4)).name)


def negative_scale(n: Net) -> None:
    x = n.input((1, 4))
    n.unary("Sigmoid", Act(x.name, x.shape, -1.0, 0))


def vector_of_scales(n: Net) -> None:
    x = n.input((1, 4))
    parameters = [n.const([0.1] * 4, np.float32), n.const([0] * 4, n.kind)]
    n.node("DequantizeLinear", [x.name, *parameters], "f")
    n.quantized("f", n.act((1, 4)))


def other_bias_scale(n: Net) -> None:
    n.dense(n.input((1, 8)), 4, op="Gemm")
    (bias,) = (node for node in n.nodes if node.output[0].endswith("_b"))
    for init in n.inits:
        if init.name == bias.input[1]:
            init.CopyFrom(onnx.numpy_helper.from_array(np.full((), 0.7, np.float32), init.name))


def dilated_pool(n: Net) -> None:
    n.move("MaxPool", n.input((1, 3, 8, 8)), (1, 3, 4, 4), kernel_shape=[3, 3], dilations=[2, 2])


def vector_operand(n: Net) -> None:
    x = n.input((1, 3))
    n.node("DequantizeLinear", [n.const([1, 2, 3, 4], n.kind), n.const(0.1, np.float32), n.const(0, n.kind)], "k")
    n.node("Add", [n.real(x), "k"], "s")
    n.quantized("s", n.act((1, 3)))


def unequal_ranks(n: Net) -> None:
    n.binary("Add", n.input((1, 4, 4, 4)), n.input((4,)))


def shapes_that_do_not_broadcast(n: Net) -> None:
    left, right = n.input((1, 4)), n.input((1, 3))
    n.binary("Add", left, Act(right.name, (1, 4), right.scale, right.zero))


def window_too_large(n: Net) -> None:
    n.conv(n.input((1, 3, 2, 2)), 4, 3)


def kernel_of_three_axes(n: Net) -> None:
    n.conv(n.input((1, 8, 5, 5)), 2, 1)
    weights = next(tensor for tensor in n.inits if len(tensor.dims) == 4)
    del weights.dims[3]


def wrong_channels(n: Net) -> None:
    x = n.input((1, 6, 8, 8))
    n.conv(Act(x.name, (1, 3, 8, 8), x.scale, x.zero), 4)


def other_element_count(n: Net) -> None:
    n.move("Reshape", n.input((2, 6)), (5, 2), [n.const([5, 2], np.int64)])


def shape_at_run_time(n: Net) -> None:
    x = n.input((2, 6))
    n.inputs.append(helper.make_tensor_value_info("s", TensorProto.UINT8, (2,)))
    n.move("Reshape", x, (3, 4), ["s"])


def blocks(n: Net) -> None:
    x = n.input((2, 6))
    n.node("DequantizeLinear", [x.name, *n.params(x)], "f", block_size=2)
    n.quantized("f", n.act((2, 6)))


def output_at_another_scale(n: Net) -> None:
    """Codes at one scale that leave as real numbers at twice that."""
    x = n.input((1, 4))
    y = n.unary("Sigmoid", x)
    n.real_outputs.append(n.real(replace(y, scale=2 * y.scale)))


REFUSED: dict[Callable[[Net], None], str] = {
    unquantized: "the model is not quantized",
    unknown_operator: "Hardmax (output 't0_u'): the operator is not supported; accepted: QLinearConv,",
    misspelled_operator: "(nearest: QLinearConv)",
    float_result: "graph output 'f' is not quantized",
    float_between: "is the float result of a Sigmoid, not quantized; accepted: quantized activations",
    float_weights: "its weights (input 1) are not dequantized from a constant",
    weights_at_run_time: "its weights (input 1) are not dequantized from a constant",
    open_size: "graph input 'x0' has an unknown size on axis 2",
    old_opset: "opset 5 cannot be brought to 13: expected 7 or later",
    wide_codes: "its codes are int32; accepted: int2, int4, int8 or int16",
    negative_scale: "its scales are [-1.0] (float32); accepted: positive finite float32 scales",
    vector_of_scales: "it has 4 scales and 4 zero points; accepted: one per tensor",
    other_bias_scale: "the scale of its bias is not s_in * s_w",
    dilated_pool: "its window is dilated",
    vector_operand: "its constant operand has shape [4], the other [1, 3]",
    unequal_ranks: "its operands have 4 and 1 axes",
    shapes_that_do_not_broadcast: "shapes [1, 4] and [1, 3] do not broadcast",
    window_too_large: "does not fit its input (2, 2)",
    kernel_of_three_axes: "its input has shape [1, 8, 5, 5], its weights [2, 8, 1]; accepted: convolution in 1-D or 2-D: 3 or 4 dimensions each",
    wrong_channels: "its weights have shape [4, 3, 3, 3] in 1 groups over 6 input channels",
    other_element_count: "it turns shape [2, 6] into [5, 2]",
    shape_at_run_time: "its sizes (input 1) are codes; accepted: sizes that are constant",
    blocks: "it dequantizes activations in blocks",
    output_at_another_scale: "what was quantized with",
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_refusals_name_the_node_and_what_is_accepted(build: Callable[[Net], None], tmp_path: Path) -> None:
    n = net(qdq=True)
    build(n)
    with pytest.raises(ModelError) as caught:
        graph_of(n, tmp_path)
    message = str(caught.value)
    assert REFUSED[build] in message
    assert str(tmp_path) in message
    assert "\n" not in message


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1)])
def test_an_average_pool_follows_another_arithmetic_by_the_scheme_of_its_means(
    pads: tuple[int, ...], tmp_path: Path
) -> None:
    """An exact sum and one multiplier: a code off ONNX Runtime's float32 at most, and that is told."""
    n = net()
    n.average_pool(n.input((1, 3, 6, 6)), pads=list(pads))
    theirs, mine = graph_of(n, tmp_path), graph_of(n, tmp_path, "tflite-micro")
    (layer,) = mine.layers
    assert isinstance(layer, AveragePool2D)
    assert isinstance(layer.requant, Requant)
    assert (layer.rule, layer.requant.scheme) == ("sums", "tflite_double")
    assert "exact integer sum" in str(mine.approximations)
    fmt = mine.tensors[layer.inputs[0]].format
    x = np.random.default_rng(0).integers(fmt.min, fmt.max + 1, layer.shapes[0])
    boxes = ((0, 0, 0, 0), x.shape), ((0, 0, 0, 0), layer.shape)
    codes = [evaluate(graph.layers[0], [x], [boxes[0]], boxes[1]) for graph in (theirs, mine)]  # type: ignore[arg-type]
    assert int(np.abs(codes[0] - codes[1]).max()) <= 1
    assert len(np.unique(codes[1])) > 20
