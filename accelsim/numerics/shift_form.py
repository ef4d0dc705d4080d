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

from accelsim.numerics.rounding import Rounding

Integers = NDArray[np.int64]
_FIRST_SHIFT = 31
"""Right shift of a doubling high multiply, the first of two roundings."""


@dataclass(frozen=True, eq=False)
class ShiftForm:
    """``(v + offset - (negative where v < 0)) >> shift`` with ``v = x * factor``; int64 arrays of one entry per channel, or one."""

    factor: Integers
    offset: Integers
    negative: Integers
    shift: Integers


def _half(shift: Integers) -> Integers:
    """Half of ``2**shift``; 0 for a shift of 0."""
    return (np.int64(1) << shift) >> 1


def _ones(shift: Integers) -> Integers:
    """``2**shift - 1``, the largest remainder."""
    return (np.int64(1) << shift) - 1


_TERMS: Mapping[Rounding, Callable[[Integers], tuple[Any, Any]]] = {
    Rounding.HALF_UP: lambda shift: (_half(shift), 0),
    Rounding.HALF_DOWN: lambda shift: (_ones(shift) >> 1, 0),
    Rounding.HALF_AWAY: lambda shift: (_half(shift), np.minimum(shift, 1)),
    Rounding.FLOOR: lambda shift: (0, 0),
    Rounding.CEIL: lambda shift: (_ones(shift), 0),
    Rounding.TRUNC: lambda shift: (0, -_ones(shift)),
    Rounding.AWAY: lambda shift: (_ones(shift), _ones(shift)),
}
"""Offset and negative of one rounding; ties to even depend on the quotient and have none."""


def shifted_once(rounding: Rounding) -> Callable[[Integers, Integers], ShiftForm]:
    """The form of one rounding of the exact product, from factors and right shifts; KeyError for ``HALF_EVEN``."""
    terms = _TERMS[rounding]

    def form(factor: Integers, shift: Integers) -> ShiftForm:
        offset, negative = (np.broadcast_to(np.int64(term), shift.shape) for term in terms(shift))
        return ShiftForm(factor, offset, negative, shift)

    return form


def shifted_twice(second: Rounding) -> Callable[[Integers, Integers], ShiftForm]:
    """The form of a rounding half up by 31 places, then ``second`` by the rest of the shift: ``HALF_UP`` or ``HALF_AWAY``."""
    below_zero = {Rounding.HALF_UP: 0, Rounding.HALF_AWAY: 1 << _FIRST_SHIFT}[second]

    def form(factor: Integers, shift: Integers) -> ShiftForm:
        rest = shift > _FIRST_SHIFT
        offset = _half(shift) + np.where(rest, np.int64(1) << (_FIRST_SHIFT - 1), 0)
        return ShiftForm(factor, offset, np.where(rest, np.int64(below_zero), 0), shift)

    return form
