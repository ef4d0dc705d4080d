"""The floors that a Result prints are floors, and are reached by work that leaves nothing to lose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from accelsim.arch import load_arch
from accelsim.builder import build_program
from accelsim.graph import Graph
from accelsim.hardware import DRAM_ENGINES, Engine
from accelsim.program import MacMapping
from accelsim.result.bounds import compute_bounds, traffic_bound, traffic_bounds
from accelsim.simulation import simulate
from accelsim.timing import schedule
from tests.generate import random_program
from tests.laws.test_laws import relaxed, seeds
from tests.networks import conv


@relaxed
@given(seeds)
def test_no_layer_is_faster_than_its_bounds(seed: int) -> None:
    """Neither the array nor the port works less on a layer than they say."""
    program = random_program(seed)
    compute, traffic = compute_bounds(program), traffic_bounds(program)
    for index in range(len(program.graph.layers)):
        mine = program.layer == index
        array = int(program.cycles[mine & program.of_engine(Engine.COMPUTE)].sum())
        port = int(program.cycles[mine & np.isin(program.engine, DRAM_ENGINES)].sum())
        assert compute[index] <= array
        assert traffic[index] <= port
    total = schedule(program).total_cycles
    assert compute.sum() <= total
    assert traffic.max(initial=0) <= traffic_bound(program) <= min(total, traffic.sum())


def product(pixels: int, ic: int, oc: int) -> Graph:
    """A convolution of 1x1, which reads every byte once in one tile."""
    return conv(size=pixels, ic=ic, oc=oc, k=1)


def test_one_tile_moves_every_byte_once() -> None:
    arch = load_arch("edge_16x16").with_({"dram.latency_ns": 0.0, "dma.setup_cycles": 0})
    graph = product(4, 16, 16)
    mapping = MacMapping(oh=4, ow=4, oc=16, ic=16, kh=1, kw=1, groups=1, order="weights_outer")
    program = build_program(graph, arch=arch, mappings=(mapping,))
    port = int(program.cycles[np.isin(program.engine, DRAM_ENGINES)].sum())
    assert traffic_bounds(program).tolist() == [port]
    assert compute_bounds(program).tolist() == [16]


@pytest.mark.parametrize("tile", [1, 2])
def test_loads_that_repeat_are_above_the_bound(tile: int) -> None:
    arch = load_arch("edge_16x16")
    mapping = MacMapping(oh=tile, ow=4, oc=4, ic=16, kh=1, kw=1, groups=1, order="weights_outer")
    program = build_program(product(4, 16, 16), arch=arch, mappings=(mapping,))
    once = (16 * 16 + 16 * 16 + 16 * 16) * arch.clock_hz // arch.dram.bandwidth_bytes_per_s
    assert traffic_bounds(program).tolist() == [once]
    assert int(program.amount[program.of_engine(Engine.LOAD_ACTIVATIONS)].sum()) > 16 * 16


def test_totals_are_sums_and_are_printed() -> None:
    result = simulate("digits_cnn", arch="edge_16x16")
    for name in ("compute_bound_cycles", "traffic_bound_cycles"):
        assert getattr(result.total, name) == sum(getattr(layer, name) for layer in result.layers)
    assert f"{result.total.cycles / result.total.compute_bound_cycles:.2f}x the compute bound" in str(result)
    assert result.layers[0].compute_bound_cycles == -(-result.layers[0].macs // 256)
