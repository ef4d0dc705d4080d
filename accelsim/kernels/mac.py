"""Products of one tile, added to accumulators: the definition that every faster kernel must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import MacGeometry, MacLayer
from accelsim.kernels import _mac, _mac_groups
from accelsim.numerics import INT16, INT32, INT64, IntFormat, Overflow, fit_array, lowest

Sums = NDArray[np.int64]
Integers = NDArray[Any]
ProductsPerAdd = int | Literal["tile"]


def accumulate_block(
    sums: Sums,
    x: Integers,
    weights: Integers,
    *,
    geometry: MacGeometry,
    output_origin: Sequence[int],
    input_origin: Sequence[int],
    weight_origin: Sequence[int],
    input_zero_point: int,
    accumulator: IntFormat,
    overflow: Overflow,
    where: str,
    products_per_add: ProductsPerAdd = 1,
) -> None:
    """Add one tile's products to ``sums`` (n, oh, ow, oc) in place.

    ``x`` is the box (n, ih, iw, c) of the input view at ``input_origin``, ``weights`` the box (oc, kh, kw, ic) of the weight view
    at ``weight_origin``; ``sums`` lies at ``output_origin`` of the output view. Taps outside the image and on inserted zeros
    contribute nothing. Wrapping is applied once at the end (arithmetic modulo 2^n); the other policies after every addition,
    in the order kernel row, kernel column, channel. An addition takes ``products_per_add`` consecutive products, exactly
    summed (all for ``"tile"``); the tile's products are counted from its first tap on, those outside the image and on
    inserted zeros included. AccumulatorOverflowError, naming ``where``, if the policy is trap.
    """
    if not sums.size:
        return
    if not x.size or not weights.size:
        # Nothing but padding: a bias that does not fit must still be fitted.
        x, weights = np.zeros((sums.shape[0], 1, 1, 1), np.int8), np.zeros((sums.shape[3], 0, 0, 0), np.int8)
    codes, taps = centred(x, input_zero_point), _taps(weights)
    plan = tile_plan(geometry, output_origin, input_origin, weight_origin)
    low, high = lowest(accumulator, overflow), accumulator.max
    product = _reach(codes) * _reach(taps)
    bound = product * weights[0].size
    if overflow is Overflow.WRAP or _stays_inside(sums, bound, low, high):
        row = np.empty(sums.shape[3], dtype=np.int32 if codes.dtype == np.int16 and bound <= INT32.max else np.int64)
        _mac.accumulate(sums, codes, taps, plan, row, False, low, high)
        if overflow is Overflow.WRAP and accumulator != INT64:
            sums[...] = fit_array(sums, accumulator, Overflow.WRAP)
        return
    size = group_size(products_per_add, weights[0].size)
    if overflow is Overflow.TRAP:
        outside = _mac_groups.first_outside(sums, codes, taps, plan, size, low, high)
        _trap(outside, sums.shape, output_origin, accumulator, where)
        _mac.accumulate(sums, codes, taps, plan, np.empty(sums.shape[3], dtype=np.int64), False, low, high)
    else:
        narrow = codes.dtype == np.int16 and max(-low, high) + size * product <= INT32.max
        _clamped(sums, codes, taps, plan, size, low, high, np.int32 if narrow else np.int64)


def group_size(products_per_add: ProductsPerAdd, products: int) -> int:
    """Products per addition in a tile of ``products`` products per sum: at least 1, at most all of them."""
    return max(1, products if products_per_add == "tile" else min(int(products_per_add), products))


def _clamped(
    sums: Sums, codes: Integers, taps: Integers, plan: Sums, size: int, low: int, high: int, kind: type[np.integer[Any]]
) -> None:
    """Additions of ``size`` products, each clamped to [low, high], in rows of ``kind``."""
    rows = np.empty((3, sums.shape[3]), dtype=kind)
    if size == 1:
        _mac.accumulate(sums, codes, taps, plan, rows[0], True, low, high)
    else:
        _mac_groups.accumulate_groups(sums, codes, taps, plan, rows[0], rows[1:], size, low, high)


def accumulate(layer: MacLayer, x: Integers) -> Sums:
    """:func:`accumulate_with` the layer's own weights, which it must have."""
    assert layer.weights is not None
    return accumulate_with(layer, x, layer.weights)


def accumulate_with(layer: MacLayer, x: Integers, weights: Integers) -> Sums:
    """Exact sums of a whole layer, bias included: int64 (n, oh, ow, oc) for the input view ``x`` (n, ih, iw, ic).

    ``weights`` (oc, kh, kw, ic/groups) have their zero point subtracted. Exact modulo 2^64, which no layer of 16-bit operands
    reaches.
    """
    sums = np.zeros(layer.geometry.output_shape, dtype=np.int64)
    if layer.bias is not None:
        sums += layer.bias
    origin = (0, 0, 0, 0)
    accumulate_block(
        sums,
        x,
        weights,
        geometry=layer.geometry,
        output_origin=origin,
        input_origin=origin,
        weight_origin=origin,
        input_zero_point=layer.input_zero_point,
        accumulator=INT64,
        overflow=Overflow.WRAP,
        where=layer.name,
    )
    return sums


def tile_plan(g: MacGeometry, output: Sequence[int], source: Sequence[int], weight: Sequence[int]) -> NDArray[np.int64]:
    """Geometry and origins as the loops read them; origins are (n, y, x, channel), (oc, ky, kx, channel in group) for weights."""
    return np.array(
        [
            *(g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.pad_top, g.pad_left, g.upsample_h, g.upsample_w),
            *(g.ih, g.iw, g.oc_per_group, g.ic_per_group),
            *(output[1], output[2], weight[1], weight[2], source[1], source[2], output[3], weight[3], source[3]),
        ],
        dtype=np.int64,
    )


def centred(x: Integers, zero_point: int) -> Integers:
    """Codes ``x - zero_point``, contiguous; int16 where every value of the type of ``x`` fits, int64 otherwise."""
    if x.dtype.itemsize <= 2:
        kind = np.iinfo(x.dtype)
        if INT16.contains(int(kind.min) - zero_point) and INT16.contains(int(kind.max) - zero_point):
            return np.ascontiguousarray(x.astype(np.int16) - np.int16(zero_point))
    return np.ascontiguousarray(x.astype(np.int64) - zero_point)


def _taps(weights: Integers) -> Integers:
    """Weights as (kh, kw, ic, oc), int16 where every value of their type fits."""
    kind = np.int16 if weights.dtype.itemsize == 1 or weights.dtype == np.int16 else np.int64
    return np.ascontiguousarray(weights.transpose(1, 2, 3, 0), dtype=kind)


def _reach(values: Integers) -> int:
    """Largest magnitude."""
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def _stays_inside(sums: Sums, bound: int, low: int, high: int) -> bool:
    """Whether sums that move by at most ``bound`` cannot leave [low, high] on the way."""
    return int(sums.min()) - bound >= low and int(sums.max()) + bound <= high


def _trap(index: int, shape: tuple[int, ...], origin: Sequence[int], accumulator: IntFormat, where: str) -> None:
    """Raise for the sum at flat ``index`` of a tile; nothing for -1."""
    if index < 0:
        return
    place = tuple(int(i) + int(start) for i, start in zip(np.unravel_index(index, shape), origin, strict=True))
    raise AccumulatorOverflowError(
        f"layer {where!r}: the sum at output {place} left the {accumulator.bits}-bit accumulator "
        f"({accumulator.min}..{accumulator.max}); widen accumulator.bits or choose accumulator.overflow wrap or saturate",
        layer=where,
        output=place,
        format=accumulator,
    )
