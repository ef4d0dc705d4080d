"""How often each part of the machine acts, per layer, read off the Program."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Apart, Arch
from accelsim.energy.machine import is_corrected
from accelsim.graph import Graph, MacLayer, VectorLayer
from accelsim.hardware import DRAM_ENGINES, Engine, Memory, held_share, is_decoded, stored_bits
from accelsim.program import Program

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionCounts:
    """Actions per layer, int64 arrays of shape (layers,): memories, DMA and array loads in bits, accumulators in words.

    ``array_load``: bits of the operand that stays, shifted into the array. ``array_sum``: inputs added up for sums of products that
    ``array_correct`` takes zero points of weights off, in accumulator words. ``weight_decode``: weights looked up or decoded.
    ``weight_memory_read``, ``activation_memory_*``: bits of memories of their own, which are not among those of the DRAM (``dram_read``,
    ``dram_write``). Parts of others, by tensor: ``dram_read_weights`` of ``dram_read``, ``recalled_weights`` of
    ``activation_buffer_read``, ``kept`` of ``activation_buffer_write``.
    """

    array_mac: Counts
    array_load: Counts
    array_correct: Counts
    array_sum: Counts
    weight_decode: Counts
    weight_buffer_read: Counts
    weight_buffer_write: Counts
    activation_buffer_read: Counts
    activation_buffer_write: Counts
    accumulator_read: Counts
    accumulator_write: Counts
    output_buffer_read: Counts
    output_buffer_write: Counts
    requantizer_requant: Counts
    vector_step: Counts
    dma_transfer: Counts
    dram_read: Counts
    dram_write: Counts
    weight_memory_read: Counts
    activation_memory_read: Counts
    activation_memory_write: Counts
    dram_read_weights: Counts
    recalled_weights: Counts
    kept: Counts
    dram_read_asked: Counts
    dram_write_asked: Counts
    dram_activate: Counts

    def of_layer(self, index: int) -> dict[str, int]:
        """Counts of one layer by action name."""
        return {name: int(column[index]) for name, column in self.columns().items()}

    def by_layer(self) -> list[dict[str, int]]:
        """:meth:`of_layer` of every layer."""
        columns = self.columns()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def columns(self) -> dict[str, Counts]:
        """Counts of all layers by action name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def count_actions(program: Program) -> ActionCounts:
    """Counts of every action.

    ``dram_read`` and ``dram_write`` are bits on the DRAM's bus, in whole bursts, as those of memories of their own are on theirs;
    ``dram_*_asked`` the bits of the tiles in all of them, coded as they move, and ``dram_activate`` the rows opened (0 without
    ``dram.standard``).

    Accumulators are written once per pixel, channel and row fold; each is read as often, since the first write of a tile
    starts from the bias instead of a read and the requantizer reads the last one. A tensor kept on chip is written to and
    read from the activation memory, apart from the tiles that pass through its slots.
    """
    names = "amount", "bus_bytes", "activates", "accumulator_writes", "weight_reads", "activation_reads", "extent"
    sums = {name: program.groups.sums(getattr(program, name)) for name in names}
    amount, bus, opened, words, reads_w, reads_a = (_by_engine(program, sums[name]) for name in names[:-1])
    weights, activations, outputs = (
        _of_memory(program, memory, sums["extent"]) for memory in (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.OUTPUTS)
    )
    work = Work(
        macs=amount[Engine.COMPUTE],
        weight_reads=reads_w[Engine.COMPUTE],
        activation_reads=reads_a[Engine.COMPUTE],
        sum_writes=words[Engine.COMPUTE],
        requants=amount[Engine.REQUANTIZE],
        vector_steps=amount[Engine.VECTOR],
        weight_bytes=amount[Engine.LOAD_WEIGHTS],
        input_bytes=amount[Engine.LOAD_ACTIVATIONS],
        stored_bytes=amount[Engine.STORE],
        kept_bytes=amount[Engine.KEEP],
        recalled_bytes=amount[Engine.RECALL],
        recalled_weight_bytes=_of_memory(program, Memory.WEIGHTS, sums["amount"])[Engine.RECALL],
        weight_bus=bus[Engine.LOAD_WEIGHTS],
        input_bus=bus[Engine.LOAD_ACTIVATIONS],
        output_bus=bus[Engine.STORE],
        weight_fill=weights[Engine.LOAD_WEIGHTS],
        input_fill=activations.sum(axis=0),
        output_fill=outputs.sum(axis=0),
        beside_fill=outputs[Engine.LOAD_ACTIVATIONS] + outputs[Engine.RECALL],
        activates=opened[list(DRAM_ENGINES)].sum(axis=0),
    )
    arch = program.arch
    kinds = kinds_of(program.graph, arch)
    return actions_of(work, kinds, stationary=arch.array.flow.stationary, apart=arch.streams.apart)


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """What layers, or groups of them, did, int64 arrays of one shape: elements read into the array and words written behind it, bytes
    asked for (``*_bytes``), on the DRAM's bus (``*_bus``) and filled into buffers (``*_fill``), of ``output_fill`` by what a pass reads
    beside (``beside_fill``), DRAM rows opened (``activates``)."""

    macs: Counts
    weight_reads: Counts
    activation_reads: Counts
    sum_writes: Counts
    requants: Counts
    vector_steps: Counts
    weight_bytes: Counts
    input_bytes: Counts
    stored_bytes: Counts
    kept_bytes: Counts
    recalled_bytes: Counts
    recalled_weight_bytes: Counts
    weight_bus: Counts
    input_bus: Counts
    output_bus: Counts
    weight_fill: Counts
    input_fill: Counts
    output_fill: Counts
    beside_fill: Counts
    activates: Counts


class Kinds(NamedTuple):
    """What layers are, arrays of shape (layers,): widths of their weights in memory and in the array and of their inputs in bits, 0 weights
    in the vector unit's; whether sums are corrected for zero points of weights, and weights decoded; what share of the weights' bits passes
    the weight buffer."""

    stored_bits: Counts
    weight_bits: Counts
    activation_bits: Counts
    is_vector: NDArray[np.bool_]
    corrected: NDArray[np.bool_]
    decoded: NDArray[np.bool_]
    held: NDArray[np.float64]


def kinds_of(graph: Graph, arch: Arch) -> Kinds:
    """Of the layers of ``graph`` on ``arch``."""
    layers = graph.layers
    weights = [layer.code_format.bits if isinstance(layer, MacLayer) else 0 for layer in layers]
    stored = [stored_bits(layer, arch) if isinstance(layer, MacLayer) else 0 for layer in layers]
    return Kinds(
        np.array(stored, dtype=np.int64),
        np.array(weights, dtype=np.int64),
        np.array([graph.tensors[layer.inputs[0]].format.bits for layer in layers], dtype=np.int64),
        np.array([isinstance(layer, VectorLayer) for layer in layers], dtype=np.bool_),
        np.array([is_corrected(layer, arch) for layer in layers], dtype=np.bool_),
        np.array([isinstance(layer, MacLayer) and is_decoded(layer, arch) for layer in layers], dtype=np.bool_),
        np.array([held_share(layer, arch) if isinstance(layer, MacLayer) else 1.0 for layer in layers]),
    )


def actions_of(work: Work, kinds: Kinds, *, stationary: str | None, apart: Apart) -> ActionCounts:
    """The actions that ``work`` takes on operands of these ``kinds``, in an array where the ``stationary`` operand stays, weights or
    activations ``apart`` from the DRAM.

    A vector layer reads each of its inputs from the activation memory once; in a pass, what it reads beside from the output memory.
    """
    array_reads, weight_reads = work.activation_reads * kinds.activation_bits, work.weight_reads * kinds.stored_bits
    is_vector, nothing = kinds.is_vector, np.zeros_like(work.weight_bus)
    buses = (work.weight_bus, apart.weights), (work.input_bus, apart.activations), (work.output_bus, apart.activations)
    of_dram, of_memories = ([bus if own == beside else nothing for bus, own in buses] for beside in (False, True))
    stays = {"weights": work.weight_reads * kinds.weight_bits, "inputs": array_reads}
    return ActionCounts(
        array_mac=work.macs,
        array_load=stays.get(stationary or "", np.zeros_like(weight_reads)),
        array_correct=np.where(kinds.corrected, work.sum_writes, 0),
        array_sum=np.where(kinds.corrected, work.activation_reads, 0),
        weight_decode=np.where(kinds.decoded, work.weight_reads, 0),
        weight_buffer_read=shortened(weight_reads, kinds.held),
        weight_buffer_write=shortened(8 * work.weight_fill, kinds.held) + 8 * work.recalled_weight_bytes,
        activation_buffer_read=np.where(is_vector, 8 * work.input_fill, array_reads) + 8 * work.recalled_bytes,
        activation_buffer_write=8 * (work.input_fill + work.kept_bytes),
        accumulator_read=work.sum_writes,
        accumulator_write=work.sum_writes,
        output_buffer_read=8 * (work.stored_bytes + work.kept_bytes + work.beside_fill),
        output_buffer_write=8 * work.output_fill,
        requantizer_requant=work.requants,
        vector_step=work.vector_steps,
        dma_transfer=8 * (work.weight_bus + work.input_bus + work.output_bus),
        dram_read=8 * (of_dram[0] + of_dram[1]),
        dram_write=8 * of_dram[2],
        weight_memory_read=8 * of_memories[0],
        activation_memory_read=8 * of_memories[1],
        activation_memory_write=8 * of_memories[2],
        dram_read_weights=8 * of_dram[0],
        recalled_weights=8 * work.recalled_weight_bytes,
        kept=8 * work.kept_bytes,
        dram_read_asked=8 * (work.weight_bytes + np.minimum(work.input_bytes, work.input_bus)),
        dram_write_asked=8 * np.minimum(work.stored_bytes, work.output_bus),
        dram_activate=work.activates,
    )


def shortened(bits: Counts, share: NDArray[np.float64]) -> Counts:
    """``bits`` of weights that pass the weight buffer in a code of that ``share``, none broken."""
    if (share == 1).all():
        return bits
    return np.where(share == 1, bits, np.ceil(bits * share).astype(np.int64))


def _by_engine(program: Program, sums: Counts) -> Counts:
    """``sums``, one for each of the Program's groups, added up to int64 of shape (engines, layers)."""
    total = np.zeros((len(Engine), len(program.graph.layers)), dtype=np.int64)
    np.add.at(total, (program.groups.engine, program.groups.layer), sums)
    return total


def _of_memory(program: Program, memory: Memory, sums: Counts) -> Counts:
    """:func:`_by_engine` of the operations that write to ``memory``."""
    return _by_engine(program, np.where(program.groups.memory == memory, sums, 0))
