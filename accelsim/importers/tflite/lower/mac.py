"""Convolutions and dense layers: weights transposed to the graph's order, scales turned into a Requant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, MacGeometry, TransposeConv2D
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.delegate import takes_transposed
from accelsim.importers.tflite.file.options import SAME
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.rules import INT32_TYPE
from accelsim.importers.tflite.window import window
from accelsim.importers.window import convolution, transposed
from accelsim.numerics import INT8, INT32, INT64, IntFormat, Requantization
from accelsim.quant import requantization_from_scales

BIAS_SCALE_TOLERANCE = 0.02
"""Largest ``|s_in * s_w - s_bias| / s_out`` (LiteRT kernel_util.cc, GetQuantizedConvolutionMultipler)."""
WEIGHT_TYPES = ("INT8", "INT4")


def lower_conv2d(node: NodeContext) -> Conv2D:
    """Filter (oc, kh, kw, ic/groups); groups are as many as the filter's channels divide the input's."""
    image, kernel = node.activation(0), _weights(node, 1)
    n, ih, iw, ic = _rank4(node, image)
    oc, kh, kw, depth = _rank4(node, kernel)
    if depth == 0 or ic % depth or oc % (ic // depth):
        raise RefusalError(
            f"its filter has {depth} channels and {oc} outputs, its input {ic} channels", "channels that divide evenly"
        )
    axes = window(node, (ih, iw), (kh, kw))
    geometry = convolution((n, ih, iw, ic), oc, (kh, kw), axes, ic // depth)
    node.output_shape_is(geometry.output_shape)
    operands = _Operands(kernel, 0, node.optional(2), grouped=depth != ic)
    return Conv2D(geometry=geometry, **_mac_fields(node, image, operands, _codes(kernel)))


def lower_depthwise_conv2d(node: NodeContext) -> DepthwiseConv2D:
    """Filter (1, kh, kw, oc); output channel ``c`` reads input channel ``c // multiplier``."""
    image, kernel = node.activation(0), _weights(node, 1)
    n, ih, iw, ic = _rank4(node, image)
    one, kh, kw, oc = _rank4(node, kernel)
    if one != 1 or ic == 0 or oc % ic:
        raise RefusalError(
            f"its filter is {list(kernel.shape)} over {ic} input channels",
            "(1, kh, kw, a multiple of the input channels)",
        )
    axes = window(node, (ih, iw), (kh, kw))
    geometry = convolution((n, ih, iw, ic), oc, (kh, kw), axes, ic)
    node.output_shape_is(geometry.output_shape)
    node.need(
        node.option("depth_multiplier") == oc // ic,
        f"its depth_multiplier is {node.option('depth_multiplier')} for {ic} input and {oc} output channels",
        f"{oc // ic}, as its filter has it",
    )
    weights = np.ascontiguousarray(np.moveaxis(_codes(kernel), 3, 0)).reshape(oc, kh, kw, 1)
    return DepthwiseConv2D(
        geometry=geometry, **_mac_fields(node, image, _Operands(kernel, 3, node.optional(2)), weights)
    )


def lower_fully_connected(node: NodeContext) -> Dense:
    """Weights (units, k); every row of k codes of the input gives one output row."""
    image, kernel = node.activation(0), _weights(node, 1)
    node.need(len(kernel.shape) == 2, f"its weights have shape {list(kernel.shape)}", "(units, inputs)")
    node.need(node.option("weights_format") == 0, "its weights are shuffled", "the default weights format")
    units, k = kernel.shape
    node.need(k > 0 and image.elements % k == 0, f"{image.elements} input elements are no rows of {k}", "whole rows")
    rows = image.elements // k
    geometry = MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=units)
    node.output_shape_is((*image.shape[:-1], units) if node.option("keep_num_dims") else (rows, units))
    node.without_effect("asymmetric_quantize_inputs")
    weights = _codes(kernel).reshape(units, 1, 1, k)
    return Dense(geometry=geometry, **_mac_fields(node, image, _Operands(kernel, 0, node.optional(2)), weights))


def lower_transpose_conv(node: NodeContext) -> TransposeConv2D:
    """Gather form of the scatter ``out[stride*y - pad + k] += x[y]*w[k]``: input rows spread apart, kernel flipped."""
    kernel, image = _weights(node, 1), node.activation(2)
    n, ih, iw, ic = _rank4(node, image)
    oc, kh, kw, depth = _rank4(node, kernel)
    node.need(depth == ic, f"its filter has {depth} channels, its input {ic}", "equal channels")
    if node.input(0).is_constant:
        node.output_shape_is(tuple(node.integers(0, "output sizes")))
    output = out_n, oh, ow, out_c = _rank4(node, node.output)
    rows, columns = window(node, (oh, ow), (kh, kw))
    node.need(
        (rows.size, columns.size, out_n, out_c) == (ih, iw, n, oc),
        f"an output of {list(node.output.shape)} does not shrink to its input of {list(image.shape)} under its strides",
        "an output size that the forward convolution maps to the input",
    )
    geometry = transposed((n, ih, iw, ic), output, (kh, kw), (rows, columns))
    weights = np.ascontiguousarray(_codes(kernel)[:, ::-1, ::-1, :])
    sized = node.model.tensors[node.record.inputs[0]].is_constant
    is_same = node.option("padding") == SAME
    taken = sized and takes_transposed((kh, kw), (rows.stride, columns.stride), is_same=is_same)
    operands = _Operands(kernel, 0, node.optional(3), taken=taken)
    return TransposeConv2D(geometry=geometry, **_mac_fields(node, image, operands, weights))


@dataclass(frozen=True, eq=False)
class _Operands:
    """Weights as in the file, their output-channel axis, the bias, whether channels are split into groups.

    ``taken``: XNNPACK's delegate takes the node.
    """

    weights: TfliteTensor
    channel_axis: int
    bias: TfliteTensor | None
    grouped: bool = False
    taken: bool = True

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.weights.shape[self.channel_axis]


def _mac_fields(node: NodeContext, image: TfliteTensor, operands: _Operands, weights: NDArray[Any]) -> dict[str, Any]:
    """The fields that all MAC layers share."""
    if image.type == "INT16":
        node.need(
            zero_point_of(image) == 0 and zero_point_of(node.output) == 0,
            "16-bit activations have a zero point other than 0",
            "symmetric 16-bit activations",
        )
    scales = _weight_scales(node, operands)
    bias, bias_format = _bias(node, image, operands, scales)
    wide = image.type == "INT16" and node.rules.sums_in_64_bits(node.op, bias_format)
    scheme = node.rules.mac_scheme(
        node.op, image.type, wide=wide, grouped=operands.grouped, channels=operands.channels, taken=operands.taken
    )
    return {
        **node.names_of(image),
        "weights": weights,
        "weight_format": FORMATS[operands.weights.type],
        "bias": bias,
        "bias_format": bias_format or INT32,
        "input_zero_point": zero_point_of(image),
        "requant": _requant(node, image, scales, scheme),
        "accumulator": INT64 if wide else INT32,
        "weight_scales": scales,
    }


def _requant(node: NodeContext, image: TfliteTensor, scales: NDArray[np.float32], scheme: str) -> Requantization:
    output = node.result((image.type,))
    low, high = node.clamp()
    s_in, s_out = scale_of(image), scale_of(output)
    per_tensor_dense = node.op == "FULLY_CONNECTED" and len(scales) == 1
    return requantization_from_scales(
        scheme,
        s_in=s_in,
        s_w=scales,
        s_out=s_out,
        zero_point=zero_point_of(output),
        clamp_min=low,
        clamp_max=high,
        real=node.rules.dense_ratio(s_in, float(scales[0]), s_out) if per_tensor_dense else None,
    )


def _weights(node: NodeContext, position: int) -> TfliteTensor:
    tensor = node.input(position)
    if tensor.data is None:
        raise RefusalError(f"its weights {tensor.name!r} are computed at run time", "constant weights")
    return node.typed(tensor, WEIGHT_TYPES)


def _codes(weights: TfliteTensor) -> NDArray[np.int8]:
    assert weights.data is not None
    return np.ascontiguousarray(weights.data, dtype=INT8.dtype)


def _weight_scales(node: NodeContext, operands: _Operands) -> NDArray[np.float32]:
    """One scale, or one per output channel; RefusalError for other axes and for zero points other than 0."""
    weights = operands.weights
    node.need(len(weights.scales) > 0, f"its weights {weights.name!r} have no scale", "quantized weights")
    node.need(
        not weights.zero_points.any(),
        f"its weights {weights.name!r} have zero points other than 0",
        "symmetric weights",
    )
    node.need(
        bool(np.isfinite(weights.scales).all() and (weights.scales > 0).all()),
        f"its weights {weights.name!r} have scales that are not positive",
        "positive finite scales",
    )
    node.need(
        len(weights.scales) == 1 or weights.quantized_dimension == operands.channel_axis,
        f"its weights {weights.name!r} are quantized along axis {weights.quantized_dimension}",
        f"per-tensor scales, or one per output channel (axis {operands.channel_axis})",
    )
    return weights.scales


def _bias(
    node: NodeContext, image: TfliteTensor, operands: _Operands, scales: NDArray[np.float32]
) -> tuple[NDArray[np.int64] | None, IntFormat | None]:
    """The bias as int64 and its format in the file; (None, None) where it is absent."""
    bias = operands.bias
    declared = node.option("quantized_bias_type") if "quantized_bias_type" in node.record.options else 0
    if bias is None:
        fits = image.type == "INT8" or node.op == "FULLY_CONNECTED" or declared != INT32_TYPE
        node.need(fits, "its quantized_bias_type is INT32, but it has no bias", "another type where there is no bias")
        return None, None
    types = ("INT32",) if image.type == "INT8" else ("INT32", "INT64")
    if bias.data is None:
        raise RefusalError(f"its bias {bias.name!r} is computed at run time", "a constant bias")
    node.typed(bias, types)
    if image.type == "INT16" and bias.type == "INT32":
        node.need(
            node.rules.takes_int32_bias(node.op, declared),
            f"its bias {bias.name!r} is INT32, which {node.rules.base} cannot add to 16x8 sums here",
            "an INT64 bias",
        )
    node.need(
        bias.elements == operands.channels,
        f"its bias has {bias.elements} entries for {operands.channels} output channels",
        "one per channel",
    )
    _check_bias_scale(node, scale_of(image), scales, bias)
    return bias.data.reshape(-1).astype(np.int64), FORMATS[bias.type]


def _check_bias_scale(node: NodeContext, s_in: float, scales: NDArray[np.float32], bias: TfliteTensor) -> None:
    if len(bias.scales) not in (1, len(scales)):
        return
    off = np.abs(s_in * scales.astype(np.float64) - bias.scales.astype(np.float64)) / scale_of(node.output)
    worst = float(off.max(initial=0.0))
    node.need(
        math.isfinite(worst) and worst <= BIAS_SCALE_TOLERANCE,
        f"the scale of its bias {bias.name!r} is {worst:.3g} output steps away from s_in * s_w",
        f"at most {BIAS_SCALE_TOLERANCE}, as TFLite requires",
    )


def _rank4(node: NodeContext, tensor: TfliteTensor) -> tuple[int, int, int, int]:
    node.need(
        len(tensor.shape) == 4 and min(tensor.shape) > 0,
        f"tensor {tensor.name!r} has shape {list(tensor.shape)}",
        "4 dimensions, none 0",
    )
    n, h, w, c = tensor.shape
    return n, h, w, c
