"""Products of one tile, added to accumulators: the definition that every faster kernel must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import MacGeometry, MacLayer
from accelsim.kernels._mac import accumulate_exact, accumulate_stepwise
from accelsim.numerics import INT64, IntFormat, Overflow, fit_array

Sums = NDArray[np.int64]


def accumulate_block(
    sums: Sums,
    x: NDArray[Any],
    weights: NDArray[Any],
    *,
    geometry: MacGeometry,
    output_origin: Sequence[int],
    input_origin: Sequence[int],
    weight_origin: Sequence[int],
    input_zero_point: int,
    accumulator: IntFormat,
    overflow: Overflow,
    where: str,
) -> None:
    """Add one tile's products to ``sums`` (n, oh, ow, oc) in place.

    ``x`` is the box (n, ih, iw, c) of the input view at ``input_origin``, ``weights`` the box (oc, kh, kw, ic) of the weight view
    at ``weight_origin``; ``sums`` lies at ``output_origin`` of the output view. Taps outside the image and on inserted zeros
    contribute nothing. Wrapping is applied once at the end (arithmetic modulo 2^n); the other policies after every product,
    in the order kernel row, kernel column, channel. AccumulatorOverflowError, naming ``where``, if the policy is trap.
    """
    plan = np.array(
        [
            *(geometry.stride_h, geometry.stride_w, geometry.dilation_h, geometry.dilation_w, geometry.pad_top, geometry.pad_left),
            *(geometry.upsample_h, geometry.upsample_w, geometry.ih, geometry.iw, geometry.oc_per_group, geometry.ic_per_group),
            *output_origin,
            *input_origin,
            *weight_origin,
            input_zero_point,
        ],
        dtype=np.int64,
    )
    x32, w32 = x.astype(np.int32), weights.astype(np.int32)
    if overflow is Overflow.WRAP:
        accumulate_exact(sums, x32, w32, plan)
        sums[...] = fit_array(sums, accumulator, Overflow.WRAP)
        return
    low = -accumulator.max if overflow is Overflow.SATURATE_SYMMETRIC else accumulator.min
    left = accumulate_stepwise(sums, x32, w32, plan, low, accumulator.max)
    if left and overflow is Overflow.TRAP:
        raise AccumulatorOverflowError(
            f"layer {where!r}: a sum left the {accumulator.bits}-bit accumulator ({accumulator.min}..{accumulator.max}) in the tile at "
            f"{tuple(output_origin)}; widen accumulator.bits or choose accumulator.overflow wrap or saturate",
            layer=where,
            tile=tuple(output_origin),
        )


def accumulate(layer: MacLayer, x: NDArray[Any]) -> Sums:
    """Exact sums of a whole layer, bias included: int64 (n, oh, ow, oc) for the input view ``x`` (n, ih, iw, ic).

    Exact modulo 2^64, which no layer of 16-bit operands reaches. The layer must have weights.
    """
    assert layer.weights is not None
    sums = np.zeros(layer.geometry.output_shape, dtype=np.int64)
    if layer.bias is not None:
        sums += layer.bias
    accumulate_block(
        sums,
        x,
        layer.weights,
        geometry=layer.geometry,
        output_origin=(0, 0, 0, 0),
        input_origin=(0, 0, 0, 0),
        weight_origin=(0, 0, 0, 0),
        input_zero_point=layer.input_zero_point,
        accumulator=INT64,
        overflow=Overflow.WRAP,
        where=layer.name,
    )
    return sums
