"""What values can stand between the stages of a list: intervals from the accumulator on, and what a list cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from accelsim.errors import ConfigError
from accelsim.numerics.intformat import INT64, IntFormat
from accelsim.numerics.stages.stage import LARGEST_SHIFT, Kind, Operand, Stage

Interval = tuple[int, int]
WIDEST_FOR_63 = 61
"""Magnitudes below 2**61 become the same code by a shift of 62 places and of 63."""


def proved(stages: tuple[Stage, ...], bits: int) -> tuple[Interval, ...]:
    """Lowest and highest value behind each stage, from accumulators of ``bits``; all of them fit int64.

    ConfigError names the first stage that cannot be: a result beyond 63 bits and a sign, a table with too few entries, an operand
    that is taken twice or after a table.
    """
    _check_operands(stages)
    found, at = [], _ends(IntFormat(bits))
    for number, stage in enumerate(stages, start=1):
        at = _behind(stage, at, f"stage {number} ({stage.kind})")
        found.append(at)
    return tuple(found)


def operand_interval(stage: Stage) -> Interval:
    """Lowest and highest operand that the stage is built for."""
    if not stage.named:
        return stage.constant, stage.constant
    if stage.kind in (Kind.SHIFT, Kind.LEFT):
        return 0, stage.most
    low, high = _ends(stage.format)
    return low << stage.left, high << stage.left


def index_offset(stage: Stage, at: Interval) -> int:
    """What is added to x for its entry in a table."""
    return len(stage.values) // 2 if at[0] < 0 else 0


def _ends(fmt: IntFormat) -> Interval:
    return fmt.min, fmt.max


def _behind(stage: Stage, at: Interval, where: str) -> Interval:
    """The interval behind one stage."""
    if stage.kind is Kind.TABLE:
        return _looked_up(stage, at, where)
    if stage.kind is Kind.WRAP and not (stage.format.contains(at[0]) and stage.format.contains(at[1])):
        return _ends(stage.format)
    if stage.kind is Kind.SHIFT and stage.most == LARGEST_SHIFT and max(-at[0], at[1]) >> WIDEST_FOR_63:
        raise ConfigError(f"{where}: shifts by 63 places take values of {WIDEST_FOR_63} bits and a sign; use max: 62")
    corners = [stage.apply(x, operand) for x in at for operand in operand_interval(stage)]
    low, high = min(corners), max(corners)
    if not (INT64.contains(low) and INT64.contains(high)):
        width = max((-low - 1).bit_length(), high.bit_length())
        raise ConfigError(
            f"{where}: its result reaches {width} bits and a sign, 63 and a sign at most; saturate or wrap before it, or "
            "narrow its operand"
        )
    return low, high


def _looked_up(stage: Stage, at: Interval, where: str) -> Interval:
    size, offset = len(stage.values), index_offset(stage, at)
    if at[0] + offset < 0 or at[1] + offset >= size:
        raise ConfigError(
            f"{where}: {size} entries serve {-offset} to {size - 1 - offset}, but {at[0]} to {at[1]} may come; saturate before it"
        )
    return min(stage.values), max(stage.values)


def _check_operands(stages: tuple[Stage, ...]) -> None:
    for text in _impossible(stages):
        raise ConfigError(text)


def _impossible(stages: tuple[Stage, ...]) -> Iterator[str]:
    """Why a list cannot be, whatever the widths."""
    names = Counter(stage.operand for stage in stages if stage.named)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        yield f"stages: {twice[0]} is taken twice; each of {', '.join(Operand)} at most once"
    if Operand.SHIFT in names and (Operand.LEFT_SHIFT in names or Operand.RIGHT_SHIFT in names):
        yield "stages: shift beside left_shift or right_shift; they are its two parts, take one or the other"
    tables = [i for i, stage in enumerate(stages) if stage.kind is Kind.TABLE]
    if len(tables) > 1:
        yield f"stage {tables[1] + 1} (table): more than one table; expected one at most"
    for i, stage in enumerate(stages, start=1):
        if stage.kind is Kind.MULTIPLY and not stage.named and stage.constant < 1:
            yield f"stage {i} (multiply): expected a constant of 1 or more, got {stage.constant}"
        if tables and i > tables[0] + 1 and stage.named:
            yield f"stage {i} ({stage.kind}): takes {stage.operand} behind a table, where the layer's units end; move it before"
