"""Products of one tile, added to accumulators: the definition that every faster kernel must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import MacGeometry, MacLayer
from accelsim.kernels import _mac, _mac_groups
from accelsim.kernels._mac import Plan
from accelsim.kernels.products import Clamp, Codes, Multiplier, Packed, pack
from accelsim.numerics import INT16, INT32, INT64, IntFormat, Overflow, fit_array
from accelsim.numerics.overflow import lowest

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
    low, high, size = lowest(accumulator, overflow), accumulator.max, group_size(products_per_add, weights[0].size)
    plan = tile_plan(geometry, output_origin, input_origin, weight_origin)._replace(group=size, low=low, high=high)
    tile = _Tile(sums, centred(x, input_zero_point), _narrowed(weights), plan)
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
    """Products of centred ``codes`` and ``weights``, 16-bit or 64-bit, to be added to ``sums``."""

    def __init__(self, sums: Sums, codes: Integers, weights: Integers, plan: Plan) -> None:
        self._sums, self._codes, self._weights, self._plan = sums, codes, weights, plan
        self._range = Codes(min(int(codes.min()), 0), max(int(codes.max()), 0))
        self._product = _reach(self._range) * (_reach((weights.min(), weights.max())) if weights.size else 0)
        self._bound = self._product * weights[0].size
        self._narrow = codes.dtype == weights.dtype == np.int16

    def stays_inside(self) -> bool:
        """Whether the sums cannot leave [low, high] on the way."""
        low, high = self._plan.low, self._plan.high
        return int(self._sums.min()) - self._bound >= low and int(self._sums.max()) + self._bound <= high

    def add(self) -> None:
        """All products in any order, modulo 2^64."""
        narrow = self._narrow and self._bound <= INT32.max
        packed = self._packed(None) if narrow else None
        if packed is None:
            row = np.empty(self._sums.shape[3], dtype=np.int32 if narrow else np.int64)
            _mac.accumulate(self._sums, self._codes, self._taps(), self._plan, row)
        else:
            self._sums += Multiplier(packed)(self._codes, np.empty(self._sums.shape, dtype=np.int32))

    def add_clamped(self) -> None:
        """Group after group of products, sums clamped after each."""
        size, low, high = self._plan.group, self._plan.low, self._plan.high
        narrow = self._narrow and max(-low, high) + size * self._product <= INT32.max
        if narrow and size == self._weights[0].size:
            self._sums.clip(low, high, out=self._sums)
            self.add()
            self._sums.clip(low, high, out=self._sums)
        elif narrow and (packed := self._packed(Clamp(size, low, high))):
            self._sums[...] = Multiplier(packed)(self._codes, self._sums.clip(low, high).astype(np.int32))
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
        output, source = self._sums.shape, self._codes.shape
        return pack(self._weights, self._plan, output, source, codes=self._range, clamp=clamp)

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


def tile_plan(g: MacGeometry, output: Sequence[int], source: Sequence[int], weight: Sequence[int]) -> Plan:
    """Geometry and origins as the loops read them; origins are (n, y, x, channel), (oc, ky, kx, channel in group) for weights."""
    return Plan(
        *(g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.pad_top, g.pad_left, g.upsample_h, g.upsample_w),
        *(g.ih, g.iw, g.oc_per_group, g.ic_per_group),
        *(*output[1:], *source[1:], *weight[1:]),
    )


def centred(x: Integers, zero_point: int) -> Integers:
    """Codes ``x - zero_point``, contiguous; int16 where every value of the type of ``x`` fits, int64 otherwise."""
    if x.dtype.itemsize <= 2:
        kind = np.iinfo(x.dtype)
        if INT16.contains(int(kind.min) - zero_point) and INT16.contains(int(kind.max) - zero_point):
            return np.ascontiguousarray(x.astype(np.int16) - np.int16(zero_point))
    return np.ascontiguousarray(x.astype(np.int64) - zero_point)


def _narrowed(weights: Integers) -> Integers:
    """Weights as int16 where every value of their type fits, as int64 elsewhere."""
    kind = np.int16 if weights.dtype.itemsize == 1 or weights.dtype == np.int16 else np.int64
    return np.ascontiguousarray(weights, dtype=kind)


def _reach(ends: Sequence[int]) -> int:
    """Largest magnitude of a range, by its first two numbers."""
    return max(abs(int(ends[0])), abs(int(ends[1])))


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
