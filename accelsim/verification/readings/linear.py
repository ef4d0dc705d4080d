"""Layers that are integer sums followed by one requantization: their sums, and the exact real factor of their scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

import accelsim.graph as kinds
from accelsim.graph import AveragePool2D, Layer, MacLayer, MatMul, Mean, Mul, Rescale, Tensor
from accelsim.kernels import accumulate_with, centred, pool_sums
from accelsim.numerics import Requant, Thresholds
from accelsim.verification.readings.exact import REMEMBERED, product

Array = NDArray[Any]
Averages = Mean | AveragePool2D
Linear = MacLayer | Mul | Averages | Rescale


def is_linear(layer: Layer) -> TypeGuard[Linear]:
    """Whether ``layer`` is a sum and a requantization by a multiplier."""
    return isinstance(layer, Linear) and isinstance(layer.requant, Requant)


def has_thresholds(layer: Layer) -> TypeGuard[MacLayer | Averages]:
    """Whether ``layer`` is a sum that is compared with thresholds."""
    return isinstance(layer, MacLayer | Averages) and isinstance(layer.requant, Thresholds)


def sums_of(layer: Layer, inputs: Sequence[Array]) -> Array:
    """Exact int64 sums in the output view, from input codes in any shape."""
    views = [x.reshape(view) for x, view in zip(inputs, layer.input_shapes, strict=True)]
    sums = np.asarray(SUMS[type(layer)](layer, *views))
    return sums + stage_bias(layer) if isinstance(layer, MacLayer) else sums


def stage_bias(layer: MacLayer) -> Array:
    """The bias that a stage of the requantizer adds, in units of the accumulator: what exact sums have and accumulators have not."""
    return np.zeros(1, dtype=np.int64) if layer.bias is None or layer.array_bias is not None else layer.bias


def _weighted(layer: MacLayer, x: Array) -> Array:
    assert layer.weights is not None
    return accumulate_with(layer, x, layer.weights)


def _matmul(layer: MatMul, left: Array, right: Array) -> Array:
    return accumulate_with(layer, left, centred(right, layer.right_zero_point))


def _mul(layer: Mul, left: Array, right: Array) -> Array:
    return _centred(left, layer.left_zero_point) * _centred(right, layer.right_zero_point)


def _mean(layer: Mean, x: Array) -> Array:
    total = x.sum(axis=layer.axes, dtype=np.int64, keepdims=True) - layer.count * layer.input_zero_point
    return _biased(layer, np.asarray(total).reshape(layer.shape))


def _average_pool(layer: AveragePool2D, x: Array) -> Array:
    whole = ((0,) * x.ndim, x.shape), ((0,) * x.ndim, layer.shape)
    return _biased(layer, pool_sums(layer, _centred(x, layer.input_zero_point), *whole))


def _biased(layer: Averages, sums: Array) -> Array:
    return sums if layer.bias is None else np.asarray(sums + layer.bias)


def _centred(x: Array, zero_point: int) -> Array:
    return np.asarray(x.astype(np.int64) - zero_point)


SUMS: dict[type[Layer], Callable[..., Array]] = {
    **dict.fromkeys((kinds.Conv2D, kinds.DepthwiseConv2D, kinds.Dense, kinds.TransposeConv2D), _weighted),
    MatMul: _matmul,
    Mul: _mul,
    Mean: _mean,
    AveragePool2D: _average_pool,
    Rescale: lambda layer, x: _centred(x, layer.input_zero_point),
}
"""Kinds that are integer sums followed by one requantization."""


def real_multipliers(layer: Layer, tensors: Mapping[str, Tensor]) -> tuple[Fraction, ...] | None:
    """``s_in * s_w / s_out`` (or the operator's own ratio), exactly; None where a scale is unknown."""
    scales = [tensors[name].scale for name in (*layer.inputs, layer.output)]
    known = tuple(scale for scale in scales if scale is not None)
    if len(known) < len(scales) or not _has_scales(layer):
        return None
    return _ratios(layer, known)


@lru_cache(maxsize=REMEMBERED)
def _ratios(layer: Layer, known: tuple[float, ...]) -> tuple[Fraction, ...]:
    ratio = product(*known[:-1]) / Fraction(known[-1])
    if isinstance(layer, MacLayer) and layer.weight_scales is not None:
        return tuple(ratio * Fraction(float(scale)) for scale in layer.weight_scales)
    return (ratio / divisor_of(layer),)


def divisor_of(layer: Layer) -> int:
    """What the sums of ``layer`` are divided by: a mean's number of elements, 1 elsewhere."""
    if isinstance(layer, AveragePool2D):
        return layer.whole
    return layer.count if isinstance(layer, Mean) and layer.source_operator != "REDUCESUM" else 1


def _has_scales(layer: Layer) -> bool:
    """Whether the factor behind its sums is known; float operators that a mean's own hold more than a factor."""
    if isinstance(layer, Averages):
        return layer.real_function is None
    return not isinstance(layer, MacLayer) or isinstance(layer, MatMul) or layer.weight_scales is not None
