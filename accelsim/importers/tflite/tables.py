"""Lookup tables, computed as the runtimes compute theirs; every float operation is in the width the runtime uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import reduced_multiplier16
from accelsim.quant import encode_multiplier

Floats = NDArray[np.float32]
CODES = np.arange(-128, 128, dtype=np.int64)


def logistic(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))`` in float32."""
    with np.errstate(over="ignore"):
        value: Floats = np.float32(1) / (np.float32(1) + np.exp(-x))
    return value


def tanh(x: Floats) -> Floats:
    """``tanh(x)`` in float32."""
    return np.tanh(x)


def int8_table(
    function: Callable[[Floats], Floats], *, s_in: float, z_in: int, s_out: float, z_out: int, to_even: bool = False
) -> NDArray[np.int8]:
    """Codes of ``function`` for the 256 input codes: dequantize, apply, round half away (LiteRT LUTPopulateInt8).

    ``to_even``: the zero point is added first, and ties go to the even code (XNNPACK).
    """
    real = np.float32(s_in) * (CODES - z_in).astype(np.float32)
    scaled = (function(real) * (np.float32(1) / np.float32(s_out))).astype(np.float64)
    whole = np.rint(scaled + z_out) - z_out if to_even else np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    codes: NDArray[np.int8] = np.clip(whole + z_out, -128, 127).astype(np.int8)
    return codes


def fixed_point_table(function: Callable[..., int], s_in: float, z_in: int) -> NDArray[np.int8]:
    """``function`` of each of the 256 input codes (tflite-micro's integer kernels)."""
    return np.array([function(int(code), s_in=s_in, z_in=z_in) for code in CODES], dtype=np.int8)


def hard_swish_table(*, s_in: float, z_in: int, s_out: float, z_out: int) -> NDArray[np.int8]:
    """Hard swish in 16-bit fixed point (LiteRT reference/hard_swish.h): ``x * relu6(x + 3) / 6``.

    The input goes to 7 more bits; the "reluish" factor to the scale 3/32768; their product is truncated, not rounded.
    """
    fine_scale = np.float32(1.0 / 128.0) * np.float32(s_in)
    m_out, e_out = encode_multiplier(float(fine_scale / np.float32(s_out)))
    m_relu, e_relu = encode_multiplier(float(fine_scale / np.float32(3.0 / 32768.0)))
    fine = (CODES - z_in) << 7
    unshifted = _srdhm16(fine, reduced_multiplier16(m_out))
    relu = _saturate16(fine << (e_relu - 1)) if e_relu > 0 else fine
    relu = _srdhm16(relu, reduced_multiplier16(m_relu))
    relu = _saturate16(relu << 1) if e_relu > 0 else _rdbpot(relu, -e_relu)
    relu = (relu + (1 << 15)) >> 1
    product = relu * unshifted
    truncated = np.sign(product) * (np.abs(product) >> 15)
    return np.clip(_rdbpot(truncated, -e_out) + z_out, -128, 127).astype(np.int8)


def _srdhm16(x: NDArray[np.int64], multiplier: int) -> NDArray[np.int64]:
    return (x * multiplier + (1 << 14)) >> 15


def _saturate16(x: NDArray[np.int64]) -> NDArray[np.int64]:
    saturated: NDArray[np.int64] = np.clip(x, -(1 << 15), (1 << 15) - 1)
    return saturated


def _rdbpot(x: NDArray[np.int64], exponent: int) -> NDArray[np.int64]:
    """``x / 2**exponent``, half away from zero."""
    half = (1 << exponent) >> 1
    divided: NDArray[np.int64] = np.sign(x) * ((np.abs(x) + half) >> exponent)
    return divided


def sigmoid_table() -> NDArray[np.uint16]:
    """256 samples of the sigmoid f, 1/24 apart, in Q0.16, each raised by half the midpoint error of interpolation.

    ``round(65536 * (f(x) - f''(x) * h**2 / 16))``, h = 1/24, and 65535 at the end: found to equal every entry that LiteRT
    and tflite-micro use (their sigmoid_table_uint16).
    """
    step = 1.0 / 24.0
    value = 1.0 / (1.0 + np.exp(-np.arange(256) * step))
    curvature = value * (1.0 - value) * (1.0 - 2.0 * value)
    table: NDArray[np.uint16] = np.floor(65536.0 * (value - curvature * step**2 / 16.0) + 0.5).astype(np.uint16)
    table[-1] = 65535
    return table


def int16_table(function: Callable[[Any], Any], low: float, high: float, real: Any) -> NDArray[np.int16]:
    """513 samples of ``function`` over [low, high] in Q0.15, each moved by half the midpoint error of its segment.

    The move spreads the error of linear interpolation over both ends of a segment (LiteRT internal/common.h, gen_lut). ``real``
    is the numpy type of the arithmetic.
    """
    step = real((high - low) / 512)
    at = real(low) + np.arange(512, dtype=real) * step
    after = real(low) + np.arange(1, 513, dtype=real) * step
    scale, two = real(32768), real(2)
    value = _rounded(function(at) * scale)
    middle = _rounded(function(at + step / two) * scale)
    interpolated = _rounded((function(after) * scale + value) / two)
    moved = value - _rounded((interpolated - middle) / two)
    last = _rounded(function(np.array([high], real)) * scale)
    table: NDArray[np.int16] = np.clip(np.concatenate([moved, last]), -32768, 32767).astype(np.int16)
    return table


def _rounded(x: NDArray[Any]) -> NDArray[Any]:
    """Half away from zero, in the type of ``x``."""
    wide = x.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(x.dtype)


def exp_table(real: Any) -> NDArray[np.int16]:
    """exp over [-10, 0], computed in ``real``."""
    return int16_table(np.exp, -10.0, 0.0, real)


def reciprocal_table(real: Any) -> NDArray[np.int16]:
    """1/(1+x) over [0, 1], computed in ``real``."""
    return int16_table(lambda x: real(1) / (real(1) + x), 0.0, 1.0, real)
