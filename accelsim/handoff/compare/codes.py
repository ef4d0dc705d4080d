"""Guesses about codes: what the requantization would make of golden sums if one of its rules or parameters were wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from accelsim.errors import AccelsimError
from accelsim.handoff.compare import kinds
from accelsim.handoff.compare.golden import GoldenLayer
from accelsim.handoff.compare.kinds import Array, Guess
from accelsim.numerics import INT32, Family, Overflow, Requant, Rounding, fit_array, scheme_named

_WORDS = {
    Rounding.FLOOR: "truncates (toward minus infinity)", Rounding.TRUNC: "truncates (toward zero)",
    Rounding.CEIL: "rounds up always", Rounding.AWAY: "rounds away from zero always",
}  # fmt: skip
LANES = (2, 4, 8, 16, 32)
"""Neighbours that a unit takes at once."""
OTHER_RULES = ("tflite_double", "single", "half_up_twice")
"""Schemes that share TFLite's parameters: one rounding, or two."""


def code_guesses(layer: GoldenLayer, sums: Array) -> Iterator[Guess]:
    """All of them; each gives codes in the shape of the output."""
    yield from _roundings(layer, sums)
    yield from _ends(layer, sums)
    yield from _parameters(layer, sums)


def _roundings(layer: GoldenLayer, sums: Array) -> Iterator[Guess]:
    exact, rule = layer.exact, layer.requant
    if exact is None or not isinstance(rule, Requant):
        return
    right = exact.rounding.replace("_", " ")
    right = f"{right} twice" if rule.rule.is_doubled and len(set(rule.rule.roundings)) == 1 else right
    for rounding in (
        Rounding.FLOOR,
        Rounding.TRUNC,
        *(r for r in Rounding if r not in (Rounding.FLOOR, Rounding.TRUNC)),
    ):
        if rounding is exact.rounding and not rule.rule.is_doubled:
            continue
        kind = kinds.TIE if rounding.is_nearest else kinds.TRUNCATION
        what = _WORDS.get(rounding, f"rounds {rounding.replace('_', ' ')}")
        yield Guess(kind, f"{what} instead of rounding {right}", partial(replace(exact, rounding=rounding).codes, sums))
    if rule.scheme in OTHER_RULES:
        for other in OTHER_RULES:
            if other != rule.scheme:
                text = f"requantizes by {scheme_named(other).description.split(';')[0]}"
                yield Guess(kinds.ROUNDING, text, partial(layer.codes, sums, replace(rule, scheme=other)))


def _ends(layer: GoldenLayer, sums: Array) -> Iterator[Guess]:
    rule, fmt = layer.requant, layer.output
    if not isinstance(rule, Requant):
        return
    ends = _Ends(layer, rule, sums)
    low, high, zero = rule.clamp_min, rule.clamp_max, rule.zero_point
    if (low, high) != (fmt.min, fmt.max):
        yield Guess(kinds.CLAMP, f"clamps to {fmt} instead of {low} to {high}", partial(ends.clamped, fmt.min, fmt.max))
    yield Guess(kinds.SATURATION, "missing saturation: codes wrap", ends.wrapped)
    yield Guess(kinds.SATURATION, "missing saturation: codes keep their upper bits", ends.free)
    symmetric = -fmt.max if fmt.signed else 0
    yield Guess(kinds.CLAMP, "saturates symmetrically", partial(ends.clamped, symmetric, fmt.max))
    yield Guess(kinds.CLAMP, "the lower end of the clamp is off by one", partial(ends.clamped, low + 1, high))
    yield Guess(kinds.CLAMP, "the upper end of the clamp is off by one", partial(ends.clamped, low, high - 1))
    moved = [(f"an output zero point of {zero + off} instead of {zero}", off) for off in (1, -1)]
    if zero:
        yield Guess(kinds.OUTPUT_ZERO, "the output zero point is added behind the clamp", ends.late_zero)
        told = (("not added", -1), ("subtracted", -2), ("added twice", 1))
        moved = [*((f"the output zero point is {text}", by * zero) for text, by in told), *moved]
    for text, by in moved:
        yield Guess(kinds.OUTPUT_ZERO, text, partial(ends.clamped, low, high, by))


class _Ends:
    """Codes of a layer's sums with other ends."""

    def __init__(self, layer: GoldenLayer, rule: Requant, sums: Array) -> None:
        self._layer, self._rule, self._sums = layer, rule, sums

    def free(self) -> Array:
        """Without a clamp."""
        return self._layer.codes(self._sums, replace(self._rule, clamp_min=INT32.min, clamp_max=INT32.max))

    def wrapped(self) -> Array:
        """The low bits."""
        return fit_array(self.free(), self._layer.output, Overflow.WRAP)

    def clamped(self, low: int, high: int, by: int = 0) -> Array:
        """Between other ends, and ``by`` more."""
        clipped: Array = np.clip(self.free() + by, low, high)
        return clipped

    def late_zero(self) -> Array:
        """The zero point behind the clamp."""
        zero, rule = self._rule.zero_point, self._rule
        return fit_array(self.clamped(rule.clamp_min, rule.clamp_max, -zero) + zero, self._layer.output, Overflow.WRAP)


def _parameters(layer: GoldenLayer, sums: Array) -> Iterator[Guess]:
    rule = layer.requant
    if not isinstance(rule, Requant):
        return
    for text, changed in _changed(rule):
        yield Guess(kinds.MULTIPLIER, text, partial(layer.codes, sums, changed))


def _changed(rule: Requant) -> Iterator[tuple[str, Requant]]:
    """Records with other multipliers or shifts."""
    m, s = rule.multiplier, rule.shift
    tries: list[tuple[str, dict[str, Array]]] = []
    if rule.is_per_channel:
        tries.append(("multiplier and shift of the first channel for all", {"multiplier": m[:1], "shift": s[:1]}))
        for block in (*(size for size in LANES if size < len(m)), len(m)):
            for lanes in (size for size in (1, *LANES) if size < block):
                some = np.arange(len(m)) // block * block + np.arange(len(m)) % block % lanes
                text = f"multiplier and shift of the first {lanes} of {block} channels, over and over"
                tries.append((text, {"multiplier": m[some], "shift": s[some]}))
        for by, text in ((1, "before"), (-1, "behind")):
            near = {"multiplier": np.roll(m, by, axis=0), "shift": np.roll(s, by)}
            tries.append((f"multiplier and shift of the channel {text}", near))
            tries += [(f"the {name} of the channel {text}", {name: near[name]}) for name in near]
    if not rule.rule.family.is_float:
        tries += [
            (f"shifts {'less' if by > 0 else 'more'} by one place", {"shift": s + by * _toward(rule)}) for by in (1, -1)
        ]
    if rule.rule.family is Family.INTEGER:
        tries += [(f"only {32 - k} bits of the multiplier", {"multiplier": m >> k << k}) for k in (24, 20, 16, 12, 8)]
    for text, change in tries:
        try:
            changed = replace(rule, **change)  # type: ignore[arg-type]
        except AccelsimError:  # outside the scheme's range
            continue
        if any(not np.array_equal(getattr(changed, name), getattr(rule, name)) for name in ("multiplier", "shift")):
            yield text, changed


def _toward(rule: Requant) -> int:
    """The sign of a shift that makes codes larger."""
    return 1 if rule.rule.family is Family.INTEGER else -1
