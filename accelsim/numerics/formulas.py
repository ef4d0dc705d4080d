"""The notation in which schemes write themselves down for readers outside: Python's, on integers without a bound.

A formula is a list of assignments ``name = expression``; ``x`` is the accumulator before the first. What they call is in
:data:`FUNCTIONS`, each an expression of the same notation, and in :data:`PRIMITIVES`, which are described in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from accelsim.numerics.rounding import Rounding

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "half_up(x, s)": "x << -s if s <= 0 else (x + (1 << (s - 1))) >> s",
        "half_down(x, s)": "x << -s if s <= 0 else (x + (1 << (s - 1)) - 1) >> s",
        "half_away(x, s)": "half_up(x, s) if x >= 0 else -half_up(-x, s)",
        "half_even(x, s)": "x << -s if s <= 0 else (x + (1 << (s - 1)) - 1 + ((x >> s) & 1)) >> s",
        "floor(x, s)": "x << -s if s <= 0 else x >> s",
        "ceil(x, s)": "-floor(-x, s)",
        "trunc(x, s)": "floor(x, s) if x >= 0 else -floor(-x, s)",
        "away(x, s)": "-floor(-x, s) if x >= 0 else floor(x, s)",
        "wrap(x, bits, signed)": "(x + (signed << bits >> 1)) % (1 << bits) - (signed << bits >> 1)",
        "saturate(x, low, high)": "min(max(x, low), high)",
    }
)
"""Expressions by the call that they stand for; the roundings are those of ``x / 2**s``."""
PRIMITIVES: Mapping[str, str] = MappingProxyType(
    {
        "float32(r)": "the IEEE 754 binary32 number nearest to the real number r, ties to the even significand",
        "float64(r)": "the IEEE 754 binary64 number nearest to the real number r, ties to the even significand",
        "rint(r)": "the integer nearest to the real number r, ties to the even integer",
        "round_away(r)": "the integer nearest to the real number r, ties away from zero",
        "reached(x, levels)": "how many of the ascending levels are not above x",
    }
)
"""What has no such expression, in words. Products, sums and quotients inside their arguments are exact."""
CLAMPED = "code = saturate(x + zero_point, clamp_min, clamp_max)"
"""What follows the formula of a scheme that is not whole."""


def shifted(rounding: Rounding, shift: str, *, factor: str = "") -> str:
    """``x`` times a ``factor``, over ``2**shift``, rounded once."""
    return f"x = {rounding.value}({f'x * {factor}' if factor else 'x'}, {shift})"
