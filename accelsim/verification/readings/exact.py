"""Requantization with exact real multipliers and one rounding: the reading that every scheme approximates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import (
    Family,
    IntFormat,
    Overflow,
    Requant,
    Requantization,
    Rounding,
    Thresholds,
    fit_array,
    requantize,
    round_divide,
)

Array = NDArray[Any]
DOUBTFUL = 2.0**-40
"""Distance to a rounding edge, relative to the value, below which double precision does not decide (its error is 2^-52)."""
REMEMBERED = 1024
"""Layers whose exact factors are kept: every inference asks for them again."""


@lru_cache(maxsize=REMEMBERED)
def multipliers_of(requant: Requant) -> tuple[Fraction, ...]:
    """The real factor that each channel's parameters stand for, exactly."""
    return requant.rule.reals(requant.multiplier, requant.shift)


def codes_of(sums: Array, requant: Requantization) -> Array:
    """Codes of exact sums (..., C), bias included, by a rule that may add the bias itself.

    A list of stages is built for accumulators of one width, to which sums beyond it are brought first; what an accumulator makes of
    them is a cause of its own.
    """
    if isinstance(requant, Thresholds) or requant.rule.family is not Family.STAGED:
        return requantize(sums, requant)
    bare = sums if requant.bias is None else sums - requant.bias
    return requantize(fit_array(bare, IntFormat(requant.rule.wide), Overflow.SATURATE), requant)


@dataclass(frozen=True)
class ExactRequant:
    """``clamp(round(acc * multiplier) + zero_point)``; with ``parity`` the zero point is added before rounding."""

    multipliers: tuple[Fraction, ...]
    rounding: Rounding
    zero_point: int
    clamp_min: int
    clamp_max: int
    parity: bool = False

    def value(self, acc: int, channel: int) -> Fraction:
        """Before rounding and clamping, zero point included."""
        return acc * self.multipliers[channel if len(self.multipliers) > 1 else 0] + self.zero_point

    def codes(self, sums: Array) -> Array:
        """int64 codes of sums (..., C)."""
        factors = np.array([float(m) for m in self.multipliers])
        real = sums.astype(np.float64) * factors
        near = np.clip(real, self.clamp_min - self.zero_point - 2, self.clamp_max - self.zero_point + 2)
        before = self.zero_point if self.parity else 0
        rounded, doubtful = _rounded(near + before, self.rounding)
        if doubtful.any():
            rounded[doubtful] = self._decided(sums, doubtful)
        codes: Array = np.clip(rounded + (self.zero_point - before), self.clamp_min, self.clamp_max)
        return codes

    def _decided(self, sums: Array, where: Array) -> Array:
        channel = np.broadcast_to(np.arange(sums.shape[-1]), sums.shape)[where]
        pairs = np.stack([sums[where], channel if len(self.multipliers) > 1 else np.zeros_like(channel)], axis=1)
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        made = np.array([self._decide(int(acc), self.multipliers[int(c)]) for acc, c in unique], dtype=np.int64)
        return made[inverse.reshape(-1)]

    def _decide(self, acc: int, factor: Fraction) -> int:
        value = acc * factor + (self.zero_point if self.parity else 0)
        return round_divide(value.numerator, value.denominator, self.rounding)


def _rounded(real: Array, rounding: Rounding) -> tuple[Array, Array]:
    """Rounded values, and where double precision cannot tell."""
    low = np.floor(real)
    fraction, slack = real - low, np.maximum(np.abs(real), 1.0) * DOUBTFUL
    if not rounding.is_nearest:
        doubtful = (fraction < slack) | (fraction > 1 - slack)
        up: Any = {Rounding.FLOOR: False, Rounding.CEIL: True, Rounding.TRUNC: real < 0, Rounding.AWAY: real > 0}[
            rounding
        ]
        return low.astype(np.int64) + up, doubtful
    return low.astype(np.int64) + (fraction > 0.5), np.abs(fraction - 0.5) < slack


def product(*scales: float | np.floating[Any]) -> Fraction:
    """The exact product of scales."""
    result = Fraction(1)
    for scale in scales:
        result *= Fraction(float(scale))
    return result


def decimal(value: Fraction, *, digits: int = 12) -> str:
    """``value`` with that many places after the point, and a mark where it goes on."""
    scaled = value * 10**digits
    text = f"{abs(int(scaled)):0{digits + 1}d}"
    sign = "-" if value < 0 else ""
    whole, places = text[:-digits], text[-digits:].rstrip("0")
    return f"{sign}{whole}{'.' + places if places else ''}{'' if scaled.denominator == 1 else '…'}"


def double_rounding_rate(shifts: Sequence[int] | Array) -> float:
    """``2^-(rs+1)``, rs the right shift of the second rounding: the share of sums that two roundings move by one (mean over channels)."""
    rates = [2.0 ** -(max(-int(e), 0) + 1) if e < 0 else 0.0 for e in shifts]
    return float(np.mean(rates))
