"""Numba kernel of the mapping search: a lower bound of cycles and the energy of every tiling that fits, the best of them kept.

The space is (pixel tiles) x (tap tiles) x (channel tiles) x (loop orders). All sums over tiles are taken by their distinct sizes,
full and remainder along each axis, so that a tiling costs the same however many tiles it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware.compiled import channel_bits, parts, tile_cost
from accelsim.mapper._estimate import IMPLICIT, loads
from accelsim.numba_cache import njit

CYCLES, ENERGY, EDP = range(3)
"""Objective codes."""


@njit
def _sizes(size: int, tile: int, which: int) -> Any:
    """(extent, count) of the full tiles (0) or of the remainder (1) along one axis."""
    if which == 0:
        return tile, size // tile
    return size % tile, 1 if size % tile else 0


@njit
def _array_totals(
    array: Any, shape: Any, n: int, oh: int, ow: int, oc: int, ic: int, kh: int, kw: int, groups: int, keeps: bool
) -> Any:
    """(cycles, weight reads, activation reads, accumulator writes) of all compute tiles of a layer; of single tiles the fewest
    cycles, the least and the most latency.

    ``shape`` = (n, oh, ow, oc per group, ic per group, kh, kw, groups); ``keeps``: of the spatial tiles behind the first the
    weights are there already.
    """
    cycles, weights, reads, writes, shortest, least, most = 0, 0, 0, 0, 2**62, 2**62, 0
    for a in range(4):
        images, image_count = _sizes(shape[0], n, a >> 1)
        rows, row_count = _sizes(shape[1], oh, a & 1)
        for b in range(2):
            columns, column_count = _sizes(shape[2], ow, b)
            spatial = image_count * row_count * column_count
            if spatial == 0:
                continue
            first = 1 if a == 0 and b == 0 else 0
            for c in range(4):
                channels, channel_count = _sizes(shape[3], oc, c & 1)
                together, group_count = _sizes(shape[7], groups, c >> 1)
                if channel_count * group_count == 0:
                    continue
                for d in range(8):
                    taps, tap_count = _sizes(shape[5], kh, d & 1)
                    across, across_count = _sizes(shape[6], kw, (d >> 1) & 1)
                    depth, depth_count = _sizes(shape[4], ic, d >> 2)
                    steps = tap_count * across_count * depth_count
                    if steps == 0:
                        continue
                    tiles = channel_count * group_count * steps
                    reduction = taps * across * depth
                    new = spatial if not keeps else first
                    for kept in range(2):
                        count = tiles * (new if kept == 0 else spatial - new)
                        if count:
                            cost = tile_cost(array, images * rows * columns, reduction, channels, together, kept == 1)
                            cycles += count * cost[0]
                            weights += count * cost[2]
                            reads += count * cost[3]
                            writes += count * cost[4]
                            shortest, least, most = min(shortest, cost[0]), min(least, cost[5]), max(most, cost[5])
    return cycles, weights, reads, writes, shortest, least, most


@njit
def _dma(limits: Any, transfers: int, size: int) -> Any:
    """Fewest cycles in which the port moves ``size`` bytes in so many transfers."""
    return max(transfers, transfers * limits[SETUP] + parts(size * limits[PER_BYTE], limits[PER_BYTE_OVER]))


@njit
def _packed(elements: int, bits: int) -> int:
    return (elements * bits + 7) // 8


LIMITS = 29
(WEIGHT_CAPACITY, ACTIVATION_CAPACITY, ACCUMULATOR_CAPACITY, OUTPUT_CAPACITY) = range(4)
(WEIGHT_BITS, ACTIVATION_BITS, OUTPUT_BITS, WORDS) = range(4, 8)
(SETUP, PER_BYTE, PER_BYTE_OVER, LATENCY) = range(8, 12)
(LANES, AS_BOUND, INPUT_CHANNELS, SINGLE_WEIGHTS, SINGLE_ACTIVATIONS, SINGLE_SUMS, SINGLE_OUTPUTS) = range(12, 19)
(SHARES, IM2COL, QUEUES, BURST, TENSOR_INPUTS, TENSOR_OUTPUTS, NONZERO) = range(19, 26)
(INPUTS_KEPT, OUTPUTS_KEPT, KEEP_WIDTH) = range(26, LIMITS)
"""Places of the machine's limits in one int64 record; AS_BOUND: no transfer takes longer than its bytes at the port.

BURST in bits; TENSOR_*: channels of the tensors in DRAM, of which a share may have fewer; NONZERO: weights that are not 0 in a share
of least, where they are coded in DRAM, else -1; KEEP_WIDTH: bytes per cycle into the place of a kept output, 0 for a cycle per tile."""


@njit
def evaluate(
    array: Any, limits: Any, energies: Any, shape: Any, oh: int, ow: int, oc: int, ic: int, kh: int, kw: int, groups: int, n: int,
    order: int, rows: int, columns: int, first_rows: int, first_columns: int, area: int,
) -> Any:  # fmt: skip
    """(fewest cycles, picojoules, whether the cycles are the schedule's own) of one tiling.

    ``rows`` and ``columns`` are input rows and columns summed over tiles of pixels and taps, those under the first tile, and
    ``area`` input pixels of all images under the largest one, as often as they are fetched. No schedule is shorter than the array's
    work behind the first loads and before the last requantization and store, than the port's work, than loads and work in
    turn where a memory holds one tile only, or than all that each tile of the output needs in turn where one queue moves everything:
    the first loads of the next tile stand behind the store of this one.
    What is kept on chip passes no port, and is a bound of nothing but the end: the last tile is kept after its sums.
    ``shape`` is the smallest of the SHARES of as many cores: each other has the same work at least, and all share the port.
    """
    spatial = parts(shape[0], n) * parts(shape[1], oh) * parts(shape[2], ow)
    group_tiles = parts(shape[7], groups)
    channel = group_tiles * parts(shape[3], oc)
    steps = parts(shape[5], kh) * parts(shape[6], kw) * parts(shape[4], ic)
    computes = spatial * channel * steps
    weight_loads, input_loads = loads(order, spatial, channel, group_tiles, steps)
    keeps, per_channel = weight_loads < computes, 1 if input_loads < computes else parts(shape[3], oc)
    cost = _array_totals(array, shape, n, oh, ow, oc, ic, kh, kw, groups, keeps)
    products = shape[3] * shape[7] * shape[4] * shape[5] * shape[6]
    weight_bytes = _packed(products * (1 if keeps else spatial), limits[WEIGHT_BITS])
    input_bytes = _packed(shape[0] * rows * columns * limits[INPUT_CHANNELS] * per_channel, limits[ACTIVATION_BITS])
    held_bytes = input_bytes
    if limits[IM2COL] != IMPLICIT:
        positions = shape[0] * shape[1] * shape[2] * shape[5] * shape[6]
        held_bytes = _packed(positions * limits[INPUT_CHANNELS] * per_channel, limits[ACTIVATION_BITS])
    outputs = shape[0] * shape[1] * shape[2] * shape[3] * shape[7]
    output_bytes = _packed(outputs, limits[OUTPUT_BITS])
    weight_bus = weight_bytes
    if limits[NONZERO] >= 0:
        weight_bus = _packed(limits[NONZERO] * (1 if keeps else spatial), limits[WEIGHT_BITS])
    else:
        taps = shape[3] * shape[7] * shape[5] * shape[6] * (1 if keeps else spatial)
        weight_bus = _packed(channel_bits(limits[BURST], taps, 1, shape[4], 1, ic, shape[4], limits[WEIGHT_BITS]), 1)
    positions = shape[0] * rows * columns * per_channel
    groups_of = limits[INPUT_CHANNELS] // shape[4]
    input_bus = channel_bits(
        limits[BURST], positions, groups_of, shape[4], groups, ic, limits[TENSOR_INPUTS], limits[ACTIVATION_BITS]
    )
    pixels = shape[0] * shape[1] * shape[2]
    output_bus = channel_bits(
        limits[BURST], pixels, shape[7], shape[3], groups, oc, limits[TENSOR_OUTPUTS], limits[OUTPUT_BITS]
    )
    input_bus, output_bus = _packed(input_bus, 1), _packed(output_bus, 1)
    load_weights, load_inputs = _dma(limits, weight_loads, weight_bus), _dma(limits, input_loads, input_bus)
    store = _dma(limits, spatial * channel, output_bus)
    if limits[INPUTS_KEPT]:
        load_inputs, input_bus = 0, 0
    if limits[OUTPUTS_KEPT]:
        store, output_bus = 0, 0
    first = _dma(limits, 1, 0 if limits[NONZERO] >= 0 else _packed(groups * oc * kh * kw * ic, limits[WEIGHT_BITS]))
    first_inputs = _packed(n * first_rows * first_columns * groups * ic, limits[ACTIVATION_BITS])
    first += _dma(limits, 1, first_inputs) if first_inputs and not limits[INPUTS_KEPT] else 0
    last_rows, last_columns = (shape[1] - 1) % oh + 1, (shape[2] - 1) % ow + 1
    last = (
        ((shape[0] - 1) % n + 1) * last_rows * last_columns * ((shape[3] - 1) % oc + 1) * ((shape[7] - 1) % groups + 1)
    )
    behind = max(1, parts(last, limits[LANES])) + _written(limits, _packed(last, limits[OUTPUT_BITS])) + cost[5]
    port = limits[SHARES] * (load_weights + load_inputs + store)
    cycles = max(first + limits[LATENCY] + cost[0] + behind, port + limits[LATENCY])
    through_dram = limits[INPUTS_KEPT] + limits[OUTPUTS_KEPT] == 0
    exact = first_inputs > 0 and limits[AS_BOUND] != 0 and limits[SHARES] == 1 and through_dram
    spare = cost[4] - cost[6]
    exact = exact and cost[5] == cost[6]
    exact = exact and (limits[QUEUES] > 1 or spatial * channel == 1)
    exact = exact and (computes == 1 or _array_never_waits(limits, spare, n * oh, ow, oc, ic, kh, kw, groups, area))
    if limits[SINGLE_WEIGHTS]:
        cycles = max(cycles, load_weights + weight_loads * limits[LATENCY] + cost[0] + behind)
    if limits[SINGLE_ACTIVATIONS] and not limits[INPUTS_KEPT]:
        cycles = max(cycles, load_inputs + input_loads * limits[LATENCY] + cost[0] + behind)
    if limits[QUEUES] == 1 and through_dram:
        in_turn = store + spatial * channel * limits[LATENCY] + max(spatial * channel, parts(outputs, limits[LANES]))
        in_turn += load_weights + load_inputs if steps == 1 else 0
        cycles = max(cycles, cost[0] + in_turn + limits[LATENCY])
    energy = energies[0] + cost[1] * energies[1] + cost[2] * energies[2] + cost[3] * energies[3]
    energy += weight_bytes * energies[4] + held_bytes * energies[5] + output_bytes * energies[6]
    energy += (weight_bus + input_bus) * energies[7] + output_bus * energies[8] + cycles * energies[11]
    energy += input_bytes * energies[9] if limits[INPUTS_KEPT] else 0.0
    energy += output_bytes * energies[10] if limits[OUTPUTS_KEPT] else 0.0
    return cycles, energy, exact


@njit
def _written(limits: Any, size: int) -> Any:
    """Fewest cycles from the beginning of the last write-back, of ``size`` bytes, to its end."""
    if limits[OUTPUTS_KEPT]:
        return max(1, parts(size, limits[KEEP_WIDTH])) if limits[KEEP_WIDTH] else 1
    return _dma(limits, 1, size) + limits[LATENCY]


@njit
def _array_never_waits(
    limits: Any, spare: int, oh: int, ow: int, oc: int, ic: int, kh: int, kw: int, groups: int, area: int
) -> bool:
    """Whether all that can go on beside a compute tile is done within ``spare`` cycles: the shortest one's, less its latency.

    With two slots in every memory, at most a load of weights, a load of activations and two stores stand at the port while a
    tile computes, each enabled when it began or before (with a queue for all loads too, since those of the next tile are the next in
    it); the next tile needs them done, their data arrived, and the sums of the
    tile before the last requantized. So the array runs from its first tile to its last without a pause.
    """
    single = limits[SINGLE_WEIGHTS] + limits[SINGLE_ACTIVATIONS] + limits[SINGLE_SUMS] + limits[SINGLE_OUTPUTS]
    outputs = oh * ow * oc * groups
    store = _dma(limits, 1, _packed(outputs, limits[OUTPUT_BITS]))
    loads = _dma(limits, 1, _packed(groups * oc * kh * kw * ic, limits[WEIGHT_BITS]))
    loads += _dma(limits, 1, _packed(area * groups * ic, limits[ACTIVATION_BITS]))
    requantize = max(1, parts(outputs, limits[LANES]))
    return bool(single == 0 and loads + 2 * store + requantize + limits[LATENCY] <= spare)


@njit
def search(
    array: Any, limits: Any, energies: Any, shape: Any, pixels: Any, taps: Any, channels: Any, rows: Any, columns: Any,
    objective: int, values: Any, best: Any,
) -> Any:  # fmt: skip
    """Fill ``values`` (K) and ``best`` (K, 10) with the K tilings of least value, unordered; (tilings visited, tilings that fit).

    ``pixels`` (P, 5): oh, ow, the places of both in ``rows`` and ``columns``, and n; ``taps`` (T, 4) likewise kh, kw. ``rows``
    (3, heights, tap heights): input rows summed over all tiles, the most under one tile, those under the first; ``columns``
    likewise. ``channels`` (C, 3): oc, ic, groups.
    """
    values[:] = np.inf
    worst, visited, fitting = 0, 0, 0
    for p in range(pixels.shape[0]):
        oh, ow, y, x, n = pixels[p, 0], pixels[p, 1], pixels[p, 2], pixels[p, 3], pixels[p, 4]
        for t in range(taps.shape[0]):
            kh, kw, v, u = taps[t, 0], taps[t, 1], taps[t, 2], taps[t, 3]
            area = n * rows[1, y, v] * columns[1, x, u]
            for c in range(channels.shape[0]):
                oc, ic, groups = channels[c, 0], channels[c, 1], channels[c, 2]
                visited += 2
                held = area if limits[IM2COL] == IMPLICIT else n * oh * ow * kh * kw
                if (
                    _packed(groups * oc * kh * kw * ic, limits[WEIGHT_BITS]) > limits[WEIGHT_CAPACITY]
                    or _packed(held * groups * ic, limits[ACTIVATION_BITS]) > limits[ACTIVATION_CAPACITY]
                    or n * oh * ow * groups * oc * limits[WORDS] > limits[ACCUMULATOR_CAPACITY]
                    or _packed(n * oh * ow * groups * oc, limits[OUTPUT_BITS]) > limits[OUTPUT_CAPACITY]
                ):
                    continue
                fitting += 2
                for order in range(2):
                    cycles, energy, exact = evaluate(
                        array, limits, energies, shape, oh, ow, oc, ic, kh, kw, groups, n, order,
                        rows[0, y, v], columns[0, x, u], rows[2, y, v], columns[2, x, u], area,
                    )  # fmt: skip
                    value = float(cycles) if objective == CYCLES else energy
                    value = cycles * energy if objective == EDP else value
                    if value < values[worst]:
                        values[worst] = value
                        best[worst] = np.array([oh, ow, oc, ic, kh, kw, groups, n, order, int(exact)])
                        worst = int(np.argmax(values))
    return visited, fitting
