"""Operators of the vector unit: what they become, and what is refused in one line that says what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from accelsim.errors import ModelError
from accelsim.graph import (
    BinaryLut,
    FloatLayerNorm,
    FloatTableSoftmax,
    LayerNorm,
    Lut,
    Mean,
    ReduceMax,
    Reshape,
    Transpose,
)
from accelsim.importers import load_graph
from accelsim.importers.onnx.lower.norm import MOST_SHIFT
from accelsim.importers.onnx.lower.softmax import exp_table
from tests.importers.onnx.models import Act, Net
from tests.importers.onnx.runtime import save
from tests.importers.onnx.vector_models import net_of, normalization, operator, reduction, resize, softmax, split


def layers(net: Net, folder: Path) -> tuple[Any, ...]:
    return load_graph(save(net.model(), folder), arithmetic="onnxruntime").layers


def refusal(net: Net, folder: Path, arithmetic: str = "onnxruntime") -> str:
    with pytest.raises(ModelError) as caught:
        load_graph(save(net.model(), folder), arithmetic=arithmetic)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_softmax_over_channels_needs_no_transposition(tmp_path: Path) -> None:
    """Channels are stored last; other axes are brought there and back."""
    kinds = {}
    for axis in (1, 3):
        made = layers(softmax(net_of(0, "uint8"), (2, 5, 3, 4), axis, 1 / 256, 0), tmp_path)
        kinds[axis] = [type(layer) for layer in made]
    assert kinds == {1: [FloatTableSoftmax], 3: [Transpose, FloatTableSoftmax, Transpose]}


@pytest.mark.parametrize("elements", [1, 10, 5000])
def test_sums_of_exponentials_stay_below_the_largest_float(elements: int) -> None:
    for scale in (0.001, 0.1, 2.0):
        table = exp_table(scale, elements)
        assert (np.diff(table) >= 0).all()
        assert table[-1] > 1
        assert np.float64(table[-1]) * elements < np.finfo(np.float32).max


def test_a_layer_norm_holds_integers_only(tmp_path: Path) -> None:
    path = save(normalization(net_of(1, "int8"), (3, 24), -1).model(), tmp_path)
    (layer,) = load_graph(path, arithmetic="litert-reference").layers
    assert isinstance(layer, LayerNorm)
    assert layer.multiplier is not None
    assert layer.bias is not None
    assert {layer.multiplier.dtype, layer.bias.dtype} == {np.dtype(np.int64)}
    assert np.abs(layer.multiplier).max() <= 2**30
    assert np.abs(layer.bias).max() <= 2**61
    larger = np.abs(layer.multiplier).max() > 2**29 or np.abs(layer.bias).max() > 2**60
    assert larger or layer.output_shift == MOST_SHIFT  # no further fractional bit fits
    assert layer.variance_shift % 2 == 0
    largest = (24 * 24 * 255**2 // 4 << layer.variance_shift) + layer.epsilon
    assert largest < 2**62


def test_a_layer_norm_over_three_axes_of_an_image_sees_them_in_the_order_of_the_file(tmp_path: Path) -> None:
    made = layers(normalization(net_of(1, "int8"), (2, 3, 4, 5), 1), tmp_path)
    assert [type(layer) for layer in made] == [Transpose, FloatLayerNorm, Transpose]
    assert made[1].shape == (2, 60)


def test_a_reduction_without_its_axes_is_reshaped(tmp_path: Path) -> None:
    dropped = layers(reduction(net_of(0, "uint8"), "ReduceMean", (2, 3, 4), [1], 0), tmp_path)
    assert [type(layer) for layer in dropped] == [Mean, Reshape]
    kept = layers(reduction(net_of(0, "uint8"), "ReduceMax", (2, 3, 4), [1], 1), tmp_path)
    assert [type(layer) for layer in kept] == [ReduceMax]


def test_a_constant_has_one_column_per_distinct_number(tmp_path: Path) -> None:
    net = net_of(0, "uint8")
    x = net.input((2, 3, 4, 4))
    operator(net, "Div", x, net.act(x.shape), [net.const([[[2.0]], [[-0.0]], [[0.0]]], np.float32)])
    operator(net, "Sub", x, net.act(x.shape), [net.const(0.5, np.float32)])
    by_channel, by_number = layers(net, tmp_path)
    assert isinstance(by_channel, BinaryLut)
    assert isinstance(by_number, Lut)
    assert by_channel.table is not None
    assert by_channel.table.shape == (256, 3)
    assert by_channel.constant is not None
    assert by_channel.constant.shape == (1, 1, 1, 3)


def softmax_elsewhere(n: Net) -> None:
    softmax(n, (1, 4), -1, 1 / 256, 0)


def softmax_axis(n: Net) -> None:
    softmax(n, (1, 4), 2, 1 / 256, 0)


def softmax_without_opset(n: Net) -> None:
    x, y = n.input((1, 4)), n.act((1, 4))
    n.node("QLinearSoftmax", [x.name, *n.params(x), *n.params(y)], y.name, ms=True)


def gelu_kind(n: Net) -> None:
    x = n.input((4,))
    operator(n, "Gelu", x, n.act((4,)), approximate="none!")


def fast_gelu_bias(n: Net) -> None:
    x = n.input((4,))
    operator(n, "FastGelu", x, n.act((4,)), [n.const([1, 2, 3, 4], np.float32)], ms=True)


def norm_mean(n: Net) -> None:
    x = n.input((2, 4))
    inputs = [n.real(x), n.const(np.ones(4), np.float32)]
    n.nodes.append(helper.make_node("LayerNormalization", inputs, ["o", "mean"]))
    n.quantized("o", n.act((2, 4)))


def norm_scale_shape(n: Net) -> None:
    x = n.input((2, 4))
    operator(n, "LayerNormalization", x, n.act((2, 4)), [n.const(np.ones(3), np.float32)])


def norm_at_run_time(n: Net) -> None:
    x, other = n.input((2, 4)), n.input((4,))
    operator(n, "LayerNormalization", x, n.act((2, 4)), [n.real(other)])


def norm_epsilon(n: Net) -> None:
    x = n.input((2, 4))
    operator(n, "LayerNormalization", x, n.act((2, 4)), [n.const(np.ones(4), np.float32)], epsilon=1e30)


def norm_gain(n: Net) -> None:
    x = n.input((2, 4))
    operator(n, "LayerNormalization", x, n.act((2, 4)), [n.const(np.full(4, 1e20), np.float32)])


def resize_cubic(n: Net) -> None:
    x = n.input((1, 1, 4, 4))
    n.move("Resize", x, (1, 1, 8, 8), ["", n.const([1, 1, 2, 2], np.float32)], mode="cubic")


def resize_channels(n: Net) -> None:
    x = n.input((1, 2, 4, 4))
    n.move("Resize", x, (1, 4, 4, 4), ["", n.const([1, 2, 1, 1], np.float32)], mode="nearest")


def resize_vector(n: Net) -> None:
    n.move("Resize", n.input((1, 4)), (1, 8), ["", n.const([1, 2], np.float32)], mode="nearest")


def resize_crop(n: Net) -> None:
    resize(n, "tf_crop_and_resize", "floor", sizes=True)


def resize_rounding(n: Net) -> None:
    resize(n, "asymmetric", "simple", sizes=False)


def resize_ratio(n: Net) -> None:
    x = n.input((1, 1, 4, 4))
    extra = ["", "", n.const([1, 1, 8, 9], np.int64)]
    n.move("Resize", x, (1, 1, 8, 8), extra, mode="nearest", keep_aspect_ratio_policy="not_larger")


def resize_scales(n: Net) -> None:
    n.move("Resize", n.input((1, 1, 4, 4)), (1, 1, 8, 8), ["", n.const([1, 1, -2, 2], np.float32)], mode="nearest")


def split_sizes(n: Net) -> None:
    net = split(n, 1, [2, 4], named=False)
    net.nodes[-3].input.append(net.const([2, 3], np.int64))


def reduce_axes(n: Net) -> None:
    x = n.input((2, 3))
    operator(n, "ReduceMean", x, n.act((2, 1)), [n.const([1, -1], np.int64)])


def three_operands(n: Net) -> None:
    x = n.real(n.input((4,)))
    n.node("Max", [x, x, x], "o")
    n.quantized("o", n.act((4,)))


def many_numbers(n: Net) -> None:
    x = n.input((1000,))
    operator(n, "Sub", x, n.act((1000,)), [n.const(np.arange(1000), np.float32)])


def ranks(n: Net) -> None:
    n.binary("Sub", n.input((1, 2, 3, 3)), n.input((3,)))


def growing_constant(n: Net) -> None:
    operator(n, "Div", n.input((4,)), n.act((3, 4)), [n.const(np.ones((3, 4)), np.float32)])


def dropout_mask(n: Net) -> None:
    x = n.input((4,))
    n.nodes.append(helper.make_node("Dropout", [n.real(x)], ["o", "mask"]))
    n.quantized("o", n.act((4,)))
    n.node("Cast", ["mask"], "m", to=1)


def training(n: Net) -> None:
    x = n.input((4,))
    operator(n, "Dropout", x, Act(n.act((4,)).name, (4,), 1.0, 0), ["", n.const(True, np.bool_)])


REFUSED: dict[Callable[[Net], None], str] = {
    softmax_axis: "its axis is 2 for 2 axes; accepted: an axis of its input",
    softmax_without_opset: "it has no attribute opset; accepted: the opset of the Softmax it stands for",
    gelu_kind: "its attribute approximate is 'none!'; accepted: none, tanh",
    fast_gelu_bias: "it has 2 inputs; accepted: one input, without bias",
    norm_mean: "its mean or deviation is an output; accepted: the normalized tensor alone",
    norm_scale_shape: "its scale has shape [3]; accepted: a shape that broadcasts to [4]",
    norm_at_run_time: "its scale (input 1) are dequantized codes; accepted: scale that are constant",
    norm_epsilon: "need more than 62 bits; accepted: shorter rows, narrower codes or a smaller epsilon",
    norm_gain: "its scale or bias is too large for the output's scale; accepted: a coarser output",
    resize_cubic: "its mode is 'cubic'; accepted: nearest, linear",
    resize_channels: "it turns shape [1, 2, 4, 4] into [1, 4, 4, 4]; accepted: a shape that differs in rows and columns only",
    resize_vector: "its input has shape [1, 4]; accepted: 4 dimensions",
    resize_crop: "its coordinate_transformation_mode is 'tf_crop_and_resize'; accepted: half_pixel, pytorch_half_pixel",
    resize_rounding: "its nearest_mode is 'simple'; accepted: round_prefer_floor",
    resize_ratio: "its keep_aspect_ratio_policy is 'not_larger'; accepted: stretch",
    resize_scales: "its scales are [1.0, 1.0, -2.0, 2.0] (float32); accepted: 4 positive float32 numbers",
    split_sizes: "its pieces of 6 are (2, 3); accepted: 2 sizes that sum to 6",
    reduce_axes: "its axes are (1, -1) for 2 axes; accepted: each axis once",
    three_operands: "it has 3 operands; accepted: two operands",
    many_numbers: "its constant has 1000 distinct numbers; accepted: at most 256",
    ranks: "its operands have 4 and 1 axes; accepted: as many axes on both sides",
    growing_constant: "its constant operand has shape [3, 4], the other [4]; accepted: a constant that broadcasts",
    dropout_mask: "its mask is read; accepted: a mask that nothing reads",
    training: "its training_mode is on; accepted: inference",
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_refusals_name_the_node_and_what_is_accepted(build: Callable[[Net], None], tmp_path: Path) -> None:
    net = net_of(0, "uint8", qdq=build is not softmax_without_opset)
    build(net)
    arithmetic = "litert-reference" if build in (norm_epsilon, norm_gain) else "onnxruntime"
    assert REFUSED[build] in refusal(net, tmp_path, arithmetic)


@pytest.mark.parametrize("build", [softmax_elsewhere, lambda n: n.binary("Sub", n.input((4,)), n.input((4,)))])
def test_runtimes_that_have_no_such_operator(build: Callable[[Net], object], tmp_path: Path) -> None:
    net = net_of(0, "uint8")
    build(net)
    message = refusal(net, tmp_path, "tflite-micro")
    assert "the arithmetic tflite-micro has no rule for" in message
    assert "onnxruntime" in message
