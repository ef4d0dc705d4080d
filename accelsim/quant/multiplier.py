"""Real scale ratios become integer multipliers; rules follow LiteRT, XNNPACK and ONNX Runtime to the last bit.

Scales are float32 values, as model files store them; other values are rounded to float32 first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from accelsim.errors import ConfigError, ModelError
from accelsim.numerics import Encoder, Family, Requant, RequantScheme, StagedScheme, scheme_named
from accelsim.quant.fixed_point import (
    encode_fixed_points,
    encode_mantissas,
    encode_shared_shift,
    power_of_two_shift,
)
from accelsim.quant.stages import encode_stages

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MIN_EXPONENT = -31
"""Below this exponent a multiplier is zero (LiteRT quantization_util.cc, QuantizeMultiplier)."""
MAX_EXPONENT = 30
"""Above this exponent a multiplier saturates (LiteRT quantization_util.cc, TFLITE_SINGLE_ROUNDING build)."""


def encode_multiplier(real: float) -> tuple[int, int]:
    """``real`` as ``(m, e)`` with ``real ≈ m * 2**(e-31)`` and ``2**30 <= |m| < 2**31``.

    ``m`` is rounded half away from zero; 2**31 becomes 2**30 with ``e + 1``; ``e < -31`` gives ``(0, 0)``; ``e > 30``
    saturates (LiteRT quantization_util.cc, QuantizeMultiplier). Raises :class:`ModelError` for NaN and infinities.
    """
    significands, exponents = encode_multipliers([real])
    return int(significands[0]), int(exponents[0])


def divided_multiplier(real: float, count: int) -> tuple[int, int]:
    """``(m, e)`` of ``real / count``: ``real`` encoded, then its significand divided, truncating (LiteRT reference/reduce.h)."""
    significand, exponent = encode_multiplier(real)
    folds = min(count.bit_length() - 1, 32, 31 + exponent)
    return (significand << folds) // count, exponent - folds


def encode_multipliers(reals: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Element-wise :func:`encode_multiplier`: int32 significands and int32 exponents of the shape of ``reals``."""
    values = np.asarray(reals, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ModelError(
            f"multiplier: expected finite values, got {values[~np.isfinite(values)][0]}; check the model's scales"
        )
    fraction, exponent = np.frexp(np.abs(values))
    # floor(x + 0.5) is exact here: x < 2**31 leaves more than 20 fraction bits of the double.
    size = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = size == 2**31
    size, exponent = np.where(carry, size >> 1, size), exponent + carry
    tiny, huge = (exponent < MIN_EXPONENT) | (size == 0), exponent > MAX_EXPONENT
    size = np.where(tiny, 0, np.where(huge, 2**31 - 1, size))
    exponent = np.where(tiny, 0, np.where(huge, MAX_EXPONENT, exponent))
    return (np.where(values < 0, -size, size)).astype(np.int32), exponent.astype(np.int32)


def convolution_multipliers(s_in: float, s_w: ArrayLike, s_out: float) -> NDArray[np.float64]:
    """``double(s_in) * double(s_w) / double(s_out)``, shape of ``s_w`` and at least (1,).

    Convolutions and per-channel dense layers (LiteRT kernel_util.cc, PopulateConvolutionQuantizationParams).
    """
    wide = [
        np.atleast_1d(_scale(s, name)).astype(np.float64)
        for s, name in ((s_in, "s_in"), (s_w, "s_w"), (s_out, "s_out"))
    ]
    return wide[0] * wide[1] / wide[2]


def dense_multiplier_per_tensor(s_in: float, s_w: float, s_out: float) -> float:
    """``double(float32(s_in * s_w)) / double(s_out)``: per-tensor dense layers and uint8 convolutions.

    Source: LiteRT kernel_util.cc, GetQuantizedConvolutionMultipler.
    """
    product = _scale(s_in, "s_in") * _scale(s_w, "s_w")
    return float(np.float64(product) / np.float64(_scale(s_out, "s_out")))


def float32_multiplier(s_in: float, s_w: ArrayLike, s_out: float) -> NDArray[np.float32]:
    """``s_in * s_w / s_out`` from left to right in float32, shape of ``s_w`` and at least (1,).

    Source: XNNPACK operators/convolution-nhwc.c; ONNX Runtime qlinearconv.cc, ComputeOutputScale.
    """
    factor: NDArray[np.float32] = np.atleast_1d(_scale(s_in, "s_in") * _scale(s_w, "s_w") / _scale(s_out, "s_out"))
    return factor


def requant_from_scales(
    scheme: str,
    *,
    s_in: float,
    s_w: ArrayLike,
    s_out: float,
    zero_point: int,
    clamp_min: int,
    clamp_max: int,
    real: ArrayLike | None = None,
) -> Requant:
    """The :class:`Requant` of ``s_in * s_w / s_out`` in a scheme's own encoding; ``s_w`` is a number or shape (C,).

    ``real`` replaces the double-precision ratio that integer and shift schemes encode, where an operator computes it
    differently (:func:`dense_multiplier_per_tensor`).
    """
    ratio = (
        convolution_multipliers(s_in, s_w, s_out) if real is None else np.atleast_1d(np.asarray(real, dtype=np.float64))
    )
    rule = scheme_named(scheme)
    if isinstance(rule, StagedScheme):
        multiplier, shift = encode_stages(ratio, rule=rule, zero_point=zero_point)
    else:
        multiplier, shift = _encoded(rule, s_in, s_w, s_out, ratio)
    return Requant(scheme, multiplier, shift, zero_point, clamp_min, clamp_max)


def _encoded(
    rule: RequantScheme, s_in: float, s_w: ArrayLike, s_out: float, ratio: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """``multiplier`` and ``shift`` as the scheme's encoder makes them of the scales, or of their ratio in double precision."""
    match rule.encoder:
        case Encoder.TFLITE | Encoder.TFLITE_16BIT:
            return encode_multipliers(ratio)
        case Encoder.POWER_OF_TWO:
            return np.ones(len(ratio), np.int32), np.array(
                [power_of_two_shift(float(real)) for real in ratio], np.int32
            )
        case Encoder.FIXED_POINT:
            return encode_fixed_points(ratio, bits=rule.significand_bits, shifts=rule.exponents)
        case Encoder.SHARED_SHIFT:
            return encode_shared_shift(ratio, bits=rule.significand_bits, shifts=rule.exponents)
        case Encoder.MANTISSA:
            return encode_mantissas(float32_multiplier(s_in, s_w, s_out), rule=rule)
        case Encoder.FLOAT32 | Encoder.FLOAT64:
            # onnx/reference/ops/op_qlinear_conv.py: a float32 product times int32 is a double.
            factor = float32_multiplier(s_in, s_w, s_out).astype(rule.family.dtype)
            return factor, np.zeros(len(factor), np.int32)
        case Encoder.RAW_SUM:
            return folded_factors(rule, float32_multiplier(s_in, s_w, s_out))
        case Encoder.STAGED:
            raise ConfigError(f"requantization scheme {rule.name!r}: expected to be encoded with its zero point")
        case Encoder.SCALES:
            scales = _scale(s_in, "s_in"), np.atleast_1d(_scale(s_w, "s_w")), _scale(s_out, "s_out")
            columns = np.stack(np.broadcast_arrays(*scales), axis=1).astype(np.float64)
            return columns, np.zeros(len(columns), np.int32)
    assert_never(rule.encoder)


def folded_factors(rule: RequantScheme, factors: ArrayLike, *, raw: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """``multiplier`` and ``shift`` of a scheme of float32 factors, with the ``raw`` part of a sum where it asks for it."""
    column = np.atleast_1d(np.asarray(factors, dtype=np.float32))
    if rule.family is Family.RAW_SUM:
        column = np.stack([column, np.full(len(column), raw, dtype=np.float32)], axis=1)
    return column, np.zeros(len(column), np.int32)


def _scale(value: ArrayLike, name: str) -> Any:
    """A scale or scales as float32; raises :class:`ModelError` unless positive and finite."""
    scale = np.asarray(value, dtype=np.float32)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelError(
            f"scale {name}: expected positive finite float32 values, got {np.ravel(value).tolist()[:4]}", name=name
        )
    return scale[()]
