"""Operations that move tiles between the buffers and where tensors stand: DRAM, or a place in the resident memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.builder.columns import LayerBlock
from accelsim.builder.dram import Transfer
from accelsim.builder.state import BuildState
from accelsim.graph import Boxes, Layer, MacLayer
from accelsim.hardware import (
    DRAM,
    Engine,
    Memory,
    Windows,
    fill_cycles,
    im2col_of,
    moved_no_faster,
    output_of,
    packed_bytes,
    packed_tiles,
    resident_cycles,
)

Index = NDArray[np.int64]
_LOADS = {Memory.WEIGHTS: Engine.LOAD_WEIGHTS, Memory.ACTIVATIONS: Engine.LOAD_ACTIVATIONS}


class Operand(NamedTuple):
    """Input ``number`` of a layer: ``tensor`` seen as ``view``."""

    number: int
    tensor: str
    view: tuple[int, ...]


def operand(layer: Layer, number: int) -> Operand:
    """Input ``number`` of ``layer``."""
    return Operand(number, layer.inputs[number], layer.input_shapes[number])


class Slots(NamedTuple):
    """Where loads go: ``offset`` and ``size`` in bytes in ``memory``, and the operation that frees each slot (-1: none).

    ``windows``: what is held is their matrix; None: the box that is loaded.
    """

    memory: Memory
    offset: Index
    size: Index
    free: Index
    windows: Windows | None = None


def put_loads(
    block: LayerBlock, rows: Index, boxes: Boxes, slots: Slots, source: Operand | None, state: BuildState
) -> None:
    """Loads of ``boxes`` of an operand, from DRAM or from its place on chip; of the layer's weights where ``source`` is None."""
    kept = source is not None and state.residency.offset(source.tensor) is not None
    if source is not None and slots.windows is not None:
        moved = _expanded(slots.windows, slots.size, source, state)
    else:
        moved = _recalled(slots.size, state) if kept else _loaded(block, boxes, slots.size, source, state)
    block.put(
        rows,
        Engine.RECALL if kept else _LOADS[slots.memory],
        slots.memory,
        boxes,
        amount=moved.amount,
        cycles=moved.cycles,
        bus_bytes=moved.bus_bytes,
        activates=moved.activates,
        latency=0 if kept else state.dram.latency_cycles,
        offset=slots.offset,
        extent=slots.size,
        operand=-1 if source is None else source.number,
    )
    block.wait(rows, slots.free)
    if source is not None:
        for stores in state.written(source.tensor, boxes, source.view):
            block.wait(rows, stores)
        state.residency.recalled(source.tensor, rows + block.base, boxes)


def _loaded(block: LayerBlock, boxes: Boxes, size: Index, source: Operand | None, state: BuildState) -> Transfer:
    if source is not None:
        return state.dram.tensor(source.tensor, boxes, source.view, state.bits(source.tensor), size, write=False)
    layer = state.graph.layers[block.layer]
    assert isinstance(layer, MacLayer)
    dma, bits = state.arch.dma, layer.weight_format.bits
    if dma.weight_compression is not None and layer.weights is not None:
        align = state.arch.dram.bytes_per_burst
        tiles = packed_tiles(layer.weights, boxes, bits=bits, run_bits=dma.zero_run_bits, align=align)
        return state.dram.packets(block.layer, tiles)
    return state.dram.weights(block.layer, boxes, layer.geometry.weight_shape, bits, size)


def _expanded(windows: Windows, held: Index, source: Operand, state: BuildState) -> Transfer:
    """Loads that leave the matrix of their windows on chip, ``held`` bytes of it: each pixel fetched once, or once per window."""
    bits, once = state.bits(source.tensor), state.arch.activation_buffer.im2col != DRAM
    asked = packed_bytes(windows.inputs.volume if once else windows.fetched, bits)
    if state.residency.offset(source.tensor) is not None:
        return _recalled(np.maximum(asked, held), state)._replace(amount=asked)
    if once:
        moved = state.dram.tensor(source.tensor, windows.inputs, source.view, bits, asked, write=False)
    else:
        moved = state.dram.windows(source.tensor, windows, bits, asked)
    return moved._replace(cycles=fill_cycles(im2col_of(state.arch), moved.cycles, asked, held))


def _recalled(size: Index, state: BuildState) -> Transfer:
    return Transfer(size, resident_cycles(size, state.arch), np.zeros_like(size), np.zeros_like(size))


def put_stores(
    block: LayerBlock, rows: Index, boxes: Boxes, size: Index, producer: Index, layer: Layer, state: BuildState
) -> None:
    """Stores of finished tiles of ``layer``, to DRAM or to its output's place; no faster than the output buffer can be read."""
    place = state.residency.offset(layer.output)
    if place is None:
        bits, latency, engine = state.bits(layer.output), state.dram.latency_cycles, Engine.STORE
        moved = state.dram.tensor(layer.output, boxes, layer.output_shape, bits, size, write=True)
    else:
        moved, latency, engine = _recalled(size, state), 0, Engine.KEEP
        block.wait(rows, state.residency.freed(layer.output, boxes))
    cycles = moved_no_faster(output_of(state.arch), moved.cycles, size)
    memory = Memory.DRAM if place is None else Memory.RESIDENT
    block.put(
        rows,
        engine,
        memory,
        boxes,
        amount=size,
        cycles=cycles,
        bus_bytes=moved.bus_bytes,
        activates=moved.activates,
        latency=latency,
        offset=place or 0,
        extent=size,
    )
    block.wait(rows, producer + block.base, source=True)
