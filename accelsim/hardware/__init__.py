"""What each part of the machine holds and takes: the one home of capacities, cycles and bytes."""

from accelsim.hardware.activation_coding import WORD_BITS, activation_share, run_length_code
from accelsim.hardware.array import ArrayCost, ComputeTiles, array_cost, array_of
from accelsim.hardware.buffers import (
    accumulator_bits,
    accumulator_words,
    capacity_of,
    depth,
    divided,
    slot_capacity,
    slots,
    space_bytes,
)
from accelsim.hardware.dram import bursts_of, bus_cycles, dram_of, plain_bursts, scaled_up
from accelsim.hardware.im2col import AT_ARRAY, AT_DMA, DRAM, IMPLICIT, Windows
from accelsim.hardware.kinds import (
    DMA_QUEUES,
    DRAM_ENGINES,
    FREED,
    READS_FROM,
    SLOT_WAITS,
    STREAMED,
    WRITE_BACK,
    Engine,
    Memory,
)
from accelsim.hardware.laws import (
    Footprint,
    ceil_div,
    fill_cycles,
    fits,
    footprint,
    held_weights,
    moved_no_faster,
    packed_bytes,
    transfer_cycles,
    unit_cycles,
    written_bytes,
)
from accelsim.hardware.machine import (
    OperandBits,
    Pass,
    dma_cycles,
    loops_of,
    machine_of,
    operand_bits,
    passes_of,
    resident_cycles,
    weight_blocks,
    window_obstacle,
)
from accelsim.hardware.parts import (
    Array,
    Bursts,
    Capacity,
    Dma,
    Im2col,
    Loops,
    Machine,
    Operands,
    PerMemory,
    Requantizer,
    Streams,
    Unit,
    dma_of,
    dram_latency_cycles,
    im2col_of,
    output_of,
    requantizer_of,
    stream_ports,
    streaming_of,
    streams_of,
    vector_of,
)
from accelsim.hardware.weight_coding import (
    Packets,
    Stored,
    coded_share,
    held_share,
    is_coded,
    is_decoded,
    is_packed,
    least_code_bits,
    longest_code,
    packed_tiles,
    packs,
    passed_through_code,
    stored,
    stored_bits,
)
