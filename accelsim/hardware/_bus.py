"""Bytes on the DRAM's bus before it is known where tiles begin: what they are on average, and the least that they can be; rows opened.

On average a run that does not begin with a burst rounds out to (length - 1) / burst + 1 bursts. At least it takes ceil(length / burst),
if no two runs share one: where the gap between runs is a burst or more.
"""

from __future__ import annotations

from typing import Any

from accelsim.hardware._array import parts
from accelsim.hardware.parts import Bursts
from accelsim.numba_cache import inner


@inner
def runs_bytes(burst: float, count: float, pitch: float, length: float) -> Any:
    """Of ``count`` runs of ``length`` bytes, ``pitch`` bytes from each to the next.

    Runs that begin and end with bursts move just those; others begin anywhere, and round out to (length - 1) / burst + 1 bursts on
    average. No more than the bursts from the first byte to the last.
    """
    if length % burst == 0 and pitch % burst == 0:
        return count * length
    apart = count * ((length - 1) / burst + 1)
    within = ((count - 1) * pitch + length - 1) / burst + 1
    return min(apart, within) * burst


@inner
def box_bytes(burst: float, bits: float, box: Any, tensor: Any) -> Any:
    """Of a box (4 sizes) of a packed row-major ``tensor`` (its three inner sizes) of elements of ``bits`` each."""
    size = bits / 8
    inner, middle, outer = tensor[2] * size, tensor[1] * tensor[2] * size, tensor[0] * tensor[1] * tensor[2] * size
    if box[3] < tensor[2]:
        return box[0] * box[1] * runs_bytes(burst, float(box[2]), inner, box[3] * size)
    if box[2] < tensor[1]:
        return box[0] * runs_bytes(burst, float(box[1]), middle, box[2] * inner)
    if box[1] < tensor[0]:
        return runs_bytes(burst, float(box[0]), outer, box[1] * middle)
    return runs_bytes(burst, 1.0, outer, box[0] * outer)


@inner
def rows_cycles(bursts: Bursts, again: float, bits: float, box: Any, tensor: Any) -> Any:
    """Cycles to open all rows but the first under a box (see :func:`box_bytes`), ``again`` between two of one bank, on average.

    Rows are opened one after the other, ahead of their bursts: as fast as activations may follow each other and as the banks that
    are passed in turn are free again.
    """
    span, opened, pitch = box[3] * bits / 8, 1.0, tensor[2] * bits / 8
    opened += (span - 1) / bursts.row
    for k in range(2, -1, -1):
        if box[k] > 1:
            span += (box[k] - 1) * pitch
            opened = min(box[k] * opened, 1.0 + (span - 1) / bursts.row)
        pitch *= tensor[k - 1] if k > 0 else 1.0
    if opened <= 1.0:
        return 0.0
    step, turn = max(1.0, span / bursts.row / opened), 1.0
    while turn < bursts.banks and abs((turn * step + bursts.banks / 2) % bursts.banks - bursts.banks / 2) >= 0.5:
        turn += 1.0  # rows until one stands in the first one's bank
    return (opened - 1.0) * max(bursts.opened, again / turn)


@inner
def windows_bytes(burst: float, bits: float, pixels: float, taps: Any, channels: float, tensor: Any) -> Any:
    """Of the windows of ``pixels``, ``taps`` (rows, columns) of ``channels`` each, fetched one by one, padding included."""
    size, whole = bits / 8, channels == tensor[2]
    length = channels * size * (taps[1] if whole else 1)
    return pixels * taps[0] * (1 if whole else taps[1]) * runs_bytes(burst, 1.0, 0.0, length)


@inner
def cut_bits(burst: int, positions: int, size: int, tile: int, bits: int) -> Any:
    """Of ``positions`` x an axis of ``size`` cut into tiles of ``tile`` elements of ``bits`` each, every tile a run of its own."""
    bursts = size // tile * parts(tile * bits, burst) + parts(size % tile * bits, burst)
    return positions * bursts * burst


@inner
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
