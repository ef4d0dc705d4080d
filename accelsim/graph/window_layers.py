"""Layers that take a window of an image, or whole axes, to one element."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.display import Brief
from accelsim.errors import GraphError
from accelsim.graph.boxes import Boxes
from accelsim.graph.geometry import Axis
from accelsim.graph.layer import RealFunction, VectorLayer
from accelsim.numerics import Requantization, Rounding


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


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2D(Pool2D):
    """Mean of the window's codes; how it is rounded is the ``rule``, for the source models differ in it and in nothing else.

    ``codes``: of the raw codes, half away from zero, then clamped (TFLite reference_integer_ops).

    ``float32``: of dequantized codes, every operation in float32 (ONNX Runtime, contrib qlinear_pool.cc). ``input_scale * (x -
    input_zero_point)`` is summed row by row, divided by the cells of the window (the whole window's if ``count_include_pad``) and by
    ``output_scale``; ``output_zero_point`` is added before rounding half to even; clamped.

    ``dequantized``: as ``float32``, but quantized as by QuantizeLinear: the quotient by ``output_scale`` is clamped and rounded, and
    ``output_zero_point`` added (ONNX Runtime's AveragePool of opset 19 and later, between DequantizeLinear and QuantizeLinear).

    ``sums``: ``requant(whole // cells * sum(x - input_zero_point) + bias)`` in integers, ``requant`` and ``bias`` with one set for
    all channels or one each (QONNX; FINN's sums before a multi-threshold). ``real_function``: codes of a real mean.
    """

    operator: ClassVar[str] = "AVERAGE_POOL_2D"
    rule: Literal["codes", "float32", "dequantized", "sums"] = "codes"
    count_include_pad: bool = False
    input_zero_point: int = 0
    input_scale: float = 1.0
    output_scale: float = 1.0
    output_zero_point: int = 0
    requant: Requantization | None = None
    bias: NDArray[np.int64] | None = None
    real_function: RealFunction | None = None

    @property
    def whole(self) -> int:
        """The smallest number that the cells under every window divide."""
        if self.count_include_pad:
            return math.prod(self.kernel)
        outs = (np.arange(axis.out) for axis in self.windows)
        rows, columns = (
            np.unique(axis.met((out, out + 1), (0, axis.taps))) for axis, out in zip(self.windows, outs, strict=True)
        )
        return math.lcm(*(max(1, int(n)) for n in np.unique(np.outer(rows, columns))))


class MaxPool2D(Pool2D):
    """Maximum of the window's codes, then clamped."""

    operator: ClassVar[str] = "MAX_POOL_2D"


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
    """``requant(sum over axes - count * input_zero_point + bias)``; 1/count is folded into ``requant``, or left out for a sum.

    ``requant`` and ``bias`` have one set for all channels or one each. ``real_function``: codes of a real mean.

    With ``rule`` ``dequantized``, of the pixels of an image, in float32 as ONNX Runtime's GlobalAveragePool between DequantizeLinear
    and QuantizeLinear (MLAS pooling.cpp): four sums of every fourth pixel, added crosswise, the pixels left over one by one; the
    quotient by their number, quantized as in :class:`AveragePool2D`.
    """

    operator: ClassVar[str] = "MEAN"
    source_operator: str = "MEAN"
    rule: Literal["sums", "dequantized"] = "sums"
    input_zero_point: int = 0
    input_scale: float = 1.0
    output_scale: float = 1.0
    output_zero_point: int = 0
    clamp_min: int = -128
    clamp_max: int = 127
    requant: Requantization | None = None
    bias: NDArray[np.int64] | None = None
    real_function: RealFunction | None = None


class ReduceMax(Reduction):
    """Largest code along the axes."""

    operator: ClassVar[str] = "REDUCE_MAX"


class ReduceMin(Reduction):
    """Smallest code along the axes."""

    operator: ClassVar[str] = "REDUCE_MIN"


@dataclass(frozen=True, eq=False, kw_only=True)
class ArgReduction(Reduction):
    """Where along its only axis the extreme code stands: the first place of several, or the ``last``. An index has no scale.

    GraphError for any other number of axes.
    """

    last: bool = False

    def __post_init__(self) -> None:
        if len(self.axes) != 1:
            raise GraphError(
                f"layer {self.name!r}: an index along {len(self.axes)} axes; expected one", layer=self.name
            )


class ArgMax(ArgReduction):
    """Index of the largest code."""

    operator: ClassVar[str] = "ARG_MAX"


class ArgMin(ArgReduction):
    """Index of the smallest code."""

    operator: ClassVar[str] = "ARG_MIN"


@dataclass(frozen=True, eq=False, kw_only=True)
class Taps(Brief):
    """The two input elements behind each output element of an axis, ``low`` and ``high``; ``weight`` of it is the latter's.

    Integers of so many bits, or float32 numbers up to 1, of which the former's is 1 less that, rounded.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class ResizeBilinear(VectorLayer):
    """Four codes of an (n, h, w, c) view by the products of their weights; how they are rounded is the ``rule``.

    ``codes``: raw codes by integers of ``fraction_bits`` an axis, then ``rounding`` (TFLite's kernels).

    ``dequantized``: real numbers by weights in float32 (ONNX Runtime upsample.cc, between DequantizeLinear and QuantizeLinear): the row's
    weight times the column's, times the number; low and low, low row and high column, high row and low column, high and high, added in
    this order; quantized as in :class:`AveragePool2D`.

    Taps ascend; GraphError where they do not, leave the image, or weigh more than it all.
    """

    operator: ClassVar[str] = "RESIZE_BILINEAR"
    rows: Taps
    columns: Taps
    rule: Literal["codes", "dequantized"] = "codes"
    fraction_bits: int = 0
    rounding: Literal[Rounding.HALF_AWAY, Rounding.HALF_UP] = Rounding.HALF_AWAY
    input_zero_point: int = 0
    input_scale: float = 1.0
    output_scale: float = 1.0
    output_zero_point: int = 0
    clamp_min: int = -128
    clamp_max: int = 127

    def __post_init__(self) -> None:
        for axis, taps in ((1, self.rows), (2, self.columns)):
            size, out = self.shapes[0][axis], self.shape[axis]
            lengths = {len(taps.low), len(taps.high), len(taps.weight)} == {out}
            inside = lengths and all(
                ((i >= 0) & (i < size)).all() and (np.diff(i) >= 0).all() for i in (taps.low, taps.high)
            )
            # Where both taps are one element, what they weigh apart is nothing to anyone.
            apart = taps.weight[taps.low != taps.high] if inside else taps.weight
            if not inside or not ((apart >= 0) & (apart <= 1 << self.fraction_bits)).all():
                raise GraphError(
                    f"layer {self.name!r}: taps of axis {axis} must be {out} ascending pairs in [0, {size}) with weights of "
                    f"{self.fraction_bits} bits",
                    layer=self.name,
                )

    @property
    def steps_per_output(self) -> int:
        return 4

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        lo, hi = tiles.lo.copy(), tiles.hi.copy()
        for axis, taps in ((1, self.rows), (2, self.columns)):
            empty = tiles.hi[:, axis] <= tiles.lo[:, axis]
            lo[:, axis] = taps.low[np.minimum(tiles.lo[:, axis], len(taps.low) - 1)]
            hi[:, axis] = np.where(empty, lo[:, axis], taps.high[np.maximum(tiles.hi[:, axis], 1) - 1] + 1)
        return (Boxes(lo, hi),)
