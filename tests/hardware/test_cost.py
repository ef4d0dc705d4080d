"""Durations of the engines other than the array."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.arch import load_arch
from accelsim.hardware import Unit, dma_cycles, dram_latency_cycles, unit_cycles

ARCH = load_arch("edge_16x16")  # 500 MHz, 3.2 GB/s: 6.4 bytes per cycle


@pytest.mark.parametrize(("size", "cycles"), [(0, 1), (1, 1), (6, 1), (7, 2), (64, 10), (65, 11), (3200, 500)])
def test_transfers_take_bytes_over_bandwidth(size: int, cycles: int) -> None:
    assert dma_cycles(np.array([size]), ARCH, "weights").tolist() == [cycles]


def test_setup_is_spent_on_every_transfer() -> None:
    assert dma_cycles(np.array([0, 64]), ARCH.with_({"dma.setup_cycles": 8}), "weights").tolist() == [8, 18]


def test_no_machine_wraps_the_cycle_count() -> None:
    """Coprime clock and bandwidth near their limits: exact in integers of any size."""
    arch = ARCH.with_({"clock_hz": 10**11 - 1, "dram.bandwidth_bytes_per_s": 10**6 + 3})
    size = 2**39
    exact = -(-size * (10**11 - 1) // (10**6 + 3))
    assert dma_cycles(np.array([size]), arch, "weights").tolist() == [exact]


def test_latency_and_lanes_round_up() -> None:
    assert dram_latency_cycles(ARCH.with_({"dram.latency_ns": 3.0})) == 2
    assert unit_cycles(Unit(lanes=16, width=0), np.array([0, 1, 16, 17]), 0).tolist() == [1, 1, 1, 2]
