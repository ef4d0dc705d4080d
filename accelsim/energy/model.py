"""Counts times table: the energy of each layer, split by component."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.energy.counts import ActionCounts, layer_accumulator_words
from accelsim.energy.table import EnergyTable
from accelsim.graph import MacLayer
from accelsim.program import Program

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


def layer_energy(program: Program, counts: ActionCounts, table: EnergyTable) -> tuple[EnergySplit, ...]:
    """Energy of every layer.

    One MAC is one multiply of its operand widths and one add of accumulator width; one requantization one 32 x 32-bit
    multiply and two 32-bit adds (rounding, zero point); one vector step one 8-bit multiply and one 32-bit add.
    """
    return tuple(_one_layer(program, counts.of_layer(i), i, table) for i in range(len(program.graph.layers)))


def _one_layer(program: Program, n: dict[str, int], index: int, table: EnergyTable) -> EnergySplit:
    arch, layer = program.arch, program.graph.layers[index]
    words = layer_accumulator_words(program, index)
    accumulator_bits = arch.accumulator.bits
    accumulator_bytes = max(1, arch.accumulator.count * accumulator_bits // 8)
    activation_bits = program.graph.tensors[layer.inputs[0]].format.bits
    weight_bits = layer.weight_format.bits if isinstance(layer, MacLayer) else 0
    multiply, add = table.entry("multiplier", "multiply"), table.entry("adder", "add")

    def sram(read_bits: int, write_bits: int, capacity: int) -> float:
        read = table.entry("sram", "read").energy_pj(bits=1, capacity_bytes=capacity)
        write = table.entry("sram", "write").energy_pj(bits=1, capacity_bytes=capacity)
        return read_bits * read + write_bits * write

    mac = multiply.energy_pj(left_bits=weight_bits, right_bits=activation_bits) + add.energy_pj(
        bits=accumulator_bits * words
    )
    requant = multiply.energy_pj(left_bits=32, right_bits=32) + 2 * add.energy_pj(bits=32)
    step = multiply.energy_pj(left_bits=8, right_bits=8) + add.energy_pj(bits=32)
    dram = n["dram_read"] * table.entry("dram", "read").energy_pj(bits=1) + n["dram_write"] * table.entry(
        "dram", "write"
    ).energy_pj(bits=1)
    return EnergySplit(
        array=n["array_mac"] * mac,
        weight_buffer=sram(n["weight_buffer_read"], n["weight_buffer_write"], arch.weight_buffer.size_bytes),
        activation_buffer=sram(
            n["activation_buffer_read"], n["activation_buffer_write"], arch.activation_buffer.size_bytes
        ),
        accumulator=sram(
            n["accumulator_read"] * accumulator_bits, n["accumulator_write"] * accumulator_bits, accumulator_bytes
        ),
        output_buffer=sram(n["output_buffer_read"], n["output_buffer_write"], arch.output_buffer.size_bytes),
        requantizer=n["requantizer_requant"] * requant,
        vector=n["vector_step"] * step,
        dram=dram,
    )
