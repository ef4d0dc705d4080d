"""The formula of a scheme on one accumulator, in exact numbers; what a reader of exported vectors does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from accelsim.numerics import FUNCTIONS, Requant, Rounding, ieee_round, round_divide


def evaluate(steps: Sequence[str], acc: int, parameters: Mapping[str, Any]) -> int:
    """The ``code`` that the assignments ``steps`` make of ``acc``."""
    names: dict[str, Any] = {**_functions(), **parameters, "x": acc}
    for step in steps:
        name, _, expression = step.partition(" = ")
        names[name] = eval(expression, {"__builtins__": {}}, names)
    return int(names["code"])


def parameters_of(requant: Requant, channel: int) -> dict[str, Any]:
    """What the formula of ``requant.rule`` reads, of one channel."""
    known: dict[str, Any] = {name: getattr(requant, name) for name in ("zero_point", "clamp_min", "clamp_max", "table")}
    for name, values in requant.parameters.items():
        value = values[channel if len(values) > 1 else 0]
        known[name] = Fraction(float(value)) if values.dtype.kind == "f" else int(value)
    return known


def _functions() -> dict[str, Callable[..., Any]]:
    names: dict[str, Any] = {"min": min, "max": max, "float32": _float(24, -149), "float64": _float(53, -1074)}
    names |= {"rint": _nearest(Rounding.HALF_EVEN), "round_away": _nearest(Rounding.HALF_AWAY)}
    for call, body in FUNCTIONS.items():
        name, _, arguments = call.removesuffix(")").partition("(")
        names[name] = eval(f"lambda {arguments}: {body}", names)
    return names


def _nearest(rounding: Rounding) -> Callable[[Any], int]:
    return lambda value: round_divide(Fraction(value).numerator, Fraction(value).denominator, rounding)


def _float(precision: int, min_exponent: int) -> Callable[[Any], Fraction]:
    return lambda value: ieee_round(Fraction(value), precision=precision, min_exponent=min_exponent)
