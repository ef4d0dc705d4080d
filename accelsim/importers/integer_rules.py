"""Integer rules of the TFLite family that more than one format's operators are encoded with."""

from __future__ import annotations

import numpy as np

from accelsim.graph import OperandScale
from accelsim.numerics import Requant
from accelsim.quant import encode_multiplier

Quantized = tuple[float, int]
"""Scale and zero point."""
Sum = tuple[tuple[OperandScale, OperandScale], Requant]
LEFT_SHIFT, LEFT_SHIFT_16 = 20, 15
"""Bits by which operands of a sum are scaled up first, 8- and 16-bit ones (LiteRT kernels/add.cc)."""


def encoded(scheme: str, real: float, zero_point: int, clamp: tuple[int, int]) -> Requant:
    """One multiplier ``real``, as significand and exponent."""
    multiplier, exponent = encode_multiplier(real)
    return Requant(scheme, np.array([multiplier]), np.array([exponent], np.int32), zero_point, *clamp)


def scaled_sum(
    scheme: str, operands: tuple[Quantized, Quantized], to: Quantized, clamp: tuple[int, int], shift: int
) -> Sum:
    """Operands scaled to twice the larger scale and up by ``shift`` bits, their sum to the output (LiteRT kernels/add.cc)."""
    twice = 2.0 * max(scale for scale, _ in operands)
    left, right = (_operand(scale / twice, zero_point, shift) for scale, zero_point in operands)
    return (left, right), encoded(scheme, twice / (2.0**shift * to[0]), to[1], clamp)


def _operand(ratio: float, zero_point: int, shift: int) -> OperandScale:
    multiplier, exponent = encode_multiplier(ratio)
    return OperandScale(zero_point=zero_point, multiplier=multiplier, exponent=exponent, left_shift=shift)
