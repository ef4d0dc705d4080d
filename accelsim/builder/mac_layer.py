"""Tile operations of one MAC layer: [load weights] [load activations] compute ... requantize store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.builder.columns import LayerBlock
from accelsim.builder.mac_tiles import MacTiles, enumerate_tiles
from accelsim.builder.state import BuildState
from accelsim.builder.stores import StoreGrid
from accelsim.builder.transfers import Slots, operand, put_loads, put_stores
from accelsim.errors import ProgramError
from accelsim.graph import MacGeometry, MacLayer
from accelsim.hardware import (
    IMPLICIT,
    ArrayCost,
    ComputeTiles,
    Engine,
    Memory,
    Windows,
    accumulator_words,
    array_cost,
    array_of,
    packed_bytes,
    requantizer_of,
    unit_cycles,
)
from accelsim.numerics import IntFormat
from accelsim.program import MacMapping, MacShare

Index = NDArray[np.int64]


def build_mac_layer(index: int, layer: MacLayer, mapping: MacMapping, state: BuildState, share: MacShare) -> LayerBlock:
    """All operations of one core's ``share`` of ``layer``, linked to its memories and to the stores of ``state``."""
    check_bias(layer, state.arch)
    g = share.geometry
    tiles = _placed(state.once((g, mapping), lambda: enumerate_tiles(g, mapping)), share)
    standing = state.rings[Memory.WEIGHTS].standing(_only_weights(index, tiles))
    rows = tiles.rows if standing < 0 else tiles.rows_with_weights
    block = LayerBlock(state.columns, index, state.count, rows.total, share.core)
    weights = rows.weights[tiles.weight_loads.first]
    weights = weights + block.base if standing < 0 else np.full_like(weights, standing)
    inputs = rows.inputs[tiles.input_loads.first]
    _load_weights(block, layer, tiles, weights, rows.computes, state)
    _load_inputs(block, layer, tiles, inputs, rows.computes, state)
    cost = _cost(layer, tiles, state, (g, mapping))
    _compute(block, layer, tiles, cost, rows.computes, state)
    _requantize_and_store(block, layer, tiles, rows.computes[tiles.last_steps], state)
    _link_compute(block, tiles, weights, inputs + block.base, rows.computes)
    return block


def _only_weights(index: int, tiles: MacTiles) -> object:
    """A name for the weights of a share that are one tile; None where there are several."""
    return None if tiles.only_weights is None else (index, *tiles.only_weights)


def _placed(tiles: MacTiles, share: MacShare) -> MacTiles:
    """Tiles of a share where they stand in the layer."""
    if not any((*share.begin, share.input_channel)):
        return tiles
    inputs = (share.image, 0, 0, share.input_channel)
    moved = {"output": share.begin, "weights": (share.channel, 0, 0, 0), "inputs": inputs}
    boxes = {name: getattr(tiles, name).moved(by) for name, by in moved.items()}
    stops = tuple(axis + begin for axis, begin in zip(tiles.stops, share.begin, strict=True))
    return replace(tiles, **boxes, stops=stops)


def check_bias(layer: MacLayer, arch: Arch) -> None:
    """ProgramError for the first bias that the machine's bias registers do not hold."""
    if layer.bias is None or arch.accumulator.bias_bits is None:
        return
    fmt = IntFormat(arch.accumulator.bias_bits)
    wide = np.flatnonzero((layer.bias < fmt.min) | (layer.bias > fmt.max))
    if wide.size:
        channel = int(wide[0])
        value = int(layer.bias[channel])
        raise ProgramError(
            f"layer {layer.name!r}: the bias {value} of output channel {channel} does not fit {fmt.bits} bits "
            f"({fmt.min}..{fmt.max}); widen accumulator.bias_bits, or set it to null: as wide as the sum",
            layer=layer.name,
            channel=channel,
            value=value,
            bits=fmt.bits,
        )


def _load_weights(
    block: LayerBlock, layer: MacLayer, tiles: MacTiles, loads: Index, users: Index, state: BuildState
) -> None:
    """Loads of new weights; where an earlier band's still stand (``loads`` before the block), their slot has new consumers only."""
    ring, (boxes, _, last, _) = state.rings[Memory.WEIGHTS], tiles.weight_loads
    offset, free = ring.fill(users[last] + block.base)
    ring.put(_only_weights(block.layer, tiles), int(loads[0]))
    if loads[0] < block.base:
        return
    size = state.packed_bytes(boxes, layer.weight_format.bits)
    source = operand(layer, 1) if len(layer.inputs) > 1 else None
    put_loads(block, loads - block.base, boxes, Slots(Memory.WEIGHTS, offset, size, free), source, state)


def _load_inputs(
    block: LayerBlock, layer: MacLayer, tiles: MacTiles, loads: Index, users: Index, state: BuildState
) -> None:
    (boxes, first, last, _), bits = tiles.input_loads, state.bits(layer.inputs[0])
    windows = None
    if state.arch.activation_buffer.im2col != IMPLICIT:
        pixels, taps = (part.some(first) for part in (tiles.output, tiles.weights))
        windows = Windows(layer.geometry, *(part.widened() for part in (pixels, taps, boxes)))
    size = state.packed_bytes(boxes, bits) if windows is None else packed_bytes(windows.elements, bits)
    offset, free = state.rings[Memory.ACTIVATIONS].fill(users[last] + block.base)
    put_loads(block, loads, boxes, Slots(Memory.ACTIVATIONS, offset, size, free, windows), operand(layer, 0), state)


def _cost(layer: MacLayer, tiles: MacTiles, state: BuildState, key: tuple[MacGeometry, MacMapping]) -> ArrayCost:
    """Of each compute tile; equal for layers of equal geometry, mapping and widths."""
    bits = state.bits(layer.inputs[0])
    return state.once((*key, layer.weight_format.bits, bits), lambda: _tile_costs(layer, tiles, bits, state.arch))


def _tile_costs(layer: MacLayer, tiles: MacTiles, bits: int, arch: Arch) -> ArrayCost:
    channels = tiles.channels
    sizes = ComputeTiles(
        pixels=tiles.output.volume // channels,
        reduction=tiles.reduction,
        channels=channels // tiles.groups,
        groups=tiles.groups,
        weights_kept=~tiles.new_weights,
    )
    return array_cost(sizes, array_of(arch, weight_bits=layer.weight_format.bits, activation_bits=bits))


def _compute(
    block: LayerBlock, layer: MacLayer, tiles: MacTiles, cost: ArrayCost, rows: Index, state: BuildState
) -> None:
    volume = tiles.output.volume
    words = accumulator_words(state.bits(layer.inputs[0]), state.arch)
    requantize = rows[tiles.last_steps] + 1 + block.base
    offset, free = state.rings[Memory.ACCUMULATORS].fill(requantize)
    block.put(
        rows,
        Engine.COMPUTE,
        Memory.ACCUMULATORS,
        tiles.output,
        amount=tiles.macs,
        cycles=cost.cycles,
        latency=cost.latency,
        stream_cycles=cost.stream_cycles,
        weight_reads=cost.weight_reads,
        activation_reads=cost.activation_reads,
        accumulator_writes=cost.accumulator_writes * words,
        offset=offset[tiles.sum_of],
        extent=volume * words,
    )
    block.wait(rows[tiles.first_steps], free)


def _link_compute(block: LayerBlock, tiles: MacTiles, weights: Index, inputs: Index, compute_row: Index) -> None:
    """Each compute reads the weights and inputs loaded last, and adds to the partial sums of the step before."""
    for loads, (_, _, _, load_of) in ((weights, tiles.weight_loads), (inputs, tiles.input_loads)):
        block.wait(compute_row, loads[load_of], source=True)
    later = tiles.later_steps
    block.wait(compute_row[later], compute_row[later - 1] + block.base, source=True)


def _requantize_and_store(
    block: LayerBlock, layer: MacLayer, tiles: MacTiles, compute: Index, state: BuildState
) -> None:
    """``compute``: the last steps of the sums."""
    boxes = tiles.finished
    size = state.packed_bytes(boxes, state.bits(layer.output))
    requantize, store = compute + 1, compute + 2
    offset, free = state.rings[Memory.OUTPUTS].fill(store + block.base)
    lanes = state.once(("requantize", boxes), lambda: unit_cycles(requantizer_of(state.arch), boxes.volume, 0))
    block.put(
        requantize,
        Engine.REQUANTIZE,
        Memory.OUTPUTS,
        boxes,
        amount=boxes.volume,
        cycles=lanes,
        offset=offset,
        extent=size,
    )
    block.wait(requantize, compute + block.base, source=True)
    block.wait(requantize, free)
    put_stores(block, store, boxes, size, requantize, layer, state)
    state.stored(
        layer.output,
        StoreGrid(
            view=layer.output_shape,
            stops=tiles.stops,
            order=tiles.order,
            operations=store + block.base,
            begin=tuple(boxes.lo[0].tolist()),
        ),
    )
