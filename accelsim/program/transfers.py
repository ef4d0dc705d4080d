"""Operations that move tiles between the buffers and where tensors stand: DRAM, or a place in the resident memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Boxes, Layer
from accelsim.program.columns import LayerBlock
from accelsim.program.cost import dma_cycles, dram_latency_cycles, resident_cycles
from accelsim.program.footprint import ceil_div
from accelsim.program.kinds import Engine, Memory
from accelsim.program.site import Site

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
    """Where loads go: ``offset`` and ``size`` in bytes in ``memory``, and the operation that frees each slot (-1: none)."""

    memory: Memory
    offset: Index
    size: Index
    free: Index


def put_loads(block: LayerBlock, rows: Index, boxes: Boxes, slots: Slots, source: Operand | None, site: Site) -> None:
    """Loads of ``boxes`` of an operand, from DRAM or from its place on chip; of the layer's weights where ``source`` is None."""
    kept = source is not None and site.residency.offset(source.tensor) is not None
    block.put(
        rows,
        Engine.RECALL if kept else _LOADS[slots.memory],
        slots.memory,
        boxes,
        amount=slots.size,
        cycles=resident_cycles(slots.size, site.arch) if kept else dma_cycles(slots.size, site.arch),
        latency=0 if kept else dram_latency_cycles(site.arch),
        offset=slots.offset,
        extent=slots.size,
        operand=-1 if source is None else source.number,
    )
    block.wait(rows, slots.free)
    if source is not None:
        for stores in site.written(source.tensor, boxes, source.view):
            block.wait(rows, stores)
        site.residency.recalled(source.tensor, rows + block.base)


def put_stores(
    block: LayerBlock, rows: Index, boxes: Boxes, size: Index, producer: Index, layer: Layer, site: Site
) -> None:
    """Stores of finished tiles of ``layer``, to DRAM or to its output's place; no faster than the output buffer can be read."""
    place = site.residency.offset(layer.output)
    if place is None:
        cycles, latency, engine = dma_cycles(size, site.arch), dram_latency_cycles(site.arch), Engine.STORE
    else:
        cycles, latency, engine = resident_cycles(size, site.arch), 0, Engine.KEEP
        block.wait(rows[:1], np.array([site.residency.freed(layer.output)]))
    width = site.arch.output_buffer.bytes_per_cycle
    if width is not None:
        cycles = np.maximum(cycles, ceil_div(size, width))
    memory = Memory.DRAM if place is None else Memory.RESIDENT
    block.put(rows, engine, memory, boxes, amount=size, cycles=cycles, latency=latency, offset=place or 0, extent=size)
    block.wait(rows, producer + block.base, source=True)
