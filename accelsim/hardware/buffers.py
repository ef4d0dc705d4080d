"""What the memories beside the array hold: slots, their capacity, and the words of a sum."""

from __future__ import annotations

from typing import Any

from accelsim.arch import Arch
from accelsim.hardware.kinds import Memory
from accelsim.hardware.laws import ceil_div


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
        return arch.activation_buffer.kept_bytes
    if memory is Memory.ACTIVATIONS:
        return (arch.activation_buffer.size_bytes - arch.activation_buffer.kept_bytes) // slots(memory, arch)
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
