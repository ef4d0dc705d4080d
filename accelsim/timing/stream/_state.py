"""What the streamed schedule hands to the loops that emit operations: its records as theirs."""

from __future__ import annotations

from typing import Any

from accelsim.builder import NONE, Follower, Port, Source
from accelsim.graph import Axis
from accelsim.hardware import (
    AT_ARRAY,
    Array,
    Capacity,
    Dma,
    Im2col,
    Loops,
    Machine,
    Operands,
    PerMemory,
    Requantizer,
    Streams,
    Unit,
)
from accelsim.numba_cache import borrowing
from accelsim.timing.stream.records import Kept, Network
from accelsim.timing.stream.records import Operands as Inputs


@borrowing
def kept_operand(operands: Inputs, at: int, kept: Kept) -> bool:
    """Whether an operand stays on chip from the layer that makes it."""
    return bool(operands.computed[at] and kept.outputs[operands.source[at]])


@borrowing
def source_of(network: Network, at: int, kept: Kept, number: int) -> Source:
    """Operand number ``at`` of all layers', ``number`` of its layer; the grid of a layer's stores has the layer's number."""
    layer = network.operands.source[at]
    keeper = layer if kept_operand(network.operands, at, kept) else NONE
    return Source(number, layer, network.operands.boxwise[at], keeper)


@borrowing
def array_of_chip(chip: Any, width: Any, weight_bits: int, activation_bits: int) -> Array:
    """The array for operands of these widths."""
    return Array(
        chip.dataflow, chip.rows, chip.cols, chip.stages, chip.overlapped != 0, chip.drains_behind != 0, chip.by_tap != 0, chip.step,
        chip.beside != 0, chip.stripe, chip.tile_issue, chip.fold_issue, width.passes, width.products,
        weight_bits, chip.weight_port, activation_bits, chip.activation_port, width.extra, 0,
    )  # fmt: skip


@borrowing
def loops_of_record(record: Any) -> Loops:
    """The loop nest of a layer, or the tile of one: both kinds of records name their sizes alike."""
    return Loops(record.n, record.oh, record.ow, record.oc, record.ic, record.kh, record.kw, record.groups)


@borrowing
def windows_of_record(record: Any) -> tuple[Axis, Axis]:
    """The windows of a MAC layer along rows and columns."""
    return (
        Axis(record.h_size, record.oh, record.kh, record.h_stride, record.h_dilation, record.h_pad, record.h_upsample),
        Axis(record.w_size, record.ow, record.kw, record.w_stride, record.w_dilation, record.w_pad, record.w_upsample),
    )


@borrowing
def streams_of_chip(chip: Any) -> Streams:
    """The DMA and its streams."""
    setup, queues, write = chip.dma_setup, chip.dma_queues, chip.dma_write
    return Streams(
        Dma(setup, chip.weights_clock, chip.weights_bandwidth, chip.weights_latency, queues, chip.weights_port, write),
        Dma(
            setup, chip.activations_clock, chip.activations_bandwidth, chip.activations_latency, queues, chip.activations_port,
            write,
        ),
        Dma(setup, chip.outputs_clock, chip.outputs_bandwidth, chip.outputs_latency, queues, chip.outputs_port, write),
    )  # fmt: skip


@borrowing
def freed_places(kept: Kept, recalled: Any, layer: int) -> int:
    """The last operation so far that read what stood where the output of ``layer`` goes; NONE where none did."""
    last = NONE
    for k in range(kept.first[layer], kept.first[layer + 1]):
        last = max(last, recalled[kept.over[k]])
    return last


@borrowing
def same_pass(one: Any, other: Any) -> bool:
    """Whether nothing follows two MAC layers in their passes, or layers of as many steps and windows of one size."""
    alike = one.behind_steps == other.behind_steps
    return bool(alike and one.pool_rows == other.pool_rows and one.pool_cols == other.pool_cols)


@borrowing
def last_of(network: Network, index: int) -> int:
    """The layer that stores what a layer leads to: the last in the same pass, or itself."""
    return int(index + network.layers[index].behind)


@borrowing
def beside_of(network: Network, index: int) -> int:
    """What is read beside in the pass of layer ``index``, among the operands of all layers."""
    record = network.layers[index]
    return int(network.operands.first[index + record.reader] + record.beside)


@borrowing
def follower_of(network: Network, index: int, kept: Kept) -> Follower:
    """The layers behind layer ``index`` in the same pass."""
    record = network.layers[index]
    rows, cols = record.pool_rows, record.pool_cols
    if record.reader == 0:
        return Follower(record.behind_steps, Source(NONE, NONE, False, NONE), 0, 0, 0, rows, cols)
    at = beside_of(network, index)
    operand = source_of(network, at, kept, record.beside)
    bits = network.operands.bits[at]
    return Follower(record.behind_steps, operand, bits, record.rank, record.stretched, rows, cols)


@borrowing
def capacity_of_chip(chip: Any) -> Capacity:
    """What slots hold; where they stand is not noted."""
    return Capacity(
        chip.weight_slot, chip.activation_slot, chip.accumulator_slot, chip.output_slot, chip.bank, chip.banks, chip.weight_slots,
        chip.activation_slots, 0,
    )  # fmt: skip


@borrowing
def machine_of_chip(chip: Any, width: Any, record: Any) -> Machine:
    """The machine for the operands of a layer."""
    return Machine(
        array_of_chip(chip, width, record.weight_bits, record.activation_bits),
        capacity_of_chip(chip),
        PerMemory(chip.weight_depth, chip.activation_depth, chip.accumulator_depth, chip.output_depth),
        Operands(
            record.weight_bits, record.activation_bits, record.output_bits, width.sum_words, width.block_rows, width.block_cols,
            record.pool_rows, record.pool_cols, 1.0 / (record.pool_rows * record.pool_cols),
        ),
        streams_of_chip(chip), Im2col(AT_ARRAY, chip.activation_width),
        Requantizer(
            chip.requantizer_lanes, chip.streaming, chip.requantizer_stages, chip.vector_lanes, record.behind_steps,
        ),
        Unit(1, chip.activation_width),
    )  # fmt: skip


@borrowing
def port_of_chip(chip: Any) -> Port:
    """What else it is asked; nobody asks for the slots of a memory whose regions are not noted."""
    vector, output = Unit(chip.vector_lanes, chip.activation_width), Unit(1, chip.output_width)
    return Port(PerMemory(1, 1, 1, 1), vector, output, chip.pipelined != 0)
