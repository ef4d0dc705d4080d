"""Numba kernel of the default mapper: the tiling of a MAC layer that promises most, by closed forms alone.

A tile that leaves room in a memory is seldom best: for each tile of channels and taps those of pixels are tried first that none of
both sides could grow. From the best of some sizes, a few per axis, it goes on along every axis in turn through all of its sizes, until
none is better. What tilings move bounds most of them before the array's work is added up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import Loops, Machine, Streams
from accelsim.hardware.compiled import Room, busiest, paced, packed_bytes, parts, room_of
from accelsim.mapper.tiling._bus import DramSide, boxes_of, commands_of, on_bus
from accelsim.mapper.tiling._cycles import NO_COMMANDS, Ports, ports_of, span_of
from accelsim.mapper.tiling._floors import Work, reloads_of, weight_bytes, work_of
from accelsim.mapper.tiling._sums import Case, Energies, Seen, Traffic, array_totals, energies_at, energy_of, traffic_of
from accelsim.mapper.tiling._weigh import weigh_of, worth
from accelsim.mapper.tiling.weigh import Weigh
from accelsim.numba_cache import borrowing, inlined, njit, tiered
from accelsim.program.compiled import ORDERS, Nest, loads_of, nest_of

OH, OW, N, KH, KW, OC, IC, GROUPS, AXES = range(9)
"""Axes of a tile, as :class:`Space` numbers them."""
ORDER = AXES
"""Behind the axes: the loop order of a tiling."""
SIZES = ORDER + 1
FIGURES = np.dtype([(name, np.float64) for name in ("cycles", "energy", "traffic", "array")])
"""What is expected of a tiling: cycles, picojoules, bytes at the DRAM, cycles of the array."""
COARSE, PIXELS, TAPS, NEAR = -1, -2, -3, -4
"""Stages of the choice beside those along OC, IC and GROUPS: a few sizes of all, every tile of pixels, every tile of taps with every
one of output channels, tiles of both channels near the best."""
REACH = 2
"""Sizes on either side that are near."""
ROUND = PIXELS, OC, IC, TAPS, GROUPS, NEAR
"""Stages of each round."""
STEPS = 40
"""Of the interpreter for the choice of a layer, or so."""
ROUNDS = 4
"""Most times that all axes are gone through."""


class Space(NamedTuple):
    """Sizes of tiles of the layers of a network, and inputs under them.

    Of axis ``a`` of layer ``l`` the sizes from ``first[l, a]`` to ``first[l, a + 1]``, ascending, a few of them ``coarse``. From
    ``places[l, 0]`` in ``extents`` the input rows under tiles of so many rows and taps, (3, heights, kernel heights): summed over all
    tiles, the most under one tile, those under the first; from ``places[l, 1]`` the columns.
    """

    sizes: Any
    coarse: Any
    first: Any
    extents: Any
    places: Any


class Best(NamedTuple):
    """The best tiling so far: ``sizes`` by axis, its loop order behind them, and a record of :data:`FIGURES`; or arrays of both."""

    sizes: Any
    figures: Any


def nothing_found(layers: int) -> Best:
    """Room for the tilings of so many layers; the fields of its records are attributes in interpreted functions too."""
    return Best(np.zeros((layers, SIZES), np.int64), np.zeros(layers, FIGURES).view(np.recarray))


class Problem(NamedTuple):
    """A layer to tile: ``least`` is the fewest cycles that the array takes for it, ``asked`` the bytes of its inputs."""

    machine: Machine
    case: Case
    pj: Energies
    layer: Loops
    dram: DramSide
    least: int
    asked: float
    weigh: Weigh


class Block(NamedTuple):
    """Tiles of channels and taps: sizes, and the places of the taps' sizes."""

    oc: int
    ic: int
    kh: int
    kw: int
    groups: int
    v: int
    u: int


@njit(inline="always")
def _floor(x: Problem, work: Work, weights: float, inputs: float, outputs: float, port: float) -> float:
    """The least that a tiling is worth which takes so much ``work`` and moves so many bytes, ``port`` cycles' worth at the DRAM."""
    least = max(work.cycles, port)
    energy = (
        x.pj.fixed + work.energy + weights * (x.pj.dram_read_byte + x.pj.weight_byte) + outputs * x.pj.dram_write_byte
    )
    energy += inputs * (x.pj.dram_read_byte + x.pj.activation_byte) + least * x.pj.cycle
    energy += weights * x.pj.weight_memory_byte + inputs * x.pj.input_memory_byte
    return worth(x.weigh, least, energy)


@inlined
def expected(
    x: Problem, tile: Loops, loads: tuple[Nest, int, int], seen: Seen, moved: Traffic, port: Ports
) -> tuple[int, float, int]:
    """(cycles, picojoules, cycles of the array) of a tiling whose loads move so much, by closed forms."""
    nest, weight_loads, _ = loads
    total = array_totals(
        x.machine.array, x.layer, tile, weight_loads < nest.computes, x.machine.requantizer.streams > 0
    )
    span = span_of(x.machine, x.case, x.layer, tile, loads, seen, total, port)
    return span.likely, energy_of(x.case, x.pj, total, moved, span.likely), total.cycles


@inlined
def attempt(x: Problem, work: Work, tile: Loops, nest: Nest, seen: Seen, best: Best, value: float) -> float:
    """The value of the best tiling, which is noted in ``best``: that of ``tile`` in either loop order where it is less than ``value``."""
    machine, case, layer = x.machine, x.case, x.layer
    for order in range(
        ORDERS if nest.steps == 1 and nest.spatial > 1 and nest.channels > 1 else 1
    ):  # else they are the same
        weight_loads, input_loads = loads_of(order, nest)
        loads = nest, weight_loads, input_loads
        moved = traffic_of(machine, case, layer, tile, loads, seen)
        commands = NO_COMMANDS
        if x.dram.bursts.size > 1 or x.dram.coded > 0:
            box = boxes_of(machine.operands, layer, tile, seen)
            moved = on_bus(machine, case, x.dram, tile, box, loads, moved)
            if x.dram.bursts.each > 0:
                commands = commands_of(machine, x.dram, box, loads, moved)
        port = ports_of(machine, case, commands, loads, moved)
        busy = float(case.shares * busiest(machine.streams, port.weights, port.inputs, port.outputs))
        if _floor(x, work, float(moved.weight_bus), float(moved.input_bus), float(moved.output_bus), busy) >= value:
            continue
        cycles, energy, array = expected(x, tile, loads, seen, moved, port)
        found = worth(x.weigh, float(cycles), energy)
        if found < value:
            value, sizes = found, best.sizes
            sizes[OH], sizes[OW], sizes[N], sizes[KH], sizes[KW] = tile.oh, tile.ow, tile.n, tile.kh, tile.kw
            sizes[OC], sizes[IC], sizes[GROUPS], sizes[ORDER] = tile.oc, tile.ic, tile.groups, order
            best.figures.cycles, best.figures.energy, best.figures.array = cycles, energy, array
            best.figures.traffic = moved.weight_bus + moved.input_bus + moved.output_bus
    return value


@njit(inline="always")
def _area(space: Space, index: int, y: int, v: int, x: int, u: int, n: int) -> Any:
    """Input pixels under the largest tile of such pixels and taps."""
    first, extents = space.first, space.extents
    heights, tall = first[index, OH + 1] - first[index, OH], first[index, KH + 1] - first[index, KH]
    widths, wide = first[index, OW + 1] - first[index, OW], first[index, KW + 1] - first[index, KW]
    rows = extents[space.places[index, 0] + (heights + y) * tall + v]
    return n * rows * extents[space.places[index, 1] + (widths + x) * wide + u]


@njit(inline="always")
def seen_under(space: Space, index: int, y: int, v: int, x: int, u: int, n: int) -> Seen:
    """What tiles of pixels at places ``y``, ``x`` of their axes and taps at ``v``, ``u`` see."""
    first = space.first
    heights, tall = first[index, OH + 1] - first[index, OH], first[index, KH + 1] - first[index, KH]
    widths, wide = first[index, OW + 1] - first[index, OW], first[index, KW + 1] - first[index, KW]
    row, down = space.places[index, 0] + y * tall + v, heights * tall
    column, across = space.places[index, 1] + x * wide + u, widths * wide
    area = _area(space, index, y, v, x, u, n)
    return Seen(
        space.extents[row],
        space.extents[column],
        space.extents[row + 2 * down],
        space.extents[column + 2 * across],
        area,
    )


@njit(inline="always")
def loads_at_ports(streams: Streams, weights: float, inputs: float) -> float:
    """Cycles of the busiest port of loads of so many bytes."""
    of_weights, of_inputs, _ = paced(streams, weights, inputs, 0.0)
    return float(busiest(streams, of_weights, of_inputs, 0.0))


@inlined
def hopeless(x: Problem, work: Work, tile: Loops, room: Room, value: float) -> bool:
    """Whether no tile of pixels makes the channels and taps of ``tile`` worth less than ``value``."""
    spatial, times, both = reloads_of(x.layer, tile, room.pixels)
    coded = x.dram.coded if x.dram.coded > 0 else 1.0
    weights = 0.0 if x.case.weights_kept else weight_bytes(x.machine, x.layer) * coded
    streams, shares = x.machine.streams, float(x.case.shares)
    again, anew = weights * spatial, x.asked * times
    if both:
        return bool(_floor(x, work, again, anew, 0.0, shares * loads_at_ports(streams, again, anew)) >= value)
    weights_stay = _floor(x, work, weights, anew, 0.0, shares * loads_at_ports(streams, weights, anew))
    inputs_stay = _floor(x, work, again, x.asked, 0.0, shares * loads_at_ports(streams, again, x.asked))
    return bool(min(weights_stay, inputs_stay) >= value)


@njit(inline="always")
def _tile(space: Space, index: int, block: Block, y: int, w: int, n: int) -> Loops:
    """The tile of ``n`` images, of the pixels at places ``y`` and ``w`` of their axes, and of ``block``."""
    oh, ow = space.sizes[space.first[index, OH] + y], space.sizes[space.first[index, OW] + w]
    return Loops(n, oh, ow, block.oc, block.ic, block.kh, block.kw, block.groups)


@inlined
def holds(room: Room, space: Space, index: int, block: Block, y: int, w: int, k: int) -> bool:
    """Whether a slot of every memory holds that tile, of the ``k``-th size of images."""
    first, sizes = space.first, space.sizes
    n = sizes[first[index, N] + k]
    pixels = n * sizes[first[index, OH] + y] * sizes[first[index, OW] + w]
    return bool(pixels <= room.pixels and _area(space, index, y, block.v, w, block.u, n) <= room.area)


@borrowing
def place_of(space: Space, index: int, axis: int, size: int) -> int:
    """Where ``size`` stands among the sizes of an axis."""
    at = space.first[index, axis]
    while space.sizes[at] < size:
        at += 1
    return int(at - space.first[index, axis])


@borrowing
def near(space: Space, index: int, axis: int, place: int, at: int) -> bool:
    """Whether the size at ``place`` of an axis is tried from the one ``at`` another: a neighbour of it, or one of few."""
    return bool(space.coarse[space.first[index, axis] + place] or abs(place - at) <= REACH)


@borrowing
def pixels_under(x: Problem, space: Space, index: int, block: Block, some: bool, best: Best, value: float) -> float:
    """As :func:`attempt` for the tiles of pixels under ``block`` that fit: ``some`` of all, or those that could not grow along any side."""
    layer, channels = x.layer, block.groups * block.oc * block.ic
    if (
        x.case.weights_kept
        and channels * block.kh * block.kw < layer.groups * layer.oc * layer.ic * layer.kh * layer.kw
    ):
        return value  # of several tiles of weights none stays
    whole = Loops(layer.n, layer.oh, layer.ow, block.oc, block.ic, block.kh, block.kw, block.groups)
    room = room_of(x.machine.capacity, x.machine.operands, x.machine.im2col, whole)
    if room.pixels == 0 or hopeless(x, Work(float(x.least), 0.0), whole, room, value):
        return value
    work = work_of(x.machine, x.pj, layer, whole, x.least)
    if hopeless(x, work, whole, room, value):
        return value
    first, once = space.first, nest_of(layer, whole)
    heights, widths = first[index, OH + 1] - first[index, OH], first[index, OW + 1] - first[index, OW]
    widest = widths - 1
    at_y = place_of(space, index, OH, best.sizes[OH]) if some else 0
    at_w = place_of(space, index, OW, best.sizes[OW]) if some else 0
    for y in range(heights):
        while widest >= 0 and not holds(room, space, index, block, y, widest, 0):
            widest -= 1
        if widest < 0:
            break
        if some:
            if not near(space, index, OH, y, at_y):
                continue
        elif y + 1 < heights and holds(room, space, index, block, y + 1, widest, 0):
            continue
        for w in range(widest, -1 if some else widest - 1, -1):
            if some and not near(space, index, OW, w, at_w):
                continue
            # Several images only where a tile has the whole of one.
            most = first[index, N + 1] - first[index, N] if y == heights - 1 and w == widths - 1 else 1
            while most > 1 and not holds(room, space, index, block, y, w, most - 1):
                most -= 1
            for k in range(0 if some else most - 1, most):
                images = space.sizes[first[index, N] + k]
                seen = seen_under(space, index, y, block.v, w, block.u, images)
                tile = _tile(space, index, block, y, w, images)
                spatial = parts(layer.n, images) * parts(layer.oh, tile.oh) * parts(layer.ow, tile.ow)
                nest = Nest(spatial, once.groups, once.channels, once.steps, spatial * once.computes)
                value = attempt(x, work, tile, nest, seen, best, value)
    return value


@borrowing
def along(stage: int, axis: int, best: Best, space: Space, index: int) -> tuple[int, int]:
    """Places (from, to) of the sizes of ``axis``, of channels or taps, that a stage goes through."""
    count = space.first[index, axis + 1] - space.first[index, axis]
    if stage == COARSE or stage == axis >= OC or (stage == TAPS and axis in (KH, KW, OC, GROUPS)):
        return 0, int(count)
    at = place_of(space, index, axis, best.sizes[axis])
    if stage == NEAR and axis in (OC, IC):
        return 0, int(count)
    return int(at), int(at + 1)


@borrowing
def fills(x: Problem, space: Space, index: int, taps: int, o: int, i: int) -> bool:
    """Whether the ``i``-th size of input channels is one of few, and the ``o``-th of output channels the largest that leaves such tiles of
    weights room."""
    at, deep = space.first[index, OC] + o, space.first[index, IC] + i
    if not space.coarse[deep] or at + 1 == space.first[index, OC + 1]:
        return False
    each, capacity = space.sizes[deep] * taps * x.machine.operands.weight_bits, 8 * x.machine.capacity.weights
    return bool(space.sizes[at] * each <= capacity < space.sizes[at + 1] * each)


@borrowing
def choose(x: Problem, space: Space, index: int, best: Best) -> bool:
    """The best tiling found of layer ``index`` into ``best``, which may hold one to begin with; whether there is any that fits."""
    first, sizes, coarse, layer = space.first, space.sizes, space.coarse, x.layer
    value = np.inf
    if best.sizes[OC] > 0:
        value = worth(x.weigh, best.figures.cycles, best.figures.energy)
    since = 0
    for turn in range(0 if value == np.inf else 1, 1 + ROUNDS * len(ROUND)):
        stage = COARSE if turn == 0 else ROUND[(turn - 1) % len(ROUND)]
        if turn > 0 and (value == np.inf or since == len(ROUND)):
            break
        before, at_g = value, place_of(space, index, GROUPS, best.sizes[GROUPS])
        at_oc, at_ic = place_of(space, index, OC, best.sizes[OC]), place_of(space, index, IC, best.sizes[IC])
        low_v, high_v = along(stage, KH, best, space, index)
        low_u, high_u = along(stage, KW, best, space, index)
        low_o, high_o = along(stage, OC, best, space, index)
        low_i, high_i = along(stage, IC, best, space, index)
        low_g, high_g = along(stage, GROUPS, best, space, index)
        for v in range(high_v - 1, low_v - 1, -1):
            for u in range(high_u - 1, low_u - 1, -1):
                # Whole kernels, single rows of them, single taps.
                plain = coarse[first[index, KH] + v] and coarse[first[index, KW] + u] and u >= v
                if stage == COARSE and not plain:
                    continue
                kh, kw = sizes[first[index, KH] + v], sizes[first[index, KW] + u]
                for o in range(high_o - 1, low_o - 1, -1):
                    if stage == TAPS and not (plain or near(space, index, OC, o, at_oc)):
                        continue
                    for i in range(high_i - 1, low_i - 1, -1):
                        close = max(abs(o - at_oc), abs(i - at_ic)) <= REACH
                        if stage == NEAR and not (close or fills(x, space, index, kh * kw, o, i)):
                            continue
                        for g in range(low_g, high_g):
                            if stage == TAPS and not near(space, index, GROUPS, g, at_g):
                                continue
                            oc, ic = sizes[first[index, OC] + o], sizes[first[index, IC] + i]
                            groups = sizes[first[index, GROUPS] + g]
                            if groups > 1 and (oc < layer.oc or ic < layer.ic):
                                break
                            if stage == COARSE and not (
                                coarse[first[index, OC] + o]
                                and coarse[first[index, IC] + i]
                                and coarse[first[index, GROUPS] + g]
                            ):
                                continue
                            block = Block(oc, ic, kh, kw, groups, v, u)
                            value = pixels_under(x, space, index, block, stage == PIXELS, best, value)
        since = since + 1 if value == before else 0
    return value < np.inf


@borrowing
def asked_bytes(space: Space, index: int, layer: Loops, activation_bits: int) -> float:
    """Bytes of the inputs under all windows of layer ``index``."""
    first, widths = space.first, space.first[index, OW + 1] - space.first[index, OW]
    rows = space.places[index, 0] + (first[index, OH + 1] - first[index, OH]) * (
        first[index, KH + 1] - first[index, KH]
    )
    columns = space.places[index, 1] + widths * (first[index, KW + 1] - first[index, KW])
    seen = layer.n * space.extents[rows - 1] * space.extents[columns - 1]
    return float(packed_bytes(seen * layer.groups * layer.ic, activation_bits))


@inlined
def problem_for(machine: Machine, case: Case, layer: Loops, dram: DramSide, pj: Any, weights: Any, at: Any) -> Problem:
    """The layer to tile, given what the DRAM is like, picojoules (a record of :data:`accelsim.mapper.tiling.RATES`), the objective and
    what cycles and picojoules of the network count, and (a Space, the layer's place in it)."""
    (objective, cycle, picojoule), (space, index), array = weights, at, machine.array
    outputs = layer.n * layer.oh * layer.ow * layer.oc * layer.groups
    macs = outputs * layer.kh * layer.kw * layer.ic
    energies = energies_at(pj, float(case.shares), float(macs), float(outputs))
    least = max(1, macs * array.passes // (array.rows * array.cols * array.products))
    weigh = weigh_of(objective, cycle, picojoule, float(least), energies.fixed)
    asked = 0.0 if case.inputs_kept else asked_bytes(space, index, layer, machine.operands.activation_bits)
    return Problem(machine, case, energies, layer, dram, least, asked, weigh)


@borrowing
def choose_for(
    machine: Machine, case: Case, layer: Loops, dram: DramSide, pj: Any, weights: Any, at: Any, best: Best
) -> bool:
    """:func:`choose` for :func:`problem_for`."""
    space, index = at
    return choose(problem_for(machine, case, layer, dram, pj, weights, at), space, index, best)


@tiered(lambda machine, case, layer, *_: STEPS)
def choose_layer(
    machine: Machine, case: Case, layer: Loops, dram: DramSide, pj: Any, weights: Any, at: Any, best: Best
) -> bool:
    """:func:`choose_for` as Python calls it; a function of its own, since compiled code is kept by a function's name."""
    return choose_for(machine, case, layer, dram, pj, weights, at, best)
