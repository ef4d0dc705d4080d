"""Which nodes LiteRT's XNNPACK delegate takes; those that it leaves run in LiteRT's own kernels, which round in another way.

Source: LiteRT xnnpack_delegate.cc, its checks of parameters; each rule here is swept against the live delegate. What is taken
or left with the same result (pools, rectifiers, operators that move codes) needs no rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Range = tuple[float, float]
SUM_RATIOS: Range = (2.0**-10, 2.0**8)
"""Scale of an operand of ADD and SUB over the output's."""
PRODUCT_RATIOS: Range = (2.0**-16, 2.0**8)
"""Product of the scales of MUL over the output's."""
CONVERSION_RATIOS: Range = (2.0**-8, 2.0**7)
"""Input scale of QUANTIZE and LEAKY_RELU over the output's; the last one is in it."""
STEEPEST_FALL = 2.0**-8 - 2.0**7
"""Of LEAKY_RELU with a negative alpha."""


def _within(ratios: Iterable[np.floating[Any]], limits: Range, *, last: bool = False) -> bool:
    low, high = limits
    return all(low <= ratio < high or (last and ratio == high) for ratio in ratios)


def takes_sum(left: float, right: float, out: float) -> bool:
    """ADD, SUB of 8 bits with these scales."""
    return _within((np.float32(scale) / np.float32(out) for scale in (left, right)), SUM_RATIOS)


def takes_product(left: float, right: float, out: float) -> bool:
    """MUL of 8 bits with these scales."""
    return _within([np.float32(left) * np.float32(right) / np.float32(out)], PRODUCT_RATIOS)


def takes_conversion(source: float, out: float) -> bool:
    """QUANTIZE from int8 to int8 with these scales."""
    return _within([np.float32(source) / np.float32(out)], CONVERSION_RATIOS, last=True)


def takes_leaky_relu(source: float, out: float, alpha: float) -> bool:
    """LEAKY_RELU of 8 bits: both slopes, that of negative numbers of either sign."""
    ratio = np.float32(source) / np.float32(out)
    slope = ratio * np.float32(alpha)
    return _within([ratio, abs(slope)], CONVERSION_RATIOS, last=True) and bool(slope >= STEEPEST_FALL)


def takes_transposed(kernel: tuple[int, int], stride: tuple[int, int], *, is_same: bool) -> bool:
    """TRANSPOSE_CONV of 8 bits whose output size the file has: with SAME padding, no kernel narrower than its stride."""
    return not is_same or all(k >= s for k, s in zip(kernel, stride, strict=True))
