"""Operators become layers: geometry, constants and refusals, checked on small files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.arch import ARITHMETICS
from accelsim.errors import ConfigError, ModelError, UnsupportedOperatorError
from accelsim.graph import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    InterpolatedLut,
    LeakyRelu,
    Lut,
    Mean,
    Mul,
    Pad,
    Rescale,
    Reshape,
    Softmax,
    StridedSlice,
    Transpose,
    TransposeConv2D,
)
from accelsim.importers import load_graph
from accelsim.numerics import INT4, INT8, INT16, INT32, INT64, Rounding
from tests.importers.flat import Op, T, tflite_bytes
from tests.oracles import moving_op, recurrent_op
from tests.oracles.cases import CASES

SAME, VALID = 0, 1


@pytest.fixture
def graph(tmp_path: Path) -> Any:
    """Loads a model of given tensors and operators; inputs are ``x`` and whatever else is given, the output is ``y``."""

    def load(
        tensors: list[T],
        *operators: Op,
        inputs: tuple[str, ...] = ("x",),
        outputs: tuple[str, ...] = ("y",),
        arithmetic: str = "tflite-micro",
    ) -> Graph:
        path = tmp_path / "net.tflite"
        path.write_bytes(tflite_bytes(tensors, operators, inputs, outputs))
        return load_graph(path, arithmetic=arithmetic)

    return load


def act(name: str, *shape: int, type: str = "INT8", scale: float = 0.5, zero: int = 0) -> T:
    return T(name, shape, type, scale=scale, zero=zero)


def ints(name: str, *values: int) -> T:
    return T(name, (len(values),), "INT32", data=values)


def kernel(*shape: int, scale: Any = 0.25, axis: int = 0) -> T:
    return T(
        "w",
        shape,
        scale=scale,
        zero=0 if np.isscalar(scale) else np.zeros(len(scale)),
        axis=axis,
        data=np.arange(np.prod(shape)) % 7 - 3,
    )


WINDOW = {"StrideH": 1, "StrideW": 1}
DENSE = Op("FULLY_CONNECTED", ["x", "w", None], ["y"])
DENSE_BIAS = Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"])
CONV = Op("CONV_2D", ["x", "w"], ["y"], WINDOW)


def dense_op(**options: int) -> Op:
    return Op("FULLY_CONNECTED", ["x", "w", None], ["y"], options)


def slice_op(options: dict[str, int] | None = None) -> Op:
    return Op("STRIDED_SLICE", ["x", "b", "e", "s"], ["y"], options or {})


# --- multiply-accumulate layers


def test_convolution_geometry_and_requantization(graph: Any) -> None:
    bias = T("b", (2,), "INT32", scale=[0.125, 0.25], data=[5, -7])
    tensors = [
        act("x", 1, 7, 5, 3, zero=4),
        kernel(2, 3, 2, 3, scale=[0.25, 0.5]),
        bias,
        act("y", 1, 4, 3, 2, scale=1.0, zero=-5),
    ]
    op = Op(
        "CONV_2D", ["x", "w", "b"], ["y"], {"Padding": SAME, "StrideH": 2, "StrideW": 2, "FusedActivationFunction": 1}
    )
    net = graph(tensors, op)
    (layer,) = net.layers
    assert isinstance(layer, Conv2D)
    assert (layer.name, layer.inputs, layer.output) == ("y", ("x",), "y")
    g = layer.geometry
    assert (g.n, g.ih, g.iw, g.ic, g.oh, g.ow, g.oc, g.kh, g.kw) == (1, 7, 5, 3, 4, 3, 2, 3, 2)
    assert (g.stride_h, g.stride_w, g.pad_top, g.pad_left, g.groups) == (2, 2, 1, 0, 1)
    assert layer.bias is not None
    assert layer.bias.tolist() == [5, -7]
    assert (layer.input_zero_point, layer.accumulator, layer.bias_format) == (4, INT32, INT32)
    requant = layer.requant
    assert (requant.scheme, requant.zero_point, requant.clamp_min, requant.clamp_max) == ("tflite_double", -5, -5, 127)
    # 0.5 * 0.25 / 1 = 2^30 * 2^(-2 - 31) and twice that
    assert requant.multiplier.tolist() == [2**30, 2**30]
    assert requant.shift.tolist() == [-2, -1]
    assert net.tensors["x"].zero_point == 4
    assert net.tensors["y"].scale == 1.0


@pytest.mark.parametrize(
    ("padding", "size", "k", "stride", "dilation", "out", "before"),
    [
        (SAME, 9, 3, 1, 1, 9, 1), (SAME, 9, 3, 1, 2, 9, 2), (SAME, 8, 3, 2, 1, 4, 0), (SAME, 7, 3, 2, 1, 4, 1),
        (VALID, 9, 3, 2, 1, 4, 0), (VALID, 9, 3, 1, 4, 1, 0),
    ],
)  # fmt: skip
def test_window_arithmetic(
    graph: Any, padding: int, size: int, k: int, stride: int, dilation: int, out: int, before: int
) -> None:
    options = {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "DilationHFactor": dilation,
        "DilationWFactor": dilation,
    }
    net = graph(
        [act("x", 1, size, size, 1), kernel(1, k, k, 1), act("y", 1, out, out, 1)],
        Op("CONV_2D", ["x", "w"], ["y"], options),
    )
    g = net.layers[0].geometry
    assert (g.oh, g.ow, g.pad_top, g.pad_left, g.dilation_h) == (out, out, before, before, dilation)
    assert net.layers[0].bias is None


@pytest.mark.parametrize(("height", "width"), [(3, 9), (9, 3)])
def test_a_window_taller_or_wider_than_its_image_is_refused(graph: Any, height: int, width: int) -> None:
    options = {"Padding": VALID, "StrideH": 1, "StrideW": 1, "FilterHeight": 5, "FilterWidth": 5}
    tensors = [act("x", 1, height, width, 2), act("y", 1, max(1, height - 4), max(1, width - 4), 2)]
    with pytest.raises(ModelError, match=rf"its window \(5, 5\) does not fit its input \({height}, {width}\)"):
        graph(tensors, Op("MAX_POOL_2D", ["x"], ["y"], options))


def test_grouped_convolution(graph: Any) -> None:
    tensors = [act("x", 1, 4, 4, 6), kernel(4, 1, 1, 3), act("y", 1, 4, 4, 4)]
    assert graph(tensors, CONV).layers[0].geometry.groups == 2


def test_depthwise_convolution_has_a_group_per_channel(graph: Any) -> None:
    tensors = [act("x", 1, 4, 4, 2), kernel(1, 1, 2, 4, scale=[1.0, 2.0, 3.0, 4.0], axis=3), act("y", 1, 4, 3, 4)]
    (layer,) = graph(
        tensors, Op("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], {**WINDOW, "Padding": VALID, "DepthMultiplier": 2})
    ).layers
    assert isinstance(layer, DepthwiseConv2D)
    assert (layer.geometry.groups, layer.geometry.oc_per_group) == (2, 2)
    stored = (np.arange(8) % 7 - 3).reshape(1, 2, 4)
    assert layer.weights.shape == (4, 1, 2, 1)
    assert layer.weights[3, 0, :, 0].tolist() == stored[0, :, 3].tolist()
    assert len(layer.requant.multiplier) == 4


def test_dense_layer_sees_rows(graph: Any) -> None:
    tensors = [act("x", 2, 3, 4), kernel(5, 4), act("y", 6, 5)]
    (layer,) = graph(tensors, DENSE).layers
    assert isinstance(layer, Dense)
    assert layer.geometry.input_shape == (1, 6, 1, 4)
    assert layer.geometry.output_shape == (1, 6, 1, 5)
    assert layer.weights.shape == (5, 1, 1, 4)


def test_int4_weights_keep_their_width(graph: Any) -> None:
    w = T("w", (3, 4), "INT4", scale=1.0, data=[0x21, 0x43, 0x65, 0x87, 0xA9, 0xCB])
    (layer,) = graph([act("x", 1, 4), w, act("y", 1, 3)], DENSE).layers
    assert layer.weight_format == INT4
    assert layer.weights.reshape(-1).tolist() == [1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4]


def test_transposed_convolution_as_a_gather(graph: Any) -> None:
    tensors = [ints("s", 1, 4, 6, 2), kernel(2, 3, 3, 1), act("x", 1, 2, 3, 1), act("y", 1, 4, 6, 2)]
    op = Op("TRANSPOSE_CONV", ["s", "w", "x"], ["y"], {"Padding": SAME, "StrideH": 2, "StrideW": 2})
    (layer,) = graph(tensors, op).layers
    assert isinstance(layer, TransposeConv2D)
    g = layer.geometry
    assert (g.upsample_h, g.upsample_w, g.stride_h, g.pad_top, g.pad_left) == (2, 2, 1, 2, 2)
    stored = (np.arange(18) % 7 - 3).reshape(2, 3, 3, 1)
    assert (layer.weights == stored[:, ::-1, ::-1]).all()


def test_transposed_convolution_whose_size_is_a_graph_input(graph: Any) -> None:
    size = T("s", (4,), "INT32")
    tensors = [size, kernel(2, 3, 3, 1), act("x", 1, 2, 3, 1), act("y", 1, 2, 3, 2)]
    net = graph(tensors, Op("TRANSPOSE_CONV", ["s", "w", "x"], ["y"], WINDOW), inputs=("s", "x"))
    assert [port.tensor for port in net.inputs] == ["x"]


@pytest.mark.parametrize(
    ("bias_type", "accumulator", "scheme"), [("INT64", INT64, "tflite_int16"), ("INT32", INT32, "tflite_double")]
)
def test_16x8_sums_as_wide_as_the_bias(graph: Any, bias_type: str, accumulator: Any, scheme: str) -> None:
    x, y = act("x", 1, 2, 2, 3, type="INT16"), act("y", 1, 2, 2, 2, type="INT16")
    bias = T("b", (2,), bias_type, scale=0.125, data=[2**20, -(2**20)])
    (layer,) = graph([x, kernel(2, 1, 1, 3), bias, y], Op("CONV_2D", ["x", "w", "b"], ["y"], WINDOW)).layers
    assert (layer.accumulator, layer.requant.scheme) == (accumulator, scheme)
    assert (layer.requant.clamp_min, layer.requant.clamp_max) == (INT16.min, INT16.max)
    assert layer.weight_format == INT8


@pytest.mark.parametrize("name", sorted(ARITHMETICS))
def test_the_arithmetic_chooses_the_scheme(graph: Any, name: str) -> None:
    tensors = [act("x", 1, 4), kernel(5, 4), act("y", 1, 5)]
    net = graph(tensors, DENSE, arithmetic=name)
    assert net.arithmetic == name
    assert net.layers[0].requant.scheme == ARITHMETICS[name].scheme("FULLY_CONNECTED")


def test_a_chosen_scheme_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(CASES["conv"](np.random.default_rng(0), "INT16").blob)
    chosen = ARITHMETICS["tflite-micro"].with_overrides({"CONV_2D": "float32_half_even"})
    net = load_graph(path, arithmetic=chosen)
    assert net.layers[0].requant.scheme == "float32_half_even"
    assert net.arithmetic == chosen.name


def test_dense_multiplier_is_a_double_product_in_micro_and_a_float32_product_in_litert(graph: Any) -> None:
    # Found by comparing with both runtimes; the significands differ in their last bits.
    s_x, s_w, s_y = 0.0123456789, 0.0098765432, 0.0345678912
    tensors = [act("x", 1, 4, scale=s_x), kernel(5, 4, scale=s_w), act("y", 1, 5, scale=s_y)]
    op = DENSE
    micro = graph(tensors, op).layers[0].requant.multiplier[0]
    litert = graph(tensors, op, arithmetic="litert-optimized").layers[0].requant.multiplier[0]
    a, b, c = (float(np.float32(s)) for s in (s_x, s_w, s_y))
    assert micro == round(a * b / c * 2.0**31 * 2.0**8)
    assert litert == round(float(np.float32(s_x) * np.float32(s_w)) / c * 2.0**31 * 2.0**8)


def test_optimized_depthwise_rounds_whole_blocks_of_eight_channels_only(tmp_path: Path) -> None:
    def scheme(channels: int) -> str:
        tensors = [act("x", 1, 2, 2, channels), kernel(1, 1, 1, channels, axis=3), act("y", 1, 2, 2, channels)]
        path = tmp_path / "net.tflite"
        op = Op("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], {**WINDOW, "DepthMultiplier": 1})
        path.write_bytes(tflite_bytes(tensors, [op], ["x"], ["y"]))
        return str(load_graph(path, arithmetic="litert-optimized").layers[0].requant.scheme)

    assert (scheme(8), scheme(16), scheme(7), scheme(1)) == (
        "half_up_twice",
        "half_up_twice",
        "tflite_double",
        "tflite_double",
    )
    with pytest.raises(UnsupportedOperatorError, match="last 1 of its 9 channels"):
        scheme(9)


# --- vector layers


def test_sum_scales_its_operands_to_twice_the_larger(graph: Any) -> None:
    tensors = [act("x", 2, 3, scale=0.5, zero=7), act("b", 3, scale=0.25, zero=-9), act("y", 2, 3, scale=1.0)]
    (layer,) = graph(tensors, Op("ADD", ["x", "b"], ["y"]), inputs=("x", "b")).layers
    assert isinstance(layer, Add)
    assert (layer.left.zero_point, layer.left.multiplier, layer.left.exponent, layer.left.left_shift) == (
        7,
        2**30,
        0,
        20,
    )
    assert (layer.right.zero_point, layer.right.multiplier, layer.right.exponent) == (-9, 2**30, -1)
    assert (layer.requant.multiplier[0], layer.requant.shift[0]) == (2**30, -19)
    assert layer.shapes == ((2, 3), (3,))


def test_xnnpack_sum_has_one_shift_and_exact_products(graph: Any) -> None:
    tensors = [act("x", 4, scale=0.5, zero=7), act("b", 4, scale=0.25), act("y", 4, scale=1.0)]
    op = Op("ADD", ["x", "b"], ["y"])
    (layer,) = graph(tensors, op, inputs=("x", "b"), arithmetic="litert-xnnpack").layers
    assert (layer.left.multiplier, layer.left.exponent, layer.left.left_shift) == (2**20, None, 0)
    assert layer.right.multiplier == 2**19
    assert (layer.requant.scheme, layer.requant.shift[0]) == ("shift_half_up", 21)


def test_16_bit_sums_shift_by_15(graph: Any) -> None:
    tensors = [act("x", 4, type="INT16"), act("b", 4, type="INT16"), act("y", 4, type="INT16")]
    (layer,) = graph(tensors, Op("SUB", ["x", "b"], ["y"]), inputs=("x", "b")).layers
    assert layer.left.left_shift == 15


def test_product(graph: Any) -> None:
    tensors = [act("x", 4, zero=1), act("b", 4, zero=2), act("y", 4, scale=1.0, zero=3)]
    (layer,) = graph(tensors, Op("MUL", ["x", "b"], ["y"], {"FusedActivationFunction": 3}), inputs=("x", "b")).layers
    assert isinstance(layer, Mul)
    assert (layer.left_zero_point, layer.right_zero_point, layer.requant.zero_point) == (1, 2, 3)
    assert (layer.requant.clamp_min, layer.requant.clamp_max) == (3, 9)


def test_clamp_of_relu_n1_to_1_rounds_half_away_and_in_xnnpack_to_even(graph: Any) -> None:
    tensors = [act("x", 4), act("b", 4), act("y", 4, scale=2.0, zero=-38)]
    op = Op("MUL", ["x", "b"], ["y"], {"FusedActivationFunction": 2})
    (layer,) = graph(tensors, op, inputs=("x", "b")).layers
    assert (layer.requant.clamp_min, layer.requant.clamp_max) == (-39, -37)
    (layer,) = graph(tensors, op, inputs=("x", "b"), arithmetic="litert-xnnpack").layers
    assert (layer.requant.clamp_min, layer.requant.clamp_max) == (-38, -38)


def test_mean_folds_the_count_into_its_multiplier(graph: Any) -> None:
    tensors = [act("x", 1, 3, 2, 4, scale=0.5, zero=3), ints("a", -2, 1), act("y", 1, 4, scale=0.5)]
    (layer,) = graph(tensors, Op("MEAN", ["x", "a"], ["y"])).layers
    assert isinstance(layer, Mean)
    assert (layer.axes, layer.shape, layer.count, layer.input_zero_point) == ((1, 2), (1, 1, 1, 4), 6, 3)
    # m = 2^30, e = 1; k = floor(log2 6) = 2
    assert (layer.requant.multiplier[0], layer.requant.shift[0]) == (2**32 // 6, -1)


def test_pool(graph: Any) -> None:
    tensors = [act("x", 1, 5, 5, 2, zero=-3), act("y", 1, 3, 3, 2, zero=-3)]
    options = {
        "Padding": SAME,
        "StrideH": 2,
        "StrideW": 2,
        "FilterHeight": 3,
        "FilterWidth": 2,
        "FusedActivationFunction": 1,
    }
    (layer,) = graph(tensors, Op("AVERAGE_POOL_2D", ["x"], ["y"], options)).layers
    assert isinstance(layer, AveragePool2D)
    assert (layer.kernel, layer.stride, layer.pad) == ((3, 2), (2, 2), (1, 0))
    assert (layer.clamp_min, layer.clamp_max) == (-3, 127)


def test_pad_and_its_value(graph: Any) -> None:
    tensors = [act("x", 2, 3, zero=9), ints("p", 1, 0, 0, 2), act("y", 3, 5, zero=9)]
    (layer,) = graph(tensors, Op("PAD", ["x", "p"], ["y"])).layers
    assert isinstance(layer, Pad)
    assert (layer.before, layer.shape, layer.value) == ((1, 0), (3, 5), 9)
    value = T("v", (1,), scale=0.5, zero=9, data=[-11])
    (layer,) = graph([*tensors, value], Op("PADV2", ["x", "p", "v"], ["y"])).layers
    assert layer.value == -11


RESHAPES = {
    "to sizes": ("RESHAPE", [2, -1], {}, (2, 3)),
    "to the option's sizes": ("RESHAPE", None, {"NewShape": [3, 2]}, (3, 2)),
    "to what the file says": ("RESHAPE", None, {}, (6, 1)),
    "without axes of 1": ("SQUEEZE", None, {}, (6,)),
    "without one axis": ("SQUEEZE", None, {"SqueezeDims": [-2]}, (6,)),
    "with one more": ("EXPAND_DIMS", -1, {}, (1, 6, 1)),
}


@pytest.mark.parametrize("form", list(RESHAPES))
def test_reshapes_keep_their_name(graph: Any, form: str) -> None:
    name, given, options, shape = RESHAPES[form]
    sizes = [] if given is None else [T("s", np.shape(given), "INT32", data=given)]
    net = graph([act("x", 1, 6), act("y", *shape), *sizes], Op(name, ["x", *(t.name for t in sizes)], ["y"], options))
    (layer,) = net.layers
    assert isinstance(layer, Reshape)
    assert layer.source_operator == name
    assert net.tensors["y"].shape == shape


@pytest.mark.parametrize("form", [form for form in RESHAPES if form != "to what the file says"])
def test_a_reshape_must_give_what_the_file_says(form: str, tmp_path: Path) -> None:
    name, given, options, _ = RESHAPES[form]
    sizes = [] if given is None else [T("s", np.shape(given), "INT32", data=given)]
    path = tmp_path / "net.tflite"
    op = Op(name, ["x", *(t.name for t in sizes)], ["y"], options)
    path.write_bytes(tflite_bytes([act("x", 1, 6), act("y", 1, 1, 1, 6), *sizes], [op], ["x"], ["y"]))
    with pytest.raises(UnsupportedOperatorError, match=r"its output is declared as \[1, 1, 1, 6\]"):
        load_graph(path)


def test_transpose_and_concatenation(graph: Any) -> None:
    tensors = [act("x", 2, 3), ints("p", -1, 0), act("t", 3, 2), act("y", 3, 4)]
    net = graph(tensors, Op("TRANSPOSE", ["x", "p"], ["t"]), Op("CONCATENATION", ["t", "t"], ["y"], {"Axis": -1}))
    transpose, concat = net.layers
    assert isinstance(transpose, Transpose)
    assert isinstance(concat, Concat)
    assert (transpose.permutation, concat.axis, concat.shapes) == ((1, 0), 1, ((3, 2), (3, 2)))
    assert [layer.name for layer in net.layers] == ["t", "y"]


def test_strided_slice_with_masks(graph: Any) -> None:
    tensors = [act("x", 4, 5, 6), ints("b", 1, -1, 9), ints("e", 2, -9, 4), ints("s", 1, -2, 1), act("y", 3, 4)]
    options = {"BeginMask": 4, "EndMask": 0, "ShrinkAxisMask": 1}
    (layer,) = graph(tensors, slice_op(options)).layers
    assert isinstance(layer, StridedSlice)
    assert (layer.begin, layer.strides, layer.shape) == ((1, 4, 0), (1, -2, 1), (1, 3, 4))


def test_softmax_constants(graph: Any) -> None:
    tensors = [act("x", 2, 5, scale=0.1), act("y", 2, 5, scale=1 / 256, zero=-128)]
    (layer,) = graph(tensors, Op("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})).layers
    assert isinstance(layer, Softmax)
    # 0.1 in Q5.26 is 6710886.4 = m * 2^(23 - 31); 31 * 2^26 / 2^23 = 248
    assert (layer.algorithm, layer.left_shift, layer.diff_min) == ("gemmlowp", 23, -248)
    assert layer.multiplier == round(float(np.float32(0.1)) * 2**26 * 2**8)
    assert layer.shape == (2, 5)


def test_16_bit_tables(graph: Any) -> None:
    x = act("x", 1, 8, type="INT16", scale=2.0**-12)
    (layer,) = graph([x, act("y", 1, 8, type="INT16", scale=1 / 32768)], Op("TANH", ["x"], ["y"])).layers
    assert isinstance(layer, InterpolatedLut)
    assert (layer.function, layer.multiplier, layer.left_shift, layer.source_operator) == ("tanh", 3, 0, "TANH")
    (layer,) = graph(
        [x, act("y", 1, 8, type="INT16", scale=1 / 32768)], Op("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})
    ).layers
    assert (layer.algorithm, layer.exp_table.shape, layer.reciprocal_table.shape) == ("int16_lut", (513,), (513,))


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "HARD_SWISH"])
def test_8_bit_functions_are_tables(graph: Any, name: str) -> None:
    scale, zero = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(name, (0.05, -10))
    (layer,) = graph([act("x", 6, scale=0.05), act("y", 6, scale=scale, zero=zero)], Op(name, ["x"], ["y"])).layers
    assert isinstance(layer, Lut)
    assert (layer.source_operator, layer.table.shape, layer.table.dtype, layer.input_min) == (
        name,
        (256,),
        np.int8,
        -128,
    )
    if name != "HARD_SWISH":
        assert (np.diff(layer.table.astype(int)) >= 0).all()


@pytest.mark.parametrize("name", ["RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE"])
def test_rescalings(graph: Any, name: str) -> None:
    net = graph(
        [act("x", 6, scale=0.5, zero=1), act("y", 6, scale=0.25, zero=2)],
        Op(name, ["x"], ["y"]),
        arithmetic="litert-reference",
    )
    (layer,) = net.layers
    assert isinstance(layer, Rescale)
    assert (layer.source_operator, layer.input_zero_point, layer.requant.zero_point) == (name, 1, 2)
    assert (layer.requant.multiplier[0], layer.requant.shift[0]) == (2**30, 2)
    bounds = {"RELU": (2, 127), "RELU6": (2, 26), "RELU_N1_TO_1": (-2, 6), "QUANTIZE": (-128, 127)}
    assert (layer.requant.clamp_min, layer.requant.clamp_max) == bounds[name]


def test_leaky_relu_with_a_negative_alpha(graph: Any) -> None:
    (layer,) = graph([act("x", 6), act("y", 6)], Op("LEAKY_RELU", ["x"], ["y"], {"Alpha": -0.3})).layers
    assert isinstance(layer, LeakyRelu)
    assert layer.positive.multiplier[0] == 2**30
    assert (layer.negative.multiplier[0], layer.negative.shift[0]) == (round(float(np.float32(-0.3)) * 2**32), -1)


@pytest.mark.parametrize(
    ("arithmetic", "is_exact"), [("tflite-micro", False), ("litert-reference", False), ("litert-xnnpack", True)]
)
def test_ties_of_a_negative_alpha(graph: Any, arithmetic: str, is_exact: bool) -> None:
    """Half of an odd code: the reference kernels round it by the sign of the code, XNNPACK in its own exact way."""
    op = Op("LEAKY_RELU", ["x"], ["y"], {"Alpha": -0.5})
    if is_exact:
        graph([act("x", 6), act("y", 6)], op, arithmetic=arithmetic)
        return
    with pytest.raises(UnsupportedOperatorError, match="its negative alpha gives results half-way between two codes"):
        graph([act("x", 6), act("y", 6)], op, arithmetic=arithmetic)


def test_scalars_are_seen_as_one_cell(graph: Any) -> None:
    net = graph([T("x", (), scale=0.5), T("y", (), scale=0.5)], Op("RELU", ["x"], ["y"]))
    assert net.layers[0].shape == (1,)
    assert net.tensors["x"].shape == ()


# --- the graph around the layers


def test_float_inputs_and_outputs_cross_on_the_host(graph: Any) -> None:
    tensors = [T("image", (1, 4), "FLOAT32"), act("x", 1, 4), act("y", 1, 4), T("real", (1, 4), "FLOAT32")]
    operators = [Op("QUANTIZE", ["image"], ["x"]), Op("RELU", ["x"], ["y"]), Op("DEQUANTIZE", ["y"], ["real"])]
    net = graph(tensors, *operators, inputs=("image",), outputs=("real",))
    assert [layer.name for layer in net.layers] == ["y"]
    assert [(p.tensor, p.host_name, p.real) for p in net.inputs] == [("x", "image", True)]
    assert [(p.tensor, p.host_name, p.real) for p in net.outputs] == [("y", "real", True)]
    assert set(net.tensors) == {"x", "y"}


@pytest.mark.parametrize("name", ["tflite-micro", "litert-reference", "litert-optimized", "litert-xnnpack"])
def test_fast_kernels_of_litert_quantize_inputs_half_to_even(graph: Any, name: str) -> None:
    tensors = [T("image", (1, 4), "FLOAT32"), act("x", 1, 4), act("y", 1, 4)]
    net = graph(tensors, Op("QUANTIZE", ["image"], ["x"]), Op("RELU", ["x"], ["y"]), inputs=("image",), arithmetic=name)
    fast = name in ("litert-optimized", "litert-xnnpack")
    assert net.inputs[0].rounding is (Rounding.HALF_EVEN if fast else Rounding.HALF_AWAY)


def test_constant_operands_are_tensors_of_the_graph(graph: Any) -> None:
    constant = T("c", (3,), scale=0.25, zero=2, data=[1, -2, 3])
    net = graph([act("x", 2, 3), constant, act("y", 2, 3)], Op("MUL", ["c", "x"], ["y"]))
    assert net.layers[0].inputs == ("c", "x")
    assert net.constants["c"].tolist() == [1, -2, 3]
    assert (net.tensors["c"].zero_point, net.tensors["c"].scale) == (2, 0.25)
    assert [port.tensor for port in net.inputs] == ["x"]


def test_weights_are_no_tensors_of_the_graph(graph: Any) -> None:
    net = graph([act("x", 1, 4), kernel(5, 4), act("y", 1, 5)], DENSE)
    assert net.constants == {}
    assert set(net.tensors) == {"x", "y"}


def test_all_tensors_keep_their_names(graph: Any) -> None:
    tensors = [act("x", 1, 4), act("a/b;c", 4, 1), act("y", 2, 2)]
    net = graph(tensors, Op("RESHAPE", ["x"], ["a/b;c"]), Op("RESHAPE", ["a/b;c"], ["y"]))
    assert list(net.tensors) == ["x", "a/b;c", "y"]
    assert net.name == "net"


def test_an_unused_input_is_not_a_port(graph: Any) -> None:
    net = graph([act("x", 4), act("idle", 4), act("y", 4)], Op("RELU", ["x"], ["y"]), inputs=("x", "idle"))
    assert [port.tensor for port in net.inputs] == ["x"]


# --- what is refused

X4, Y4 = act("x", 1, 4), act("y", 1, 4)
X4Z = act("other", 1, 4)
IMAGE = act("x", 1, 4, 4, 2)


def test_a_float_model_names_the_remedy(graph: Any) -> None:
    with pytest.raises(ModelError, match=r"not quantized.*full-integer post-training quantization"):
        graph([T("x", (4,), "FLOAT32"), T("y", (4,), "FLOAT32")], Op("RELU", ["x"], ["y"]))


def test_an_unknown_arithmetic_names_the_nearest(graph: Any) -> None:
    with pytest.raises(ConfigError, match="did you mean 'tflite-micro'"):
        graph([X4, Y4], Op("RELU", ["x"], ["y"]), arithmetic="tflite-mikro")


REFUSED: dict[str, tuple[list[T], Op, str]] = {
    "unknown operator": ([X4, Y4], Op("COS", ["x"], ["y"]), r"operator 0 COS \(output 'y'\): the operator is not supported; accepted: CONV_2D"),
    "custom operator": ([X4, Y4], Op("CUSTOM", ["x"], ["y"], custom="MyOp"), r"CUSTOM MyOp .*not supported"),
    "two outputs": ([X4, Y4, act("z", 1, 4)], Op("RELU", ["x"], ["y", "z"]), "it has 2 outputs"),
    "no output": ([X4, Y4], Op("RELU", ["x"], []), "made by no operator"),
    "absent input": ([X4, Y4], Op("RELU", [None], ["y"]), "input 0 is absent"),
    "uint8": ([act("x", 1, 4, type="UINT8"), Y4], Op("RELU", ["x"], ["y"]), "legacy quantization; accepted: INT8 or INT16; convert again"),
    "float operand": ([T("x", (1, 4), "FLOAT32"), Y4], Op("RELU", ["x"], ["y"]), "FLOAT32, not quantized"),
    "no scale": ([T("x", (1, 4)), Y4], Op("RELU", ["x"], ["y"]), "one positive finite scale, it has none"),
    "negative scale": ([act("x", 1, 4, scale=-1.0), Y4], Op("RELU", ["x"], ["y"]), "one positive finite scale"),
    "zero point out of range": ([act("x", 1, 4, zero=200), Y4], Op("RELU", ["x"], ["y"]), "zero point 200; accepted: -128 to 127"),
    "shape of the output": ([X4, act("y", 1, 5)], Op("RELU", ["x"], ["y"]), r"declared as \[1, 5\]"),
    "constant operand": ([T("x", (1, 4), scale=1.0, data=[1] * 4), X4Z, Y4], Op("RELU", ["x"], ["y"]), "'x', is a constant"),
    "activation tanh": ([X4, kernel(4, 4), Y4], dense_op(FusedActivationFunction=4), "fused activation is TANH"),
    "weights at run time": ([X4, act("w", 4, 4), Y4], DENSE, "computed at run time"),
    "asymmetric weights": ([X4, T("w", (4, 4), scale=1.0, zero=3, data=[0] * 16), Y4], DENSE, "symmetric weights"),
    "weights without scale": ([X4, T("w", (4, 4), data=[0] * 16), Y4], DENSE, "have no scale"),
    "weights of axis 1": ([X4, T("w", (4, 4), scale=[1.0] * 4, zero=[0] * 4, axis=1, data=[0] * 16), Y4], DENSE, "axis 1"),
    "weights of another rank": ([X4, kernel(4, 4, 1), Y4], DENSE, r"shape \[4, 4, 1\]"),
    "16-bit input with a zero point": (
        [act("x", 1, 4, type="INT16", zero=1), kernel(4, 4), act("y", 1, 4, type="INT16")], DENSE, "a zero point other than 0",
    ),
    "16-bit output with a zero point": (
        [act("x", 1, 4, type="INT16"), kernel(4, 4), act("y", 1, 4, type="INT16", zero=1)], DENSE, "a zero point other than 0",
    ),
    "shuffled weights": ([X4, kernel(4, 4), Y4], Op("FULLY_CONNECTED", ["x", "w", None], ["y"], {"WeightsFormat": 1}), "shuffled"),
    "rows that do not divide": ([X4, kernel(4, 3), Y4], DENSE, "no rows of 3"),
    "bias scale": ([X4, kernel(4, 4), T("b", (4,), "INT32", scale=0.2, data=[0] * 4), Y4], DENSE_BIAS, "output steps away from s_in"),
    "bias length": ([X4, kernel(4, 4), T("b", (3,), "INT32", data=[0] * 3), Y4], DENSE_BIAS, "3 entries for 4 output channels"),
    "bias type": ([X4, kernel(4, 4), T("b", (4,), "INT64", data=[0] * 4), Y4], DENSE_BIAS, "INT64; accepted: INT32"),
    "channels": ([IMAGE, kernel(4, 1, 1, 3), act("y", 1, 4, 4, 4)], CONV, "3 channels and 4 outputs"),
    "stride 0": ([IMAGE, kernel(4, 1, 1, 2), act("y", 1, 4, 4, 4)], Op("CONV_2D", ["x", "w"], ["y"]), "strides are"),
    "padding 2": ([IMAGE, kernel(4, 1, 1, 2), act("y", 1, 4, 4, 4)], Op("CONV_2D", ["x", "w"], ["y"], {**WINDOW, "Padding": 2}), "padding is 2"),
    "kernel too large": (
        [IMAGE, kernel(4, 5, 5, 2), act("y", 1, 4, 4, 4)],
        Op("CONV_2D", ["x", "w"], ["y"], {**WINDOW, "Padding": VALID}), "does not fit",
    ),
    "rank": ([X4, kernel(4, 1, 1, 2), Y4], CONV, "4 dimensions"),
    "pool rescales": (
        [IMAGE, act("y", 1, 4, 4, 2, scale=0.7)],
        Op("MAX_POOL_2D", ["x"], ["y"], {**WINDOW, "FilterHeight": 1, "FilterWidth": 1}), "equal scale and zero point",
    ),
    "reshape elements": ([X4, act("y", 1, 5)], Op("RESHAPE", ["x"], ["y"]), r"into \[1, 5\]"),
    "permutation": ([X4, ints("p", 0, 0), Y4], Op("TRANSPOSE", ["x", "p"], ["y"]), r"permutation is \[0, 0\]"),
    "axis": ([X4, Y4], Op("CONCATENATION", ["x"], ["y"], {"Axis": 2}), "axis is 2"),
    "mean axes": ([X4, ints("a", 5), Y4], Op("MEAN", ["x", "a"], ["y"]), r"axes are \[5\]"),
    "float axes": ([X4, T("a", (1,), "FLOAT32", data=[1.0]), Y4], Op("MEAN", ["x", "a"], ["y"]), "axes are FLOAT32"),
    "paddings": ([X4, ints("p", 0, 0, -1, 0), Y4], Op("PAD", ["x", "p"], ["y"]), "paddings are"),
    "ellipsis": ([X4, ints("b", 0, 0), ints("e", 1, 4), ints("s", 1, 1), Y4], slice_op({"EllipsisMask": 1}), "ellipsis_mask is 1"),
    "resize of a row": ([X4, ints("s", 1, 8), Y4], Op("RESIZE_NEAREST_NEIGHBOR", ["x", "s"], ["y"]), r"it resizes shape \[1, 4\]"),
    "resize twice aligned": (
        [IMAGE, ints("s", 4, 4), act("y", 1, 4, 4, 2)],
        Op("RESIZE_NEAREST_NEIGHBOR", ["x", "s"], ["y"], {"AlignCorners": True, "HalfPixelCenters": True}), "one of the two",
    ),
    "empty slice": ([X4, ints("b", 0, 4), ints("e", 1, 4), ints("s", 1, 1), act("y", 1, 1)], slice_op(), "selects nothing"),
    "index outside": ([X4, ints("b", 3, 0), ints("e", 4, 4), ints("s", 1, 1), act("y", 4)], slice_op({"ShrinkAxisMask": 1}), "outside axis 0"),
    "softmax scale": ([X4, Y4], Op("SOFTMAX", ["x"], ["y"], {"Beta": 1.0}), "accepted: scale 0.00390625 and zero point -128"),
    "beta": ([X4, act("y", 1, 4, scale=1 / 256, zero=-128)], Op("SOFTMAX", ["x"], ["y"]), "beta is 0"),
    "relu6 of micro": ([X4, act("y", 1, 4, scale=0.25)], Op("RELU6", ["x"], ["y"]), "does not rescale"),
    "quantize inside": ([X4, T("f", (1, 4), "FLOAT32"), Y4], Op("QUANTIZE", ["f"], ["y"]), "reads"),
    "hard swish of 16 bits": ([act("x", 4, type="INT16"), act("y", 4, type="INT16")], Op("HARD_SWISH", ["x"], ["y"]), "INT16; accepted: INT8"),
    "mixed types": ([X4, act("b", 1, 4, type="INT16"), Y4], Op("ADD", ["x", "b"], ["y"]), "differ in type"),
    "broadcast": ([X4, act("b", 1, 3), Y4], Op("ADD", ["x", "b"], ["y"]), "do not broadcast"),
    "no input": ([X4, Y4], Op("CONCATENATION", [], ["y"]), "it has no inputs; accepted: at least one input"),
    "negative axis": ([X4, Y4], Op("CONCATENATION", ["x"], ["y"], {"Axis": -3}), "axis is -3 for 2 axes"),
    "other lengths": ([X4, act("b", 2, 3), Y4], Op("CONCATENATION", ["x", "b"], ["y"], {"Axis": 0}), "differ along axis 0 only"),
    "rows of the output": ([X4, kernel(4, 4), act("y", 1, 5)], DENSE, r"its output is declared as \[1, 5\]"),
    "negative beta": ([X4, act("y", 1, 4, scale=1 / 256, zero=-128)], Op("SOFTMAX", ["x"], ["y"], {"Beta": -1.0}), "beta is -1"),
    "infinite beta": ([X4, act("y", 1, 4, scale=1 / 256, zero=-128)], Op("SOFTMAX", ["x"], ["y"], {"Beta": np.inf}), "beta is inf"),
    "flat softmax": (
        [X4, act("y", 1, 4, scale=1 / 256, zero=-128)],
        Op("SOFTMAX", ["x"], ["y"], {"Beta": 2.0**-25}), r"is 1.49e-08; accepted: more than 2\^-26",
    ),
    "zero point of a logistic": ([X4, act("y", 1, 4, scale=1 / 256)], Op("LOGISTIC", ["x"], ["y"]), "and zero point 0; accepted: .*-128"),
    "steep 16-bit tanh": (
        [act("x", 1, 4, type="INT16", scale=2.0**18), act("y", 1, 4, type="INT16", scale=1 / 32768)],
        Op("TANH", ["x"], ["y"]), "its input scale 2.62e[+]05 leaves the range of 16-bit tables",
    ),
    "16-bit tanh off zero": (
        [act("x", 1, 4, type="INT16", zero=1), act("y", 1, 4, type="INT16", scale=1 / 32768)],
        Op("TANH", ["x"], ["y"]), "zero point",
    ),
    "fine hard swish": ([act("x", 1, 4, scale=1.0), act("y", 1, 4, scale=0.007)], Op("HARD_SWISH", ["x"], ["y"]), "below 1/128 of its input"),
    "slope that is no number": ([X4, Y4], Op("LEAKY_RELU", ["x"], ["y"], {"Alpha": np.nan}), "its alpha is nan; accepted: a finite alpha"),
    "no axes": ([X4, ints("a"), act("y", 1, 4)], Op("MEAN", ["x", "a"], ["y"]), r"its axes are \(\)|its axes are \[\]"),
    "axis below the first": ([X4, ints("a", -3), Y4], Op("MEAN", ["x", "a"], ["y"]), "its axes are .*-3"),
    "resize to nothing": (
        [IMAGE, ints("s", 4, 0), act("y", 1, 4, 4, 2)],
        Op("RESIZE_NEAREST_NEIGHBOR", ["x", "s"], ["y"]), "two sizes of at least 1",
    ),
    "two fill values": (
        [X4, ints("p", 0, 0, 1, 0), T("f1", (2,), scale=0.5, data=[1, 2]), act("y", 1, 5)],
        Op("PADV2", ["x", "p", "f1"], ["y"]), "its fill value is .*; accepted: one code",
    ),
    "16-bit zero point": (
        [act("x", 4, type="INT16", zero=1), act("b", 4, type="INT16"), act("y", 4, type="INT16")],
        Op("ADD", ["x", "b"], ["y"]), "zero points",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_refusals_name_the_place_the_reason_and_what_is_accepted(graph: Any, name: str) -> None:
    tensors, op, reason = REFUSED[name]
    inputs = tuple(t.name for t in tensors if t.data is None and t.name not in ("y", "z", "f"))
    with pytest.raises(ModelError) as caught:
        graph(tensors, op, inputs=inputs)
    text = str(caught.value)
    assert re.search(reason, text), text
    assert "net.tflite" in text
    assert "\n" not in text
    if isinstance(caught.value, UnsupportedOperatorError):
        assert "; accepted: " in text
        assert caught.value.data["index"] == 0
        assert caught.value.data["output"] == "y"


def test_a_float_operator_inside_a_quantized_model(graph: Any) -> None:
    tensors = [act("x", 1, 4), T("f", (1, 4), "FLOAT32"), act("y", 1, 4)]
    with pytest.raises(
        UnsupportedOperatorError, match="DEQUANTIZE only at a graph outputs|DEQUANTIZE only at graph outputs"
    ):
        graph(tensors, Op("DEQUANTIZE", ["x"], ["f"]), Op("QUANTIZE", ["f"], ["y"]))


def test_codes_and_real_numbers_of_a_crossing_agree(graph: Any) -> None:
    """QUANTIZE behind a graph input: its two sides have one shape, and its codes 8 or 16 bits."""
    for coded, reason in (
        (act("x", 1, 5), r"its output is declared as \[1, 5\], but its operands and options give \[1, 4\]"),
        (act("x", 1, 4, type="INT32"), "its integer tensor 'x' is INT32; accepted: INT8 or INT16"),
    ):
        y = T("y", coded.shape, scale=0.5)
        with pytest.raises(UnsupportedOperatorError, match=reason):
            graph(
                [T("f", (1, 4), "FLOAT32"), coded, y],
                Op("QUANTIZE", ["f"], ["x"]),
                Op("RELU", ["x"], ["y"]),
                inputs=("f",),
            )


def test_an_arithmetic_of_another_format_is_refused_where_it_has_no_rule(graph: Any) -> None:
    tensors = [act("x", 4), act("b", 4), act("y", 4)]
    with pytest.raises(UnsupportedOperatorError, match="not for .tflite files; accepted: tflite-micro"):
        graph(tensors, Op("ADD", ["x", "b"], ["y"]), inputs=("x", "b"), arithmetic="onnxruntime")


@pytest.mark.parametrize("arithmetic", ["litert-reference", "litert-optimized", "litert-xnnpack"])
def test_litert_takes_an_int32_bias_of_16x8_only_if_the_options_say_so(graph: Any, arithmetic: str) -> None:
    x, y = act("x", 1, 2, 2, 3, type="INT16"), act("y", 1, 2, 2, 2, type="INT16")
    tensors = [x, kernel(2, 1, 1, 3), T("b", (2,), "INT32", scale=0.125, data=[0, 0]), y]
    with pytest.raises(UnsupportedOperatorError, match="an INT64 bias"):
        graph(tensors, Op("CONV_2D", ["x", "w", "b"], ["y"], WINDOW), arithmetic=arithmetic)
    net = graph(
        tensors, Op("CONV_2D", ["x", "w", "b"], ["y"], {**WINDOW, "QuantizedBiasType": 2}), arithmetic=arithmetic
    )
    expected = "tflite_double" if arithmetic == "litert-reference" else "half_up_twice"
    assert net.layers[0].requant.scheme == expected


IN_PARTS = {
    "batch-matmul", "batch-matmul-symmetric", "batch-matmul-constant", *moving_op.CASES, *recurrent_op.CASES
} - {"pack", "slice", "reverse", "depth-to-space", "space-to-depth"}  # fmt: skip
"""Cases that may be several layers; every other one is one."""
NOT_IN_LITERT = [
    (name, arithmetic)
    for name in recurrent_op.CASES
    for arithmetic in ("litert-reference", "litert-optimized", "litert-xnnpack")
    if name.startswith("lstm") or name == "svdf-8-bit-state"
]
"""LSTMs that LiteRT sums otherwise, and a state that it does not have."""
SUMS_ONLY = {"finn", "onnxruntime"}
"""Arithmetics of formats that compute in floating point between their sums, so that they have no rule for some of TFLite's operators."""


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("arithmetic", sorted(ARITHMETICS))
def test_every_oracle_case_becomes_layers_of_its_own_or_is_refused_on_one_line(
    tmp_path: Path, name: str, arithmetic: str
) -> None:
    path, lowered, refusals = tmp_path / "model.tflite", 0, []
    for kind in ("INT8", "INT16"):
        path.write_bytes(CASES[name](np.random.default_rng(7), kind).blob)
        try:
            layers = load_graph(path, arithmetic=arithmetic).layers
        except UnsupportedOperatorError as error:
            refusals.append(str(error))
            continue
        assert len(layers) == 1 or name in IN_PARTS
        lowered += 1
    assert all("; accepted: " in text and "\n" not in text for text in refusals)
    own = (("relu6", "tflite-micro"), ("sum", "litert-reference"), ("sum-same-scale", "litert-reference"))
    assert (
        lowered
        or arithmetic in SUMS_ONLY
        or (name, arithmetic) in (*own, ("svdf-no-bias", "tflite-micro"), *NOT_IN_LITERT)
    )


@pytest.mark.parametrize(
    ("indices", "kinds", "inputs"),
    [
        ((1, 2, 3), [StridedSlice], ("x",)),
        ((0, 2, 4), [StridedSlice], ("x",)),
        ((3, 2, 1), [StridedSlice], ("x",)),
        ((4,), [StridedSlice], ("x",)),
        ((0, 1, 3), [StridedSlice, StridedSlice, Concat], 2),
        ((0, 1, 2, 3, 4, 2), [StridedSlice, Concat], 2),
        ((2, 2), [StridedSlice, StridedSlice, Concat], 2),
    ],
)
def test_gathered_indices_are_as_few_slices_as_there_are_runs(
    graph: Any, indices: tuple[int, ...], kinds: list[type], inputs: Any
) -> None:
    tensors = [act("x", 1, 5, 2, 3), ints("i", *indices), act("y", 1, len(indices), 2, 3)]
    layers = graph(tensors, Op("GATHER", ["x", "i"], ["y"], {"Axis": 1})).layers
    assert [type(layer) for layer in layers] == kinds
    assert layers[-1].inputs == inputs if isinstance(inputs, tuple) else len(layers[-1].inputs) == inputs


@pytest.mark.parametrize(
    ("times", "kinds"),
    [((1, 2, 1, 1), [Concat]), ((1, 2, 1, 3), [Concat, Concat]), ((1, 1, 1, 1), [Reshape])],
)
def test_tiles_are_concatenations_of_the_tensor_itself(graph: Any, times: tuple[int, ...], kinds: list[type]) -> None:
    shape = (1, 3, 2, 2)
    tensors = [act("x", *shape), ints("t", *times), act("y", *(n * t for n, t in zip(shape, times, strict=True)))]
    layers = graph(tensors, Op("TILE", ["x", "t"], ["y"])).layers
    assert [type(layer) for layer in layers] == kinds
    assert layers[0].inputs == ("x",) * max(times[1], 1)


@pytest.mark.parametrize("times", [(1, 0, 1, 1), (1, -1, 1, 1), (1, 2, 1)])
def test_multiples_of_nothing_and_of_other_axes_are_refused(graph: Any, times: tuple[int, ...]) -> None:
    tensors = [act("x", 1, 3, 2, 2), ints("t", *times), act("y", 1, 3, 2, 2)]
    with pytest.raises(ModelError, match=re.escape(f"its multiples are {list(times)}")):
        graph(tensors, Op("TILE", ["x", "t"], ["y"]))
