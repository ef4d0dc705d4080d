"""From the floating-point reading of pools, sums of tensors, tables and softmax to a machine's own rule for them, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from accelsim.graph import (
    Add,
    Layer,
    LeakyRelu,
    OperandScale,
    Sub,
    VectorLayer,
)
from accelsim.kernels import scaled_operand
from accelsim.numerics import Requant, Rounding
from accelsim.verification import names
from accelsim.verification.readings.exact import ExactRequant, multipliers_of
from accelsim.verification.readings.fake_quant import FloatReading, exactly_read, reading_of, real_function
from accelsim.verification.readings.machine import vector_codes
from accelsim.verification.steps.requantization import from_exact
from accelsim.verification.steps.step import Array, Step, Tensors

FARTHEST = 2**14
"""Powers of two between the operands' units: a difference of 16-bit codes, 17 bits, times a multiplier of 31, fits 63 with them."""


def rule_steps(layer: Layer, inputs: Sequence[Array], tensors: Tensors) -> Iterator[Step]:
    """Exact real numbers first; the last step's codes are those of ``layer`` in integers."""
    yield _step(names.FLOAT, exactly_read(layer, inputs, tensors))
    if isinstance(layer, VectorLayer):
        steps = BY_PARTS.get(type(layer), _single_roundings)
        yield from steps(layer, inputs, tensors)


def _step(key: str, codes: Array, layer: Layer | None = None) -> Step:
    return Step(key, names.text(key, operator="" if layer is None else layer.operator), codes)


def _single_roundings(layer: VectorLayer, inputs: Sequence[Array], tensors: Tensors) -> Iterator[Step]:
    """Zero point and ties, where the rule is known to round once, then the layer's own integers."""
    reading = reading_of(layer)
    assert isinstance(reading, FloatReading)
    for rule in reading.roundings:
        known = _raw(layer, tensors) if rule.raw else tensors
        codes = exactly_read(layer, inputs, known, rounding=rule.rounding, parity=rule.parity)
        yield Step(rule.key, names.text(rule.key, detail=rule.detail), codes)
    last = names.ORDER if real_function(layer) is not None else reading.last
    yield _step(last, vector_codes(layer, inputs), layer)


def _raw(layer: VectorLayer, tensors: Tensors) -> Tensors:
    """Tensors of codes as they are, zero point included: ties fall by the sum's sign and the code's parity.

    TFLite's pool has one scale and one zero point for input and output (reference_integer_ops, AveragePool).
    """
    return {name: replace(tensors[name], scale=1.0, zero_point=0) for name in (*layer.inputs, layer.output)}


def _sum(layer: Add, inputs: Sequence[Array], tensors: Tensors) -> Iterator[Step]:
    """Multipliers as encoded, then operands rounded to integers, then the sum's own requantization."""
    sums, factor, requant = _operand_sums(layer, inputs)
    exact = ExactRequant((factor,), Rounding.HALF_EVEN, requant.zero_point, requant.clamp_min, requant.clamp_max)
    yield from _unrounded(layer, inputs, exact)
    yield _step(names.OPERANDS, exact.codes(sums))
    yield from from_exact(exact, requant, sums)


def between_sums(reference: Add, mine: Add, inputs: Sequence[Array]) -> Iterator[Step]:
    """From one rule for sums to another: its own roundings off, operands as the machine has them, then the machine's roundings."""
    sums, factor, requant = _operand_sums(reference, inputs)
    exact = ExactRequant((factor,), Rounding.HALF_EVEN, requant.zero_point, requant.clamp_min, requant.clamp_max)
    yield Step(names.ROUNDING, names.text(names.ROUNDING, rule=requant.scheme), exact.codes(sums))
    sums, factor, requant = _operand_sums(mine, inputs)
    exact = replace(exact, multipliers=(factor,))
    yield _step(names.OPERANDS, exact.codes(sums))
    yield from from_exact(exact, requant, sums)


def _operand_sums(layer: Add, inputs: Sequence[Array]) -> tuple[Array, Fraction, Requant]:
    left, right = _views(layer, inputs)
    a, b = scaled_operand(left, layer.left, layer.scheme), scaled_operand(right, layer.right, layer.scheme)
    assert isinstance(layer.requant, Requant)
    (factor,) = multipliers_of(layer.requant)
    return (a - b if isinstance(layer, Sub) else a + b)[..., None], factor, layer.requant


def _unrounded(layer: Add, inputs: Sequence[Array], exact: ExactRequant) -> Iterator[Step]:
    """The operands' encoded multipliers without any rounding: integers over one power of two, where 64 bits hold them."""
    (left, a), (right, b) = (
        _weight(x, side) for x, side in zip(_views(layer, inputs), (layer.left, layer.right), strict=True)
    )
    unit = min(a, b)
    if max(a, b) / unit > FARTHEST:
        return
    sums = left * int(a / unit) + (-1 if isinstance(layer, Sub) else 1) * right * int(b / unit)
    codes = replace(exact, multipliers=(exact.multipliers[0] * unit,)).codes(sums[..., None])
    yield _step(names.PRODUCT, codes)


def _weight(x: Array, side: OperandScale | None) -> tuple[Array, Fraction]:
    """``(x - z) * multiplier`` and the power of two that is left out."""
    assert side is not None
    shift = side.left_shift if side.exponent is None else side.left_shift + side.exponent - 31
    return (x.astype(np.int64) - side.zero_point) * side.multiplier, Fraction(2) ** shift


def _views(layer: Add, inputs: Sequence[Array]) -> list[Array]:
    return [x.reshape(view) for x, view in zip(inputs, layer.input_shapes, strict=True)]


def _two_slopes(layer: LeakyRelu, inputs: Sequence[Array], tensors: Tensors) -> Iterator[Step]:
    """Both sides of zero at once: their schemes are the same."""
    assert isinstance(layer.positive, Requant)
    assert isinstance(layer.negative, Requant)
    x = inputs[0].reshape(layer.input_shapes[0]).astype(np.int64) - layer.input_zero_point
    source, target = tensors[layer.inputs[0]].scale, tensors[layer.output].scale
    assert source is not None
    assert target is not None
    ratio = Fraction(source) / Fraction(target)
    slope = multipliers_of(layer.negative)[0] / multipliers_of(layer.positive)[0]
    sides = [
        list(from_exact(_half_even(ratio * factor, requant), requant, x[..., None]))
        for factor, requant in ((Fraction(1), layer.positive), (slope, layer.negative))
    ]
    for above, below in zip(*sides, strict=True):
        yield replace(above, codes=np.where(x >= 0, above.codes[..., 0], below.codes[..., 0]), expected=None)


def _half_even(factor: Fraction, requant: Requant) -> ExactRequant:
    return ExactRequant((factor,), Rounding.HALF_EVEN, requant.zero_point, requant.clamp_min, requant.clamp_max)


BY_PARTS: dict[type[Layer], Callable[..., Iterator[Step]]] = {Add: _sum, Sub: _sum, LeakyRelu: _two_slopes}
"""Kinds whose integers are taken apart further than into single roundings of the exact value."""
