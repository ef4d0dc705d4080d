"""One stage of a requantization unit: what it does to an integer, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from accelsim.numerics.intformat import IntFormat
from accelsim.numerics.overflow import Overflow, fit
from accelsim.numerics.rounding import Rounding, round_shift

MAX_BITS = 63
"""Widest operand or result: all values between stages are proved to fit int64."""
LARGEST_SHIFT = 63


class Kind(StrEnum):
    """What a stage does to ``x``."""

    ADD = "add"
    """``x + value``."""
    OFFSET = "offset"
    """``x - value``: the offset that converters such as NVDLA's subtract before they scale."""
    MULTIPLY = "multiply"
    """``x * by``, exactly."""
    SHIFT = "shift"
    """``x / 2**by``, rounded to an integer in the way that ``rounding`` names."""
    LEFT = "left"
    """``x * 2**by``, exactly."""
    WRAP = "wrap"
    """The low ``bits`` of x, in two's complement or unsigned."""
    SATURATE = "saturate"
    """The nearest number of ``bits``."""
    CLIP = "clip"
    """The nearest number from ``min`` to ``max``."""
    TABLE = "table"
    """The entry of ``values`` for x: of x itself, or of ``x + n/2`` where x may be negative, for n entries."""


class Operand(StrEnum):
    """What a stage takes from the layer; a constant is an ``int`` in its place."""

    BIAS = "bias"
    """The bias of each channel, in the units of the place where it is added; the accumulators then start at 0."""
    ZERO_POINT = "zero_point"
    """The zero point of the output, in the units of its place."""
    MULTIPLIER = "multiplier"
    """The significand of the layer's ratio of scales."""
    SHIFT = "shift"
    """The right shift that belongs to the multiplier."""
    LEFT_SHIFT = "left_shift"
    """The part of that shift below zero, as a left shift: ``max(-shift, 0)``."""
    RIGHT_SHIFT = "right_shift"
    """The part above zero: ``max(shift, 0)``."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage; what its kind does not use is at its default (:func:`~accelsim.numerics.stages.stage_list` checks that).

    ``operand`` is a constant or what the layer gives, ``bits`` the width of that operand, or of the result of ``wrap`` and
    ``saturate``; ``signed`` belongs to ``bits``. ``most`` is the largest shift, ``left`` the largest left shift that a unit gives
    its bias. ``shared``: one number for all channels.
    """

    kind: Kind
    operand: int | Operand = 0
    bits: int = 0
    signed: bool = True
    rounding: Rounding = Rounding.FLOOR
    most: int = 0
    left: int = 0
    shared: bool = False
    low: int | None = None
    high: int | None = None
    values: tuple[int, ...] = ()

    @property
    def format(self) -> IntFormat:
        """The integers of ``bits``."""
        return IntFormat(self.bits, self.signed)

    @property
    def constant(self) -> int:
        """The operand of a stage that takes nothing from the layer."""
        assert not isinstance(self.operand, Operand)
        return self.operand

    def takes(self, *operands: Operand) -> bool:
        """Whether the stage's operand is one of these."""
        return isinstance(self.operand, Operand) and self.operand in operands

    @property
    def named(self) -> bool:
        """Whether the operand comes from the layer."""
        return isinstance(self.operand, Operand)

    def apply(self, x: int, operand: int) -> int:
        """``x`` behind the stage, exactly, for any size of integers: the definition. ``operand`` is its operand, constant or not."""
        match self.kind:
            case Kind.ADD:
                return x + operand
            case Kind.OFFSET:
                return x - operand
            case Kind.MULTIPLY:
                return x * operand
            case Kind.SHIFT:
                return round_shift(x, operand, self.rounding)
            case Kind.LEFT:
                return x << operand
            case Kind.WRAP:
                return fit(x, self.format, Overflow.WRAP)
            case Kind.SATURATE:
                return fit(x, self.format, Overflow.SATURATE)
            case Kind.CLIP:
                x = x if self.low is None else max(x, self.low)
                return x if self.high is None else min(x, self.high)
            case Kind.TABLE:
                return self.values[x + operand]

    @property
    def formula(self) -> str:
        """The stage as a formula of x."""
        return _FORMULAS[self.kind](self)


def _bits(stage: Stage) -> str:
    return f"{'' if stage.signed else 'u'}{stage.bits}" if stage.named else ""


def _operand(stage: Stage) -> str:
    return f"{stage.operand}[{_bits(stage)}]" if stage.named else str(stage.operand)


def _added(stage: Stage) -> str:
    moved = f" * 2^(0..{stage.left})" if stage.left else ""
    return f"x + {_operand(stage)}{moved}"


def _clipped(stage: Stage) -> str:
    lower = "x" if stage.low is None else f"max(x, {stage.low})"
    return lower if stage.high is None else f"min({lower}, {stage.high})"


def _range(stage: Stage) -> str:
    return f"{'int' if stage.signed else 'uint'}{stage.bits}"


_FORMULAS: Mapping[Kind, Callable[[Stage], str]] = {
    Kind.ADD: _added,
    Kind.OFFSET: lambda s: f"x - {_operand(s)}",
    Kind.MULTIPLY: lambda s: f"x * {_operand(s)}",
    Kind.SHIFT: lambda s: f"{s.rounding}(x / 2^{s.operand})",
    Kind.LEFT: lambda s: f"x * 2^{s.operand}",
    Kind.WRAP: lambda s: f"{_range(s)}(x)",
    Kind.SATURATE: lambda s: f"saturate(x, {_range(s)})",
    Kind.CLIP: _clipped,
    Kind.TABLE: lambda s: f"table[x] of {len(s.values)} entries",
}
