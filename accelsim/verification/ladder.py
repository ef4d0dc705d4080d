"""From the oracle's codes of one layer to the machine's, one rule at a time: the readings that causes are told by.

The steps and their order follow what is known to make fake-quantized and integer inference differ: parameters first (weights,
zero points, padding, bias, scales), then the rule (multiplier precision, ties, roundings), then clamp and accumulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from accelsim.graph import Layer, MacLayer, Mean, Mul, Rescale
from accelsim.numerics import Requant, Rounding, requantize
from accelsim.verification import names
from accelsim.verification.exact import PARITY, ExactRequant, multipliers_of, tie_rule
from accelsim.verification.fake_quant import chained_codes, fake_quantized
from accelsim.verification.linear import has_thresholds, is_linear, real_multipliers, sums_of
from accelsim.verification.other_steps import other_steps
from accelsim.verification.saturation import pair_saturation
from accelsim.verification.steps import Array, Pair, Step, expected_rate, same, shares_parameters

Reading = ExactRequant | Requant


def ladder(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """Steps in order; the last one's codes are the machine's. The oracle's own codes come before the first."""
    if pair.is_linear:
        yield from _linear(pair, inputs)
    elif has_thresholds(pair.mine) and type(pair.reference) is type(pair.mine):
        yield from _thresholds(pair, inputs)
    else:
        yield from other_steps(pair, inputs)
    key = names.ACCUMULATOR if isinstance(pair.mine, MacLayer) else names.OPERATOR
    yield Step(key, names.text(key, operator=pair.mine.operator), pair.machine.layer(pair.mine, inputs))


def unrewritten(oracle: Array, plain: Array, steps: Sequence[Step], rewriting: str) -> Step:
    """Before all ``steps`` of a runtime: its codes of the model as the file has it, where a difference vanishes with them.

    It vanishes where ``plain`` is the machine's code, or what the runtime's known arithmetic says.
    """
    theirs, given = plain.reshape(-1), oracle.reshape(-1)
    vanishes = (theirs == steps[0].codes.reshape(-1)) | (theirs == steps[-1].codes.reshape(-1))
    return Step(names.REWRITING, names.text(names.REWRITING, detail=rewriting), np.where(vanishes, theirs, given))


def _linear(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    reference, mine = pair.reference, pair.mine
    assert is_linear(reference)
    assert is_linear(mine)
    assert isinstance(reference.requant, Requant)
    assert isinstance(mine.requant, Requant)
    sums = sums_of(reference, inputs)
    real = real_multipliers(reference, pair.reference_tensors)
    start = reference.requant
    reading: Reading = start
    if pair.is_float and real is not None:
        low, high = start.clamp_min, start.clamp_max
        reading = ExactRequant(real, Rounding.HALF_EVEN, start.zero_point, low, high)
        key = names.FLOAT
        if isinstance(reference, MacLayer) and reference.real_bias is not None:
            yield _float_step(pair, inputs)
            key = names.BIAS_ROUNDING
        yield Step(key, names.text(key), _codes(reading, sums))
    elif not pair.is_float:
        text = names.text(
            names.KERNEL, rule=pair.rule, detail=pair_saturation(pair.rule, reference, pair.reference_tensors)
        )
        yield Step(names.KERNEL, text, _codes(reading, sums))
    layer: Layer = reference
    for key, changes in _changed_sums(reference, mine):
        layer = replace(layer, **changes)
        sums = sums_of(layer, inputs)
        yield Step(key, names.text(key), _codes(reading, sums))
    scales = real, real_multipliers(mine, pair.tensors)
    yield from _requantized(reading, mine.requant, sums, scales)


def _float_step(pair: Pair, inputs: Sequence[Array]) -> Step:
    codes = fake_quantized(pair.reference, inputs, pair.reference_tensors, np.float64)
    return Step(names.FLOAT, names.text(names.FLOAT), codes)


def _thresholds(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """The oracle's rule on exact sums, the parameters of the sums, then the machine's levels."""
    reference, mine = pair.reference, pair.mine
    assert isinstance(reference, MacLayer)
    assert isinstance(mine, MacLayer)
    assert mine.requant is not None
    rule = _rule_of_sums(pair, reference)
    key = names.FLOAT if pair.is_float else names.KERNEL
    sums = sums_of(reference, inputs)
    if pair.is_float and reference.real_bias is not None:
        yield _float_step(pair, inputs)
        key = names.BIAS_ROUNDING
    yield Step(key, names.text(key, rule=pair.rule), rule(sums))
    layer: Layer = reference
    for cause, changes in _changed_sums(reference, mine):
        layer = replace(layer, **changes)
        sums = sums_of(layer, inputs)
        yield Step(cause, names.text(cause), rule(sums))
    yield Step(names.THRESHOLDS, names.text(names.THRESHOLDS), requantize(sums, mine.requant))


def _rule_of_sums(pair: Pair, reference: MacLayer) -> Callable[[Array], Array]:
    """Exact sums to codes as the oracle does it, in double precision where it computes in floating point."""
    requant, real = reference.requant, real_multipliers(reference, pair.reference_tensors)
    assert requant is not None
    if not pair.is_float or real is None:
        return lambda sums: requantize(sums, requant)
    if reference.real_function is not None:
        scale = pair.reference_tensors[reference.inputs[0]].scale
        assert scale is not None
        assert reference.weight_scales is not None
        units = np.float64(scale) * reference.weight_scales.astype(np.float64)
        return lambda sums: chained_codes(reference, [sums * units])
    zero = pair.reference_tensors[reference.output].zero_point
    return ExactRequant(real, Rounding.HALF_EVEN, zero, requant.clamp_min, requant.clamp_max).codes


def _codes(reading: Reading, sums: Array) -> Array:
    return reading.codes(sums) if isinstance(reading, ExactRequant) else requantize(sums, reading)


_SUM_FIELDS = (
    (names.WEIGHTS, ("weights", "weight_format")),
    (names.INPUT_ZERO, ("input_zero_point", "left_zero_point", "right_zero_point")),
    (names.PADDING, ("geometry",)),
    (names.BIAS, ("bias", "bias_format")),
)


def _changed_sums(reference: Layer, mine: Layer) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, attributes in _SUM_FIELDS:
        known = [name for name in attributes if hasattr(reference, name) and hasattr(mine, name)]
        changes = {
            name: getattr(mine, name) for name in known if not same(getattr(reference, name), getattr(mine, name))
        }
        if changes:
            yield key, changes


Scales = tuple[tuple[Fraction, ...] | None, tuple[Fraction, ...] | None]


def _requantized(reading: Reading, target: Requant, sums: Array, scales: Scales) -> Iterator[Step]:
    if isinstance(reading, Requant):
        if shares_parameters(reading, target):
            yield from _same_family(reading, target, sums, scales)
            return
        tie = tie_rule(reading)
        whole = ExactRequant(
            multipliers_of(reading), tie, reading.zero_point, reading.clamp_min, reading.clamp_max, _parity(reading)
        )
        text = names.text(names.ROUNDING, rule=reading.scheme)
        yield Step(names.ROUNDING, text, whole.codes(sums), expected_rate(reading))
        reading = whole
    yield from _from_exact(reading, target, sums, scales)


def _same_family(a: Requant, b: Requant, sums: Array, scales: Scales) -> Iterator[Step]:
    """Parameters first, then the roundings."""
    if not (same(a.multiplier, b.multiplier) and same(a.shift, b.shift)):
        key = names.SCALE if None not in scales and scales[0] != scales[1] else names.MULTIPLIER
        a = replace(a, multiplier=b.multiplier, shift=b.shift)
        yield Step(key, names.text(key, detail=_ratio(scales)), requantize(sums, a))
    if a.scheme != b.scheme:
        doubled = next((r for r in (a, b) if "double" in r.scheme or "twice" in r.scheme), b)
        a = replace(a, scheme=b.scheme)
        text = names.text(names.ROUNDING, rule=doubled.scheme)
        yield Step(names.ROUNDING, text, requantize(sums, a), expected_rate(doubled))
    yield from _ends(a, b, sums)


def _from_exact(a: ExactRequant, b: Requant, sums: Array, scales: Scales) -> Iterator[Step]:
    if None not in scales and scales[0] != scales[1] and scales[1] is not None:
        a = replace(a, multipliers=scales[1])
        yield Step(names.SCALE, names.text(names.SCALE, detail=_ratio(scales)), a.codes(sums))
    key = names.WIDTH if b.rule.significand_bits < names.NARROW_BITS and not b.rule.family.is_float else names.PRODUCT
    a = replace(a, multipliers=multipliers_of(b))
    yield Step(key, names.text(key, bits=b.rule.significand_bits + 1), a.codes(sums))
    parity, tie = _parity(b), tie_rule(b)
    if a.parity != parity:
        a = replace(a, parity=parity)
        yield Step(names.PARITY, names.text(names.PARITY), a.codes(sums))
    if a.rounding is not tie:
        key = names.TRUNCATION if tie in (Rounding.FLOOR, Rounding.TRUNC) else names.TIE
        expected = names.TRUNCATION_RATE if key == names.TRUNCATION else None
        text = names.text(key, detail=f"{a.rounding} against {tie}")
        a = replace(a, rounding=tie)
        yield Step(key, text, a.codes(sums), expected)
    rule = replace(b, zero_point=a.zero_point, clamp_min=a.clamp_min, clamp_max=a.clamp_max)
    yield Step(names.ROUNDING, names.text(names.ROUNDING, rule=b.scheme), requantize(sums, rule), expected_rate(b))
    yield from _ends(rule, b, sums)


def _ends(a: Requant, b: Requant, sums: Array) -> Iterator[Step]:
    """Zero point, then clamp."""
    if a.zero_point != b.zero_point:
        a = replace(a, zero_point=b.zero_point)
        yield Step(names.OUTPUT_ZERO, names.text(names.OUTPUT_ZERO), requantize(sums, a))
    if (a.clamp_min, a.clamp_max) != (b.clamp_min, b.clamp_max):
        text = names.text(names.CLAMP, detail=f"[{a.clamp_min}, {a.clamp_max}] against [{b.clamp_min}, {b.clamp_max}]")
        yield Step(names.CLAMP, text, requantize(sums, b))


def _parity(requant: Requant) -> bool:
    return requant.scheme == PARITY


def _ratio(scales: Scales) -> str:
    first, second = scales
    if first is None or second is None or len(first) != len(second):
        return ""
    return f"machine / reference = {names.ratio_text([float(b / a) for a, b in zip(first, second, strict=True)])}"


def sums_and_reading(pair: Pair, inputs: Sequence[Array]) -> tuple[Array, ExactRequant] | None:
    """The machine's exact sums and their exact reading, by real scales where they are known; None where there are none."""
    layer = pair.mine
    if not (is_linear(layer) and isinstance(layer, MacLayer | Mul | Mean | Rescale)):
        return None
    requant = layer.requant
    assert isinstance(requant, Requant)
    factors = real_multipliers(layer, pair.tensors) or multipliers_of(requant)
    exact = ExactRequant(
        factors, Rounding.HALF_EVEN, requant.zero_point, requant.clamp_min, requant.clamp_max, _parity(requant)
    )
    return sums_of(layer, inputs), exact
