"""Tile operations of one vector layer: load every operand, run the vector unit, store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.builder.columns import LayerBlock
from accelsim.builder.mac_tiles import cuts
from accelsim.builder.state import BuildState
from accelsim.builder.stores import StoreGrid
from accelsim.builder.transfers import Slots, operand, put_loads, put_stores
from accelsim.graph import Boxes, VectorLayer
from accelsim.hardware import Engine, Memory, packed_bytes, unit_cycles, vector_of
from accelsim.program import VectorMapping, VectorShare

Index = NDArray[np.int64]


def grid_boxes(shape: tuple[int, ...], tile: tuple[int, ...]) -> tuple[Boxes, tuple[Index, ...]]:
    """Tiles of ``tile`` over ``shape`` in row-major order, and the exclusive stops along each axis."""
    axes = [cuts(size, step) for size, step in zip(shape, tile, strict=True)]
    at = np.indices([len(axis[0]) for axis in axes], dtype=np.int64).reshape(len(axes), -1)
    count = at.shape[1]
    lo = (
        np.stack([axis[0][i] for axis, i in zip(axes, at, strict=True)], axis=1)
        if axes
        else np.zeros((count, 0), np.int64)
    )
    hi = (
        np.stack([axis[1][i] for axis, i in zip(axes, at, strict=True)], axis=1)
        if axes
        else np.zeros((count, 0), np.int64)
    )
    return Boxes(lo, hi), tuple(axis[1] for axis in axes)


def share_boxes(share: VectorShare, tile: tuple[int, ...]) -> tuple[Boxes, tuple[Index, ...]]:
    """:func:`grid_boxes` of one core's share, where it stands in the layer."""
    tiles, stops = grid_boxes(share.shape, tile)
    return tiles.moved(share.begin), tuple(axis + lo for axis, lo in zip(stops, share.begin, strict=True))


def build_vector_layer(
    index: int, layer: VectorLayer, mapping: VectorMapping, state: BuildState, share: VectorShare
) -> LayerBlock:
    """All operations of one core's ``share`` of ``layer``, linked to its memories and to the stores of ``state``."""
    tiles, stops = state.once((share, mapping), lambda: share_boxes(share, mapping.tile))
    reads = layer.reads(tiles)
    needed = np.stack([boxes.volume > 0 for boxes in reads], axis=1)
    per_tile = needed.sum(axis=1) + 2
    begin = np.cumsum(per_tile) - per_tile
    block = LayerBlock(state.columns, index, state.count, int(per_tile.sum()), share.core)
    vector = begin + per_tile - 2
    _load_operands(block, layer, reads, needed, begin, vector, state)
    size = state.packed_bytes(tiles, state.bits(layer.output))
    offset, free = state.rings[Memory.OUTPUTS].fill(vector + 1 + block.base)
    work = tiles.volume * layer.steps_per_output
    cycles = _vector_cycles(work, reads, layer, state)
    block.put(vector, Engine.VECTOR, Memory.OUTPUTS, tiles, amount=work, cycles=cycles, offset=offset, extent=size)
    block.wait(vector, free)
    put_stores(block, vector + 1, tiles, size, vector, layer, state)
    order = tuple(range(len(stops)))
    stores = vector + 1 + block.base
    view = layer.output_shape
    state.stored(layer.output, StoreGrid(view=view, stops=stops, order=order, operations=stores, begin=share.begin))
    return block


def _vector_cycles(work: Index, reads: tuple[Boxes, ...], layer: VectorLayer, state: BuildState) -> Index:
    inputs = zip(reads, layer.inputs, strict=True)
    read_bytes = sum(packed_bytes(boxes.volume, state.bits(name)) for boxes, name in inputs)
    cycles: Index = unit_cycles(vector_of(state.arch), work, read_bytes)
    return cycles


def _load_operands(
    block: LayerBlock,
    layer: VectorLayer,
    reads: tuple[Boxes, ...],
    needed: NDArray[np.bool_],
    begin: Index,
    vector: Index,
    state: BuildState,
) -> None:
    """Operands stand side by side in one slot of the activation buffer, in input order.

    A tile that reads nothing (all padding) still takes its turn of the slot, and waits for it itself.
    """
    start, free = state.rings[Memory.ACTIVATIONS].fill(vector + block.base)
    nothing = ~needed.any(axis=1)
    block.wait(vector[nothing], free[nothing])
    for k, (name, boxes) in enumerate(zip(layer.inputs, reads, strict=True)):
        use = needed[:, k]
        size = state.packed_bytes(boxes, state.bits(name))
        rows = (begin + needed[:, :k].sum(axis=1))[use]
        part = boxes if use.all() else Boxes(boxes.lo[use], boxes.hi[use])
        slots = Slots(Memory.ACTIVATIONS, start[use], size[use], free[use])
        put_loads(block, rows, part, slots, operand(layer, k), state)
        block.wait(vector[use], rows + block.base, source=True)
        start = start + size
