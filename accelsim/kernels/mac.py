"""Products of one tile, added to accumulators: the definition that every faster kernel must equal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import MacGeometry, MacLayer
from accelsim.kernels import _mac, _mac_groups
from accelsim.kernels._mac import Plan
from accelsim.kernels.products import Clamp, Codes, Packed, layout_of, multiply
from accelsim.numerics import INT8, INT16, INT32, INT64, IntFormat, Overflow, fit_array, lowest

Sums = NDArray[np.int64]
Integers = NDArray[Any]
ORIGIN, NO_CLAMP = (0, 0, 0, 0), Clamp(1, 0, 0)
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
    low, high, size = lowest(accumulator, overflow), accumulator.max, group_size(products_per_add, weights[0].size)
    plan = tile_plan(geometry, output_origin, input_origin, weight_origin, Clamp(size, low, high))
    tile = _Tile(sums, x, input_zero_point, weights, plan)
    if overflow is Overflow.WRAP or tile.stays_inside():
        tile.add()
        if overflow is Overflow.WRAP and accumulator != INT64:
            sums[...] = fit_array(sums, accumulator, Overflow.WRAP)
    elif overflow is Overflow.TRAP:
        _trap(tile.first_outside(), sums.shape, output_origin, accumulator, where)
        tile.add()
    else:
        tile.add_clamped()


class _Tile:
    """Products of the codes ``x`` less their zero point and ``weights``, to be added to ``sums``."""

    def __init__(self, sums: Sums, x: Integers, zero: int, weights: Integers, plan: Plan) -> None:
        self._sums, self._plan, self._codes = sums, plan, centred(x, zero)
        low, high = _ends(x.dtype)
        self._range = Codes(low - zero, high - zero)
        self._weights, self._types = _narrowed(weights), Codes(*_ends(weights.dtype))
        self._narrow = bool(self._codes.dtype == self._weights.dtype == np.int16)
        self._size: int = weights[0].size

    @cached_property
    def _product(self) -> int:
        """Bound of one product."""
        return _reach(self._codes.min(), self._codes.max()) * _reach(*self._factors[:2])

    @cached_property
    def _factors(self) -> Codes:
        """Range of the weights."""
        return Codes(int(self._weights.min()), int(self._weights.max())) if self._weights.size else Codes(0, 0)

    @cached_property
    def _fits32(self) -> bool:
        """Whether operands are 16-bit and the products of one sum fit 32 bits; where types prove it, no value is looked at."""
        widest = _reach(*self._range[:2]) * _reach(*self._types[:2])
        return self._narrow and (self._size * widest <= INT32.max or self._size * self._product <= INT32.max)

    def stays_inside(self) -> bool:
        """Whether the sums cannot leave [low, high] on the way."""
        low, high, bound = self._plan.low, self._plan.high, self._product * self._size
        return int(self._sums.min()) - bound >= low and int(self._sums.max()) + bound <= high

    def add(self) -> None:
        """All products in any order, modulo 2^64."""
        packed = self._packed(None) if self._fits32 else None
        if packed is None:
            row = np.empty(self._sums.shape[3], dtype=np.int32 if self._fits32 else np.int64)
            _mac.accumulate(self._sums, self._codes, self._taps(), self._plan, row)
        else:
            self._sums += multiply(packed, self._codes, np.empty(self._sums.shape, dtype=np.int32))

    def add_clamped(self) -> None:
        """Group after group of products, sums clamped after each."""
        size, low, high = self._plan.group, self._plan.low, self._plan.high
        narrow = self._narrow and max(-low, high) + size * self._product <= INT32.max
        if narrow and size == self._size:
            self._sums.clip(low, high, out=self._sums)
            self.add()
            self._sums.clip(low, high, out=self._sums)
        elif narrow and (packed := self._packed(Clamp(size, low, high))):
            self._sums[...] = multiply(packed, self._codes, self._sums.clip(low, high).astype(np.int32))
        else:
            self._add_by_steps(np.int32 if narrow else np.int64)

    def _add_by_steps(self, kind: type[np.integer[Any]]) -> None:
        """By the definition, in rows of ``kind``."""
        rows = np.empty((3, self._sums.shape[3]), dtype=kind)
        if self._plan.group == 1:
            _mac.accumulate(self._sums, self._codes, self._taps(), self._plan._replace(clamped=1), rows[0])
        else:
            _mac_groups.accumulate_groups(self._sums, self._codes, self._taps(), self._plan, rows[0], rows[1:])

    def first_outside(self) -> int:
        """Flat index of the first sum that leaves [low, high] at its start or after a group of products, or -1."""
        return _mac_groups.first_outside(self._sums, self._codes, self._taps(), self._plan)

    def _packed(self, clamp: Clamp | None) -> Packed | None:
        if not self._weights.size:
            return None
        shapes = self._sums.shape, self._codes.shape, self._weights.shape
        factors = self._types if self._types.high <= INT8.max else self._factors
        layout = layout_of(self._plan, *shapes, codes=self._range, factors=factors, clamp=clamp)
        return None if layout is None else layout.pack(self._weights)

    def _taps(self) -> Integers:
        """Weights as the loops read them, (kh, kw, ic, oc)."""
        return np.ascontiguousarray(self._weights.transpose(1, 2, 3, 0))


def group_size(products_per_add: ProductsPerAdd, products: int) -> int:
    """Products per addition in a tile of ``products`` products per sum: at least 1, at most all of them."""
    return max(1, products if products_per_add == "tile" else min(int(products_per_add), products))


def accumulate(layer: MacLayer, x: Integers) -> Sums:
    """:func:`accumulate_with` the layer's own weights, which it must have."""
    assert layer.weights is not None
    return accumulate_with(layer, x, layer.weights)


def accumulate_with(layer: MacLayer, x: Integers, weights: Integers) -> Sums:
    """Exact sums of a whole layer, its ``array_bias`` included: int64 (n, oh, ow, oc) for the input view ``x`` (n, ih, iw, ic).

    ``weights`` (oc, kh, kw, ic/groups) have their zero point subtracted. Exact modulo 2^64, which no layer of 16-bit operands
    reaches.
    """
    sums = np.zeros(layer.geometry.output_shape, dtype=np.int64)
    if layer.array_bias is not None:
        sums += layer.array_bias
    accumulate_block(
        sums,
        x,
        weights,
        geometry=layer.geometry,
        output_origin=ORIGIN,
        input_origin=ORIGIN,
        weight_origin=ORIGIN,
        input_zero_point=layer.input_zero_point,
        accumulator=INT64,
        overflow=Overflow.WRAP,
        where=layer.name,
    )
    return sums


def tile_plan(
    g: MacGeometry,
    output: Sequence[int] = ORIGIN,
    source: Sequence[int] = ORIGIN,
    weight: Sequence[int] = ORIGIN,
    clamp: Clamp = NO_CLAMP,
) -> Plan:
    """Geometry and origins as the loops read them; origins are (n, y, x, channel), (oc, ky, kx, channel in group) for weights."""
    return Plan(
        *(g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.pad_top, g.pad_left, g.upsample_h, g.upsample_w),
        *(g.ih, g.iw, g.oc_per_group, g.ic_per_group),
        *(*output[1:], *source[1:], *weight[1:], 0, *clamp),
    )


def centred(x: Integers, zero_point: int) -> Integers:
    """Codes ``x - zero_point``, contiguous; int16 where every value of the type of ``x`` fits, int64 otherwise."""
    low, high = _ends(x.dtype)
    if INT16.contains(low - zero_point) and INT16.contains(high - zero_point):
        return np.ascontiguousarray(x.astype(np.int16) - np.int16(zero_point))
    return np.ascontiguousarray(x.astype(np.int64) - zero_point)


def _narrowed(weights: Integers) -> Integers:
    """Weights as int16 where every value of their type fits, as int64 elsewhere."""
    kind = np.int16 if weights.dtype.itemsize == 1 or weights.dtype == np.int16 else np.int64
    return np.ascontiguousarray(weights, dtype=kind)


@cache
def _ends(kind: np.dtype[Any]) -> tuple[int, int]:
    """Least and largest value of an integer type."""
    info = np.iinfo(kind)
    return int(info.min), int(info.max)


def _reach(low: int, high: int) -> int:
    """Largest magnitude of a range."""
    return max(-int(low), int(high))


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
