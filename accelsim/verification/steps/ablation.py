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

from accelsim.graph import Layer, MacLayer, Mean
from accelsim.numerics import Folding, Requant, Rounding
from accelsim.quant import encode_multiplier
from accelsim.verification import names
from accelsim.verification.readings.exact import ExactRequant, codes_of, multipliers_of
from accelsim.verification.readings.fake_quant import chained_codes, fake_quantized, real_function
from accelsim.verification.readings.linear import (
    Averages,
    divisor_of,
    has_thresholds,
    is_linear,
    real_multipliers,
    sums_of,
)
from accelsim.verification.steps.operators import other_steps
from accelsim.verification.steps.requantization import Reading, requantized
from accelsim.verification.steps.saturation import pair_saturation
from accelsim.verification.steps.step import Array, Pair, Step, Tensors, same


def ablation(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
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
        if isinstance(reference, Mean) and (centre := _centred(reference, pair.reference_tensors)) is not None:
            codes = replace(reading, zero_point=centre[1]).codes(sums_of(centre[0], inputs))
            yield Step(names.FLOAT, names.text(names.FLOAT), codes)
            key = names.OFFSET
        if isinstance(reference, MacLayer) and reference.real_bias is not None:
            yield _float_step(pair, inputs)
            key = names.BIAS_ROUNDING
        yield Step(key, names.text(key), _codes(reading, sums))
    elif pair.is_float and real_function(reference) is not None:
        yield _float_step(pair, inputs)
    elif not pair.is_float:
        text = names.text(
            names.KERNEL, rule=pair.rule, detail=pair_saturation(pair.rule, reference, pair.reference_tensors)
        )
        if isinstance(reference, MacLayer) and reference.real_bias is not None:
            yield replace(_float_step(pair, inputs), key=names.KERNEL, text=text)
            yield Step(names.BIAS_ROUNDING, names.text(names.BIAS_ROUNDING), _codes(reading, sums))
        else:
            yield Step(names.KERNEL, text, _codes(reading, sums))
    layer: Layer = reference
    for key, changes in _changed_sums(reference, mine):
        layer = replace(layer, **changes)
        sums = sums_of(layer, inputs)
        yield Step(key, names.text(key), _codes(reading, sums))
    scales = real, real_multipliers(mine, pair.tensors)
    whole = _whole_multiplier(mine, pair.tensors) if isinstance(mine, Mean) else None
    yield from requantized(reading, mine.requant, sums, scales, whole=whole)


def _centred(layer: Mean, tensors: Tensors) -> tuple[Mean, int] | None:
    """The mean with the zero points of its tensors, and the output's; None where the layer has them already.

    LiteRT's kernel over an image sums raw codes and takes both zero points as one rounded number (optimized/integer_ops/mean.h).
    """
    source, target = tensors[layer.inputs[0]], tensors[layer.output]
    if layer.input_zero_point == source.zero_point:
        return None
    return replace(layer, input_zero_point=source.zero_point), target.zero_point


def _whole_multiplier(layer: Mean, tensors: Tensors) -> Fraction | None:
    """The encoded ``s_in / s_out`` over the count, exactly, where the layer's multiplier is that divided and truncated."""
    requant, factor = layer.requant, real_multipliers(layer, tensors)
    assert isinstance(requant, Requant)
    divides = requant.rule.folding is Folding.DIVIDED
    if factor is None or not divides or layer.input_zero_point != tensors[layer.inputs[0]].zero_point:
        return None
    significand, exponent = encode_multiplier(float(factor[0] * layer.count))
    return significand * Fraction(2) ** (exponent - 31) / layer.count


def _float_step(pair: Pair, inputs: Sequence[Array]) -> Step:
    codes = fake_quantized(pair.reference, inputs, pair.reference_tensors, np.float64)
    return Step(names.FLOAT, names.text(names.FLOAT), codes)


def _thresholds(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """The oracle's rule on exact sums, the parameters of the sums, then the machine's levels."""
    reference, mine = pair.reference, pair.mine
    assert isinstance(reference, MacLayer | Averages)
    assert isinstance(mine, MacLayer | Averages)
    assert mine.requant is not None
    rule = _rule_of_sums(pair, reference)
    key = names.FLOAT if pair.is_float else names.KERNEL
    sums = sums_of(reference, inputs)
    if pair.is_float and isinstance(reference, MacLayer) and reference.real_bias is not None:
        yield _float_step(pair, inputs)
        key = names.BIAS_ROUNDING
    yield Step(key, names.text(key, rule=pair.rule), rule(sums))
    layer: Layer = reference
    for cause, changes in _changed_sums(reference, mine):
        layer = replace(layer, **changes)
        sums = sums_of(layer, inputs)
        yield Step(cause, names.text(cause), rule(sums))
    yield Step(names.THRESHOLDS, names.text(names.THRESHOLDS), codes_of(sums, mine.requant))


def _rule_of_sums(pair: Pair, reference: MacLayer | Averages) -> Callable[[Array], Array]:
    """Exact sums to codes as the oracle does it, in double precision where it computes in floating point."""
    requant, real = reference.requant, real_multipliers(reference, pair.reference_tensors)
    assert requant is not None
    known = real is not None or isinstance(reference, Averages)
    if pair.is_float and known and reference.real_function is not None:
        units = _units(reference, pair.reference_tensors)
        return lambda sums: chained_codes(reference, [sums * units])
    if not pair.is_float or real is None:
        return lambda sums: codes_of(sums, requant)
    zero = pair.reference_tensors[reference.output].zero_point
    return ExactRequant(real, Rounding.HALF_EVEN, zero, requant.clamp_min, requant.clamp_max).codes


def _units(layer: MacLayer | Averages, tensors: Tensors) -> Array:
    """What one of a layer's sums is worth, (1,) or one per channel."""
    scale = tensors[layer.inputs[0]].scale
    assert scale is not None
    if isinstance(layer, Averages):
        return np.array([np.float64(scale) / divisor_of(layer)])
    assert layer.weight_scales is not None
    return np.asarray(np.float64(scale) * layer.weight_scales.astype(np.float64))


def _codes(reading: Reading, sums: Array) -> Array:
    return reading.codes(sums) if isinstance(reading, ExactRequant) else codes_of(sums, reading)


_SUM_FIELDS = (
    (names.WEIGHTS, ("weights", "weight_format", "weight_zero_points")),
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


def sums_and_reading(pair: Pair, inputs: Sequence[Array]) -> tuple[Array, ExactRequant] | None:
    """The machine's exact sums and their exact reading, by real scales where they are known; None where there are none."""
    layer = pair.mine
    if not is_linear(layer):
        return None
    requant = layer.requant
    assert isinstance(requant, Requant)
    factors = real_multipliers(layer, pair.tensors) or multipliers_of(requant)
    exact = ExactRequant(
        factors, Rounding.HALF_EVEN, requant.zero_point, requant.clamp_min, requant.clamp_max, requant.rule.parity
    )
    return sums_of(layer, inputs), exact
