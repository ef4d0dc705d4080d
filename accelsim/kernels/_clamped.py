"""Matrix products whose sums saturate on the way: a fast kernel for every step, and a proof that no step saturates.

A sum takes ``group`` consecutive products at once, exactly summed, and is then clamped to [low, high]. With S the exact sum of
products and T the sum of their magnitudes, the positive products add up to (T + S) / 2 and the negative ones to -(T - S) / 2, so
that every partial sum, in any order, lies between bias - (T - S) / 2 and bias + (T + S) / 2: where both are inside [low, high],
the exact sum is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.kernels._gemm import CLAMPED, clamped_panel
from accelsim.kernels.gemm import PackedWeights, gemm, pack_weights, panels_of
from accelsim.numba_cache import njit

Integers = NDArray[Any]
Sums = NDArray[np.int32]

INT32_MAX = 2**31 - 1
SAMPLE_ROWS = 64
"""Rows on which the proof is tried before it is computed for all."""


@dataclass(frozen=True, eq=False)
class PackedSteps:
    """Weights (n, k) for :func:`clamped_gemm`, every group of products filled up to whole pairs; ``reach`` is their largest magnitude."""

    n: int
    k: int
    group: int
    panels: Integers
    reach: int


@dataclass(frozen=True, eq=False)
class PackedSaturating:
    """Weights for :func:`saturating_gemm`: as they are, their magnitudes, and by steps; ``column_sums`` (n) of the magnitudes."""

    exact: PackedWeights
    magnitudes: PackedWeights
    steps: PackedSteps
    column_sums: NDArray[np.int64]


@njit
def clamped(x: Any, panels: Any, inner: int, low: int, high: int, sums: Any) -> None:
    """All panels: x (m, 2 * pairs) of int16, sums (m, columns) of int32 in place, clamped after every ``inner`` pairs."""
    groups, columns = panels.shape[1] // inner, panels.shape[2]
    row = 4 * sums.shape[1]
    for panel in range(panels.shape[0]):
        w, out = panels[panel].ctypes.data, sums.ctypes.data + 4 * panel * columns
        clamped_panel((x.ctypes.data, 2 * x.shape[1], w, out, row, out, row, x.shape[0], groups, inner, low, high))


def pack_steps(w: Integers, *, group: int) -> PackedSteps:
    """Lay out ``w`` (n, k), int8 or int16, for clamps after every ``group`` >= 1 products."""
    if w.ndim != 2 or w.dtype not in (np.int8, np.int16) or group < 1:
        raise InputError(
            f"need int8 or int16 weights (n, k), a group >= 1; got {w.dtype} {w.shape}, {group}; convert them"
        )
    size = min(group, max(w.shape[1], 1))
    return PackedSteps(w.shape[0], w.shape[1], size, panels_of(_whole_pairs(w, size), CLAMPED), _reach(w))


def _whole_pairs(codes: Integers, group: int) -> NDArray[np.int16]:
    """Codes (rows, k) as int16 with every group of ``group`` filled up with zeros to an even number."""
    rows, k = codes.shape
    groups = -(-k // group)
    if group % 2 == 0 and k % group == 0:
        return np.ascontiguousarray(codes, dtype=np.int16)
    result = np.zeros((rows, groups, group + group % 2), dtype=np.int16)
    whole = k // group
    result[:, :whole, :group] = codes[:, : whole * group].reshape(rows, whole, group)
    if whole < groups:
        result[:, whole, : k - whole * group] = codes[:, whole * group :]
    return result.reshape(rows, -1)


def clamped_gemm(x: Integers, packed: PackedSteps, sums: Sums, *, low: int, high: int) -> None:
    """Add the products of x (m, k), of up to 16 bits signed, to ``sums`` (m, n) int32 in place, clamped first and after every group.

    InputError where a sum and one group of products may leave 32 bits.
    """
    if x.shape != (len(sums), packed.k) or sums.shape[1] != packed.n or sums.dtype != np.int32:
        raise InputError(
            f"x {x.shape} and sums {sums.dtype} {sums.shape} do not fit weights ({packed.n}, {packed.k}); reshape them"
        )
    if not _fits(x, packed, low, high):
        raise InputError(
            f"groups of {packed.group} products in [{low}, {high}] may leave 32 bits; use accelsim.kernels.mac instead"
        )
    if not sums.size:
        return
    if not packed.k:
        sums[...] = sums.clip(low, high)
        return
    columns = packed.panels.shape[0] * CLAMPED.columns
    whole = columns == packed.n and sums.flags.c_contiguous
    target = sums if whole else np.zeros((len(sums), columns), dtype=np.int32)
    target[:, : packed.n] = sums
    clamped(_whole_pairs(x, packed.group), packed.panels, (packed.group + 1) // 2, low, high, target)
    if not whole:
        sums[...] = target[:, : packed.n]


def _fits(x: Integers, packed: PackedSteps, low: int, high: int) -> bool:
    """Whether codes fit 16 bits and a clamped sum plus one group of products 32 bits."""
    narrow = not x.size or (int(x.min()) >= -(2**15) and int(x.max()) < 2**15)
    return narrow and low <= high and max(-low, high) + packed.group * _reach(x) * packed.reach <= INT32_MAX


def _reach(values: Integers) -> int:
    """Largest magnitude."""
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def certified(sums: Integers, magnitudes: Integers, low: int | Integers, high: int | Integers) -> NDArray[np.bool_]:
    """Where no partial sum of products, in any order and grouping, leaves [low, high]: sums S and sums of magnitudes T of one shape.

    (T + S) / 2 <= high and (T - S) / 2 <= -low; with a bias, take it from both ends.
    """
    wide, size = sums.astype(np.int64), magnitudes.astype(np.int64)
    return np.asarray((size + wide <= 2 * np.asarray(high)) & (size - wide <= -2 * np.asarray(low)), dtype=np.bool_)


def pack_saturating(w: Integers, *, group: int, wide: bool = False) -> PackedSaturating:
    """Lay out ``w`` (n, k), int8 or int16, for clamps after every ``group`` products; ``wide`` where x will be int16."""
    size = np.abs(w.astype(np.int32))
    if size.size and int(size.max()) >= 2**15:
        raise InputError("weights of -32768 have no 16-bit magnitude; use accelsim.kernels.mac instead")
    narrow = np.int8 if not size.size or int(size.max()) <= 127 else np.int16
    return PackedSaturating(
        exact=pack_weights(w, wide=wide),
        magnitudes=pack_weights(size.astype(narrow), wide=wide),
        steps=pack_steps(w, group=group),
        column_sums=size.sum(axis=1, dtype=np.int64),
    )


def saturating_gemm(x: Integers, packed: PackedSaturating, bias: NDArray[np.int32], *, low: int, high: int) -> Sums:
    """Sums int32 (m, n) from ``bias`` (n), clamped to [low, high] first and after every group of products of x (m, k).

    x is int8, uint8 or, on packing made for it, int16. Exact products where a proof allows; rows without one by steps.
    """
    reach = _reach(x)
    if _column_proof(reach, packed, bias, low, high):
        return _exact(x, packed, bias)
    if reach * int(packed.column_sums.max(initial=0)) > INT32_MAX or reach >= 2**15:
        return _by_steps(x, packed, bias, low, high)
    sample = x[:: -(-len(x) // SAMPLE_ROWS) or 1]
    if 2 * int(_proven_rows(sample, packed, bias, low, high)[1].sum()) < len(sample):
        return _by_steps(x, packed, bias, low, high)
    sums, proven = _proven_rows(x, packed, bias, low, high)
    rest = np.flatnonzero(~proven)
    if len(rest):
        sums[rest] = _by_steps(x[rest], packed, bias, low, high)
    return sums


def _column_proof(reach: int, packed: PackedSaturating, bias: Integers, low: int, high: int) -> bool:
    """Whether no codes up to ``reach`` can drive any column out of [low, high]."""
    most = reach * packed.column_sums
    start = bias.astype(np.int64)
    return bool((start + most <= high).all() and (start - most >= low).all())


def _exact(x: Integers, packed: PackedSaturating, bias: Integers) -> Sums:
    sums = gemm(x, packed.exact)
    sums += bias
    return sums


def _by_steps(x: Integers, packed: PackedSaturating, bias: Integers, low: int, high: int) -> Sums:
    sums = np.empty((len(x), packed.steps.n), dtype=np.int32)
    sums[...] = bias
    clamped_gemm(x, packed.steps, sums, low=low, high=high)
    return sums


@njit
def _mark(sums: Any, magnitudes: Any, bias: Any, low: int, high: int, proven: Any) -> None:
    """:func:`certified` for whole rows of sums without their bias, which is then added."""
    for m in range(sums.shape[0]):
        outside = np.int64(0)
        for c in range(sums.shape[1]):
            s, t, b = np.int64(sums[m, c]), np.int64(magnitudes[m, c]), np.int64(bias[c])
            outside |= np.int64(t + s > 2 * (high - b)) | np.int64(t - s > 2 * (b - low))
            sums[m, c] = s + b
        proven[m] = outside == 0


def _proven_rows(
    x: Integers, packed: PackedSaturating, bias: Integers, low: int, high: int
) -> tuple[Sums, NDArray[np.bool_]]:
    """Exact sums with their bias, and for which rows they are proven."""
    sums, proven = gemm(x, packed.exact), np.empty(len(x), dtype=np.bool_)
    size = x if x.dtype == np.uint8 else np.abs(x)
    size = size.view(np.uint8) if size.dtype == np.int8 else size
    _mark(sums, gemm(size, packed.magnitudes), bias, low, high, proven)
    return sums, proven
