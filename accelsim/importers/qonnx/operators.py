"""ONNX's own operators between the Quant nodes of a QONNX graph: layers that start float chains, operators that go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Dense, MacGeometry
from accelsim.importers.onnx import formulas
from accelsim.importers.onnx.chain_bases import Sums, TwoTensors, per_channel
from accelsim.importers.onnx.chains import Chained, chain
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.functions import BINARY, UNARY
from accelsim.importers.onnx.lower.binary import broadcast_shape
from accelsim.importers.onnx.lower.mac import Form, convolution_form, window_form
from accelsim.importers.onnx.lower.shape import concat_layer, concat_shape, lower_transpose, moved
from accelsim.importers.onnx.network import Codes, Real
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.site import Site
from accelsim.importers.qonnx.lower import chain_of
from accelsim.importers.qonnx.quantizer import QuantizedWeights, numbers
from accelsim.numerics import IntFormat


def lower_conv(site: Site) -> None:
    """Sums of codes over quantized weights; the bias, float or quantized, is added after them."""
    image, given = _activation(site), _weights(site, 1)
    form = convolution_form(site, image, given.codes.shape)
    weights, fmt, scales = _centred(site, given, 0)
    sums = _sums(site, image, form, weights.transpose(0, 2, 3, 1), fmt, scales)
    _with_bias(site, chain(sums, sums.shape, "a Conv"))


def _sums(
    site: Site, image: Codes, form: Form, weights: NDArray[Any], fmt: IntFormat, scales: Floats, divisor: int = 1
) -> Sums:
    """``weights`` (oc, kh, kw, ic/groups)."""
    return Sums(
        site=site, kind=form.kind, operator=form.operator, image=image, source=form.source, shape=form.shape,
        geometry=form.geometry, weights=np.ascontiguousarray(weights), weight_format=fmt, unit=_unit(image, scales),
        scales=scales, divisor=divisor,
    )  # fmt: skip


def lower_product(site: Site) -> None:
    """MatMul, or Gemm with alpha and beta 1, with constant weights."""
    image, given = _activation(site), _weights(site, 1)
    turned = bool(site.integer("transB", 0))
    factors = site.integer("transA", 0), site.number("alpha", 1.0), site.number("beta", 1.0)
    site.need(factors == (0, 1.0, 1.0), f"its transA, alpha and beta are {factors}", "0, 1 and 1")
    site.need(given.codes.ndim == 2, f"its weights have shape {list(given.codes.shape)}", "a matrix")
    weights, fmt, scales = _centred(site, given, 0 if turned else 1)
    matrix = weights if turned else weights.T
    units, k = matrix.shape
    fits = bool(image.shape) and image.shape[-1] == k
    site.need(fits, f"it multiplies {list(image.shape)} with {k} x {units} weights", "equal inner sizes")
    rows = math.prod(image.shape[:-1])
    sums = Sums(
        site=site, kind=Dense, operator="FULLY_CONNECTED", image=image, source=site.net.plain(image),
        shape=(*image.shape[:-1], units), geometry=MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=units),
        weights=np.ascontiguousarray(matrix.reshape(units, 1, 1, k)), weight_format=fmt, unit=_unit(image, scales),
        scales=scales,
    )  # fmt: skip
    _with_bias(site, chain(sums, sums.shape, f"a {site.node.op}", is_product=True))


def lower_average_pool(site: Site) -> None:
    """A sum over the window on the array, divided in the chain."""
    site.need("kernel_shape" in site.node.attributes, "it has no kernel_shape", "a kernel_shape")
    padded = any(site.ints("pads", (0, 0, 0, 0))) or site.node.attributes.get("auto_pad", "NOTSET") != "NOTSET"
    count_pad = bool(site.integer("count_include_pad", 0))
    site.need(not padded or count_pad, "it leaves padding out of the mean", "no pads, or count_include_pad 1")
    site.need(not site.integer("ceil_mode", 0), "its ceil_mode is on", "ceil_mode 0")
    _pool(site, site.ints("kernel_shape", (1, 1)))


def lower_global_average_pool(site: Site) -> None:
    """The same over all rows and columns."""
    shape = _activation(site).shape
    site.need(len(shape) == 4, f"its input has shape {list(shape)}", "4 dimensions")
    _pool(site, (shape[2], shape[3]))


def _pool(site: Site, kernel: tuple[int, ...]) -> None:
    image = _activation(site)
    site.need(len(image.shape) == 4, f"its input has shape {list(image.shape)}", "4 dimensions")
    channels, cells = image.shape[1], math.prod(kernel)
    ones = np.ones((channels, *kernel, 1), np.uint8)
    form = window_form(site, image, (channels, 1, *kernel), channels)
    sums = _sums(site, image, form, ones, IntFormat(1, signed=False), np.ones(1, np.float32), cells)
    site.result(chain(sums, sums.shape, f"a {site.node.op}"))


def lower_arithmetic(site: Site) -> None:
    """Add, Sub, Mul, Div: with a constant they go on with a chain, of two quantized tensors they start one."""
    site.need(len(site.node.inputs) == 2, f"it has {len(site.node.inputs)} operands", "two operands")
    constant = [site.is_constant(i) for i in (0, 1)]
    if all(constant):
        site.result(BINARY[site.node.op](numbers(site, 0, "operand"), numbers(site, 1, "operand")))
    elif any(constant):
        site.result(_with_constant(site, chain_of(site, constant.index(False)), constant.index(True)))
    else:
        _of_two(site)


def _of_two(site: Site) -> None:
    values = site.value(0), site.value(1)
    if not all(isinstance(value, Real) for value in values):
        raise RefusalError("an operand of it is not quantized", "a Quant after each of its operands")
    left, right = site.codes(0), site.codes(1)
    base = TwoTensors(site, left, right, BINARY[site.node.op])
    site.result(chain(base, broadcast_shape(site, left, right), f"a {site.node.op}"))


def _with_constant(site: Site, before: Chained, position: int) -> Chained:
    """One more step of ``before``; the constant is operand ``position``."""
    op, first = site.node.op, position == 0
    column = per_channel(site, numbers(site, position, "operand"), before)
    site.need(op != "Div" or not first, "it divides a constant by an activation", "a constant divisor")
    operator = BINARY[op]

    def function(x: Floats) -> Floats:
        return operator(column, x) if first else operator(x, column)

    flat = column.reshape(-1).astype(np.float64)
    gain, offset = _line(op, flat, first=first)
    line = before.line and before.line.mapped(gain, offset)
    return before.then(function, line, channels=len(column), what=f"the {op}")


def _line(op: str, constant: NDArray[np.float64], *, first: bool) -> tuple[Any, Any]:
    if op in ("Mul", "Div"):
        with np.errstate(divide="ignore"):
            return (constant if op == "Mul" else 1 / constant), 0.0
    if op == "Add":
        return 1.0, constant
    return (-1.0, constant) if first else (1.0, -constant)


def lower_batch_normalization(site: Site) -> None:
    """``x * g + (bias - mean * g)`` with ``g = scale / sqrt(variance + epsilon)``, in float32 (ONNX Runtime batch_norm.h)."""
    before = chain_of(site, 0)
    site.need(before.axis == 1, f"its input has {len(before.shape)} axes", "channels on axis 1: 2 or 4 axes")
    scale, bias, mean, variance = (numbers(site, i, "parameter").reshape(-1) for i in (1, 2, 3, 4))
    sizes = {p.size for p in (scale, bias, mean, variance)}
    site.need(sizes == {before.shape[1]}, f"its parameters have {sorted(sizes)} values", f"{before.shape[1]} each")
    site.need(bool((variance >= 0).all()), "its variance is negative", "variances of 0 or more")
    gain = scale * (np.float32(1) / np.sqrt(variance + np.float32(site.number("epsilon", 1e-5))))
    offset = bias - mean * gain

    def function(x: Floats) -> Floats:
        normalized: Floats = x * gain[:, None] + offset[:, None]
        return normalized

    line = before.line and before.line.mapped(gain, offset)
    site.result(before.then(function, line, channels=len(gain), what="the BatchNormalization"))


def lower_rectifier(site: Site) -> None:
    """Relu, and Clip with constant bounds (opset 11 and later) or attributes."""
    before = chain_of(site, 0)
    least, most = (0.0, math.inf) if site.node.op == "Relu" else (site.scalar(1, -math.inf), site.scalar(2, math.inf))
    site.need(least <= most, f"its bounds are {least} and {most}", "bounds in ascending order")
    line = before.line and before.line.clipped(least, most)

    def function(x: Floats) -> Floats:
        bounded: Floats = np.clip(x, np.float32(least), np.float32(most))
        return bounded

    site.result(before.then(function, line, what=f"the {site.node.op}"))


def lower_function(site: Site) -> None:
    """Any other function of one number."""
    op = site.node.op
    with_attributes: Mapping[str, Callable[[], formulas.Function]] = {
        "LeakyRelu": lambda: formulas.leaky_relu(site.number("alpha", 0.01)),
        "HardSigmoid": lambda: formulas.hard_sigmoid(site.number("alpha", 0.2), site.number("beta", 0.5)),
    }
    function = with_attributes[op]() if op in with_attributes else _FUNCTIONS[op]
    site.result(chain_of(site, 0).then(function, None, what=f"the {op}"))


_FUNCTIONS: Mapping[str, formulas.Function] = MappingProxyType(
    {"Sigmoid": formulas.sigmoid, "Tanh": formulas.tanh, "HardSwish": formulas.hard_swish, **UNARY}
)


def lower_concat(site: Site) -> None:
    """Codes of one quantization side by side."""
    if not all(isinstance(site.value(i), Real) for i in range(len(site.node.inputs))):
        raise RefusalError("an operand of it is not quantized", "a Quant after each of its operands")
    parts = [site.codes(i) for i in range(len(site.node.inputs))]
    same = {(part.format, part.quantization) for part in parts}
    site.need(len(same) == 1, "its operands differ in scale or bit-width", "one quantization for all of them")
    shape, axis = concat_shape(site, parts)
    out = moved(site, parts[0], shape)
    site.net.layers.append(concat_layer(site, parts, [p.tensor for p in parts], out.tensor, shape, axis))


def lower_turn(site: Site) -> None:
    """Transpose of weights now, of codes by a layer."""
    value = site.value(0)
    if not isinstance(value, QuantizedWeights):
        lower_transpose(site)
        return
    rank = value.codes.ndim
    order = site.ints("perm", tuple(reversed(range(rank))))
    site.need(sorted(order) == list(range(rank)), f"its perm is {order}", "each axis once")
    axis = None if value.axis is None else order.index(value.axis)
    codes = np.ascontiguousarray(value.codes.transpose(order))
    site.result(QuantizedWeights(codes, value.scales, value.zero_points, axis, value.format))


def _activation(site: Site) -> Codes:
    value = site.value(0)
    if not isinstance(value, Real):
        site.codes(0)
        raise RefusalError("its input is codes without a scale", "a Quant before it")
    return value.codes


def _weights(site: Site, position: int) -> QuantizedWeights:
    value = site.value(position)
    if not isinstance(value, QuantizedWeights) or not value.codes.size:
        raise RefusalError(f"its weights (input {position}) are not quantized", "a constant behind a Quant")
    return value


def _centred(site: Site, given: QuantizedWeights, axis: int) -> tuple[NDArray[Any], IntFormat, Floats]:
    """Codes without zero points, the format that holds them, and scales per tensor or along ``axis``."""
    site.need(
        given.axis in (None, axis), f"the scales of its weights differ along axis {given.axis}", f"axis {axis}, or one"
    )
    zeros = given.zero_points
    spread = zeros if zeros.size == 1 else zeros.reshape([-1 if i == axis else 1 for i in range(given.codes.ndim)])
    centred = given.codes.astype(np.int64) - spread
    fmt = given.format if not zeros.any() else IntFormat(given.format.bits + 1)
    return centred.astype(fmt.dtype), fmt, given.scales


def _unit(image: Codes, scales: Floats) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = np.float64(image.known.scale) * scales.astype(np.float64)
    return unit


def _with_bias(site: Site, before: Chained) -> None:
    if site.optional(2) is None:
        site.result(before)
        return
    if not site.is_constant(2):
        raise RefusalError("its bias (input 2) is computed at run time", "a constant bias, float or quantized")
    bias, channels = numbers(site, 2, "bias").reshape(-1), before.shape[before.axis]
    site.need(bias.size == channels, f"its bias has {bias.size} values", f"one for each of {channels} channels")
    line = before.line and before.line.mapped(1.0, bias)
    column = bias[:, None]
    site.result(before.then(lambda x: x + column, line, channels=channels, what=before.what))
