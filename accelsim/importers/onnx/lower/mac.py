"""Convolutions and matrix products: weights brought to the Graph's order, scales turned into a Requant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Conv2D, Dense, DepthwiseConv2D, MacGeometry, MacLayer
from accelsim.importers.arrays import contiguous
from accelsim.importers.onnx.constants import rounded_bias
from accelsim.importers.onnx.context import NodeContext, dequantized
from accelsim.importers.onnx.file.sub_byte import width
from accelsim.importers.onnx.formulas import ACCEPTED, format_of, is_codes
from accelsim.importers.onnx.layout import image_of, is_channels_last
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target, Weights, order_name
from accelsim.importers.onnx.rules import ONNXRUNTIME
from accelsim.importers.onnx.window import window
from accelsim.importers.refusal import RefusalError
from accelsim.importers.window import convolution
from accelsim.numerics import INT32, IntFormat
from accelsim.quant import requantization_from_scales

BIAS_SCALE_TOLERANCE = 1e-3
"""Largest relative distance between a bias scale and s_in * s_w."""
Kernel = TypeVar("Kernel", bound=Weights)
_BLOCK = 2**20
"""Weights that are centred at a time."""


@dataclass(frozen=True, eq=False)
class Operands:
    """``weights`` (oc, kh, kw, ic/groups) with their zero points subtracted, ``scales`` (1,) or (oc,), bias (oc,) or None.

    ``format`` is that of the file's codes, of ``bits`` bits, where the values fit, else the narrowest that holds them; signed.
    ``zero_points``: of the codes without a sign that memory holds then.
    """

    weights: NDArray[Any]
    scales: NDArray[np.float32]
    bias: NDArray[np.int64] | None
    bits: int
    format: IntFormat
    zero_points: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Form:
    """Which layer a convolution or product is, the tensor that it reads, its geometry, and its result's ONNX shape.

    The layer writes ONNX axis ``order[i]`` of the result as axis ``i``.
    """

    kind: type[MacLayer]
    operator: str
    source: str
    geometry: MacGeometry
    shape: Shape
    order: Shape


def lower_qlinear_conv(node: NodeContext) -> None:
    """x, s, z, w, s, z, s_y, z_y, bias (int32)."""
    image = node.scaled(0, 1, 2)
    weights = quantized_weights(node, 3, 4, 5, axis=0)
    to = node.quantization(6, 7)
    bias = _int32_bias(node, 8, len(weights.codes))
    node.emit(_convolution(node, image, weights, bias), to)


def lower_conv(node: NodeContext) -> None:
    """DequantizeLinear -> Conv -> QuantizeLinear: bias dequantized from int32 with scale s_in * s_w."""
    image, weights = node.codes(0), dequantized_weights(node, 1)
    node.result(_convolution(node, image, weights, dequantized_bias(node, 2, image, weights, axis=0)))


def _convolution(node: NodeContext, image: Codes, weights: Weights, bias: NDArray[np.int64] | None) -> Pending:
    form, weights = convolution_form(node, image, weights)
    return mac(node, form, image, operands_of(node, weights, (0, 2, 3, 1), bias))


def convolution_form(node: NodeContext, given: Codes, weights: Kernel) -> tuple[Form, Kernel]:
    """A convolution of ``given``, and its weights as (oc, ic/groups, kh, kw)."""
    kernel = weights.codes.shape
    node.need(
        len(given.shape) == len(kernel) and len(kernel) in (3, 4),
        f"its input has shape {list(given.shape)}, its weights {list(kernel)}",
        "convolution in 1-D or 2-D: 3 or 4 dimensions each",
    )
    is_last = node.op == "QLinearConv" and is_channels_last(node)
    image, layout = image_of(node, given, channels_last=is_last)
    n, ic, ih, iw = image.shape
    oc, depth, kh, kw = (*kernel[:2], 1, kernel[2]) if layout.is_flat else kernel
    groups = node.integer("group", 1)
    node.need(
        groups >= 1 and depth * groups == ic and oc % groups == 0 and min(kernel) > 0,
        f"its weights have shape {list(kernel)} in {groups} groups over {ic} input channels",
        "channels that divide evenly",
    )
    node.need(
        node.ints("kernel_shape", kernel[2:]) == kernel[2:],
        f"its kernel_shape is not that of its weights, {kernel[2:]}",
        "a consistent file",
    )
    rows, columns = window(node, (ih, iw), (kh, kw), layout)
    geometry = convolution((n, ih, iw, ic), oc, (kh, kw), (rows, columns), groups)
    depthwise = depth == 1 and groups == ic and groups > 1
    kind, operator = (DepthwiseConv2D, "DEPTHWISE_CONV_2D") if depthwise else (Conv2D, "CONV_2D")
    shape = layout.shape((n, oc, rows.size, columns.size))
    turned = replace(weights, codes=weights.codes.reshape(oc, depth, kh, kw))
    return Form(kind, operator, image.tensor, geometry, shape, layout.order), turned


def lower_constant_qlinear_matmul(node: NodeContext) -> None:
    """a, s, z, b, s, z, s_y, z_y; ``b`` a constant matrix, scales per tensor or per column."""
    image, weights = node.scaled(0, 1, 2), quantized_weights(node, 3, 4, 5, axis=1)
    node.emit(_product(node, image, weights, None, transposed=False), node.quantization(6, 7))


def lower_constant_matmul(node: NodeContext) -> None:
    """DequantizeLinear -> MatMul -> QuantizeLinear with a constant matrix; an Add of a constant behind it is its bias."""
    image, weights = node.codes(0), dequantized_weights(node, 1)

    def biased(add: NodeContext, position: int) -> Pending:
        rank = len(add.shape(position))
        add.need(rank <= len(image.shape), f"its constant has {rank} axes", f"at most {len(image.shape)}")
        bias = dequantized_bias(add, position, image, weights, axis=1, owner=node)
        if node.rules.arithmetic.base == ONNXRUNTIME:
            node.approximate("ONNX Runtime adds its bias in float32: codes may differ at ties of the rounding")
        return _product(node, image, weights, bias, transposed=False)

    node.result(replace(_product(node, image, weights, None, transposed=False), biased=biased))


def lower_qgemm(node: NodeContext) -> None:
    """A, s, z, B, s, z, C (int32), s_y, z_y (com.microsoft)."""
    image = node.scaled(0, 1, 2)
    image, transposed = _turned(node, image)
    weights = quantized_weights(node, 3, 4, 5, axis=0 if transposed else 1)
    node.need(node.optional(7) is not None, "it has no output scale, so that its result is float", "a quantized output")
    bias = _int32_bias(node, 6, weights.codes.shape[0 if transposed else 1])
    to = node.quantization(7, 8)
    alpha = node.number("alpha", 1.0)
    node.emit(_product(node, image, weights, bias, transposed=transposed, alpha=alpha), to)


def lower_gemm(node: NodeContext) -> None:
    """DequantizeLinear -> Gemm -> QuantizeLinear; alpha and beta 1."""
    image, weights = node.codes(0), dequantized_weights(node, 1)
    image, transposed = _turned(node, image)
    factors = node.number("alpha", 1.0), node.number("beta", 1.0)
    node.need(factors == (1.0, 1.0), f"its alpha and beta are {factors}", "alpha 1 and beta 1")
    node.need(weights.codes.ndim == 2, f"its weights have shape {list(weights.codes.shape)}", "a matrix")
    bias = dequantized_bias(node, 2, image, weights, axis=0 if transposed else 1)
    node.result(_product(node, image, weights, bias, transposed=transposed))


def _turned(node: NodeContext, image: Codes) -> tuple[Codes, bool]:
    """The first operand, turned where transA is 1, and whether the second one stands turned (transB)."""
    turned = node.integer("transA", 0), node.integer("transB", 0)
    node.need(len(image.shape) == 2 or not turned[0], f"its first operand has {len(image.shape)} axes", "2 axes")
    if turned[0]:
        image = replace(image, tensor=node.net.ordered(image, (1, 0), "turned"), shape=(image.shape[1], image.shape[0]))
    return image, bool(turned[1])


def _product(
    node: NodeContext,
    image: Codes,
    weights: Weights,
    bias: NDArray[np.int64] | None,
    *,
    transposed: bool,
    alpha: float = 1.0,
) -> Pending:
    form, turned = product_form(node, image, weights, transposed=transposed)
    return mac(node, form, image, operands_of(node, turned, (0, 1, 2, 3), bias), alpha=alpha)


def product_form(node: NodeContext, image: Codes, weights: Weights, *, transposed: bool) -> tuple[Form, Weights]:
    """A product of the rows of ``image`` with a matrix (k, units), or (units, k) where ``transposed``, and that as a kernel."""
    node.need(
        weights.codes.ndim == 2 and weights.codes.size > 0 and len(image.shape) >= 1,
        f"its weights have shape {list(weights.codes.shape)}",
        "a constant matrix",
    )
    matrix = weights.codes if transposed else weights.codes.T
    units, k = matrix.shape
    node.need(
        image.shape[-1] == k, f"it multiplies {list(image.shape)} with {k} x {units} weights", "equal inner sizes"
    )
    axis = weights.axis if weights.axis is None or transposed else 1 - weights.axis
    turned = replace(weights, codes=matrix.reshape(units, 1, 1, k), axis=axis)
    rows = int(np.prod(image.shape[:-1], dtype=np.int64))
    geometry = MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=units)
    source = node.net.plain(image)
    shape = (*image.shape[:-1], units)
    return Form(Dense, "FULLY_CONNECTED", source, geometry, shape, tuple(range(len(shape)))), turned


def mac(node: NodeContext, form: Form, image: Codes, operands: Operands, *, alpha: float = 1.0) -> Pending:
    """The layer, once its result is quantized."""
    known = image.known

    def emit(target: Target) -> None:
        node.name_float_execution(target, known.format.bits, operands.bits)
        requant = requantization_from_scales(
            node.rules.scheme(form.operator),
            s_in=float(np.float32(alpha) * np.float32(known.scale)),
            s_w=operands.scales,
            s_out=target.quantization.scale,
            zero_point=target.quantization.zero_point,
            clamp_min=target.low,
            clamp_max=target.high,
        )

        def layer(output: str) -> MacLayer:
            return form.kind(
                name=node.layer_name, inputs=(form.source,), output=output, geometry=form.geometry, weights=operands.weights,
                weight_format=operands.format, bias=operands.bias, input_zero_point=known.zero_point, requant=requant,
                weight_scales=np.float32(alpha) * operands.scales, weight_zero_points=operands.zero_points,
                real_bias=node.net.real_biases.get(node.layer_name),
            )  # fmt: skip

        made = Codes(target.name, form.shape, target.quantization.format, target.quantization)
        node.net.from_ordered(made, form.order, order_name(form.order), layer)

    return Pending(form.shape, emit, f"a {node.op}")


def operands_of(node: NodeContext, weights: Weights, order: Shape, bias: NDArray[np.int64] | None) -> Operands:
    """Zero points subtracted along axis 0, axes brought to (oc, kh, kw, ic/groups)."""
    channels = len(weights.codes)
    for what, values in (("scales", weights.scales), ("zero points", weights.zero_points)):
        node.need(
            len(values) == 1 or (len(values) == channels and weights.axis == 0),
            f"its weights have {len(values)} {what} along axis {weights.axis} for {channels} output channels",
            "one per tensor or one per output channel",
        )
    bits = weights.bits or width(weights.codes.dtype)
    centred, fmt = _centred(weights, bits)
    signed = weights.codes.dtype.kind == "i"
    zeros = stored_zero_points(weights.zero_points, fmt, bits=bits, signed=signed)
    return Operands(contiguous(centred.transpose(order)), weights.scales, bias, bits, fmt, zeros)


def stored_zero_points(
    zero_points: NDArray[Any], fmt: IntFormat, *, bits: int, signed: bool
) -> NDArray[np.int64] | None:
    """Zero points of codes of ``bits`` bits, taken without a sign, whose values are of ``fmt``; None where the values are as narrow, and
    stored themselves."""
    if fmt.bits <= bits:
        return None
    return zero_points.astype(np.int64).reshape(-1) + ((1 << (bits - 1)) if signed else 0)


def _centred(weights: Weights, bits: int) -> tuple[NDArray[Any], IntFormat]:
    """The codes without their zero points, and the format of ``bits`` or more that holds them; the very codes where they are it."""
    low, high = _range(weights)
    fmt = IntFormat(max(bits, 1 + max(high.bit_length(), (-1 - low).bit_length())))
    if fmt.dtype == weights.codes.dtype and not weights.zero_points.any():
        return weights.codes, fmt
    centred = np.empty_like(weights.codes, dtype=fmt.dtype)
    for rows, block in _blocks(weights):
        centred[rows] = block
    return centred, fmt


def _range(weights: Weights) -> tuple[int, int]:
    """Least and greatest code without its zero point, 0 included."""
    codes, zeros = weights.codes, weights.zero_points
    if len(zeros) == 1 and codes.dtype.kind in "iu":
        zero = int(zeros[0])  # which lies in the range of the codes: with it counted, 0 is
        return int(codes.min(initial=zero)) - zero, int(codes.max(initial=zero)) - zero
    low, high = 0, 0
    for _, block in _blocks(weights):
        low, high = min(low, int(block.min(initial=0))), max(high, int(block.max(initial=0)))
    return low, high


def _blocks(weights: Weights) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Some channels after some others, zero points subtracted: all at once would take several times the memory of the codes."""
    codes, zeros = weights.codes, weights.zero_points.astype(np.int32).reshape(-1, *(1,) * (weights.codes.ndim - 1))
    step = max(1, _BLOCK * len(codes) // max(codes.size, 1))
    for lo in range(0, len(codes), step):
        rows = slice(lo, lo + step)
        yield rows, codes[rows].astype(np.int32) - (zeros if len(zeros) == 1 else zeros[rows])


def quantized_weights(node: NodeContext, position: int, scale: int, zero_point: int, *, axis: int) -> Weights:
    """A constant operand of a QLinear operator, per tensor or per output channel (``axis``)."""
    codes = node.array(position, "weights")
    node.need(is_codes(codes), f"its weights are {codes.dtype}", ACCEPTED)
    scales, zeros, _ = node.parameters(scale, zero_point, format_of(codes.dtype))
    per_channel = max(len(scales), len(zeros)) > 1
    return Weights(codes, scales, zeros, axis if per_channel else None)


def dequantized_weights(node: NodeContext, position: int) -> Weights:
    """A constant behind a DequantizeLinear; RefusalError for anything else."""
    value = node.value(position)
    if not isinstance(value, Weights) or not is_codes(value.codes):
        raise RefusalError(
            f"its weights (input {position}) are not dequantized from a constant",
            f"weights that are constant, {ACCEPTED}",
        )
    return value


def _int32_bias(node: NodeContext, position: int, channels: int) -> NDArray[np.int64] | None:
    if node.optional(position) is None:
        return None
    return _bias(node, node.array(position, "bias values"), channels)


def _bias(node: NodeContext, bias: NDArray[Any], channels: int) -> NDArray[np.int64]:
    node.need(
        bias.dtype == np.int32 and bias.size == channels == max(bias.shape, default=0),
        f"its bias is {bias.dtype} of shape {list(bias.shape)} for {channels} output channels",
        "int32, one per output channel",
    )
    return bias.reshape(-1).astype(np.int64)


def dequantized_bias(
    node: NodeContext, position: int, image: Codes, weights: Weights, *, axis: int, owner: NodeContext | None = None
) -> NDArray[np.int64] | None:
    """A bias in units of s_in * s_w, one per output channel (``axis`` of the weights); None where it is absent.

    ``owner``: the node whose layer it becomes a part of, where that is another.
    """
    value = node.optional(position)
    if value is None:
        return None
    channels = weights.codes.shape[axis]
    expected = np.float64(image.known.scale) * weights.scales.astype(np.float64)
    if isinstance(value, np.ndarray):
        return rounded_bias(owner or node, value, expected, channels)
    if not isinstance(value, Weights):
        raise RefusalError(
            f"its bias (input {position}) is computed at run time",
            f"a float32 bias that is constant, or one dequantized from {INT32}",
        )
    if not _in_units(value, expected, channels):
        node.need(
            value.codes.dtype != np.int32 or node.op == "Conv",
            "the scale of its bias is not s_in * s_w, or it has a zero point, which ONNX Runtime leaves out of a product",
            "an int32 bias with scale s_in * s_w and zero point 0, or a float32 one",
        )
        return rounded_bias(owner or node, dequantized(value), expected, channels)
    return _bias(node, value.codes, channels)


def _in_units(bias: Weights, expected: NDArray[np.float64], channels: int) -> bool:
    """Whether a bias is int32 in units of s_in * s_w, as ONNX Runtime's integer kernels take it."""
    scales = bias.scales.astype(np.float64)
    if bias.codes.dtype != np.int32 or bias.codes.size != channels or bias.zero_points.any():
        return False
    alike = 1 in (scales.size, expected.size) or scales.size == expected.size
    return alike and float(np.abs(scales / expected - 1).max()) <= BIAS_SCALE_TOLERANCE
