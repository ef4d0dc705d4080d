"""Cycles and accesses of one compute tile, as compiled scalars: the equations of :mod:`accelsim.hardware.array`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.arch import DATAFLOWS
from accelsim.errors import ConfigError
from accelsim.hardware.parts import Array
from accelsim.numba_cache import inlined, inner, tiered

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY, ADDER_TREE = (
    tuple(DATAFLOWS).index(name)
    for name in ("weight_stationary", "output_stationary", "input_stationary", "adder_tree")
)
"""Codes of the dataflows."""


class Tile(NamedTuple):
    """A compute tile: ``groups`` products (pixels x reduction) @ (reduction x channels), the reduction being ``taps`` of ``depth``
    input channels each; ``kept``: the weights stand there already."""

    pixels: int
    taps: int
    depth: int
    channels: int
    groups: int
    kept: bool


class TileCost(NamedTuple):
    """Cycles on the array, those that stream, element accesses, and the latency behind the cycles."""

    cycles: int
    stream_cycles: int
    weight_reads: int
    activation_reads: int
    accumulator_writes: int
    latency: int


class LastSums(NamedTuple):
    """``first``: cycles from the start of a tile until the first vector of final sums is there. The last fold has so many ``vectors`` of
    them, ``spacing`` cycles apart, of ``size`` sums. All folds of the same columns (of a tree the last two stripes) have ``block``
    such vectors, the first of them ``span`` cycles before the last one. The last group, or the last ones that share folds, has so many sums
    (``group``) in all, the first ones ``group_span`` cycles before the last vector, which comes ``idle`` cycles before the tile ends."""

    first: int
    vectors: int
    spacing: int
    size: int
    block: int
    span: int
    group: int
    group_span: int
    idle: int


FIGURES = len(TileCost._fields)


@inner
def parts(size: int, unit: int) -> int:
    """``size / unit`` rounded up."""
    return (size + unit - 1) // unit


@inner
def _rest(size: int, unit: int) -> int:
    """What is left of ``size`` for the last of ``units``: a whole one where nothing is."""
    return size - (parts(size, unit) - 1) * unit


class Folds(NamedTuple):
    """What the tiles of the same reduction, channels and groups have in common: folds, and how many of them one sum takes in turn
    (``deep``); elements read of the weights and, per pixel, of the activations, accumulators written per pixel; sums that leave the last
    of them at once; column folds of a group, and channels of the last ones that share folds."""

    folds: int
    deep: int
    weights: int
    reads: int
    writes: int
    size: int
    across: int
    channels: int


@inner
def held_steps(array: Array, taps: int, depth: int) -> int:
    """Steps of a sum as rows, or cycles, hold them: products of the MACs, taps side by side or each padded to its rows."""
    if not array.by_tap:
        return parts(taps * depth, array.products)
    steps = parts(depth, array.products)
    return taps * (
        steps
        if array.dataflow == OUTPUT_STATIONARY
        else parts(steps, array.rows - array.extra) * (array.rows - array.extra)
    )


@inner
def weight_folds(array: Array, taps: int, depth: int, channels: int, groups: int) -> Folds:
    """Reduction over rows, channels over columns; groups share a fold where both leave room."""
    rows, cols, reduction = array.rows, array.cols, taps * depth
    held = held_steps(array, taps, depth)
    row_folds, col_folds = parts(held, rows - array.extra), parts(channels, cols)
    packed = 1
    if groups > 1 and row_folds == 1 and col_folds == 1:
        packed = min(rows // (held + array.extra), cols // channels)
    folds = parts(groups, packed) * row_folds * col_folds
    return Folds(
        folds, row_folds, groups * reduction * channels, groups * reduction * col_folds, groups * channels * row_folds,
        _rest(channels, cols) * _rest(groups, packed), col_folds, channels * _rest(groups, packed),
    )  # fmt: skip


@inner
def weight_stationary(array: Array, held: Folds, pixels: int, kept: bool) -> TileCost:
    """Folds of weights, past which the pixels stream."""
    rows, folds = array.rows, held.folds
    stream = pixels * array.passes
    stays = kept and folds == 1
    drain = rows + array.cols - 2 + array.stages
    if array.overlapped:  # as if all shift in: a kept tile follows the one before through the array
        each = max(stream, rows)
        cycles = stream if stays else folds * each
        latency = rows + (folds - 1) * each + stream + drain - cycles
    else:
        shift, behind = 0 if stays else rows, 0 if array.drains_behind else drain
        cycles = shift + stream + behind + (folds - 1) * (rows + stream + behind)
        latency = drain - behind
    weights = 0 if stays else held.weights
    return TileCost(cycles, folds * stream, weights, pixels * held.reads, pixels * held.writes, latency)


@inner
def last_of_weight_stationary(array: Array, held: Folds, pixels: int, kept: bool) -> LastSums:
    """Behind the first pixel of the last step of a sum."""
    rows = array.rows
    stream, drain = pixels * array.passes, rows + array.cols - 2 + array.stages
    if array.overlapped:
        shift, each = rows, max(stream, rows)
    else:
        shift, each = 0 if kept and held.folds == 1 else rows, rows + stream + (0 if array.drains_behind else drain)
    first, span = shift + (held.deep - 1) * each + array.passes + drain, (pixels - 1) * array.passes
    others = (held.across - 1) * held.deep * (each + array.fold_issue)
    return LastSums(first, pixels, array.passes, held.size, pixels, span, pixels * held.channels, others + span, 0)


@inner
def input_stationary(array: Array, tile: Tile) -> TileCost:
    """Weight-stationary with the operands exchanged; every tile shifts its inputs in anew."""
    held = weight_folds(array, tile.taps, tile.depth, tile.pixels, tile.groups)
    turned = weight_stationary(array, held, tile.channels, False)
    return TileCost(
        turned.cycles, turned.stream_cycles, turned.activation_reads, turned.weight_reads, turned.accumulator_writes, turned.latency
    )  # fmt: skip


@inner
def output_stationary(array: Array, tile: Tile) -> TileCost:
    """Pixels over rows, channels over columns."""
    row_folds, col_folds = parts(tile.pixels, array.rows), parts(tile.channels, array.cols)
    folds, reduction = tile.groups * row_folds * col_folds, tile.taps * tile.depth
    stream = (held_steps(array, tile.taps, tile.depth) + array.extra) * array.passes
    drain = array.rows + array.cols - 2 + array.stages
    if array.drains_behind:  # a row of sums leaves in each cycle
        each = max(stream, array.rows)
        cycles = folds * each
        latency = stream + drain - each
    else:
        cycles, latency = folds * (stream + drain), 0
    weights = tile.groups * reduction * tile.channels * row_folds
    reads = tile.groups * tile.pixels * reduction * col_folds
    return TileCost(cycles, folds * stream, weights, reads, tile.groups * tile.pixels * tile.channels, latency)


@inner
def last_of_output_stationary(array: Array, tile: Tile) -> LastSums:
    """Behind the last product of the first row. Rows without pixels leave behind those of the last fold."""
    stream, rows = _stream_of(array, tile), array.rows
    behind = array.cols - 1 + array.stages
    each = max(stream, rows) if array.drains_behind else stream + rows - 1 + behind
    vectors = _rest(tile.pixels, rows)
    span = (parts(tile.pixels, rows) - 1) * (each + array.fold_issue) + vectors - 1
    others = (parts(tile.channels, array.cols) - 1) * parts(tile.pixels, rows) * (each + array.fold_issue)
    return LastSums(
        stream + behind, vectors, 1, _rest(tile.channels, array.cols), tile.pixels, span, tile.pixels * tile.channels, others + span,
        rows - vectors,
    )  # fmt: skip


@inner
def _stepped(array: Array, taps: int, row_folds: int) -> int:
    """Folds of a sum in whole steps, each of the channels of one tap or of as many taps."""
    if array.step == 1:
        return row_folds
    each = row_folds // taps
    return array.step * min(parts(taps, array.step) * each, taps * parts(each, array.step))


@inner
def _beside(array: Array, channels: int, groups: int) -> int:
    """Groups that stand beside each other in the columns of an adder tree."""
    return max(1, min(groups, array.cols // channels)) if array.beside else 1


@inner
def tree_folds(array: Array, taps: int, depth: int, channels: int, groups: int) -> Folds:
    """Reduction over the rows of each column's tree, channels over columns; groups share a fold where they stand beside each other."""
    held, reduction = held_steps(array, taps, depth), taps * depth
    row_folds, col_folds = parts(held, array.rows - array.extra), parts(channels, array.cols)
    packed, deep = _beside(array, channels, groups), _stepped(array, taps, row_folds)
    folds = parts(groups, packed) * deep * col_folds
    return Folds(
        folds, deep, groups * reduction * channels, groups * reduction * col_folds, groups * channels * row_folds,
        _rest(channels, array.cols) * _rest(groups, packed), col_folds, channels * _rest(groups, packed),
    )  # fmt: skip


@inner
def adder_tree(array: Array, held: Folds, pixels: int, kept: bool) -> TileCost:
    """A pixel a pass in every fold; where pixels pass in stripes, each stripe passes all folds of its sums."""
    weights = 0 if kept and held.folds == 1 else held.weights * _fillings(array, held, pixels)
    cycles = held.folds * pixels * array.passes
    return TileCost(cycles, cycles, weights, pixels * held.reads, pixels * held.writes, array.stages)


@inner
def last_of_adder_tree(array: Array, held: Folds, pixels: int) -> LastSums:
    """Behind the first pixel of the last step of the first stripe's sums; the last stripe follows by itself."""
    together = _together(array, pixels)
    first = ((held.deep - 1) * together + 1) * array.passes + array.stages
    more = _fillings(array, held, pixels) - 1
    whole = held.deep * (pixels * array.passes + (1 + more) * array.fold_issue)
    span = (held.deep * pixels - (held.deep - 1) * together - 1) * array.passes + more * held.deep * array.fold_issue
    last = _rest(pixels, together)  # the stripe before it is whole, and this one may be there sooner
    two, since = (last, last - 1) if pixels == last else (together + last, together - 1 + held.deep * last)
    issue = held.deep * array.fold_issue if more > 0 else 0
    return LastSums(
        first, last, array.passes, held.size, two, since * array.passes + issue, pixels * held.channels,
        (held.across - 1) * whole + span, 0,
    )  # fmt: skip


@inner
def _together(array: Array, pixels: int) -> int:
    """Pixels that pass all folds of their sums before others do."""
    return pixels if array.stripe == 0 else min(array.stripe, pixels)


@inner
def _fillings(array: Array, held: Folds, pixels: int) -> int:
    """How often the weights of each fold fill the registers of an adder tree: for every stripe, unless a sum takes but one fold."""
    return parts(pixels, _together(array, pixels)) if array.dataflow == ADDER_TREE and held.deep > 1 else 1


@inner
def folds_of(array: Array, taps: int, depth: int, channels: int, groups: int) -> Folds:
    """Where the weights stand while pixels stream; else folds are of pixels too, and of a sum there is one."""
    if array.dataflow == WEIGHT_STATIONARY:
        return weight_folds(array, taps, depth, channels, groups)
    if array.dataflow == ADDER_TREE:
        return tree_folds(array, taps, depth, channels, groups)
    deep = parts(held_steps(array, taps, depth), array.rows) if array.dataflow == INPUT_STATIONARY else 1
    return Folds(0, deep, 0, 0, 0, 0, 0, 0)


@inlined
def _own_cost(array: Array, held: Folds, tile: Tile) -> TileCost:
    """Of one tile whose operands are there when the array wants them."""
    if array.dataflow == WEIGHT_STATIONARY:
        return weight_stationary(array, held, tile.pixels, tile.kept)
    if array.dataflow == INPUT_STATIONARY:
        return input_stationary(array, tile)
    if array.dataflow == ADDER_TREE:
        return adder_tree(array, held, tile.pixels, tile.kept)
    if array.dataflow == OUTPUT_STATIONARY:
        return output_stationary(array, tile)
    # A dataflow without a branch: cycles that no Program may have (an exception here would slow every mapper).
    return TileCost(-1, 0, 0, 0, 0, 0)


@inlined
def _delivered(array: Array, cost: TileCost) -> int:
    """Cycles in which the buffers' ports and decoders deliver a tile's operands; 0 where nothing bounds them."""
    port = 0
    if array.weight_port > 0:
        port = parts(cost.weight_reads * array.weight_bits, array.weight_port)
    if array.activation_port > 0:
        port = max(port, parts(cost.activation_reads * array.activation_bits, array.activation_port))
    if array.decoders > 0:
        port = max(port, parts(cost.weight_reads, array.decoders))
    return port


@inner
def held_cost(array: Array, held: Folds, tile: Tile) -> TileCost:
    """Of one tile on ``array``, whose :func:`folds_of` are ``held``, no faster than the buffers deliver its operands."""
    cost = _own_cost(array, held, tile)
    if cost.cycles < 0:
        return cost
    port = _delivered(array, cost)
    cycles, latency = max(cost.cycles, port), cost.latency
    issued = array.tile_issue + array.fold_issue > 0
    if issued or (port > 0 and (array.overlapped or array.drains_behind)):
        stream = max(1, _stream_of(array, tile))
        folds = max(1, cost.stream_cycles // stream)
        if array.overlapped or array.drains_behind:
            # Late operands take the time in which the last, short fold would hold the array for nothing.
            idle = max(0, cost.cycles // folds - stream)
            latency += min(max(0, parts(port, folds) - stream), idle)
        cycles += array.tile_issue + folds * _fillings(array, held, tile.pixels) * array.fold_issue
    return TileCost(
        cycles, cost.stream_cycles, cost.weight_reads, cost.activation_reads, cost.accumulator_writes, latency
    )


@inner
def last_sums(array: Array, held: Folds, tile: Tile) -> LastSums:
    """When a unit that streams finds the final sums of one tile, as :func:`held_cost` has it; operands that come late hold up the first
    ones in proportion."""
    if array.dataflow == WEIGHT_STATIONARY:
        last = last_of_weight_stationary(array, held, tile.pixels, tile.kept)
    elif array.dataflow == INPUT_STATIONARY:
        turned = weight_folds(array, tile.taps, tile.depth, tile.pixels, tile.groups)
        last = last_of_weight_stationary(array, turned, tile.channels, False)
    elif array.dataflow == ADDER_TREE:
        last = last_of_adder_tree(array, held, tile.pixels)
    else:
        last = last_of_output_stationary(array, tile)
    cost, first = _own_cost(array, held, tile), last.first
    port = _delivered(array, cost)
    if port > cost.cycles:
        first = parts(first * port, cost.cycles)
    first += array.tile_issue + held.deep * array.fold_issue
    return LastSums(
        first, last.vectors, last.spacing, last.size, last.block, last.span, last.group, last.group_span, last.idle
    )


@inner
def fill_of(array: Array, taps: int, depth: int, channels: int, groups: int) -> int:
    """Cycles from when a tile's weights are in their buffer until those of its first fold stand in the registers of an adder tree, which
    the buffer's port fills; in systolic arrays it is part of what the tile takes."""
    if array.dataflow != ADDER_TREE or array.weight_port == 0:
        return 0
    wide = min(array.cols, channels) * _beside(array, channels, groups)
    held = min(array.rows, depth if array.by_tap else taps * depth) * wide
    return parts(held * array.weight_bits, array.weight_port)


@inner
def _stream_of(array: Array, tile: Tile) -> int:
    """Cycles in which operands stream past one fold."""
    if array.dataflow == OUTPUT_STATIONARY:
        return (held_steps(array, tile.taps, tile.depth) + array.extra) * array.passes
    return (tile.channels if array.dataflow == INPUT_STATIONARY else tile.pixels) * array.passes


@inner
def tile_cost(array: Array, tile: Tile) -> TileCost:
    """:func:`held_cost` of a tile by itself."""
    return held_cost(array, folds_of(array, tile.taps, tile.depth, tile.channels, tile.groups), tile)


@tiered(lambda array, sizes: sizes.shape[1])
def tile_costs(array: Array, sizes: Any) -> Any:
    """:func:`tile_cost` of every column of ``sizes`` (the fields of :class:`Tile`), int64 (FIGURES, tiles)."""
    pixels, taps, depth, channels, groups, kept = sizes
    costs = np.empty((FIGURES, pixels.size), dtype=np.int64)
    for i in range(pixels.size):
        cost = tile_cost(array, Tile(pixels[i], taps[i], depth[i], channels[i], groups[i], kept[i] != 0))
        costs[0, i], costs[1, i], costs[2, i] = cost.cycles, cost.stream_cycles, cost.weight_reads
        costs[3, i], costs[4, i], costs[5, i] = cost.activation_reads, cost.accumulator_writes, cost.latency
    return costs


if missing := [name for name in DATAFLOWS if name not in globals()]:
    raise ConfigError(
        f"no equations for dataflow {missing[0]!r}; write {missing[0]}(array, tile) in {__name__} and its branch in held_cost"
    )
