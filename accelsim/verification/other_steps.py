"""From the oracle's codes to the machine's where a layer is no sum and multiplication: pools, sums of tensors, tables, softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from accelsim.graph import Layer
from accelsim.numerics import Requant
from accelsim.verification import names
from accelsim.verification.fake_quant import fake_quantized, has_float_reading
from accelsim.verification.machine import Machine
from accelsim.verification.steps import Array, Pair, Step, same, shares_parameters


def other_steps(pair: Pair, inputs: Sequence[Array]) -> Iterator[Step]:
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


_IDENTITY = (
    "name",
    "inputs",
    "output",
    "weight_scales",
    "real_bias",
    "real_function",
    "accumulator",
    "source_operator",
)
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
    yield Step(key, names.text(key, operator=mine.operator), codes(_with(layer, name, mine_value)))


def _with(layer: Layer, name: str, value: Any) -> Layer:
    return replace(layer, **{name: value})
