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


@inner
def weight_stationary(array: Array, tile: Tile) -> TileCost:
    """Reduction over rows, channels over columns."""
    rows, cols = array.rows, array.cols
    held = parts(tile.reduction, array.products)
    row_folds, col_folds = parts(held, rows), parts(tile.channels, cols)
    packed = max(1, min(rows // held, cols // tile.channels))
    folds = parts(tile.groups, packed) * row_folds * col_folds
    stream = tile.pixels * array.passes
    stays = tile.kept and folds == 1
    drain = rows + cols - 2 + array.stages
    latency = 0
    if array.overlapped:  # as if all shift in: a kept tile follows the one before through the array
        cycles = stream if stays else folds * max(stream, rows)
        latency = rows + (folds - 1) * max(stream, rows) + stream + drain - cycles
    else:
        cycles = folds * (rows + stream + drain) - (rows if stays else 0)
    weights = 0 if stays else tile.groups * tile.reduction * tile.channels
    reads = tile.groups * tile.pixels * tile.reduction * col_folds
    writes = tile.groups * tile.pixels * tile.channels * row_folds
    return TileCost(cycles, folds * stream, weights, reads, writes, latency)


@inner
def input_stationary(array: Array, tile: Tile) -> TileCost:
    """Weight-stationary with the operands exchanged; every tile shifts its inputs in anew."""
    turned = weight_stationary(array, Tile(tile.channels, tile.reduction, tile.pixels, tile.groups, False))
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
    stream = parts(tile.reduction, array.products) * array.passes
    cycles = folds * (stream + array.rows + array.cols - 2 + array.stages)
    weights = tile.groups * tile.reduction * tile.channels * row_folds
    reads = tile.groups * tile.pixels * tile.reduction * col_folds
    return TileCost(cycles, folds * stream, weights, reads, tile.groups * tile.pixels * tile.channels, 0)


@inner
def adder_tree(array: Array, tile: Tile) -> TileCost:
    """Reduction over the rows of each column's tree, channels over columns; groups share no fold."""
    row_folds, col_folds = parts(tile.reduction, array.rows), parts(tile.channels, array.cols)
    folds = tile.groups * row_folds * col_folds
    weights = 0 if tile.kept and folds == 1 else tile.groups * tile.reduction * tile.channels
    reads = tile.groups * tile.pixels * tile.reduction * col_folds
    writes = tile.groups * tile.pixels * tile.channels * row_folds
    stream = folds * tile.pixels * array.passes
    return TileCost(stream, stream, weights, reads, writes, array.stages)


@inner
def tile_cost(array: Array, tile: Tile) -> TileCost:
    """Of one tile on ``array``, no faster than the buffers deliver its operands."""
    if array.dataflow == WEIGHT_STATIONARY:
        cost = weight_stationary(array, tile)
    elif array.dataflow == INPUT_STATIONARY:
        cost = input_stationary(array, tile)
    elif array.dataflow == ADDER_TREE:
        cost = adder_tree(array, tile)
    elif array.dataflow == OUTPUT_STATIONARY:
        cost = output_stationary(array, tile)
    else:  # a dataflow without a branch: cycles that no Program may have (an exception here would slow every mapper)
        return TileCost(-1, 0, 0, 0, 0, 0)
    cycles = cost.cycles
    if array.weight_port > 0:
        cycles = max(cycles, parts(cost.weight_reads * array.weight_bits, array.weight_port))
    if array.activation_port > 0:
        cycles = max(cycles, parts(cost.activation_reads * array.activation_bits, array.activation_port))
    return TileCost(
        cycles, cost.stream_cycles, cost.weight_reads, cost.activation_reads, cost.accumulator_writes, cost.latency
    )


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
        f"no equations for dataflow {missing[0]!r}; write {missing[0]}(array, tile) in {__name__} and its branch in tile_cost"
    )
