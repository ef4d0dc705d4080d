"""Energy of every tile operation, and the highest power of the machine while they run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.energy.costs import Costs
from accelsim.energy.counts import kinds_of
from accelsim.energy.machine import idle_charges
from accelsim.energy.model import MemoryPrices, layer_charges, memory_prices, prices
from accelsim.energy.table.entries import EnergyTable
from accelsim.graph import VectorLayer
from accelsim.hardware import Engine, Memory
from accelsim.program import Program

Energies = NDArray[np.float64]


def operation_energy(program: Program, table: EnergyTable, *, costs: Costs | None = None) -> Energies:
    """Picojoules of each tile operation, float64 of shape (operations,); their sum over a layer is its energy without idling.

    A load or recall into the activation memory of a vector layer also pays for the one read of what it brought.
    """
    pj = _prices(program, costs or Costs(table))
    if not pj:
        return np.zeros(len(program))
    kind = np.where(
        (program.engine == Engine.RECALL) & (program.memory == Memory.WEIGHTS), _RECALL_WEIGHTS, program.engine
    )
    beside = (program.memory == Memory.OUTPUTS) & (program.operand >= 0)
    kind = np.where(beside, np.where(program.engine == Engine.RECALL, _RECALL_BESIDE, _LOAD_BESIDE), kind)
    at = kind.astype(np.int64) * len(program.graph.layers) + program.layer
    each = (np.concatenate(prices)[at] for prices in zip(*_spent(program, pj), strict=True))
    columns = program.amount, program.bus_bytes, program.extent
    energy: Energies = sum(column * price for column, price in zip(columns, each, strict=True))
    mine = np.flatnonzero(program.of_engine(Engine.COMPUTE))
    moved, words = _accesses(program, mine, pj)
    energy[mine] = energy[mine] + moved + words
    return energy


def _prices(program: Program, costs: Costs) -> dict[str, Energies]:
    """Picojoules of each action in every layer."""
    charges = layer_charges(program.graph, arch=program.arch, costs=costs)
    sums = {id(kind): prices(kind) for kind in {id(kind): kind for kind in charges}.values()}
    actions = sums[id(charges[0])] if charges else {}
    return {action: np.array([sums[id(kind)][action] for kind in charges]) for action in actions}


_RECALL_WEIGHTS = len(Engine)
"""What recalls into the weight memory are priced as, behind the engines."""
_LOAD_BESIDE, _RECALL_BESIDE = _RECALL_WEIGHTS + 1, _RECALL_WEIGHTS + 2
"""And loads and recalls of what a pass reads beside."""


def _spent(program: Program, pj: Mapping[str, Energies]) -> list[tuple[Energies, Energies, Energies]]:
    """What an operation of each engine spends in every layer per unit of its amount, byte on the DRAM's bus, and byte of its region.

    Of what the array does, the products alone.
    """
    none = np.zeros(len(program.graph.layers))
    is_vector = [isinstance(layer, VectorLayer) for layer in program.graph.layers]
    filled = pj["activation_buffer_write"] + np.where(is_vector, pj["activation_buffer_read"], 0.0)
    bus = MemoryPrices(*(8 * (pj["dma_transfer"] + of) for of in memory_prices(pj, program.arch.streams.apart)))
    written = 8 * pj["output_buffer_write"]
    recalled, weights = 8 * pj["activation_buffer_read"], 8 * pj["weight_buffer_write"]
    coded = weights * kinds_of(program.graph, program.arch).held
    spent = {
        Engine.LOAD_WEIGHTS: (none, bus.weights, coded),
        Engine.LOAD_ACTIVATIONS: (none, bus.inputs, 8 * filled),
        Engine.RECALL: (recalled, none, 8 * filled),
        Engine.STORE: (8 * pj["output_buffer_read"], bus.outputs, none),
        Engine.KEEP: (8 * (pj["output_buffer_read"] + pj["activation_buffer_write"]), none, none),
        Engine.REQUANTIZE: (pj["requantizer_requant"], none, written),
        Engine.VECTOR: (pj["vector_step"], none, written),
        Engine.COMPUTE: (pj["array_mac"], none, none),
    }
    beside = written + 8 * pj["output_buffer_read"]
    return [
        *(spent[engine] for engine in Engine),
        (recalled, none, weights),
        (none, bus.inputs, beside),
        (recalled, none, beside),
    ]


def _accesses(program: Program, rows: NDArray[np.int64], pj: Mapping[str, Energies]) -> tuple[Energies, Energies]:
    """What the compute operations ``rows`` spend on reading operands, and on sums."""
    graph, layer = program.graph, program.layer[rows]
    kinds = kinds_of(graph, program.arch)
    read, streamed = program.weight_reads[rows], program.activation_reads[rows]
    weights, inputs = read * (kinds.stored_bits * kinds.held)[layer], streamed * kinds.activation_bits[layer]
    stays = {"weights": read * kinds.weight_bits[layer], "inputs": inputs}.get(
        program.arch.array.flow.stationary, 0.0 * weights
    )
    word = pj["accumulator_read"] + pj["accumulator_write"] + pj["array_correct"]
    words = program.accumulator_writes[rows] * word[layer]
    moved = weights * pj["weight_buffer_read"][layer] + inputs * pj["activation_buffer_read"][layer]
    moved = moved + read * pj["weight_decode"][layer] + streamed * pj["array_sum"][layer]
    return moved + stays * pj["array_load"][layer], words


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
    edges = np.concatenate([start + cycles, start])
    steps = np.concatenate([-power, power])
    highest = float(np.cumsum(steps[_in_turn(edges, steps)]).max(initial=0.0))
    return (highest + idle) * program.arch.clock_hz * 1e-12


def _in_turn(edges: NDArray[np.int64], steps: Energies) -> NDArray[np.int64]:
    """``np.lexsort((steps, edges))`` of edges that come nearly sorted, steps down in the first half: what ends comes before what starts.

    Only among those few steps of one sign that meet in a cycle there is anything left to sort by size.
    """
    order = np.argsort(edges, kind="stable")
    down = order < len(order) // 2
    alike = (np.diff(edges[order]) == 0) & (down[1:] == down[:-1])
    tied = np.flatnonzero(np.append(False, alike) | np.append(alike, False))
    meet = order[tied]
    order[tied] = meet[np.lexsort((steps[meet], edges[meet]))]
    return order
