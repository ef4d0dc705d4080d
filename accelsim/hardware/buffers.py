"""What the memories beside the array hold: slots, their capacity, and the words of a sum."""

from __future__ import annotations

from typing import Any

from accelsim.arch import Arch
from accelsim.hardware.kinds import Memory
from accelsim.hardware.laws import ceil_div
from accelsim.hardware.parts import Capacity

SHARED = (Memory.WEIGHTS, Memory.ACTIVATIONS)
"""Memories that may be one."""


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
    """Bytes (words for the accumulators) that one tile may occupy at most: half of a double-buffered memory, less of a FIFO.

    Of the activation memory, the bytes set aside for whole tensors are no tile's; those are one slot of their own. Of a shared one a
    tile of weights leaves a bank to activations; a layer without weights may take all.
    """
    if memory is Memory.RESIDENT:
        return arch.activation_buffer.kept_bytes
    return tile_bytes(memory, arch) // slots(memory, arch)


def tile_bytes(memory: Memory, arch: Arch) -> int:
    """Bytes (words of the accumulators) of all slots of a memory of tiles, at most."""
    if memory is Memory.ACCUMULATORS:
        return arch.accumulator.count
    shared = arch.shared_buffer
    if shared.size_bytes is not None and memory is not Memory.OUTPUTS:
        if memory is Memory.WEIGHTS:
            return (shared.weight_banks or arch.tile_banks - 1) * shared.bank_bytes
        return (arch.tile_banks - (shared.weight_banks or 0)) * shared.bank_bytes
    kept = arch.activation_buffer.kept_bytes if memory is Memory.ACTIVATIONS else 0
    return int(_buffer(memory, arch).size_bytes) - kept


def space_bytes(memory: Memory, arch: Arch) -> int:
    """Bytes (words of the accumulators) in which the slots of a memory have their addresses: in a shared one those of weights stand behind
    those of activations."""
    if arch.shared_buffer.size_bytes is not None and memory in SHARED:
        return arch.tile_banks * arch.shared_buffer.bank_bytes
    return slot_capacity(memory, arch) * slots(memory, arch)


def capacity_of(arch: Arch) -> Capacity:
    """What a slot of each memory holds, before a shared one is divided for a layer."""
    memories = Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS
    weights, activations, sums, outputs = (slot_capacity(memory, arch) for memory in memories)
    shared, fixed = arch.shared_buffer, arch.shared_buffer.weight_banks
    return Capacity(
        weights,
        activations,
        sums,
        outputs,
        bank=shared.bank_bytes if fixed is None else 0,
        banks=0 if shared.size_bytes is None or fixed is not None else arch.tile_banks,
        weight_slots=slots(Memory.WEIGHTS, arch),
        activation_slots=slots(Memory.ACTIVATIONS, arch),
        weights_at=0 if shared.size_bytes is None or fixed is None else (arch.tile_banks - fixed) * shared.bank_bytes,
    )


def divided(capacity: Capacity, weight_banks: int) -> Capacity:
    """A shared memory for a layer whose weights have so many of its banks: activations begin at 0, weights at the bank behind theirs."""
    behind = capacity.banks - weight_banks
    return capacity._replace(
        weights=weight_banks * capacity.bank // capacity.weight_slots,
        activations=behind * capacity.bank // capacity.activation_slots,
        weights_at=behind * capacity.bank,
    )


def slots(memory: Memory, arch: Arch) -> int:
    """Tiles that a memory holds at once: 2 when double-buffered, or as many as a FIFO has, else 1."""
    if memory is Memory.RESIDENT:
        return 1
    if memory is Memory.ACCUMULATORS:
        return 2 if arch.accumulator.double_buffered else 1
    return int(_buffer(memory, arch).tiles)


def depth(memory: Memory, arch: Arch) -> int:
    """Tiles that a memory works on at once: as many as it holds where one is filled while another is read, else 1.

    With one port per bank (one access per cycle, read or write) a tile is filled while another is read only if they stand in
    different banks: each of its tiles has as many banks of its own where ``banks`` is a multiple of them. Else fills and reads
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
