"""Numba kernel of the tile operations of one block of a MAC layer, in program order: [load weights] [load activations] compute ...
requantize store.

What tiles see and cost is looked up in :mod:`accelsim.builder._mac_tables`; the loops only add.
"""

from __future__ import annotations

from typing import NamedTuple

from accelsim.builder._emit import (
    ACCUMULATORS,
    ACTIVATIONS,
    COMPUTE,
    DRAM,
    KEEP,
    LOAD_ACTIVATIONS,
    LOAD_WEIGHTS,
    OUTPUTS,
    RECALL,
    REQUANTIZE,
    RESIDENT,
    STORE,
    WEIGHTS,
    Region,
    behind,
    cover,
    filled,
    freed,
    moved,
    note,
    offset_of,
    put,
    tiles_before,
)
from accelsim.builder._mac_tables import (
    Channels,
    Costs,
    Sides,
    channel_tiles,
    image_sides,
    input_channels,
    note_grid,
    tile_costs,
    window_sides,
)
from accelsim.builder._pass import load_beside, pooled_write, put_vector, vector_of_pass
from accelsim.builder.records import (
    ACCUMULATOR_WRITES,
    ACTIVATION_READS,
    BUS_BYTES,
    CHANNEL,
    LAG,
    LAYER,
    NONE,
    OPERATION,
    STREAM_CYCLES,
    TIMES,
    WEIGHT_READS,
    Block,
    Did,
    Ends,
    MacJob,
    Port,
    Source,
    State,
)
from accelsim.hardware import Machine
from accelsim.hardware.compiled import (
    held_weights,
    last_write_cycles,
    moved_no_faster,
    packed_bytes,
    requantize_cycles,
    written_bytes,
)
from accelsim.numba_cache import borrowing, inner, tiered
from accelsim.program import nest_of

_STEPS = 10
"""Interpreted, of ten microseconds each, per compute tile and what comes with it."""


class _Tables(NamedTuple):
    """What the tiles of a block see along each axis, and what they cost."""

    channels: Channels
    images: Sides
    down: Sides
    across: Sides
    deep: Sides
    costs: Costs


@inner
def mac_operations(
    job: MacJob, machine: Machine, port: Port, left: Source, right: Source, block: Block, state: State, ends: Ends
) -> tuple[Ends, Did]:
    """Write the operations of a block behind those before it; (where they end, what they did). ``left``: inputs, ``right``: weights."""
    layer, tile, grids = job.layer, job.tile, state.grids
    channels = channel_tiles(layer, tile)
    note_grid(grids, block, job, len(channels.outputs))
    grids.first[block.grid] = ends.stores
    tables = _Tables(
        channels,
        image_sides(layer.n, tile.n, block.image, grids, left),
        window_sides(job.down, tile.oh, tile.kh, 1, grids, left),
        window_sides(job.across, tile.ow, tile.kw, 2, grids, left),
        input_channels(job, block.input_channel, channels, grids, left),
        tile_costs(machine.array, machine.requantizer, layer, tile, channels),
    )
    return _operations(job, machine, port, (left, right), block, state, ends, tables)


@borrowing
def _operations(
    job: MacJob,
    machine: Machine,
    port: Port,
    sources: tuple[Source, Source],
    block: Block,
    state: State,
    ends: Ends,
    tables: _Tables,
) -> tuple[Ends, Did]:
    layer, tile, streams, resident, operands = job.layer, job.tile, machine.streams, machine.resident, machine.operands
    (left, right), (channels, images, down, across, deep, costs) = sources, tables
    weights_kept, inputs_kept, outputs_kept = right.keeper != NONE, left.keeper != NONE, block.address != NONE
    whole, grids, free_place = state.figures.shape[0] > TIMES, state.grids, block.freed
    follower, vector_free, pooled = job.follower, block.vector, job.follower.rows * job.follower.cols
    (ny, kys), (nx, kxs), kcs = down.low.shape, across.low.shape, deep.low.shape[1]
    places, blocks, steps = images.low.shape[0] * ny * nx, len(channels.outputs), kys * kxs * kcs
    only = blocks == 1 and steps == 1  # all tiles use one tile of weights, which may stand from an earlier block

    kinds, figures, boxes, first, waits = state.kinds, state.figures, state.boxes, state.first, state.waits
    stores, recalled, earlier, standing = state.stores, state.recalled, state.earlier, state.standing[block.core]
    consumers, fills = state.consumers[block.core], state.fills[block.core]
    grid_first, grid_count, grid_next = grids.first, grids.count, grids.next
    i, w, stored = ends
    weight_load, input_load, last_compute, last_block, last_place, last_group = NONE, NONE, NONE, NONE, NONE, NONE
    weight_elements, input_elements, volume, last_pixels, last_outputs = NONE, NONE, NONE, NONE, NONE
    weight_size, input_size, weight_cycles, input_cycles, lanes, store_size, store_cycles = 0, 0, 0, 0, 0, 0, 0
    slot, sum_offset, tail, written = 0, 0, 0, 0
    last_write = last_write_cycles(streams.outputs, streams.outputs.write)
    # Summed up here and noted in the end: additions in memory took a third of the time.
    weight_bytes, input_bytes, output_fill, macs, requants, stream = 0, 0, 0, 0, 0, 0
    weight_reads, activation_reads, sum_writes, beside_bytes, beside_busy, busy_vector = 0, 0, 0, 0, 0, 0
    busy_weights, busy_inputs, busy_array, busy_requantizer, busy_stores = 0, 0, 0, 0, 0
    for slow in range(blocks if job.weights_outer else places):
        for fast in range(places if job.weights_outer else blocks):
            c, s = (slow, fast) if job.weights_outer else (fast, slow)
            x, n = s % nx, s // nx
            y, n = n % ny, n // ny
            oh, ow = min(tile.oh, layer.oh - y * tile.oh), min(tile.ow, layer.ow - x * tile.ow)
            images_here, outputs = images.high[n, 0] - images.low[n, 0], channels.outputs[c]
            pixels, channel = images_here * oh * ow, block.channel + channels.last[c] + 1 - outputs
            # Which of the kinds of tiles that `costs` holds this one is of.
            kind = (4 if images_here < tile.n else 0) + (2 if oh < tile.oh else 0) + (1 if ow < tile.ow else 0)
            part = 0 if outputs == channels.outputs[0] and channels.groups[c] == channels.groups[0] else 1
            for k in range(steps):
                kc, ky = k % kcs, k // kcs
                kx, ky = ky % kxs, ky // kxs
                kh, kw = min(tile.kh, layer.kh - ky * tile.kh), min(tile.kw, layer.kw - kx * tile.kw)
                ic = min(tile.ic, layer.ic - kc * tile.ic)
                reduction = (4 if kh < tile.kh else 0) + (2 if kw < tile.kw else 0) + (1 if ic < tile.ic else 0)
                # The reduction is innermost: with several steps every tile has other weights and inputs than the one before.
                new_weights = steps > 1 or c != last_block
                if new_weights:
                    free, stands = filled(consumers, WEIGHTS, machine.depth.weights), False
                    if whole:
                        slot = fills[WEIGHTS] % port.slots.weights
                        offset = offset_of(fills, WEIGHTS, port.slots.weights, machine.capacity.weights)
                        offset += machine.capacity.weights_at
                        # Nothing stands for long in a memory that is filled and read in turns.
                        stands = only and machine.depth.weights == port.slots.weights
                        stands &= standing[slot, LAYER] == block.layer and standing[slot, CHANNEL] == block.channel
                    if stands:
                        weight_load = standing[slot, OPERATION]
                    else:
                        groups = channels.groups[c]
                        held = held_weights(
                            operands.block_rows, operands.block_cols, kh * kw * ic, outputs // groups, groups
                        )
                        if held != weight_elements:
                            weight_elements = held
                            weight_size = packed_bytes(weight_elements, operands.weight_bits)
                            weight_cycles = moved(streams.weights, resident, weights_kept, weight_size)
                        by, late = (RECALL, 0) if weights_kept else (LOAD_WEIGHTS, streams.weights.latency_cycles)
                        put(kinds, figures, i, by, weight_cycles, late + costs.fill[part, reduction])
                        first[i] = w
                        if whole:
                            note(kinds, figures, i, Region(WEIGHTS, offset, weight_size), weight_size, right.number, 0)
                            cover(boxes, i, 0, channel, channel + outputs)
                            cover(boxes, i, 1, ky * tile.kh, ky * tile.kh + kh)
                            cover(boxes, i, 2, kx * tile.kw, kx * tile.kw + kw)
                            cover(boxes, i, 3, kc * tile.ic, kc * tile.ic + ic)
                        waits[w], w = free, w + int(free != NONE)
                        free = behind(consumers, WEIGHTS)
                        waits[w], w = free, w + int(free != NONE)
                        grid = right.grid
                        while grid != NONE:
                            place = grid_count[grid] - 1
                            if right.boxwise:
                                place = tiles_before(grids, grid, 0, channel, channel + outputs)
                                place += tiles_before(grids, grid, 1, ky * tile.kh, ky * tile.kh + kh)
                                place += tiles_before(grids, grid, 2, kx * tile.kw, kx * tile.kw + kw)
                                place += tiles_before(grids, grid, 3, kc * tile.ic, kc * tile.ic + ic)
                            if place >= 0:
                                waits[w], w = stores[grid_first[grid] + place], w + 1
                            grid = grid_next[grid]
                        if weights_kept:
                            if whole:
                                earlier[i] = recalled[right.keeper]
                            recalled[right.keeper] = i
                        weight_bytes += weight_size
                        busy_weights += weight_cycles
                        weight_load = i
                        i += 1
                    if whole:
                        standing[slot, LAYER], standing[slot, CHANNEL] = block.layer if only else NONE, block.channel
                        standing[slot, OPERATION] = weight_load
                if steps > 1 or s != last_place or channels.group[c] != last_group:
                    elements = (
                        images_here * (down.high[y, ky] - down.low[y, ky]) * (across.high[x, kx] - across.low[x, kx])
                    )
                    elements *= deep.high[c, kc] - deep.low[c, kc]
                    if elements != input_elements:
                        input_elements, input_size = elements, packed_bytes(elements, operands.activation_bits)
                        input_cycles = moved(streams.activations, resident, inputs_kept, input_size)
                    by, late = (RECALL, 0) if inputs_kept else (LOAD_ACTIVATIONS, streams.activations.latency_cycles)
                    free = filled(consumers, ACTIVATIONS, machine.depth.activations)
                    put(kinds, figures, i, by, input_cycles, late)
                    first[i] = w
                    if whole:
                        offset = offset_of(fills, ACTIVATIONS, port.slots.activations, machine.capacity.activations)
                        note(kinds, figures, i, Region(ACTIVATIONS, offset, input_size), input_size, left.number, 0)
                        cover(boxes, i, 0, images.low[n, 0], images.high[n, 0])
                        cover(boxes, i, 1, down.low[y, ky], down.high[y, ky])
                        cover(boxes, i, 2, across.low[x, kx], across.high[x, kx])
                        cover(boxes, i, 3, deep.low[c, kc], deep.high[c, kc])
                    waits[w], w = free, w + int(free != NONE)
                    free = behind(consumers, ACTIVATIONS)
                    waits[w], w = free, w + int(free != NONE)
                    grid, g = left.grid, 0
                    while grid != NONE:
                        place = grid_count[grid] - 1
                        if left.boxwise:  # what is all padding has no store under it
                            place = (
                                images.before[g, n, 0]
                                + down.before[g, y, ky]
                                + across.before[g, x, kx]
                                + deep.before[g, c, kc]
                            )
                        if place >= 0:
                            waits[w], w = stores[grid_first[grid] + place], w + 1
                        grid, g = grid_next[grid], g + 1
                    if inputs_kept:
                        if whole:
                            earlier[i] = recalled[left.keeper]
                        recalled[left.keeper] = i
                    input_bytes += input_size
                    busy_inputs += input_cycles
                    input_load = i
                    i += 1
                there = 0 if new_weights else 1
                busy, products = costs.cycles[kind, part, reduction, there], pixels * outputs * kh * kw * ic
                put(kinds, figures, i, COMPUTE, busy, costs.latency[kind, part, reduction, there])
                figures[LAG, i], tail = (
                    costs.lead[kind, part, reduction, there],
                    costs.tail[kind, part, reduction, there],
                )
                first[i] = w
                waits[w], waits[w + 1], w = weight_load, input_load, w + 2
                if k == 0:
                    free = filled(consumers, ACCUMULATORS, machine.depth.accumulators)
                    waits[w], w = free, w + int(free != NONE)
                elif whole or not port.pipelined:  # else it follows its sums through the array
                    waits[w], w = last_compute, w + 1
                if whole:
                    if k == 0:
                        sum_offset = offset_of(
                            fills, ACCUMULATORS, port.slots.accumulators, machine.capacity.accumulators
                        )
                    region = Region(ACCUMULATORS, sum_offset, pixels * outputs * operands.sum_words)
                    note(kinds, figures, i, region, products, NONE, 2 + int(k > 0))
                    figures[STREAM_CYCLES, i] = costs.stream[kind, part, reduction, there]
                    figures[WEIGHT_READS, i] = costs.weights[kind, part, reduction, there]
                    figures[ACTIVATION_READS, i] = costs.inputs[kind, part, reduction, there]
                    figures[ACCUMULATOR_WRITES, i] = costs.sums[kind, part, reduction, there] * operands.sum_words
                    cover(boxes, i, 0, images.low[n, 0], images.high[n, 0])
                    cover(boxes, i, 1, block.row + y * tile.oh, block.row + y * tile.oh + oh)
                    cover(boxes, i, 2, x * tile.ow, x * tile.ow + ow)
                    cover(boxes, i, 3, channel, channel + outputs)
                busy_array += busy
                stream += costs.stream[kind, part, reduction, there]
                weight_reads += costs.weights[kind, part, reduction, there]
                activation_reads += costs.inputs[kind, part, reduction, there]
                sum_writes += costs.sums[kind, part, reduction, there]
                macs += products
                consumers[WEIGHTS, 0], consumers[ACTIVATIONS, 0], last_compute = i, i, i
                i += 1
                last_block, last_place, last_group = c, s, channels.group[c]
            if pixels != last_pixels or outputs != last_outputs:
                volume, last_pixels, last_outputs = pixels * outputs, pixels, outputs
                lanes, leaving = requantize_cycles(machine.requantizer, volume), pixels // pooled
                written = store_size = packed_bytes(leaving * outputs, operands.output_bits)
                if not outputs_kept:
                    written = written_bytes(streams.outputs, leaving, outputs, operands.output_bits)
                if pooled > 1:  # the last windows of all channels end together
                    last_write = pooled_write(streams.outputs, outputs, operands.output_bits)
                store_cycles = moved_no_faster(
                    port.output, moved(streams.outputs, resident, outputs_kept, written), store_size
                )
            free, beside, side, on_vector = filled(consumers, OUTPUTS, machine.depth.outputs), NONE, 0, 0
            region = Region(OUTPUTS, 0, store_size)
            if whole:
                offset = offset_of(fills, OUTPUTS, port.slots.outputs, machine.capacity.outputs)
                region = Region(OUTPUTS, offset, store_size)
            if follower.operand.number != NONE:
                y0, low = block.row + y * tile.oh, images.low[n, 0]
                box = (low, y0, x * tile.ow, channel), (low + images_here, y0 + oh, x * tile.ow + ow, channel + outputs)
                found = load_beside(follower, machine, region, free, box, state, (i, w))
                beside, w, side, i = found.operation, found.waits, found.size, i + 1
                beside_bytes, beside_busy = beside_bytes + side, beside_busy + found.cycles
            if follower.steps > 0:
                on_vector = vector_of_pass(follower, port, volume, side)
            busy = max(lanes, on_vector)
            put(kinds, figures, i, REQUANTIZE, busy, machine.requantizer.stages)
            figures[LAG, i] = tail
            first[i] = w
            waits[w], w = last_compute, w + 1
            waits[w], w = free, w + int(free != NONE)
            if whole:
                note(kinds, figures, i, region, volume, NONE, 1)
            consumers[ACCUMULATORS, 0] = i
            i += 1
            if follower.steps > 0:  # which begins with the requantizer, when both and what is read beside are there
                waits[w], w = beside, w + int(beside != NONE)
                waits[w], w = vector_free, w + int(vector_free != NONE)
                vector_free = NONE
                w = put_vector(follower, machine, region, volume, on_vector, beside, state, (i, w))
                i += 1
            by, late = (KEEP, 0) if outputs_kept else (STORE, streams.outputs.latency_cycles)
            put(kinds, figures, i, by, store_cycles, late)
            figures[LAG, i] = last_write
            first[i] = w
            waits[w], w = i - 1, w + 1
            if whole:
                region = Region(RESIDENT if outputs_kept else DRAM, max(block.address, 0), store_size)
                note(kinds, figures, i, region, store_size, NONE, 1)
                if not outputs_kept:
                    figures[BUS_BYTES, i] = written
                for a in range(4):
                    low, high = boxes[0, last_compute, a], boxes[1, last_compute, a]
                    cover(boxes, i - 1 - int(follower.steps > 0), a, low, high)
                    window = follower.rows if a == 1 else follower.cols if a == 2 else 1
                    for o in range(i - int(follower.steps > 0), i + 1):
                        cover(boxes, o, a, low // window, high // window)
                if block.window > 0:
                    high = boxes[1, i, block.axis]
                    free_place = max(free_place, freed(block, high, recalled[block.keeper], boxes, earlier))
            waits[w], w = free_place, w + int(free_place != NONE)
            free_place = NONE  # what stood in the place before holds up the first store alone
            consumers[OUTPUTS, 0] = stores[stored] = i
            busy_requantizer, busy_vector = busy_requantizer + busy, busy_vector + on_vector
            requants += volume
            output_fill += store_size
            busy_stores += store_cycles
            stored += 1
            i += 1
    loaded, loading = (0, 0) if weights_kept else (weight_bytes, busy_weights)
    fetched, fetching = (0, 0) if inputs_kept else (input_bytes, busy_inputs)
    kept, keeping = (output_fill, busy_stores) if outputs_kept else (0, 0)
    return Ends(i, w, stored), Did(
        i - ends.operations, stored - ends.stores, macs, loaded, fetched,
        weight_bytes - loaded + input_bytes - fetched, weight_bytes - loaded, output_fill - kept, kept,
        loaded, input_bytes, output_fill, weight_reads, activation_reads, sum_writes * operands.sum_words, requants,
        requants * follower.steps, stream, busy_stores - keeping, fetching, loading, busy_array, busy_requantizer, busy_vector, keeping,
        busy_weights - loading + busy_inputs - fetching, beside_bytes, beside_busy,
    )  # fmt: skip


@tiered(lambda job, *rest: _STEPS * nest_of(job.layer, job.tile).computes)
def mac_block(
    job: MacJob, machine: Machine, port: Port, left: Source, right: Source, block: Block, state: State, ends: Ends
) -> Ends:
    """:func:`mac_operations` for Python: where they end."""
    end, _ = mac_operations(job, machine, port, left, right, block, state, ends)
    return end
