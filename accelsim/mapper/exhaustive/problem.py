"""One MAC layer on a machine as the kernel of the search reads it, and by itself as a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.energy import Costs, EnergyTable, count_actions, idle_energy, layer_energy
from accelsim.errors import CapacityError
from accelsim.graph import Graph, HostPort, MacGeometry, MacLayer
from accelsim.hardware import (
    Loops,
    Machine,
    OperandBits,
    is_coded,
    least_code_bits,
    loops_of,
    machine_of,
    operand_bits,
    passes_of,
)
from accelsim.mapper.exhaustive.space import Integers, space_size
from accelsim.mapper.tiling import THROUGH_DRAM, OnChip, case_of, layer_rates
from accelsim.program import LOOP_ORDERS, MacMapping, mac_shares
from accelsim.timing import schedule

if TYPE_CHECKING:
    from accelsim.mapper.tiling.compiled import Case, Energies

MOST_TILINGS, LONGEST = 2 * 10**8, 2**20
"""Of a layer that is searched: tilings, two million of which are bounded in a second, and numbers of an array that lists tiles."""


def shares_of(layer: MacLayer, graph: Graph, arch: Arch) -> list[MacGeometry]:
    """What each core computes of ``layer``, largest first."""
    return [share.geometry for share in mac_shares(layer.geometry, bits=operand_bits(layer, graph, arch), arch=arch)]


class Problem(NamedTuple):
    """What the kernel of the search bounds tilings by: of a layer, or of the smallest share of it where there are several cores."""

    machine: Machine
    case: Case
    energies: Energies
    layer: Loops


def problem_of(layer: MacLayer, graph: Graph, arch: Arch, table: EnergyTable, kept: OnChip = THROUGH_DRAM) -> Problem:
    """Of ``layer`` on ``arch``."""
    from accelsim.mapper.tiling.compiled import Energies

    bits, shares = operand_bits(layer, graph, arch), shares_of(layer, graph, arch)
    least = _least_code_bits(layer, bits, arch) if is_coded(layer, arch) else -1
    case = case_of(layer, shares[-1], shares=len(shares), arch=arch, kept=kept, code_bits=least)
    costs = Costs(table)
    rates = layer_rates(layer, graph, arch, costs, idle_energy(arch, costs))
    mac, requant, cycle = rates.pop("mac"), rates.pop("requant"), rates.pop("cycle")
    each = {name: len(shares) * rate for name, rate in rates.items()}
    fixed = layer.macs * mac + int(np.prod(layer.output_shape)) * requant
    return Problem(machine_of(bits, arch), case, Energies(fixed=fixed, cycle=cycle, **each), loops_of(shares[-1]))


def _least_code_bits(layer: MacLayer, bits: OperandBits, arch: Arch) -> int:
    """Of the share that has fewest."""
    shares = mac_shares(layer.geometry, bits=bits, arch=arch)
    return min(least_code_bits(layer, slice(s.channel, s.channel + s.geometry.oc), arch) for s in shares)


def least_cycles(problem: Problem) -> int:
    """Of the array with all of it at work."""
    array, loops = problem.machine.array, problem.layer
    macs = int(np.prod([int(size) for size in loops], dtype=object))
    return macs * array.passes // (array.rows * array.cols * array.products)


def check_space(layer: MacLayer, largest: MacGeometry) -> None:
    """CapacityError where a layer has more tilings than are looked at in minutes, or lists of them that take gigabytes."""
    tilings, longest = space_size(largest)
    if tilings > MOST_TILINGS or longest > LONGEST:
        raise CapacityError(
            f"layer {layer.name!r} ({layer.operator}) is too large to search: {tilings:,} tilings (at most {MOST_TILINGS:,}) on axes of "
            f"{longest:,} (at most {LONGEST:,}); take the default mapper for it, or give its tiles in a mapping file",
            layer=layer.name,
            tilings=tilings,
        )


def mapping_of(row: Integers) -> MacMapping:
    """Of a row of SIZES."""
    oh, ow, oc, ic, kh, kw, groups, n, order = (int(v) for v in row[:9])
    return MacMapping(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, n=n, order=LOOP_ORDERS[order])


def alone_of(layer: MacLayer, graph: Graph, arch: Arch) -> Graph:
    """A graph of shapes that holds only ``layer``, and what ``arch`` computes in the same pass."""
    behind = next((one.behind for one in passes_of(graph, arch) if one.tensors[0] == layer.output), ())
    layers = (layer, *(graph.layers[index] for index in behind))
    made = {one.output for one in layers}
    read = dict.fromkeys(name for one in layers for name in one.inputs)
    output = layers[-1].output
    return Graph(
        name=layer.name, arithmetic=graph.arithmetic, tensors={name: graph.tensors[name] for name in (*read, output)}, layers=layers,
        inputs=tuple(HostPort(name, name) for name in read if name not in made), outputs=(HostPort(output, output),), shape_only=True,
    )  # fmt: skip


def scheduled(
    alone: Graph, mapping: MacMapping, arch: Arch, table: EnergyTable, kept: OnChip = THROUGH_DRAM
) -> tuple[int, float]:
    """(cycles, picojoules) of a layer ``alone``, and of what follows it in the same pass."""
    layer, *behind = alone.layers
    output = behind[-1].output if behind else layer.output
    on_chip = [name for name, stays in ((layer.inputs[0], kept.inputs), (output, kept.outputs)) if stays]
    program = build_program(alone, arch=arch, mappings=(mapping, *[None for _ in behind]), resident=on_chip)
    timeline = schedule(program)
    split = layer_energy(program, count_actions(program), table, cycles=timeline.layer_cycles)
    return timeline.total_cycles, sum(one.total for one in split)
