"""Which stage of a requantizer moves a code: the stages one after the other, what follows them taken as exact."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm

import numpy as np

from accelsim.numerics import IntFormat, Kind, Operand, Overflow, Requant, StagedScheme, fit_array
from accelsim.verification import names
from accelsim.verification.readings.exact import ExactRequant, codes_of
from accelsim.verification.steps.step import Array, Step

_EXACT = (Kind.MULTIPLY, Kind.LEFT)
"""Stages that lose nothing."""
_LARGEST = 2**62


def stage_steps(exact: ExactRequant, b: Requant, sums: Array) -> Iterator[Step]:
    """Steps from one rounding of the exact value to the codes of ``b``, whose rule is a list of stages; ``sums`` with their bias.

    Step k reads ``round(value behind stage k * what the later stages multiply by + what they add)``, exactly.
    """
    rule = b.rule
    assert isinstance(rule, StagedScheme)
    bare = fit_array(sums if b.bias is None else sums - b.bias, IntFormat(rule.wide), Overflow.SATURATE)
    for count, stage in enumerate(rule.stages.stages, start=1):
        if stage.kind in _EXACT:
            continue
        codes = _rest(exact, b, rule, bare, count)
        if codes is not None:
            yield Step(names.stage_key(count), f"{names.stage_key(count)}: {stage.formula}", codes)
    yield Step(names.ROUNDING, names.text(names.ROUNDING, rule=b.scheme), codes_of(sums, b))


def _rest(exact: ExactRequant, b: Requant, rule: StagedScheme, bare: Array, count: int) -> Array | None:
    """Codes of the first ``count`` stages with an exact rest; None where its terms leave 64 bits."""
    values, (done, left) = rule.values(bare, b, count), (rule.stages.stages[:count], rule.stages.stages[count:])
    pairs = list(zip(b.multiplier[:, 0].tolist(), b.shift.tolist(), strict=True))
    after = [rule.gain(left, m, s) for m, s in pairs]
    if b.bias is not None and any(stage.takes(Operand.BIAS) for stage in left):
        before = [rule.gain(done, m, s) for m, s in pairs]
        unit = lcm(*(gain.denominator for gain in before))
        moved = [int(raw) * gain * unit for raw, gain in zip(b.bias, before, strict=True)]
        if int(np.abs(values).max(initial=0)) * unit + max(map(abs, moved)) >= _LARGEST:
            return None
        values = values * unit + np.array([int(term) for term in moved], dtype=np.int64)
        after = [gain / unit for gain in after]
    waiting = exact.zero_point if any(stage.takes(Operand.ZERO_POINT) for stage in left) else 0
    ends = exact.clamp_min, exact.clamp_max
    return ExactRequant(tuple(map(Fraction, after)), exact.rounding, waiting, *ends).codes(values)
