"""The floating-point reading of a quantized layer: dequantize, compute in float32 or float64, quantize (Jacob et al. 1712.05877).

``round_half_even(y / s_out) + z_out``, clamped, as torch.fake_quantize and ONNX's QuantizeLinear do it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import (
    Add,
    AveragePool2D,
    BinaryLut,
    FloatAveragePool2D,
    FloatTableSoftmax,
    InterpolatedLut,
    Layer,
    LeakyRelu,
    Lut,
    MacGeometry,
    MacLayer,
    MatMul,
    Mean,
    Mul,
    RealFunction,
    Rescale,
    Softmax,
    Sub,
    Tensor,
)
from accelsim.numerics import Requant, Rounding, Thresholds
from accelsim.verification.readings.exact import DOUBTFUL
from accelsim.verification.readings.linear import has_thresholds, is_linear, real_multipliers

Array = NDArray[Any]
Float = type[Any]
"""numpy.float32 or numpy.float64."""
_UNARY: dict[str, Callable[[Array], Array]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "HARDSWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "QUANTIZE": lambda x: x,
}


def has_float_reading(layer: Layer, tensors: Mapping[str, Tensor]) -> bool:
    """Whether every scale is known and the layer computes something that real numbers say differently from codes."""
    if any(tensors[name].scale is None for name in (*layer.inputs, layer.output)):
        return False
    if real_function(layer) is not None:
        return not isinstance(layer, MacLayer) or real_multipliers(layer, tensors) is not None
    if is_linear(layer) or has_thresholds(layer):
        return real_multipliers(layer, tensors) is not None
    if isinstance(layer, Lut | InterpolatedLut):
        return layer.source_operator in _UNARY
    if isinstance(layer, BinaryLut):
        return layer.constant is None and layer.source_operator in ("ADD", "SUB", "MUL")
    if isinstance(layer, LeakyRelu):
        return isinstance(layer.positive, Requant) and isinstance(layer.negative, Requant)
    return isinstance(layer, Add | AveragePool2D | FloatAveragePool2D | Softmax | FloatTableSoftmax)


def fake_quantized(
    layer: Layer, inputs: Sequence[Array], tensors: Mapping[str, Tensor], kind: Float = np.float32
) -> Array:
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
    tensors: Mapping[str, Tensor],
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


def _views(layer: Layer, inputs: Sequence[Array], tensors: Mapping[str, Tensor], kind: Float) -> list[Array]:
    reals = [_dequantize(x, tensors[name], kind) for x, name in zip(inputs, layer.inputs, strict=True)]
    return [x.reshape(view) for x, view in zip(reals, layer.input_shapes, strict=True)]


def real_function(layer: Layer) -> RealFunction | None:
    """The layer's own chain of floating-point operators, where its source model has one."""
    return layer.real_function if isinstance(layer, MacLayer | Lut | BinaryLut) else None


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
    if not isinstance(layer, MacLayer):
        return views
    assert layer.weights is not None
    assert layer.weight_scales is not None
    scales = layer.weight_scales.astype(kind).reshape(-1, 1, 1, 1)
    return [convolve(views[0], layer.weights.astype(kind) * scales, layer.geometry)]


def _dequantize(x: Array, tensor: Tensor, kind: Float) -> Array:
    assert tensor.scale is not None
    centred: Array = (x.astype(np.int64) - tensor.zero_point).astype(kind)
    return np.asarray(centred * kind(tensor.scale))


def _clamp(layer: Layer, target: Tensor) -> tuple[int, int]:
    if isinstance(layer, MacLayer | Mul | Mean | Rescale | Add) and isinstance(layer.requant, Requant | Thresholds):
        return layer.requant.clamp_min, layer.requant.clamp_max
    if isinstance(layer, AveragePool2D | FloatAveragePool2D):
        return max(layer.clamp_min, target.format.min), min(layer.clamp_max, target.format.max)
    return target.format.min, target.format.max


def _real(layer: Layer, views: Sequence[Array], tensors: Mapping[str, Tensor], kind: Float) -> Array:
    if isinstance(layer, MacLayer):
        return _mac(layer, views, tensors, kind)
    if isinstance(layer, BinaryLut):
        return {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[layer.source_operator](*views)
    if isinstance(layer, Add):
        return views[0] - views[1] if isinstance(layer, Sub) else views[0] + views[1]
    if isinstance(layer, Mul):
        return np.asarray(views[0] * views[1])
    if isinstance(layer, Mean):
        averaged = real_multipliers(layer, tensors) != _sum_ratio(layer, tensors)
        total = views[0].sum(axis=layer.axes, dtype=kind, keepdims=True)
        return np.asarray(total / kind(layer.count) if averaged else total).reshape(layer.shape)
    if isinstance(layer, AveragePool2D | FloatAveragePool2D):
        return _average(layer, views[0], kind)
    if isinstance(layer, Softmax | FloatTableSoftmax):
        powers = np.exp(views[0] - views[0].max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if isinstance(layer, LeakyRelu):
        return np.where(views[0] >= 0, views[0], views[0] * kind(_slope(layer)))
    assert isinstance(layer, Rescale | Lut | InterpolatedLut)
    return _UNARY[layer.source_operator](views[0]) if layer.source_operator in _UNARY else views[0]


def _sum_ratio(layer: Mean, tensors: Mapping[str, Tensor]) -> Any:
    ratio = real_multipliers(layer, tensors)
    return None if ratio is None or layer.source_operator != "REDUCESUM" else ratio


def _slope(layer: LeakyRelu) -> float:
    """alpha, read from the two encoded ratios."""
    from accelsim.verification.readings.exact import multipliers_of

    assert layer.positive is not None
    assert layer.negative is not None
    return float(multipliers_of(layer.negative)[0] / multipliers_of(layer.positive)[0])


def _mac(layer: MacLayer, views: Sequence[Array], tensors: Mapping[str, Tensor], kind: Float) -> Array:
    if isinstance(layer, MatMul):
        return convolve(views[0], views[1], layer.geometry)
    assert layer.weights is not None
    assert layer.weight_scales is not None
    scales = layer.weight_scales.astype(kind).reshape(-1, 1, 1, 1)
    sums = convolve(views[0], layer.weights.astype(kind) * scales, layer.geometry)
    if layer.bias is None:
        return sums
    if layer.real_bias is not None:
        return np.asarray(sums + layer.real_bias.astype(kind))
    scale = tensors[layer.inputs[0]].scale
    assert scale is not None
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


def _average(layer: AveragePool2D | FloatAveragePool2D, x: Array, kind: Float) -> Array:
    rows, columns = (axis.sources for axis in layer.windows)
    framed = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    total, count = np.zeros(layer.shape, dtype=kind), np.zeros(layer.shape[1:3], dtype=kind)
    for ky, kx in np.ndindex(*layer.kernel):
        total += framed.take(rows[:, ky], axis=1).take(columns[:, kx], axis=2)
        count += np.outer(rows[:, ky] >= 0, columns[:, kx] >= 0)
    include = isinstance(layer, FloatAveragePool2D) and layer.count_include_pad
    divisor = np.full_like(count, math.prod(layer.kernel)) if include else count
    return np.asarray(total / divisor[None, :, :, None])
