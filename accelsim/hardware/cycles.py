"""Cycles that the engines other than the array take for an amount of work."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.hardware.footprint import ceil_div

Counts = NDArray[np.int64]
_INT64_MAX = 2**63 - 1


def dma_cycles(amount_bytes: Counts, arch: Arch) -> Counts:
    """Cycles that a transfer holds its queue and the DRAM port: set-up plus bytes at the DRAM's bandwidth, at least 1."""
    transfer = scaled_up(amount_bytes, Fraction(arch.clock_hz, arch.dram.bandwidth_bytes_per_s))
    cycles: Counts = np.maximum(1, arch.dma.setup_cycles + transfer)
    return cycles


def scaled_up(amount: Counts, factor: Fraction) -> Counts:
    """``amount * factor`` rounded up, exact."""
    if int(amount.max(initial=0)) * factor.numerator > _INT64_MAX:
        amount = amount.astype(object)  # Python's integers, for the few machines where int64 could wrap
    scaled: Counts = ceil_div(amount * factor.numerator, factor.denominator).astype(np.int64, copy=False)
    return scaled


def dram_latency_cycles(arch: Arch) -> int:
    """Cycles from the end of a transfer at the port until its data is there: ``dram.latency_ns``, and nCL of a standard."""
    return int(np.ceil(arch.dram.latency_ns * arch.clock_hz / 1e9)) + _column_latency(arch)


def _column_latency(arch: Arch) -> int:
    channel = arch.dram.channel
    return 0 if channel is None else int(ceil_div(channel.timing.nCL * arch.clock_hz, channel.clock_hz))


def resident_cycles(amount_bytes: Counts, arch: Arch) -> Counts:
    """Cycles that moving bytes into or out of the resident memory takes at the activation memory's width, at least 1."""
    width = arch.activation_buffer.bytes_per_cycle
    return np.ones_like(amount_bytes) if width is None else lane_cycles(amount_bytes, width)


def lane_cycles(work: Counts, lanes: int) -> Counts:
    """Cycles for ``work`` steps on ``lanes`` parallel lanes, at least 1."""
    cycles: Counts = np.maximum(1, ceil_div(work, lanes))
    return cycles
