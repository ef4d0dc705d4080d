"""A list of stages as a requantization scheme: its parameters by channel, its definition in plain integers, its kernel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError, GraphError
from accelsim.numerics.formulas import shifted
from accelsim.numerics.intformat import IntFormat
from accelsim.numerics.rounding import Rounding, round_divide
from accelsim.numerics.scheme_facts import Encoder, Folding, Parameters, RequantScheme
from accelsim.numerics.stages.proof import Interval, index_offset, proved
from accelsim.numerics.stages.reading import StageList, stage_list
from accelsim.numerics.stages.stage import Kind, Operand, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MULTIPLIER, BIAS, ZERO_POINT, RAW_BIAS = range(4)
"""Columns of ``Requant.multiplier`` of a list of stages: the significand, bias and zero point in the units of their places, and the
bias in units of the accumulator."""
STAGES_PREFIX = "stages of "
_NAME = re.compile(rf"{STAGES_PREFIX}(\d+) bits: (.+)")
_COLUMNS = {Operand.MULTIPLIER: MULTIPLIER, Operand.BIAS: BIAS, Operand.ZERO_POINT: ZERO_POINT}
REMEMBERED = 256
"""Lists whose facts are kept; every layer asks for them again."""


@lru_cache(maxsize=REMEMBERED)
def _operands_of(requant: Any) -> list[list[int]]:
    """:meth:`StagedScheme.operands` of a :class:`Parameters` as Python's integers; one record is asked for many sums."""
    rule: StagedScheme = requant.rule
    return [operands.tolist() for operands in rule.operands(requant)]


def _twin(acc: int, requant: Parameters, channel: int) -> int:
    """Stage by stage in exact integers, then the layer's clamp."""
    rule: StagedScheme = requant.rule  # type: ignore[attr-defined]
    known: Any = requant
    for stage, operands in zip(rule.stages.stages, _operands_of(known), strict=True):
        acc = stage.apply(acc, operands[channel if len(operands) > 1 else 0])
    return min(max(acc, requant.clamp_min), requant.clamp_max)


@dataclass(frozen=True, kw_only=True)
class StagedScheme(RequantScheme):
    """The scheme that ``stages`` are, behind accumulators of ``wide`` bits; made by :func:`staged_scheme`."""

    stages: StageList

    def named(self, *operands: Operand) -> Stage | None:
        """The stage that takes one of these from the layer."""
        return next((stage for stage in self.stages.stages if stage.takes(*operands)), None)

    @property
    def takes_bias(self) -> bool:
        """Whether a stage adds the bias, so that accumulators start at 0."""
        return self.named(Operand.BIAS) is not None

    @property
    def multiplier_bits(self) -> int:
        """Width of all multipliers together, which is what their area and energy go by; 0 without any."""
        return sum(stage.bits for stage in self.stages.stages if stage.kind is Kind.MULTIPLY)

    @property
    def factor_bits(self) -> int:
        """Width of the multiplier that the layer gives; 0 without one."""
        stage = self.named(Operand.MULTIPLIER)
        return 0 if stage is None else stage.bits

    @property
    def has_multiplier(self) -> bool:
        """Whether any stage multiplies."""
        return self.multiplier_bits > 0

    @property
    def label(self) -> str:
        """What a report calls it."""
        return f"output stages ({self.stages})"

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """Lowest and highest value behind each stage."""
        return proved(self.stages.stages, self.wide)

    @cached_property
    def constant_gain(self) -> Fraction:
        """What the constants of the list multiply by."""
        return self.gain(self.stages.stages, 1, 0)

    def gain(self, stages: Iterable[Stage], m: int, s: int) -> Fraction:
        """What ``stages`` multiply by, their roundings and limits apart, with significand ``m`` and shift ``s``."""
        result = Fraction(1)
        for stage in stages:
            result *= _gain(stage, m, s)
        return result

    def reals(self, multiplier: NDArray[Any], shift: NDArray[Any]) -> tuple[Fraction, ...]:
        """The real factor of each channel, exactly."""
        pairs = zip(multiplier[:, MULTIPLIER].tolist(), shift.tolist(), strict=True)
        return tuple(self.gain(self.stages.stages, m, s) for m, s in pairs)

    def parameters(self, m: NDArray[Any], s: NDArray[Any], zero_point: int) -> NDArray[np.int64]:
        """``Requant.multiplier`` (C, 4) of significands ``m`` and shifts ``s`` (C,), without a bias; GraphError where it has no room."""
        columns = np.zeros((len(m), 4), dtype=np.int64)
        columns[:, MULTIPLIER] = m
        columns[:, ZERO_POINT] = self._zero_points(zero_point, m.tolist(), s.tolist())
        return columns

    def biased(self, multiplier: NDArray[np.int64], shift: NDArray[Any], bias: NDArray[np.int64]) -> NDArray[np.int64]:
        """``multiplier`` (C, 4) with ``bias`` (C,), in units of the accumulator, brought to the units of its stage.

        ``round(bias * gain before the stage / 2**l) * 2**l``, half away from zero, with the least left shift l, one for all channels,
        at which every bias fits the operand. GraphError where none does.
        """
        stage = self.named(Operand.BIAS)
        assert stage is not None
        before = self.stages.stages[: self.stages.stages.index(stage)]
        columns = np.repeat(multiplier, len(bias), axis=0) if len(multiplier) == 1 else multiplier.copy()
        pairs = zip(columns[:, MULTIPLIER].tolist(), np.broadcast_to(shift, len(bias)).tolist(), strict=True)
        real = [int(b) * self.gain(before, m, s) for b, (m, s) in zip(bias, pairs, strict=True)]
        for left in range(stage.left + 1):
            values = [_rounded(value / (1 << left)) for value in real]
            if all(map(stage.format.contains, values)):
                columns[:, BIAS], columns[:, RAW_BIAS] = [value << left for value in values], bias
                return columns
        worst = max(real, key=abs)
        raise GraphError(
            f"{self.label}: the bias {float(worst):.6g} in the units of its stage does not fit {stage.format} with a left shift of "
            f"at most {stage.left}; give it more bits or a larger left shift"
        )

    def check(self, requant: Parameters) -> None:
        """GraphError for a zero point that the list has no place for, or that does not fit it."""
        if self.is_plain_zero:
            self._zero_points(requant.zero_point, [1], [0])

    @cached_property
    def _zero_stage(self) -> int | None:
        places = [i for i, stage in enumerate(self.stages.stages) if stage.takes(Operand.ZERO_POINT)]
        return places[0] if places else None

    @cached_property
    def is_plain_zero(self) -> bool:
        """Whether the zero point is added where nothing scales it any more."""
        return self._zero_stage is None or self._after(2, 1) == self._after(1, 0) == 1

    def _after(self, m: int, s: int) -> Fraction:
        assert self._zero_stage is not None
        return self.gain(self.stages.stages[self._zero_stage + 1 :], m, s)

    def _zero_points(self, zero_point: int, m: list[int], s: list[int]) -> list[int]:
        """The zero point in the units of its place, negative where it is subtracted."""
        if self._zero_stage is None:
            if zero_point:
                raise GraphError(
                    f"{self.label}: no stage adds the output zero point {zero_point}; add one ('add: {{value: zero_point, bits: 8}}'), or "
                    "use symmetric activations"
                )
            return [0] * len(m)
        stage = self.stages.stages[self._zero_stage]
        sign = -1 if stage.kind is Kind.OFFSET else 1
        found = []
        for one, places in zip(m, s, strict=True):
            gain = self._after(one, places)
            found.append(sign * _rounded(zero_point / gain) if gain else 0)
        wrong = [value for value in found if not stage.format.contains(value)]
        if wrong:
            raise GraphError(
                f"{self.label}: the output zero point {zero_point} is {wrong[0]} in the units of its stage, which does not fit "
                f"{stage.format}; give it more bits"
            )
        return found

    def table_offset(self, i: int) -> int:
        """What stage ``i``, a table, adds to x for its entry."""
        at = self.intervals[i - 1] if i else (IntFormat(self.wide).min, IntFormat(self.wide).max)
        return index_offset(self.stages.stages[i], at)

    def operands(self, requant: Parameters) -> list[NDArray[np.int64]]:
        """Of each stage its operand: one for all channels, or one for each."""
        return [self._operand(i, requant) for i in range(len(self.stages.stages))]

    def _operand(self, i: int, requant: Parameters) -> NDArray[np.int64]:
        stage = self.stages.stages[i]
        if stage.kind is Kind.TABLE:
            return np.array([self.table_offset(i)], dtype=np.int64)
        if stage.takes(Operand.ZERO_POINT) and self.is_plain_zero:
            return np.array([-requant.zero_point if stage.kind is Kind.OFFSET else requant.zero_point], dtype=np.int64)
        if isinstance(stage.operand, Operand):
            column = _COLUMNS.get(stage.operand)
            shift = requant.shift.astype(np.int64)
            if column is not None:
                return np.ascontiguousarray(requant.multiplier[:, column], dtype=np.int64)
            parts = {Operand.LEFT_SHIFT: np.maximum(-shift, 0), Operand.RIGHT_SHIFT: np.maximum(shift, 0)}
            return parts.get(stage.operand, shift)
        return np.array([stage.constant], dtype=np.int64)

    @cached_property
    def _program(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What the compiled loop reads: a row per stage, and the entries of the table."""
        from accelsim.numerics.stages import _loop

        codes = {
            Kind.ADD: _loop.ADD, Kind.OFFSET: _loop.ADD, Kind.MULTIPLY: _loop.MULTIPLY, Kind.SHIFT: _loop.SHIFT, Kind.LEFT: _loop.LEFT,
            Kind.WRAP: _loop.WRAP, Kind.SATURATE: _loop.LIMIT, Kind.CLIP: _loop.LIMIT, Kind.TABLE: _loop.TABLE,
        }  # fmt: skip
        roundings = list(Rounding)
        rows = [[codes[s.kind], roundings.index(s.rounding), *_limits(s)] for s in self.stages.stages]
        entries = next((s.values for s in self.stages.stages if s.values), (0,))
        return np.array(rows, dtype=np.int64), np.array(entries, dtype=np.int64)

    @property
    def kernel(self) -> Any:
        """The compiled block kernel, called as those of other schemes."""
        return self._run

    def values(self, acc: NDArray[np.int64], requant: Parameters, count: int) -> NDArray[np.int64]:
        """int64 values behind the first ``count`` stages, of accumulators (..., C) and of their shape; no clamp."""
        out = np.empty(acc.shape, dtype=np.int64)
        columns = len(requant.multiplier) if len(requant.multiplier) > 1 else acc.size
        block = (acc.size // max(columns, 1), columns)
        widest = IntFormat(64)
        self._stages(
            np.ascontiguousarray(acc).reshape(block), requant, count, (widest.min, widest.max), out.reshape(block)
        )
        return out

    def _run(
        self,
        acc: NDArray[Any],
        mult: NDArray[Any],
        shift: NDArray[Any],
        zp: int,
        low: int,
        high: int,
        out: NDArray[Any],
    ) -> None:
        self._stages(acc, _Plain(mult, shift, zp, low, high), len(self.stages.stages), (low, high), out)

    def _stages(self, acc: NDArray[Any], requant: Parameters, count: int, ends: Interval, out: NDArray[Any]) -> None:
        """The first ``count`` stages and a clamp, over a block (rows, channels)."""
        from accelsim.numerics.stages import _loop

        program, entries = self._program
        rows = self.operands(requant)
        columns = max(map(len, rows))
        piece = columns * max(1, _loop.PIECE // columns)
        operands = np.empty((len(rows), piece), dtype=np.int64)
        steps = np.array([[len(row) > 1] for row in rows], dtype=np.int64)
        for target, row, stage in zip(operands, rows, self.stages.stages, strict=True):
            target.reshape(-1, len(row))[...] = -row if stage.kind is Kind.OFFSET else row
        listed = np.concatenate([program, steps], axis=1)[:count]
        flat, made = (
            np.ascontiguousarray(acc).reshape(-1),
            out if out.flags.c_contiguous else np.empty(out.shape, out.dtype),
        )
        _loop.staged(flat, listed, operands, entries, *ends, made.reshape(-1))
        if made is not out:
            out[...] = made


@dataclass(frozen=True, eq=False)
class _Plain:
    """What a kernel is given, as :class:`Parameters`."""

    multiplier: NDArray[Any]
    shift: NDArray[Any]
    zero_point: int
    clamp_min: int
    clamp_max: int


def _limits(stage: Stage) -> tuple[int, int]:
    """Columns LOW and HIGH of the loop."""
    if stage.kind is Kind.WRAP:
        return stage.bits, int(stage.signed)
    if stage.kind is Kind.SATURATE:
        return stage.format.min, stage.format.max
    widest = IntFormat(64)
    low, high = stage.low, stage.high
    return widest.min if low is None else low, widest.max if high is None else high


def _gain(stage: Stage, m: int, s: int) -> Fraction:
    if stage.kind is Kind.MULTIPLY:
        return Fraction(m if stage.named else stage.constant)
    if stage.kind not in (Kind.SHIFT, Kind.LEFT):
        return Fraction(1)
    named = {Operand.SHIFT: s, Operand.RIGHT_SHIFT: max(s, 0), Operand.LEFT_SHIFT: max(-s, 0)}
    places = named[stage.operand] if isinstance(stage.operand, Operand) else stage.operand
    return Fraction(1, 1 << places) if stage.kind is Kind.SHIFT else Fraction(1 << places)


def operand_name(number: int) -> str:
    """What formulas call the operand of a stage, by its place from 1 on."""
    return f"stage_{number}"


def _formula(stages: tuple[Stage, ...], bits: int) -> Iterator[str]:
    """Stage by stage, in the notation of :mod:`accelsim.numerics.formulas`."""
    intervals = ((IntFormat(bits).min, IntFormat(bits).max), *proved(stages, bits))
    for number, (stage, at) in enumerate(zip(stages, intervals, strict=False), start=1):
        operand = operand_name(number) if stage.named else str(stage.operand)
        match stage.kind:
            case Kind.ADD:
                yield f"x = x + {operand}"
            case Kind.OFFSET:
                yield f"x = x - {operand}"
            case Kind.MULTIPLY:
                yield f"x = x * {operand}"
            case Kind.SHIFT:
                yield shifted(stage.rounding, operand)
            case Kind.LEFT:
                yield f"x = x << {operand}"
            case Kind.WRAP:
                yield f"x = wrap(x, {stage.bits}, {int(stage.signed)})"
            case Kind.SATURATE:
                yield f"x = saturate(x, {stage.format.min}, {stage.format.max})"
            case Kind.CLIP:
                low, high = _limits(stage)
                yield f"x = saturate(x, {low}, {high})"
            case Kind.TABLE:
                yield f"x = table[x + {index_offset(stage, at)}]"
    yield "code = saturate(x, clamp_min, clamp_max)"


def _rounded(value: Fraction) -> int:
    return round_divide(value.numerator, value.denominator, Rounding.HALF_AWAY)


@lru_cache(maxsize=REMEMBERED)
def staged_scheme(stages: StageList, bits: int) -> StagedScheme:
    """The scheme of ``stages`` behind accumulators of ``bits``; ConfigError for a list that cannot be (:mod:`proof`)."""
    proved(stages.stages, bits)
    multiplier = next((s for s in stages.stages if s.takes(Operand.MULTIPLIER)), None)
    last = [s.rounding for s in stages.stages if s.kind is Kind.SHIFT and s.operand != 0]
    right = max((s.most for s in stages.stages if s.takes(Operand.SHIFT, Operand.RIGHT_SHIFT)), default=0)
    left = max((s.most for s in stages.stages if s.takes(Operand.LEFT_SHIFT)), default=0)
    return StagedScheme(
        name=f"{STAGES_PREFIX}{bits} bits: {stages}",
        description="; ".join(stages.formulas),
        source="the machine's requantizer.stages",
        wide=bits, encoder=Encoder.STAGED, exponents=(-left, right),
        multipliers=(0, 1) if multiplier is None else (multiplier.format.min, multiplier.format.max),
        roundings=(last[-1] if last else Rounding.HALF_EVEN,), parity=False, is_whole=True,
        shift_form="it is a list of stages", folding=Folding.NONE,
        formula=tuple(_formula(stages.stages, bits)),
        twin=_twin, loop="staged", stages=stages,
    )  # fmt: skip


def parsed_scheme(name: str) -> StagedScheme | None:
    """The scheme of a name that begins with ``stages of``, or None; ConfigError for a list that cannot be."""
    if not name.startswith(STAGES_PREFIX):
        return None
    found = _NAME.fullmatch(name)
    if found is None:
        raise ConfigError(
            f"requantization scheme {name!r:.80}: expected 'stages of N bits: STAGE; STAGE; ...'", name=name
        )
    return staged_scheme(stage_list(found[2]), int(found[1]))
