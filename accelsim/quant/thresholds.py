"""Any monotone function from accumulators to codes as multi-thresholds, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import ModelError
from accelsim.numerics import INT32, NEVER, Requantization, Thresholds
from accelsim.quant.multiplier import convolution_multipliers, requant_from_scales

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Integers = NDArray[np.int64]
    Function = Callable[[Integers], Integers]

MAX_LEVELS = 2**16 - 1
"""Levels of a 16-bit code."""
PROBES = 1021
"""Sums at which the function is compared with its levels; a prime, so that no period of the function hides."""


def thresholds_of(function: Function, *, channels: int, sums: tuple[int, int]) -> Thresholds:
    """The :class:`~accelsim.numerics.Thresholds` that equal ``function`` at every sum from ``sums[0]`` to ``sums[1]``.

    ``function`` maps int64 sums of shape (C, n) to int64 codes of that shape, row by row never falling or never rising.
    Levels are found by bisection, all at once (FINN's streamlining reaches the same levels algebraically: Umuroglu and Jahre
    1709.04060, section 3). Raises :class:`ModelError` for a function that is not monotone, or of more than 2^16 codes.
    """
    low, high = sums
    first, last = (_codes(function, np.full((channels, 1), end, np.int64))[:, 0] for end in sums)
    step = np.where(last < first, -1, 1).astype(np.int64)
    counts = np.abs(last - first)
    if int(counts.max()) > MAX_LEVELS:
        raise ModelError(f"thresholds: {int(counts.max()) + 1} codes; expected {MAX_LEVELS + 1} at most")
    wanted = np.arange(1, int(counts.max()) + 1, dtype=np.int64)[None, :]

    def reached(acc: Integers) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (_codes(function, acc) - first[:, None]) * step[:, None] >= wanted
        return result

    levels = np.where(wanted <= counts[:, None], _bisect(reached, (channels, wanted.size), low, high), NEVER)
    made = Thresholds(levels, first, step)
    _check(function, made, channels, sums)
    return made


def requantization_from_scales(
    scheme: str,
    *,
    s_in: float,
    s_w: ArrayLike,
    s_out: float,
    zero_point: int,
    clamp_min: int,
    clamp_max: int,
    real: ArrayLike | None = None,
) -> Requantization:
    """As :func:`~accelsim.quant.requant_from_scales`, and levels for ``finn_thresholds``.

    Levels of ``clamp(round_half_even(acc * M) + zero_point)`` in double precision, exact for every 32-bit sum.
    """
    if scheme != Thresholds.scheme:
        return requant_from_scales(
            scheme, s_in=s_in, s_w=s_w, s_out=s_out, zero_point=zero_point, clamp_min=clamp_min, clamp_max=clamp_max, real=real
        )  # fmt: skip
    ratio = convolution_multipliers(s_in, s_w, s_out) if real is None else np.atleast_1d(np.asarray(real, np.float64))

    def codes(acc: Integers) -> Integers:
        scaled = np.clip(np.rint(acc * ratio[:, None]), clamp_min - zero_point, clamp_max - zero_point)
        result: Integers = scaled.astype(np.int64) + zero_point
        return result

    return thresholds_of(codes, channels=len(ratio), sums=(INT32.min, INT32.max))


def _bisect(reached: Callable[[Integers], NDArray[np.bool_]], shape: tuple[int, int], low: int, high: int) -> Integers:
    """The smallest sum at which each level is reached, ``high`` where none before it does."""
    below, above = np.full(shape, low, np.int64), np.full(shape, high, np.int64)
    while (below < above).any():
        middle = below + (above - below) // 2
        hit = reached(middle)
        below, above = np.where(hit, below, middle + 1), np.where(hit, middle, above)
    return above


def _codes(function: Function, acc: Integers) -> Integers:
    return function(acc).astype(np.int64) if acc.size else np.zeros(acc.shape, np.int64)


def _check(function: Function, made: Thresholds, channels: int, sums: tuple[int, int]) -> None:
    """Levels say nothing of a function that turns back between them; probes between the ends find one that does."""
    from accelsim.numerics import requantize

    low, high = sums
    probes = low + (np.arange(PROBES, dtype=np.int64) * (high - low)) // max(PROBES - 1, 1)
    acc = np.broadcast_to(probes, (channels, probes.size)).copy()
    wrong = _codes(function, acc) != requantize(np.ascontiguousarray(acc.T), made).T
    if wrong.any():
        channel, probe = (int(i) for i in np.argwhere(wrong)[0])
        raise ModelError(
            f"thresholds: the function of channel {channel} is not monotone near the sum {int(probes[probe])}; "
            "expected codes that never fall or never rise"
        )
