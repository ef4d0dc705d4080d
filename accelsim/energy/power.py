"""Energy of every tile operation, and the highest power of the machine while they run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.energy.costs import Costs
from accelsim.energy.counts import STATIONARY
from accelsim.energy.model import action_charges, idle_energy
from accelsim.energy.table import EnergyTable
from accelsim.graph import MacLayer
from accelsim.program import Engine, Memory, Program

Energies = NDArray[np.float64]


def operation_energy(program: Program, table: EnergyTable, *, costs: Costs | None = None) -> Energies:
    """Picojoules of each tile operation, float64 of shape (operations,); their sum over a layer is its energy without idling.

    A load or recall into the activation memory of a vector layer also pays for the one read of what it brought.
    """
    costs = costs or Costs(table)
    total = np.zeros(len(program))
    for index, layer in enumerate(program.graph.layers):
        charges = action_charges(layer, graph=program.graph, arch=program.arch, costs=costs)
        pj = {action: float(sum(parts.values())) for action, parts in charges.items()}
        mine = np.flatnonzero(program.layer == index)
        total[mine] = _of_layer(program, mine, layer, pj)
    return total


def _of_layer(program: Program, mine: NDArray[np.int64], layer: object, pj: dict[str, float]) -> Energies:
    engine, memory = program.engine[mine], program.memory[mine]
    amount, bits = program.amount[mine].astype(np.float64), program.amount[mine] * 8.0
    bus = program.bus_bytes[mine] * 8.0
    is_vector = bool(np.isin(engine, Engine.VECTOR).any())
    filled = pj["activation_buffer_write"] + (pj["activation_buffer_read"] if is_vector else 0.0)
    into = np.where(memory == Memory.WEIGHTS, pj["weight_buffer_write"], filled)
    dram = pj["dma_transfer"] + pj["dram_read"]
    per_engine = {
        Engine.LOAD_WEIGHTS: bus * dram + program.extent[mine] * 8.0 * pj["weight_buffer_write"],
        Engine.LOAD_ACTIVATIONS: bus * dram + bits * filled,
        Engine.RECALL: bits * (pj["activation_buffer_read"] + into),
        Engine.STORE: bits * pj["output_buffer_read"] + bus * (pj["dma_transfer"] + pj["dram_write"]),
        Engine.KEEP: bits * (pj["output_buffer_read"] + pj["activation_buffer_write"]),
        Engine.REQUANTIZE: amount * pj["requantizer_requant"],
        Engine.VECTOR: amount * pj["vector_step"],
        Engine.COMPUTE: _compute(program, mine, layer, pj),
    }
    found = np.select([engine == kind for kind in per_engine], list(per_engine.values()), 0.0)
    written = np.where(memory == Memory.OUTPUTS, program.extent[mine] * 8.0, 0.0)
    return np.asarray(found + written * pj["output_buffer_write"])


def _compute(program: Program, mine: NDArray[np.int64], layer: object, pj: dict[str, float]) -> Energies:
    if not isinstance(layer, MacLayer):
        return np.zeros(len(mine))
    weights = program.weight_reads[mine] * float(layer.weight_format.bits)
    inputs = program.activation_reads[mine] * float(program.graph.tensors[layer.inputs[0]].format.bits)
    stays = {"weights": weights, "inputs": inputs}.get(STATIONARY[program.arch.array.dataflow], 0.0 * weights)
    words = program.accumulator_writes[mine] * (pj["accumulator_read"] + pj["accumulator_write"])
    moved = weights * pj["weight_buffer_read"] + inputs * pj["activation_buffer_read"] + stays * pj["array_load"]
    return np.asarray(program.amount[mine] * pj["array_mac"] + moved + words)


def peak_power_w(
    program: Program, table: EnergyTable, *, start: NDArray[np.int64], costs: Costs | None = None
) -> float:
    """Watts of the busiest moment, operations starting at the cycles ``start``.

    Each operation spends its energy evenly over its cycles, and the machine idles below.
    """
    idle = idle_energy(program.arch, table)
    cycles = np.maximum(1, program.cycles)
    power = operation_energy(program, table, costs=costs) / cycles
    edges = np.concatenate([start, start + cycles])
    steps = np.concatenate([power, -power])
    order = np.lexsort((steps, edges))  # what ends comes before what starts in the same cycle
    highest = float(np.cumsum(steps[order]).max(initial=0.0))
    return (highest + idle) * program.arch.clock_hz * 1e-12
