"""The causes by name, and what a report says of each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from accelsim.numerics import MOST_STAGES, RequantScheme, scheme_named

FLOAT = "float accumulate"
KERNEL = "runtime kernel"
WEIGHTS = "weights"
INPUT_ZERO = "input zero point"
PADDING = "padding"
BIAS = "bias"
BIAS_ROUNDING = "bias rounding"
SCALE = "scale mismatch"
MULTIPLIER = "multiplier"
PRODUCT = "scale product precision"
WIDTH = "multiplier width"
THRESHOLDS = "thresholds"
OPERANDS = "operand rescale"
DIVISOR = "mean divisor"
OFFSET = "mean zero point"
ORDER = "float32 operations"
TABLE = "table precision"
EXPONENTIAL = "fixed-point exponential"
PARITY = "zero-point parity"
TIE = "tie rule"
TRUNCATION = "truncation"
ROUNDING = "rounding"
OUTPUT_ZERO = "output zero point"
CLAMP = "clamp range"
OPERATOR = "operator rule"
ACCUMULATOR = "accumulator width and order"
REWRITING = "graph rewriting"
LEVEL = "optimization level"
RANGE = "reduced range"
READING = "read otherwise"


def stage_key(number: int) -> str:
    """The cause that one stage of a requantizer is, by its place from 1 on."""
    return f"output stage {number}"


STEPS = (
    FLOAT, BIAS_ROUNDING, REWRITING, KERNEL, WEIGHTS, INPUT_ZERO, PADDING, BIAS, SCALE, MULTIPLIER, PRODUCT, WIDTH, DIVISOR, OFFSET, OPERANDS,
    THRESHOLDS, PARITY, TIE, TRUNCATION, *map(stage_key, range(1, MOST_STAGES + 1)),
    ROUNDING, OUTPUT_ZERO, CLAMP, ORDER, TABLE, EXPONENTIAL, OPERATOR, ACCUMULATOR,
)  # fmt: skip
"""Steps of the ablation, in their order."""

NARROW_BITS = 23
"""Multipliers of fewer significant bits than a float32's 24 are a width of their own, wider ones a precision."""
TRUNCATION_RATE = 0.5
"""Dropping the fraction moves every code whose fraction is above one half: half of them where fractions are uniform."""

_TEXTS = {
    FLOAT: "float accumulate: the oracle sums and scales in floating point",
    REWRITING: "graph rewriting: the oracle runs other operators than the file has",
    KERNEL: "the oracle's own kernel is not what its arithmetic {rule} says",
    WEIGHTS: "integer weights differ",
    INPUT_ZERO: "input zero point differs",
    PADDING: "padding differs",
    BIAS: "bias differs",
    BIAS_ROUNDING: "bias rounding: the model's float bias becomes a multiple of s_in * s_w",
    SCALE: "scale mismatch",
    MULTIPLIER: "encoded multipliers differ",
    PRODUCT: "scale product precision",
    WIDTH: "multiplier of {bits} bits",
    THRESHOLDS: "thresholds: one level of the exact sum per code, where the model has a chain of float32 operators",
    OPERANDS: "operand rescale: each operand is brought to the sum's scale by a rounded fixed-point product",
    DIVISOR: "mean divisor: 1/n is folded into the multiplier and truncated",
    OFFSET: "mean zero point: raw codes are summed, and both zero points become one rounded number",
    ORDER: "float32 operations: the runtime's own, in its order, each one rounded",
    TABLE: "table precision: entries as the runtime computes and rounds them",
    EXPONENTIAL: "fixed-point exponential, sum and reciprocal",
    PARITY: "zero-point parity: the zero point is added before the tie is broken, or after",
    TIE: "tie rule",
    TRUNCATION: "truncation",
    ROUNDING: "{rule}",
    OUTPUT_ZERO: "output zero point differs",
    CLAMP: "clamp range",
    OPERATOR: "rule of its own for {operator}",
    ACCUMULATOR: "accumulator width and order of sums",
}


def text(key: str, *, rule: str = "", operator: str = "", bits: int = 0, detail: str = "") -> str:
    """One phrase about the cause."""
    what = _roundings(scheme_named(rule)) if key == ROUNDING else rule
    phrase = _TEXTS[key].format(rule=what, operator=operator, bits=bits)
    return f"{phrase} ({detail})" if detail else phrase


def _roundings(scheme: RequantScheme) -> str:
    """What a report calls the roundings of a scheme."""
    if scheme.family.is_float:
        return f"requantization in {scheme.family.dtype}"
    if not scheme.is_doubled:
        return scheme.label
    twice = scheme.roundings[0] is scheme.tie
    return f"double rounding, {scheme.tie.replace('_', ' ')} twice" if twice else "double rounding"


OBSERVER_RATIOS = tuple(Fraction(*r) for r in ((255, 256), (256, 255), (254, 255), (255, 254)))
"""Factors between a weight scale in training and after conversion, by PyTorch's fused observer for 8 bits: it takes the largest
weight over 127 or 128, by its sign, the converter over 127.5 (measured, tests/verification/test_observer.py)."""
RATIO_TOLERANCE = 2.0**-20
"""Relative: three roundings of float32 scales, 2^-24 each, and a margin of five."""


def observer_ratios(ratios: Sequence[float]) -> tuple[Fraction, ...]:
    """The known factors that all ``ratios`` are among; none where one of them is another, or exactly 1."""
    found = {next((k for k in OBSERVER_RATIOS if abs(r / float(k) - 1) <= RATIO_TOLERANCE), None) for r in ratios}
    return () if None in found else tuple(sorted(k for k in found if k is not None))


def ratio_text(ratios: Sequence[float]) -> str:
    """``255/256``, one number, or a range."""
    known = observer_ratios(ratios)
    if known:
        return f"{' and '.join(str(k) for k in known)}, PyTorch's fused observer"
    low, high = min(ratios), max(ratios)
    return f"{low:.9g}" if low == high else f"{low:.9g} to {high:.9g}"
