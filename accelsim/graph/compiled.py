"""The window rule of :class:`accelsim.graph.Axis` for compiled code."""

from __future__ import annotations

from typing import Any

from accelsim.graph.geometry import window_extent, window_place
from accelsim.numba_cache import inner, njit

_place = njit(window_place)
_extent = njit(window_extent)


@njit
def input_row(out: int, tap: int, stride: int, dilation: int, pad: int, upsample: int, size: int) -> int:
    """Input row under output row ``out`` and kernel row ``tap``; -1 on padding and on inserted zeros."""
    spread = _place(out, tap, stride, dilation, pad)
    if spread < 0 or spread % upsample != 0:
        return -1
    row = spread // upsample
    return row if row < size else -1


@inner
def input_on(axis: Any, out: int, tap: int) -> int:
    """:func:`input_row` of an :class:`accelsim.graph.Axis`."""
    return int(input_row(out, tap, axis.stride, axis.dilation, axis.pad, axis.upsample, axis.size))


@njit
def rows_under(axis: Any, out_lo: int, out_hi: int, tap_lo: int, tap_hi: int) -> tuple[int, int]:
    """First input, and last + 1, under outputs and taps ``lo`` to ``hi - 1`` of an :class:`accelsim.graph.Axis`."""
    first = _place(out_lo, tap_lo, axis.stride, axis.dilation, axis.pad)
    last = _place(out_hi - 1, tap_hi - 1, axis.stride, axis.dilation, axis.pad)
    lo = min(max(-(-first // axis.upsample), 0), axis.size)
    return lo, max(min(last // axis.upsample + 1, axis.size), lo)


@inner
def span(axis: Any, outputs: int, taps: int) -> int:
    """Most inputs that lie under any ``outputs`` neighbouring outputs and ``taps`` neighbouring taps of an axis."""
    spread = (outputs - 1) * axis.stride + _extent(taps, axis.dilation)
    return int(min(axis.size, -(-spread // axis.upsample)))
