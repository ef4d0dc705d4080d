"""What counting a tile takes, by arithmetic: a tile that is not held is refused before it is tried."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.activity.toggles import TileShape, ToggleArray, occupied
from accelsim.builder import check_beside
from accelsim.graph import MacLayer
from accelsim.program import Program

_WORD_BYTES = 8
_PASSED_BYTES = 1
"""Of a register: its last word, and whether it has one."""


def check_room(program: Program, layer: MacLayer, tiles: NDArray[np.int64], array: ToggleArray) -> None:
    """CapacityError where the largest of the compute ``tiles`` (operations) of ``layer`` is more than is held beside the Program."""
    shapes = tile_shapes(program, layer, tiles)
    if not shapes:
        return
    needed, tile = max((counting_bytes(tile, array), tile) for tile in shapes)
    rows, cols = occupied(tile, array)
    check_beside(
        program,
        needed,
        what=f"activity: layer {layer.name!r} ({layer.operator}): counting a tile of {tile.groups * tile.pixels:,} pixels, sums of "
        f"{tile.reduction:,} products and {tile.channels:,} channels on {rows:,} rows x {cols:,} columns of {program.arch.name!r}",
        remedy="take smaller tiles (a mapping file, smaller buffers or fewer accumulators), or fewer array.rows and array.cols",
        layer=layer.name,
    )


def tile_shapes(program: Program, layer: MacLayer, tiles: NDArray[np.int64]) -> list[TileShape]:
    """The different shapes of the compute ``tiles`` of ``layer`` that have channels."""
    g, weights = layer.geometry, program.dependencies[program.dependency_start[tiles]]
    out, taps = (_sizes(program, operations) for operations in (tiles, weights))
    groups = np.maximum(1, out[:, 3] // g.oc_per_group)
    columns = groups, out[:, :3].prod(axis=1), taps[:, 1:].prod(axis=1), taps[:, 0] // groups
    found = np.unique(np.stack(columns, axis=1), axis=0)
    return [TileShape(*row) for row in found.tolist() if row[3]]


def counting_bytes(tile: TileShape, array: ToggleArray) -> int:
    """Most bytes that the operands of a tile, the products and sums of it and the array's registers take together.

    Operands stand there as they are gathered, side by side in whole MACs, and fold by fold; sums before, after and on their way.
    """
    rows, cols = occupied(tile, array)
    reduction = -(-tile.reduction // array.products) * array.products
    x, w = tile.groups * tile.pixels * reduction, tile.groups * reduction * tile.channels
    sums, operands = tile.groups * tile.pixels * tile.channels, rows * array.products * cols
    registers = 3 * operands + rows * cols  # shifted in, held, moving; sums
    return _WORD_BYTES * (4 * x + 4 * w + 4 * sums + 3 * operands) + (_WORD_BYTES + _PASSED_BYTES) * registers


def _sizes(program: Program, operations: NDArray[Any]) -> NDArray[np.int64]:
    """Of the boxes of ``operations``, (operations, 4)."""
    sizes: NDArray[np.int64] = (program.hi[operations, :4] - program.lo[operations, :4]).astype(np.int64)
    return sizes
