"""Numba kernel of the greedy mapper: cycles and DRAM traffic of every candidate tiling of a MAC layer, and the best one."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware.compiled import box_bytes, parts, tile_cost, windows_bytes
from accelsim.numba_cache import njit

ORDERS = 2
WEIGHTS_OUTER = 0
"""Loop order code: the spatial tiles run inside the channel tiles."""
NOTHING_FITS = -1
IMPLICIT, IN_DRAM = 0, 2
"""Places in :data:`accelsim.hardware.im2col.MODES`."""
MACHINE = 24
(WEIGHT_CAPACITY, ACTIVATION_CAPACITY, ACCUMULATOR_CAPACITY, OUTPUT_CAPACITY) = range(4)
(WEIGHT_BITS, ACTIVATION_BITS, OUTPUT_BITS, WORDS) = range(4, 8)
(SETUP, CLOCK, BANDWIDTH, LATENCY, DEPTH, INPUTS_KEPT, OUTPUTS_KEPT, WEIGHTS_KEPT) = range(8, 16)
(IM2COL, FILL_WIDTH, QUEUES, BURST, READ_CLOCKS, WRITE_CLOCKS, BURST_CLOCKS, CODED) = range(16, MACHINE)
"""Places of what the estimate needs of the machine and the operands, in one float64 record."""


@njit
def _packed(elements: int, bits: float) -> Any:
    """Bytes of ``elements`` of so many bits each."""
    return np.ceil(elements * bits / 8)


@njit
def _port(machine: Any, size: float, commands: float) -> Any:
    """Cycles that a transfer of ``size`` bytes on the bus holds the DRAM port, beside ``commands`` those that any transfer takes."""
    moved = np.ceil(size * machine[CLOCK] / machine[BANDWIDTH])
    return max(1.0, machine[SETUP] + max(moved, commands + size / machine[BURST] * machine[BURST_CLOCKS]))


@njit
def _bus(machine: Any, tensors: Any, pixels: Any, taps: Any, channels: Any, weight_tile: float) -> Any:
    """Bytes of whole bursts of a tile's weights, inputs and outputs; ``pixels`` = (n, oh, ow, rows, columns), ``channels`` =
    (groups, oc, ic), ``weight_tile`` bytes of weights."""
    burst, (n, oh, ow, rows, columns), (groups, oc, ic) = machine[BURST], pixels, channels
    if machine[CODED] > 0:
        weights = np.ceil(weight_tile * machine[CODED] / burst) * burst
    else:
        weights = box_bytes(burst, machine[WEIGHT_BITS], (groups * oc, *taps, ic), tensors[0])
    if machine[IM2COL] == IN_DRAM and oh * ow * taps[0] * taps[1] > rows * columns:
        inputs = windows_bytes(burst, machine[ACTIVATION_BITS], n * oh * ow, taps, groups * ic, tensors[1])
    else:
        inputs = box_bytes(burst, machine[ACTIVATION_BITS], (n, rows, columns, groups * ic), tensors[1])
    return weights, inputs, box_bytes(burst, machine[OUTPUT_BITS], (n, oh, ow, groups * oc), tensors[2])


@njit
def loads(order: int, spatial: int, channel: int, group_tiles: int, steps: int) -> Any:
    """(weight loads, activation loads) of a layer in so many tiles."""
    computes = spatial * channel * steps
    if steps > 1:
        return computes, computes
    if order == WEIGHTS_OUTER:
        return channel, group_tiles if spatial == 1 else computes
    return 1 if channel == 1 else computes, spatial * group_tiles


@njit
def best_tiling(
    array: Any,
    machine: Any,
    shape: Any,
    tensors: Any,
    pixels: Any,
    taps: Any,
    channels: Any,
    rows: Any,
    columns: Any,
    slack: float,
) -> tuple[int, float, float]:
    """(index, DRAM bytes, array cycles) of the best tiling; the index is NOTHING_FITS where none fits.

    The index is ``(order * pixels + pixel) * taps + tap) * channels + channel``.
    ``shape`` = (n, oh, ow, oc per group, ic per group, kh, kw, groups); ``tensors`` (3, 3): the inner three sizes of weights, inputs
    and outputs as they stand in DRAM; ``pixels`` (P, 3): oh, ow, n; ``taps`` (T, 2): kh, kw;
    ``channels`` (C, 3): oc, ic, groups; ``rows``, ``columns`` (P, T): extents of the input under a tile. Every tile is taken at
    full size. Cycles are the longest of the DRAM port, the array, and the round trip of a buffer slot (load, latency, compute,
    free again), plus the first load, which nothing hides; where one queue moves everything, the first load, the work and the store
    of each tile of the output in turn. Padding that im2col leaves out of a fetch is taken to be fetched.
    Of the tilings within ``slack`` (a fraction) of the fewest cycles, the one of least traffic, then array cycles, then tiles.
    Where the weights are kept from part to part of a layer only tilings with all of them in one tile count, which cost the port
    nothing.
    """
    combinations = len(pixels) * len(taps) * len(channels)
    cycles = np.full(ORDERS * combinations, np.inf)
    traffic, work, tiles = np.empty_like(cycles), np.empty_like(cycles), np.empty_like(cycles)
    at = -1
    for p in range(len(pixels)):
        oh, ow, n = pixels[p, 0], pixels[p, 1], pixels[p, 2]
        spatial = parts(shape[0], n) * parts(shape[1], oh) * parts(shape[2], ow)
        for t in range(len(taps)):
            kh, kw = taps[t, 0], taps[t, 1]
            tap_steps, area = parts(shape[5], kh) * parts(shape[6], kw), n * rows[p, t] * columns[p, t]
            for c in range(len(channels)):
                at += 1
                oc, ic, groups = channels[c, 0], channels[c, 1], channels[c, 2]
                weight_tile = _packed(groups * oc * kh * kw * ic, machine[WEIGHT_BITS])
                input_tile = held = _packed(area * groups * ic, machine[ACTIVATION_BITS])
                if machine[IM2COL] != IMPLICIT:
                    held = _packed(n * oh * ow * kh * kw * groups * ic, machine[ACTIVATION_BITS])
                if machine[IM2COL] == IN_DRAM:
                    input_tile = held
                outputs = n * oh * ow * groups * oc
                output_tile = _packed(outputs, machine[OUTPUT_BITS])
                if (
                    weight_tile > machine[WEIGHT_CAPACITY]
                    or held > machine[ACTIVATION_CAPACITY]
                    or outputs * machine[WORDS] > machine[ACCUMULATOR_CAPACITY]
                    or output_tile > machine[OUTPUT_CAPACITY]
                ):
                    continue
                group_tiles = parts(shape[7], groups)
                channel = group_tiles * parts(shape[3], oc)
                steps = tap_steps * parts(shape[4], ic)
                stores, computes = spatial * channel, spatial * channel * steps
                if machine[WEIGHTS_KEPT] and channel * steps > 1:
                    continue
                cost = tile_cost(array, n * oh * ow, kh * kw * ic, oc, groups, False)
                compute = cost[0]
                if machine[BURST] > 1:
                    weight_tile, input_tile, output_tile = _bus(
                        machine,
                        tensors,
                        (n, oh, ow, rows[p, t], columns[p, t]),
                        (kh, kw),
                        (groups, oc, ic),
                        weight_tile,
                    )
                elif machine[CODED] > 0:
                    weight_tile = np.ceil(weight_tile * machine[CODED])
                weight_cycles, input_cycles = 0.0, 0.0
                if machine[WEIGHTS_KEPT]:
                    weight_tile = 0.0
                else:
                    weight_cycles = _port(machine, weight_tile, machine[READ_CLOCKS])
                if machine[INPUTS_KEPT]:
                    input_tile = 0.0
                else:
                    input_cycles = _port(machine, input_tile, machine[READ_CLOCKS])
                    if held > input_tile and machine[FILL_WIDTH]:
                        input_cycles = max(input_cycles, np.ceil(held / machine[FILL_WIDTH]))
                if machine[OUTPUTS_KEPT]:
                    output_tile = 0.0
                output_cycles = stores * _port(machine, output_tile, machine[WRITE_CLOCKS]) if output_tile else 0.0
                in_turn = machine[QUEUES] == 1 and input_cycles > 0 and output_cycles > 0
                load = weight_cycles + input_cycles + machine[LATENCY] + cost[5]
                for order in range(ORDERS):
                    weight_loads, input_loads = loads(order, spatial, channel, group_tiles, steps)
                    port = weight_loads * weight_cycles + input_loads * input_cycles + output_cycles
                    trips = max(weight_loads, input_loads) * (load + compute) // machine[DEPTH]
                    i = order * combinations + at
                    cycles[i] = max(port, max(float(computes) * compute, trips)) + load
                    if in_turn:
                        moved = weight_cycles + input_cycles
                        first = load if steps > 1 else load - moved + (port - output_cycles) / stores
                        beside = max(float(steps) * compute, max((steps - 1) * moved, trips / stores))
                        cycles[i] = stores * (first + beside) + output_cycles
                    traffic[i] = weight_loads * weight_tile + input_loads * input_tile + stores * output_tile
                    work[i], tiles[i] = float(computes) * compute, computes
    best = _least(cycles, traffic, work, tiles, slack)
    return best, traffic[best], work[best]


@njit
def _least(cycles: Any, traffic: Any, work: Any, tiles: Any, slack: float) -> int:
    """The first candidate of least (traffic, work, tiles) among those within ``slack`` of the fewest cycles."""
    enough, best = cycles.min() * (1 + slack), NOTHING_FITS
    if not np.isfinite(enough):
        return NOTHING_FITS
    for i in range(len(cycles)):
        if cycles[i] <= enough and (
            best < 0 or (traffic[i], work[i], tiles[i]) < (traffic[best], work[best], tiles[best])
        ):
            best = i
    return best
