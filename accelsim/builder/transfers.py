"""What transfers cost beyond bytes at the DRAM's bandwidth: bursts and rows, coded weights, unrolled windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import StreamName
from accelsim.builder.dram import Transfer
from accelsim.builder.records import (
    ACTIVATES,
    AMOUNT,
    BUS_BYTES,
    CYCLES,
    ENGINE,
    EXTENT,
    HI,
    LO,
    NONE,
    OPERAND,
)
from accelsim.builder.state import BuildState
from accelsim.graph import Boxes, MacLayer
from accelsim.hardware import (
    DRAM,
    IMPLICIT,
    Engine,
    Windows,
    fill_cycles,
    im2col_of,
    is_packed,
    moved_no_faster,
    output_of,
    packed_bytes,
    packed_tiles,
    resident_cycles,
    stored_bits,
)

Index = NDArray[np.int64]
_LOADS: Mapping[Engine, StreamName] = {Engine.LOAD_ACTIVATIONS: "activations", Engine.LOAD_WEIGHTS: "weights"}
_ROWS = {AMOUNT: "amount", CYCLES: "cycles", BUS_BYTES: "bus_bytes", ACTIVATES: "activates"}


def price_transfers(index: int, base: int, state: BuildState) -> None:
    """Price the transfers of the operations from ``base`` on, those of a block of layer ``index``, where the emitter could not."""
    layer = state.graph.layers[index]
    windows = isinstance(layer, MacLayer) and state.arch.activation_buffer.im2col != IMPLICIT
    if state.dram.is_plain and not windows:
        return
    for rows, moved in _priced(index, base, state):
        for row, name in _ROWS.items():
            state.columns.figures[row, rows] = getattr(moved, name)


def _priced(index: int, base: int, state: BuildState) -> Iterator[tuple[Index, Transfer]]:
    """(operations, what they move) by kind of transfer."""
    layer = state.graph.layers[index]
    kinds, figures = state.columns.kinds[:, base : state.ends.operations], state.columns.figures
    engine, operand = kinds[ENGINE], kinds[OPERAND]
    if state.passes:  # whose blocks have operations of several layers
        engine = np.where(state.layer[base : state.ends.operations] == index, engine, NONE)
    rows = base + np.flatnonzero((engine == Engine.LOAD_WEIGHTS) & (operand < 0))
    if len(rows):
        assert isinstance(layer, MacLayer)
        yield rows, _weights(layer, index, _boxes(rows, 4, state), figures[EXTENT, rows], state)
    for number, (tensor, view) in enumerate(zip(layer.inputs, layer.input_shapes, strict=True)):
        mine = (operand == number) & (engine != NONE)
        if number == 0 and isinstance(layer, MacLayer) and state.arch.activation_buffer.im2col != IMPLICIT:
            rows = base + np.flatnonzero(mine)
            yield rows, _expanded(layer, rows, state)
            continue
        for by, stream in _LOADS.items():
            rows = base + np.flatnonzero(mine & (engine == by))
            if len(rows):
                boxes, size = _boxes(rows, len(view), state), figures[EXTENT, rows]
                yield rows, state.dram.tensor(tensor, boxes, view, state.bits(tensor), size, stream=stream)
    rows = base + np.flatnonzero(engine == Engine.STORE)
    if len(rows):
        boxes, size, view = _boxes(rows, len(layer.output_shape), state), figures[EXTENT, rows], layer.output_shape
        moved = state.dram.tensor(layer.output, boxes, view, state.bits(layer.output), size, stream="outputs")
        yield rows, moved._replace(cycles=moved_no_faster(output_of(state.arch), moved.cycles, size))


def _boxes(rows: Index, rank: int, state: BuildState) -> Boxes:
    corners = state.columns.boxes[:, rows, :rank].astype(np.int64)
    return Boxes(corners[LO], corners[HI])


def _weights(layer: MacLayer, index: int, boxes: Boxes, size: Index, state: BuildState) -> Transfer:
    """Loads of constant weights."""
    if is_packed(layer, state.arch):
        return state.dram.packets(index, packed_tiles(layer, boxes, state.arch, held=size))
    return state.dram.weights(index, boxes, layer.geometry.weight_shape, stored_bits(layer, state.arch), size)


def _expanded(layer: MacLayer, rows: Index, state: BuildState) -> Transfer:
    """Loads of inputs that leave the matrix of their windows on chip: each pixel fetched once, or once per window."""
    columns, tensor = state.columns, layer.inputs[0]
    # The operation behind such a load is the first that reads it, and waits for its weights before all else.
    taps = columns.waits[columns.first[rows + 1]]
    windows = Windows(layer.geometry, *(_boxes(which, 4, state) for which in (rows + 1, taps, rows)))
    bits, once = state.bits(tensor), state.arch.activation_buffer.im2col != DRAM
    held = columns.figures[EXTENT, rows] = packed_bytes(windows.elements, bits)
    asked = packed_bytes(windows.inputs.volume if once else windows.fetched, bits)
    if state.residency.offset(tensor) is not None:
        none = np.zeros_like(asked)
        return Transfer(asked, resident_cycles(np.maximum(asked, held), state.arch), none, none)
    if once:
        moved = state.dram.tensor(tensor, windows.inputs, layer.input_shapes[0], bits, asked, stream="activations")
    else:
        moved = state.dram.windows(tensor, windows, bits, asked)
    return moved._replace(cycles=fill_cycles(im2col_of(state.arch), moved.cycles, asked, held))
