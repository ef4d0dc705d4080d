"""Counts times table: the energy of each layer, split by component."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.arch import Arch
from accelsim.energy.counts import ActionCounts
from accelsim.energy.table import EnergyTable
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.program import Program
from accelsim.program.footprint import accumulator_words

COMPONENTS = (
    "array",
    "weight_buffer",
    "activation_buffer",
    "accumulator",
    "output_buffer",
    "requantizer",
    "vector",
    "dram",
)


@dataclass(frozen=True, kw_only=True)
class EnergySplit:
    """Picojoules of one layer by component."""

    array: float
    weight_buffer: float
    activation_buffer: float
    accumulator: float
    output_buffer: float
    requantizer: float
    vector: float
    dram: float

    @property
    def total(self) -> float:
        """Sum over components."""
        return float(sum(getattr(self, name) for name in COMPONENTS))


COMPONENT_OF = {
    "array_mac": "array",
    "weight_buffer_read": "weight_buffer",
    "weight_buffer_write": "weight_buffer",
    "activation_buffer_read": "activation_buffer",
    "activation_buffer_write": "activation_buffer",
    "accumulator_read": "accumulator",
    "accumulator_write": "accumulator",
    "output_buffer_read": "output_buffer",
    "output_buffer_write": "output_buffer",
    "requantizer_requant": "requantizer",
    "vector_step": "vector",
    "dram_read": "dram",
    "dram_write": "dram",
}
"""Component in which each action of :class:`~accelsim.energy.ActionCounts` spends its energy."""


def layer_energy(program: Program, counts: ActionCounts, table: EnergyTable) -> tuple[EnergySplit, ...]:
    """Energy of every layer: its action counts times :func:`action_energies`."""
    return tuple(
        _split(counts.of_layer(i), action_energies(layer, graph=program.graph, arch=program.arch, table=table))
        for i, layer in enumerate(program.graph.layers)
    )


def _split(counts: dict[str, int], energies: dict[str, float]) -> EnergySplit:
    parts = dict.fromkeys(COMPONENTS, 0.0)
    for action, component in COMPONENT_OF.items():
        parts[component] += counts[action] * energies[action]
    return EnergySplit(**parts)


def action_energies(layer: Layer, *, graph: Graph, arch: Arch, table: EnergyTable) -> dict[str, float]:
    """Picojoules of one action of each kind (of one bit, of one accumulator word) while ``layer`` runs on ``arch``.

    One MAC is one multiply of its operand widths and one add of accumulator width; one requantization one 32 x 32-bit
    multiply and two 32-bit adds (rounding, zero point); one vector step one 8-bit multiply and one 32-bit add.
    """
    activation_bits = graph.tensors[layer.inputs[0]].format.bits
    weight_bits = layer.weight_format.bits if isinstance(layer, MacLayer) else 0
    word = arch.accumulator.bits
    sum_bits = word * accumulator_words(activation_bits, arch)
    multiply, add = table.entry("multiplier", "multiply"), table.entry("adder", "add")
    mac = multiply.energy_pj(left_bits=weight_bits, right_bits=activation_bits) + add.energy_pj(bits=sum_bits)
    accumulator_bytes = max(1, arch.accumulator.count * word // 8)
    return {
        "array_mac": mac,
        **_sram("weight_buffer", arch.weight_buffer.size_bytes, table),
        **_sram("activation_buffer", arch.activation_buffer.size_bytes, table),
        **{action: word * pj for action, pj in _sram("accumulator", accumulator_bytes, table).items()},
        **_sram("output_buffer", arch.output_buffer.size_bytes, table),
        "requantizer_requant": multiply.energy_pj(left_bits=32, right_bits=32) + 2 * add.energy_pj(bits=32),
        "vector_step": multiply.energy_pj(left_bits=8, right_bits=8) + add.energy_pj(bits=32),
        "dram_read": table.entry("dram", "read").energy_pj(bits=1),
        "dram_write": table.entry("dram", "write").energy_pj(bits=1),
    }


def _sram(memory: str, capacity_bytes: int, table: EnergyTable) -> dict[str, float]:
    """Picojoules per bit of the two actions of one memory."""
    return {
        f"{memory}_{action}": table.entry("sram", action).energy_pj(bits=1, capacity_bytes=capacity_bytes)
        for action in ("read", "write")
    }
