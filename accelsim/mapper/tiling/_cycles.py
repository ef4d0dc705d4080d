"""Cycles of a tiling of a MAC layer in closed form: the fewest that any schedule takes, and an estimate of what it takes.

Functions of many records are inlined: a call would copy every field of theirs, which took a third of the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.hardware import Loops, Machine
from accelsim.hardware.compiled import (
    busiest,
    fill_of,
    footprint,
    packed_bytes,
    requantize_cycles,
    transfer_cycles,
    unit_cycles,
)
from accelsim.mapper.tiling._sums import Case, Seen, Totals, Traffic
from accelsim.numba_cache import njit
from accelsim.program.compiled import Nest


class Ports(NamedTuple):
    """Cycles that all loads of weights, all of inputs, and all stores hold the DRAM port, or that their commands take; 0 of what is
    kept on chip."""

    weights: int
    inputs: int
    outputs: int


NO_COMMANDS = Ports(0, 0, 0)
STORES = 2
"""Of a requantizer's ``streams``: stores take its outputs as they come."""


@njit(inline="always")
def ports_of(machine: Machine, case: Case, commands: Ports, loads: tuple[Nest, int, int], moved: Traffic) -> Ports:
    """Of one core, as if no other were at the port."""
    streams, (nest, weight_loads, input_loads) = machine.streams, loads
    stores = nest.spatial * nest.channels
    weights, inputs, outputs = 0, 0, 0
    if not case.weights_kept:
        weights = transfer_cycles(streams.weights, weight_loads, moved.weight_bus, commands.weights)
    if not case.inputs_kept:
        inputs = transfer_cycles(streams.activations, input_loads, moved.input_bus, commands.inputs)
    if not case.outputs_kept:
        outputs = transfer_cycles(streams.outputs, stores, moved.output_bus, commands.outputs)
    return Ports(weights, inputs, outputs)


@njit(inline="always")
def _last(size: int, tile: int) -> int:
    """Extent of the last tile along an axis."""
    return (size - 1) % tile + 1


@njit(inline="always")
def _behind(machine: Machine, case: Case, layer: Loops, tile: Loops) -> Any:
    """Fewest cycles from the end of the last sums, the array's latency apart, to the end of their requantization, and from there to that
    of their write-back."""
    last = _last(layer.n, tile.n) * _last(layer.oh, tile.oh) * _last(layer.ow, tile.ow)
    last *= _last(layer.oc, tile.oc) * _last(layer.groups, tile.groups)
    size = packed_bytes(int(last * machine.operands.pool_share + 0.5), machine.operands.output_bits)
    if case.outputs_kept:
        written = unit_cycles(machine.resident, 1, size)
    else:
        out, streams = (
            machine.streams.outputs,
            machine.requantizer.streams == STORES,
        )  # a cycle at least behind the last output
        written = (1 if streams else transfer_cycles(out, 1, size, 0)) + out.latency_cycles
    unit = machine.requantizer
    return unit.stages + (1 if unit.streams else requantize_cycles(unit, last)), written


class First(NamedTuple):
    """Fewest cycles before the first tile may enter the array: its loads, which take so many each, and until its first weights stand
    there; whether it loads any inputs."""

    ready: int
    weights: int
    inputs: int
    loads_inputs: bool


@njit(inline="always")
def _first(machine: Machine, case: Case, tile: Loops, seen: Seen) -> First:
    """Of a tiling with that first tile."""
    seen_first = tile.n * seen.first_rows * seen.first_columns
    size = footprint(machine.operands, machine.im2col, tile, seen_first)
    asked = packed_bytes(seen_first * tile.groups * tile.ic, machine.operands.activation_bits)
    streams, weights, inputs, fill = machine.streams, 0, 0, 0
    if not case.weights_kept:
        parameters = tile.groups * tile.oc * case.parameters  # in front of the first weights of each sum
        moved = parameters if case.code_bits >= 0 else parameters + size.weights
        weights = transfer_cycles(streams.weights, 1, moved, 0)
        fill = fill_of(machine.array, tile.kh * tile.kw, tile.ic, tile.oc, tile.groups)
    if asked > 0 and not case.inputs_kept:
        inputs = transfer_cycles(streams.activations, 1, asked, 0)
    # At one port inputs go first, but in one queue, where weights come first in the program.
    shared, in_turn = streams.weights.port == streams.activations.port, streams.weights.queues < 3
    ready = 0
    if weights > 0:
        ready = weights + streams.weights.latency_cycles + fill + (inputs if shared and not in_turn else 0)
    if inputs > 0:
        before = weights if in_turn else 0
        ready = max(ready, before + inputs + streams.activations.latency_cycles)
    if not case.inputs_kept:
        inputs = transfer_cycles(streams.activations, 1, asked, 0)  # a load under which all is padding is set up, too
    return First(ready, weights, inputs, asked > 0)


@njit(inline="always")
def _unhidden(machine: Machine, port: Ports, first: First, loads: tuple[Nest, int, int]) -> Any:
    """Fewest cycles of the loads behind the first ones of memories that hold one tile only: the array stands still in all of them."""
    streams, depth, (_, weight_loads, input_loads) = machine.streams, machine.depth, loads
    weights, inputs, late_weights, late_inputs = 0, 0, 0, 0
    if depth.weights == 1 and port.weights > 0:
        weights = max(0, port.weights - first.weights)
        late_weights = (weight_loads - 1) * streams.weights.latency_cycles
    if depth.activations == 1 and port.inputs > 0:
        inputs = max(0, port.inputs - first.inputs)
        late_inputs = (input_loads - 1) * streams.activations.latency_cycles
    alone = max(weights + late_weights, inputs + late_inputs)
    if streams.weights.port != streams.activations.port:
        return alone
    # Behind each other at the port, the data of the second under way last.
    return max(alone, weights + inputs + (late_inputs if streams.weights.queues < 3 else late_weights))


@njit(inline="always")
def _fullest(layer: Loops, tile: Loops, slots: int) -> float:
    """Share of a layer's steps that the fullest of so many slots has: where each sum takes two steps, a large and a small one, two slots
    have all large and all small ones."""
    share = 1.0 / slots
    if slots == 2:
        for size, part in ((layer.ic, tile.ic), (layer.kw, tile.kw), (layer.kh, tile.kh)):
            if part < size:
                return max(share, part / size) if 2 * part >= size else share
    return share


class Span(NamedTuple):
    """Cycles of a tiling: no schedule takes fewer than ``fewest``, which are the schedule's own where ``exact``; ``likely`` is an
    estimate."""

    fewest: int
    likely: int
    exact: bool


@njit(inline="always")
def span_of(
    machine: Machine,
    case: Case,
    layer: Loops,
    tile: Loops,
    loads: tuple[Nest, int, int],
    seen: Seen,
    total: Totals,
    port: Ports,
) -> Span:
    """Of one tiling.

    No schedule is shorter than the array's work behind the first loads and before the last requantization and store, than the
    requantizer's work between the first sums and the last store, than the port's work, than loads and work in turn where a memory holds
    one tile only, or than all that each tile of the output needs in turn where one queue moves everything: the first loads of the next
    tile stand behind the store of this one.
    What is kept on chip passes no port, and is a bound of nothing but the end: the last tile is kept after its sums.
    ``layer`` is the smallest share of as many cores: each other has the same work at least, and all share the port.

    An estimate adds the round trips of slots: what fills one, waits, works and frees it again, as often as it does, shared by as many
    slots as there are.
    """
    streams, depth, (nest, weight_loads, input_loads) = machine.streams, machine.depth, loads
    stores, queues = nest.spatial * nest.channels, streams.weights.queues
    late_weights, late_inputs = streams.weights.latency_cycles, streams.activations.latency_cycles
    soonest = min(min(late_weights, late_inputs), streams.outputs.latency_cycles)
    start = _first(machine, case, tile, seen)
    lead = start.ready
    rounded, written = _behind(machine, case, layer, tile)
    behind = rounded + written
    busy = case.shares * busiest(streams, port.weights, port.inputs, port.outputs)
    # The first load's cycles are known where it moves its bytes, no more and no fewer.
    unhidden = _unhidden(machine, port, start, loads) if case.burst <= 8 and case.code_bits < 0 else 0
    fewest = max(lead + unhidden + total.cycles + behind + total.least_latency, busy + soonest)
    if depth.weights == 1:
        fewest = max(fewest, port.weights + weight_loads * late_weights + total.cycles + behind + total.least_latency)
    if depth.activations == 1 and not case.inputs_kept:
        fewest = max(fewest, port.inputs + input_loads * late_inputs + total.cycles + behind + total.least_latency)
    through_dram = not (case.inputs_kept or case.outputs_kept or case.weights_kept)
    outputs = layer.n * layer.oh * layer.ow * layer.oc * layer.groups
    unit = machine.requantizer
    requantized = max(stores, requantize_cycles(unit, outputs))  # a cycle each at least, however few its sums
    before = total.shortest + total.least_latency
    if unit.streams:  # the first sums are final in the last step of their reduction
        before = (nest.steps - 1) * total.shortest + total.first
    fewest = max(fewest, lead + before + requantized + unit.stages + written)
    if unit.streams == STORES and not case.outputs_kept:
        fewest = max(fewest, lead + before + unit.stages + 1 + port.outputs + streams.outputs.latency_cycles)
    if queues == 1 and through_dram:
        in_turn = port.outputs + stores * min(late_weights, late_inputs) + (stores if unit.streams else requantized)
        in_turn += port.weights + port.inputs if nest.steps == 1 else 0
        fewest = max(fewest, total.cycles + in_turn + soonest)
    # The schedule's own: transfers take what is taken here, no other core is at the port, the last tile's latency is known, and the
    # array runs from its first tile to its last.
    exact = start.loads_inputs and not unit.streams and case.as_bound and case.shares == 1 and through_dram
    exact = exact and unit.steps == 0
    exact = exact and total.least_latency == total.most_latency and (queues > 1 or stores == 1)
    spare = total.shortest - total.most_latency
    exact = exact and (nest.computes == 1 or _array_never_waits(machine, tile, seen.area, spare))
    if exact:
        return Span(fewest, fewest, True)
    loaded, trips = case.shares * busiest(streams, port.weights, port.inputs, 0), max(weight_loads, input_loads)
    late_loads = max(late_weights, late_inputs)
    worked = total.cycles * trips // nest.computes
    late = total.most_latency
    trip = int(
        (
            loaded
            + trips * late_loads
            + weight_loads * fill_of(machine.array, tile.kh * tile.kw, tile.ic, tile.oc, tile.groups)
            + worked
        )
        * _fullest(layer, tile, min(depth.weights, depth.activations))
    )
    if min(depth.weights, depth.activations) == 1:
        trip -= lead  # whose loads stand in both
    loading = busy if unit.streams < STORES else case.shares * busiest(streams, port.weights, port.inputs, 0)
    first_stored = fewest
    if unit.streams == STORES and not case.outputs_kept:  # the loads of the steps before stand in front of it, too
        first_stored = lead + before + unhidden * (nest.steps - 1) // nest.computes + port.outputs
    worked_off = max(total.cycles, requantized) if unit.streams else total.cycles + requantized
    sums = (worked_off + stores * (late + unit.stages)) // depth.accumulators
    left = case.shares * port.outputs
    stored = max(requantized, left) if unit.streams == STORES else requantized + left
    stored = (stored + stores * unit.stages) // depth.outputs
    likely = max(
        max(fewest, first_stored),
        max(trip, max(sums, stored)) + lead + late + behind,
        loading + late_loads + total.cycles // nest.computes + late,
    )
    if queues == 1 and port.inputs > 0 and port.outputs > 0:
        # Each tile of the output in turn: its first loads, its work, its requantization, its store.
        load = loaded // trips + late_loads + late
        beside = max(total.cycles, max(loaded - stores * load, trip))
        likely = max(likely, stores * load + beside + requantized + case.shares * port.outputs)
    return Span(fewest, likely, False)


@njit(inline="always")
def _array_never_waits(machine: Machine, tile: Loops, area: int, spare: int) -> bool:
    """Whether all that can go on beside a compute tile is done within ``spare`` cycles: the shortest one's, less its latency.

    With two slots in every memory, at most a load of weights (one more for each slot more), a load of activations and two stores
    stand at the port while a tile computes, each enabled when it began or before (with a queue for all loads too, since those of the
    next tile are the next in it); the next tile needs them done, their data arrived, and the sums of the tile before the last
    requantized. So the array runs from its first tile to its last without a pause.
    """
    streams, depth = machine.streams, machine.depth
    double = min(min(depth.weights, depth.activations), min(depth.accumulators, depth.outputs)) > 1
    held = footprint(machine.operands, machine.im2col, tile, area)
    inputs = packed_bytes(area * tile.groups * tile.ic, machine.operands.activation_bits)
    store = transfer_cycles(streams.outputs, 1, held.outputs, 0)
    loads = (depth.weights - 1) * transfer_cycles(streams.weights, 1, held.weights, 0)
    loads += transfer_cycles(streams.activations, 1, inputs, 0)
    unit, outputs = machine.requantizer, tile.n * tile.oh * tile.ow * tile.oc * tile.groups
    requantize = requantize_cycles(unit, outputs) + unit.stages
    loads += fill_of(machine.array, tile.kh * tile.kw, tile.ic, tile.oc, tile.groups)
    late = max(max(streams.weights.latency_cycles, streams.activations.latency_cycles), streams.outputs.latency_cycles)
    return bool(double and loads + 2 * store + requantize + late <= spare)
