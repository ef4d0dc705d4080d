"""Most integer requantization schemes as ``(x * factor + offset) >> shift``: one multiplication, one shift.

Two roundings in a row collapse into one, because floors of floors do: half up twice is one shift with both halves added, and
gemmlowp's "half up, then half away from zero" differs from it by 2^31 below zero (TOSA apply_scale_32 with DOUBLE_ROUND).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import INT32, Requant, reduced_multiplier16

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShiftForm:
    """``(v + offset - (negative where v < 0)) >> shift`` with ``v = x * factor``; int64 arrays of one entry per channel, or one."""

    factor: Integers
    offset: Integers
    negative: Integers
    shift: Integers


def shift_form(requant: Requant, *, bound: int) -> ShiftForm | None:
    """The form of ``requant`` for accumulators of magnitude ``bound`` at most (below 2^31), or None where there is none."""
    rule = requant.rule
    write = _FORMS.get(rule.loop or rule.name)
    if write is None or bound > INT32.max:
        return None
    form = write(requant.multiplier.astype(np.int64), requant.shift.astype(np.int64))
    wraps = requant.scheme in _WRAPPING and bound << max(int(requant.shift.max()), 0) > INT32.max
    return None if wraps or int(np.abs(form.factor).max()) > INT32.max else form


def _half(shift: Integers) -> Integers:
    """Half of ``2**shift``; 0 for a shift of 0."""
    return (np.int64(1) << shift) >> 1


def _single(m: Integers, e: Integers) -> ShiftForm:
    return ShiftForm(m, _half(31 - e), np.zeros_like(m), 31 - e)


def _half_up_twice(m: Integers, e: Integers) -> ShiftForm:
    return ShiftForm(m, _half(31 - e) + np.where(e < 0, 1 << 30, 0), np.zeros_like(m), 31 - e)


def _tflite_double(m: Integers, e: Integers) -> ShiftForm:
    return ShiftForm(m, _half(31 - e) + np.where(e < 0, 1 << 30, 0), np.where(e < 0, np.int64(1) << 31, 0), 31 - e)


def _tflite_int16(m: Integers, e: Integers) -> ShiftForm:
    factor = np.array([reduced_multiplier16(int(one)) for one in m], dtype=np.int64)
    return ShiftForm(factor, _half(15 - e), np.zeros_like(m), 15 - e)


def _shift_half_up(m: Integers, shift: Integers) -> ShiftForm:
    right = np.maximum(shift, 0)
    return ShiftForm(np.int64(1) << np.maximum(-shift, 0), _half(right), np.zeros_like(right), right)


def _shift_floor(m: Integers, shift: Integers) -> ShiftForm:
    right = np.maximum(shift, 0)
    return ShiftForm(np.int64(1) << np.maximum(-shift, 0), np.zeros_like(right), np.zeros_like(right), right)


def _fixed_half_up(m: Integers, shift: Integers) -> ShiftForm:
    return ShiftForm(m, _half(shift), np.zeros_like(m), shift)


def _truncated(m: Integers, shift: Integers) -> ShiftForm:
    return ShiftForm(m, np.zeros_like(m), 1 - (np.int64(1) << shift), shift)


_FORMS: Mapping[str, Callable[[Any, Any], ShiftForm]] = {
    "single": _single,
    "half_up_twice": _half_up_twice,
    "tflite_double": _tflite_double,
    "tflite_int16": _tflite_int16,
    "shift_half_up": _shift_half_up,
    "shift_floor": _shift_floor,
    "fixed_half_up": _fixed_half_up,
    "ethosu_truncate": _truncated,
}
_WRAPPING = ("tflite_double", "half_up_twice")
"""Schemes whose left shift wraps at 32 bits."""
