"""Numba kernel of the mapping search: of all tilings of a layer that fit, those of least bound."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.hardware import AT_ARRAY, Loops, Machine
from accelsim.hardware.compiled import busiest, fits, footprint, paced, room_of
from accelsim.mapper.tiling import Weigh
from accelsim.mapper.tiling.compiled import (
    NO_COMMANDS,
    Case,
    Energies,
    Seen,
    array_totals,
    energy_of,
    ports_of,
    reloads_of,
    span_of,
    through_bus,
    traffic_of,
    weight_bytes,
    work_of,
    worth,
)
from accelsim.numba_cache import inner, njit
from accelsim.program.compiled import ORDERS, loads_of, nest_of

SIZES = 10
"""Of a finalist: oh, ow, oc, ic, kh, kw, groups, n, order, and whether its cycles are the schedule's own."""
SAFE = 1.0 - 1e-12
"""A floor is a sum in another order than the schedule's, and may round above it."""


class Tiles(NamedTuple):
    """The space: ``pixels`` (P, 5): oh, ow, the places of both in ``rows`` and ``columns``, and n; ``taps`` (T, 4) likewise kh, kw;
    ``channels`` (C, 3): oc, ic, groups; ``rows`` (3, heights, tap heights): input rows summed over all tiles, the most under one
    tile, those under the first; ``columns`` likewise."""

    pixels: Any
    taps: Any
    channels: Any
    rows: Any
    columns: Any


class Lists(NamedTuple):
    """What was found until now: ``values`` (2, K) and ``best`` (2, K, SIZES) of the K tilings of least bound (LEAST) and of least
    estimate (LIKELY), unordered, the worst of each at ``worst`` (2,); ``floors`` (3,): no tiling has fewer cycles of the array
    (ARRAY), fewer cycles of the port (PORT) or fewer picojoules beside those of time (SPENT) than these; ``seen`` (2,): tilings visited,
    and those that fit."""

    values: Any
    best: Any
    worst: Any
    floors: Any
    seen: Any


LEAST, LIKELY = range(2)
ARRAY, PORT, SPENT = range(3)


class Search(NamedTuple):
    """A layer to search: its machine, its space, the fewest cycles that the array takes for any
    tiling, and the bytes of ``inputs`` under all windows."""

    machine: Machine
    case: Case
    pj: Energies
    layer: Loops
    tiles: Tiles
    at_least: int
    inputs: float
    weigh: Weigh


class Floor(NamedTuple):
    """The least of all tilings of a block: worth, cycles of the array and of the port, picojoules beside those of time, and of these
    what the array takes."""

    value: float
    array: float
    port: float
    spent: float
    work: float


@inner
def block_of(tiles: Tiles, block: int) -> Any:
    """(kh, kw, their places, oc, ic, groups) of block ``block``: the tiles of one size along channels and taps."""
    t, c = block // len(tiles.channels), block % len(tiles.channels)
    taps, channels = tiles.taps, tiles.channels
    return taps[t, 0], taps[t, 1], taps[t, 2], taps[t, 3], channels[c, 0], channels[c, 1], channels[c, 2]


@inner
def cheapest(x: Search, cycles: float, work: float, loads: tuple[float, float, float]) -> Floor:
    """The Floor of tilings that take so many ``cycles`` and picojoules (``work``) of the array, and whose loads ask for so many bytes of
    weights, of which so many stand in DRAM, and of inputs."""
    asked, stored, inputs = loads
    pj, layer, case = x.pj, x.layer, x.case
    operands = x.machine.operands
    outputs = layer.n * layer.oh * layer.ow // (operands.pool_rows * operands.pool_cols) * layer.oc * layer.groups
    outputs = outputs * operands.output_bits / 8.0
    taken, recalled = (0.0, inputs) if case.inputs_kept else (inputs, 0.0)
    written, left = (0.0, outputs) if case.outputs_kept else (outputs, 0.0)
    port = case.shares * busiest(x.machine.streams, *paced(x.machine.streams, stored, taken, written))
    spent = pj.fixed + work + asked * pj.weight_byte + outputs * pj.output_byte
    spent += through_bus(pj, stored, taken, written)
    spent += recalled * pj.recalled_byte + left * pj.kept_byte
    spent += inputs * pj.activation_byte if x.machine.im2col.mode == AT_ARRAY else 0.0
    port, spent = port * SAFE, spent * SAFE
    least = max(cycles, port)
    return Floor(worth(x.weigh, least, spent + least * pj.cycle), cycles, port, spent, work)


@inner
def floor_of(x: Search, tile: Loops) -> Floor:
    """Of all tilings with the channels and taps of ``tile``, which has all pixels."""
    work = work_of(x.machine, x.pj, x.layer, tile, x.at_least)
    cycles, energy = work.cycles, work.energy * SAFE
    room = room_of(x.machine.capacity, x.machine.operands, x.machine.im2col, tile)
    spatial, times, both = reloads_of(x.layer, tile, room.pixels)
    asked = 0.0 if x.case.weights_kept else weight_bytes(x.machine, x.layer)
    stored = x.case.code_bits / 8.0 if x.case.code_bits >= 0 else asked
    if both:
        return cheapest(x, cycles, energy, (asked * spatial, stored * spatial, x.inputs * times))
    once = cheapest(x, cycles, energy, (asked, stored, x.inputs * times))
    again = cheapest(x, cycles, energy, (asked * spatial, stored * spatial, x.inputs))
    port, spent = min(once.port, again.port), min(once.spent, again.spent)
    return Floor(min(once.value, again.value), cycles, port, spent, energy)


@njit
def floors_of(x: Search, floors: Any) -> None:
    """Fill ``floors`` (blocks, 5) with the Floor of every block."""
    layer = x.layer
    for block in range(len(floors)):
        kh, kw, _, _, oc, ic, groups = block_of(x.tiles, block)
        floor, row = floor_of(x, Loops(layer.n, layer.oh, layer.ow, oc, ic, kh, kw, groups)), floors[block]
        row[0], row[1], row[2], row[3], row[4] = floor.value, floor.array, floor.port, floor.spent, floor.work


@inner
def keep(lists: Lists, which: int, value: float, tile: Loops, order: int, exact: bool) -> None:
    """Put a tiling in the place of the worst of the K best, if it is better: almost every tiling ends at this comparison."""
    values, worst = lists.values[which], lists.worst[which]
    if value >= values[worst]:
        return
    values[worst], row = value, lists.best[which, worst]
    row[0], row[1], row[2], row[3], row[4] = tile.oh, tile.ow, tile.oc, tile.ic, tile.kh
    row[5], row[6], row[7], row[8], row[9] = tile.kw, tile.groups, tile.n, order, int(exact)
    for k in range(len(values)):
        worst = k if values[k] > values[worst] else worst
    lists.worst[which] = worst


@inner
def consider(x: Search, tile: Loops, seen: Seen, floor: Floor, lists: Lists) -> None:
    """Bounds and estimates of ``tile`` in either loop order into ``lists``."""
    machine, case, pj, layer = x.machine, x.case, x.pj, x.layer
    nest = nest_of(layer, tile)
    for order in range(ORDERS if nest.spatial > 1 and nest.channels > 1 else 1):  # else they are the same
        weight_loads, input_loads = loads_of(order, nest)
        loads = nest, weight_loads, input_loads
        moved = traffic_of(machine, case, layer, tile, loads, seen)
        port = ports_of(machine, case, NO_COMMANDS, loads, moved)
        busy = float(case.shares * (port.weights + port.inputs + port.outputs))
        spent = through_bus(pj, moved.weight_bus, moved.input_bus, moved.output_bus)
        spent += pj.fixed + floor.work + moved.weights * pj.weight_byte + moved.held * pj.activation_byte
        least = max(floor.array, busy)
        lists.floors[PORT] = min(lists.floors[PORT], busy)
        if worth(x.weigh, least, spent + least * pj.cycle) >= lists.values[LIKELY, lists.worst[LIKELY]]:
            lists.floors[SPENT] = min(lists.floors[SPENT], max(spent * SAFE, floor.spent))
            continue
        total = array_totals(machine.array, layer, tile, weight_loads < nest.computes, machine.requantizer.streams > 0)
        span = span_of(machine, case, layer, tile, loads, seen, total, port)
        energy = energy_of(case, pj, total, moved, 0)
        lists.floors[SPENT] = min(lists.floors[SPENT], energy * SAFE)
        bound = worth(x.weigh, float(span.fewest), energy_of(case, pj, total, moved, span.fewest))
        keep(lists, LEAST, bound, tile, order, span.exact)
        likely = worth(x.weigh, float(span.likely), energy_of(case, pj, total, moved, span.likely))
        keep(lists, LIKELY, likely, tile, order, span.exact)


@njit
def finalists(x: Search, blocks: Any, floors: Any, lists: Lists) -> None:
    """Look at all tilings of ``blocks``, whose Floors are the rows of ``floors``, and note the best in ``lists``.

    In a block whose floor is no better than the worst in the lists the tilings that fit are only counted.
    """
    machine, case, tiles, pixels = x.machine, x.case, x.tiles, x.tiles.pixels
    for b in range(len(blocks)):
        kh, kw, v, u, oc, ic, groups = block_of(tiles, blocks[b])
        floor = Floor(floors[b, 0], floors[b, 1], floors[b, 2], floors[b, 3], floors[b, 4])
        lists.seen[0] += ORDERS * len(pixels)
        some = Loops(1, 1, 1, oc, ic, kh, kw, groups)
        one = nest_of(x.layer, some)
        if footprint(machine.operands, machine.im2col, some, 1).weights > machine.capacity.weights:
            continue
        if case.weights_kept and one.channels * one.steps > 1:
            continue
        hopeless = floor.value >= lists.values[LIKELY, lists.worst[LIKELY]]
        fitting = 0
        for p in range(
            len(pixels) - 1, -1, -1
        ):  # large tiles first, which are good more often: the others are then left out sooner
            oh, ow, y, z, n = pixels[p, 0], pixels[p, 1], pixels[p, 2], pixels[p, 3], pixels[p, 4]
            area = n * tiles.rows[1, y, v] * tiles.columns[1, z, u]
            tile = Loops(n, oh, ow, oc, ic, kh, kw, groups)
            if not fits(machine.capacity, footprint(machine.operands, machine.im2col, tile, area)):
                continue
            fitting += ORDERS
            if not hopeless:
                rows, columns = tiles.rows, tiles.columns
                seen = Seen(rows[0, y, v], columns[0, z, u], rows[2, y, v], columns[2, z, u], area)
                consider(x, tile, seen, floor, lists)
        lists.seen[1] += fitting
        if fitting > 0:
            lists.floors[ARRAY] = min(lists.floors[ARRAY], floor.array)
        if hopeless and fitting > 0:
            lists.floors[PORT] = min(lists.floors[PORT], floor.port)
            lists.floors[SPENT] = min(lists.floors[SPENT], floor.spent)


@njit
def bound_of(machine: Machine, case: Case, pj: Energies, layer: Loops, tile: Loops, order: int, seen: Seen) -> Any:
    """(fewest cycles, picojoules at those, whether the cycles are the schedule's own) of one tiling."""
    nest = nest_of(layer, tile)
    weight_loads, input_loads = loads_of(order, nest)
    loads = nest, weight_loads, input_loads
    moved = traffic_of(machine, case, layer, tile, loads, seen)
    port = ports_of(machine, case, NO_COMMANDS, loads, moved)
    total = array_totals(machine.array, layer, tile, weight_loads < nest.computes, machine.requantizer.streams > 0)
    span = span_of(machine, case, layer, tile, loads, seen, total, port)
    return span.fewest, energy_of(case, pj, total, moved, span.fewest), span.exact
