"""Cycles and accesses of one compute tile on the array, in closed form.

A compute tile is ``groups`` independent products (pixels x reduction) @ (reduction x channels). It is cut into *folds* that
fill the R x C array once each:

* weight-stationary: reduction over rows, channels over columns; R cycles to shift the weights in, then ``pixels`` vectors
  stream through and the last one drains after R + C - 2 more: ``2R + C + pixels - 2`` per fold (SCALE-Sim, Samajdar et al.
  2018, analytical model). With ``overlapped`` preload the weights of the next fold shift in behind the running one, as in
  TPUv1 (Jouppi et al. 2017, section 2): ``max(pixels, R)`` per fold, plus one fill and drain for the tile.
* output-stationary: pixels over rows, channels over columns; ``reduction + R + C - 2`` per fold.
* input-stationary: weight-stationary with the operands exchanged: reduction over rows, pixels over columns; R cycles to shift
  the inputs in, then ``channels`` filters stream through: ``2R + C + channels - 2`` per fold (SCALE-Sim). Every compute tile
  shifts its inputs in anew.

Small groups (depthwise) share a weight-stationary fold as a block diagonal: each takes ``reduction`` rows and ``channels``
columns of its own, and the rest of those rows and columns idles.

A composable MAC that makes ``products`` narrow products at once (Sharma et al. 2018) holds as many elements of the reduction:
``reduction`` then counts MACs, ceil(elements / products), over rows or over cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch
from accelsim.program.footprint import ceil_div

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ComputeTiles:
    """Sizes of compute tiles, int64 arrays of one shape; ``weights_kept`` where the weights are those of the tile before."""

    pixels: Counts
    reduction: Counts
    channels: Counts
    groups: Counts
    passes: int
    products: int = 1
    weights_kept: NDArray[np.bool_]
    weight_bits: int
    activation_bits: int


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayCost:
    """Per compute tile: cycles on the array, those of them that stream operands, and element accesses."""

    cycles: Counts
    stream_cycles: Counts
    weight_reads: Counts
    activation_reads: Counts
    accumulator_writes: Counts


def array_cost(tiles: ComputeTiles, arch: Arch) -> ArrayCost:
    """Cycles and accesses of each compute tile on ``arch``."""
    return _with_buffer_bandwidth(_MODELS[arch.array.dataflow](tiles, arch), tiles, arch)


def _weight_stationary(t: ComputeTiles, arch: Arch) -> ArrayCost:
    rows, cols = arch.array.rows, arch.array.cols
    reduction = ceil_div(t.reduction, t.products)
    row_folds, col_folds = ceil_div(reduction, rows), ceil_div(t.channels, cols)
    packed = np.maximum(1, np.minimum(rows // reduction, cols // t.channels))
    folds = ceil_div(t.groups, packed) * row_folds * col_folds
    stream = t.pixels * t.passes
    kept = t.weights_kept & (folds == 1)
    if arch.array.weight_preload == "serial":
        cycles = folds * (rows + stream + rows + cols - 2) - np.where(kept, rows, 0)
    else:
        cycles = folds * np.maximum(stream, rows) + np.where(kept, 0, rows) + rows + cols - 2
        cycles -= np.where(kept, np.maximum(stream, rows) - stream, 0)
    products = t.groups * t.reduction * t.channels
    return ArrayCost(
        cycles=cycles,
        stream_cycles=folds * stream,
        weight_reads=np.where(kept, 0, products),
        activation_reads=t.groups * t.pixels * t.reduction * col_folds,
        accumulator_writes=t.groups * t.pixels * t.channels * row_folds,
    )


def _output_stationary(t: ComputeTiles, arch: Arch) -> ArrayCost:
    rows, cols = arch.array.rows, arch.array.cols
    row_folds, col_folds = ceil_div(t.pixels, rows), ceil_div(t.channels, cols)
    folds = t.groups * row_folds * col_folds
    stream = ceil_div(t.reduction, t.products) * t.passes
    return ArrayCost(
        cycles=folds * (stream + rows + cols - 2),
        stream_cycles=folds * stream,
        weight_reads=t.groups * t.reduction * t.channels * row_folds,
        activation_reads=t.groups * t.pixels * t.reduction * col_folds,
        accumulator_writes=t.groups * t.pixels * t.channels,
    )


def _input_stationary(t: ComputeTiles, arch: Arch) -> ArrayCost:
    turned = replace(t, pixels=t.channels, channels=t.pixels, weights_kept=np.zeros_like(t.weights_kept))
    cost = _weight_stationary(turned, arch)
    return replace(cost, weight_reads=cost.activation_reads, activation_reads=cost.weight_reads)


_MODELS = MappingProxyType(
    {
        "weight_stationary": _weight_stationary,
        "output_stationary": _output_stationary,
        "input_stationary": _input_stationary,
    }
)


def _with_buffer_bandwidth(cost: ArrayCost, t: ComputeTiles, arch: Arch) -> ArrayCost:
    cycles = cost.cycles
    for reads, bits, buffer in (
        (cost.weight_reads, t.weight_bits, arch.weight_buffer),
        (cost.activation_reads, t.activation_bits, arch.activation_buffer),
    ):
        if buffer.bytes_per_cycle is not None:
            cycles = np.maximum(cycles, ceil_div(reads * bits, 8 * buffer.bytes_per_cycle))
    return ArrayCost(
        cycles=cycles,
        stream_cycles=cost.stream_cycles,
        weight_reads=cost.weight_reads,
        activation_reads=cost.activation_reads,
        accumulator_writes=cost.accumulator_writes,
    )
