"""Cycles and accesses of one compute tile, as compiled scalars: the equations of :mod:`accelsim.hardware.array`."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY, ADDER_TREE = range(4)
"""Dataflow codes."""
FIGURES = 6
"""Of one tile: cycles, streaming cycles, weight reads, activation reads, accumulator writes, latency."""


@njit
def parts(size: int, unit: int) -> int:
    """``size / unit`` rounded up."""
    return (size + unit - 1) // unit


@njit
def weight_stationary(
    rows: int,
    cols: int,
    stages: int,
    overlapped: bool,
    passes: int,
    products: int,
    pixels: int,
    reduction: int,
    channels: int,
    groups: int,
    kept: bool,
) -> Any:
    """(cycles, streaming cycles, weight reads, activation reads, accumulator writes, latency)."""
    held = parts(reduction, products)
    row_folds, col_folds = parts(held, rows), parts(channels, cols)
    packed = max(1, min(rows // held, cols // channels))
    folds = parts(groups, packed) * row_folds * col_folds
    stream = pixels * passes
    stays = kept and folds == 1
    latency = 0
    if overlapped:  # as if all shift in: a kept tile follows the one before through the array
        cycles = stream if stays else folds * max(stream, rows)
        alone = rows + (folds - 1) * max(stream, rows) + stream + rows + cols - 2 + stages
        latency = alone - cycles
    else:
        cycles = folds * (rows + stream + rows + cols - 2 + stages)
        cycles -= rows if stays else 0
    weights = 0 if stays else groups * reduction * channels
    reads = groups * pixels * reduction * col_folds
    return cycles, folds * stream, weights, reads, groups * pixels * channels * row_folds, latency


@njit
def output_stationary(
    rows: int,
    cols: int,
    stages: int,
    passes: int,
    products: int,
    pixels: int,
    reduction: int,
    channels: int,
    groups: int,
) -> Any:
    """(cycles, streaming cycles, weight reads, activation reads, accumulator writes, latency)."""
    row_folds, col_folds = parts(pixels, rows), parts(channels, cols)
    folds = groups * row_folds * col_folds
    stream = parts(reduction, products) * passes
    weights = groups * reduction * channels * row_folds
    reads = groups * pixels * reduction * col_folds
    return folds * (stream + rows + cols - 2 + stages), folds * stream, weights, reads, groups * pixels * channels, 0


@njit
def adder_tree(
    rows: int, cols: int, stages: int, passes: int, pixels: int, reduction: int, channels: int, groups: int, kept: bool
) -> Any:
    """(cycles, streaming cycles, weight reads, activation reads, accumulator writes, latency)."""
    row_folds, col_folds = parts(reduction, rows), parts(channels, cols)
    folds = groups * row_folds * col_folds
    weights = 0 if kept and folds == 1 else groups * reduction * channels
    reads = groups * pixels * reduction * col_folds
    stream = folds * pixels * passes
    return stream, stream, weights, reads, groups * pixels * channels * row_folds, stages


@njit
def tile_cost(array: Any, pixels: int, reduction: int, channels: int, groups: int, kept: bool) -> Any:
    """Of one tile on ``array``: (dataflow, rows, cols, overlapped, passes, products, weight bits, bits of the weight buffer per
    cycle or 0, activation bits, bits of the activation buffer per cycle or 0, pipeline stages)."""
    rows, cols, passes, products, stages = array[1], array[2], array[4], array[5], array[10]
    if array[0] == WEIGHT_STATIONARY:
        cost = weight_stationary(
            rows, cols, stages, array[3] != 0, passes, products, pixels, reduction, channels, groups, kept
        )
    elif array[0] == INPUT_STATIONARY:
        turned = weight_stationary(
            rows, cols, stages, array[3] != 0, passes, products, channels, reduction, pixels, groups, False
        )
        cost = turned[0], turned[1], turned[3], turned[2], turned[4], turned[5]
    elif array[0] == ADDER_TREE:
        cost = adder_tree(rows, cols, stages, passes, pixels, reduction, channels, groups, kept)
    else:
        cost = output_stationary(rows, cols, stages, passes, products, pixels, reduction, channels, groups)
    cycles = cost[0]
    if array[7] > 0:
        cycles = max(cycles, parts(cost[2] * array[6], array[7]))
    if array[9] > 0:
        cycles = max(cycles, parts(cost[3] * array[8], array[9]))
    return cycles, cost[1], cost[2], cost[3], cost[4], cost[5]


@njit
def tile_costs(array: Any, sizes: Any) -> Any:
    """:func:`tile_cost` of every column of ``sizes`` (pixels, reduction, channels, groups, kept), int64 (FIGURES, tiles)."""
    costs = np.empty((FIGURES, sizes.shape[1]), dtype=np.int64)
    for i in range(sizes.shape[1]):
        cost = tile_cost(array, sizes[0, i], sizes[1, i], sizes[2, i], sizes[3, i], sizes[4, i] != 0)
        for k in range(FIGURES):
            costs[k, i] = cost[k]
    return costs
