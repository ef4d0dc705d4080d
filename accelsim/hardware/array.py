"""Cycles and accesses of one compute tile on the array, in closed form.

A compute tile is ``groups`` independent products (pixels x reduction) @ (reduction x channels). It is cut into *folds* that
fill the R x C array once each:

* weight-stationary: reduction over rows, channels over columns; R cycles to shift the weights in, then ``pixels`` vectors
  stream through and the last one drains after R + C - 2 more: ``2R + C + pixels - 2`` per fold (SCALE-Sim, Samajdar et al.
  2018, analytical model). With ``overlapped`` preload the weights of the next fold shift in behind the running one, as in
  TPUv1 (Jouppi et al. 2017, section 2): ``max(pixels, R)`` per fold, and the first weights and the last sums are under way for
  ``2R + C - 2`` more (less ``max(pixels, R) - pixels``, since nothing follows the last fold of a tile alone). That is latency:
  the next tile enters meanwhile. Kept weights take ``pixels`` and the same latency, behind the tile that brought them.
* output-stationary: pixels over rows, channels over columns; ``reduction + R + C - 2`` per fold.
* input-stationary: weight-stationary with the operands exchanged: reduction over rows, pixels over columns; R cycles to shift
  the inputs in, then ``channels`` filters stream through: ``2R + C + channels - 2`` per fold (SCALE-Sim). Every compute tile
  shifts its inputs in anew.

* adder tree (broadcast array, as in the figure of Nagel et al. 2021, section 2.1, and in NVDLA): reduction over the rows of a
  column's tree, channels over columns; a fold takes one cycle per vector of ``rows`` activations: ``pixels`` cycles, the next one
  and the next tile follow at once, its weights having come into shadow registers meanwhile (as fast as ``weight_buffer.bytes_per_cycle`` lets
  them). Groups do not share folds, since all columns see the same activations.

Each of ``pipeline_stages`` registers between products and accumulators delays the last sum of a fold by a cycle; where folds
follow each other without a gap (overlapped, adder tree) only that of the tile.

Small groups (depthwise) share a weight-stationary fold as a block diagonal: each takes ``reduction`` rows and ``channels``
columns of its own, and the rest of those rows and columns idles.

A composable MAC that makes ``products`` narrow products at once (Sharma et al. 2018) holds as many elements of the reduction:
``reduction`` then counts MACs, ceil(elements / products), over rows or over cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import Arch

Counts = NDArray[np.int64]
DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary", "adder_tree")
"""In the order of the codes of :mod:`accelsim.hardware._array`."""


def pipelines_tiles(arch: Arch) -> bool:
    """Whether a compute tile enters the array while the one before drains: overlapped preload, adder trees."""
    array = arch.array
    stationary = array.dataflow in ("weight_stationary", "input_stationary")
    return array.dataflow == "adder_tree" or (stationary and array.weight_preload == "overlapped")


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


@dataclass(frozen=True, eq=False)
class ArrayCost:
    """Per compute tile: cycles that it holds the array, those of them that stream operands, and element accesses.

    ``latency``: cycles from there until its last sum is written, in arrays that pipeline tiles (0 in the others). A tile alone
    takes ``cycles + latency``.
    """

    cycles: Counts
    stream_cycles: Counts
    weight_reads: Counts
    activation_reads: Counts
    accumulator_writes: Counts
    latency: Counts


def array_cost(tiles: ComputeTiles, arch: Arch) -> ArrayCost:
    """Cycles and accesses of each compute tile on ``arch``."""
    from accelsim.hardware._array import tile_costs

    sizes = (tiles.pixels, tiles.reduction, tiles.channels, tiles.groups, tiles.weights_kept)
    columns = np.stack(np.broadcast_arrays(*sizes)).astype(np.int64)
    bits = tiles.weight_bits, tiles.activation_bits
    record = array_record(arch, bits=bits, passes=tiles.passes, products=tiles.products)
    costs = tile_costs(record, columns.reshape(len(columns), -1))
    return ArrayCost(*(cost.reshape(columns.shape[1:]) for cost in costs))


def array_record(arch: Arch, *, bits: tuple[int, int], passes: int, products: int) -> Counts:
    """The array as :func:`accelsim.hardware._array.tile_cost` reads it, for operands of ``bits`` (weight, activation)."""
    array = arch.array
    widths = (buffer.bytes_per_cycle or 0 for buffer in (arch.weight_buffer, arch.activation_buffer))
    (weight_bits, activation_bits), (weight_width, activation_width) = bits, widths
    return np.array(
        [
            DATAFLOWS.index(array.dataflow), array.rows, array.cols, array.weight_preload == "overlapped", passes, products,
            weight_bits, 8 * weight_width, activation_bits, 8 * activation_width, array.pipeline_stages,
        ],
        dtype=np.int64,
    )  # fmt: skip
