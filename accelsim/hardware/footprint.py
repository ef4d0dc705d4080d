"""Bytes and words that one tile occupies; every function works on ints and on arrays of candidates alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim.arch import Arch
from accelsim.graph import Graph, MacGeometry, MacLayer
from accelsim.hardware.kinds import Memory


def ceil_div(a: Any, b: Any) -> Any:
    """Quotient rounded up, for non-negative ints or arrays."""
    return -(-a // b)


def packed_bytes(elements: Any, bits: Any) -> Any:
    """Bytes of ``elements`` packed at ``bits`` each."""
    return ceil_div(elements * bits, 8)


def input_span(geometry: MacGeometry, axis: str, outputs: Any, taps: Any) -> Any:
    """Largest number of input rows (``axis`` "h") or columns ("w") under ``outputs`` output rows and ``taps`` kernel rows."""
    return geometry.axis(axis).span(outputs, taps)


def passes(layer: MacLayer, activation_bits: int, arch: Arch) -> int:
    """Array passes per product of ``layer``: :meth:`ArrayConfig.passes` of its widths."""
    return arch.array.passes(layer.weight_format.bits, activation_bits)


def accumulator_words(activation_bits: int, arch: Arch) -> int:
    """Accumulator words per sum: as many as the activations need slices, so that wide activations get wide sums.

    1 where the slices are added into one word (``accumulator.word_per_slice`` false).
    """
    if not arch.accumulator.word_per_slice:
        return 1
    return int(ceil_div(activation_bits, arch.array.activation_bits))


def accumulator_bits(activation_bits: int, arch: Arch) -> int:
    """Width of one sum in bits, 64 at most."""
    return min(64, accumulator_words(activation_bits, arch) * arch.accumulator.bits)


def slot_capacity(memory: Memory, arch: Arch) -> int:
    """Bytes (words for the accumulators) that one tile may occupy: half of a double-buffered memory.

    Of the activation memory, the bytes set aside for whole tensors are no tile's; those are one slot of their own.
    """
    if memory is Memory.RESIDENT:
        return arch.activation_buffer.resident_bytes
    if memory is Memory.ACTIVATIONS:
        return (arch.activation_buffer.size_bytes - arch.activation_buffer.resident_bytes) // slots(memory, arch)
    if memory is Memory.ACCUMULATORS:
        return arch.accumulator.count // slots(memory, arch)
    return int(_buffer(memory, arch).size_bytes) // slots(memory, arch)


def slots(memory: Memory, arch: Arch) -> int:
    """Tiles that a memory holds at once: 2 when double-buffered, else 1."""
    if memory is Memory.RESIDENT:
        return 1
    double = (
        arch.accumulator.double_buffered if memory is Memory.ACCUMULATORS else _buffer(memory, arch).double_buffered
    )
    return 2 if double else 1


def depth(memory: Memory, arch: Arch) -> int:
    """Tiles that a memory works on at once: 2 where one is filled while another is read, else 1.

    With one port per bank (one access per cycle, read or write) a tile is filled while another is read only if they stand in
    different banks: each half of a double-buffered memory has ``banks / 2`` of its own where ``banks`` is even. Else fills and reads
    take turns, tile by tile; hardware that takes turns cycle by cycle would wait less. The bytes set aside for whole tensors
    have banks of their own.
    """
    on_turns = memory in (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.OUTPUTS) and not _buffer(memory, arch).overlaps
    return 1 if on_turns else slots(memory, arch)


def _buffer(memory: Memory, arch: Arch) -> Any:
    return {
        Memory.WEIGHTS: arch.weight_buffer,
        Memory.ACTIVATIONS: arch.activation_buffer,
        Memory.OUTPUTS: arch.output_buffer,
    }[memory]


@dataclass(frozen=True, eq=False, kw_only=True)
class TileSizes:
    """Tile sizes of a MAC layer as in :class:`MacMapping`, each an int or an array of candidates."""

    oh: Any
    ow: Any
    oc: Any
    ic: Any
    kh: Any
    kw: Any
    groups: Any
    n: Any


@dataclass(frozen=True, kw_only=True)
class OperandBits:
    """Widths of a MAC layer's operands and result, in bits."""

    weight: int
    activation: int
    output: int


def operand_bits(layer: MacLayer, graph: Graph) -> OperandBits:
    """Widths of a MAC layer's weights, activations and output."""
    activation, output = (graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output))
    return OperandBits(weight=layer.weight_format.bits, activation=activation, output=output)


def mac_footprint(
    geometry: MacGeometry, tile: TileSizes, bits: OperandBits, words: int, *, expanded: bool = False
) -> dict[Memory, Any]:
    """Occupied bytes of each buffer and words of the accumulators for one tile (or per candidate).

    ``expanded``: the activation memory holds the matrix of the tile's windows, pixels x reduction, instead of the image under them.
    """
    pixels = tile.n * tile.oh * tile.ow
    channels = tile.groups * tile.oc
    rows = input_span(geometry, "h", tile.oh, tile.kh)
    columns = input_span(geometry, "w", tile.ow, tile.kw)
    positions = pixels * tile.kh * tile.kw if expanded else tile.n * rows * columns
    return {
        Memory.WEIGHTS: packed_bytes(channels * tile.kh * tile.kw * tile.ic, bits.weight),
        Memory.ACTIVATIONS: packed_bytes(positions * tile.groups * tile.ic, bits.activation),
        Memory.ACCUMULATORS: pixels * channels * words,
        Memory.OUTPUTS: packed_bytes(pixels * channels, bits.output),
    }
