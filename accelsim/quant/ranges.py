"""Setting ranges: which scale and zero point stand for the real values a tensor takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.numerics import Rounding
from accelsim.quant.affine import fake_quant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from accelsim.numerics import IntFormat

MSE_STEPS = 64
"""Fractions of the range that :func:`mse_range` tries; its own choice, finer steps change little."""
AVERAGING = 0.01
"""Weight of a new batch in :func:`moving_average_range`, the default of torch.ao's MovingAverageMinMaxObserver."""

_SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)


@dataclass(frozen=True)
class QuantParameters:
    """``real ≈ scale * (code - zero_point)``; ``scale`` is a positive float32 value."""

    scale: float
    zero_point: int


def affine_parameters(low: float, high: float, *, fmt: IntFormat) -> QuantParameters:
    """Cover [low, high], widened to hold 0, so that 0 has a code of its own (Jacob et al. 2018, section 3).

    ``scale = (high - low) / (max - min)``; the zero point is the code nearest to ``min - low/scale``. An empty range
    gives scale 1. Raises :class:`InputError` when ``low > high`` or either is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InputError(f"quantization range: expected finite low <= high, got [{low}, {high}]")
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (fmt.max - fmt.min) or 1.0
    zero_point = math.floor(fmt.min - low / step + 0.5)
    return QuantParameters(_positive(step), min(max(zero_point, fmt.min), fmt.max))


def symmetric_parameters(peak: float, *, fmt: IntFormat) -> QuantParameters:
    """Cover [-peak, peak] with zero point 0: ``scale = peak / max`` (TFLite's rule for weights)."""
    return QuantParameters(_positive(_magnitude(peak) / max(fmt.max, 1)), 0)


def power_of_two_parameters(peak: float, *, fmt: IntFormat) -> QuantParameters:
    """Cover [-peak, peak] with zero point 0 and the smallest scale ``2**k`` that does: requantization is a shift."""
    needed = _magnitude(peak) / max(fmt.max, 1)
    if needed == 0:
        return QuantParameters(1.0, 0)
    fraction, exponent = math.frexp(needed)
    return QuantParameters(_positive(math.ldexp(1.0, exponent - (fraction == 0.5))), 0)


def minmax_range(x: ArrayLike) -> tuple[float, float]:
    """Smallest and largest value of ``x``; raises :class:`InputError` for no values, NaN or infinities."""
    values = _finite(x)
    return float(values.min()), float(values.max())


def percentile_range(x: ArrayLike, *, percent: float) -> tuple[float, float]:
    """The range between the ``100 - percent`` and ``percent`` percentiles of ``x``; outliers beyond it saturate."""
    if not 50 <= percent <= 100:
        raise InputError(f"percentile range: expected 50 to 100 percent, got {percent}")
    low, high = np.percentile(_finite(x), [100 - percent, percent])
    return float(low), float(high)


def moving_average_range(batches: Iterable[ArrayLike], *, averaging: float = AVERAGING) -> tuple[float, float]:
    """Exponential moving average of each batch's extremes, which begins at the first batch's (Krishnamoorthi 1806.08342).

    ``low += averaging * (min(batch) - low)`` in float32, as in torch.ao's MovingAverageMinMaxObserver.
    """
    weight, ends = np.float32(averaging), None
    for batch in batches:
        seen = np.array(minmax_range(batch), np.float32)
        ends = seen if ends is None else ends + weight * (seen - ends)
    if ends is None:
        raise InputError("quantization range: expected at least one batch, got none")
    return float(ends[0]), float(ends[1])


def mse_range(
    x: ArrayLike, *, fmt: IntFormat, parameters: Callable[[float, float], QuantParameters]
) -> tuple[float, float]:
    """The range of least mean square error on ``x`` among 64 fractions of its own (Nagel 2106.08295).

    ``parameters`` makes scale and zero point of a range; both ends shrink alike, and a range of one sign keeps 0 as its other end.
    """
    values = _finite(x).astype(np.float32)

    def error(faked: NDArray[np.float32]) -> float:
        return float(np.square(faked - values, dtype=np.float64).mean())

    return _least(values, error, fmt, parameters)


def cross_entropy_range(
    logits: ArrayLike, *, fmt: IntFormat, parameters: Callable[[float, float], QuantParameters]
) -> tuple[float, float]:
    """The range that changes the answers of ``logits`` (inferences, classes) least: of :func:`mse_range`'s, that of least cross-entropy
    between the softmax of them and that of their quantized selves (Nagel 2106.08295, section 3.1)."""
    values = _finite(logits).astype(np.float32)
    shares = np.exp(_log_softmax(values))

    def error(faked: NDArray[np.float32]) -> float:
        return float(-(shares * _log_softmax(faked)).sum(axis=-1).mean())

    return _least(values, error, fmt, parameters)


def _log_softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
    made: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return made


def _least(
    values: NDArray[np.float32],
    error: Callable[[NDArray[np.float32]], float],
    fmt: IntFormat,
    parameters: Callable[[float, float], QuantParameters],
) -> tuple[float, float]:
    """Of so many fractions of the range of ``values`` the one whose quantized values have the least ``error``."""
    low, high = minmax_range(values)
    ranges = [(low * step / MSE_STEPS, high * step / MSE_STEPS) for step in range(1, MSE_STEPS + 1)]

    def of_range(ends: tuple[float, float]) -> float:
        known = parameters(*ends)
        return error(
            fake_quant(values, scale=known.scale, zero_point=known.zero_point, fmt=fmt, rounding=Rounding.HALF_EVEN)
        )

    return min(ranges, key=of_range)


def _finite(x: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise InputError(f"quantization range: expected at least one value, all finite; got shape {values.shape}")
    return values


def _magnitude(peak: float) -> float:
    if not math.isfinite(peak) or peak < 0:
        raise InputError(f"quantization range: expected a finite peak of 0 or more, got {peak}")
    return peak


def _positive(scale: float) -> float:
    """``scale`` as a float32 value; 1 for the scale of a tensor of zeros, or of one too small for a normal float32."""
    return float(np.float32(scale)) if scale >= _SMALLEST_SCALE else 1.0
