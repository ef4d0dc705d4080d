"""What becomes of a value that does not fit its integer format."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import AccumulatorOverflowError, ConfigError
from accelsim.numerics.intformat import INT64, IntFormat

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Overflow(StrEnum):
    """Policy of a register that is too narrow for a value."""

    WRAP = "wrap"
    """Keep the low bits: two's-complement arithmetic modulo ``2**bits``."""
    SATURATE = "saturate"
    """Stop at the nearest representable value."""
    SATURATE_SYMMETRIC = "saturate_symmetric"
    """Stop at ``-max`` and ``max``, so that the range is its own mirror image; 0 and ``max`` when unsigned."""
    TRAP = "trap"
    """Raise :class:`AccumulatorOverflowError`."""


def fit(value: int, fmt: IntFormat, overflow: Overflow) -> int:
    """``value`` as a register of format ``fmt`` holds it; raises :class:`AccumulatorOverflowError` when it traps."""
    overflow = Overflow(overflow)
    if overflow is Overflow.WRAP:
        return (value - fmt.min) % (1 << fmt.bits) + fmt.min
    if overflow is Overflow.TRAP and not fmt.contains(value):
        raise _trapped(value, fmt, None)
    return min(max(value, lowest(fmt, overflow)), fmt.max)


def fit_array(values: ArrayLike, fmt: IntFormat, overflow: Overflow) -> NDArray[np.int64]:
    """Element-wise :func:`fit` of int64 values, any shape.

    Raises :class:`AccumulatorOverflowError` naming the first offending index when it traps, and :class:`ConfigError`
    for wrapping into uint64, which int64 cannot hold.
    """
    array, overflow = np.asarray(values, dtype=np.int64), Overflow(overflow)
    if overflow is Overflow.WRAP:
        return _wrap(array, fmt)
    top = min(fmt.max, INT64.max)
    if overflow is Overflow.TRAP:
        _trap(array, fmt, top)
        return array.copy()
    return np.clip(array, lowest(fmt, overflow), top)


def lowest(fmt: IntFormat, overflow: Overflow) -> int:
    """Smallest value a register may hold under a policy."""
    return max(fmt.min, -fmt.max) if overflow is Overflow.SATURATE_SYMMETRIC else fmt.min


def _wrap(array: NDArray[np.int64], fmt: IntFormat) -> NDArray[np.int64]:
    if fmt.signed:
        unused = np.int64(64 - fmt.bits)
        return np.right_shift(np.left_shift(array, unused), unused)
    if fmt.bits == 64:
        raise ConfigError(
            "overflow: uint64 values that wrap do not fit the int64 arrays used here; expected 63 bits or fewer"
        )
    return np.bitwise_and(array, np.int64(fmt.max))


def _trap(array: NDArray[np.int64], fmt: IntFormat, top: int) -> None:
    bad = (array < fmt.min) | (array > top)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise _trapped(int(array[index]), fmt, index)


def _trapped(value: int, fmt: IntFormat, index: tuple[int, ...] | None) -> AccumulatorOverflowError:
    place = "" if index is None else f" at index {index}"
    return AccumulatorOverflowError(
        f"accumulator{place}: {value} does not fit {fmt} ({fmt.min} to {fmt.max}); widen it, let it wrap or saturate",
        value=value,
        format=fmt,
        index=index,
    )
