"""The best tiling of a layer by itself."""

from __future__ import annotations

from accelsim.arch import Arch
from accelsim.energy import EnergyTable, table_of
from accelsim.errors import MappingError
from accelsim.graph import Graph, MacLayer
from accelsim.mapper.default import map_layer
from accelsim.mapper.exhaustive.clock import Clock
from accelsim.mapper.exhaustive.layer import Found, LayerSearch
from accelsim.mapper.exhaustive.problem import alone_of, check_space, scheduled, shares_of
from accelsim.mapper.tiling import THROUGH_DRAM, OnChip, Weigh
from accelsim.objective import DEFAULT_OBJECTIVE, Objective
from accelsim.program import MacMapping

LIKELY = 8
"""Tilings of least estimate that are scheduled before those of least bound: the sooner a good one is known, the fewer bounds are better."""


def search_mapping(
    layer: MacLayer,
    *,
    graph: Graph,
    arch: Arch,
    objective: Objective = DEFAULT_OBJECTIVE,
    table: EnergyTable | None = None,
    kept: OnChip = THROUGH_DRAM,
) -> Found:
    """The tiling of ``layer`` with the least ``objective``, however long that takes; MappingError where none fits.

    ``kept`` says which of its tensors stand in the resident memory.

    All tilings are bounded from below (cycles by :func:`accelsim.mapper.tiling._cycles.span_of`, energy exactly up to the packing
    of narrow operands); those of least bound are scheduled in turn until the next bound is no better than the best schedule. Where
    FINALISTS of them do not get there, the default mapper's choice is scheduled as well.
    """
    check_space(layer, shares_of(layer, graph, arch)[0])
    energies, alone = table or table_of(arch), alone_of(layer, graph, arch)
    weigh = Weigh(float(objective == "cycles"), float(objective == "energy"), objective == "edp")
    search = LayerSearch(
        layer, graph, arch, energies, weigh, lambda mapping: scheduled(alone, mapping, arch, energies, kept), kept
    )
    clock = Clock()
    search.walk(clock)
    if not search.fits:
        map_layer(layer, graph=graph, arch=arch, objective=objective)  # which tells what is too small
        raise MappingError(f"layer {layer.name!r}: no tile fits all buffers at once", layer=layer.name)
    for mapping in search.likely(LIKELY):
        search.cost(mapping)
    if not search.prove(clock):
        default = map_layer(layer, graph=graph, arch=arch, objective=objective)
        assert isinstance(default, MacMapping)
        search.cost(default)
    return search.found(search.best()[0], objective)
