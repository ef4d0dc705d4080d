"""Numba kernel of the loop nest of a MAC layer: the boxes of every compute tile, in program order."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit

(IMAGES, ROWS, COLUMNS, KERNEL_ROWS, KERNEL_COLUMNS, INPUT_CHANNELS, CHANNELS) = range(7)
"""Axes of the loop nest."""
(STRIDE, DILATION, PAD, UPSAMPLE) = range(4)
"""Of the window along one axis."""
(OUTPUT, WEIGHTS, INPUTS) = range(3)
(FIRST_STEP, LAST_STEP, NEW_WEIGHTS, NEW_INPUTS) = range(4)
_BATCH = (IMAGES, ROWS, COLUMNS)
_STEPS = (KERNEL_ROWS, KERNEL_COLUMNS, INPUT_CHANNELS)


@njit
def loop_nest(
    size: Any, tile: Any, channels: Any, window: Any, shape: Any, group_inputs: int, weights_outer: bool
) -> tuple[Any, Any, Any]:
    """(boxes, groups, flags) of every tile: int64 (3, 2, tiles, 4) corners, int64 (tiles,), bool (4, tiles).

    Tile i along one of the first six axes covers ``[i tile, min((i + 1) tile, size))``; ``channels`` (4, C) holds first and last + 1
    output channel and group of each channel tile. Of an input of ``shape`` that is upsampled by u, outputs [a, b) and taps [c, d)
    see ``[ceil(f / u), floor(l / u)]`` where ``f = a stride - pad + c dilation`` and ``l = (b - 1) stride - pad + (d - 1) dilation``
    (``window``: rows, columns), the padding left out. The reduction is innermost, the last axis fastest.
    """
    counts = np.empty(7, dtype=np.int64)
    counts[:CHANNELS] = (size + tile - 1) // tile
    counts[CHANNELS] = channels.shape[1]
    steps = counts[KERNEL_ROWS] * counts[KERNEL_COLUMNS] * counts[INPUT_CHANNELS]
    tiles = np.prod(counts)
    boxes, groups = np.empty((3, 2, tiles, 4), dtype=np.int64), np.empty(tiles, dtype=np.int64)
    flags = np.empty((4, tiles), dtype=np.bool_)
    at, before = np.empty(7, dtype=np.int64), np.full(7, -1, dtype=np.int64)
    for t in range(tiles):
        _place(t, counts, weights_outer, at)
        c = at[CHANNELS]
        for side in range(2):
            for k, axis in enumerate(_BATCH):
                boxes[OUTPUT, side, t, k] = min((at[axis] + side) * tile[axis], size[axis])
            for k, axis in enumerate(_STEPS):
                boxes[WEIGHTS, side, t, k + 1] = min((at[axis] + side) * tile[axis], size[axis])
            boxes[OUTPUT, side, t, 3] = boxes[WEIGHTS, side, t, 0] = channels[side, c]
        groups[t] = channels[3, c] - channels[2, c]
        _read(boxes, t, channels[2, c] * group_inputs, (channels[3, c] - 1) * group_inputs, window, shape)
        stepped, moved = False, False
        for axis in _STEPS:
            stepped |= at[axis] != before[axis]
        for axis in _BATCH:
            moved |= at[axis] != before[axis]
        flags[FIRST_STEP, t], flags[LAST_STEP, t] = t % steps == 0, t % steps == steps - 1
        flags[NEW_WEIGHTS, t] = stepped or c != before[CHANNELS]
        flags[NEW_INPUTS, t] = stepped or moved or channels[2, c] != channels[2, before[CHANNELS]]
        before[:] = at
    return boxes, groups, flags


@njit
def _place(t: int, counts: Any, weights_outer: bool, at: Any) -> None:
    """Where tile ``t`` stands along each axis."""
    rest = t
    for axis in _STEPS[::-1]:
        rest, at[axis] = rest // counts[axis], rest % counts[axis]
    if not weights_outer:
        rest, at[CHANNELS] = rest // counts[CHANNELS], rest % counts[CHANNELS]
    for axis in _BATCH[::-1]:
        rest, at[axis] = rest // counts[axis], rest % counts[axis]
    if weights_outer:
        at[CHANNELS] = rest


@njit
def _read(boxes: Any, t: int, first_channel: int, last_channel: int, window: Any, shape: Any) -> None:
    """Write the input box of tile ``t``; input channels count from ``first_channel`` and, the end, from ``last_channel`` on."""
    low, high = boxes[INPUTS, 0, t], boxes[INPUTS, 1, t]
    low[0], high[0] = boxes[OUTPUT, 0, t, 0], boxes[OUTPUT, 1, t, 0]
    for axis in range(2):
        stride, dilation = window[axis, STRIDE], window[axis, DILATION]
        pad, upsample = window[axis, PAD], window[axis, UPSAMPLE]
        first = boxes[OUTPUT, 0, t, axis + 1] * stride - pad + boxes[WEIGHTS, 0, t, axis + 1] * dilation
        last = (boxes[OUTPUT, 1, t, axis + 1] - 1) * stride - pad + (boxes[WEIGHTS, 1, t, axis + 1] - 1) * dilation
        low[axis + 1] = -(-first // upsample)
        high[axis + 1] = max(low[axis + 1], last // upsample + 1)
    low[3] = first_channel + boxes[WEIGHTS, 0, t, 3]
    high[3] = last_channel + boxes[WEIGHTS, 1, t, 3]
    for k in range(4):
        low[k] = min(max(low[k], 0), shape[k])
        high[k] = max(min(max(high[k], 0), shape[k]), low[k])
