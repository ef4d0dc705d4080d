"""Numba kernel of the default mapper for a whole network: its choice for every MAC layer of a machine that the streamed schedule knows.

The same turns as :meth:`accelsim.mapper.tiling.Tiler.tilings` takes for other machines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import plain_bursts
from accelsim.mapper.tiling import EDP, TURNS
from accelsim.mapper.tiling.compiled import (
    FIGURES,
    GROUPS,
    IC,
    KH,
    KW,
    OC,
    OH,
    ORDER,
    OW,
    SIZES,
    Best,
    Case,
    DramSide,
    N,
    Space,
    choose_for,
    gained,
)
from accelsim.numba_cache import borrowing, inlined, njit
from accelsim.timing import MAC, NONE, Kept, Network
from accelsim.timing.compiled import kept_operand, last_of, loops_of_record, machine_of_chip, same_pass

MAPPED = -1
_BYTES = plain_bursts(1.0)


class Layers(NamedTuple):
    """Of every layer an earlier one alike (``twins``), its ``group``, the sizes of its tiles; ``counts`` and ``figures`` are one memory,
    by field and plain."""

    twins: Any
    group: Any
    space: Space
    counts: Any
    figures: Any


class Point(NamedTuple):
    """A network on one machine: a record of CHIP, its ``widths``, what stays on chip, and ``rates``, a record of
    :data:`accelsim.mapper.tiling.RATES` for each group of layers."""

    network: Network
    chip: Any
    widths: Any
    kept: Kept
    layers: Layers
    rates: Any


@inlined
def case_at(point: Point, index: int) -> Case:
    """What the costs of layer ``index`` depend on beside machine, loops and tile."""
    record, kept, last = point.network.layers[index], point.kept, last_of(point.network, index)
    inputs = kept_operand(point.network.operands, point.network.operands.first[index], kept)
    ic, oc = record.groups * record.ic, record.groups * record.oc
    return Case(point.chip.output_width == 0, 1, ic, ic, oc, 8, -1, 0, inputs, kept.outputs[last], False)


@borrowing
def twin_of(index: int, network: Network, kept: Kept, twins: Any) -> int:
    """An earlier layer whose tiling is this one's: of the same loop nest and widths, with the same operands kept on chip and the same work
    behind it in a pass; or NONE."""
    twin, first = twins[index], network.operands.first
    # In two steps: the operands of no twin must not be asked for.
    if twin == NONE or kept.outputs[last_of(network, twin)] != kept.outputs[last_of(network, index)]:
        return NONE
    if not same_pass(network.layers[twin], network.layers[index]):
        return NONE
    alike = kept_operand(network.operands, first[twin], kept) == kept_operand(network.operands, first[index], kept)
    return int(twin) if alike else NONE


@borrowing
def write_sizes(tiling: Any, sizes: Any) -> None:
    """A record of TILING."""
    tiling.n, tiling.oh, tiling.ow, tiling.oc, tiling.ic = sizes[N], sizes[OH], sizes[OW], sizes[OC], sizes[IC]
    tiling.kh, tiling.kw, tiling.groups, tiling.order = sizes[KH], sizes[KW], sizes[GROUPS], sizes[ORDER]


@njit
def map_network(point: Point, objective: int, tilings: Any) -> int:
    """Write the tile of every MAC layer into ``tilings``; the first layer that nothing fits, else MAPPED."""
    network, layers = point.network, point.layers
    count, nowhere = len(network.layers), np.zeros(3)
    dram = DramSide(_BYTES, nowhere, nowhere, nowhere, 0.0)
    found = Best(np.zeros((count, SIZES), np.int64), np.zeros(count, FIGURES))
    cycles, energy = 0.0, 0.0
    for turn in range(TURNS if objective == EDP else 1):
        new_cycles, new_energy = 0.0, 0.0
        for index in range(count):
            record = network.layers[index]
            if record.kind != MAC:
                continue
            twin = twin_of(index, network, point.kept, layers.twins)
            best = Best(found.sizes[index], found.figures[index])
            if twin != NONE:
                for k in range(len(best.sizes)):
                    best.sizes[k] = found.sizes[twin, k]
                best.figures.cycles, best.figures.energy = found.figures[twin].cycles, found.figures[twin].energy
            else:
                weights, at = (objective, cycles, energy), (layers.space, index)
                machine = machine_of_chip(point.chip, point.widths[record.width], record)
                row, case, layer = point.rates[layers.group[index]], case_at(point, index), loops_of_record(record)
                if not choose_for(machine, case, layer, dram, row, weights, at, best):
                    return index
            new_cycles, new_energy = new_cycles + best.figures.cycles, new_energy + best.figures.energy
        before = cycles * energy
        if turn > 0 and new_cycles * new_energy >= before:
            break
        cycles, energy = new_cycles, new_energy
        for index in range(count):
            if network.layers[index].kind == MAC:
                write_sizes(tilings[index], found.sizes[index])
        if turn > 0 and not gained(before, cycles * energy):
            break
    return MAPPED
