"""From one requantization to another, one rule at a time: scales, multiplier, zero-point parity, ties, roundings, ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from accelsim.numerics import Family, Requant
from accelsim.verification import names
from accelsim.verification.readings.exact import ExactRequant, codes_of, multipliers_of
from accelsim.verification.steps.stages import stage_steps
from accelsim.verification.steps.step import Array, Step, expected_rate, same, shares_parameters

Reading = ExactRequant | Requant
Scales = tuple[tuple[Fraction, ...] | None, tuple[Fraction, ...] | None]


def requantized(
    reading: Reading, target: Requant, sums: Array, scales: Scales, *, whole: Fraction | None = None
) -> Iterator[Step]:
    """Steps from one reading of ``sums`` to another; ``whole`` as in :func:`from_exact`."""
    if isinstance(reading, Requant):
        if shares_parameters(reading, target):
            yield from _same_family(reading, target, sums, scales)
            return
        tie, parity = reading.rule.tie, reading.rule.parity
        exact = ExactRequant(
            multipliers_of(reading), tie, reading.zero_point, reading.clamp_min, reading.clamp_max, parity
        )
        text = names.text(names.ROUNDING, rule=reading.scheme)
        yield Step(names.ROUNDING, text, exact.codes(sums), expected_rate(reading))
        reading = exact
    yield from from_exact(reading, target, sums, scales, whole=whole)


def _same_family(a: Requant, b: Requant, sums: Array, scales: Scales) -> Iterator[Step]:
    """Parameters first, then the roundings."""
    if not (same(a.multiplier, b.multiplier) and same(a.shift, b.shift)):
        key = names.SCALE if None not in scales and scales[0] != scales[1] else names.MULTIPLIER
        a = replace(a, multiplier=b.multiplier, shift=b.shift)
        yield Step(key, names.text(key, detail=_ratio(scales)), codes_of(sums, a))
    if a.scheme != b.scheme:
        doubled = next((r for r in (a, b) if r.rule.is_doubled), b)
        a = replace(a, scheme=b.scheme)
        text = names.text(names.ROUNDING, rule=doubled.scheme)
        yield Step(names.ROUNDING, text, codes_of(sums, a), expected_rate(doubled))
    yield from _ends(a, b, sums)


def from_exact(
    a: ExactRequant, b: Requant, sums: Array, scales: Scales = (None, None), *, whole: Fraction | None = None
) -> Iterator[Step]:
    """``whole``: the encoded multiplier before it was divided by the count of a mean, truncating."""
    if None not in scales and scales[0] != scales[1] and scales[1] is not None:
        a = replace(a, multipliers=scales[1])
        yield Step(names.SCALE, names.text(names.SCALE, detail=_ratio(scales)), a.codes(sums))
    key = names.WIDTH if b.rule.significand_bits < names.NARROW_BITS and not b.rule.family.is_float else names.PRODUCT
    if whole is not None:
        yield Step(key, names.text(key), replace(a, multipliers=(whole,)).codes(sums))
        key = names.DIVISOR
    a = replace(a, multipliers=multipliers_of(b))
    yield Step(key, names.text(key, bits=b.rule.factor_bits), a.codes(sums))
    tie = b.rule.tie
    if a.parity != b.rule.parity:
        a = replace(a, parity=b.rule.parity)
        yield Step(names.PARITY, names.text(names.PARITY), a.codes(sums))
    if a.rounding is not tie:
        key = names.TIE if tie.is_nearest else names.TRUNCATION
        expected = names.TRUNCATION_RATE if key == names.TRUNCATION else None
        text = names.text(key, detail=f"{a.rounding} against {tie}")
        a = replace(a, rounding=tie)
        yield Step(key, text, a.codes(sums), expected)
    rule = replace(b, zero_point=a.zero_point, clamp_min=a.clamp_min, clamp_max=a.clamp_max)
    if b.rule.family is Family.STAGED:
        yield from stage_steps(a, rule, sums)
    else:
        yield Step(names.ROUNDING, names.text(names.ROUNDING, rule=b.scheme), codes_of(sums, rule), expected_rate(b))
    yield from _ends(rule, b, sums)


def _ends(a: Requant, b: Requant, sums: Array) -> Iterator[Step]:
    """Zero point, then clamp."""
    if a.zero_point != b.zero_point:
        a = replace(a, zero_point=b.zero_point)
        yield Step(names.OUTPUT_ZERO, names.text(names.OUTPUT_ZERO), codes_of(sums, a))
    if (a.clamp_min, a.clamp_max) != (b.clamp_min, b.clamp_max):
        text = names.text(names.CLAMP, detail=f"[{a.clamp_min}, {a.clamp_max}] against [{b.clamp_min}, {b.clamp_max}]")
        yield Step(names.CLAMP, text, codes_of(sums, b))


def _ratio(scales: Scales) -> str:
    first, second = scales
    if first is None or second is None or len(first) != len(second):
        return ""
    return f"machine / reference = {names.ratio_text([float(b / a) for a, b in zip(first, second, strict=True)])}"
