"""When two layers are computed in step: bytes saved, at no more cycles than the slack allows."""

from __future__ import annotations

import pytest

from accelsim.arch import load_arch
from accelsim.mapper import map_graph
from accelsim.program.fusion import fused_layers
from tests.program.test_fusion import images


@pytest.mark.parametrize(("bandwidth", "pairs"), [(10**8, 1), (10**15, 0)])
def test_a_pair_that_saves_bytes_but_costs_cycles_is_not_fused(bandwidth: int, pairs: int) -> None:
    """Where the port is the bottleneck, bands are worth their smaller tiles; where it is none, the array fills too often."""
    arch = load_arch("edge_16x16").with_(
        {
            "activation_buffer.size_bytes": 3200,
            "activation_buffer.resident_bytes": 1200,
            "activation_buffer.fuse_pairs": True,
            "dram.bandwidth_bytes_per_s": bandwidth,
            "dram.latency_ns": 0.0,
        }
    )
    graph = images("conv", "conv", size=16, channels=16)
    assert len(fused_layers(graph, map_graph(graph, arch=arch))) == pairs
