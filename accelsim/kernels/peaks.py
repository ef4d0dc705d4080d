"""The lowest and the highest value that an accumulator of a layer takes on its way to its final sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer
from accelsim.kernels._peaks import Tiles, prefix_peaks
from accelsim.kernels.mac import ProductsPerAdd, group_size, tile_plan
from accelsim.kernels.products import Clamp


def partial_sum_peaks(
    layer: MacLayer,
    x: NDArray[Any],
    *,
    weights: NDArray[Any] | None = None,
    reduction_tile: tuple[int, int, int] | None = None,
    products_per_add: ProductsPerAdd = 1,
) -> tuple[int, int]:
    """Lowest and highest partial sum, bias and final sums included, for the input view ``x`` (n, ih, iw, ic) of codes.

    ``reduction_tile`` gives the kernel rows, kernel columns and channels (per group) of one compute tile; without it the
    reduction is one tile. Partial sums stand after each addition of ``products_per_add`` products, as in
    :func:`accelsim.kernels.mac.accumulate_block`. Nothing overflows: sums are 64-bit. A layer without weights of its own is
    given ``weights`` (oc, kh, kw, ic/groups) with their zero point subtracted.
    """
    factors = layer.weights if weights is None else weights
    assert factors is not None
    g = layer.geometry
    tile = (g.kh, g.kw, g.ic_per_group) if reduction_tile is None else reduction_tile
    plan = tile_plan(g, clamp=Clamp(group_size(products_per_add, math.prod(tile)), 0, 0))
    bias = np.zeros(g.oc, dtype=np.int64) if layer.array_bias is None else layer.array_bias.astype(np.int64)
    peaks = np.array([bias.min(), bias.max()], dtype=np.int64)
    prefix_peaks(
        x.astype(np.int64) - layer.input_zero_point,
        factors.astype(np.int64),
        bias,
        plan,
        Tiles(g.oh, g.ow, *tile),
        peaks,
    )
    return int(peaks[0]), int(peaks[1])
