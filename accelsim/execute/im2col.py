"""Windows unrolled into matrices on real codes: what a load leaves on chip, and how the array reads it back."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacGeometry, MacLayer
from accelsim.hardware import IMPLICIT, Engine, Memory
from accelsim.numerics import BIPOLAR, IntFormat
from accelsim.program import Program

Array = NDArray[Any]
Ranges = tuple[tuple[int, int], ...]


class Unrolled(NamedTuple):
    """A tile's matrix seen as an image of windows side by side, (n, rows x taps, columns x taps, channels), and its geometry."""

    codes: Array
    geometry: MacGeometry


class Matrices:
    """The matrices that the activation loads of a Program leave on chip, each that of the compute operations which read it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.explicit = program.arch.activation_buffer.im2col != IMPLICIT

    def expands(self, load: int) -> bool:
        """Whether ``load`` leaves a matrix, not a box."""
        layer = self._program.graph.layers[self._program.layer[load]]
        return self.explicit and isinstance(layer, MacLayer) and self._program.memory[load] == Memory.ACTIVATIONS

    def shape(self, load: int) -> tuple[int, ...]:
        """Images, rows, columns, kernel rows, kernel columns, channels of the matrix that ``load`` leaves."""
        return tuple(hi - lo for lo, hi in self._ranges(load))

    def unroll(self, load: int, box: Array) -> Array:
        """The matrix of ``load``, whose box of codes is ``box``; the code of zero where there is nothing to fetch."""
        layer, fmt = self._layer(load), self._format(load)
        empty = -1 if fmt.bipolar else layer.input_zero_point
        framed = np.pad(box, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=empty)
        rows, columns = self.places(load)
        at = np.arange(box.shape[0]), np.where(rows < 0, -1, rows).ravel(), np.where(columns < 0, -1, columns).ravel()
        windows = framed[np.ix_(*at)].reshape(box.shape[0], *rows.shape, *columns.shape, box.shape[3])
        return np.ascontiguousarray(windows.transpose(0, 1, 3, 2, 4, 5))

    def fetched(self, load: int, box: Array) -> Array:
        """The codes that a window by window fetch of ``box`` moves, in their order."""
        rows, columns = (places >= 0 for places in self.places(load))
        inside = rows[:, None, :, None] & columns[None, :, None, :]
        codes: Array = self.unroll(load, box)[:, inside]
        return codes

    def image(self, load: int, matrix: Array, output: tuple[int, ...], weights: tuple[int, ...]) -> Unrolled:
        """The matrix that ``load`` left as the array reads it for a tile of outputs and weights that begin there."""
        layer, (n, oh, ow, kh, kw, channels) = self._layer(load), matrix.shape
        codes = matrix
        if self._format(load) == BIPOLAR:  # has no code for zero: the array leaves these taps out
            rows, columns = (places >= 0 for places in self.places(load))
            codes = matrix * (rows[:, None, :, None] & columns[None, :, None, :])[None, ..., None].astype(matrix.dtype)
        g = layer.geometry
        geometry = replace(
            g, ih=oh * kh, iw=ow * kw, stride_h=kh, stride_w=kw, dilation_h=1, dilation_w=1, upsample_h=1, upsample_w=1,
            pad_top=output[1] * kh + weights[1], pad_left=output[2] * kw + weights[2],
        )  # fmt: skip
        return Unrolled(codes.transpose(0, 1, 3, 2, 4, 5).reshape(n, oh * kh, ow * kw, channels), geometry)

    def places(self, load: int) -> tuple[Array, Array]:
        """Row, and column, of the load's box under each output and tap of the matrix; negative where there is none."""
        _, y, x, ky, kx, _ = self._ranges(load)
        g, lo = self._layer(load).geometry, self._program.box(load)[0]
        rows, columns = (
            table[slice(*outputs), slice(*taps)]
            for table, outputs, taps in ((g.axis("h").sources, y, ky), (g.axis("w").sources, x, kx))
        )
        return np.where(rows < 0, -1, rows - lo[1]), np.where(columns < 0, -1, columns - lo[2])

    @cached_property
    def _consumers(self) -> dict[int, int]:
        """A compute operation that reads what each load left; all of them read the same pixels and taps."""
        program = self._program
        compute = np.flatnonzero(program.of_engine(Engine.COMPUTE))
        loads = program.dependencies[program.dependency_start[compute] + 1]
        return dict(zip(loads.tolist(), compute.tolist(), strict=True))

    def _layer(self, load: int) -> MacLayer:
        layer = self._program.graph.layers[self._program.layer[load]]
        assert isinstance(layer, MacLayer)
        return layer

    def _format(self, load: int) -> IntFormat:
        return self._program.graph.tensors[self._layer(load).inputs[0]].format

    def _ranges(self, load: int) -> Ranges:
        program, compute = self._program, self._consumers[load]
        pixels, taps = (zip(*program.box(i), strict=True) for i in (compute, int(program.operands(compute)[0])))
        channels = tuple(side[3] for side in program.box(load))
        return (*list(pixels)[:3], *list(taps)[1:3], (channels[0], channels[1]))
