"""What float runtimes compute between dequantized and quantized codes: float32, one rounding an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]


def dequantize_float32(codes: NDArray[Any], scale: float, zero_point: int) -> Floats:
    """``scale * (code - zero_point)``."""
    real: Floats = np.float32(scale) * (codes.astype(np.int64) - zero_point).astype(np.float32)
    return real


def quantize_float32(real: Floats, scale: float, zero_point: int, low: int, high: int) -> Codes:
    """``round_half_even(x / scale)`` and the zero point, between ``low`` and ``high`` (ONNX Runtime, MlasQuantizeLinear).

    What is no number (the root of a negative one) becomes the lowest code, as in the runtime's vector instructions.
    """
    with np.errstate(over="ignore"):
        quotient = np.where(np.isnan(real), np.float32(-np.inf), real) / np.float32(scale)
    codes: Codes = np.rint(np.clip(quotient, low - zero_point, high - zero_point)).astype(np.int64) + zero_point
    return codes


def _prelu(x: Any, slope: Any) -> Any:
    return np.where(x < 0, x * slope, x)


FLOAT32_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide, "MIN": np.minimum, "MAX": np.maximum,
        "PRELU": _prelu,
    }
)  # fmt: skip
"""Operators of two numbers that IEEE 754 fixes to the last bit."""
