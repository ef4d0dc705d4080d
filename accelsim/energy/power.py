"""Energy of every tile operation, and the highest power of the machine while they run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.energy.costs import Costs
from accelsim.energy.counts import STATIONARY
from accelsim.energy.model import action_charges, idle_energy
from accelsim.energy.table import EnergyTable
from accelsim.graph import MacLayer, VectorLayer
from accelsim.program import Engine, Memory, Program

Energies = NDArray[np.float64]


def operation_energy(program: Program, table: EnergyTable, *, costs: Costs | None = None) -> Energies:
    """Picojoules of each tile operation, float64 of shape (operations,); their sum over a layer is its energy without idling.

    A load or recall into the activation memory of a vector layer also pays for the one read of what it brought.
    """
    costs = costs or Costs(table)
    pj = _Prices(program, costs)
    bits, bus = program.amount * 8.0, program.bus_bytes * 8.0
    filled = pj.of("activation_buffer_write") + np.where(pj.is_vector, pj.of("activation_buffer_read"), 0.0)
    into = np.where(program.memory == Memory.WEIGHTS, pj.of("weight_buffer_write"), filled)
    dram = pj.of("dma_transfer") + pj.of("dram_read")
    per_engine = {
        Engine.LOAD_WEIGHTS: bus * dram + program.extent * 8.0 * pj.of("weight_buffer_write"),
        Engine.LOAD_ACTIVATIONS: bus * dram + program.extent * 8.0 * filled,
        Engine.RECALL: bits * pj.of("activation_buffer_read") + program.extent * 8.0 * into,
        Engine.STORE: bits * pj.of("output_buffer_read") + bus * (pj.of("dma_transfer") + pj.of("dram_write")),
        Engine.KEEP: bits * (pj.of("output_buffer_read") + pj.of("activation_buffer_write")),
        Engine.REQUANTIZE: program.amount * pj.of("requantizer_requant"),
        Engine.VECTOR: program.amount * pj.of("vector_step"),
        Engine.COMPUTE: _compute(program, pj),
    }
    found = np.zeros(len(program))
    for engine, energy in per_engine.items():
        mine = program.of_engine(engine)
        found[mine] = energy[mine]
    written = np.where(program.memory == Memory.OUTPUTS, program.extent * 8.0, 0.0)
    total: Energies = found + written * pj.of("output_buffer_write")
    return total


class _Prices:
    """Picojoules of each action, for the layer of every operation."""

    def __init__(self, program: Program, costs: Costs) -> None:
        layers = program.graph.layers
        charges = [action_charges(layer, graph=program.graph, arch=program.arch, costs=costs) for layer in layers]
        self._layer = program.layer
        actions = charges[0] if charges else {}
        self._table = {action: np.array([float(sum(x[action].values())) for x in charges]) for action in actions}
        self.is_vector = self.by_layer([isinstance(layer, VectorLayer) for layer in layers])

    def of(self, action: str) -> Energies:
        """Per operation."""
        return np.asarray(self._table[action][self._layer])

    def by_layer(self, values: Sequence[float]) -> Energies:
        """``values``, one per layer, per operation."""
        return np.asarray(np.array(values)[self._layer])


def _compute(program: Program, pj: _Prices) -> Energies:
    graph = program.graph
    widths = [layer.weight_format.bits if isinstance(layer, MacLayer) else 0 for layer in graph.layers]
    weights = program.weight_reads * pj.by_layer(widths)
    inputs = program.activation_reads * pj.by_layer([graph.tensors[x.inputs[0]].format.bits for x in graph.layers])
    stays = {"weights": weights, "inputs": inputs}.get(STATIONARY[program.arch.array.dataflow], 0.0 * weights)
    words = program.accumulator_writes * (pj.of("accumulator_read") + pj.of("accumulator_write"))
    moved = (
        weights * pj.of("weight_buffer_read") + inputs * pj.of("activation_buffer_read") + stays * pj.of("array_load")
    )
    return np.asarray(program.amount * pj.of("array_mac") + moved + words)


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
