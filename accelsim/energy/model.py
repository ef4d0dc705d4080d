"""Counts times table: the energy of each layer, split by component, by entry of the table, and by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Apart, Arch
from accelsim.energy.costs import Charges, Costs
from accelsim.energy.counts import ActionCounts
from accelsim.energy.machine import charges_of, idle_charges
from accelsim.energy.table.components import CHARGES, COMPONENTS, Charge
from accelsim.energy.table.entries import EnergyTable
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.hardware import is_decoded, stored_bits
from accelsim.program import Program

Counts = NDArray[np.int64]
Amounts = dict[str, Any]
"""A value, or an array of one per layer, by name."""

TENSORS = ("weights", "inputs", "partial_sums", "outputs", "arithmetic", "idle")
"""What energy is spent on: moving one of four tensors, computing, or being on."""


@dataclass(frozen=True, kw_only=True)
class EnergySplit:
    """Picojoules of one layer, three ways: by component, by entry of the table, by tensor; each adds up to ``total``."""

    components: Mapping[str, float]
    entries: Mapping[str, float]
    tensors: Mapping[str, float]

    @property
    def total(self) -> float:
        """Sum over components."""
        return float(sum(self.components.values()))


def layer_energy(
    program: Program,
    counts: ActionCounts,
    table: EnergyTable,
    *,
    cycles: NDArray[np.int64] | None = None,
    costs: Costs | None = None,
) -> tuple[EnergySplit, ...]:
    """Energy of every layer: its action counts times :func:`action_charges`, and what the machine draws in ``cycles``.

    ``cycles`` is int64 of shape (layers,), None for the energy of the actions alone. Other counts (of gated or toggling
    operands, say) go the same way. ``costs`` may share what was looked up in ``table`` before.
    """
    costs = costs or Costs(table)
    idle = idle_charges(program.arch, costs) if cycles is not None else {}
    charges = layer_charges(program.graph, arch=program.arch, costs=costs)
    splits: dict[int, EnergySplit] = {}
    for alike in _grouped(charges):
        mine = {name: column[alike] for name, column in counts.columns().items()}
        time = np.zeros(len(alike), dtype=np.int64) if cycles is None else cycles[alike]
        drawn = {name: {key: pj * time for key, pj in parts.items()} for name, parts in idle.items()}
        split = _split(mine, charges[alike[0]], drawn, stationary=program.arch.array.flow.stationary)
        splits |= zip(alike, split, strict=True)
    return tuple(splits[i] for i in range(len(charges)))


def _grouped(charges: Sequence[dict[str, Charges]]) -> list[list[int]]:
    """The layers that share their charges."""
    groups: dict[int, list[int]] = {}
    for i, kind in enumerate(charges):
        groups.setdefault(id(kind), []).append(i)
    return list(groups.values())


def _split(
    counts: Mapping[str, Counts], charges: dict[str, Charges], idle: Mapping[str, Amounts], *, stationary: str
) -> Iterator[EnergySplit]:
    """The energies of layers of one kind, from their counts and from what the machine draws meanwhile, one value per layer each."""
    components: Amounts = dict.fromkeys(COMPONENTS, 0.0)
    tensors: Amounts = dict.fromkeys(TENSORS, 0.0)
    entries: Amounts = {}
    for name, charge in CHARGES.items():
        pj, times = float(sum(charges[name].values())), counts[charge.count]
        components[charge.component] = components[charge.component] + times * pj
        for key, part in charges[name].items():
            entries[key] = entries.get(key, 0.0) + times * part
        for tensor, number in _by_tensor(charge, counts, stationary):
            tensors[tensor] = tensors[tensor] + number * pj
    for component, parts in idle.items():
        drawn = sum(parts.values())
        components[component] = components[component] + drawn
        tensors["idle"] = tensors["idle"] + drawn
        for key, part in parts.items():
            entries[key] = entries.get(key, 0.0) + part
    count = len(counts["array_mac"])
    split = zip(*(_rows(amounts, count) for amounts in (components, entries, tensors)), strict=True)
    return (EnergySplit(components=c, entries=e, tensors=t) for c, e, t in split)


def _rows(amounts: Amounts, count: int) -> list[dict[str, float]]:
    """One dictionary per layer."""
    columns = [np.broadcast_to(np.asarray(value, dtype=np.float64), count).tolist() for value in amounts.values()]
    return [dict(zip(amounts, row, strict=True)) for row in zip(*columns, strict=True)] if columns else [{}] * count


def _by_tensor(charge: Charge, counts: Mapping[str, Counts], stationary: str) -> tuple[tuple[str, Counts], ...]:
    """How many of an action serve which tensor."""
    action = charge.count
    if charge.tensor:
        return ((charge.tensor, counts[action]),)
    if action == "array_load":
        return ((stationary or "weights", counts[action]),)
    if action == "activation_buffer_write":
        kept = counts["kept"]
        return (("outputs", kept), ("inputs", counts[action] - kept))
    weights = counts["recalled_weights"] if action == "activation_buffer_read" else counts["dram_read_weights"]
    if action == "dma_transfer":
        inputs, apart = counts["dram_read"] - weights, counts["weight_memory_read"]
        stored = counts["dram_write"] + counts["activation_memory_write"]
        return (
            ("weights", weights + apart),
            ("inputs", inputs + counts["activation_memory_read"]),
            ("outputs", stored),
        )
    return (("weights", weights), ("inputs", counts[action] - weights))


def action_charges(layer: Layer, *, graph: Graph, arch: Arch, costs: Costs) -> dict[str, Charges]:
    """What one of :data:`CHARGES` (one bit, one accumulator word) draws on while ``layer`` runs: picojoules by entry, by charge.

    Reads and writes of memories cost per bit by the capacity of the memory. Layers that do not differ in kind, widths and scheme
    share one result.
    """
    return _known_charges(layer, graph, arch, costs, costs.of_machine(arch))


def layer_charges(graph: Graph, *, arch: Arch, costs: Costs) -> tuple[dict[str, Charges], ...]:
    """:func:`action_charges` of every layer."""
    known = costs.of_machine(arch)
    return tuple(_known_charges(layer, graph, arch, costs, known) for layer in graph.layers)


def charged_kind(layer: Layer, graph: Graph, arch: Arch | None = None) -> tuple[object, ...]:
    """Equal for layers whose actions cost the same on ``arch``, or on every machine without one that codes weights: widths of operands
    and result, zero points of weights or none, and the kind of requantization."""
    if not isinstance(layer, MacLayer):
        return ()
    widths = (graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output))
    stored = None if arch is None else (stored_bits(layer, arch), is_decoded(layer, arch))
    weights = layer.code_format.bits, layer.has_weight_zero_points, stored
    return *weights, *widths, type(layer.requant), getattr(layer.requant, "scheme", None)


def _known_charges(
    layer: Layer, graph: Graph, arch: Arch, costs: Costs, known: dict[object, dict[str, Charges]]
) -> dict[str, Charges]:
    kind = charged_kind(layer, graph, arch)
    if kind not in known:
        known[kind] = {
            name: charges_of(charge, layer, graph=graph, arch=arch, costs=costs) for name, charge in CHARGES.items()
        }
    return known[kind]


def action_energies(layer: Layer, *, graph: Graph, arch: Arch, table: EnergyTable) -> dict[str, float]:
    """Picojoules of one action of each kind that is counted: the sums of :func:`action_charges`."""
    return prices(action_charges(layer, graph=graph, arch=arch, costs=Costs(table)))


def prices(charges: Mapping[str, Charges]) -> dict[str, float]:
    """Picojoules of one action by the name of its count, of all that is charged for it."""
    found: dict[str, float] = {}
    for name, parts in charges.items():
        count = CHARGES[name].count
        found[count] = found.get(count, 0.0) + float(sum(parts.values()))
    return found


class MemoryPrices(NamedTuple):
    """Picojoules of a bit read in the memory of weights, in that of activations, and written there."""

    weights: Any
    inputs: Any
    outputs: Any


def memory_prices(pj: Mapping[str, Any], apart: Apart) -> MemoryPrices:
    """Outside the buffers, of :func:`prices`, weights or activations ``apart`` from the DRAM; numbers, or arrays of as many layers."""
    weights = pj["weight_memory_read"] if apart.weights else pj["dram_read"]
    inputs = pj["activation_memory_read"] if apart.activations else pj["dram_read"]
    outputs = pj["activation_memory_write"] if apart.activations else pj["dram_write"]
    return MemoryPrices(weights, inputs, outputs)


def idle_energy(arch: Arch, costs: Costs) -> float:
    """Picojoules per cycle of leakage and clock tree."""
    return float(sum(sum(parts.values()) for parts in idle_charges(arch, costs).values()))
