"""Layers whose output element depends on the input elements at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.boxes import Boxes
from accelsim.graph.layer import RealFunction, VectorLayer
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
        return tuple(tiles if shape == self.output_shape else _broadcast(tiles, shape) for shape in self.shapes)


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
    """``table[x - input_min]``: any function of one 8-bit code; the importer fills the table as the runtime would.

    ``real_function`` is that function of a real number, where a chain of operators of the source model is behind the table; ``clamp``
    the least and the largest code that a rectifier behind it leaves, None: all.
    """

    operator: ClassVar[str] = "LUT"
    source_operator: str = "LUT"
    table: NDArray[Any] | None = None
    input_min: int = -128
    real_function: RealFunction | None = None
    clamp: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class BinaryLut(Elementwise):
    """``table[a - left_min, b - right_min]``: any function of two 8-bit codes, filled by the importer as the runtime would.

    Exact by construction where a runtime adds or multiplies dequantized codes in floating point (ONNX Runtime's
    QLinearAdd and QLinearMul), which no integer multiplier reproduces. ``table`` has one row per left and one column per
    right code. ``constant`` holds the codes of a right operand that the model file gives, of a shape that broadcasts to the
    layer's; then there is one input. ``real_function``, as in :class:`Lut`, is of two numbers, or of one by channel; so is ``clamp``.
    """

    operator: ClassVar[str] = "BINARY_LUT"
    source_operator: str = "ADD"
    table: NDArray[Any] | None = None
    left_min: int = 0
    right_min: int = 0
    constant: NDArray[Any] | None = None
    real_function: RealFunction | None = None
    clamp: tuple[int, int] | None = None

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
