"""How often each part of the machine acts, per layer, read off the Program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer
from accelsim.program import Engine, Memory, Program

Counts = NDArray[np.int64]
STATIONARY: Mapping[str, str] = {
    "weight_stationary": "weights",
    "input_stationary": "inputs",
    "output_stationary": "",
    "adder_tree": "weights",
}
"""The operand that each dataflow loads into the array before it computes."""


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
        return {f.name: int(getattr(self, f.name)[index]) for f in fields(self)}


def count_actions(program: Program) -> ActionCounts:
    """Counts of every action.

    ``dram_read`` and ``dram_write`` are bits on the DRAM's bus, in whole bursts; ``*_asked`` the bits of the tiles in them, and
    ``dram_activate`` the rows opened (0 without ``dram.standard``).

    Accumulators are written once per pixel, channel and row fold; each is read as often, since the first write of a tile
    starts from the bias instead of a read and the requantizer reads the last one. A tensor kept on chip is written to and
    read from the activation memory, apart from the tiles that pass through its slots.
    """
    weight_bits, activation_bits = _operand_bits(program)
    loads_w, loads_a = program.of_engine(Engine.LOAD_WEIGHTS), program.of_engine(Engine.LOAD_ACTIVATIONS)
    recalls, keeps = program.of_engine(Engine.RECALL), program.of_engine(Engine.KEEP)
    stores, vector = program.of_engine(Engine.STORE), program.of_engine(Engine.VECTOR)
    compute, requant = program.of_engine(Engine.COMPUTE), program.of_engine(Engine.REQUANTIZE)
    to_weights = recalls & (program.memory == Memory.WEIGHTS)
    loaded_w, loaded_a, stored, recalled, recalled_w, kept = (
        _per_layer(program, program.amount, moved) * 8
        for moved in (loads_w, loads_a, stores, recalls, to_weights, keeps)
    )
    filled_a = _per_layer(program, program.extent, program.memory == Memory.ACTIVATIONS) * 8
    words = _per_layer(program, program.accumulator_writes, compute)
    array_reads = _per_layer(program, program.activation_reads, compute) * activation_bits
    weight_reads = _per_layer(program, program.weight_reads, compute) * weight_bits
    stays = {"weights": weight_reads, "inputs": array_reads}
    is_vector = np.bincount(program.layer[vector], minlength=len(program.graph.layers)) > 0
    return ActionCounts(
        array_mac=_per_layer(program, program.amount, compute),
        array_load=stays.get(STATIONARY[program.arch.array.dataflow], np.zeros_like(weight_reads)),
        weight_buffer_read=weight_reads,
        weight_buffer_write=_per_layer(program, program.extent, loads_w) * 8 + recalled_w,
        activation_buffer_read=np.where(is_vector, filled_a, array_reads) + recalled,
        activation_buffer_write=filled_a + kept,
        accumulator_read=words,
        accumulator_write=words,
        output_buffer_read=stored + kept,
        output_buffer_write=_per_layer(program, program.extent, program.memory == Memory.OUTPUTS) * 8,
        requantizer_requant=_per_layer(program, program.amount, requant),
        vector_step=_per_layer(program, program.amount, vector),
        dma_transfer=_per_layer(program, program.bus_bytes, loads_w | loads_a | stores) * 8,
        dram_read=_per_layer(program, program.bus_bytes, loads_w | loads_a) * 8,
        dram_write=_per_layer(program, program.bus_bytes, stores) * 8,
        dram_read_weights=_per_layer(program, program.bus_bytes, loads_w) * 8,
        recalled_weights=recalled_w,
        kept=kept,
        dram_read_asked=loaded_w + loaded_a,
        dram_write_asked=stored,
        dram_activate=_per_layer(program, program.activates, loads_w | loads_a | stores),
    )


def _per_layer(program: Program, values: Counts, mask: NDArray[np.bool_]) -> Counts:
    total = np.zeros(len(program.graph.layers), dtype=np.int64)
    np.add.at(total, program.layer[mask], values[mask])
    return total


def _operand_bits(program: Program) -> tuple[Counts, Counts]:
    layers = program.graph.layers
    weights = [layer.weight_format.bits if isinstance(layer, MacLayer) else 0 for layer in layers]
    activations = [program.graph.tensors[layer.inputs[0]].format.bits for layer in layers]
    return np.array(weights, dtype=np.int64), np.array(activations, dtype=np.int64)
