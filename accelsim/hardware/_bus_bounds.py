"""Least bits on the DRAM's bus for all tiles of a layer's weights, inputs or outputs, whatever stands where.

A box that covers a part of the innermost axis is a run of elements per position of its other axes. Where the gap between runs is a burst
or more no two share one, and each takes ``ceil(bits / burst)`` bursts at least; else no fewer bits are moved than asked for.
"""

from __future__ import annotations

from typing import Any

from accelsim.hardware._array import parts
from accelsim.numba_cache import njit


@njit
def cut_bits(burst: int, positions: int, size: int, tile: int, bits: int) -> Any:
    """Of ``positions`` x an axis of ``size`` cut into tiles of ``tile`` elements of ``bits`` each, every tile a run of its own."""
    bursts = size // tile * parts(tile * bits, burst) + parts(size % tile * bits, burst)
    return positions * bursts * burst


@njit
def channel_bits(
    burst: int, positions: int, groups: int, in_group: int, tile_groups: int, tile: int, whole: int, bits: int
) -> Any:
    """Of ``positions`` pixels x ``groups`` of ``in_group`` channels each, in tiles of ``tile_groups`` whole groups or of ``tile``
    channels of one; ``whole``: channels of the tensor."""
    asked, widest = positions * groups * in_group * bits, tile_groups * tile
    if burst <= 8 or (whole - widest) * bits < burst:
        return asked
    if tile_groups > 1:
        return cut_bits(burst, positions, groups, tile_groups, in_group * bits)
    return cut_bits(burst, positions * groups, in_group, tile, bits)
