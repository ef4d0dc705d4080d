"""Eight ways to take a quotient to an integer; the functions on ``int`` define them.

Names clash between projects. Here ``UP`` and ``DOWN`` are directions on the number line. QONNX calls "half away from
zero" ``HALF_UP``, "half toward zero" ``HALF_DOWN``, "away from zero" ``UP`` and "toward zero" ``DOWN``
(qonnx/custom_op/general/quant.py); its ``HALF_UP`` is :attr:`Rounding.HALF_AWAY` here.
"""

from __future__ import annotations

from enum import StrEnum

MAX_SHIFT = 62


class Rounding(StrEnum):
    """What becomes of a quotient between two integers; the ``HALF_*`` modes take the nearest one and differ in ties."""

    HALF_EVEN = "half_even"
    """Ties to the even neighbour: IEEE 754 roundTiesToEven, RISC-V ``rne``, XNNPACK, ONNX."""
    HALF_AWAY = "half_away"
    """Ties away from zero: C ``round``, gemmlowp RoundingDivideByPOT, ``AC_RND_INF`` of NVDLA. QONNX: HALF_UP."""
    HALF_UP = "half_up"
    """Ties toward plus infinity: ``(x + 2**(s-1)) >> s``, VRSHL, TOSA SINGLE_ROUND. Not what QONNX calls HALF_UP."""
    HALF_DOWN = "half_down"
    """Ties toward minus infinity. Not what QONNX calls HALF_DOWN."""
    FLOOR = "floor"
    """Toward minus infinity: an arithmetic right shift, ``AP_TRN`` of hls4ml."""
    TRUNC = "trunc"
    """Toward zero: C integer division."""
    CEIL = "ceil"
    """Toward plus infinity."""
    AWAY = "away"
    """Away from zero."""

    @property
    def is_nearest(self) -> bool:
        """Whether it takes the nearest integer and has ties; the others go in one direction."""
        return self.startswith("half_")


def round_divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """``numerator / denominator`` rounded to an integer; exact, any size; ZeroDivisionError for a zero denominator."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, remainder = divmod(numerator, denominator)
    return quotient + _goes_up(quotient, remainder, denominator, Rounding(rounding))


def _goes_up(quotient: int, remainder: int, denominator: int, rounding: Rounding) -> bool:
    """Whether the floor ``quotient`` must be incremented."""
    if remainder == 0 or rounding is Rounding.FLOOR:
        return False
    negative = quotient < 0
    directed = {Rounding.CEIL: True, Rounding.TRUNC: negative, Rounding.AWAY: not negative}
    if rounding in directed:
        return directed[rounding]
    if 2 * remainder != denominator:
        return 2 * remainder > denominator
    ties = {Rounding.HALF_EVEN: quotient % 2 == 1, Rounding.HALF_AWAY: not negative, Rounding.HALF_UP: True}
    return ties.get(rounding, False)


def round_shift(value: int, shift: int, rounding: Rounding) -> int:
    """``value / 2**shift`` rounded to an integer; a negative ``shift`` multiplies, exactly."""
    if shift < 0:
        return value << -shift
    return round_divide(value, 1 << shift, rounding)
