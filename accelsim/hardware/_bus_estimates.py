"""Bytes that a tile moves on the DRAM's bus, as the greedy mapper estimates them before it knows where tiles begin."""

from __future__ import annotations

from typing import Any

from accelsim.numba_cache import njit


@njit
def runs_bytes(burst: float, count: float, pitch: float, length: float) -> Any:
    """Of ``count`` runs of ``length`` bytes, ``pitch`` bytes from each to the next.

    Runs that begin and end with bursts move just those; others begin anywhere, and round out to (length - 1) / burst + 1 bursts on
    average. No more than the bursts from the first byte to the last.
    """
    if length % burst == 0 and (count == 1 or pitch % burst == 0):
        return count * length
    apart = count * ((length - 1) / burst + 1)
    within = ((count - 1) * pitch + length - 1) / burst + 1
    return min(apart, within) * burst


@njit
def box_bytes(burst: float, bits: float, box: Any, tensor: Any) -> Any:
    """Of a box (4 sizes) of a packed row-major ``tensor`` (its three inner sizes) of elements of ``bits`` each."""
    size = bits / 8
    inner, middle, outer = tensor[2] * size, tensor[1] * tensor[2] * size, tensor[0] * tensor[1] * tensor[2] * size
    if box[3] < tensor[2]:
        return box[0] * box[1] * runs_bytes(burst, box[2], inner, box[3] * size)
    if box[2] < tensor[1]:
        return box[0] * runs_bytes(burst, box[1], middle, box[2] * inner)
    if box[1] < tensor[0]:
        return runs_bytes(burst, box[0], outer, box[1] * middle)
    return runs_bytes(burst, 1.0, outer, box[0] * outer)


@njit
def windows_bytes(burst: float, bits: float, pixels: float, taps: Any, channels: float, tensor: Any) -> Any:
    """Of the windows of ``pixels``, ``taps`` (rows, columns) of ``channels`` each, fetched one by one, padding included."""
    size, whole = bits / 8, channels == tensor[2]
    length = channels * size * (taps[1] if whole else 1)
    return pixels * taps[0] * (1 if whole else taps[1]) * runs_bytes(burst, 1.0, 0.0, length)
