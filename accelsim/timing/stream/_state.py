"""What the layers of a network under way share, as compiled code keeps it."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.graph import Axis
from accelsim.hardware import Array, Dma, Engine, Loops, Unit
from accelsim.hardware.compiled import transfer_cycles, unit_cycles
from accelsim.numba_cache import inner, njit
from accelsim.timing.stream.records import NONE, Kept, Network, Operands

STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS, COMPUTE, REQUANTIZE, VECTOR_UNIT, KEEP, RECALL = (int(e) for e in Engine)
WEIGHTS, ACTIVATIONS, ACCUMULATORS, OUTPUTS = range(4)


class Work(NamedTuple):
    """Operations in program order, and what they wait for (those of operation ``i`` from ``first[i]`` to ``first[i + 1]``).

    ``consumers`` (memories, 2): the operation that reads the fill under way of each memory, and the one that read the fill before.
    ``stores`` are the operations that store each layer's tiles, ``recalled`` the last that read each layer's output on chip.
    """

    engine: Any
    cycles: Any
    latency: Any
    first: Any
    waits: Any
    consumers: Any
    stores: Any
    recalled: Any


class Ends(NamedTuple):
    """Where the operations, their waits and the stores written so far end."""

    operations: int
    waits: int
    stores: int


class Grids(NamedTuple):
    """The tiles that each layer stores, (layers, rank) each, in which order, and where they begin in ``Work.stores``.

    Along an axis element ``i`` stands in tile ``i // unit * per_unit + i % unit // tile``; ``stride`` tiles lie between two of it.
    """

    first: Any
    count: Any
    unit: Any
    per_unit: Any
    tile: Any
    stride: Any


class State(NamedTuple):
    """What the layers of a network share."""

    kept: Kept
    grids: Grids
    work: Work


@inner
def digit(grids: Grids, layer: int, axis: int, last: int) -> int:
    """Tiles before the one in which element ``last`` of an axis stands, of those that ``layer`` stores."""
    unit = grids.unit[layer, axis]
    place = last // unit * grids.per_unit[layer, axis] + last % unit // grids.tile[layer, axis]
    return int(place * grids.stride[layer, axis])


@inner
def kept_operand(operands: Operands, at: int, kept: Kept) -> bool:
    """Whether an operand stays on chip from the layer that makes it."""
    return bool(operands.computed[at] and kept.outputs[operands.source[at]])


@inner
def source_of(operands: Operands, at: int, kept: Kept) -> tuple[int, int, bool]:
    """(layer that makes an operand, the same where tiles wait for the stores under them, else NONE; whether it is kept on chip)."""
    source = operands.source[at]
    under = source if operands.boxwise[at] else NONE
    return source, under, kept_operand(operands, at, kept)


@inner
def last_store(grids: Grids, work: Work, layer: int) -> int:
    """The last store of a layer."""
    return int(work.stores[grids.first[layer] + grids.count[layer] - 1])


@inner
def array_of_chip(chip: Any, width: Any, weight_bits: int, activation_bits: int) -> Array:
    """The array for operands of these widths."""
    return Array(
        chip.dataflow, chip.rows, chip.cols, chip.stages, chip.overlapped != 0, width.passes, width.products,
        weight_bits, chip.weight_port, activation_bits, chip.activation_port,
    )  # fmt: skip


@inner
def loops_of_record(record: Any) -> Loops:
    """The loop nest of a layer, or the tile of one: both kinds of records name their sizes alike."""
    return Loops(record.n, record.oh, record.ow, record.oc, record.ic, record.kh, record.kw, record.groups)


@inner
def windows_of_record(record: Any) -> tuple[Axis, Axis]:
    """The windows of a MAC layer along rows and columns."""
    return (
        Axis(record.h_size, record.oh, record.kh, record.h_stride, record.h_dilation, record.h_pad, record.h_upsample),
        Axis(record.w_size, record.ow, record.kw, record.w_stride, record.w_dilation, record.w_pad, record.w_upsample),
    )


@inner
def dma_of_chip(chip: Any) -> Dma:
    """The DMA and the DRAM port."""
    return Dma(chip.dma_setup, chip.dma_clock, chip.dma_bandwidth, chip.dma_latency, chip.dma_queues)


@inner
def freed_places(kept: Kept, recalled: Any, layer: int) -> int:
    """The last operation so far that read what stood where the output of ``layer`` goes; NONE where none did."""
    last = NONE
    for k in range(kept.first[layer], kept.first[layer + 1]):
        last = max(last, recalled[kept.over[k]])
    return last


@njit(inline="always")
def put(work: Work, i: int, w: int, engine: int, cycles: int, latency: int) -> None:
    """Operation ``i``, whose waits begin at ``w``."""
    work.engine[i], work.cycles[i], work.latency[i], work.first[i] = engine, cycles, latency, w


@njit(inline="always")
def wait(work: Work, w: int, on: int) -> int:
    """Where the waits end once that for operation ``on`` is noted; NONE is none."""
    if on == NONE:
        return w
    work.waits[w] = on
    return w + 1


@njit(inline="always")
def filled(work: Work, memory: int, depth: int) -> int:
    """The operation that frees the slot which the next fill of ``memory`` takes, of so many at work at once; NONE: it was never used.

    From here on ``consumers[memory, 0]`` is whoever reads the new fill.
    """
    free = int(work.consumers[memory, depth - 1])
    work.consumers[memory, 1] = work.consumers[memory, 0]
    return free


class Operand(NamedTuple):
    """Where an operand comes from: the layer whose stores under each tile it waits for (``under``), the one operation that it waits for
    instead (``behind``), the layer that keeps it on chip (``keeper``); NONE where there is none."""

    under: int
    behind: int
    keeper: int


@inner
def operand_of(network: Network, at: int, state: State) -> Operand:
    """Operand number ``at`` of all layers'."""
    source, under, is_kept = source_of(network.operands, at, state.kept)
    behind = last_store(state.grids, state.work, source) if source != NONE and under == NONE else NONE
    return Operand(under, behind, source if is_kept else NONE)


@njit(inline="always")
def written(operand: Operand, state: State, place: int) -> int:
    """The store that a tile waits for before which ``place`` tiles of the producer stand; all of the tensor where shapes differ."""
    if operand.under == NONE:
        return operand.behind
    return int(state.work.stores[state.grids.first[operand.under] + place])


@njit(inline="always")
def moved(chip: Any, dma: Dma, is_kept: bool, size: int) -> int:
    """Cycles of a load or store of ``size`` bytes, from or to DRAM or a place on chip."""
    if is_kept:
        return int(unit_cycles(Unit(1, chip.activation_width), 1, size))
    return int(transfer_cycles(dma, 1, size, 0))
