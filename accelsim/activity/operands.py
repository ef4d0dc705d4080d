"""The matrices of a compute tile as they enter the array: zero points subtracted, padding and inserted zeros as zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacLayer, MatMul
from accelsim.program import Program

Array = NDArray[Any]
EXACT_BITS = 53
"""Integers up to 2^53 are exact in float64 (IEEE 754), whose matrix product is fast."""


class Operands:
    """Operands of the compute tiles of one layer; ``tensors`` are the codes of one inference by name."""

    def __init__(self, layer: MacLayer, *, program: Program, tensors: Mapping[str, Array]) -> None:
        self._layer, self._program, self._g = layer, program, layer.geometry
        self._x = tensors[layer.inputs[0]].reshape(self._g.input_shape).astype(np.int64) - layer.input_zero_point
        if isinstance(layer, MatMul):
            right = tensors[layer.inputs[1]].astype(np.int64) - layer.right_zero_point
        else:
            assert layer.weights is not None
            right = layer.weights.astype(np.int64)
        self._w = right.reshape(self._g.weight_shape)
        self._reach = int(np.abs(self._x).max(initial=0)) * int(np.abs(self._w).max(initial=0))

    def of(self, operation: int) -> tuple[Array, Array]:
        """x (groups, pixels, reduction) and w (groups, reduction, channels), int64; pixels in order n, row, column, reduction in
        order kernel row, kernel column, channel."""
        program, g = self._program, self._g
        lo, hi = program.box(operation)
        weight_lo, weight_hi = program.box(int(program.operands(operation)[0]))
        groups = max(1, (hi[3] - lo[3]) // g.oc_per_group)
        taps, size = tuple(zip(weight_lo[1:], weight_hi[1:], strict=True)), weight_hi[0] - weight_lo[0]
        first = lo[3] // g.oc_per_group * g.ic_per_group + taps[2][0]
        deep, starts = taps[2][1] - taps[2][0], range(0, groups * g.ic_per_group, g.ic_per_group)
        window = self._window(lo, hi, taps[:2], (first, first + starts[-1] + deep))
        x = np.stack([window[..., c : c + deep].reshape(len(window), -1) for c in starts])
        box = tuple(slice(a, b) for a, b in zip(weight_lo, weight_hi, strict=True))
        w = self._w[box].reshape(groups, size // groups, -1).transpose(0, 2, 1)
        return x, w

    def bias(self, operation: int, shape: tuple[int, int]) -> Array:
        """Accumulators (groups, pixels, channels) before the first product."""
        lo, hi = self._program.box(operation)
        bias = np.zeros(self._g.oc, np.int64) if self._layer.array_bias is None else self._layer.array_bias
        per_group = bias[lo[3] : hi[3]].reshape(shape[0], 1, -1)
        return np.broadcast_to(per_group, (*shape, per_group.shape[2]))

    def product(self, x: Array, w: Array) -> Array:
        """Exact ``x @ w``, int64."""
        if self._reach * max(1, x.shape[2]) < 1 << EXACT_BITS:
            return np.asarray(np.matmul(x.astype(np.float64), w.astype(np.float64)).astype(np.int64))
        return np.asarray(np.matmul(x, w))

    def _window(
        self, lo: tuple[int, ...], hi: tuple[int, ...], taps: tuple[tuple[int, int], ...], channels: tuple[int, int]
    ) -> Array:
        """(pixels, kernel rows, kernel columns, channels from the first of ``channels`` to before the second)."""
        g = self._g
        rows = g.axis("h").input_index(np.arange(lo[1], hi[1])[:, None], np.arange(*taps[0]))
        columns = g.axis("w").input_index(np.arange(lo[2], hi[2])[:, None], np.arange(*taps[1]))
        at = np.ix_(np.arange(lo[0], hi[0]), rows.ravel(), columns.ravel())
        inside = (rows >= 0).ravel()[:, None] & (columns >= 0).ravel()
        window = self._x[..., slice(*channels)][at]
        window *= inside[:, :, None]
        shape = (hi[0] - lo[0], *rows.shape, *columns.shape, window.shape[-1])
        window = window.reshape(shape).transpose(0, 1, 3, 2, 4, 5)
        pixels = shape[0] * shape[1] * shape[3]
        return np.ascontiguousarray(window).reshape(pixels, *window.shape[3:])
