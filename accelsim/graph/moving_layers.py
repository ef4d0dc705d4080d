"""Layers that move codes and change none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError
from accelsim.graph.boxes import Boxes
from accelsim.graph.layer import Layer, VectorLayer


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(VectorLayer):
    """Inputs side by side along ``axis``, codes copied; where a runtime rescales an input, a Rescale stands before it."""

    operator: ClassVar[str] = "CONCATENATION"
    axis: int

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        boxes, start = [], 0
        for shape in self.shapes:
            lo, hi = tiles.lo.copy(), tiles.hi.copy()
            lo[:, self.axis] -= start
            hi[:, self.axis] -= start
            boxes.append(Boxes(lo, hi).clipped(shape))
            start += shape[self.axis]
        return tuple(boxes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(VectorLayer):
    """The input with ``before`` cells of ``value`` (the zero point) in front of each axis, and as many behind as fill ``shape``."""

    operator: ClassVar[str] = "PAD"
    before: tuple[int, ...]
    value: int = 0

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        before = np.asarray(self.before, dtype=np.int64)
        return (Boxes(tiles.lo - before, tiles.hi - before).clipped(self.shapes[0]),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(VectorLayer):
    """The same codes under another shape; costs nothing, moves nothing."""

    operator: ClassVar[str] = "RESHAPE"
    source_operator: str = "RESHAPE"

    @property
    def steps_per_output(self) -> int:
        return 0

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        whole = np.broadcast_to(np.asarray(self.shapes[0], dtype=np.int64), (len(tiles), len(self.shapes[0])))
        return (Boxes(np.zeros_like(whole), whole.copy()),)


def shared_memory(layers: Sequence[Layer]) -> dict[str, str]:
    """For each layer's output the tensor whose memory it has: its own, or that of what a Reshape passes on."""
    home: dict[str, str] = {}
    for layer in layers:
        passed_on = isinstance(layer, Reshape)
        home[layer.output] = home.get(layer.inputs[0], layer.inputs[0]) if passed_on else layer.output
    return home


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(VectorLayer):
    """Output axis ``i`` is input axis ``permutation[i]``."""

    operator: ClassVar[str] = "TRANSPOSE"
    permutation: tuple[int, ...]

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        inverse = np.argsort(self.permutation)
        return (Boxes(tiles.lo[:, inverse], tiles.hi[:, inverse]),)


@dataclass(frozen=True, eq=False, kw_only=True)
class StridedSlice(VectorLayer):
    """Output index ``i`` of an axis is input index ``begin + i*stride``; strides may be negative, shrunken axes stay as 1."""

    operator: ClassVar[str] = "STRIDED_SLICE"
    begin: tuple[int, ...]
    strides: tuple[int, ...] = field(default=())

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        begin, stride = np.asarray(self.begin, dtype=np.int64), np.asarray(self.strides, dtype=np.int64)
        first, last = begin + tiles.lo * stride, begin + (tiles.hi - 1) * stride
        empty = tiles.hi <= tiles.lo
        lo = np.minimum(first, last)
        return (Boxes(lo, np.where(empty, lo, np.maximum(first, last) + 1)),)


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeNearest(VectorLayer):
    """Output row ``y`` and column ``x`` of an (n, h, w, c) view are input row ``rows[y]`` and column ``columns[x]``.

    Both ascend; GraphError where they do not, or leave the image.
    """

    operator: ClassVar[str] = "RESIZE_NEAREST_NEIGHBOR"
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def __post_init__(self) -> None:
        for axis, index in ((1, self.rows), (2, self.columns)):
            size = self.shapes[0][axis]
            inside = len(index) == self.shape[axis] and index.min() >= 0 and index.max() < size
            if not (inside and (np.diff(index) >= 0).all()):
                raise GraphError(
                    f"layer {self.name!r}: indices of axis {axis} must be {self.shape[axis]} ascending numbers in [0, {size}), "
                    f"got {index.tolist()[:8]} ({len(index)})",
                    layer=self.name,
                )

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        lo, hi = tiles.lo.copy(), tiles.hi.copy()
        for axis, index in ((1, self.rows), (2, self.columns)):
            empty = tiles.hi[:, axis] <= tiles.lo[:, axis]
            lo[:, axis] = index[np.minimum(tiles.lo[:, axis], len(index) - 1)]
            hi[:, axis] = np.where(empty, lo[:, axis], index[np.maximum(tiles.hi[:, axis], 1) - 1] + 1)
        return (Boxes(lo, hi),)
