"""Layers that the vector unit runs, each with the boxes it reads and its integer rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.boxes import Boxes
from accelsim.graph.layer import VectorLayer
from accelsim.numerics import Requant


@dataclass(frozen=True, kw_only=True)
class OperandScale:
    """How one operand enters a sum: ``(x - zero_point) << left_shift``, times ``multiplier`` * 2^(exponent-31).

    ``exponent`` None means a plain integer product ``(x - zero_point) * multiplier``, exact (XNNPACK's addition).
    """

    zero_point: int
    multiplier: int
    exponent: int | None = None
    left_shift: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementwise(VectorLayer):
    """A layer whose output element depends on the input elements at the same place, with numpy broadcasting."""

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        return tuple(_broadcast(tiles, shape) for shape in self.shapes)


def _broadcast(tiles: Boxes, shape: tuple[int, ...]) -> Boxes:
    skip = tiles.lo.shape[1] - len(shape)
    stretched = np.asarray(shape, dtype=np.int64) == 1
    lo = np.where(stretched, 0, tiles.lo[:, skip:])
    return Boxes(lo, np.where(stretched, 1, tiles.hi[:, skip:]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Elementwise):
    """Sum of two tensors: each operand through its :class:`OperandScale`, the sum through ``requant``.

    ``scheme`` is the integer scheme that multiplies the operands (``tflite_double`` in every TFLite runtime but XNNPACK).
    """

    operator: ClassVar[str] = "ADD"
    left: OperandScale | None = None
    right: OperandScale | None = None
    scheme: str = "tflite_double"
    requant: Requant | None = None

    @property
    def steps_per_output(self) -> int:
        return 3


class Sub(Add):
    """Difference: as :class:`Add`, with the right operand subtracted after its scaling."""

    operator: ClassVar[str] = "SUB"


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul(Elementwise):
    """Product ``(a - left_zero_point) * (b - right_zero_point)``, requantized."""

    operator: ClassVar[str] = "MUL"
    left_zero_point: int = 0
    right_zero_point: int = 0
    requant: Requant | None = None

    @property
    def steps_per_output(self) -> int:
        return 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Rescale(Elementwise):
    """``requant(x - input_zero_point)``: QUANTIZE between integer formats, and RELU or RELU6 with their clamp."""

    operator: ClassVar[str] = "QUANTIZE"
    source_operator: str = "QUANTIZE"
    input_zero_point: int = 0
    requant: Requant | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyRelu(Elementwise):
    """``positive(x - z)`` where x >= z, ``negative(x - z)`` elsewhere; both end in the output's zero point and clamp."""

    operator: ClassVar[str] = "LEAKY_RELU"
    input_zero_point: int = 0
    positive: Requant | None = None
    negative: Requant | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Lut(Elementwise):
    """``table[x - input_min]``: any function of one 8-bit code; the importer fills the table as the runtime would."""

    operator: ClassVar[str] = "LUT"
    source_operator: str = "LUT"
    table: NDArray[Any] | None = None
    input_min: int = -128


@dataclass(frozen=True, eq=False, kw_only=True)
class BinaryLut(Elementwise):
    """``table[a - left_min, b - right_min]``: any function of two 8-bit codes, filled by the importer as the runtime would.

    Exact by construction where a runtime adds or multiplies dequantized codes in floating point (ONNX Runtime's
    QLinearAdd and QLinearMul), which no integer multiplier reproduces. ``table`` has shape (256, 256). ``constant`` holds
    the codes of a right operand that the model file gives, of a shape that broadcasts to the layer's; then there is one input.
    """

    operator: ClassVar[str] = "BINARY_LUT"
    source_operator: str = "ADD"
    table: NDArray[Any] | None = None
    left_min: int = 0
    right_min: int = 0
    constant: NDArray[Any] | None = None

    @property
    def steps_per_output(self) -> int:
        return 3


@dataclass(frozen=True, eq=False, kw_only=True)
class InterpolatedLut(Elementwise):
    """LOGISTIC and TANH on 16-bit codes: a 256-entry sigmoid table with linear interpolation (tflite-micro, LiteRT reference).

    ``multiplier`` and ``left_shift`` bring the input to the table's step; ``function`` chooses the final scaling.
    """

    operator: ClassVar[str] = "LOGISTIC"
    source_operator: str = "LOGISTIC"
    function: Literal["logistic", "tanh"] = "logistic"
    table: NDArray[np.uint16] | None = None
    multiplier: int = 0
    left_shift: int = 0

    @property
    def steps_per_output(self) -> int:
        return 3


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(VectorLayer):
    """Softmax over the last axis of a (rows, classes) view, in integers.

    ``gemmlowp``: difference to the row's maximum in Q5.26, a polynomial exponential, sum in Q12.19, Newton-Raphson
    reciprocal. ``int16_lut``: tables of 513 entries for exp and 1/(1+x) in ``exp_table`` and ``reciprocal_table``.
    ``multiplier`` and ``left_shift`` scale the difference; differences below ``diff_min`` count as zero.
    """

    operator: ClassVar[str] = "SOFTMAX"
    algorithm: Literal["gemmlowp", "int16_lut"] = "gemmlowp"
    multiplier: int = 0
    left_shift: int = 0
    diff_min: int = 0
    output_min: int = -128
    output_max: int = 127
    exp_table: NDArray[np.int16] | None = None
    reciprocal_table: NDArray[np.int16] | None = None

    @property
    def whole_axes(self) -> tuple[int, ...]:
        return (len(self.shape) - 1,)

    @property
    def steps_per_output(self) -> int:
        return 24

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        return (tiles,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2D(VectorLayer):
    """A window over rows and columns of an (n, h, w, c) view; padding cells are left out of it."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int] = (0, 0)
    clamp_min: int = -(2**31)
    clamp_max: int = 2**31 - 1

    @property
    def steps_per_output(self) -> int:
        return math.prod(self.kernel)

    def reads(self, tiles: Boxes) -> tuple[Boxes, ...]:
        lo, hi = tiles.lo.copy(), tiles.hi.copy()
        for axis in (1, 2):
            stride, pad, kernel = self.stride[axis - 1], self.pad[axis - 1], self.kernel[axis - 1]
            lo[:, axis] = tiles.lo[:, axis] * stride - pad
            hi[:, axis] = (tiles.hi[:, axis] - 1) * stride - pad + kernel
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
class Mean(VectorLayer):
    """``requant(sum over axes - count * input_zero_point)``; 1/count is folded into the multiplier. ``shape`` keeps the axes as 1."""

    operator: ClassVar[str] = "MEAN"
    axes: tuple[int, ...]
    input_zero_point: int = 0
    requant: Requant | None = None

    @property
    def count(self) -> int:
        """Elements that one output sums."""
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
