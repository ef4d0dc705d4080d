"""What the actions of a network cost on a machine, looked up once for machines whose energies are the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Apart, Arch
from accelsim.energy import (
    CHARGES,
    COMPONENTS,
    ActionCounts,
    Costs,
    Kinds,
    Work,
    actions_of,
    area_charges,
    charged_kind,
    idle_charges,
    layer_charges,
    prices,
    table_of,
    with_areas,
)
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.hardware import accumulator_words
from accelsim.mapper.tiling import rate_records, rates_of
from accelsim.timing import COUNTS

Floats = NDArray[np.float64]
MOST_KNOWN = 4096
"""Machines whose prices are remembered, a few megabytes."""


class Prices(NamedTuple):
    """Picojoules of each of CHARGES in each group of layers (groups, charges), as the mapper reads them (``rates``, records of RATES), of
    clock and leakage per cycle, and square micrometres."""

    charges: Floats
    rates: NDArray[np.void]
    clock: float
    leakage: float
    area: float


class Groups:
    """The layers of ``graph`` whose actions cost the same on every machine, and ``of`` each layer its group's number."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        numbers: dict[object, int] = {}
        self.of = np.array([numbers.setdefault(_kind(layer, graph), len(numbers)) for layer in graph.layers], np.int64)
        first = [int(np.flatnonzero(self.of == number)[0]) for number in range(len(numbers))]
        layers = [graph.layers[index] for index in first]
        self.first, self.count = first, len(first)
        self.weight_bits = np.array([x.code_format.bits if isinstance(x, MacLayer) else 0 for x in layers], np.int64)
        corrected = [isinstance(x, MacLayer) and x.has_weight_zero_points for x in layers]
        self.activation_bits = np.array([graph.tensors[x.inputs[0]].format.bits for x in layers], np.int64)
        self.is_vector = np.array([not isinstance(x, MacLayer) for x in layers], np.bool_)
        plain, kinds = np.zeros(self.count, np.bool_), (self.weight_bits, self.weight_bits, self.activation_bits)
        # Where the machine subtracts zero points instead, the corrections that are counted here cost nothing.
        self._kinds = Kinds(*kinds, self.is_vector, np.array(corrected, np.bool_), plain, np.ones(self.count))
        self._linear: dict[tuple[str | None, Apart], Floats] = {}
        self._known: dict[Hashable, Prices] = {}
        self._costs: dict[Hashable, Costs] = {}
        self._areas: dict[Hashable, Costs] = {}

    def prices(self, arch: Arch) -> Prices:
        """Of ``arch``; the DRAM's and the DMA's timing does not matter."""
        key = _priced(arch)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
                self._costs.clear()
                self._areas.clear()
            made_of = arch.tech, arch.streams.memories  # what its table is
            if made_of not in self._costs:
                table = table_of(arch)
                self._costs[made_of], self._areas[made_of] = Costs(table), Costs(with_areas(table))
            self._known[key] = self._looked_up(arch, self._costs[made_of], self._areas[made_of])
        return self._known[key]

    def _looked_up(self, arch: Arch, costs: Costs, area_costs: Costs) -> Prices:
        all_charges = layer_charges(self.graph, arch=arch, costs=costs)
        rows = [[float(sum(all_charges[i][name].values())) for name in CHARGES] for i in self.first]
        idle = {name: float(sum(parts.values())) for name, parts in idle_charges(arch, costs).items()}
        pj = [prices(all_charges[i]) for i in self.first]
        rates = rates_of(
            {name: np.array([one[name] for one in pj]) for name in pj[0]} if pj else {},
            stored_bits=self.weight_bits,
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            words=np.array([accumulator_words(bits, arch) for bits in self.activation_bits.tolist()]),
            stationary=arch.array.flow.stationary,
            apart=arch.streams.apart,
            idle=sum(idle.values()),
        )
        areas = area_charges(arch, area_costs).values()
        area = sum(sum(part.values()) if part is not None else float("nan") for part in areas)
        return Prices(
            np.array(rows).reshape(self.count, len(CHARGES)),
            rate_records(rates, self.count),
            idle["clock"],
            idle["leakage"],
            area,
        )

    def cycles_per_product(self, arch: Arch) -> list[float]:
        """Of one processing element, for the widths of each group; 0 of the vector unit's."""
        widths = zip(self.weight_bits.tolist(), self.activation_bits.tolist(), strict=True)
        return [arch.array.passes(*bits) / arch.array.composed(*bits) if bits[0] else 0.0 for bits in widths]

    def charges(self, prices: Sequence[Prices], stationary: str | None, apart: Apart) -> Floats:
        """Picojoules of each count in each group, (machines, groups, fields of COUNTS): all actions are linear in counts."""
        if (kind := (stationary, apart)) not in self._linear:
            fields = len(COUNTS.names or ())
            ones = np.broadcast_to(np.eye(fields, dtype=np.int64)[:, None, :], (fields, self.count, fields))
            columns = self.actions(ones, stationary, apart).columns()
            self._linear[kind] = np.stack([columns[charge.count] for charge in CHARGES.values()])
        each = np.array([price.charges for price in prices])
        made: Floats = np.einsum("mgc,cfg->mgf", each, self._linear[kind])
        return made

    def actions(self, totals: NDArray[np.int64], stationary: str | None, apart: Apart) -> ActionCounts:
        """Of each group, (machines, groups), from ``totals`` (machines, groups, fields of COUNTS)."""
        found = {name: totals[..., k] for k, name in enumerate(COUNTS.names or ())}
        moved = {"weight_bus": found["weight_bytes"], "input_bus": found["input_bytes"]}
        moved |= {"output_bus": found["stored_bytes"], "activates": np.zeros_like(found["macs"])}
        work = Work(**{name: (found | moved)[name] for name in Work.__dataclass_fields__})
        return actions_of(work, self._kinds, stationary=stationary, apart=apart)


def _kind(layer: Layer, graph: Graph) -> tuple[object, ...]:
    """What the price of a layer's actions depends on, and how they are counted."""
    widths = (graph.tensors[name].format.bits for name in (layer.inputs[0], layer.output))
    return charged_kind(layer, graph) or tuple(widths)


def _priced(arch: Arch) -> Hashable:
    """The parts of a machine that energies depend on."""
    compute = arch.array, arch.accumulator, arch.requantizer, arch.vector, arch.cores, arch.tech, arch.clock_hz
    memories = arch.weight_buffer, arch.activation_buffer, arch.output_buffer, arch.shared_buffer, _outside(arch)
    return compute, memories, arch.arithmetic, arch.overrides


def _outside(arch: Arch) -> Hashable:
    """The memories outside the buffers; what they are matters to area alone where both are one."""
    return arch.streams.memories, arch.streams.is_one_sram


def energies(actions: ActionCounts, prices: list[Prices], cycles: NDArray[Any]) -> dict[str, Floats]:
    """Picojoules of each of COMPONENTS, (machines,)."""
    found = {component: np.zeros(len(cycles)) for component in COMPONENTS}
    each = np.array([price.charges for price in prices])
    columns = actions.columns()
    for k, charge in enumerate(CHARGES.values()):
        found[charge.component] += (columns[charge.count] * each[:, :, k]).sum(axis=1)
    found["clock"] += cycles * np.array([price.clock for price in prices])
    found["leakage"] += cycles * np.array([price.leakage for price in prices])
    return found
