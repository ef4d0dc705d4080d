"""Tiles of a MAC layer: candidates, what fits, and an estimate of cycles and DRAM traffic for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import MacGeometry
from accelsim.hardware import (
    IMPLICIT,
    MODES,
    Memory,
    OperandBits,
    TileSizes,
    array_record,
    ceil_div,
    depth,
    dram_latency_cycles,
    input_span,
    mac_footprint,
    slot_capacity,
)
from accelsim.program import LOOP_ORDERS, MacMapping

Candidates = NDArray[np.int64]
CYCLE_SLACK = 0.02
"""Estimated cycles that the mapper gives up for less DRAM traffic, as a fraction."""


class Kept(NamedTuple):
    """Whether a layer's input, its output, and its weights are on chip, where they cost the DRAM port nothing."""

    inputs: bool
    outputs: bool
    weights: bool = False


class Tiling(NamedTuple):
    """A mapping and what it was chosen for: estimated DRAM ``traffic`` in bytes and array ``cycles``."""

    mapping: MacMapping
    traffic: float
    cycles: float


@dataclass(frozen=True, eq=False)
class _Axes:
    """Candidate sizes: ``pixels`` (P, 3) of oh, ow, n; ``taps`` (T, 2) of kh, kw; ``channels`` (C, 3) of oc, ic, groups."""

    pixels: Candidates
    taps: Candidates
    channels: Candidates


def best_mac_mapping(
    name: str,
    geometry: MacGeometry,
    *,
    whole: MacGeometry,
    bits: OperandBits,
    kept: Kept,
    words: int,
    arch: Arch,
    shares: int = 1,
    coded: float = 0.0,
) -> Tiling:
    """Of the legal candidates within CYCLE_SLACK of the fewest estimated cycles, the one with the least DRAM traffic.

    So many cores have a share like ``geometry`` of ``whole`` and take turns at the DRAM port. ``coded``: size of the weights in DRAM
    over their own, where they are coded.
    """
    from accelsim.mapper._estimate import NOTHING_FITS, best_tiling

    g, widths = geometry, (bits.weight, bits.activation)
    passes, products = arch.array.passes(*widths), arch.array.products(*widths)
    axes = _candidates(g, arch, products)
    rows = input_span(g, "h", axes.pixels[:, :1], axes.taps[:, 0])
    columns = input_span(g, "w", axes.pixels[:, 1:2], axes.taps[:, 1])
    shape = np.array([g.n, g.oh, g.ow, g.oc_per_group, g.ic_per_group, g.kh, g.kw, g.groups], dtype=np.int64)
    array = array_record(arch, bits=widths, passes=passes, products=products)
    machine = _machine(bits, kept, words, arch, shares, coded)
    tensors = np.array([whole.weight_shape[1:], whole.input_shape[1:], whole.output_shape[1:]], dtype=np.float64)
    best, traffic, work = best_tiling(
        array, machine, shape, tensors, axes.pixels, axes.taps, axes.channels, rows, columns, CYCLE_SLACK
    )
    if best == NOTHING_FITS:
        expanded = arch.activation_buffer.im2col != IMPLICIT
        raise _nothing_fits(name, mac_footprint(g, _combined(axes), bits, words, expanded=expanded), arch)
    counts = len(LOOP_ORDERS), len(axes.pixels), len(axes.taps), len(axes.channels)
    order, p, t, c = (int(i) for i in np.unravel_index(best, counts))
    (oh, ow, n), (kh, kw), (oc, ic, groups) = axes.pixels[p].tolist(), axes.taps[t].tolist(), axes.channels[c].tolist()
    mapping = MacMapping(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, n=n, order=LOOP_ORDERS[order])
    return Tiling(mapping, float(traffic), float(work))


def _candidates(g: MacGeometry, arch: Arch, products: int) -> _Axes:
    """A few sizes per axis.

    Rows are cut before columns, kernel rows before kernel columns; several groups, and several images, stand in a tile only whole.
    """
    pixels = [(oh, g.ow, 1) for oh in _parts(g.oh)] + [(1, ow, 1) for ow in _parts(g.ow) if ow < g.ow]
    pixels += [(g.oh, g.ow, n) for n in _parts(g.n) if n > 1]
    taps = sorted({(g.kh, g.kw), (1, g.kw), (1, 1)})
    channels = [
        (oc, ic, 1)
        for oc in _parts(g.oc_per_group, arch.array.cols)
        for ic in _parts(g.ic_per_group, arch.array.rows * products)
    ]
    channels += [(g.oc_per_group, g.ic_per_group, groups) for groups in _parts(g.groups) if groups > 1]
    return _Axes(*(np.array(sizes, dtype=np.int64) for sizes in (pixels, taps, channels)))


def _combined(axes: _Axes) -> TileSizes:
    """Every combination of the candidate sizes."""
    p, t, c = (i.ravel() for i in np.indices((len(axes.pixels), len(axes.taps), len(axes.channels))))
    (oh, ow, n), (kh, kw), (oc, ic, groups) = axes.pixels[p].T, axes.taps[t].T, axes.channels[c].T
    return TileSizes(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, n=n)


def _machine(bits: OperandBits, kept: Kept, words: int, arch: Arch, shares: int, coded: float) -> NDArray[np.float64]:
    """What the estimate needs of the machine, in the order of :mod:`accelsim.mapper._estimate`."""
    memories = Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS
    capacities = (slot_capacity(memory, arch) for memory in memories)
    tiles = min(depth(memory, arch) for memory in memories[:2])
    turns = shares * arch.dma.setup_cycles, shares * arch.clock_hz, arch.dram.bandwidth_bytes_per_s
    port = *turns, dram_latency_cycles(arch), tiles
    widths, inputs = (bits.weight, bits.activation, bits.output), arch.activation_buffer
    matrix = MODES.index(inputs.im2col), inputs.bytes_per_cycle or 0
    return np.array(
        [*capacities, *widths, words, *port, *kept, *matrix, arch.dma.queues, *_bursts(arch, shares), coded],
        dtype=np.float64,
    )


def _bursts(arch: Arch, shares: int) -> tuple[float, float, float, float]:
    """Bytes of a burst; cycles of the commands of a read beside its bursts, of a write, and of each burst (0 without rows)."""
    channel = arch.dram.channel
    if channel is None:
        return arch.dram.bytes_per_burst, 0, 0, 0
    t, length = channel.timing, channel.burst_clocks
    cycles = shares * arch.clock_hz / channel.clock_hz * t.nREFI / (t.nREFI - t.nRFC)
    apart = max(length, t.nCCDS if channel.bank_groups > 1 else t.nCCDL)
    units = arch.dram.bytes_per_burst // channel.burst_bytes
    around = t.nRCD - apart
    read, write = around + t.nRTP + t.nRP, around + t.nCWL + length + t.nWR + t.nRP
    return arch.dram.bytes_per_burst, cycles * read, cycles * write, cycles * units * apart


@lru_cache(maxsize=1024)
def _parts(size: int, unit: int = 1) -> tuple[int, ...]:
    """``size`` cut into 1, 2, 3, 4, 6, 8, ... equal parts, parts above ``unit`` rounded up to a multiple of it; 1 and ``unit``."""
    divisors = {2**k for k in range(size.bit_length())} | {3 * 2**k for k in range(4)}
    sizes = {ceil_div(size, d) for d in divisors if d <= size}
    aligned = {s if s < unit else min(size, ceil_div(s, unit) * unit) for s in sizes}
    return tuple(sorted(aligned | {1, min(size, unit)}))


def _nothing_fits(name: str, footprint: dict[Memory, Candidates], arch: Arch) -> MappingError:
    for memory, size in footprint.items():
        least, capacity = int(size.min()), slot_capacity(memory, arch)
        if least > capacity:
            unit = "words" if memory is Memory.ACCUMULATORS else "bytes"
            return MappingError(
                f"layer {name!r}: the smallest tile needs {least} {unit} of the {memory.label}, one slot has {capacity}, "
                f"{least - capacity} {unit} too few; enlarge it or switch its double buffering off",
                layer=name,
                memory=memory.label,
                missing=least - capacity,
            )
    return MappingError(f"layer {name!r}: no tile fits all buffers at once", layer=name)
