"""Tile operations of one vector layer: load every operand, run the vector unit, store."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.builder.records import VectorJob, VectorTiles
from accelsim.builder.size import block_operations
from accelsim.builder.state import BuildState
from accelsim.graph import Boxes, VectorLayer
from accelsim.hardware import OperandBits, ceil_div
from accelsim.program import VectorMapping, VectorShare

Index = NDArray[np.int64]
_ANY = OperandBits(weight=1, activation=1, output=1)
"""Widths that do not matter to the vector unit."""


def share_boxes(share: VectorShare, tile: tuple[int, ...]) -> Boxes:
    """Tiles of ``tile`` over one core's share, in row-major order, where they stand in the layer."""
    counts = tuple(ceil_div(size, step) for size, step in zip(share.shape, tile, strict=True))
    lo, hi = np.empty((2, *counts, len(counts)), dtype=np.int64)
    for axis, (begin, size, step, count) in enumerate(zip(share.begin, share.shape, tile, counts, strict=True)):
        starts = np.arange(count, dtype=np.int64).reshape(-1, *(1,) * (len(counts) - axis - 1)) * step
        lo[..., axis], hi[..., axis] = begin + starts, begin + np.minimum(starts + step, size)
    shape = math.prod(counts), len(counts)
    return Boxes(lo.reshape(shape), hi.reshape(shape))


def vector_tiles(layer: VectorLayer, share: VectorShare, tile: tuple[int, ...], rank: int) -> VectorTiles:
    """The tiles of a share of ``layer`` and what they read, corners of ``rank`` axes."""
    boxes = share_boxes(share, tile)
    reads = layer.reads(boxes)
    return VectorTiles(
        boxes.volume,
        _joined([read.volume for read in reads]),
        _joined([_padded(read.lo, rank, 0) for read in reads]),
        _joined([_padded(read.hi, rank, 1) for read in reads]),
        _padded(boxes.lo, rank, 0),
        _padded(boxes.hi, rank, 1),
        _padded(np.array([share.shape]), rank, 1)[0],
        _padded(np.array([tile]), rank, 1)[0],
    )


def _joined(parts: Sequence[Index]) -> Index:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _padded(corners: Index, rank: int, value: int) -> Index:
    """Contiguous int64 of so many axes; ``value`` beyond their own."""
    if corners.shape[1] == rank:
        return np.ascontiguousarray(corners, dtype=np.int64)
    padded = np.full((len(corners), rank), value, dtype=np.int64)
    padded[:, : corners.shape[1]] = corners
    return padded


def build_vector_layer(
    index: int, layer: VectorLayer, mapping: VectorMapping, state: BuildState, share: VectorShare
) -> None:
    """All operations of one core's ``share`` of ``layer``, linked to its memories and to the stores of ``state``."""
    from accelsim.builder._vector import vector_block

    tiles = vector_tiles(layer, share, mapping.tile, state.rank)
    job = VectorJob(layer.steps_per_output, state.bits(layer.output), len(layer.output_shape))
    machine, block = state.machine(_ANY), state.block(index, share, block_operations(layer, share, mapping))
    operands = np.array([_operand(layer, k, state) for k in range(len(layer.inputs))], dtype=np.int64)
    state.end_block(block, vector_block(job, machine, state.port, tiles, operands, block, state.columns, state.ends))


def _operand(layer: VectorLayer, number: int, state: BuildState) -> tuple[int, ...]:
    """A row of the operands."""
    source = state.source(layer, number)
    bits, rank = state.bits(layer.inputs[number]), len(layer.input_shapes[number])
    return source.grid, source.boxwise, source.keeper, bits, rank
