"""LOGISTIC and TANH on 16-bit codes by a 256-entry sigmoid table (LiteRT reference/integer_ops/logistic.h, tanh.h)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[Any]


def _table_steps(x: Codes, multiplier: int, left_shift: int) -> NDArray[np.int64]:
    """Inputs in steps of the table's fraction, rounded half up."""
    rounding = (1 << left_shift) >> 1
    return (x.astype(np.int64) * multiplier + rounding) >> left_shift


def _interpolated(
    size: NDArray[np.int64], table: NDArray[np.uint16], fraction_bits: int, saturated: int
) -> NDArray[np.int64]:
    """sigmoid(size) in Q16 with ``fraction_bits`` more, ``saturated`` beyond the table."""
    index = size >> fraction_bits
    inside = np.minimum(index, 254)
    low, high = table[inside].astype(np.int64), table[inside + 1].astype(np.int64)
    fraction = size & ((1 << fraction_bits) - 1)
    return np.where(index >= 255, saturated, (low << fraction_bits) + fraction * (high - low))


def logistic(x: Codes, table: NDArray[np.uint16], multiplier: int, left_shift: int) -> NDArray[np.int64]:
    """1 / (1 + exp(-x)) in Q0.15."""
    steps = _table_steps(x, multiplier, left_shift)
    value = _interpolated(np.abs(steps), table, 9, 0x7FFF << 10)
    mirrored = np.where(steps >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1)
    return mirrored >> 10


def tanh(x: Codes, table: NDArray[np.uint16], multiplier: int, left_shift: int) -> NDArray[np.int64]:
    """tanh(x) = 2 sigmoid(2x) - 1 in Q0.15."""
    steps = _table_steps(x, multiplier, left_shift)
    value = _interpolated(np.abs(steps), table, 8, 0xFFFF << 8)
    mirrored = np.where(steps >= 0, value - (1 << 23) + (1 << 7), -value + (1 << 23) + (1 << 7) - 1)
    return mirrored >> 8
