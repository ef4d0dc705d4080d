"""Mappings of a small network after other tiles were tried in its exact schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.arch import Arch
from accelsim.graph import Graph, Layer, MacLayer
from accelsim.hardware import Loops, loops_of
from accelsim.mapper.network.lowered import Lowered, counts_of
from accelsim.mapper.network.prices import Groups
from accelsim.mapper.tiling import LEAST_TRIES, TRIED_OPERATIONS
from accelsim.objective import OBJECTIVES, Objective
from accelsim.program import LOOP_ORDERS, MacMapping, Mapping, nest_of
from accelsim.timing import CHIP, WIDTH, chip_of, queues_of, tilings_of, width_of


def settled(
    graph: Graph, mappings: Sequence[Mapping | None], *, arch: Arch, objective: Objective
) -> tuple[Mapping | None, ...]:
    """``mappings``, or better ones: those that :func:`accelsim.evaluate` comes to, for machines that the streamed schedule knows."""
    from accelsim.mapper.compiled import Exact, Layers, Point, settle

    computes = sum(_computes(layer, mapping) for layer, mapping in zip(graph.layers, mappings, strict=True))
    few = (
        0 < computes * LEAST_TRIES <= TRIED_OPERATIONS
    )  # of all operations, of which there are more, the kernel decides
    if objective == "energy" or not few:
        return tuple(mappings)
    lowered = Lowered(graph)
    if not lowered.streams(arch):
        return tuple(mappings)
    groups, rows = Groups(graph), tilings_of(mappings, lowered.cuts)
    prices, (counts, figures) = groups.prices(arch), counts_of(len(graph.layers))
    network = lowered.network(arch)
    network = network._replace(layers=network.layers.view(np.recarray))
    point = Point(
        network,
        np.array([tuple(chip_of(arch).values())], dtype=CHIP).view(np.recarray)[0],
        np.array([width_of(arch, *bits) for bits in lowered.widths], dtype=WIDTH).reshape(-1).view(np.recarray),
        lowered.kept(arch),
        Layers(lowered.twins, groups.of, lowered.space(arch), counts.view(np.recarray), figures),
        prices.rates.view(np.recarray),
    )
    charges = groups.charges([prices], arch.array.flow.stationary, arch.streams.apart)[0]
    idle = prices.clock + prices.leakage
    exact = Exact(lowered.cuts.tiles(), queues_of(arch), charges, idle)
    settle(point, exact, OBJECTIVES.index(objective), rows.view(np.recarray))
    return tuple(_read(row, mapping) for row, mapping in zip(rows.tolist(), mappings, strict=True))


def _computes(layer: Layer, mapping: Mapping | None) -> int:
    """Tiles that the array computes."""
    if not (isinstance(layer, MacLayer) and isinstance(mapping, MacMapping)):
        return 0
    m = mapping
    return nest_of(loops_of(layer.geometry), Loops(m.n, m.oh, m.ow, m.oc, m.ic, m.kh, m.kw, m.groups)).computes


def _read(row: tuple[int, ...], mapping: Mapping | None) -> Mapping | None:
    """The tile of a MAC layer as a record of TILING has it."""
    if not isinstance(mapping, MacMapping):
        return mapping
    n, oh, ow, oc, ic, kh, kw, groups, order, _ = row
    return MacMapping(n=n, oh=oh, ow=ow, oc=oc, ic=ic, kh=kh, kw=kw, groups=groups, order=LOOP_ORDERS[order])
