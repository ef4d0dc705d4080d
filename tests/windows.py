"""The windows of convolutions in plain Python, tap by tap: what im2col unrolls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accelsim.graph import Boxes, MacLayer
from accelsim.hardware import Engine, Memory
from accelsim.program import Program


class Matrix(NamedTuple):
    """A tile's matrix: for each of its entries the element of the input view that stands there, None on padding."""

    entries: list[int | None]

    @property
    def fetched(self) -> list[int]:
        return [entry for entry in self.entries if entry is not None]


def matrix_loads(program: Program) -> dict[int, int]:
    """For each load of the left operand of a MAC layer the first compute operation that reads it, in program order."""
    found: dict[int, int] = {}
    for i in np.flatnonzero(program.of_engine(Engine.COMPUTE)).tolist():
        load = next(s for s in program.operands(i).tolist() if program.memory[s] == Memory.ACTIVATIONS)
        found.setdefault(load, i)
    return found


def matrix_of(program: Program, compute: int) -> Matrix:
    """Pixel by pixel, kernel row, kernel column, channel; the channels that the tile's output channels sum over."""
    layer = program.graph.layers[program.layer[compute]]
    assert isinstance(layer, MacLayer)
    g = layer.geometry
    (n0, y0, x0, c0), (n1, y1, x1, c1) = program.box(compute)
    weights = next(s for s in program.operands(compute).tolist() if program.memory[s] == Memory.WEIGHTS)
    (_, ky0, kx0, i0), (_, ky1, kx1, i1) = program.box(weights)
    groups = sorted({c // g.oc_per_group for c in range(c0, c1)})
    channels = [group * g.ic_per_group + i for group in groups for i in range(i0, i1)]
    entries: list[int | None] = []
    for n in range(n0, n1):
        for y in range(y0, y1):
            for x in range(x0, x1):
                for ky in range(ky0, ky1):
                    for kx in range(kx0, kx1):
                        row, row_rest = divmod(y * g.stride_h - g.pad_top + ky * g.dilation_h, g.upsample_h)
                        column, column_rest = divmod(x * g.stride_w - g.pad_left + kx * g.dilation_w, g.upsample_w)
                        inside = 0 <= row < g.ih and 0 <= column < g.iw and row_rest == column_rest == 0
                        pixel = ((n * g.ih + row) * g.iw + column) * g.ic
                        entries += [pixel + c if inside else None for c in channels]
    return Matrix(entries)


def slices(boxes: Boxes, i: int) -> tuple[slice, ...]:
    """Box ``i`` as an index into an array of the tensor's shape."""
    return tuple(slice(int(a), int(b)) for a, b in zip(boxes.lo[i], boxes.hi[i], strict=True))
