"""What ONNX Runtime computes on dequantized codes, in float32 and in its own order of operations (MLAS, x86 with AVX2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import RealScale
from accelsim.numerics import IntFormat, dequantize_float32, fused, mlas_logistic, mlas_tanh, quantize_float32

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
Function = Callable[[Floats], Floats]
ACCEPTED = "int2, int4, int8 or int16, signed or not"
_INTEGER = re.compile(r"u?int([0-9]+)")


@dataclass(frozen=True)
class Quantization:
    """One scale (a float32 value) and zero point of a tensor of ``format``: real = ``scale`` * (code - ``zero_point``)."""

    scale: float
    zero_point: int
    format: IntFormat

    @property
    def codes(self) -> Codes:
        """Every code, ascending."""
        every: Codes = np.arange(self.format.min, self.format.max + 1, dtype=np.int64)
        return every

    @property
    def real(self) -> RealScale:
        """What the codes stand for, whatever their format."""
        return RealScale(scale=self.scale, zero_point=self.zero_point)


def quantize(x: Floats, to: Quantization) -> Codes:
    """QuantizeLinear."""
    return quantize_float32(x, to.scale, to.zero_point, to.format.min, to.format.max)


def dequantize(codes: Codes, of: Quantization) -> Floats:
    """DequantizeLinear."""
    return dequantize_float32(codes, of.scale, of.zero_point)


def unary_table(function: Function, source: Quantization, target: Quantization) -> Codes:
    """Codes of ``function`` for every input code (ONNX Runtime qlinear_lookup_table.cc)."""
    with np.errstate(over="ignore"):
        real = function(dequantize(source.codes, source)).astype(np.float32)
    return quantize(real, target)


def sum_table(left: Quantization, right: Quantization, to: Quantization) -> Codes:
    """QLinearAdd of every pair of codes, shape (256, 256) (MLAS qladd_avx2.cpp).

    ``a*r_a + (b*r_b + fixed)``, ratios ``s_a/s_c`` and ``s_b/s_c``, ``fixed = z_c - (r_a*z_a + r_b*z_b)``; products and sums
    marked here by ``fused`` round once. The zero point is inside the rounding, which is half to even.
    """
    r_a, r_b = (np.float32(q.scale) / np.float32(to.scale) for q in (left, right))
    offset = fused(r_a, np.float32(left.zero_point), r_b * np.float32(right.zero_point))
    fixed = np.float32(to.zero_point) - offset
    a, b = left.codes.astype(np.float32)[:, None], right.codes.astype(np.float32)[None, :]
    return _saturate(fused(a, r_a, fused(b, r_b, fixed)), to)


def product_table(left: Quantization, right: Quantization, to: Quantization) -> Codes:
    """QLinearMul of every pair of codes, shape (256, 256) (MLAS qlmul.cpp, SSE2).

    ``(a - z_a) * (b - z_b)`` exactly, times ``s_a*s_b/s_c``, plus ``z_c``, rounded after each; then half to even.
    """
    ratio = np.float32(left.scale) * np.float32(right.scale) / np.float32(to.scale)
    product = (left.codes - left.zero_point)[:, None] * (right.codes - right.zero_point)[None, :]
    return _saturate(product.astype(np.float32) * ratio + np.float32(to.zero_point), to)


def float_sum_table(left: Quantization, right: Quantization, to: Quantization) -> Codes:
    """Add of every pair of dequantized codes, which a rectifier keeps from becoming QLinearAdd; shape as in :func:`sum_table`."""
    return quantize(dequantize(left.codes, left)[:, None] + dequantize(right.codes, right)[None, :], to)


def float_product_table(left: Quantization, right: Quantization, to: Quantization) -> Codes:
    """Mul of every pair of dequantized codes; shape as in :func:`product_table`."""
    return quantize(dequantize(left.codes, left)[:, None] * dequantize(right.codes, right)[None, :], to)


def _saturate(x: Floats, to: Quantization) -> Codes:
    codes: Codes = np.clip(np.rint(x), to.format.min, to.format.max).astype(np.int64)
    return codes


def identity(x: Floats) -> Floats:
    """``x``."""
    return x


def sigmoid(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))``; in float64 where the number is."""
    if x.dtype == np.float32:
        return mlas_logistic(x)
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)), x.dtype)


def tanh(x: Floats) -> Floats:
    """``tanh(x)``; in float64 where the number is."""
    return mlas_tanh(x) if x.dtype == np.float32 else np.tanh(x)


def leaky_relu(alpha: float) -> Function:
    """``x`` where it is not negative, ``alpha * x`` elsewhere."""
    return lambda x: np.where(x >= 0, x, np.float32(alpha) * x)


def hard_sigmoid(alpha: float, beta: float) -> Function:
    """``clip(alpha * x + beta, 0, 1)``."""
    return lambda x: np.clip(np.float32(alpha) * x + np.float32(beta), np.float32(0), np.float32(1))


def hard_swish(x: Floats) -> Floats:
    """``x * clip(x / 6 + 0.5, 0, 1)``."""
    return x * hard_sigmoid(1 / 6, 0.5)(x)


MAX_BITS = 16
"""Widest codes of activations and weights."""
BIAS_BITS = 32
TABLE_BITS = 8
"""Widest codes of which two meet in a table."""
MOST_NUMBERS = 256
"""Distinct numbers of a constant operand that a table may have columns for."""


def format_of(dtype: np.dtype[Any]) -> IntFormat | None:
    """The format of the codes that ``dtype`` holds, 4- and 2-bit types of ml_dtypes included; None for what holds no codes."""
    match = _INTEGER.fullmatch(dtype.name)
    return IntFormat.parse(dtype.name) if match and int(match[1]) <= BIAS_BITS else None


def is_codes(array: NDArray[Any], *, bits: int = MAX_BITS) -> bool:
    """Whether ``array`` holds codes of at most ``bits`` bits."""
    fmt = format_of(array.dtype)
    return fmt is not None and fmt.bits <= bits
