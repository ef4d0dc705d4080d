"""Tiles of a MAC layer: candidates, what fits, and an estimate of cycles and DRAM traffic for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import MacGeometry
from accelsim.program import LoopOrder, MacMapping, Memory
from accelsim.program.array_model import ComputeTiles, array_cost
from accelsim.program.cost import dma_cycles, dram_latency_cycles
from accelsim.program.footprint import (
    OperandBits,
    TileSizes,
    ceil_div,
    input_span,
    mac_footprint,
    packed_bytes,
    slot_capacity,
    slots,
)

Candidates = NDArray[np.int64]
ORDERS: tuple[LoopOrder, ...] = ("weights_outer", "activations_outer")
CYCLE_SLACK = 0.02
"""Estimated cycles that the mapper gives up for less DRAM traffic, as a fraction."""


def best_mac_mapping(name: str, geometry: MacGeometry, *, bits: OperandBits, words: int, arch: Arch) -> MacMapping:
    """Of the legal candidates within CYCLE_SLACK of the fewest estimated cycles, the one with the least DRAM traffic."""
    tiles = _candidates(geometry, arch, arch.array.products(bits.weight, bits.activation))
    footprint = mac_footprint(geometry, tiles, bits, words)
    legal = np.ones(len(tiles.oh), dtype=np.bool_)
    for memory, size in footprint.items():
        legal &= size <= slot_capacity(memory, arch)
    if not legal.any():
        raise _nothing_fits(name, footprint, arch)
    tiles = TileSizes(**{field: values[legal] for field, values in vars(tiles).items()})
    cycles, traffic, array, computes = (
        np.concatenate(parts)
        for parts in zip(*(_estimate(geometry, tiles, order, bits, arch) for order in ORDERS), strict=True)
    )
    slow = cycles > cycles.min() * (1 + CYCLE_SLACK)
    best = int(np.lexsort((computes, array, traffic, slow))[0])
    order, i = divmod(best, len(tiles.oh))
    return MacMapping(order=ORDERS[order], **{field: int(values[i]) for field, values in vars(tiles).items()})


def _candidates(g: MacGeometry, arch: Arch, products: int) -> TileSizes:
    """Every combination of a few sizes per axis.

    Rows are cut before columns, kernel rows before kernel columns; several groups stand in a tile only whole.
    """
    pixels = [(oh, g.ow) for oh in _parts(g.oh)] + [(1, ow) for ow in _parts(g.ow) if ow < g.ow]
    taps = sorted({(g.kh, g.kw), (1, g.kw), (1, 1)})
    channels = [
        (oc, ic, 1)
        for oc in _parts(g.oc_per_group, arch.array.cols)
        for ic in _parts(g.ic_per_group, arch.array.rows * products)
    ]
    channels += [(g.oc_per_group, g.ic_per_group, groups) for groups in _parts(g.groups) if groups > 1]
    p, t, c = (i.ravel() for i in np.indices((len(pixels), len(taps), len(channels))))
    (oh, ow), (kh, kw), (oc, ic, groups) = np.array(pixels)[p].T, np.array(taps)[t].T, np.array(channels)[c].T
    return TileSizes(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups)


def _parts(size: int, unit: int = 1) -> list[int]:
    """``size`` cut into 1, 2, 3, 4, 6, 8, ... equal parts, parts above ``unit`` rounded up to a multiple of it; 1 always."""
    divisors = {2**k for k in range(size.bit_length())} | {3 * 2**k for k in range(4)}
    sizes = {ceil_div(size, d) for d in divisors if d <= size}
    return sorted({s if s < unit else min(size, ceil_div(s, unit) * unit) for s in sizes} | {1})


def _estimate(g: MacGeometry, t: TileSizes, order: LoopOrder, bits: OperandBits, arch: Arch) -> tuple[Any, ...]:
    """(cycles, DRAM bytes, array cycles, tiles) of each candidate, every tile taken at full size.

    Cycles are the longest of the DRAM port, the array, and the round trip of a buffer slot (load, latency, compute, free
    again), plus the first load, which nothing hides.
    """
    spatial = g.n * ceil_div(g.oh, t.oh) * ceil_div(g.ow, t.ow)
    group_tiles = ceil_div(g.groups, t.groups)
    channel = group_tiles * ceil_div(g.oc_per_group, t.oc)
    steps = ceil_div(g.kh, t.kh) * ceil_div(g.kw, t.kw) * ceil_div(g.ic_per_group, t.ic)
    computes = spatial * channel * steps
    if order == "weights_outer":
        weight_loads = np.where(steps == 1, channel, computes)
        input_loads = np.where((steps == 1) & (spatial == 1), group_tiles, computes)
    else:
        weight_loads = np.where((steps == 1) & (channel == 1), 1, computes)
        input_loads = np.where(steps == 1, spatial * group_tiles, computes)
    weight_tile = packed_bytes(t.groups * t.oc * t.kh * t.kw * t.ic, bits.weight)
    input_tile = packed_bytes(
        input_span(g, "h", t.oh, t.kh) * input_span(g, "w", t.ow, t.kw) * t.groups * t.ic, bits.activation
    )
    output_tile = packed_bytes(t.oh * t.ow * t.groups * t.oc, bits.output)
    traffic = weight_loads * weight_tile + input_loads * input_tile + spatial * channel * output_tile
    port = (
        weight_loads * dma_cycles(weight_tile, arch)
        + input_loads * dma_cycles(input_tile, arch)
        + spatial * channel * dma_cycles(output_tile, arch)
    )
    tile = ComputeTiles(
        pixels=t.oh * t.ow,
        reduction=t.kh * t.kw * t.ic,
        channels=t.oc,
        groups=t.groups,
        passes=arch.array.passes(bits.weight, bits.activation),
        products=arch.array.products(bits.weight, bits.activation),
        weights_kept=np.zeros(len(t.oh), dtype=np.bool_),
        weight_bits=bits.weight,
        activation_bits=bits.activation,
    )
    compute = array_cost(tile, arch).cycles
    load = dma_cycles(weight_tile, arch) + dma_cycles(input_tile, arch) + dram_latency_cycles(arch)
    depth = min(slots(memory, arch) for memory in (Memory.WEIGHTS, Memory.ACTIVATIONS))
    round_trips = np.maximum(weight_loads, input_loads) * (load + compute) // depth
    array = computes * compute
    return np.maximum(np.maximum(port, array), round_trips) + load, traffic, array, computes


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
