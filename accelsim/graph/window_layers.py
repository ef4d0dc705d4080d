"""Layers that take a window of an image, or whole axes, to one element."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.boxes import Boxes
from accelsim.graph.geometry import Axis
from accelsim.graph.layer import VectorLayer
from accelsim.numerics import Requant


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2D(VectorLayer):
    """A window over rows and columns of an (n, h, w, c) view; padding cells are left out of it."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int] = (0, 0)
    clamp_min: int = -(2**31)
    clamp_max: int = 2**31 - 1

    @property
    def windows(self) -> tuple[Axis, Axis]:
        """The windows along rows and columns."""
        rows, columns = (
            Axis(self.shapes[0][i + 1], self.shape[i + 1], self.kernel[i], self.stride[i], pad=self.pad[i])
            for i in (0, 1)
        )
        return rows, columns

    @property
    def steps_per_output(self) -> int:
        return math.prod(self.kernel)

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        lo, hi = tiles.lo.copy(), tiles.hi.copy()
        for place, axis in enumerate(self.windows, start=1):
            outs = tiles.lo[:, place], tiles.hi[:, place]
            lo[:, place], hi[:, place] = axis.rows_under(outs, (0, axis.taps))
        return (Boxes(lo, hi).clipped(self.shapes[0]),)


class AveragePool2D(Pool2D):
    """Mean of the window's raw codes, rounded half away from zero, then clamped (TFLite reference_integer_ops)."""

    operator: ClassVar[str] = "AVERAGE_POOL_2D"


class MaxPool2D(Pool2D):
    """Maximum of the window's codes, then clamped."""

    operator: ClassVar[str] = "MAX_POOL_2D"


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatAveragePool2D(Pool2D):
    """Mean of dequantized codes as ONNX Runtime computes it, every operation in float32 (contrib qlinear_pool.cc).

    ``input_scale * (x - input_zero_point)`` is summed row by row, divided by the cells of the window (the whole window's
    if ``count_include_pad``) and by ``output_scale``; the zero point is added before rounding half to even.
    """

    operator: ClassVar[str] = "AVERAGE_POOL_2D"
    input_scale: float = 1.0
    output_scale: float = 1.0
    input_zero_point: int = 0
    output_zero_point: int = 0
    count_include_pad: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduction(VectorLayer):
    """One element out of all those along ``axes``; ``shape`` keeps the axes as 1."""

    axes: tuple[int, ...]

    @property
    def count(self) -> int:
        """Elements behind one output."""
        return math.prod(self.shapes[0][axis] for axis in self.axes)

    @property
    def steps_per_output(self) -> int:
        return self.count

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        lo, hi = tiles.lo.copy(), tiles.hi.copy()
        for axis in self.axes:
            lo[:, axis], hi[:, axis] = 0, self.shapes[0][axis]
        return (Boxes(lo, hi),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Reduction):
    """``requant(sum over axes - count * input_zero_point)``; 1/count is folded into the multiplier, or left out for a sum."""

    operator: ClassVar[str] = "MEAN"
    source_operator: str = "MEAN"
    input_zero_point: int = 0
    requant: Requant | None = None


class ReduceMax(Reduction):
    """Largest code along the axes."""

    operator: ClassVar[str] = "REDUCE_MAX"


class ReduceMin(Reduction):
    """Smallest code along the axes."""

    operator: ClassVar[str] = "REDUCE_MIN"
