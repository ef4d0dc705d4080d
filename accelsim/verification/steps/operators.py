"""From the oracle's codes to the machine's where a layer is no sum and multiplication: pools, sums of tensors, tables, softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from accelsim.graph import Add, Layer, OperandScale
from accelsim.numerics import Requant
from accelsim.verification import names
from accelsim.verification.readings.fake_quant import has_float_reading
from accelsim.verification.readings.machine import Machine
from accelsim.verification.steps.rules import between_sums, rule_steps
from accelsim.verification.steps.step import Array, Pair, Step, same, shares_parameters


def other_steps(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
    """The reference's own rule, one part at a time, then the parameters that differ, likewise."""
    reference, mine = pair.reference, pair.mine
    exact = Machine(pair.machine.graph)
    if not pair.is_float:
        yield Step(names.KERNEL, names.text(names.KERNEL, rule=pair.rule), exact.layer(reference, inputs))
    elif has_float_reading(reference, pair.reference_tensors):
        yield from rule_steps(reference, inputs, pair.reference_tensors)
    if type(reference) is not type(mine):
        return
    if isinstance(reference, Add) and isinstance(mine, Add) and _form(reference) != _form(mine):
        yield from between_sums(reference, mine, inputs)
        return
    layer = reference
    for name in _differing(reference, mine):
        yield from _swapped(layer, mine, name, lambda made: exact.layer(made, inputs))
        layer = _with(layer, name, getattr(mine, name))


def _form(layer: Add) -> tuple[object, ...]:
    """How operands enter the sum: two sums of one form differ in numbers alone."""
    sides = [(side.exponent is None, side.left_shift) for side in (layer.left, layer.right) if side is not None]
    return (*sides, layer.scheme, getattr(layer.requant, "scheme", None))


_IDENTITY = (
    "name", "inputs", "output", "weight_scales", "real_bias", "real_function", "accumulator", "source_operator",
)  # fmt: skip
_FIELDS = {
    names.WEIGHTS: ("weights",),
    names.BIAS: ("bias",),
    names.INPUT_ZERO: ("input_zero_point",),
    names.OPERANDS: ("left", "right"),
    names.TABLE: ("table", "exp_table", "reciprocal_table"),
    names.MULTIPLIER: ("multiplier", "left_shift"),
    names.EXPONENTIAL: ("diff_min", "algorithm"),
    names.SCALE: ("input_scale", "output_scale", "output_factor"),
    names.OUTPUT_ZERO: ("output_zero_point",),
    names.CLAMP: ("output_min", "output_max", "clamp_min", "clamp_max"),
    names.PADDING: ("geometry", "count_include_pad", "kernel", "value", "before", "pad"),
}
_KEYS = {field: key for key, found in _FIELDS.items() for field in found}


def _differing(reference: Layer, mine: Layer) -> Iterator[str]:
    """Names of the parameters that differ, sums first."""
    named = [f.name for f in fields(reference) if f.name not in _IDENTITY]
    for name in sorted(named, key=lambda n: (n == "requant", n == "scheme")):
        if not same(getattr(reference, name), getattr(mine, name)):
            yield name


def _swapped(layer: Layer, mine: Layer, name: str, codes: Callable[[Layer], Array]) -> Iterator[Step]:
    mine_value, value = getattr(mine, name), getattr(layer, name)
    if isinstance(value, OperandScale) and isinstance(mine_value, OperandScale):
        value = replace(value, zero_point=mine_value.zero_point)
        yield Step(names.INPUT_ZERO, names.text(names.INPUT_ZERO), codes(_with(layer, name, value)))
    if isinstance(value, Requant) and isinstance(mine_value, Requant) and shares_parameters(value, mine_value):
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
    text = names.text(key, rule=mine_value if key == names.ROUNDING else "", operator=mine.operator)
    yield Step(key, text, codes(_with(layer, name, mine_value)))


def _with(layer: Layer, name: str, value: Any) -> Layer:
    return replace(layer, **{name: value})
