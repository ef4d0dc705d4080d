"""The DRAM as compiled code reads it, and cycles of its commands."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch, StreamName
from accelsim.hardware.machine import dma_cycles
from accelsim.hardware.parts import Bursts, Dram

Index = NDArray[np.int64]


def dram_of(arch: Arch) -> Dram | None:
    """The DRAM of ``arch``; None where no run is rounded out and no row counts."""
    burst, channel = arch.dram.bytes_per_burst, arch.dram.channel
    if channel is None:
        return None if burst == 1 else Dram(8 * burst, 0, *[1] * (len(Dram._fields) - 2))
    t, length = channel.timing, channel.burst_clocks
    return Dram(
        burst=8 * burst,
        units=burst // channel.burst_bytes,
        groups=channel.bank_groups,
        banks=channel.banks_per_group,
        columns=channel.row_bytes // channel.burst_bytes,
        bl=length,
        rcd=t.nRCD,
        rp=t.nRP,
        ras=t.nRAS,
        close_read=t.nRTP,
        close_write=t.nCWL + length + t.nWR,
        ccd_s=t.nCCDS,
        ccd_l=t.nCCDL,
        rrd_s=t.nRRDS,
        rrd_l=t.nRRDL,
        faw=t.nFAW,
    )


def bursts_of(arch: Arch, *, turns: int = 1) -> Bursts:
    """Bursts and the mean cycles of their commands, as often as so many cores take ``turns``; no commands without rows."""
    channel, size = arch.dram.channel, float(arch.dram.bytes_per_burst)
    if channel is None:
        return plain_bursts(size)
    t, length = channel.timing, channel.burst_clocks
    cycles = turns * arch.clock_hz / channel.clock_hz * t.nREFI / (t.nREFI - t.nRFC)
    apart = max(length, t.nCCDS if channel.bank_groups > 1 else t.nCCDL)
    close_read, close_write = t.nRTP, t.nCWL + length + t.nWR
    read, write = (t.nRCD - apart + close + t.nRP for close in (close_read, close_write))
    again = (max(t.nRAS, t.nRCD + close) + t.nRP for close in (close_read, close_write))
    return Bursts(
        size,
        cycles * read,
        cycles * write,
        cycles * (arch.dram.bytes_per_burst // channel.burst_bytes) * apart,
        float(channel.row_bytes * channel.bank_groups),
        float(channel.banks_per_group),
        cycles * max(t.nRRDS, t.nFAW / 4),
        *(cycles * clocks for clocks in again),
    )


def plain_bursts(size: float) -> Bursts:
    """Bursts of ``size`` bytes that take no commands."""
    return Bursts(size, *[0.0] * (len(Bursts._fields) - 1))


def bus_cycles(bus: Index, clocks: Index, arch: Arch, stream: StreamName) -> Index:
    """Cycles at the port of ``bus`` bytes of a ``stream`` whose commands take ``clocks`` of the DRAM's; a refresh takes its share of each."""
    channel = arch.dram.channel
    if channel is None:
        return dma_cycles(bus, arch, stream)
    t = channel.timing
    pace = Fraction(t.nREFI, t.nREFI - t.nRFC) * Fraction(arch.clock_hz, channel.clock_hz)
    return dma_cycles(bus, arch, stream, scaled_up(clocks, pace))


def scaled_up(amount: Any, factor: Fraction) -> Any:
    """``amount * factor`` rounded up, exact."""
    if factor == 1:
        return amount
    if int(amount.max(initial=0)) * factor.numerator >= 2**63:
        amount = amount.astype(object)  # Python's integers, where int64 could wrap
    return (-(-amount * factor.numerator // factor.denominator)).astype(np.int64, copy=False)
