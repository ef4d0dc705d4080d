"""What each part of the machine holds and takes: the one home of capacities, cycles and bytes."""

from accelsim.hardware.array import DATAFLOWS, ArrayCost, ComputeTiles, array_cost, array_record, pipelines_tiles
from accelsim.hardware.cycles import dma_cycles, dram_latency_cycles, lane_cycles, resident_cycles, scaled_up
from accelsim.hardware.footprint import (
    OperandBits,
    TileSizes,
    accumulator_bits,
    accumulator_words,
    ceil_div,
    depth,
    input_span,
    mac_footprint,
    operand_bits,
    packed_bytes,
    passes,
    slot_capacity,
    slots,
)
from accelsim.hardware.im2col import DRAM, IMPLICIT, MODES, Windows, fill_cycles, sources
from accelsim.hardware.kinds import DMA_QUEUES, DRAM_ENGINES, WRITE_BACK, Engine, Memory
from accelsim.hardware.weight_coding import Packets, coded_share, packed_tiles

__all__ = [
    "DATAFLOWS",
    "DMA_QUEUES",
    "DRAM",
    "DRAM_ENGINES",
    "IMPLICIT",
    "MODES",
    "WRITE_BACK",
    "ArrayCost",
    "ComputeTiles",
    "Engine",
    "Memory",
    "OperandBits",
    "Packets",
    "TileSizes",
    "Windows",
    "accumulator_bits",
    "accumulator_words",
    "array_cost",
    "array_record",
    "ceil_div",
    "coded_share",
    "depth",
    "dma_cycles",
    "dram_latency_cycles",
    "fill_cycles",
    "input_span",
    "lane_cycles",
    "mac_footprint",
    "operand_bits",
    "packed_bytes",
    "packed_tiles",
    "passes",
    "pipelines_tiles",
    "resident_cycles",
    "scaled_up",
    "slot_capacity",
    "slots",
    "sources",
]
