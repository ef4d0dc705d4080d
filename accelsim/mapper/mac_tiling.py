"""Tiles of a MAC layer: candidates, what fits, and an estimate of cycles and DRAM traffic for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.arch import Arch
from accelsim.errors import MappingError
from accelsim.graph import MacGeometry
from accelsim.hardware import (
    Machine,
    Memory,
    bursts_of,
    loops_of,
    slot_capacity,
)
from accelsim.program import LOOP_ORDERS, MacMapping

if TYPE_CHECKING:
    from accelsim.mapper._candidates import Candidates

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
    from accelsim.mapper._candidates import candidates_of
    from accelsim.mapper._estimate import DramSide, choose

    weights, inputs, outputs = (
        np.array(shape[1:], dtype=np.float64) for shape in (whole.weight_shape, whole.input_shape, whole.output_shape)
    )
    dram = DramSide(bursts_of(arch, turns=shares), weights, inputs, outputs, *kept, coded)
    layer = loops_of(geometry)
    candidates = candidates_of(layer, geometry.axis("h"), geometry.axis("w"), machine.array)
    best = choose(machine, dram, layer, candidates, CYCLE_SLACK)
    if not best.fits:
        raise _nothing_fits(name, machine, candidates, arch)
    sizes = {axis: int(size) for axis, size in best.tile._asdict().items()}
    return Tiling(MacMapping(**sizes, order=LOOP_ORDERS[best.order]), best.traffic, best.work)


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
