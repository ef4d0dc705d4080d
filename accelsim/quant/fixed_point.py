"""Real ratios as the multipliers and right shifts that hardware holds: ``M ≈ m * 2**-s`` with m of a given width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from accelsim.numerics import RequantScheme

    Encoded = tuple[NDArray[np.int32], NDArray[np.int32]]

FLOAT32_MANTISSA_BITS = 24
"""Significant bits of an IEEE 754 binary32, the leading one included."""
MAX_SCALING_DOWN = 31
"""Bits by which TOSA's encoder shifts a significand right at most (MLIR QuantUtils.cpp)."""


def encode_fixed_points(reals: ArrayLike, *, bits: int, shifts: tuple[int, int]) -> Encoded:
    """``reals`` as m and s, int32 of the same shape, with m of ``bits`` bits rounded half away from zero.

    A ratio too small for the largest shift keeps that shift, and m loses low bits (MLIR QuantUtils.cpp,
    computeMultiplierAndShiftTosaScale16 and 32). Raises :class:`ModelError` for a ratio that is negative, not finite,
    or needs less than the smallest shift.
    """
    values = _checked(reals)
    fraction, exponent = np.frexp(values)
    significand = np.floor(fraction * 2.0**bits + 0.5).astype(np.int64)
    carry = significand == 1 << bits
    significand, shift = np.where(carry, significand >> 1, significand), bits - exponent.astype(np.int64) - carry
    shift = np.where(significand == 0, shifts[0], shift)
    if (shift < shifts[0]).any():
        raise _too_large(values[shift < shifts[0]], bits, shifts)
    excess = np.clip(shift - shifts[1], 0, MAX_SCALING_DOWN)
    return (significand >> excess).astype(np.int32), np.minimum(shift, shifts[1]).astype(np.int32)


def encode_shared_shift(reals: ArrayLike, *, bits: int, shifts: tuple[int, int]) -> Encoded:
    """As :func:`encode_fixed_points` with one s for all: the largest one that leaves the largest m within ``bits`` bits.

    NVDLA's output converter has one shift per layer (nvdla/sw BatchNormOp.cpp); smaller ratios keep fewer bits.
    """
    values = np.atleast_1d(_checked(reals))
    _, largest = encode_fixed_points(values.max(), bits=bits, shifts=shifts)
    shift = int(largest)
    significand = np.floor(np.ldexp(values, shift) + 0.5).astype(np.int64)
    return significand.astype(np.int32), np.full(values.shape, shift, np.int32)


def encode_mantissas(factors: NDArray[np.float32], *, rule: RequantScheme) -> Encoded:
    """The 24-bit mantissa of each float32 factor and s = 150 - biased exponent, exactly (XNNPACK microparams-init.c).

    Raises :class:`ModelError` for a factor outside the scheme's shifts, 2**-32 to 256 for XNNPACK.
    """
    fraction, exponent = np.frexp(factors.astype(np.float64))
    shift = FLOAT32_MANTISSA_BITS - exponent
    low, high = rule.exponents
    bad = (shift < low) | (shift > high)
    if bad.any():
        least, most = 2.0 ** (FLOAT32_MANTISSA_BITS - 1 - high), 2.0 ** (FLOAT32_MANTISSA_BITS - low)
        raise ModelError(
            f"multiplier {float(factors[bad][0])!r}: {rule.name} takes {least} up to {most}, exclusive; check the model's scales",
            real=float(factors[bad][0]),
        )
    return np.ldexp(fraction, FLOAT32_MANTISSA_BITS).astype(np.int32), shift.astype(np.int32)


def power_of_two_shift(real: float) -> int:
    """Right shift ``s`` with ``real == 2**-s`` exactly; raises :class:`ModelError` when there is none."""
    fraction, exponent = math.frexp(real)
    if fraction != 0.5:
        raise ModelError(
            f"multiplier {real!r}: a shift scheme needs an exact power of two; use power-of-two scales", real=real
        )
    return 1 - exponent


def _checked(reals: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(reals, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        wrong = values[~(np.isfinite(values) & (values >= 0))]
        raise ModelError(f"multiplier: expected finite values of 0 or more, got {wrong[0]}; check the model's scales")
    return values


def _too_large(values: NDArray[np.float64], bits: int, shifts: tuple[int, int]) -> ModelError:
    real = float(values.max())
    return ModelError(
        f"multiplier {real!r}: a {bits}-bit significand with a right shift of {shifts[0]} or more reaches "
        f"{((1 << bits) - 1) / 2 ** shifts[0]:g}; choose a wider multiplier or check the model's scales",
        real=real,
    )
