"""How often each part of the machine acts, per layer, read off the Program."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer
from accelsim.hardware import DRAM_ENGINES, Engine, Memory
from accelsim.program import Program

Counts = NDArray[np.int64]
_ALL = slice(None)


@dataclass(frozen=True, eq=False, kw_only=True)
class ActionCounts:
    """Actions per layer, int64 arrays of shape (layers,): memories, DMA and array loads in bits, accumulators in words.

    ``array_load``: bits of the operand that stays, shifted into the array. Parts of others, by tensor:
    ``dram_read_weights`` of ``dram_read``, ``recalled_weights`` of ``activation_buffer_read``, ``kept`` of
    ``activation_buffer_write``.
    """

    array_mac: Counts
    array_load: Counts
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

    ``dram_read`` and ``dram_write`` are bits on the DRAM's bus, in whole bursts; ``*_asked`` the bits of the tiles in them, and
    ``dram_activate`` the rows opened (0 without ``dram.standard``).

    Accumulators are written once per pixel, channel and row fold; each is read as often, since the first write of a tile
    starts from the bias instead of a read and the requantizer reads the last one. A tensor kept on chip is written to and
    read from the activation memory, apart from the tiles that pass through its slots.
    """
    weight_bits, activation_bits = _operand_bits(program)
    amount, bus, opened, words, reads_w, reads_a = (
        _by_engine(program, getattr(program, column))
        for column in ("amount", "bus_bytes", "activates", "accumulator_writes", "weight_reads", "activation_reads")
    )
    loaded_w, loaded_a, stored, recalled, kept = (
        8 * amount[engine]
        for engine in (Engine.LOAD_WEIGHTS, Engine.LOAD_ACTIVATIONS, Engine.STORE, Engine.RECALL, Engine.KEEP)
    )
    recalled_w = 8 * _of_memory(program, Memory.WEIGHTS, program.amount)[Engine.RECALL]
    filled_w = 8 * _of_memory(program, Memory.WEIGHTS, program.extent)[Engine.LOAD_WEIGHTS]
    filled_a = 8 * _of_memory(program, Memory.ACTIVATIONS, program.extent).sum(axis=0)
    array_reads = reads_a[Engine.COMPUTE] * activation_bits
    weight_reads = reads_w[Engine.COMPUTE] * weight_bits
    stays = {"weights": weight_reads, "inputs": array_reads}
    is_vector = np.bincount(program.layer[program.of_engine(Engine.VECTOR)], minlength=len(program.graph.layers)) > 0
    return ActionCounts(
        array_mac=amount[Engine.COMPUTE],
        array_load=stays.get(program.arch.array.flow.stationary, np.zeros_like(weight_reads)),
        weight_buffer_read=weight_reads,
        weight_buffer_write=filled_w + recalled_w,
        activation_buffer_read=np.where(is_vector, filled_a, array_reads) + recalled,
        activation_buffer_write=filled_a + kept,
        accumulator_read=words[Engine.COMPUTE],
        accumulator_write=words[Engine.COMPUTE],
        output_buffer_read=stored + kept,
        output_buffer_write=8 * _of_memory(program, Memory.OUTPUTS, program.extent).sum(axis=0),
        requantizer_requant=amount[Engine.REQUANTIZE],
        vector_step=amount[Engine.VECTOR],
        dma_transfer=8 * bus[list(DRAM_ENGINES)].sum(axis=0),
        dram_read=8 * (bus[Engine.LOAD_WEIGHTS] + bus[Engine.LOAD_ACTIVATIONS]),
        dram_write=8 * bus[Engine.STORE],
        dram_read_weights=8 * bus[Engine.LOAD_WEIGHTS],
        recalled_weights=recalled_w,
        kept=kept,
        dram_read_asked=loaded_w + loaded_a,
        dram_write_asked=stored,
        dram_activate=opened[list(DRAM_ENGINES)].sum(axis=0),
    )


def _by_engine(program: Program, values: Counts, rows: Counts | slice = _ALL) -> Counts:
    """Sums of ``values`` over the operations ``rows``, int64 of shape (engines, layers)."""
    total = np.zeros((len(Engine), len(program.graph.layers)), dtype=np.int64)
    place = program.engine[rows].astype(np.int64) * total.shape[1] + program.layer[rows]
    np.add.at(total.reshape(-1), place, values[rows])
    return total


def _of_memory(program: Program, memory: Memory, values: Counts) -> Counts:
    """:func:`_by_engine` of the operations that write to ``memory``."""
    return _by_engine(program, values, np.flatnonzero(program.memory == memory))


def _operand_bits(program: Program) -> tuple[Counts, Counts]:
    layers = program.graph.layers
    weights = [layer.weight_format.bits if isinstance(layer, MacLayer) else 0 for layer in layers]
    activations = [program.graph.tensors[layer.inputs[0]].format.bits for layer in layers]
    return np.array(weights, dtype=np.int64), np.array(activations, dtype=np.int64)
