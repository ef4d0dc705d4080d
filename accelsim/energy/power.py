"""Energy of every tile operation, and the highest power of the machine while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.energy.costs import Costs
from accelsim.energy.machine import idle_charges
from accelsim.energy.model import layer_charges, prices
from accelsim.energy.table.entries import EnergyTable
from accelsim.graph import MacLayer, VectorLayer
from accelsim.hardware import Engine, Memory
from accelsim.program import Program

Energies = NDArray[np.float64]


def operation_energy(program: Program, table: EnergyTable, *, costs: Costs | None = None) -> Energies:
    """Picojoules of each tile operation, float64 of shape (operations,); their sum over a layer is its energy without idling.

    A load or recall into the activation memory of a vector layer also pays for the one read of what it brought.
    """
    each = _prices(program, costs or Costs(table))
    energy: Energies = np.zeros(len(program))
    for engine, spent in _SPENT.items():
        mine = np.flatnonzero(program.of_engine(engine))
        if len(mine):
            energy[mine] = spent(_Operations(program, each, mine))
    written = _Operations(program, each, np.flatnonzero(program.memory == Memory.OUTPUTS))
    if len(written.rows):
        energy[written.rows] += written.held * written.pj("output_buffer_write")
    return energy


def _prices(program: Program, costs: Costs) -> dict[str, Energies]:
    """Picojoules of each action in every layer."""
    charges = layer_charges(program.graph, arch=program.arch, costs=costs)
    sums = {id(kind): prices(kind) for kind in charges}
    actions = sums[id(charges[0])] if charges else {}
    return {action: np.array([sums[id(kind)][action] for kind in charges]) for action in actions}


class _Operations:
    """Some operations of a Program, ``rows``: the bits they move and hold, and what actions cost in their layers."""

    def __init__(self, program: Program, prices: Mapping[str, Energies], rows: NDArray[np.int64]) -> None:
        self.program, self.rows, self.layer = program, rows, program.layer[rows]
        self._prices = prices

    def pj(self, action: str) -> Energies:
        """Picojoules of an action, for each operation."""
        return np.asarray(self._prices[action][self.layer])

    def column(self, name: str) -> NDArray[np.int64]:
        """A column of the Program."""
        return np.asarray(getattr(self.program, name)[self.rows])

    @property
    def bits(self) -> Energies:
        """Bits asked for."""
        return np.asarray(self.column("amount") * 8.0)

    @property
    def bus(self) -> Energies:
        """Bits on the DRAM's bus."""
        return np.asarray(self.column("bus_bytes") * 8.0)

    @property
    def held(self) -> Energies:
        """Bits of the region that is written."""
        return np.asarray(self.column("extent") * 8.0)

    def by_layer(self, values: Sequence[float]) -> Energies:
        """``values``, one per layer, for each operation."""
        return np.asarray(np.array(values)[self.layer])


def _filled(x: _Operations) -> Energies:
    """Of a bit written to the activation memory, and read from it once by a vector layer."""
    is_vector = x.by_layer([isinstance(layer, VectorLayer) for layer in x.program.graph.layers])
    return x.pj("activation_buffer_write") + np.where(is_vector, x.pj("activation_buffer_read"), 0.0)


def _load_weights(x: _Operations) -> Energies:
    return x.bus * (x.pj("dma_transfer") + x.pj("dram_read")) + x.held * x.pj("weight_buffer_write")


def _load_activations(x: _Operations) -> Energies:
    return x.bus * (x.pj("dma_transfer") + x.pj("dram_read")) + x.held * _filled(x)


def _recall(x: _Operations) -> Energies:
    into = np.where(x.column("memory") == Memory.WEIGHTS, x.pj("weight_buffer_write"), _filled(x))
    return x.bits * x.pj("activation_buffer_read") + x.held * into


def _store(x: _Operations) -> Energies:
    return x.bits * x.pj("output_buffer_read") + x.bus * (x.pj("dma_transfer") + x.pj("dram_write"))


def _keep(x: _Operations) -> Energies:
    return x.bits * (x.pj("output_buffer_read") + x.pj("activation_buffer_write"))


def _compute(x: _Operations) -> Energies:
    graph = x.program.graph
    widths = [layer.weight_format.bits if isinstance(layer, MacLayer) else 0 for layer in graph.layers]
    weights = x.column("weight_reads") * x.by_layer(widths)
    inputs = x.column("activation_reads") * x.by_layer([graph.tensors[y.inputs[0]].format.bits for y in graph.layers])
    stays = {"weights": weights, "inputs": inputs}.get(x.program.arch.array.flow.stationary, 0.0 * weights)
    words = x.column("accumulator_writes") * (x.pj("accumulator_read") + x.pj("accumulator_write"))
    moved = weights * x.pj("weight_buffer_read") + inputs * x.pj("activation_buffer_read") + stays * x.pj("array_load")
    return np.asarray(x.column("amount") * x.pj("array_mac") + moved + words)


_SPENT: Mapping[Engine, Callable[[_Operations], Energies]] = {
    Engine.LOAD_WEIGHTS: _load_weights,
    Engine.LOAD_ACTIVATIONS: _load_activations,
    Engine.RECALL: _recall,
    Engine.STORE: _store,
    Engine.KEEP: _keep,
    Engine.REQUANTIZE: lambda x: x.column("amount") * x.pj("requantizer_requant"),
    Engine.VECTOR: lambda x: x.column("amount") * x.pj("vector_step"),
    Engine.COMPUTE: _compute,
}
"""What each engine's operations spend, but for writing to the output buffer."""


def peak_power_w(
    program: Program, table: EnergyTable, *, start: NDArray[np.int64], costs: Costs | None = None
) -> float:
    """Watts of the busiest moment, operations starting at the cycles ``start``.

    Each operation spends its energy evenly over its cycles, and the machine idles below.
    """
    costs = costs or Costs(table)
    idle = float(sum(sum(parts.values()) for parts in idle_charges(program.arch, costs).values()))
    cycles = np.maximum(1, program.cycles)
    power = operation_energy(program, table, costs=costs) / cycles
    edges = np.concatenate([start, start + cycles])
    steps = np.concatenate([power, -power])
    order = np.lexsort((steps, edges))  # what ends comes before what starts in the same cycle
    highest = float(np.cumsum(steps[order]).max(initial=0.0))
    return (highest + idle) * program.arch.clock_hz * 1e-12
