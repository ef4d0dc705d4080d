"""Eight ways to take a quotient to an integer; the pure-int functions define them, the array functions must agree.

Names clash between projects. Here ``UP`` and ``DOWN`` are directions on the number line. QONNX calls "half away from
zero" ``HALF_UP``, "half toward zero" ``HALF_DOWN``, "away from zero" ``UP`` and "toward zero" ``DOWN``
(qonnx/custom_op/general/quant.py); its ``HALF_UP`` is :attr:`Rounding.HALF_AWAY` here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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
    def code(self) -> int:
        """Position in the enumeration: how compiled kernels name the mode."""
        return _CODES[self]


_CODES = {mode: code for code, mode in enumerate(Rounding)}


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


def round_shift_array(values: ArrayLike, shift: ArrayLike, rounding: Rounding) -> NDArray[np.int64]:
    """Element-wise :func:`round_shift` in int64; ``shift`` is 0 to 62 and broadcasts. No value overflows.

    Raises :class:`ConfigError` for a shift outside 0 to 62.
    """
    from accelsim.numerics import _kernels

    shifts = np.asarray(shift, dtype=np.int64)
    if shifts.size and not 0 <= shifts.min() <= shifts.max() <= MAX_SHIFT:
        raise ConfigError(f"right shift: expected 0 to {MAX_SHIFT}, got {shifts.min()} to {shifts.max()}")
    return _elementwise(_kernels.round_shift_flat, values, shifts, rounding)


def round_divide_array(numerators: ArrayLike, denominator: ArrayLike, rounding: Rounding) -> NDArray[np.int64]:
    """Element-wise :func:`round_divide` in int64; ``denominator`` is positive and broadcasts.

    Raises :class:`ConfigError` for a denominator below 1.
    """
    from accelsim.numerics import _kernels

    denominators = np.asarray(denominator, dtype=np.int64)
    if denominators.size and denominators.min() < 1:
        raise ConfigError(f"rounding division: expected denominators of 1 or more, got {denominators.min()}")
    return _elementwise(_kernels.round_divide_flat, numerators, denominators, rounding)


def _elementwise(kernel: Any, values: ArrayLike, second: NDArray[np.int64], rounding: Rounding) -> NDArray[np.int64]:
    """Broadcast the second operand over ``values`` and run a flat kernel; a one-element operand is not materialised."""
    first = np.asarray(values, dtype=np.int64)
    shape = np.broadcast_shapes(first.shape, second.shape)
    if second.size != 1:
        second = np.broadcast_to(second, shape)
    out = np.empty(shape, dtype=np.int64)
    kernel(np.broadcast_to(first, shape).ravel(), second.ravel(), Rounding(rounding).code, out.reshape(-1))
    return out
