"""Numba kernel over machines: each maps a network afresh and schedules it."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.mapper._network import MAPPED, Layers, Point, map_network
from accelsim.mapper._settle import Exact, settle
from accelsim.numba_cache import njit
from accelsim.timing import Kept, Network, Tiles
from accelsim.timing.compiled import network_cycles

settle_compiled: Any = settle.compiled  # type: ignore[attr-defined]
"""As compiled functions call it."""


class Points(NamedTuple):
    """A row for each machine: ``chips`` (P,), ``widths`` (P, widths), the ``queues`` of its engines (P, engines), what its tiles
    are to minimise (``objectives``, (P,), by index in OBJECTIVES), ``tilings`` (P, layers), whose cuts of vector layers are chosen
    already, what energy costs for the mapper (``rates``, (P, groups)) and exactly (``charges``, (P, groups, fields), and ``idle``, (P,));
    and what is found: ``cycles`` (P,), ``totals`` (P, groups, fields)."""

    chips: Any
    widths: Any
    queues: Any
    objectives: Any
    tilings: Any
    rates: Any
    charges: Any
    idle: Any
    cycles: Any
    totals: Any


@njit
def run_points(network: Network, tiles: Tiles, kept: Kept, layers: Layers, points: Points) -> None:
    """Fill ``points.cycles`` and ``points.totals``; cycles stay -1 where no tile fits or the cycles could pass 2^62."""
    for p in range(len(points.chips)):
        point = Point(network, points.chips[p], points.widths[p], kept, layers, points.rates[p])
        objective, tilings = points.objectives[p], points.tilings[p]
        if map_network(point, objective, tilings) != MAPPED:
            continue
        settle_compiled(point, Exact(tiles, points.queues[p], points.charges[p], points.idle[p]), objective, tilings)
        layers.figures[:] = 0
        points.cycles[p] = network_cycles(
            network, point.chip, point.widths, tilings, tiles, kept, points.queues[p], layers.counts
        )
        for index in range(len(layers.group)):
            group = layers.group[index]
            for field in range(layers.figures.shape[1]):
                points.totals[p, group, field] += layers.figures[index, field]
