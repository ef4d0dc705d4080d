"""What values weights may take: a uniform grid, with a zero point or without, or a few levels of another rule.

Levels are integers of 8 bits, so that any runtime of integers computes with them; what is gained is memory, where the machine keeps
indices of them (``weight_buffer.coding``), and, of powers of two, multipliers. By format, for ``b`` bits a weight and the magnitudes
``|w|`` of a layer or an output channel:

* ``symmetric``, ``asymmetric``: every code of ``b`` bits, without and with a zero point (Krishnamoorthi 1806.08342, section 2).
* ``ternary``: -1, 0 and 1 times the mean of those ``|w|`` that exceed 0.7 times the mean of all; the others are 0 (Li et al.
  1605.04711, equations 4 to 6).
* ``power-of-two``: 0 and ``±2^k``, ``2^(b-1) - 1`` of them on a side, the largest ``2^floor(log2(4/3 max|w|))``; the nearest (Zhou et
  al. 1702.03044, section 3.1, who spend a bit on 0 alone and have half as many).
* ``nf4``: the 16 levels of Dettmers et al. 2305.14314, appendix E, times ``max|w|``; the nearest. Their blocks of 64 weights have no
  counterpart in integer sums: a scale is a layer's or a channel's.
* ``codebook``: ``2^b`` centroids of k-means over the weights of a layer, each channel's divided by its scale; first spread evenly (Han
  et al. 1510.00149, section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import IntFormat
from accelsim.ptq.settings import WeightFormat, has_levels
from accelsim.quant import affine_parameters

_THRESHOLD = 0.7
"""Of ternary weights, over the mean magnitude."""
_PEAK = 127
"""Largest level of a table."""
_TOP = 64
"""Largest power of two among the integers of 8 bits."""
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
_ITERATIONS = 300
"""Most of k-means, which settles in some dozens."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]


def code_format(name: WeightFormat, bits: int, *, signed: bool) -> IntFormat:
    """Of a weight's code: of ternary ones 2 bits, 8 of other levels; of asymmetric ones ``signed`` or not."""
    if has_levels(name, bits):
        return IntFormat(2 if name == "ternary" else 8)
    return IntFormat(bits, signed=signed or name != "asymmetric")


def level_scales(name: WeightFormat, rows: Floats) -> Floats:
    """Scale of each row of ``rows`` (channels, weights): what code 1 stands for."""
    magnitudes = np.abs(rows.astype(np.float64))
    peaks = magnitudes.max(axis=1, initial=0.0)
    if name == "ternary":
        kept = magnitudes > _threshold(magnitudes)
        scales = (magnitudes * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    elif name == "power-of-two":
        scales = np.exp2(np.floor(np.log2(np.maximum(peaks, np.finfo(np.float32).tiny) * 4 / 3))) / _TOP
    else:
        scales = peaks / _PEAK
    used = scales > np.finfo(np.float32).smallest_normal
    return np.where(used, scales, 1.0).astype(np.float32)


def level_codes(name: WeightFormat, bits: int, rows: Floats, scales: Floats) -> Codes:
    """Codes of ``rows`` (channels, weights) under ``scales``, one for all or one a row."""
    if name == "ternary":
        magnitudes = np.abs(rows.astype(np.float64))
        signs: Codes = (np.sign(rows) * (magnitudes > _threshold(magnitudes))).astype(np.int64)
        return signs
    steps = rows.astype(np.float64) / scales.astype(np.float64).reshape(-1, 1)
    return _nearest(steps, _levels(name, bits, steps))


def affine_zero_points(rows: Floats, scales: Floats, fmt: IntFormat) -> Codes:
    """Zero points of asymmetric rows (channels, weights): the code of 0 where the least weight, or 0, has the least code."""
    low = np.minimum(rows.min(axis=1, initial=0), 0).astype(np.float64)
    least: Doubles = low.min(keepdims=True) if len(scales) == 1 else low
    zeros = np.floor(fmt.min - least / scales.astype(np.float64) + 0.5)
    held: Codes = np.clip(zeros, fmt.min, fmt.max).astype(np.int64)
    return held


def affine_scales(rows: Floats, fmt: IntFormat) -> Floats:
    """Scales of asymmetric rows (channels, weights), which reach from the least weight or 0 to the greatest or 0."""
    ends = zip(rows.min(axis=1, initial=0).tolist(), rows.max(axis=1, initial=0).tolist(), strict=True)
    return np.array([affine_parameters(low, high, fmt=fmt).scale for low, high in ends], np.float32)


def _threshold(magnitudes: Doubles) -> Doubles:
    made: Doubles = _THRESHOLD * magnitudes.mean(axis=1, keepdims=True)
    return made


def _levels(name: WeightFormat, bits: int, steps: Doubles) -> Codes:
    """Ascending."""
    if name == "nf4":
        levels: Codes = np.rint(_PEAK * np.array(_NF4)).astype(np.int64)
        return levels
    if name == "power-of-two":
        powers = _TOP >> np.arange((1 << (bits - 1)) - 1)
        return np.unique(np.concatenate([-powers, [0], powers]))
    return np.unique(np.rint(centroids(np.clip(steps, -_PEAK, _PEAK).reshape(-1), 1 << bits)).astype(np.int64))


def _nearest(steps: Doubles, levels: Codes) -> Codes:
    """Of ``levels`` the one next to each number, of two as near the greater."""
    found: Codes = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, steps, side="right")]
    return found


def centroids(values: Doubles, count: int) -> Doubles:
    """Lloyd's ``count`` centroids of numbers (n,), ascending, from evenly spread ones; one that no number is nearest to stays where it is."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.linspace(ordered[0], ordered[-1], count)
    for _ in range(_ITERATIONS):
        ends = np.concatenate([[0], np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2), [len(ordered)]])
        sizes = np.diff(ends)
        moved = np.where(sizes > 0, np.diff(sums[ends]) / np.maximum(sizes, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def rows_of(values: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """``values`` (channels, weights), one row where ``axis`` is None."""
    if axis is None:
        return values.reshape(1, -1)
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def from_rows(rows: NDArray[Any], like: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """The inverse of :func:`rows_of`, in the shape of ``like``."""
    if axis is None:
        return rows.reshape(like.shape)
    return np.moveaxis(rows.reshape(like.shape[axis], *np.delete(like.shape, axis)), 0, axis)
