"""Numba kernel of the loop nest of a MAC layer: the boxes of every compute tile, in program order.

Plain loops over single elements: slices and array expressions took seconds to compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.graph.compiled import rows_under
from accelsim.numba_cache import tiered

(IMAGES, ROWS, COLUMNS, KERNEL_ROWS, KERNEL_COLUMNS, INPUT_CHANNELS, CHANNELS) = range(7)
"""Axes of the loop nest; the first three are axes 0 to 2 of the output, the next three axes 1 to 3 of the weights."""
(OUTPUT, WEIGHTS, INPUTS) = range(3)
(FIRST_STEP, LAST_STEP, NEW_WEIGHTS, NEW_INPUTS) = range(4)


@tiered(lambda tiles, *rest: tiles)
def loop_nest(
    tiles: int, nest: Any, counts: Any, size: Any, tile: Any, channels: Any, group_inputs: int, window: Any
) -> tuple[Any, Any]:
    """(boxes, flags) of so many ``tiles``: int32 (3, 2, tiles, 4) corners, bool (4, tiles).

    ``nest`` are the axes from the innermost loop out, ``counts`` the tiles along each. Tile i along one of the first six axes covers
    ``[i tile, min((i + 1) tile, size))``; ``channels`` (4, C) holds first and last + 1 output channel and group of each channel tile.
    """
    boxes, flags = np.empty((3, 2, tiles, 4), dtype=np.int32), np.zeros((4, tiles), dtype=np.bool_)
    both = np.zeros((2, 7), dtype=np.int64)  # where this tile is along every axis, and the one before
    steps = counts[KERNEL_ROWS] * counts[KERNEL_COLUMNS] * counts[INPUT_CHANNELS]
    for t in range(tiles):
        at, before = both[t % 2], both[1 - t % 2]
        rest = t  # in mixed radix, the innermost loop being the last digit
        for axis in nest:
            at[axis] = rest % counts[axis]
            rest //= counts[axis]
        c = at[CHANNELS]
        for side in range(2):
            for k in range(3):
                boxes[OUTPUT, side, t, k] = min((at[k] + side) * tile[k], size[k])
                boxes[WEIGHTS, side, t, k + 1] = min((at[k + 3] + side) * tile[k + 3], size[k + 3])
            boxes[OUTPUT, side, t, 3] = boxes[WEIGHTS, side, t, 0] = channels[side, c]
            boxes[INPUTS, side, t, 0] = boxes[OUTPUT, side, t, 0]
            # From the first channel of the first group to the last of the last: a tile of several groups has all their inputs.
            group = channels[2, c] if side == 0 else channels[3, c] - 1
            boxes[INPUTS, side, t, 3] = group * group_inputs + boxes[WEIGHTS, side, t, 3]
        for axis in (1, 2):
            boxes[INPUTS, 0, t, axis], boxes[INPUTS, 1, t, axis] = rows_under(
                window[axis - 1], boxes[OUTPUT, 0, t, axis], boxes[OUTPUT, 1, t, axis],
                boxes[WEIGHTS, 0, t, axis], boxes[WEIGHTS, 1, t, axis],
            )  # fmt: skip
        flags[FIRST_STEP, t], flags[LAST_STEP, t] = t % steps == 0, t % steps == steps - 1
        # Channel tiles of one group read the same inputs, which then stay; another group has others.
        moved = t == 0 or channels[2, c] != channels[2, before[CHANNELS]]
        for axis in range(CHANNELS):
            changed = t == 0 or at[axis] != before[axis]
            flags[NEW_INPUTS, t] |= changed
            flags[NEW_WEIGHTS, t] |= changed and axis >= KERNEL_ROWS
        flags[NEW_INPUTS, t] |= moved
        flags[NEW_WEIGHTS, t] |= t == 0 or c != before[CHANNELS]
    return boxes, flags
