"""The floating-point reading of a quantized layer: dequantize, compute in float32 or float64, quantize (Jacob et al. 1712.05877).

``round_half_even(y / s_out) + z_out``, clamped, as torch.fake_quantize and ONNX's QuantizeLinear do it. :data:`READINGS` says
for every kind of layer what it computes in real numbers, or why it has no such reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import accelsim.graph as kinds
from accelsim.graph import AveragePool2D, Layer, MacGeometry, MacLayer, RealFunction, RealScale, Tensor
from accelsim.numerics import FLOAT32_OPERATORS, Requant, Rounding, Thresholds
from accelsim.verification import names
from accelsim.verification.readings.exact import DOUBTFUL, multipliers_of
from accelsim.verification.readings.linear import has_thresholds, is_linear, real_multipliers

Array = NDArray[Any]
Float = type[Any]
"""numpy.float32 or numpy.float64."""
Tensors = Mapping[str, Tensor]


def _normal(x: Array) -> Array:
    """The normal distribution's part below ``x``, which is shifted by half an erf."""
    wide = np.frompyfunc(lambda value: 0.5 * math.erfc(-value / math.sqrt(2)), 1, 1)(x.astype(np.float64))
    return np.asarray(wide, x.dtype)


_UNARY: dict[str, Callable[[Array], Array]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "HARDSWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "QUANTIZE": lambda x: x,
    "EXP": np.exp,
    "LOG": lambda x: np.log(np.maximum(x, np.finfo(x.dtype).tiny)),
    "ABS": np.abs,
    "ELU": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "RSQRT": lambda x: 1 / np.sqrt(np.maximum(x, np.finfo(x.dtype).tiny)),
    "GELU_TANH": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "GELU": lambda x: x * _normal(x),
}
_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "MINIMUM": np.minimum, "MAXIMUM": np.maximum,
    "PRELU": lambda x, alpha: np.where(x >= 0, x, x * alpha), "SQUARED_DIFFERENCE": lambda x, y: (x - y) ** 2,
}  # fmt: skip


class SingleRounding(NamedTuple):
    """A rule that rounds the real value once; ``raw``: the mean of the codes as they are, zero points included."""

    key: str
    rounding: Rounding = Rounding.HALF_EVEN
    parity: bool = False
    raw: bool = False
    detail: str = ""


class FloatReading(NamedTuple):
    """What a kind computes in real numbers: ``real(layer, operands, tensors, kind)``, where ``known(layer, tensors)`` holds.

    An ablation of its integers takes ``roundings`` one after the other; what is then left stands under ``last`` (a cause of
    :mod:`accelsim.verification.names`).
    """

    real: Callable[..., Array]
    known: Callable[..., bool]
    roundings: tuple[SingleRounding, ...] = ()
    last: str = names.OPERATOR


class NoReading(NamedTuple):
    """A kind without a floating-point reading."""

    because: str


MOVES = NoReading("every output is an input, or a constant: real numbers and codes tell the same story")


def reading_of(layer: Layer) -> FloatReading | NoReading:
    """The entry of the layer's kind; KeyError for one that states neither a reading nor why it has none."""
    if isinstance(layer, AveragePool2D):
        return POOL_READINGS[layer.rule]
    if isinstance(layer, kinds.ResizeBilinear):
        return RESIZE_READINGS[layer.rule]
    try:
        return READINGS[type(layer)]
    except KeyError:
        raise KeyError(f"{type(layer).__name__}: no entry in READINGS; state its reading, or why it has none") from None


def moves_codes(layer: Layer) -> bool:
    """Whether ``layer`` only moves codes."""
    return reading_of(layer) is MOVES


def has_float_reading(layer: Layer, tensors: Tensors) -> bool:
    """Whether every scale is known and the layer computes something that real numbers say differently from codes."""
    if any(tensors[name].scale is None for name in (*layer.inputs, layer.output)):
        return False
    reading = reading_of(layer)
    return isinstance(reading, FloatReading) and reading.known(layer, tensors)


def fake_quantized(layer: Layer, inputs: Sequence[Array], tensors: Tensors, kind: Float = np.float32) -> Array:
    """int64 codes of ``layer`` in its output view, from input codes; ``has_float_reading`` must hold."""
    views = _views(layer, inputs, tensors, kind)
    target = tensors[layer.output]
    assert target.scale is not None
    if real_function(layer) is not None:
        return chained_codes(layer, _before_chain(layer, views, kind))
    codes = np.rint(_real(layer, views, tensors, kind) / kind(target.scale)) + kind(target.zero_point)
    low, high = _clamp(layer, target)
    return np.asarray(np.clip(codes, low, high).astype(np.int64).reshape(layer.output_shape))


def exactly_read(
    layer: Layer,
    inputs: Sequence[Array],
    tensors: Tensors,
    *,
    rounding: Rounding = Rounding.HALF_EVEN,
    parity: bool = False,
) -> Array:
    """As :func:`fake_quantized` in float64, where a value within that precision of half-way between two codes is half-way.

    With ``parity`` the zero point is added before rounding.
    """
    if real_function(layer) is not None:
        return fake_quantized(layer, inputs, tensors, np.float64)
    target = tensors[layer.output]
    assert target.scale is not None
    real = _real(layer, _views(layer, inputs, tensors, np.float64), tensors, np.float64) / np.float64(target.scale)
    halves = np.rint(2 * real)
    near = np.abs(2 * real - halves) < np.maximum(np.abs(real), 1.0) * DOUBTFUL
    before = target.zero_point if parity else 0
    placed = np.where(near, halves / 2, real) + before
    away = np.sign(placed) * np.floor(np.abs(placed) + 0.5)
    codes = (away if rounding is Rounding.HALF_AWAY else np.rint(placed)) + (target.zero_point - before)
    return np.asarray(np.clip(codes, *_clamp(layer, target)).astype(np.int64).reshape(layer.output_shape))


def _views(layer: Layer, inputs: Sequence[Array], tensors: Tensors, kind: Float) -> list[Array]:
    reals = [_dequantize(x, tensors[name], kind) for x, name in zip(inputs, layer.inputs, strict=True)]
    return [x.reshape(view) for x, view in zip(reals, layer.input_shapes, strict=True)]


def real_function(layer: Layer) -> RealFunction | None:
    """The layer's own chain of floating-point operators, where its source model has one."""
    return getattr(layer, "real_function", None)


def chained_codes(layer: Layer, reals: Sequence[Array]) -> Array:
    """int64 codes of real sums or operands (..., C), channels last, through the layer's own chain."""
    function = real_function(layer)
    assert function is not None
    if len(reals) > 1:
        return np.asarray(function(*reals)).reshape(layer.output_shape)
    (real,) = reals
    rows = real.reshape(-1, real.shape[-1]).T
    return np.asarray(function(np.ascontiguousarray(rows)).T.reshape(layer.output_shape))


def _before_chain(layer: Layer, views: Sequence[Array], kind: Float) -> Sequence[Array]:
    if isinstance(layer, MacLayer):
        return [_products_of(layer, views[0], kind)]
    if isinstance(layer, AveragePool2D):
        return [_average(layer, views[0], kind)]
    return [_mean(layer, views, {}, kind)] if isinstance(layer, kinds.Mean) else views


def _dequantize(x: Array, of: Tensor | RealScale, kind: Float) -> Array:
    assert of.scale is not None
    centred: Array = (x.astype(np.int64) - of.zero_point).astype(kind)
    return np.asarray(centred * kind(of.scale))


def _clamp(layer: Layer, target: Tensor) -> tuple[int, int]:
    requant, clamp = getattr(layer, "requant", None), getattr(layer, "clamp", None)
    if isinstance(requant, Requant | Thresholds):
        return requant.clamp_min, requant.clamp_max
    if clamp is not None:
        return int(clamp[0]), int(clamp[1])
    if isinstance(layer, AveragePool2D) or (isinstance(layer, kinds.Mean) and layer.rule == "dequantized"):
        return max(layer.clamp_min, target.format.min), min(layer.clamp_max, target.format.max)
    return target.format.min, target.format.max


def _real(layer: Layer, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    reading = reading_of(layer)
    assert isinstance(reading, FloatReading)
    return np.asarray(reading.real(layer, views, tensors, kind))


def _products_of(layer: MacLayer, x: Array, kind: Float) -> Array:
    """Sums of products, without the bias."""
    assert layer.weights is not None
    assert layer.weight_scales is not None
    scales = layer.weight_scales.astype(kind).reshape(-1, 1, 1, 1)
    return convolve(x, layer.weights.astype(kind) * scales, layer.geometry)


def _weighted(layer: MacLayer, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    sums, scale = _products_of(layer, views[0], kind), tensors[layer.inputs[0]].scale
    if layer.bias is None:
        return sums
    if layer.real_bias is not None:
        return np.asarray(sums + layer.real_bias.astype(kind))
    assert scale is not None
    assert layer.weight_scales is not None
    return np.asarray(sums + layer.bias.astype(kind) * (kind(scale) * layer.weight_scales.astype(kind)))


def convolve(x: Array, weights: Array, g: MacGeometry) -> Array:
    """Grouped, strided, dilated convolution of floats: x (n, ih, iw, ic), weights (oc, kh, kw, ic/groups) to (n, oh, ow, oc)."""
    rows, columns = g.axis("h").sources, g.axis("w").sources
    framed = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))  # place -1 is padding
    out = np.zeros((g.n, g.oh, g.ow, g.groups, g.oc_per_group), dtype=x.dtype)
    taps = weights.reshape(g.groups, g.oc_per_group, g.kh, g.kw, g.ic_per_group)
    for ky in range(g.kh):
        for kx in range(g.kw):
            part = framed.take(rows[:, ky], axis=1).take(columns[:, kx], axis=2)
            out += _products(part, taps[:, :, ky, kx], g)
    return out.reshape(g.output_shape)


def _products(part: Array, taps: Array, g: MacGeometry) -> Array:
    """part (n, oh, ow, ic), taps (groups, oc/groups, ic/groups)."""
    split = part.reshape(g.n, g.oh, g.ow, g.groups, g.ic_per_group)
    if g.ic_per_group == 1:
        return np.asarray(split * taps[:, :, 0])
    if g.groups == 1:
        return np.asarray((split[..., 0, :] @ taps[0].T)[..., None, :])
    return np.asarray(np.einsum("nhwgi,goi->nhwgo", split, taps))


def _average(layer: AveragePool2D, x: Array, kind: Float) -> Array:
    rows, columns = (axis.sources for axis in layer.windows)
    framed = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    total, count = np.zeros(layer.shape, dtype=kind), np.zeros(layer.shape[1:3], dtype=kind)
    for ky, kx in np.ndindex(*layer.kernel):
        total += framed.take(rows[:, ky], axis=1).take(columns[:, kx], axis=2)
        count += np.outer(rows[:, ky] >= 0, columns[:, kx] >= 0)
    divisor = np.full_like(count, math.prod(layer.kernel)) if layer.count_include_pad else count
    return np.asarray(total / divisor[None, :, :, None])


def _pool(layer: Any, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    return _average(layer, views[0], kind)


def _mean(layer: kinds.Mean, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    total = views[0].sum(axis=layer.axes, dtype=kind, keepdims=True)
    return np.asarray(total if layer.source_operator == "REDUCESUM" else total / kind(layer.count)).reshape(layer.shape)


def _bilinear(layer: kinds.ResizeBilinear, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    x = views[0]
    for axis, taps in ((1, layer.rows), (2, layer.columns)):
        share = (taps.weight / kind(1 << layer.fraction_bits)).astype(kind).reshape(-1, *[1] * (x.ndim - axis - 1))
        low, high = (x.take(index, axis) for index in (taps.low, taps.high))
        x = low * (1 - share) + high * share
    return x


def _softmax(layer: Layer, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    powers = np.exp(views[0] - views[0].max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _layer_norm(layer: kinds.FloatLayerNorm, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    x, size = views[0], kind(views[0].shape[-1])
    centred = x - x.sum(axis=-1, keepdims=True, dtype=kind) / size
    variance = (centred * centred).sum(axis=-1, keepdims=True, dtype=kind) / size
    assert layer.gamma is not None
    scaled = centred / np.sqrt(variance + kind(layer.epsilon)) * layer.gamma
    return np.asarray(scaled if layer.beta is None else scaled + layer.beta)


def _float_binary(layer: kinds.FloatBinary, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    operands = list(views)
    if layer.constant is not None:
        given = layer.left if layer.constant_first else layer.right
        assert given is not None
        real = _dequantize(layer.constant, given, kind)
        operands = [real, *views] if layer.constant_first else [*views, real]
    return np.asarray(FLOAT32_OPERATORS[layer.source_operator](*operands), kind)


def _leaky_relu(layer: kinds.LeakyRelu, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    """alpha is read from the two encoded ratios."""
    assert layer.positive is not None
    assert layer.negative is not None
    alpha = float(multipliers_of(layer.negative)[0] / multipliers_of(layer.positive)[0])
    return np.where(views[0] >= 0, views[0], views[0] * kind(alpha))


def _unary(layer: Any, views: Sequence[Array], tensors: Tensors, kind: Float) -> Array:
    return _UNARY.get(layer.source_operator, _UNARY["QUANTIZE"])(views[0])


def _has_multipliers(layer: Layer, tensors: Tensors) -> bool:
    is_sum = real_function(layer) is not None or is_linear(layer) or has_thresholds(layer)
    return is_sum and (real_function(layer) is not None or real_multipliers(layer, tensors) is not None)


def _has_function(layer: kinds.Lut | kinds.InterpolatedLut | kinds.BinaryLut, tensors: Tensors) -> bool:
    if real_function(layer) is not None:
        return True
    is_binary = isinstance(layer, kinds.BinaryLut)
    return layer.source_operator in (_BINARY if is_binary else _UNARY) and getattr(layer, "constant", None) is None


def _has_slopes(layer: kinds.LeakyRelu, tensors: Tensors) -> bool:
    return isinstance(layer.positive, Requant) and isinstance(layer.negative, Requant)


def _has_mean(layer: kinds.Mean, tensors: Tensors) -> bool:
    return layer.rule == "dequantized" or _has_multipliers(layer, tensors)


def _always(layer: Layer, tensors: Tensors) -> bool:
    return True


_RAW_MEAN = SingleRounding(names.PARITY, raw=True), SingleRounding(names.TIE, Rounding.HALF_AWAY, raw=True)
_ZERO_POINT_FIRST = (SingleRounding(names.PARITY, parity=True),)
_TIES_AWAY = (SingleRounding(names.TIE, Rounding.HALF_AWAY, detail="half_even against half_away"),)
_TABLE = FloatReading(_unary, _has_function, _TIES_AWAY, names.TABLE)
_WEIGHTED = (kinds.Conv2D, kinds.DepthwiseConv2D, kinds.Dense, kinds.TransposeConv2D)
_MOVING = (
    kinds.ArgMax, kinds.ArgMin, kinds.Concat, kinds.MaxPool2D, kinds.Pad, kinds.ReduceMax, kinds.ReduceMin, kinds.Reshape, kinds.ResizeNearest,
    kinds.StridedSlice, kinds.Transpose,
)  # fmt: skip
POOL_READINGS: Mapping[str, FloatReading] = {
    "codes": FloatReading(_pool, _always, _RAW_MEAN),
    "float32": FloatReading(_pool, _always, _ZERO_POINT_FIRST, names.ORDER),
    "dequantized": FloatReading(_pool, _always, (), names.ORDER),
    "sums": FloatReading(_pool, _has_multipliers),
}
"""An average pool's reading, by its rule."""
RESIZE_READINGS: Mapping[str, FloatReading] = {
    "codes": FloatReading(_bilinear, _always, _RAW_MEAN),
    "dequantized": FloatReading(_bilinear, _always, (), names.ORDER),
}
"""A bilinear resize's reading, by its rule."""
READINGS: dict[type[Layer], FloatReading | NoReading] = {
    **dict.fromkeys(_WEIGHTED, FloatReading(_weighted, _has_multipliers)),
    kinds.MatMul: FloatReading(lambda layer, views, *_: convolve(views[0], views[1], layer.geometry), _has_multipliers),
    kinds.Add: FloatReading(lambda layer, views, *_: views[0] + views[1], _always),
    kinds.Sub: FloatReading(lambda layer, views, *_: views[0] - views[1], _always),
    kinds.Mul: FloatReading(lambda layer, views, *_: views[0] * views[1], _has_multipliers),
    kinds.Mean: FloatReading(_mean, _has_mean),
    kinds.Rescale: FloatReading(_unary, _has_multipliers),
    kinds.LeakyRelu: FloatReading(_leaky_relu, _has_slopes),
    kinds.Lut: _TABLE,
    kinds.InterpolatedLut: _TABLE,
    kinds.BinaryLut: FloatReading(
        lambda layer, views, *_: _BINARY[layer.source_operator](*views), _has_function, _ZERO_POINT_FIRST, names.ORDER
    ),
    kinds.FloatBinary: FloatReading(_float_binary, _always, _ZERO_POINT_FIRST, names.ORDER),
    AveragePool2D: POOL_READINGS["codes"],
    kinds.ResizeBilinear: RESIZE_READINGS["codes"],
    kinds.Softmax: FloatReading(_softmax, _always, _TIES_AWAY, names.EXPONENTIAL),
    kinds.FloatTableSoftmax: FloatReading(_softmax, _always, (), names.TABLE),
    kinds.FloatLayerNorm: FloatReading(_layer_norm, _always, (), names.ORDER),
    kinds.LayerNorm: NoReading("gamma, beta and epsilon are integers alone; their error has a proved bound"),
    **dict.fromkeys(_MOVING, MOVES),
}
"""Every kind of layer: its floating-point reading, or why it has none."""
