"""A quantizer of the white papers before its range is known: width, symmetric or affine, free or power-of-two scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import ConfigError, InputError, ModelError
from accelsim.numerics import INT32, IntFormat
from accelsim.quant.ranges import (
    QuantParameters,
    affine_parameters,
    cross_entropy_range,
    minmax_range,
    mse_range,
    power_of_two_parameters,
    symmetric_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Range = Callable[[NDArray[np.float32]], tuple[float, float]]

MAX_BITS = 16
"""Widest codes that a quantizer makes."""


@dataclass(frozen=True)
class Quantizer:
    """Codes of ``bits`` bits, 1 to 16 (Krishnamoorthi 1806.08342; Nagel 2106.08295, section 2).

    ``symmetric``: zero point 0, and codes with a sign only where ``signed``, or, where that is None, where the range has negative
    numbers. ``power_of_two``: the scale is the smallest ``2**k`` that covers the range, and the zero point 0. Otherwise affine:
    any zero point, codes without a sign unless ``signed``. Raises :class:`ConfigError` for an impossible width.
    """

    bits: int
    symmetric: bool = False
    power_of_two: bool = False
    signed: bool | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ConfigError(f"quantizer: expected 1 to {MAX_BITS} bits, got {self.bits}", bits=self.bits)
        if self.bits == 1 and self.signed and self.is_symmetric:
            raise ConfigError("quantizer: one signed bit is -1 or 0, which covers no positive number; give 2 bits")

    @property
    def is_symmetric(self) -> bool:
        """Whether the zero point is 0."""
        return self.symmetric or self.power_of_two

    def format(self, low: float) -> IntFormat:
        """Format of the codes of a range that begins at ``low``."""
        signed = self.signed if self.signed is not None else self.is_symmetric and low < 0
        return IntFormat(max(self.bits, 2) if signed and self.is_symmetric else self.bits, signed=signed)

    def parameters(self, low: float, high: float) -> QuantParameters:
        """Scale and zero point that cover [low, high] and 0."""
        fmt = self.format(low)
        if not self.is_symmetric:
            return affine_parameters(low, high, fmt=fmt)
        peak = max(abs(low), abs(high)) if fmt.signed else max(high, 0.0)
        return (power_of_two_parameters if self.power_of_two else symmetric_parameters)(peak, fmt=fmt)

    def least_error_range(self, x: NDArray[np.float32]) -> tuple[float, float]:
        """:func:`~accelsim.quant.ranges.mse_range` of ``x`` for this quantizer."""
        return mse_range(x, fmt=self.format(minmax_range(x)[0]), parameters=self.parameters)

    def least_cross_entropy_range(self, logits: NDArray[np.float32]) -> tuple[float, float]:
        """:func:`~accelsim.quant.ranges.cross_entropy_range` of ``logits`` (inferences, classes) for this quantizer."""
        return cross_entropy_range(logits, fmt=self.format(minmax_range(logits)[0]), parameters=self.parameters)


def channel_scales(
    weights: NDArray[np.float32], *, axis: int | None, quantizer: Quantizer, range_of: Range = minmax_range
) -> NDArray[np.float32]:
    """Scales of a symmetric quantizer, shape (1,) or one per index of ``axis``; ``range_of`` sets each range."""
    if not quantizer.is_symmetric:
        raise ConfigError(
            "channel scales: expected a symmetric quantizer; a zero point per weight channel costs a sum per output"
        )
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    return np.array([quantizer.parameters(*range_of(row)).scale for row in rows], np.float32)


def bipolar_scales(weights: NDArray[np.float32], *, axis: int | None) -> NDArray[np.float32]:
    """``mean|w|``, the best scale of weights of -1 and +1 (Rastegari 1603.05279, equation 6); shape as :func:`channel_scales`."""
    rows = weights.reshape(1, -1) if axis is None else np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    means = np.abs(rows.astype(np.float64)).mean(axis=1)
    return np.where(means > np.finfo(np.float32).smallest_normal, means, 1.0).astype(np.float32)


def quantize_bias(bias: ArrayLike, *, s_in: float, s_w: ArrayLike, fmt: IntFormat = INT32) -> NDArray[np.int64]:
    """``round_half_even(bias / (s_in * s_w))`` per channel, zero point 0 (Jacob 1712.05877, equation 11; Nagel 2106.08295).

    ``s_w`` is a number or one per channel; the product is that of the float32 scales in double precision. Raises :class:`ModelError`
    that names the first channel whose bias does not fit ``fmt``, :class:`InputError` for one that is no finite number.
    """
    real = np.asarray(bias, np.float64)
    if not np.isfinite(real).all():
        raise InputError("bias: expected finite values")
    unit = np.float64(np.float32(s_in)) * np.asarray(s_w, np.float32).astype(np.float64)
    codes = np.rint(real / unit)
    outside = (codes < fmt.min) | (codes > fmt.max)
    if outside.any():
        channel = int(np.flatnonzero(outside)[0])
        raise ModelError(
            f"bias of channel {channel}: {codes.flat[channel]:.3g} in units of s_in * s_w does not fit {fmt}; "
            "its weights are much smaller than its bias: quantize it per tensor, or with more bits",
            channel=channel,
        )
    return codes.astype(np.int64)


def fold_batch_norm(
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    *,
    axis: int,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    epsilon: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias with the batch normalization after them folded in; output channels along ``axis``.

    ``w * g`` and ``(b - mean) * g + beta`` with ``g = gamma / sqrt(variance + epsilon)`` (Nagel 2106.08295;
    Krishnamoorthi 1806.08342), in double precision, rounded to float32 once. Raises :class:`ModelError` for negative variances.
    """
    scale, shift, centre, spread = (np.asarray(v, np.float64).reshape(-1) for v in (gamma, beta, mean, variance))
    if not (spread + epsilon > 0).all():
        raise ModelError(f"batch normalization: expected variances above {-epsilon}, got {spread.min()}")
    gain = scale / np.sqrt(spread + epsilon)
    column = gain.reshape([-1 if i == axis % weights.ndim else 1 for i in range(weights.ndim)])
    start = np.zeros(gain.size) if bias is None else np.asarray(bias, np.float64).reshape(-1)
    return (weights * column).astype(np.float32), ((start - centre) * gain + shift).astype(np.float32)
