"""What a part holds and takes, one function per question.

Each is arithmetic alone, so that one text serves all callers: Python's integers and numpy's arrays here, scalars in compiled loops
(:mod:`accelsim.hardware.compiled` compiles these very functions). For that none calls another, and a condition is on a part only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware.im2col import AT_ARRAY, AT_DMA
from accelsim.hardware.parts import Capacity, Dma, Im2col, Loops, Operands, Requantizer, Streams, Unit


class Footprint(NamedTuple):
    """What one tile of a MAC layer takes: bytes of ``weights``, of ``inputs`` as they are fetched once each and as they are
    ``held``, words of ``sums``, bytes of ``outputs`` as they leave a pass."""

    weights: Any
    inputs: Any
    held: Any
    sums: Any
    outputs: Any


def ceil_div(a: Any, b: Any) -> Any:
    """Quotient rounded up, for non-negative numbers."""
    return -(-a // b)


def packed_bytes(elements: Any, bits: Any) -> Any:
    """Bytes of ``elements`` packed at ``bits`` each."""
    return -(-(elements * bits) // 8)


def footprint(operands: Operands, im2col: Im2col, tile: Loops, area: Any) -> Footprint:
    """Of a tile that sees ``area`` input pixels of all its images.

    Where windows are unrolled the activation memory holds their matrix, pixels x reduction, instead of the image under them;
    where the DMA unrolls them it fetches as much.
    """
    pixels, channels = tile.n * tile.oh * tile.ow, tile.groups * tile.oc
    taps = tile.kh * tile.kw
    weights = channels * taps * tile.ic
    if operands.block_rows * operands.block_cols > 1:
        steps = -(-(taps * tile.ic) // operands.block_rows) * operands.block_rows
        weights = steps * (-(-tile.oc // operands.block_cols) * operands.block_cols) * tile.groups
    pooled = operands.pool_rows * operands.pool_cols
    left = pixels // pooled if pooled > 1 else pixels
    held = area if im2col.mode == AT_ARRAY else pixels * taps
    fetched = held if im2col.mode == AT_DMA else area
    return Footprint(
        -(-(weights * operands.weight_bits) // 8),
        -(-(fetched * tile.groups * tile.ic * operands.activation_bits) // 8),
        -(-(held * tile.groups * tile.ic * operands.activation_bits) // 8),
        pixels * channels * operands.sum_words,
        -(-(left * channels * operands.output_bits) // 8),
    )


def fits(capacity: Capacity, tile: Footprint) -> Any:
    """Whether a slot of every memory holds the tile, and shared banks the slots of both (:func:`banks_taken`)."""
    alone = (
        (tile.weights <= capacity.weights)
        & (tile.held <= capacity.activations)
        & (tile.sums <= capacity.accumulators)
        & (tile.outputs <= capacity.outputs)
    )
    if capacity.bank == 0:
        return alone
    weights = -(-(capacity.weight_slots * tile.weights) // capacity.bank)
    held = -(-(capacity.activation_slots * tile.held) // capacity.bank)
    return alone & (weights + held <= capacity.banks)


def banks_taken(capacity: Capacity, weights: Any, held: Any) -> tuple[Any, Any]:
    """Shared banks that slots of so many bytes of weights and of activations take: no bank holds both."""
    return (
        -(-(capacity.weight_slots * weights) // capacity.bank),
        -(-(capacity.activation_slots * held) // capacity.bank),
    )


class Room(NamedTuple):
    """The most output pixels that a tile may have, and the most input pixels that it may see, of all its images."""

    pixels: int
    area: int


UNLIMITED = 2**62


def room_of(capacity: Capacity, operands: Operands, im2col: Im2col, tile: Loops) -> Room:
    """What the channels and taps of ``tile`` leave: it fits (:func:`fits`) where it has no more; no pixels where its weights do not."""
    channels, taps = tile.groups * tile.oc, tile.kh * tile.kw
    weights = channels * taps * tile.ic
    if operands.block_rows * operands.block_cols > 1:
        steps = -(-(taps * tile.ic) // operands.block_rows) * operands.block_rows
        weights = steps * (-(-tile.oc // operands.block_cols) * operands.block_cols) * tile.groups
    if weights * operands.weight_bits > 8 * capacity.weights:
        return Room(0, 0)
    held = capacity.activations
    if capacity.bank > 0:
        taken = -(-(capacity.weight_slots * -(-(weights * operands.weight_bits) // 8)) // capacity.bank)
        held = min(held, (capacity.banks - taken) * capacity.bank // capacity.activation_slots)
        if held <= 0:
            return Room(0, 0)
    area = 8 * held // (tile.groups * tile.ic * operands.activation_bits)
    sums, outputs = channels * operands.sum_words, channels * operands.output_bits
    pooled = operands.pool_rows * operands.pool_cols
    pixels = min(capacity.accumulators // sums, 8 * capacity.outputs // outputs * pooled)
    return Room(pixels, area) if im2col.mode == AT_ARRAY else Room(min(pixels, area // taps), UNLIMITED)


def transfer_cycles(dma: Dma, transfers: Any, size: Any, commands: Any) -> Any:
    """Fewest cycles that so many ``transfers`` of ``size`` bytes in all hold their queue and the DRAM port.

    Each is set up, and takes a cycle at least; then the bytes pass at the DRAM's bandwidth, or its ``commands`` take longer.
    """
    moved = -(-(size * dma.clock) // dma.bandwidth)
    return np.maximum(transfers, transfers * dma.setup_cycles + np.maximum(moved, commands))


def last_write_cycles(dma: Dma, size: Any) -> Any:
    """Cycles of the last write, of ``size`` bytes, of a store that takes outputs as they come: it was set up before the first."""
    return np.maximum(1, -(-(size * dma.clock) // dma.bandwidth))


def held_weights(rows: Any, cols: Any, steps: Any, channels: Any, groups: Any) -> Any:
    """Weights of a tile of so many ``steps`` of a sum, ``channels`` of a group and ``groups``, with the padding of their blocks of so many
    ``rows`` and ``cols``."""
    return -(-steps // rows) * rows * (-(-channels // cols) * cols) * groups


def written_bytes(dma: Dma, pixels: Any, channels: Any, bits: Any) -> Any:
    """Bytes that a store of ``pixels`` of so many ``channels`` moves: packed, or each pixel's padded to whole writes."""
    if dma.write == 1:
        return -(-(pixels * channels * bits) // 8)
    return pixels * (-(-(channels * bits) // (8 * dma.write)) * dma.write)


def busiest(streams: Streams, weights: Any, inputs: Any, outputs: Any) -> Any:
    """Of so many cycles of each stream at its port those of the port with most."""
    of, to, out = streams.weights.port, streams.activations.port, streams.outputs.port
    one = weights + inputs * (to == of) + outputs * (out == of)
    two = inputs + weights * (of == to) + outputs * (out == to)
    return np.maximum(np.maximum(one, two), outputs + weights * (of == out) + inputs * (to == out))


def paced(streams: Streams, weights: Any, inputs: Any, outputs: Any) -> Any:
    """Cycles in which so many bytes of each stream pass at its bandwidth, not rounded."""
    return (
        weights * streams.weights.clock / streams.weights.bandwidth,
        inputs * streams.activations.clock / streams.activations.bandwidth,
        outputs * streams.outputs.clock / streams.outputs.bandwidth,
    )


def unit_cycles(unit: Unit, steps: Any, read_bytes: Any) -> Any:
    """Cycles of ``steps`` on the lanes of a unit: at least 1, and no fewer than its operands take to come."""
    cycles = np.maximum(1, -(-steps // unit.lanes))
    return np.maximum(cycles, -(-read_bytes // unit.width)) if unit.width > 0 else cycles


def requantize_cycles(unit: Requantizer, outputs: Any) -> Any:
    """Cycles of ``outputs`` on the lanes of the requantization unit, or of the vector unit in the same pass where those take longer; at
    least 1."""
    cycles = np.maximum(1, -(-outputs // unit.lanes))
    return np.maximum(cycles, -(-(outputs * unit.steps) // unit.vector_lanes)) if unit.steps > 0 else cycles


def requantize_lag(unit: Requantizer, last: Any) -> Any:
    """Cycles from the end of a tile until a unit that streams is done with the ``last`` of its sums
    (:class:`accelsim.hardware._array.LastSums`), one at least: it sees the tile end.

    It fills its lanes with whatever has come. So it ends as it would from the last vector alone, or from the first one of the last fold, of
    its columns' folds, or of the last group: what they take beyond the cycles in which they come. What comes before each is as full or
    fuller, and as far apart; from there it would end later only if it did from the tile's first sum, and so takes all its cycles without a
    pause. In a pass the vector unit takes its ``steps`` for each sum.
    """
    fold, came = last.size * last.vectors, (last.vectors - 1) * last.spacing
    block = last.size * last.block
    own = np.maximum(
        np.maximum(-(-last.size // unit.lanes), -(-fold // unit.lanes) - came),
        np.maximum(-(-block // unit.lanes) - last.span, -(-last.group // unit.lanes) - last.group_span),
    )
    if unit.steps > 0:
        lanes, steps = unit.vector_lanes, unit.steps
        own = np.maximum(own, np.maximum(-(-(last.size * steps) // lanes), -(-(fold * steps) // lanes) - came))
        own = np.maximum(
            own,
            np.maximum(-(-(block * steps) // lanes) - last.span, -(-(last.group * steps) // lanes) - last.group_span),
        )
    return np.maximum(1, own - last.idle)


def pass_lag(unit: Requantizer, outputs: Any) -> Any:
    """Cycles of the vector unit behind the requantizer's last of ``outputs``: its steps on those that leave the latter in one cycle."""
    return np.maximum(1, -(-(np.minimum(outputs, unit.lanes) * unit.steps) // unit.vector_lanes))


def moved_no_faster(unit: Unit, cycles: Any, moved_bytes: Any) -> Any:
    """``cycles`` of a transfer whose other end, a memory of some width, passes ``moved_bytes``."""
    return np.maximum(cycles, -(-moved_bytes // unit.width)) if unit.width > 0 else cycles


def fill_cycles(im2col: Im2col, cycles: Any, asked: Any, held: Any) -> Any:
    """``cycles`` of loads that fill ``held`` bytes with ``asked`` ones: a matrix is written no faster than the memory is wide."""
    if im2col.width == 0:
        return cycles
    return cycles + (held > asked) * np.maximum(0, -(-held // im2col.width) - cycles)
