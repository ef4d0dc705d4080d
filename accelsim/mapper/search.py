"""The best tiling of a layer: bounds for all of them, schedules for those whose bound is good enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from accelsim.arch import Arch
from accelsim.builder import build_program
from accelsim.energy import EnergyTable, action_energies, count_actions, idle_energy, layer_energy, table_of
from accelsim.errors import MappingError
from accelsim.graph import Graph, HostPort, MacGeometry, MacLayer
from accelsim.hardware import (
    DRAM,
    IMPLICIT,
    Loops,
    Machine,
    OperandBits,
    accumulator_words,
    loops_of,
    machine_of,
    operand_bits,
)
from accelsim.mapper.greedy import map_layer
from accelsim.mapper.mac_tiling import OnChip
from accelsim.mapper.space import Integers, space_of
from accelsim.program import LOOP_ORDERS, MacMapping, Mapping, likely_kept, mac_shares
from accelsim.timing import schedule

if TYPE_CHECKING:
    from accelsim.mapper._bounds import Case, Energies

Objective = Literal["cycles", "energy", "edp"]
OBJECTIVES: tuple[Objective, ...] = ("cycles", "energy", "edp")
THROUGH_DRAM = OnChip(inputs=False, outputs=False)
FINALISTS = 512
"""Tilings of least bound that are kept; the search is proved to have found the best unless all of them had to be scheduled."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best tiling of one layer by ``objective``, alone on the machine but for operands that are kept on chip.

    ``cycles`` and ``energy_pj`` are scheduled, ``value`` what was minimised; ``bound`` is its least possible value over the
    whole space, so ``value / bound`` says how far the tiling is from it at most. ``closed_form``: the tiling's cycles follow
    from an equation, because the array never waits (the schedule agrees). ``proved``: no tiling of the space is better.
    ``visited`` tilings were looked at, ``fitting`` fit the buffers, ``scheduled`` were scheduled.
    """

    mapping: MacMapping
    objective: Objective
    value: float
    bound: float
    cycles: int
    energy_pj: float
    closed_form: bool
    proved: bool
    visited: int
    fitting: int
    scheduled: int


def search_mapping(
    layer: MacLayer,
    *,
    graph: Graph,
    arch: Arch,
    objective: Objective = "cycles",
    table: EnergyTable | None = None,
    kept: OnChip = THROUGH_DRAM,
) -> Found:
    """The tiling of ``layer`` with the least ``objective``; MappingError where none fits.

    ``kept`` says which of its tensors stand in the resident memory.

    All tilings are bounded from below (cycles by :func:`accelsim.mapper._bounds.evaluate`, energy exactly up to the packing
    of narrow operands); those of least bound are scheduled in turn until the next bound is no better than the best schedule. Where
    FINALISTS of them do not get there, the greedy mapper's choice is scheduled as well.
    """
    from accelsim.mapper._bounds import Tiles, search

    energies = table or table_of(arch)
    space = space_of(*shares_of(layer, graph, arch), gathered=arch.activation_buffer.im2col == DRAM)
    values, best = np.full(FINALISTS, np.inf), np.zeros((FINALISTS, 10), dtype=np.int64)
    tiles = Tiles(space.pixels, space.taps, space.channels, space.rows, space.columns)
    problem = problem_of(layer, graph, arch, energies, kept)
    visited, fitting = search(*problem, tiles, OBJECTIVES.index(objective), values, best)
    if not fitting:
        map_layer(layer, graph=graph, arch=arch)  # which tells what is too small
        raise MappingError(f"layer {layer.name!r}: no tile fits all buffers at once", layer=layer.name)
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]
    alone = _alone(layer, graph)
    found: Found | None = None
    for done, i in enumerate(order.tolist()):
        if found is not None and values[i] >= found.value:
            return replace(found, proved=True)
        mapping = _mapping(best[i])
        cycles, energy = _scheduled(alone, mapping, arch, energies, kept)
        value = _value(objective, cycles, energy)
        if (
            found is None or value < found.value
        ):  # a bound sums in another order, and may round above the schedule's value
            found = Found(
                mapping=mapping, objective=objective, value=value, bound=min(float(values[order[0]]), value), cycles=cycles,
                energy_pj=energy, closed_form=bool(best[i, 9]), proved=False, visited=visited, fitting=fitting, scheduled=done + 1,
            )  # fmt: skip
        found = replace(found, scheduled=done + 1)
    assert found is not None
    if len(order) == fitting:
        return replace(found, proved=True)
    return _no_worse_than_greedy(found, layer, graph, arch, energies, kept)


def _no_worse_than_greedy(
    found: Found, layer: MacLayer, graph: Graph, arch: Arch, table: EnergyTable, kept: OnChip
) -> Found:
    """``found``, or what the greedy mapper chooses where that is better: bounds far below the schedules rank tilings badly."""
    mapping = map_layer(layer, graph=graph, arch=arch)
    assert isinstance(mapping, MacMapping)
    cycles, energy = _scheduled(_alone(layer, graph), mapping, arch, table, kept)
    value = _value(found.objective, cycles, energy)
    found = replace(found, scheduled=found.scheduled + 1)
    if value >= found.value:
        return found
    return replace(found, mapping=mapping, value=value, cycles=cycles, energy_pj=energy, closed_form=False)


def _value(objective: Objective, cycles: int, energy: float) -> float:
    """What is minimised."""
    return {"cycles": float(cycles), "energy": energy, "edp": cycles * energy}[objective]


def search_graph(
    graph: Graph, *, arch: Arch, objective: Objective = "cycles", table: EnergyTable | None = None
) -> tuple[Mapping | None, ...]:
    """A mapping for every layer: the best for each MAC layer by itself, the greedy mapper's for the others."""
    return search_layers(graph, arch=arch, objective=objective, table=table)[0]


def search_layers(
    graph: Graph, *, arch: Arch, objective: Objective = "cycles", table: EnergyTable | None = None
) -> tuple[tuple[Mapping | None, ...], dict[str, Found]]:
    """As :func:`search_graph`, and what was found for each MAC layer by name; equal layers are searched once."""
    known: dict[object, Found] = {}
    stay = likely_kept(graph, arch)
    found: dict[str, Found] = {}
    mappings: list[Mapping | None] = []
    for layer in graph.layers:
        if not isinstance(layer, MacLayer):
            mappings.append(map_layer(layer, graph=graph, arch=arch))
            continue
        kept = OnChip(layer.inputs[0] in stay and layer.inputs[0] not in layer.inputs[1:], layer.output in stay)
        key = (layer.geometry, operand_bits(layer, graph), kept, layer.name if _coded(layer, arch) else "")
        if key not in known:
            known[key] = search_mapping(layer, graph=graph, arch=arch, objective=objective, table=table, kept=kept)
        found[layer.name] = known[key]
        mappings.append(known[key].mapping)
    return tuple(mappings), found


def shares_of(layer: MacLayer, graph: Graph, arch: Arch) -> list[MacGeometry]:
    """What each core computes of ``layer``, largest first."""
    return [share.geometry for share in mac_shares(layer.geometry, bits=operand_bits(layer, graph), arch=arch)]


def problem_of(
    layer: MacLayer, graph: Graph, arch: Arch, table: EnergyTable, kept: OnChip = THROUGH_DRAM
) -> tuple[Machine, Case, Energies, Loops]:
    """What the kernel of the search bounds tilings by: of the layer, or of the smallest share of it where there are several cores."""
    bits = operand_bits(layer, graph)
    case, energies = _case(layer, bits, arch, kept), _energies(layer, graph, arch, table)
    return machine_of(bits, arch), case, energies, loops_of(shares_of(layer, graph, arch)[-1])


def _case(layer: MacLayer, bits: OperandBits, arch: Arch, kept: OnChip) -> Case:
    """What the bounds know of ``layer`` beside its loops."""
    from accelsim.mapper._bounds import Case

    buffer, coded, g = arch.activation_buffer, _coded(layer, arch), layer.geometry
    as_bound = arch.output_buffer.bytes_per_cycle is None and arch.dram.bytes_per_burst == 1
    as_bound = as_bound and (buffer.im2col == IMPLICIT or buffer.bytes_per_cycle is None) and not coded
    shares = mac_shares(g, bits=bits, arch=arch)
    return Case(
        as_bound=as_bound,
        shares=len(shares),
        input_channels=shares[-1].geometry.ic,
        tensor_inputs=g.ic,
        tensor_outputs=g.oc,
        burst=8 * arch.dram.bytes_per_burst,
        nonzero=_nonzero(layer, bits, arch) if coded else -1,
        inputs_kept=kept.inputs,
        outputs_kept=kept.outputs,
    )


def _coded(layer: MacLayer, arch: Arch) -> bool:
    """Whether the layer's weights stand coded in DRAM, so that traffic depends on what they are."""
    return arch.dma.weight_compression is not None and layer.weights is not None


def _nonzero(layer: MacLayer, bits: OperandBits, arch: Arch) -> int:
    """Weights other than 0 in the share that has fewest: what stands in DRAM of coded weights, runs and flags apart, at least."""
    assert layer.weights is not None
    shares = mac_shares(layer.geometry, bits=bits, arch=arch)
    counts = (np.count_nonzero(layer.weights[s.channel : s.channel + s.geometry.oc]) for s in shares)
    return int(min(counts))


def _energies(layer: MacLayer, graph: Graph, arch: Arch, table: EnergyTable) -> Energies:
    """Picojoules per action, all but what is fixed and the cycle as often as there are shares, of which the kernel sees the smallest."""
    from accelsim.mapper._bounds import Energies

    pj = action_energies(layer, graph=graph, arch=arch, table=table)
    bits, words = operand_bits(layer, graph), accumulator_words(graph.tensors[layer.inputs[0]].format.bits, arch)
    load_weights, load_inputs = (
        pj["array_load"] if arch.array.flow.stationary == operand else 0.0 for operand in ("weights", "inputs")
    )
    shares = len(shares_of(layer, graph, arch))
    return Energies(
        fixed=layer.macs * pj["array_mac"] + int(np.prod(layer.output_shape)) * pj["requantizer_requant"],
        weight_read=shares * (bits.weight * (pj["weight_buffer_read"] + load_weights)),
        activation_read=shares * (bits.activation * (pj["activation_buffer_read"] + load_inputs)),
        accumulator_write=shares * (words * (pj["accumulator_read"] + pj["accumulator_write"])),
        weight_byte=shares * (8 * pj["weight_buffer_write"]),
        activation_byte=shares * (8 * pj["activation_buffer_write"]),
        output_byte=shares * (8 * (pj["output_buffer_write"] + pj["output_buffer_read"])),
        dram_read_byte=shares * (8 * (pj["dram_read"] + pj["dma_transfer"])),
        dram_write_byte=shares * (8 * (pj["dram_write"] + pj["dma_transfer"])),
        recalled_byte=shares * (8 * pj["activation_buffer_read"]),
        kept_byte=shares * (8 * pj["activation_buffer_write"]),
        cycle=idle_energy(arch, table),
    )


def _mapping(row: Integers) -> MacMapping:
    oh, ow, oc, ic, kh, kw, groups, n, order = (int(v) for v in row[:9])
    return MacMapping(oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, n=n, order=LOOP_ORDERS[order])


def _alone(layer: MacLayer, graph: Graph) -> Graph:
    """A graph of shapes that holds only ``layer``."""
    ports = tuple(HostPort(name, name) for name in dict.fromkeys(layer.inputs))
    tensors = {name: graph.tensors[name] for name in (*layer.inputs, layer.output)}
    return Graph(
        name=layer.name, arithmetic=graph.arithmetic, tensors=tensors, layers=(layer,), inputs=ports,
        outputs=(HostPort(layer.output, layer.output),), shape_only=True,
    )  # fmt: skip


def _scheduled(
    alone: Graph, mapping: MacMapping, arch: Arch, table: EnergyTable, kept: OnChip = THROUGH_DRAM
) -> tuple[int, float]:
    (layer,) = alone.layers
    on_chip = [name for name, stays in ((layer.inputs[0], kept.inputs), (layer.output, kept.outputs)) if stays]
    program = build_program(alone, arch=arch, mappings=(mapping,), resident=on_chip)
    timeline = schedule(program)
    energy = layer_energy(program, count_actions(program), table, cycles=timeline.layer_cycles)[0].total
    return timeline.total_cycles, energy
