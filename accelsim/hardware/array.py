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
  them). Groups do not share folds, since all columns see the same activations, or stand beside each other in the columns, where each
  selects its own (``side_by_side``: ``floor(columns / channels)`` groups a fold). Where taps fill rows of their own, ``step_folds`` of
  ``n`` make a step: a sum of ``taps`` and, per tap, ``f`` folds of channels takes ``n min(ceil(taps / n) f, taps ceil(f / n))`` of them.

Each of ``pipeline_stages`` registers between products and accumulators delays the last sum of a fold by a cycle; where folds
follow each other without a gap (overlapped, adder tree) only that of the tile.

Small groups (depthwise) share a weight-stationary fold as a block diagonal: each takes ``reduction`` rows and ``channels``
columns of its own, and the rest of those rows and columns idles.

A composable MAC that makes ``products`` narrow products at once (Sharma et al. 2018) holds as many elements of the reduction:
``reduction`` then counts MACs, ceil(elements / products), over rows or over cycles.

Weights with a zero point that the array does not subtract (``extra``) make products of their codes, and each sum that leaves the array
lacks ``-zero point x sum of the inputs in it``, a term of the data (Nagel et al. 2021, equation 13: "equivalent to adding an extra
channel"). The inputs are added up on their way in, and their sum is one element more of the reduction: a row of every fold, whose
weights are the zero points, or a step of every stream of the output-stationary array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.arch import DATAFLOWS, Arch
from accelsim.hardware.parts import Array

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ComputeTiles:
    """Sizes of compute tiles, int64 arrays of one shape; ``weights_kept`` where the weights are those of the tile before.

    ``taps``: of the kernel, in whose order the ``reduction`` comes; 1 where nobody pads them apart.
    """

    pixels: Counts
    reduction: Counts
    channels: Counts
    groups: Counts
    weights_kept: NDArray[np.bool_]
    taps: Counts | int = 1


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


def array_of(
    arch: Arch,
    *,
    weight_bits: int,
    activation_bits: int,
    zero_points: bool = False,
    stored_bits: int | None = None,
    decoded: bool = False,
) -> Array:
    """The array of ``arch`` for operands of these widths; ``zero_points``: some weights have one other than 0. Weights that are ``decoded``
    in front of the array come out of their buffer in ``stored_bits``."""
    array = arch.array
    weight_port, activation_port = (
        8 * (buffer.bytes_per_cycle or 0) for buffer in (arch.weight_buffer, arch.activation_buffer)
    )
    return Array(
        dataflow=tuple(DATAFLOWS).index(array.dataflow),
        rows=array.rows,
        cols=array.cols,
        stages=array.pipeline_stages,
        overlapped=array.hides_preload,
        drains_behind=array.drain == "overlapped",
        by_tap=array.reduction == "per_tap",
        step=array.step_folds if array.flow.broadcast and array.reduction == "per_tap" else 1,
        beside=array.flow.broadcast and array.group_folds == "side_by_side",
        stripe=array.stripe_pixels or 0,
        tile_issue=array.issue_cycles,
        fold_issue=array.fold_issue_cycles,
        passes=array.passes(weight_bits, activation_bits),
        products=array.products(weight_bits, activation_bits),
        weight_bits=stored_bits or weight_bits,
        weight_port=weight_port,
        activation_bits=activation_bits,
        activation_port=activation_port,
        extra=int(zero_points and array.weight_zero_points == "extra_channel"),
        decoders=(arch.weight_buffer.decoders or 0) if decoded else 0,
    )


def array_cost(tiles: ComputeTiles, array: Array) -> ArrayCost:
    """Cycles and accesses of each compute tile on ``array``."""
    from accelsim.hardware._array import tile_costs

    depth = tiles.reduction // tiles.taps
    sizes = (tiles.pixels, tiles.taps, depth, tiles.channels, tiles.groups, tiles.weights_kept)
    columns = np.stack(np.broadcast_arrays(*sizes)).astype(np.int64)
    costs = tile_costs(array, columns.reshape(len(columns), -1))
    return ArrayCost(*(cost.reshape(columns.shape[1:]) for cost in costs))
