"""Every number of the machine is in the exported RTL, in its Program, or refused: a new one must be placed here."""

from __future__ import annotations

from accelsim.arch import load_arch
from accelsim.handoff.rtl.refuse import _structures
from tests.arch.test_model import PATHS

BUFFERS = ("weight_buffer", "activation_buffer", "output_buffer")
STREAMS = ("weights", "activations", "outputs")
BUILT = {
    "array.rows", "array.cols", "array.weight_bits", "array.activation_bits", "array.weight_preload", "array.drain",
    "array.pipeline_stages", "array.issue_cycles", "array.fold_issue_cycles",
    "accumulator.count", "accumulator.bits", "accumulator.double_buffered", "requantizer.lanes",
    "requantizer.pipeline_stages", "requantizer.stages", "requantizer.streaming", "activation_buffer.resident_bytes", "dma.queues",
    "weight_buffer.slots", "array.reduction", "array.dot_products", "array.step_folds", "array.group_folds", "array.stripe_pixels",
    *(f"{name}.size_bytes" for name in BUFFERS), *(f"{name}.double_buffered" for name in BUFFERS),
}  # fmt: skip
"""Parameters of the modules."""
REFUSED_BY_NETWORK = {
    "array.weight_zero_points", "accumulator.overflow", "accumulator.products_per_add", "accumulator.bias_bits",
    "accumulator.word_per_slice", "weight_buffer.bytes_per_cycle",
    "activation_buffer.bytes_per_cycle",
}  # fmt: skip
"""Where a layer asks for what there is no RTL of, by ``check_network``."""
OF_THE_PROGRAM = {
    "activation_buffer.fuse_pairs", "vector.lanes", "clock_hz", "arithmetic", "overrides", "dma.setup_cycles", "dma.write_bytes",
    "dma.whole_weight_tiles", "dma.weight_compression", "dma.zero_run_bits", "dma.activation_compression",
    "dma.activation_zeros", "dram.bandwidth_bytes_per_s", "dram.latency_ns",
    "dram.burst_bytes", "dram.standard", "output_buffer.bytes_per_cycle",
    *(f"streams.{name}.{what}" for name in STREAMS for what in ("bandwidth_bytes_per_s", "latency_ns", "port")),
}  # fmt: skip
"""Which operations there are, in which order, what they compute, and what transfers and the vector unit, which the bench has, take."""
PRICED = {
    "name", "description", "source", "array.first_cycle", "array.weight_scratchpad_bytes", "array.activation_scratchpad_bytes",
    "array.sum_scratchpad_bytes", "array.hop_um", "array.zero_gating", "tech.energy_table", "tech.node_nm", "tech.voltage_v", "tech.dram",
    *(f"{name}.{what}" for name in BUFFERS for what in ("banks", "ports")),
    *(f"streams.{name}.{what}" for name in STREAMS[:2] for what in ("memory", "memory_bytes", "energy_pj_per_bit")),
}  # fmt: skip
"""No code and no cycle follows from them."""
OF_OTHERS = {
    "weight_buffer.decoders": "weight_buffer.coding", "shared_buffer.banks": "shared_buffer.size_bytes",
    "shared_buffer.weight_banks": "shared_buffer.size_bytes", "cores.split": "cores.count",
}  # fmt: skip
"""Which mean nothing without another, which is refused."""


def test_every_number_of_the_machine_has_its_place() -> None:
    refused = {path for path, _, _ in _structures(load_arch("edge_16x16"))}
    places = [BUILT, REFUSED_BY_NETWORK, OF_THE_PROGRAM, PRICED, set(OF_OTHERS), refused]
    assert sum(map(len, places)) == len(set().union(*places))
    assert set(OF_OTHERS.values()) <= refused
    assert set().union(*places) == set(PATHS)
