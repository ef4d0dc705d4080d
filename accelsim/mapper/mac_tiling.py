"""Tiles of a MAC layer: candidates, what fits, and an estimate of cycles and DRAM traffic for each."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import MacGeometry
from accelsim.hardware import (
    Machine,
    Memory,
    bursts_of,
    ceil_div,
    loops_of,
    slot_capacity,
)
from accelsim.program import LOOP_ORDERS, MacMapping

if TYPE_CHECKING:
    from accelsim.mapper._estimate import Candidates

Sizes = NDArray[np.int64]
CYCLE_SLACK = 0.02
"""Estimated cycles that the mapper gives up for less DRAM traffic, as a fraction."""


class OnChip(NamedTuple):
    """Whether a layer's input, its output, and its weights are on chip, where they cost the DRAM port nothing."""

    inputs: bool
    outputs: bool
    weights: bool = False


class Tiling(NamedTuple):
    """A mapping and what it was chosen for: estimated DRAM ``traffic`` in bytes and array ``cycles``."""

    mapping: MacMapping
    traffic: float
    cycles: float


def best_mac_mapping(
    name: str,
    geometry: MacGeometry,
    *,
    whole: MacGeometry,
    machine: Machine,
    kept: OnChip,
    arch: Arch,
    shares: int = 1,
    coded: float = 0.0,
) -> Tiling:
    """Of the legal candidates within CYCLE_SLACK of the fewest estimated cycles, the one with the least DRAM traffic.

    So many cores have a share like ``geometry`` of ``whole``; ``machine`` is one of them, which takes turns at the DRAM port.
    ``coded``: size of the weights in DRAM over their own, where they are coded.
    """
    from accelsim.mapper._estimate import NOTHING_FITS, Candidates, DramSide, best_tiling, tile_at

    pixels, taps, channels = _candidates(geometry, machine)
    rows = geometry.axis("h").span(pixels[:, :1], taps[:, 0])
    columns = geometry.axis("w").span(pixels[:, 1:2], taps[:, 1])
    candidates = Candidates(pixels, taps, channels, rows, columns)
    weights, inputs, outputs = (
        np.array(shape[1:], dtype=np.float64) for shape in (whole.weight_shape, whole.input_shape, whole.output_shape)
    )
    dram = DramSide(bursts_of(arch, turns=shares), weights, inputs, outputs, *kept, coded)
    figures = np.empty((4, len(LOOP_ORDERS) * len(pixels) * len(taps) * len(channels)))
    figures[0] = np.inf  # what does not fit stays there
    best, traffic, work = best_tiling(machine, dram, loops_of(geometry), candidates, CYCLE_SLACK, figures)
    if best == NOTHING_FITS:
        raise _nothing_fits(name, machine, candidates, arch)
    order, p, t, c = (int(i) for i in np.unravel_index(best, (len(LOOP_ORDERS), len(pixels), len(taps), len(channels))))
    sizes = {axis: int(size) for axis, size in tile_at(pixels[p], taps[t], channels[c])._asdict().items()}
    return Tiling(MacMapping(**sizes, order=LOOP_ORDERS[order]), float(traffic), float(work))


def _candidates(g: MacGeometry, machine: Machine) -> tuple[Sizes, Sizes, Sizes]:
    """A few sizes per axis: (oh, ow, n), (kh, kw) and (oc, ic, groups).

    Rows are cut before columns, kernel rows before kernel columns; several groups, and several images, stand in a tile only whole.
    """
    array = machine.array
    pixels = [(oh, g.ow, 1) for oh in _parts(g.oh)] + [(1, ow, 1) for ow in _parts(g.ow) if ow < g.ow]
    pixels += [(g.oh, g.ow, n) for n in _parts(g.n) if n > 1]
    taps = sorted({(g.kh, g.kw), (1, g.kw), (1, 1)})
    channels = [
        (oc, ic, 1)
        for oc in _parts(g.oc_per_group, array.cols)
        for ic in _parts(g.ic_per_group, array.rows * array.products)
    ]
    channels += [(g.oc_per_group, g.ic_per_group, groups) for groups in _parts(g.groups) if groups > 1]
    return np.array(pixels, np.int64), np.array(taps, np.int64), np.array(channels, np.int64)


@lru_cache(maxsize=1024)
def _parts(size: int, unit: int = 1) -> tuple[int, ...]:
    """``size`` cut into 1, 2, 3, 4, 6, 8, ... equal parts, parts above ``unit`` rounded up to a multiple of it; 1 and ``unit``."""
    divisors = {2**k for k in range(size.bit_length())} | {3 * 2**k for k in range(4)}
    sizes = {ceil_div(size, d) for d in divisors if d <= size}
    aligned = {s if s < unit else min(size, ceil_div(s, unit) * unit) for s in sizes}
    return tuple(sorted(aligned | {1, min(size, unit)}))


def _nothing_fits(name: str, machine: Machine, candidates: Candidates, arch: Arch) -> MappingError:
    from accelsim.mapper._estimate import smallest

    memories = Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS
    for memory, least in zip(memories, smallest(machine, candidates).tolist(), strict=True):
        capacity = slot_capacity(memory, arch)
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
