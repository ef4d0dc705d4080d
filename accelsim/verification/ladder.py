"""From the oracle's codes of one layer to the machine's, one rule at a time: the readings that causes are told by.

The steps and their order follow what is known to make fake-quantized and integer inference differ: parameters first (weights,
zero points, padding, bias, scales), then the rule (multiplier precision, ties, roundings), then clamp and accumulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Layer, MacLayer, Mean, Mul, Rescale, Tensor
from accelsim.numerics import Family, Requant, Rounding, requantize
from accelsim.verification import names
from accelsim.verification.exact import PARITY, ExactRequant, double_rounding_rate, multipliers_of, tie_rule
from accelsim.verification.fake_quant import fake_quantized, has_float_reading
from accelsim.verification.linear import is_linear, real_multipliers, sums_of
from accelsim.verification.machine import Machine
from accelsim.verification.saturation import pair_saturation

Array = NDArray[Any]
Reading = ExactRequant | Requant
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Step:
    """The codes after one more rule is the machine's; ``expected`` is the share that the rule moves, where a law is known."""

    key: str
    text: str
    codes: Array
    expected: float | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """One layer of the reference and of the machine, with the codes that feed both; ``is_float``: the oracle computes in floats."""

    reference: Layer
    mine: Layer
    reference_tensors: Tensors
    machine: Machine
    is_float: bool
    rule: str

    @property
    def tensors(self) -> Tensors:
        """Those of the machine's graph."""
        return self.machine.graph.tensors

    @property
    def is_linear(self) -> bool:
        """Whether both are the same kind of sum and multiplication."""
        same = type(self.reference) is type(self.mine)
        return same and is_linear(self.reference) and is_linear(self.mine)


def ladder(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """Steps in order; the last one's codes are the machine's. The oracle's own codes come before the first."""
    yield from _linear(pair, inputs) if pair.is_linear else _other(pair, inputs)
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
            codes = fake_quantized(reference, inputs, pair.reference_tensors, np.float64)
            yield Step(names.FLOAT, names.text(names.FLOAT), codes)
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


def same(a: Any, b: Any) -> bool:
    """Equality of parameters, arrays and requantizations included."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and bool(np.array_equal(a, b))
    if isinstance(a, Requant) and isinstance(b, Requant):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b)


Scales = tuple[tuple[Fraction, ...] | None, tuple[Fraction, ...] | None]


def _requantized(reading: Reading, target: Requant, sums: Array, scales: Scales) -> Iterator[Step]:
    if isinstance(reading, Requant):
        if _shares_parameters(reading, target):
            yield from _same_family(reading, target, sums, scales)
            return
        tie = tie_rule(reading)
        whole = ExactRequant(
            multipliers_of(reading), tie, reading.zero_point, reading.clamp_min, reading.clamp_max, _parity(reading)
        )
        text = names.text(names.ROUNDING, rule=reading.scheme)
        yield Step(names.ROUNDING, text, whole.codes(sums), _expected(reading))
        reading = whole
    yield from _from_exact(reading, target, sums, scales)


def _shares_parameters(a: Requant, b: Requant) -> bool:
    """Whether multiplier and shift mean the same in both schemes."""
    integer = a.rule.family is Family.INTEGER and a.rule.exponents == b.rule.exponents
    return a.scheme == b.scheme or (a.rule.family is b.rule.family and integer)


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
        yield Step(names.ROUNDING, text, requantize(sums, a), _expected(doubled))
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
    yield Step(names.ROUNDING, names.text(names.ROUNDING, rule=b.scheme), requantize(sums, rule), _expected(b))
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


def _expected(requant: Requant) -> float | None:
    doubled = requant.scheme in ("tflite_double", "half_up_twice")
    return double_rounding_rate(requant.shift) if doubled else None


def _ratio(scales: Scales) -> str:
    first, second = scales
    if first is None or second is None or len(first) != len(second):
        return ""
    return f"machine / reference = {names.ratio_text([float(b / a) for a, b in zip(first, second, strict=True)])}"


def _other(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """Layers of another kind: the reference's own reading, then the parameters that differ, one at a time."""
    reference, mine = pair.reference, pair.mine
    exact = Machine(pair.machine.graph)
    if pair.is_float:
        if has_float_reading(reference, pair.reference_tensors):
            codes = fake_quantized(reference, inputs, pair.reference_tensors, np.float64)
            yield Step(names.FLOAT, names.text(names.FLOAT), codes)
            if type(reference) is type(mine) and any(_differing(reference, mine)):
                yield Step(
                    names.OPERATOR, names.text(names.OPERATOR, operator=mine.operator), exact.layer(reference, inputs)
                )
    else:
        yield Step(names.KERNEL, names.text(names.KERNEL, rule=pair.rule), exact.layer(reference, inputs))
    if type(reference) is not type(mine):
        return
    layer = reference
    for name in _differing(reference, mine):
        yield from _swapped(layer, mine, name, lambda made: exact.layer(made, inputs))
        layer = _with(layer, name, getattr(mine, name))


_IDENTITY = ("name", "inputs", "output", "weight_scales", "real_bias", "accumulator", "source_operator")
_KEYS = {
    "weights": names.WEIGHTS,
    "bias": names.BIAS,
    "input_zero_point": names.INPUT_ZERO,
    "geometry": names.PADDING,
    "value": names.PADDING,
    "before": names.PADDING,
    "pad": names.PADDING,
    "clamp_min": names.CLAMP,
    "clamp_max": names.CLAMP,
}


def _differing(reference: Layer, mine: Layer) -> Iterator[str]:
    """Names of the parameters that differ, sums first."""
    named = [f.name for f in fields(reference) if f.name not in _IDENTITY]
    for name in sorted(named, key=lambda n: (n == "requant", n == "scheme")):
        if not same(getattr(reference, name), getattr(mine, name)):
            yield name


def _swapped(layer: Layer, mine: Layer, name: str, codes: Callable[[Layer], Array]) -> Iterator[Step]:
    mine_value, value = getattr(mine, name), getattr(layer, name)
    if isinstance(value, Requant) and isinstance(mine_value, Requant) and _shares_parameters(value, mine_value):
        parts = (
            (names.MULTIPLIER, ("multiplier", "shift")), (names.ROUNDING, ("scheme",)),
            (names.OUTPUT_ZERO, ("zero_point",)), (names.CLAMP, ("clamp_min", "clamp_max")),
        )  # fmt: skip
        for key, attributes in parts:
            changes = {a: getattr(mine_value, a) for a in attributes}
            if not all(same(getattr(value, a), changes[a]) for a in attributes):
                value = replace(value, **changes)
                yield Step(key, names.text(key, rule=mine_value.scheme), codes(_with(layer, name, value)))
        return
    key = _KEYS.get(name, names.ROUNDING if name == "scheme" else names.OPERATOR)
    yield Step(key, names.text(key, operator=mine.operator), codes(_with(layer, name, mine_value)))


def _with(layer: Layer, name: str, value: Any) -> Layer:
    return replace(layer, **{name: value})


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
