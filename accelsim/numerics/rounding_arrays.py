"""The roundings of ``rounding.py`` on int64 arrays, compiled; they must agree with the functions on ``int``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import ConfigError
from accelsim.numerics.rounding import MAX_SHIFT, Rounding

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
