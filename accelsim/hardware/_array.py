"""Cycles and accesses of one compute tile, as compiled scalars: the equations of :mod:`accelsim.hardware.array`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.arch import DATAFLOWS
from accelsim.errors import ConfigError
from accelsim.hardware.parts import Array
from accelsim.numba_cache import inner, tiered

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY, ADDER_TREE = (
    tuple(DATAFLOWS).index(name)
    for name in ("weight_stationary", "output_stationary", "input_stationary", "adder_tree")
)
"""Codes of the dataflows."""


class Tile(NamedTuple):
    """A compute tile: ``groups`` products (pixels x reduction) @ (reduction x channels); ``kept``: the weights stand there already."""

    pixels: int
    reduction: int
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


FIGURES = len(TileCost._fields)


@inner
def parts(size: int, unit: int) -> int:
    """``size / unit`` rounded up."""
    return (size + unit - 1) // unit


class Folds(NamedTuple):
    """What the tiles of the same reduction, channels and groups have in common: folds, elements read of the weights and, per pixel, of the
    activations, accumulators written per pixel."""

    folds: int
    weights: int
    reads: int
    writes: int


@inner
def weight_folds(array: Array, reduction: int, channels: int, groups: int) -> Folds:
    """Reduction over rows, channels over columns; groups share a fold where both leave room."""
    rows, cols = array.rows, array.cols
    held = parts(reduction, array.products)
    row_folds, col_folds = parts(held, rows - array.extra), parts(channels, cols)
    packed = 1
    if groups > 1 and row_folds == 1 and col_folds == 1:
        packed = min(rows // (held + array.extra), cols // channels)
    folds = parts(groups, packed) * row_folds * col_folds
    return Folds(folds, groups * reduction * channels, groups * reduction * col_folds, groups * channels * row_folds)


@inner
def weight_stationary(array: Array, held: Folds, pixels: int, kept: bool) -> TileCost:
    """Folds of weights, past which the pixels stream."""
    rows, folds = array.rows, held.folds
    stream = pixels * array.passes
    stays = kept and folds == 1
    drain = rows + array.cols - 2 + array.stages
    latency = 0
    if array.overlapped:  # as if all shift in: a kept tile follows the one before through the array
        cycles = stream if stays else folds * max(stream, rows)
        latency = rows + (folds - 1) * max(stream, rows) + stream + drain - cycles
    else:
        cycles = folds * (rows + stream + drain) - (rows if stays else 0)
    weights = 0 if stays else held.weights
    return TileCost(cycles, folds * stream, weights, pixels * held.reads, pixels * held.writes, latency)


@inner
def input_stationary(array: Array, tile: Tile) -> TileCost:
    """Weight-stationary with the operands exchanged; every tile shifts its inputs in anew."""
    held = weight_folds(array, tile.reduction, tile.pixels, tile.groups)
    turned = weight_stationary(array, held, tile.channels, False)
    return TileCost(
        turned.cycles,
        turned.stream_cycles,
        turned.activation_reads,
        turned.weight_reads,
        turned.accumulator_writes,
        turned.latency,
    )


@inner
def output_stationary(array: Array, tile: Tile) -> TileCost:
    """Pixels over rows, channels over columns."""
    row_folds, col_folds = parts(tile.pixels, array.rows), parts(tile.channels, array.cols)
    folds = tile.groups * row_folds * col_folds
    stream = (parts(tile.reduction, array.products) + array.extra) * array.passes
    cycles = folds * (stream + array.rows + array.cols - 2 + array.stages)
    weights = tile.groups * tile.reduction * tile.channels * row_folds
    reads = tile.groups * tile.pixels * tile.reduction * col_folds
    return TileCost(cycles, folds * stream, weights, reads, tile.groups * tile.pixels * tile.channels, 0)


@inner
def tree_folds(array: Array, reduction: int, channels: int, groups: int) -> Folds:
    """Reduction over the rows of each column's tree, channels over columns; groups share no fold."""
    row_folds, col_folds = parts(reduction, array.rows - array.extra), parts(channels, array.cols)
    folds = groups * row_folds * col_folds
    return Folds(folds, groups * reduction * channels, groups * reduction * col_folds, groups * channels * row_folds)


@inner
def adder_tree(array: Array, held: Folds, pixels: int, kept: bool) -> TileCost:
    """A pixel a pass in every fold."""
    weights = 0 if kept and held.folds == 1 else held.weights
    stream = held.folds * pixels * array.passes
    return TileCost(stream, stream, weights, pixels * held.reads, pixels * held.writes, array.stages)


@inner
def folds_of(array: Array, reduction: int, channels: int, groups: int) -> Folds:
    """Where the weights stand while pixels stream; else nothing."""
    if array.dataflow == WEIGHT_STATIONARY:
        return weight_folds(array, reduction, channels, groups)
    if array.dataflow == ADDER_TREE:
        return tree_folds(array, reduction, channels, groups)
    return Folds(0, 0, 0, 0)


@inner
def held_cost(array: Array, held: Folds, tile: Tile) -> TileCost:
    """Of one tile on ``array``, whose :func:`folds_of` are ``held``, no faster than the buffers deliver its operands."""
    if array.dataflow == WEIGHT_STATIONARY:
        cost = weight_stationary(array, held, tile.pixels, tile.kept)
    elif array.dataflow == INPUT_STATIONARY:
        cost = input_stationary(array, tile)
    elif array.dataflow == ADDER_TREE:
        cost = adder_tree(array, held, tile.pixels, tile.kept)
    elif array.dataflow == OUTPUT_STATIONARY:
        cost = output_stationary(array, tile)
    else:  # a dataflow without a branch: cycles that no Program may have (an exception here would slow every mapper)
        return TileCost(-1, 0, 0, 0, 0, 0)
    cycles = cost.cycles
    if array.weight_port > 0:
        cycles = max(cycles, parts(cost.weight_reads * array.weight_bits, array.weight_port))
    if array.activation_port > 0:
        cycles = max(cycles, parts(cost.activation_reads * array.activation_bits, array.activation_port))
    if array.decoders > 0:
        cycles = max(cycles, parts(cost.weight_reads, array.decoders))
    return TileCost(
        cycles, cost.stream_cycles, cost.weight_reads, cost.activation_reads, cost.accumulator_writes, cost.latency
    )


@inner
def tile_cost(array: Array, tile: Tile) -> TileCost:
    """:func:`held_cost` of a tile by itself."""
    return held_cost(array, folds_of(array, tile.reduction, tile.channels, tile.groups), tile)


@tiered(lambda array, sizes: sizes.shape[1])
def tile_costs(array: Array, sizes: Any) -> Any:
    """:func:`tile_cost` of every column of ``sizes`` (the fields of :class:`Tile`), int64 (FIGURES, tiles)."""
    pixels, reduction, channels, groups, kept = sizes
    costs = np.empty((FIGURES, pixels.size), dtype=np.int64)
    for i in range(pixels.size):
        cost = tile_cost(array, Tile(pixels[i], reduction[i], channels[i], groups[i], kept[i] != 0))
        costs[0, i], costs[1, i], costs[2, i] = cost.cycles, cost.stream_cycles, cost.weight_reads
        costs[3, i], costs[4, i], costs[5, i] = cost.activation_reads, cost.accumulator_writes, cost.latency
    return costs


if missing := [name for name in DATAFLOWS if name not in globals()]:
    raise ConfigError(
        f"no equations for dataflow {missing[0]!r}; write {missing[0]}(array, tile) in {__name__} and its branch in held_cost"
    )
