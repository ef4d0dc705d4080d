"""Numba kernel that tries other tiles of a small network's layers in its exact schedule.

Closed forms see one layer at a time. In a network of few tile operations much of the time is what they do not see: how long the layer
behind waits for its first inputs, which loads stand beside the layer before. There it costs little to schedule the whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import Loops, plain_bursts
from accelsim.hardware.compiled import room_of
from accelsim.mapper._network import Point, case_at, twin_of, write_sizes
from accelsim.mapper.tiling import EDP, ENERGY, LEAST_TRIES, TRIED_OPERATIONS
from accelsim.mapper.tiling.compiled import (
    GROUPS,
    IC,
    KH,
    KW,
    NO_COMMANDS,
    OC,
    OH,
    ORDER,
    OW,
    SIZES,
    Block,
    DramSide,
    N,
    Problem,
    Space,
    expected,
    holds,
    place_of,
    ports_of,
    problem_for,
    seen_under,
    traffic_of,
    worth,
)
from accelsim.numba_cache import borrowing, inlined, tiered
from accelsim.program.compiled import ORDERS, loads_of, nest_of
from accelsim.timing import MAC, NONE, Tiles
from accelsim.timing.compiled import loops_of_record, machine_of_chip, network_cycles, room

SWEEPS = 3
"""Most times that all layers are gone through."""
HOPE = 0.2
"""A tile that is worth a larger share less than the layer's own, by closed forms, is not scheduled."""
LARGEST = 3
"""So many of the coarse sizes of output rows and of output channels are tried with each other."""
STEPS_EACH = 2
"""Neighbours of a size on either side; the third is half of it."""
GRID = ORDERS * 2 * LARGEST * LARGEST
AXES = (OH, OW, OC, IC, KH, KW, GROUPS)
SINGLE = GRID + 1 + (STEPS_EACH + 1) * len(AXES)
TRIED = SINGLE + LARGEST
"""Tiles that one visit of a layer looks at."""
STEPS, MOST_STEPS = 10_000, 400_000
"""Of the interpreter for each layer; and what a process interprets of them before it compiles the schedule as well."""
MARGIN = 1.0 - 1e-9
"""What is less only by rounding is not better."""
_BYTES = plain_bursts(1.0)


class Exact(NamedTuple):
    """What the schedule of a network asks beside its tilings: ``queue`` of each engine, picojoules of each count (``charges``, (groups,
    fields of COUNTS)) and of a cycle (``idle``)."""

    tiles: Tiles
    queue: Any
    charges: Any
    idle: float


class Tried(NamedTuple):
    """Of each layer the ``first`` equal one, tilings that were looked at (``rows``, of which ``count`` are), the work ``left``, and room
    for three tilings."""

    first: Any
    rows: Any
    count: Any
    left: Any
    sizes: Any
    base: Any
    back: Any
    nowhere: Any


@inlined
def cost(point: Point, exact: Exact, tilings: Any) -> tuple[float, float]:
    """(cycles, picojoules) of the network; what each layer did is in ``point.layers.counts``. Cycles are negative where they are too many."""
    layers = point.layers
    for index in range(layers.figures.shape[0]):
        for field in range(layers.figures.shape[1]):
            layers.figures[index, field] = 0
    cycles = network_cycles(
        point.network, point.chip, point.widths, tilings, exact.tiles, point.kept, exact.queue, layers.counts
    )
    energy = cycles * exact.idle
    for index in range(len(layers.group)):
        group = layers.group[index]
        for field in range(layers.figures.shape[1]):
            energy += exact.charges[group, field] * layers.figures[index, field]
    return float(cycles), energy


@borrowing
def operations_of(point: Point) -> int:
    """Tile operations of the last schedule."""
    total = 0
    for index in range(len(point.layers.counts)):
        total += point.layers.counts[index].operations
    return total


@borrowing
def value_of(objective: int, cycles: float, energy: float) -> float:
    """What is minimised."""
    return cycles * energy if objective == EDP else cycles


@borrowing
def _large(space: Space, index: int, axis: int, rank: int) -> int:
    """Of the coarse sizes of an axis the one that ``rank`` others exceed; 0 where there are fewer."""
    for place in range(space.first[index, axis + 1] - 1, space.first[index, axis] - 1, -1):
        if space.coarse[place]:
            if rank == 0:
                return int(space.sizes[place])
            rank -= 1
    return 0


@borrowing
def _beside(space: Space, index: int, axis: int, size: int, step: int) -> int:
    """The size below, above, or half of it; 0 where there is none."""
    first, last = space.first[index, axis], space.first[index, axis + 1] - 1
    if step == STEPS_EACH:
        return int(space.sizes[first + place_of(space, index, axis, (size + 1) // 2)])
    place = first + place_of(space, index, axis, size) + (2 * step - 1)
    return int(space.sizes[place]) if first <= place <= last else 0


@borrowing
def candidate(space: Space, index: int, base: Any, number: int, sizes: Any) -> bool:
    """Make ``sizes`` the tiling of that number around ``base``; whether there is one."""
    for k in range(SIZES):
        sizes[k] = base[k]
    if number < GRID:
        sizes[ORDER] = number % ORDERS
        rest = number // ORDERS
        if rest % 2 == 1:
            sizes[IC] = space.sizes[space.first[index, IC + 1] - 1]
        sizes[OC] = _large(space, index, OC, rest // 2 % LARGEST)
        sizes[OH] = _large(space, index, OH, rest // 2 // LARGEST)
        return bool(sizes[OC] > 0 and sizes[OH] > 0)
    if number == GRID:
        sizes[ORDER] = ORDERS - 1 - base[ORDER]
        return True
    if number >= SINGLE:  # whole kernels of some groups
        sizes[KH], sizes[KW] = space.sizes[space.first[index, KH + 1] - 1], space.sizes[space.first[index, KW + 1] - 1]
        sizes[GROUPS] = _large(space, index, GROUPS, number - SINGLE)
        return bool(sizes[GROUPS] > 0)
    axis = AXES[(number - GRID - 1) // (STEPS_EACH + 1)]
    sizes[axis] = _beside(space, index, axis, base[axis], (number - GRID - 1) % (STEPS_EACH + 1))
    return bool(sizes[axis] > 0)


@borrowing
def tile_of(sizes: Any) -> Loops:
    """The tile of those sizes by axis."""
    return Loops(sizes[N], sizes[OH], sizes[OW], sizes[OC], sizes[IC], sizes[KH], sizes[KW], sizes[GROUPS])


@borrowing
def legal(x: Problem, space: Space, index: int, sizes: Any) -> bool:
    """Whether the memories hold a tile; several images and the second loop order are taken back where they are no others."""
    layer = x.layer
    if sizes[GROUPS] > 1 and (sizes[OC] < layer.oc or sizes[IC] < layer.ic):
        return False
    if sizes[OH] < layer.oh or sizes[OW] < layer.ow:
        sizes[N] = 1
    whole = Loops(layer.n, layer.oh, layer.ow, sizes[OC], sizes[IC], sizes[KH], sizes[KW], sizes[GROUPS])
    room = room_of(x.machine.capacity, x.machine.operands, x.machine.im2col, whole)
    if room.pixels == 0:
        return False
    nest = nest_of(layer, tile_of(sizes))
    if nest.steps > 1 or nest.spatial == 1 or nest.channels == 1:
        sizes[ORDER] = 0
    y, w = place_of(space, index, OH, sizes[OH]), place_of(space, index, OW, sizes[OW])
    v, u = place_of(space, index, KH, sizes[KH]), place_of(space, index, KW, sizes[KW])
    block = Block(sizes[OC], sizes[IC], sizes[KH], sizes[KW], sizes[GROUPS], v, u)
    return bool(holds(room, space, index, block, y, w, place_of(space, index, N, sizes[N])))


@borrowing
def promised(x: Problem, space: Space, index: int, sizes: Any) -> float:
    """What a tiling is worth by closed forms."""
    tile, first = tile_of(sizes), space.first
    y, w = place_of(space, index, OH, tile.oh), place_of(space, index, OW, tile.ow)
    v, u = place_of(space, index, KH, tile.kh), place_of(space, index, KW, tile.kw)
    seen = seen_under(space, index, y, v, w, u, space.sizes[first[index, N] + place_of(space, index, N, tile.n)])
    nest = nest_of(x.layer, tile)
    weight_loads, input_loads = loads_of(sizes[ORDER], nest)
    loads = nest, weight_loads, input_loads
    moved = traffic_of(x.machine, x.case, x.layer, tile, loads, seen)
    port = ports_of(x.machine, x.case, NO_COMMANDS, loads, moved)
    cycles, energy, _ = expected(x, tile, loads, seen, moved, port)
    return float(worth(x.weigh, float(cycles), energy))


@borrowing
def note_new(tried: Tried, at: int, sizes: Any) -> bool:
    """Whether that tiling of layer ``at`` was not looked at before; it is now."""
    count = tried.count[at]
    for k in range(count):
        same = 0
        while same < SIZES and tried.rows[at, k, same] == sizes[same]:
            same += 1
        if same == SIZES:
            return False
    for axis in range(SIZES):
        tried.rows[at, count, axis] = sizes[axis]
    tried.count[at] = count + 1
    return True


@borrowing
def read_sizes(tiling: Any, sizes: Any) -> None:
    """The sizes of a record of TILING."""
    sizes[N], sizes[OH], sizes[OW], sizes[OC], sizes[IC] = tiling.n, tiling.oh, tiling.ow, tiling.oc, tiling.ic
    sizes[KH], sizes[KW], sizes[GROUPS], sizes[ORDER] = tiling.kh, tiling.kw, tiling.groups, tiling.order


@borrowing
def write_all(tried: Tried, at: int, tilings: Any, sizes: Any) -> None:
    """That tile for layer ``at`` and all equal ones."""
    for index in range(at, len(tried.first)):
        if tried.first[index] == at:
            write_sizes(tilings[index], sizes)


@inlined
def tried_out(point: Point, exact: Exact, objective: int, tilings: Any, at: int, tried: Tried, now: Any) -> Any:
    """(cycles, picojoules) of the network with that tile of layer ``at`` and its equals, where they are worth less than
    ``now``; else the tile does not stay, and ``now``."""
    back = tried.back
    read_sizes(tilings[at], back)
    write_all(tried, at, tilings, tried.sizes)
    cycles, energy = cost(point, exact, tilings)
    tried.left[0] -= operations_of(point)
    if cycles >= 0 and value_of(objective, cycles, energy) < value_of(objective, now[0], now[1]) * MARGIN:
        return cycles, energy
    write_all(tried, at, tilings, back)
    return now


@borrowing
def settle_layer(point: Point, exact: Exact, objective: int, tilings: Any, at: int, tried: Tried, now: Any) -> Any:
    """(cycles, picojoules) of the network when all around the tile of layer ``at`` was tried that has hope, as long as work is left."""
    record, space, sizes, base = point.network.layers[at], point.layers.space, tried.sizes, tried.base
    machine, row = machine_of_chip(point.chip, point.widths[record.width], record), point.rates[point.layers.group[at]]
    dram, weights = DramSide(_BYTES, tried.nowhere, tried.nowhere, tried.nowhere, 0.0), (objective, now[0], now[1])
    x = problem_for(machine, case_at(point, at), loops_of_record(record), dram, row, weights, (space, at))
    read_sizes(tilings[at], base)
    note_new(tried, at, base)
    limit = promised(x, space, at, base) * (1.0 + HOPE)
    for number in range(TRIED):
        if tried.left[0] <= 0:
            break
        found = candidate(space, at, base, number, sizes) and legal(x, space, at, sizes)
        if found and note_new(tried, at, sizes) and promised(x, space, at, sizes) <= limit:
            now = tried_out(point, exact, objective, tilings, at, tried, now)
    return now


@tiered(lambda point, *rest: STEPS * len(point.network.layers), most=MOST_STEPS)
def settle(point: Point, exact: Exact, objective: int, tilings: Any) -> None:
    """Take other tiles of MAC layers into ``tilings`` where the network as a whole gains by them.

    Layer by layer, again and again: larger tiles of output channels and rows in either loop order, and neighbours along every axis; what
    closed forms give no hope is left out. By energy nothing is tried: it follows from the tiles, but for what the cycles add, and is what
    closed forms say.
    """
    if (
        objective == ENERGY
        or room(point.network, point.chip, tilings, exact.tiles).operations * LEAST_TRIES > TRIED_OPERATIONS
    ):
        return
    now, count = cost(point, exact, tilings), len(point.network.layers)
    if now[0] < 0:
        return
    tried = Tried(
        np.zeros(count, np.int64),
        np.zeros((count, SWEEPS * (TRIED + 1), SIZES), np.int64), np.zeros(count, np.int64), np.zeros(1, np.int64),
        np.zeros(SIZES, np.int64), np.zeros(SIZES, np.int64), np.zeros(SIZES, np.int64), np.zeros(3),
    )  # fmt: skip
    tried.left[0] = TRIED_OPERATIONS
    for index in range(count):
        twin = twin_of(index, point.network, point.kept, point.layers.twins)
        tried.first[index] = index if twin == NONE else tried.first[twin]
    for _ in range(SWEEPS):
        before = now
        for index in range(count):
            if point.network.layers[index].kind == MAC and tried.first[index] == index:
                now = settle_layer(point, exact, objective, tilings, index, tried, now)
        if now == before:
            break
