"""Energy that follows the data: each component's table energy, scaled by how many bits its wires toggle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.activity.record import Activity
from accelsim.arch import Arch
from accelsim.energy import CHARGES, Costs, EnergyTable, action_charges, count_actions
from accelsim.graph import Graph, MacLayer
from accelsim.hardware import activation_share
from accelsim.program import Program

REFERENCE_RATE = 0.5
"""Toggled bits per bit and transition at which a table's energies are taken to hold: random data. A named assumption: Horowitz
(ISSCC 2014) and the synthesis results of the other tables state no activity."""
WORST = 1 / REFERENCE_RATE
"""Factor of data of which every bit toggles each time."""
WIRE_OF: Mapping[str, str] = {
    "weight_buffer_read": "weight_bus",
    "activation_buffer_read": "activation_bus",
    "accumulator_read": "accumulator",
    "accumulator_write": "accumulator",
    "array_load": "stationary_register",
    "dma_transfer": "dram_bus",
    "dram_read": "dram_bus",
    "dram_write": "dram_bus",
    "weight_memory_read": "dram_bus",
    "activation_memory_read": "dram_bus",
    "activation_memory_write": "dram_bus",
}
"""The wire whose toggling an action's energy follows; ``array_mac`` follows :data:`MAC_WIRES`, the others keep the table's value."""
MAC_WIRES = ("activation_register", "weight_register", "partial_sum")
"""What switches inside a MAC: both operands and the sum that it passes on; in proportion to their bits."""


@dataclass(frozen=True, kw_only=True)
class ActivityEnergy:
    """Picojoules of one MAC layer: by the table, as its data has it, and if every followed bit toggled each time; by component."""

    layer: str
    table_pj: Mapping[str, float]
    data_pj: Mapping[str, float]
    worst_pj: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """Energy of the data over the table's."""
        return sum(self.data_pj.values()) / sum(self.table_pj.values())


def activity_factors(activity: Activity) -> dict[str, float]:
    """Factor on the table's energy of each action that follows the data: ``toggle rate / REFERENCE_RATE``, 0 to :data:`WORST`.

    A wire that carries no two words in a tile toggles nothing.
    """
    factors = {action: _rate(activity, (wire,)) / REFERENCE_RATE for action, wire in WIRE_OF.items()}
    return factors | {"array_mac": _rate(activity, MAC_WIRES) / REFERENCE_RATE}


def activity_energy(
    program: Program, activities: Sequence[Activity], table: EnergyTable, *, gated: bool | None = None
) -> tuple[ActivityEnergy, ...]:
    """Energy of each measured layer; ``data_pj <= worst_pj`` component by component, all-zero data costs only what is not followed.

    ``gated``: multiplier, adder and scratchpad of weights stand still in products with a zero operand, in the measured share of them;
    None: where the machine has ``array.zero_gating``, whose share ``table_pj`` goes by.
    """
    gates = program.arch.array.zero_gating is not None if gated is None else gated
    costs, counts, by_name = Costs(table), count_actions(program), {activity.layer: activity for activity in activities}
    found = []
    for index, layer in enumerate(program.graph.layers):
        if not isinstance(layer, MacLayer) or layer.name not in by_name:
            continue
        activity, times = by_name[layer.name], counts.of_layer(index)
        stated, measured, ungated = (
            _spent(layer, program.graph, arch, costs, moved)
            for arch, moved in (
                (program.arch, times),
                (_gating(program.arch, activity if gates else None), _coded(times, program.arch, activity)),
                (_gating(program.arch, None), _coded(times, program.arch, None)),
            )
        )
        factors = activity_factors(activity)
        found.append(
            ActivityEnergy(
                layer=layer.name,
                table_pj=_by_component(stated, {}),
                data_pj=_by_component(measured, factors),
                worst_pj=_by_component(ungated, dict.fromkeys(factors, WORST)),
            )
        )
    return tuple(found)


def _gating(arch: Arch, activity: Activity | None) -> Arch:
    """``arch`` with the share of gated products that was measured, or with none."""
    share = None if activity is None else min(1.0, max(0.0, 1 - activity.density))
    return arch if arch.array.zero_gating == share else arch.with_({"array.zero_gating": share})


def _coded(times: Mapping[str, int], arch: Arch, activity: Activity | None) -> dict[str, float]:
    """Counts of a layer whose activations are coded as long as was measured, in place of what ``dma.activation_zeros`` expect; None: none
    is coded."""
    found: dict[str, float] = dict(times)
    if arch.dma.activation_compression is None:
        return found
    stated = float(activation_share(arch))
    shares = (1.0, 1.0) if activity is None else (activity.input_code, activity.output_code)
    inputs, outputs = (share / stated for share in shares)
    more = {
        "dram_read": times["dram_read"] - times["dram_read_weights"],
        "activation_memory_read": times["activation_memory_read"],
    }
    changed = {name: bits * (inputs - 1) for name, bits in more.items()}
    changed |= {name: times[name] * (outputs - 1) for name in ("dram_write", "activation_memory_write")}
    changed["dma_transfer"] = sum(changed.values())
    return found | {name: times[name] + bits for name, bits in changed.items()}


def _spent(layer: MacLayer, graph: Graph, arch: Arch, costs: Costs, times: Mapping[str, float]) -> dict[str, float]:
    """Picojoules of each charge of ``layer``."""
    charges = action_charges(layer, graph=graph, arch=arch, costs=costs)
    return {name: times[CHARGES[name].count] * sum(parts.values()) for name, parts in charges.items()}


def _rate(activity: Activity, wires: Sequence[str]) -> float:
    """Toggled bits of several wires over the bits that passed them."""
    passed = sum(activity.wires[wire].transitions * activity.wires[wire].bits for wire in wires)
    return sum(activity.wires[wire].toggled_bits for wire in wires) / passed if passed else 0.0


def _by_component(spent: Mapping[str, float], factors: Mapping[str, float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for action, pj in spent.items():
        component = CHARGES[action].component
        total[component] = total.get(component, 0.0) + pj * factors.get(action, 1.0)
    return total
